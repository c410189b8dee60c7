"""The section of a report on what else could explain a difference."""

from pathlib import Path

from sr_jax.comparison.titles import titled
from sr_jax.comparison.tuning_verdict import RECIPES
from sr_jax.report import tables, times
from sr_jax.report.model import Bullets, Figure, Gallery, Json, Note, Section, Table


def section(results: Json, timing: Json, folder: Path) -> Section:
  """What else could explain the difference: unequal time, too short a training, other rates."""
  return Section(
    "Control",
    _equal_cost(results, timing, folder),
    _learning(results, folder),
    Section(
      "Every network, every rate",
      Section("How the final training of every seed ended", Table(tables.status_rows(results))),
      Section(tables.SEARCH, Table([] if RECIPES in results else tables.search_rows(results))),
    ),
  )


def _equal_cost(results: Json, timing: Json, folder: Path) -> Section:
  pair = results["verdict"]["contrast"]
  alt = "Mean test PSNR in dB of every network against its {}; the budget table has the costs."
  macs = alt.format("multiply-accumulates per HR pixel")
  panels = Gallery(
    "pair",
    Figure(folder / "equal_flops.png", macs, "Equal FLOPs"),
    Figure(folder / "equal_time.png", alt.format("measured step time"), "Equal time"),
  )
  is_timed = any(name.endswith("_timed") for name in results["arms"])
  hollow = "; hollow marks are networks whose width makes their time equal" if is_timed else ""
  marks = f"The dashed line is at the cost of {titled(pair[0])}{hollow}. Small points are seeds."
  return Section(
    "Equal FLOPs beside equal time",
    panels,
    Note(marks if panels else ""),
    Bullets([times.time_sentence(timing, pair), *times.at_equal_time(results, timing)]),
  )


def _learning(results: Json, folder: Path) -> Section:
  return Section(
    "Learning curves, and sensitivity to the learning rate",
    Figure(
      folder / "learning_curves.png",
      "PSNR in dB on training batches and on validation photographs against the training step, "
      f"of {', '.join(map(titled, tables.main_arms(results)))}",
    ),
    Figure(
      folder / "rates.png",
      "Validation PSNR in dB against the learning rate, one panel a network; a table below has "
      "the numbers.",
      "Dots: seeds. Line: their mean. Star: the chosen rate.",
    ),
  )
