"""Figures of networks that differ in the HR maps of their states: lattice, effects, shares."""

import itertools
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sr_jax.comparison import findings, residual, schedules, skip
from sr_jax.comparison.schedules import Schedule
from sr_jax.comparison.statistics import SESOI
from sr_jax.report.effect_figures import Line, forest_plot
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, new_figure
from sr_jax.report.tables import alive

GROUPS = (
  findings.BLOCKS,
  findings.POSITIONS,
  findings.AGAINST_LR,
  findings.CONTROLS,
  findings.SHARES,
  findings.FORM,
  *residual.CLAIMS,
  *skip.CLAIMS,
)


def combinations(results: dict[str, Any]) -> Figure | None:
  """Every linear contrast with its interval, grouped by what it is for."""
  lines = []
  present = [group for group in GROUPS if findings.group_of(results, group)]
  for group, colour in zip(present, itertools.cycle(COLOURS), strict=False):
    effects = [e for e in findings.group_of(results, group) if e["test"]["mean"] is not None]
    if effects:
      less = ", less weights" * effects[0]["is_less_curve"]
      lines.append(Line(f"{group}{less}"))
      lines += [Line(each["name"], each["test"], (colour, "o")) for each in effects]
  if not lines:
    return None
  figure = forest_plot(lines, "")
  figure.axes[0].xaxis.set_major_locator(MaxNLocator(5))
  return figure


@mpl.rc_context(STYLE | {"axes.grid": False})
def lattice(results: dict[str, Any]) -> Figure | None:
  """Schedules by their number of HR states, coloured by their mean difference from LR."""
  effects = _against_lr(results)
  if len(effects) < 3:
    return None
  places = _places(list(effects))
  most = max(len([p for p in places.values() if p[1] == level]) for _, level in places.values())
  limit = max(SESOI, *(abs(effect) for effect in effects.values()))
  colours = ScalarMappable(Normalize(-limit, limit), "PuOr")
  figure, axes = new_figure(1.6 + 0.9 * len({level for _, level in places.values()}))
  for low, high in _covers(list(effects)):
    ends = zip(places[low], places[high], strict=True)
    axes.plot(*ends, color="0.8", linewidth=0.7, zorder=1)
  for schedule, (x, y) in places.items():
    (colour,) = colours.to_rgba(np.array([effects[schedule]]))
    axes.plot(x, y, "o", color=colour, markeredgecolor="0.3", markersize=15, zorder=2)
    states = "".join("H" if maps else "L" for maps in schedule)
    size = 8 if most > 6 else 10  # points
    _label(axes, states, (x, y), 11, size)
    _label(axes, f"{effects[schedule]:+.2f}", (x, y), -17, size)
  levels = sorted({level for _, level in places.values()})
  axes.set(xlim=(0, 1), ylim=(levels[0] - 0.6, levels[-1] + 0.6), xticks=[], yticks=levels)
  axes.set(xlabel="HR states: early (left) to late (right)", ylabel="HR states")
  axes.spines["bottom"].set_visible(False)
  bar: Any = {"orientation": "horizontal", "shrink": 0.7, "aspect": 40}
  bar["ticks"] = MaxNLocator(5)
  figure.colorbar(colours, ax=axes, label="difference from LR (dB)", **bar)
  return figure


def _label(axes: Axes, text: str, point: tuple[float, int], points_above: int, size: int) -> None:
  place: Any = {"textcoords": "offset points", "ha": "center", "va": "baseline"}
  axes.annotate(text, point, (0, points_above), size=size, **place)


def _against_lr(results: dict[str, Any]) -> dict[Schedule, float]:
  """The mean paired difference from LR of every schedule of none or all HR maps."""
  named = {schedules.parse(name): arm for name, arm in results["arms"].items()}
  known = {schedule: arm for schedule, arm in named.items() if schedule}
  lr = next((arm for schedule, arm in known.items() if not any(schedule)), None)
  if lr is None:
    return {}
  maps = max(max(schedule) for schedule in known)
  reference = {member["seed"]: member["test"]["psnr"] for member in alive(lr)}
  effects = {}
  for schedule, arm in known.items():
    paired = [
      np.subtract(member["test"]["psnr"], reference[member["seed"]])
      for member in alive(arm)
      if member["seed"] in reference
    ]
    if paired and {*schedule} <= {0, maps}:
      effects[schedule] = float(np.mean(paired))
  return effects


def _places(present: list[Schedule]) -> dict[Schedule, tuple[float, int]]:
  """Where schedules are drawn: at the height of their number of HR states, early ones left."""
  levels: dict[int, list[Schedule]] = {}
  for schedule in sorted(present, reverse=True):
    levels.setdefault(sum(map(bool, schedule)), []).append(schedule)
  return {
    schedule: ((i + 0.5) / len(level), count)
    for count, level in levels.items()
    for i, schedule in enumerate(sorted(level, key=_centre))
  }


def _centre(schedule: Schedule) -> float:
  """The mean position of HR states."""
  return float(np.mean(np.flatnonzero(schedule))) if any(schedule) else 0.0


def _covers(present: list[Schedule]) -> list[tuple[Schedule, Schedule]]:
  """Pairs of which the second has the HR states of the first and more, with none between them."""

  def below(a: Schedule, b: Schedule) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))

  return [
    (low, high)
    for low in present
    for high in present
    if below(low, high) and not any(below(low, each) and below(each, high) for each in present)
  ]


@mpl.rc_context(STYLE)
def shares(results: dict[str, Any]) -> Figure | None:
  """PSNR against parameters: LR networks with their line, and every share of HR maps."""
  slope = findings.group_of(results, findings.CURVE)
  psnr = {
    name: [float(np.mean(member["test"]["psnr"])) for member in alive(arm)]
    for name, arm in results["arms"].items()
  }
  if not slope or slope[0]["test"]["mean"] is None or not all(psnr.values()):
    return None
  parameters = {name: arm["budget"]["parameters"] for name, arm in results["arms"].items()}
  lr = sorted(slope[0]["weights"], key=parameters.__getitem__)
  families = {"LR": lr}
  for name in psnr:
    if parts := re.fullmatch(r"h[1-9]\d*(?:_k(\d+))?", name):
      kernels = f" and kernels of {parts[1]}x{parts[1]}" if parts[1] else ""
      families.setdefault(f"HR maps{kernels}", []).append(name)
  figure, axes = new_figure(4.5)
  for (label, names), colour, marker in zip(families.items(), COLOURS, MARKERS, strict=False):
    means = [float(np.mean(psnr[name])) for name in names]
    counts = [parameters[name] for name in names]
    line = "" if label == "LR" else ":"
    axes.plot(counts, means, f"{marker}{line}", color=colour, label=label, markersize=5)
    for name, count in zip(names, counts, strict=True):
      axes.plot([count] * len(psnr[name]), psnr[name], ".", color=colour, alpha=0.3)
  for name in lr:
    point = parameters[name], float(np.mean(psnr[name]))
    place: Any = {"textcoords": "offset points", "size": 9, "color": COLOURS[0]}
    axes.annotate(name.removeprefix("lr_"), point, (5, -10), **place)
  doublings = np.log2([parameters[name] for name in lr])
  level = float(np.mean([np.mean(psnr[name]) for name in lr]))
  ends = np.log2([min(parameters.values()), max(parameters.values())])
  predicted = level + slope[0]["test"]["mean"] * (ends - doublings.mean())
  axes.plot(2**ends, predicted, color=COLOURS[0], linewidth=1, label="as the weights of LR predict")
  axes.set_xscale("log", base=2)
  axes.set_xlim(*2 ** (ends + np.array([-0.2, 0.3])))
  axes.set_xticks(2 ** np.arange(np.ceil(ends[0]), np.ceil(ends[1])))
  axes.xaxis.set_major_formatter("{x:,.0f}")
  axes.set(xlabel="parameters (log scale)", ylabel="mean test PSNR (dB)")
  axes.legend(frameon=False)
  return figure
