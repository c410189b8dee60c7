"""The blocks on explicit upsampling, in docs/QUESTIONS.md and, in short, in README.

Whether it is necessary in other tasks; whether the bicubic skip is, in super-resolution; and
whether what LR maps bring grows with their number of parameters.
"""

import re
from typing import Any

from docs.comparison_blocks import Kept, about, bullets, in_short
from docs.kept_results import PICTURED
from sr_jax.comparison import findings, skip
from sr_jax.comparison.explicit_pool import BEST
from sr_jax.comparison.phrases import percent
from sr_jax.comparison.titles import task_title
from sr_jax.report import dose_figures, dose_report, tables, task_figures, task_report, task_tables
from sr_jax.report.markdown import table as markdown_table

Results = dict[str, Any]

FOREST = "What every explicit form of upsampling brings in every task, and over tasks"
OPEN = "Not measured yet: results/ holds no confirmatory run."
SMALL, DOSE, SKIP = "other_tasks", "dose_confirmatory", "explicit_skip"
OF_SKIP = rf"{SKIP}_confirmatory(_steps=\d+)?(_seeds=\d+)?"  # and no other flag
QUESTIONS = {
  SMALL: "Is explicit upsampling necessary in any other application?",
  SKIP: "Is the bicubic skip necessary?",
  DOSE: "Does the advantage of LR maps grow with their parameters?",
}
STATEMENT = "an explicit upsampling using a bicubic or a deconvolution layer isn't really necessary"
OF_STATEMENT: dict[skip.LengthFinding, str] = {
  "necessary": "does not hold here",
  "not necessary": "holds here",
  "a matter of training time": "does not hold here after the shorter training, and holds after the "
  "longer",
  "only after longer training": "holds here after the shorter training, and does not after the "
  "longer",
  "undecided": "is undecided here",
}


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of every block of the questions, by the name of its marks."""
  tasks, dose, runs = kept.get(PICTURED), kept.get(DOSE), _skip_runs(kept)
  return {
    SMALL: "\n\n".join([_tasks(tasks) if tasks else OPEN, *_small_run(kept.get(SMALL))]),
    "other_tasks_arms": _arms(tasks) if tasks else OPEN,
    "other_tasks_periodicity": _periodicity(tasks) if tasks else OPEN,
    "other_tasks_pictures": _pictures(tasks["results"]) if tasks else OPEN,
    SKIP: _skip(runs) if runs else OPEN,
    "dose": _dose(dose) if dose else OPEN,
  }


def answers(kept: dict[str, Kept]) -> list[str]:
  """The answers in README: what the confirmatory runs say first."""
  tasks, dose, runs = kept.get(PICTURED), kept.get(DOSE), _skip_runs(kept)
  lines = {
    SMALL: _of_tasks(tasks["results"]) if tasks else OPEN,
    SKIP: _of_skip(runs) if runs else OPEN,
    DOSE: dose["results"]["verdict"]["sentences"][0] if dose else OPEN,
  }
  return [f"**{QUESTIONS[name]}** {line}" for name, line in lines.items()]


def _of_tasks(results: Results) -> str:
  """The answer with the tasks of every decision, and the best form over tasks."""
  best = results["verdict"]["pooled"][BEST]
  share = best["share"]
  return (
    f"{results['verdict']['sentences'][0]} Over {share['count']} tasks, the best explicit form of "
    f"each brings {percent(share)} of what LR gains over no network: {best['decision']}."
  )


def _tasks(data: Kept) -> str:
  """The answer, tasks and forms with their effects, and the command that repeats it."""
  results = data["results"]
  first, *further = results["verdict"]["sentences"]
  parts = [
    f"**{first}**",
    markdown_table(task_tables.rows_of_tasks(results)),
    _figure(f"{PICTURED}_forest", FOREST),
    task_figures.ABOUT_FOREST,
    markdown_table(task_tables.rows_of_pooled(results)),
    bullets([*further, *_notes(results, results["tasks"])]),
    *_repeated(data),
  ]
  return "\n\n".join(parts)


def _notes(results: Results, parts: dict[str, Results]) -> list[str]:
  """What a run and its parts say of the data, every sentence once."""
  of_parts = [note for part in parts.values() for note in part["notes"]]
  return list(dict.fromkeys([*results["notes"], *of_parts]))


def _small_run(data: Kept | None) -> list[str]:
  """What the default run says, of few small images."""
  if data is None:
    return []
  lead = f"On the sample photographs: {_of_tasks(data['results'])}"
  return [lead, *_repeated(data)]


def _arms(data: Kept) -> str:
  """Effects, scores and costs of every arm in every task."""
  results = data["results"]
  measures = "; ".join(task_report.MEASURES[name] for name in _measures(results))
  parts = [
    markdown_table(task_tables.rows_of_scores(results)),
    f"Means over seeds and test images; higher is better: {measures}.",
    markdown_table(task_tables.rows_of_effects(results)),
    "What they cost, and the time of a training step:",
    markdown_table(task_tables.rows_of_costs(results, data["timing"])),
  ]
  return "\n\n".join(parts)


def _measures(results: Results) -> dict[str, None]:
  return dict.fromkeys(record["task"]["measure"] for record in results["tasks"].values())


def _periodicity(data: Kept) -> str:
  """Whether errors repeat with the phases."""
  results = data["results"]
  parts = [
    markdown_table(task_tables.rows_of_periodicity(results)),
    _figure(f"{PICTURED}_periodicity", "Phase periodicity of every explicit form against LR's"),
    task_figures.ABOUT_PERIODICITY,
  ]
  return "\n\n".join(parts)


def _pictures(results: Results) -> str:
  """What each task is, and one picture of it."""
  parts = []
  for name, record in results["tasks"].items():
    title, task = task_title(name), record["task"]
    size = f"r = {task['scale']}, d = {task['dims']}"
    what = f"**{title[0].upper()}{title[1:]}** ({size}). {task_report.WHAT[name]}"
    parts.append(f"{what} {task_report.LOOKS.get(name, '')}".strip())
    parts.append(_figure(f"{PICTURED}_{name}", f"{title} of one test image, with scores"))
  return "\n\n".join(parts)


def _skip_runs(kept: dict[str, Kept]) -> dict[int, Kept]:
  """The kept runs with and without the bicubic skip, by their steps, the shortest first."""
  runs = [data for name, data in kept.items() if re.fullmatch(OF_SKIP, name)]
  by_steps = {data["results"]["config"]["steps"]: data for data in runs}
  return dict(sorted(by_steps.items()))


def _of_skip(runs: dict[int, Kept]) -> str:
  """What the lengths of training that decide say together, or the one that is there.

  Those are of the most seeds; one of fewer describes.
  """
  seeds = {steps: data["results"]["config"]["seeds"] for steps, data in runs.items()}
  most = max(seeds.values())
  deciding = {steps: runs[steps]["results"] for steps in runs if seeds[steps] == most}
  sentences = [skip.sentences(runs[steps]["results"])[0] for steps in runs if seeds[steps] < most]
  if len(deciding) == 1:
    return " ".join([*skip.sentences(*deciding.values()), *sentences])
  holds = OF_STATEMENT[skip.finding_over_lengths(deciding)]
  statement = f'The note\'s sentence that "{STATEMENT}" {holds}.'
  return " ".join([skip.over_lengths(deciding), statement, *sentences])


def _skip(runs: dict[int, Kept]) -> str:
  """What all lengths say together, then the networks and effects of each."""
  first = next(iter(runs.values()))["results"]
  parts = [f"{_of_skip(runs)} On {first['tests'][0]}."]
  groups = (skip.WITHOUT, skip.INTERACTION, skip.AGAINST_HR)
  for steps, data in runs.items():
    results = data["results"]
    claims = [f"{findings.claim(results, group)}: {_effects(results, group)}." for group in groups]
    parts += [
      f"### After {steps:,} steps",
      bullets([*skip.sentences(results), *claims]),
      markdown_table(tables.score_rows(results)),
      markdown_table(tables.combination_rows(results)),
      *_repeated(data),
    ]
  return "\n\n".join(parts)


def _effects(results: Results, group: str) -> str:
  effects = findings.group_of(results, group)
  return "; ".join(f"{each['name']} {in_short(each['test'])}" for each in effects)


def _dose(data: Kept) -> str:
  """The advantage of LR maps on every grid, and the line through it."""
  results = data["results"]
  first, *further = results["verdict"]["sentences"]
  parts = [
    f"**{first}**",
    _figure(f"{DOSE}_dose", "The advantage of LR on every grid against log R"),
    dose_figures.ABOUT,
    markdown_table(dose_report.rows(results)),
    dose_report.ABOUT_ROWS,
    bullets([*further, *_notes(results, results["grids"])]),
    *_repeated(data),
  ]
  return "\n\n".join(parts)


def _figure(name: str, text: str) -> str:
  return f"![{text}](figures/{name}.png)"


def _repeated(data: Kept) -> list[str]:
  return [f"```sh\n{data['command']}\n```", about(data)]
