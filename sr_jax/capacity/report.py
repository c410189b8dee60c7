"""Tables, sentences, figure and reports of the measurements of capacity."""

from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sr_jax.capacity import noise
from sr_jax.comparison.statistics import ci_half_width_over_seeds
from sr_jax.comparison.verdict import titled
from sr_jax.config import as_flags
from sr_jax.report import html_parts as parts
from sr_jax.report.figures import COLOURS, STYLE, save
from sr_jax.runtime.console import markdown_table
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder

Rows = list[list[str]]
TITLES = {
  "jacobian": "Rank of the Jacobian",
  "linear": "The best linear filters",
  "fit": "Fit of the training photographs",
  "memorise": "Memorising white noise",
  "imitate": "Teacher and student",
  "untie": "Untying a trained network",
}
MARKERS = "osD^"


def tables(results: dict[str, Any]) -> dict[str, Rows]:
  """Every measurement of a run as text cells, the header first."""
  make = {
    "jacobian": _jacobian,
    "linear": _linear,
    "fit": _fit,
    "memorise": _memorise,
    "imitate": _imitate,
    "untie": _untie,
  }
  return {part: make[part](found) for part, found in results["parts"].items()}


def _jacobian(found: dict[str, Any]) -> Rows:
  rows = [["network", "activation", "parameters", "rank", "effective rank"]]
  for activation, networks in found.items():
    for name, one in networks.items():
      counts = f"{one['parameters']:,}", f"{one['rank']:,}", f"{one['effective_rank']:.0f}"
      rows.append([titled(name), activation, *counts])
  return rows


def _linear(found: dict[str, Any]) -> Rows:
  sets = next(iter(found.values()))
  rows = [["filters", *(f"{name} (dB)" for name in sets)]]
  return rows + [[name, *(f"{psnr:.3f}" for psnr in one.values())] for name, one in found.items()]


def _fit(found: dict[str, Any]) -> Rows:
  lengths = next(iter(found.values()))
  rows = [["training PSNR (dB)", *(f"{int(steps):,} steps" for steps in lengths)]]
  return rows + [
    [titled(name), *(_interval(values, 3) for values in one.values())]
    for name, one in found.items()
  ]


def _memorise(found: dict[str, Any]) -> Rows:
  header = ["network", "parameters", "patches fitted", "not fitted", "target values a parameter"]
  rows = [header]
  for name, one in found.items():
    beyond = next((m for m in map(int, one["errors"]) if m > one["largest"]), None)
    cells = f"{one['parameters']:,}", str(one["largest"]), "-" if beyond is None else str(beyond)
    rows.append([titled(name), *cells, f"{one['values_a_parameter']:.2f}"])
  return rows


def _imitate(found: dict[str, Any]) -> Rows:
  rows = [["error in dB below the teacher's variance", *(f"{titled(s)} learns" for s in found)]]
  return rows + [
    [f"{titled(teacher)} teaches", *(_interval(values, 1) for values in students.values())]
    for teacher, students in found.items()
  ]


def _untie(found: dict[str, Any]) -> Rows:
  rows = [["", "training PSNR (dB)", f"{found['test_set']} PSNR (dB)"]]
  stages = {"LR tied": found["before"]} | {
    f"{titled(name)}, trained on": one for name, one in found["after"].items()
  }
  for name, one in stages.items():
    rows.append([name, _interval(one["training"], 3), _interval(one["test"], 3)])
  gains = [
    _interval(np.subtract(*(found["after"][name][where] for name in ("lr", "lr_tied"))), 3)
    for where in ("training", "test")
  ]
  return [*rows, ["what untying brings", *gains]]


def _interval(values: Any, digits: int) -> str:
  """The mean over seeds, and half its 95 % interval."""
  array = np.asarray(values, float)
  reach = ci_half_width_over_seeds(array)
  return f"{array.mean():.{digits}f}" + ("" if reach is None else f" +- {reach:.{digits}f}")


def sentence(part: str, results: dict[str, Any]) -> str:
  """What one measurement shows."""
  found = results["parts"][part]
  if part == "jacobian":
    lr, hr, learned = (found["tanh"][name] for name in ("lr", "hr", "hr_learned"))
    lost = [one["parameters"] - one["rank"] for one in found["relu"].values()]
    ranks, effective = (
      f"{lr[key] / hr[key]:.1f} times that of HR, {lr[key] / learned[key]:.1f} times that of HR "
      "learned"
      for key in ("rank", "effective_rank")
    )
    full = sum(one["rank"] == one["parameters"] for one in found["tanh"].values())
    return (
      f"With tanh the rank is the number of parameters for {full} of {len(found['tanh'])} "
      f"networks. At equal cost, the rank of LR is {ranks}; the effective rank {effective}. With "
      f"ReLU the rank is below the number of parameters by {', '.join(map(str, lost))}."
    )
  if part == "linear":
    test = list(found["LR 3"])[-1]
    small, large = (
      found["LR 3"][test] - found["HR 6"][test],
      found["LR 5"][test] - found["HR 5"][test],
    )
    return (
      f"On {test}, four 3x3 filters are {abs(small):.2f} dB {_side(small)} than one 6x6 filter, of "
      "as many weights, which sees further, through bicubic interpolation; four 5x5 filters are "
      f"{abs(large):.2f} dB {_side(large)} than one 5x5, which costs as much."
    )
  if part == "fit":
    longest = list(found["lr"])[-1]
    gains = [
      f"{_interval(np.subtract(found['lr'][longest], one[longest]), 3)} dB over {titled(name)}"
      for name, one in found.items()
      if name != "lr"
    ]
    return f"After {int(longest):,} steps LR fits its training patches by {', '.join(gains)}."
  if part == "memorise":
    counts = [f"{titled(name)} {one['largest']}" for name, one in found.items()]
    values = [one["values_a_parameter"] for one in found.values()]
    return (
      f"Patches fitted: {', '.join(counts)}; as this optimiser finds them, so that each is a lower "
      f"bound. That is {min(values):.2f} to {max(values):.2f} target values a parameter."
    )
  if part == "imitate":
    behind = [
      f"{titled(student)} {np.mean(values) - np.mean(students[teacher]):+.1f} dB of "
      f"{titled(teacher)}"
      for teacher, students in found.items()
      for student, values in students.items()
      if student != teacher
    ]
    own = ", ".join(f"{np.mean(students[teacher]):.1f}" for teacher, students in found.items())
    return (
      f"Against students of the teacher's own kind: {'; '.join(behind)}. Students of the own kind, "
      f"which could be perfect, reach {own} dB only: these numbers are of what training finds, not "
      "of what a network can compute."
    )
  gain = np.subtract(*(found["after"][name]["test"] for name in ("lr", "lr_tied")))
  return (
    f"Lifted into LR and trained on there, untied, the tied network is {_interval(gain, 3)} dB "
    f"ahead of its tied self on {found['test_set']}."
  )


def _side(difference: float) -> str:
  return "better" if difference >= 0 else "worse"


def figure(results: dict[str, Any]) -> Figure | None:
  """Training fit against steps, and error against the number of noise patches."""
  shown = [part for part in ("fit", "memorise") if part in results["parts"]]
  if not shown:
    return None
  with mpl.rc_context(STYLE):
    drawn = Figure(figsize=(5 * len(shown), 4), layout="constrained")
    for axes, part in zip(drawn.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
      found = results["parts"][part]
      for (name, one), colour, marker in zip(found.items(), COLOURS, MARKERS, strict=False):
        by_x = one if part == "fit" else one["errors"]
        table = np.array(list(by_x.values()), float)
        look = {"color": colour, "marker": marker, "label": titled(name)}
        axes.plot([int(x) for x in by_x], table.mean(axis=1), **look)
        axes.fill_between(
          [int(x) for x in by_x], table.min(axis=1), table.max(axis=1), color=colour, alpha=0.2
        )
      axes.set_xscale("log", base=2)
      axes.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
      if part == "fit":
        axes.set_xticks([int(steps) for steps in next(iter(found.values()))])
        axes.set(title="Training patches", xlabel="steps", ylabel="training PSNR (dB)")
      else:
        axes.axhline(noise.ERROR, color="0.5", linewidth=1, linestyle="--")
        axes.set(
          title="White noise to white noise",
          xlabel="patches",
          ylabel="error (share of the targets' variance)",
        )
      axes.legend(frameon=False, title="mean and range of seeds")
  return drawn


def write(run_dir: RunFolder) -> None:
  """Writes figures/capacity.png, report.md and report.html from the run's files."""
  results, timing, about = (
    read_json(path) for path in (run_dir.results, run_dir.timing, run_dir.config)
  )
  run_dir.figures.mkdir(exist_ok=True)
  drawn = figure(results)
  if drawn is not None:
    save(drawn, run_dir.figures / "capacity.png")
  found = [(TITLES[part], rows, sentence(part, results)) for part, rows in tables(results).items()]
  seconds = [[name, f"{value:.0f}"] for name, value in timing["phase_seconds"].items()]
  versions = [[name, str(value)] for name, value in about["provenance"].items()]
  cost = [["part", "seconds"], *seconds], [["", "version"], *versions]
  command = f"python launch.py --experiment=capacity {as_flags(results['config'])}"

  picture = "![Fit against steps and against noise](figures/capacity.png)"
  text = ["# capacity", *results["notes"]]
  for title, rows, said in found:
    text += [f"## {title}", markdown_table(rows), said]
  text += [picture] if drawn is not None else []
  text += ["## To reproduce", f"```\n{command}\n```", *map(markdown_table, cost)]
  run_dir.markdown_report.write_text("\n\n".join(text) + "\n")

  body = "".join(
    parts.section(title, parts.table(rows), parts.say(said)) for title, rows, said in found
  )
  body += parts.section(
    "Fit against steps, and against noise",
    parts.figure(
      run_dir.figures / "capacity.png",
      "Training PSNR in dB against steps, and the error left on patches of white noise against "
      "their number; the tables above have the numbers.",
      f"Dashed: the error up to which patches count as fitted, {noise.ERROR:g} of the variance.",
    ),
  )
  body += parts.section(
    "Reproduce",
    f"<pre><code>{escape(command)}</code></pre>\n",
    parts.bullets(results["notes"]),
    *map(parts.table, cost),
  )
  page = parts.page(
    "What can the networks represent and fit, apart from photographs they have not seen?", "", body
  )
  run_dir.report.write_text(page, encoding="utf-8")
