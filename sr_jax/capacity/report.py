"""Tables, sentences, figure and report of the measurements of capacity."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sr_jax.capacity import certificate_report, noise
from sr_jax.comparison.statistics import ci_half_width_over_seeds
from sr_jax.comparison.titles import titled
from sr_jax.report import model, pages
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, save
from sr_jax.report.model import Bullets, Json, Section, Table
from sr_jax.report.tables import Rows, plus_minus
from sr_jax.runtime.run_folder import RunFolder

TITLES = {
  "jacobian": "Rank of the Jacobian",
  "linear": "The best linear filters",
  "fit": "Fit of the training photographs",
  "memorise": "Memorising white noise",
  "imitate": "Teacher and student",
  "untie": "Untying a trained network",
  "certificate": "A rank that rounding cannot explain",
}


def tables(results: Json) -> dict[str, Rows]:
  """Every measurement of a run as text cells, the header first."""
  return {part: MAKE_ROWS[part](measured) for part, measured in results["parts"].items()}


def _jacobian(ranks: Json) -> Rows:
  rows = [["network", "activation", "parameters", "rank", "effective rank"]]
  for activation, networks in ranks.items():
    for name, rank in networks.items():
      counts = f"{rank['parameters']:,}", f"{rank['rank']:,}", f"{rank['effective_rank']:.0f}"
      rows.append([titled(name), activation, *counts])
  return rows


def _linear(psnr: Json) -> Rows:
  header = ["filters", *(f"{test_set} (dB)" for test_set in next(iter(psnr.values())))]
  return [header, *([k, *(f"{value:.3f}" for value in v.values())] for k, v in psnr.items())]


def _fit(psnr: Json) -> Rows:
  header = [f"{int(steps):,} steps" for steps in next(iter(psnr.values()))]
  cells = {name: [_interval(values, 3) for values in psnr[name].values()] for name in psnr}
  return [["training PSNR (dB)", *header], *([titled(k), *v] for k, v in cells.items())]


def _memorise(fits: Json) -> Rows:
  rows = [["network", "parameters", "patches fitted", "not fitted", "target values a parameter"]]
  for name, fit in fits.items():
    beyond = next((m for m in map(int, fit["errors"]) if m > fit["largest"]), None)
    cells = f"{fit['parameters']:,}", str(fit["largest"]), "-" if beyond is None else str(beyond)
    rows.append([titled(name), *cells, f"{fit['values_a_parameter']:.2f}"])
  return rows


def _imitate(errors: Json) -> Rows:
  rows = [["error in dB below the teacher's variance", *(f"{titled(s)} learns" for s in errors)]]
  for teacher, students in errors.items():
    cells = (_interval(values, 1) for values in students.values())
    rows.append([f"{titled(teacher)} teaches", *cells])
  return rows


def _untie(psnr: Json) -> Rows:
  after, images = psnr["after"], ("training", "test")
  stages = {"LR tied": psnr["before"]}
  stages |= {f"{titled(name)}, trained on": scores for name, scores in after.items()}
  gains = {key: np.subtract(after["lr"][key], after["lr_tied"][key]) for key in images}
  stages["what untying brings"] = gains
  header = ["", "training PSNR (dB)", f"{psnr['test_set']} PSNR (dB)"]
  return [header, *([k, *(_interval(v[key], 3) for key in images)] for k, v in stages.items())]


def _interval(values: Any, digits: int) -> str:
  """The mean over seeds, and half its 95 % interval."""
  array = np.asarray(values, float)
  return plus_minus(array.mean(), ci_half_width_over_seeds(array), digits)


MAKE_ROWS = {
  "jacobian": _jacobian,
  "linear": _linear,
  "fit": _fit,
  "memorise": _memorise,
  "imitate": _imitate,
  "untie": _untie,
  "certificate": certificate_report.rows,
}


def _jacobian_sentence(measured: Json) -> str:
  lr, hr, learned = (measured["tanh"][name] for name in ("lr", "hr", "hr_learned"))
  lost = [rank["parameters"] - rank["rank"] for rank in measured["relu"].values()]
  ratio = "{:.1f} times that of HR, {:.1f} times that of HR learned"
  ranks, effective = (
    ratio.format(lr[key] / hr[key], lr[key] / learned[key]) for key in ("rank", "effective_rank")
  )
  full = sum(rank["rank"] == rank["parameters"] for rank in measured["tanh"].values())
  return (
    f"With tanh the rank is the number of parameters for {full} of {len(measured['tanh'])} "
    f"networks. At equal cost, the rank of LR is {ranks}; the effective rank {effective}. With "
    f"ReLU the rank is below the number of parameters by {', '.join(map(str, lost))}."
  )


SENTENCES = {"jacobian": _jacobian_sentence, "certificate": certificate_report.sentence}


def sentence(part: str, results: Json) -> str:
  """What a measurement shows."""
  measured = results["parts"][part]
  if part in SENTENCES:
    return SENTENCES[part](measured)
  if part == "linear":
    test = list(measured["LR 3"])[-1]
    pairs = ("LR 3", "HR 6"), ("LR 5", "HR 5")
    gains = [measured[lr][test] - measured[hr][test] for lr, hr in pairs]
    small, large = (f"{abs(gain):.2f} dB {'better' if gain >= 0 else 'worse'}" for gain in gains)
    return (
      f"On {test}, four 3x3 filters are {small} than one 6x6 filter, of as many weights, which "
      f"sees further, through bicubic interpolation; four 5x5 filters are {large} than one 5x5, "
      "which costs as much."
    )
  if part == "fit":
    longest = list(measured["lr"])[-1]
    leads = [
      f"{_interval(np.subtract(measured['lr'][longest], psnr[longest]), 3)} dB over {titled(name)}"
      for name, psnr in measured.items()
      if name != "lr"
    ]
    return f"After {int(longest):,} steps LR fits its training patches by {', '.join(leads)}."
  if part == "memorise":
    counts = [f"{titled(name)} {fit['largest']}" for name, fit in measured.items()]
    values = [fit["values_a_parameter"] for fit in measured.values()]
    return (
      f"Patches fitted: {', '.join(counts)}; as this optimiser finds them, so that each is a lower "
      f"bound. That is {min(values):.2f} to {max(values):.2f} target values a parameter."
    )
  if part == "imitate":
    own = {teacher: np.mean(students[teacher]) for teacher, students in measured.items()}
    behind = [
      f"{titled(student)} {np.mean(values) - own[teacher]:+.1f} dB of {titled(teacher)}"
      for teacher, students in measured.items()
      for student, values in students.items()
      if student != teacher
    ]
    reached = ", ".join(f"{psnr:.1f}" for psnr in own.values())
    return (
      f"Against students of the teacher's own kind: {'; '.join(behind)}. Students of the own kind, "
      f"which could be perfect, reach {reached} dB only: these numbers are of what training finds, "
      "not of what a network can compute."
    )
  gain = np.subtract(*(measured["after"][name]["test"] for name in ("lr", "lr_tied")))
  return (
    f"Lifted into LR and trained on there, untied, the tied network is {_interval(gain, 3)} dB "
    f"ahead of its tied self on {measured['test_set']}."
  )


@mpl.rc_context(STYLE)
def figure(results: Json) -> Figure | None:
  """Training fit against steps, and error against the number of noise patches."""
  shown = [part for part in ("fit", "memorise") if part in results["parts"]]
  if not shown:
    return None
  drawn = Figure(figsize=(5 * len(shown), 4), layout="constrained")
  for axes, part in zip(drawn.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
    measured = results["parts"][part]
    for (name, curve), colour, marker in zip(measured.items(), COLOURS, MARKERS, strict=False):
      by_x = curve if part == "fit" else curve["errors"]
      x, y = list(map(int, by_x)), np.array(list(by_x.values()), float)
      axes.plot(x, y.mean(axis=1), color=colour, marker=marker, label=titled(name))
      axes.fill_between(x, y.min(axis=1), y.max(axis=1), color=colour, alpha=0.2)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
    if part == "fit":
      axes.set_xticks([int(steps) for steps in next(iter(measured.values()))])
      axes.set(title="Training patches", xlabel="steps", ylabel="training PSNR (dB)")
    else:
      axes.axhline(noise.ERROR, color="0.5", linewidth=1, linestyle="--")
      axes.set(title="White noise to white noise", xlabel="patches")
      axes.set_ylabel("error (share of the targets' variance)")
    axes.legend(frameon=False, title="mean and range of seeds")
  return drawn


def write(run_dir: RunFolder, results: Json, timing: Json, about: Json) -> None:
  """Writes the report of a run from what its results.json, timing.json and config.json hold."""
  sections = [
    Section(TITLES[part], Table(rows), sentence(part, results))
    for part, rows in tables(results).items()
  ]
  if (drawn := figure(results)) is not None:
    path = run_dir.figures / "capacity.png"
    run_dir.figures.mkdir(exist_ok=True)
    save(drawn, path)
    shown = model.Figure(
      path,
      "Training PSNR in dB against steps, and the error left on patches of white noise against "
      "their number; the tables above have the numbers.",
      f"Dashed: the error up to which patches count as fitted, {noise.ERROR:g} of the variance.",
    )
    sections.append(Section("Fit against steps, and against noise", shown))
  report = Section(
    "What can the networks represent and fit, apart from photographs they have not seen?",
    *sections,
    Section("Notes on the data", Bullets(results["notes"])),
    pages.reproduce(results, timing, about, "Wall time of every measurement"),
  )
  pages.write(run_dir, report)
