"""The blocks of docs/QUESTIONS.md, and README's answers in short: the note's open questions.

Every claim is chosen by the effects that it is about. A question that no kept run answers is said
to be open.
"""

from collections.abc import Callable
from typing import Any

from docs import residual_blocks, task_blocks
from docs.comparison_blocks import Kept, about, bullets, in_short, interval
from docs.kept_results import changed
from sr_jax.comparison import findings, learning
from sr_jax.config import as_flags
from sr_jax.report import gate_figures, tables
from sr_jax.report.markdown import table as markdown_table

Results = dict[str, Any]

WHEN, SHARE, LEARN = "when_to_upscale", "what_share", "learned"
OPEN = "Not measured yet: results/ holds no confirmatory run."
FIGURES = {  # of the confirmatory runs: file name, text for those who do not see it, caption
  WHEN: (
    "lattice",
    "Schedules of LR and HR states, coloured by their difference from LR in dB",
    tables.ABOUT_LATTICE,
  ),
  SHARE: (
    "shares",
    "Mean test PSNR in dB of every share against its number of parameters",
    tables.ABOUT_SHARES,
  ),
}


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of every block of the questions, by the name of its marks."""
  when, share = (kept.get(f"{name}_confirmatory") for name in (WHEN, SHARE))
  return {
    "answers": bullets(_answers(kept)),
    WHEN: "\n\n".join([_answer(when, WHEN, _when), *_other_runs(kept)]),
    SHARE: "\n\n".join([_answer(share, SHARE, _share), *_curve(kept.get(f"{SHARE}_curve"))]),
    LEARN: _learned(kept),
  }


def _answers(kept: dict[str, Kept]) -> list[str]:
  """The answers of README in short, one a question."""
  when, share = (kept.get(f"{name}_confirmatory") for name in (WHEN, SHARE))
  return [
    _when(when["results"]) if when else f"**When to upscale?** {OPEN}",
    _share(share["results"]) if share else f"**What share of the maps?** {OPEN}",
    *(
      f"**Can it learn {data['results'][learning.LEARNING]['question']}?** "
      f"{learning.sentences(data['results'])[0]}"
      for data in _with_gates(kept).values()
    ),
    residual_blocks.answer(kept),
    *task_blocks.answers(kept),
  ]


def _when(results: Results) -> str:
  """The claims on early, middle and late blocks, with their effects, and on positions."""
  effects = findings.group_of(results, findings.BLOCKS)
  listed = "; ".join(f"{each['name']} {in_short(each['test'])}" for each in effects)
  claim = findings.claim(results, findings.BLOCKS)
  sentences = [f"**{claim}.** On {results['tests'][0]}, in dB: {listed}."]
  if positions := _by_mean(findings.group_of(results, findings.POSITIONS)):
    ends = ", to ".join(f"{e['name']} {in_short(e['test'])}" for e in (positions[0], positions[-1]))
    claim = findings.claim(results, findings.POSITIONS)
    sentences.append(f"**{claim}**: {len(positions)} effects, from {ends}.")
  return " ".join(sentences)


def _share(results: Results) -> str:
  """The claim on shares, the least and the greatest effect, and the verdict of the run."""
  known = _by_mean(findings.group_of(results, findings.SHARES))
  if not known:
    return f"**{findings.claim(results, findings.SHARES)}.**"
  ends = ", to ".join(
    f"{_percentage(each['name'], results)} {in_short(each['test'])}"
    for each in (known[0], known[-1])
  )
  share, _ = results["verdict"]["contrast"]
  return (
    f"**{findings.claim(results, findings.SHARES)}.** On {results['tests'][0]}, in dB against no "
    f"HR maps, less what the number of weights predicts: {len(known)} shares, from {ends}. With "
    f"nothing subtracted, {_percentage(share, results)} is {in_short(results['verdict']['test'])}."
  )


def _by_mean(effects: findings.Effects) -> findings.Effects:
  """The effects that have a mean, the least first."""
  known = [each for each in effects if each["test"]["mean"] is not None]
  return sorted(known, key=lambda each: each["test"]["mean"])


def _percentage(name: str, results: Results) -> str:
  """A share of HR maps in words: "50 % (K = 5)" of the network h4_k5, where 8 maps are all."""
  config = results["config"]
  maps, _, size = name.removeprefix("h").partition("_k")
  share = 100 * int(maps) * config["scale"] ** 2 / config["features"]
  return f"{share:g} % (K = {size or config['scale'] * config['kernel_size']})"


def _answer(data: Kept | None, experiment: str, lead: Callable[[Results], str]) -> str:
  """What a confirmatory run says, its figures, all effects, and the command that repeats it."""
  if data is None:
    return OPEN
  results, (figure, text, caption) = data["results"], FIGURES[experiment]
  parts = [
    lead(results),
    bullets([_costs(results), *results["verdict"]["sentences"]]),
    _figure(f"{experiment}_confirmatory_{figure}", text),
    caption,
    _figure(f"{experiment}_confirmatory_combinations", "Every effect with its 95 % interval"),
    f"{tables.ABOUT_BARS} Less weights: less what the number of weights alone predicts.",
    markdown_table(tables.combination_rows(results)),
    *_repeated(data),
  ]
  return "\n\n".join(parts)


def _figure(name: str, text: str) -> str:
  return f"![{text}](figures/{name}.png)"


def _repeated(data: Kept) -> list[str]:
  return [f"```sh\n{data['command']}\n```", about(data)]


def _costs(results: Results) -> str:
  """What LR costs, and how many networks with HR maps cost exactly the same."""
  arms = {name: arm["budget"] for name, arm in results["arms"].items() if name[:4] != "lr_n"}
  lr = max(arms, key=lambda name: arms[name]["parameters"])  # any HR map takes some away
  costs = {name: (cost["macs"], cost["activations"]) for name, cost in arms.items()}
  parameters = [arms[name]["parameters"] for name in arms if costs[name] == costs[lr]]
  macs, activations = costs[lr]
  return (
    f"LR costs {macs:,g} MACs and {activations:g} activations a HR pixel, and has "
    f"{max(parameters):,} parameters. {len(parameters) - 1} of {len(arms) - 1} networks with HR "
    f"maps cost exactly as much, with as few as {min(parameters):,} parameters."
  )


def _other_runs(kept: dict[str, Kept]) -> list[str]:
  """The claims and effects of the runs of other presets: smaller kernels, little data."""
  shown_elsewhere = {f"{WHEN}_confirmatory", f"{WHEN}_learn"}
  names = [name for name in kept if name.startswith(f"{WHEN}_") and name not in shown_elsewhere]
  claims, commands, times = [], [], []
  rows = [["run", "effect", "less the weights", "on test photographs (dB)", "decision"]]
  rows[0].append("on training patches (dB)")
  for data in map(kept.__getitem__, names):
    results = data["results"]
    preset, flags = changed(results)
    run = f"`{as_flags({'preset': preset, **flags})}`"
    groups = (findings.BLOCKS, findings.AGAINST_LR, findings.CONTROLS)
    effects = [each for group in groups for each in findings.group_of(results, group)]
    claims += [f"{run}: {findings.claim(results, group)}." for group in groups[:2]]
    commands.append(data["command"])
    times.append(f"{run} {about(data)}")
    for each in effects:
      less = "yes" if each["is_less_curve"] else "no"
      test, training = (interval(each[scores]) for scores in ("test", "training"))
      rows.append([run, each["name"], less, test, each["test"]["decision"], training])
      run = ""
  if not names:
    return []
  repeat = "\n".join(["```sh", *commands, "```"])
  title = "### With smaller kernels, and on little data"
  return [title, bullets(claims), markdown_table(rows), repeat, " ".join(times)]


def _curve(data: Kept | None) -> list[str]:
  """What the curve of the number of weights is, from the run of its own."""
  if data is None:
    return []
  sentences = findings.sentences(data["results"])
  figure = _figure(f"{SHARE}_curve_shares", "Mean test PSNR in dB of LR networks of several widths")
  return ["### The curve of the number of weights", bullets(sentences), figure, *_repeated(data)]


def _learned(kept: dict[str, Kept]) -> str:
  """Whether a network learns when, and what share; nothing before that is measured."""
  parts = []
  for name, data in _with_gates(kept).items():
    text = f"Gates of every seed of {name.replace('_', ' ')}"
    parts += [bullets(learning.sentences(data["results"])), _figure(f"{name}_gates", text)]
    parts += [gate_figures.ABOUT, markdown_table(gate_figures.rows(data["results"]))]
    parts += _repeated(data)
  return "\n\n".join(parts) or OPEN


def _with_gates(kept: dict[str, Kept]) -> dict[str, Kept]:
  """The kept runs whose networks with gates learned what to upscale."""
  return {k: data for k, data in kept.items() if learning.LEARNING in data.get("results", {})}
