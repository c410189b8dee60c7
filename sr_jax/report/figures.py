"""The figures of a report, in colours that colour-blind readers tell apart (Okabe and Ito)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sr_jax.comparison.titles import titled
from sr_jax.report.tables import alive, main_arms
from sr_jax.report.times import fastest

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vP"
WIDTH = 6  # inches: with letters of 11 points, readable on a phone
STYLE: Any = {
  "axes.spines.right": False,
  "axes.spines.top": False,
  "axes.grid": True,
  "grid.alpha": 0.25,
  "font.size": 11,
  "axes.titlesize": 11,
}


def save(figure: Figure, path: Path) -> None:
  """Writes a figure as PNG; a file that has the same bytes already is left alone."""
  FigureCanvasAgg(figure)
  buffer = BytesIO()
  figure.savefig(buffer, format="png", dpi=150)
  if not path.exists() or path.read_bytes() != buffer.getvalue():
    path.write_bytes(buffer.getvalue())


def new_figure(height: float, width: int = WIDTH) -> tuple[Figure, Axes]:
  """A figure of this size in inches, and its axes."""
  figure = Figure(figsize=(width, height), layout="constrained")
  return figure, figure.subplots()


@mpl.rc_context(STYLE)
def learning_curves(metrics: Sequence[dict[str, Any]], results: dict[str, Any]) -> Figure:
  """PSNR of the main arms against the step: the seeds' mean, and a band from least to most."""
  figure = Figure(figsize=(WIDTH, 7), layout="constrained")
  above, below = figure.subplots(2, 1)
  for name, colour, marker in zip(main_arms(results), COLOURS, MARKERS, strict=False):
    final = [line for line in metrics if line["arm"] == name and line["stage"] == "final"]
    _curve(above, final, "training_psnr", colour, "", titled(name), window=7)
    _curve(below, final, "validation_psnr", colour, marker, titled(name))
  above.set(title="Training batches (running median)", xlabel="step", ylabel="PSNR (dB)")
  below.set(title="Validation photographs", xlabel="step", ylabel="PSNR of pooled error (dB)")
  named = below.get_legend_handles_labels()
  if any(named):
    place: Any = {"frameon": False, "loc": "outside upper center", "ncols": 2}
    figure.legend(*named, title="mean and range of seeds", **place)
  return figure


def _curve(
  axes: Axes, lines: Sequence[dict], key: str, colour: str, marker: str, label: str, window: int = 1
) -> None:
  kept = [line for line in lines if key in line]
  if not kept:
    return
  steps = np.array([line["step"] for line in kept])
  psnr = np.array([line[key] for line in kept], float)  # None becomes NaN
  if window > 1 and len(psnr) >= window:
    windows = np.lib.stride_tricks.sliding_window_view(psnr, window, axis=0)
    psnr, steps = np.median(windows, axis=-1), steps[window // 2 : len(steps) - window // 2]
  seen = ~np.isnan(psnr).all(axis=1)
  if not seen.any():
    return
  psnr, steps = np.ma.masked_invalid(psnr[seen]), steps[seen]
  axes.plot(steps, psnr.mean(axis=1), color=colour, label=label, marker=marker)
  low, high = (np.ma.filled(edge, np.nan) for edge in (psnr.min(axis=1), psnr.max(axis=1)))
  axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)


@mpl.rc_context(STYLE | {"axes.titlesize": 10, "font.size": 10})
def rates(results: dict[str, Any]) -> Figure | None:
  """Validation PSNR against the learning rate, a panel an arm: seeds, mean, and the choice."""
  searched = {name: arm for name, arm in results["arms"].items() if arm["search"]}
  psnrs = [run["validation_psnr"] for arm in searched.values() for run in arm["search"]]
  finite = [psnr for psnr in psnrs if psnr is not None]
  if not finite:
    return None
  grid = results["learning_rates"]
  columns = min(3, len(searched))
  rows = -(-len(searched) // columns)
  figure = Figure(figsize=(WIDTH, 0.7 + 1.7 * rows), layout="constrained")
  panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
  for axes in panels.flat[len(searched) :]:
    axes.set_axis_off()
  for axes, (name, arm) in zip(panels.flat, searched.items(), strict=False):
    _rate_panel(axes, arm, min(finite))
    axes.set(title=titled(name), xscale="log")
    axes.set_xticks(grid[:: max(1, len(grid) // 2)], minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
  figure.supxlabel("learning rate (log scale)")
  figure.supylabel("validation PSNR (dB)")
  return figure


def _rate_panel(axes: Axes, arm: dict[str, Any], least: float) -> None:
  means = {}
  lost_text: Any = {"rotation": 90, "ha": "center", "va": "bottom", "color": COLOURS[1], "size": 8}
  for rate in sorted({run["learning_rate"] for run in arm["search"]}):
    psnrs = [run["validation_psnr"] for run in arm["search"] if run["learning_rate"] == rate]
    finite = [psnr for psnr in psnrs if psnr is not None]
    axes.plot([rate] * len(finite), finite, ".", color=COLOURS[0], alpha=0.6)
    if finite:
      means[rate] = np.mean(finite)
    if lost := len(psnrs) - len(finite):
      axes.text(rate, least, f"{lost} diverged", **lost_text)
  axes.plot(list(means), list(means.values()), color=COLOURS[0], linewidth=1)
  if (chosen := arm["learning_rate"]) in means:
    axes.plot(chosen, means[chosen], "*", color=COLOURS[1], markersize=12)


def look(name: str) -> dict[str, Any]:
  """Colour and marker of an arm: LR is a blue circle, HR an orange square; hollow if timed."""
  kinds = {"lr": (COLOURS[0], "o"), "hr": (COLOURS[1], "s")}
  colour, marker = kinds.get(name.partition("_")[0], (COLOURS[2], "D"))
  face = "white" if name.endswith("_timed") else colour
  return {"color": colour, "marker": marker, "markerfacecolor": face, "linestyle": ""}


@mpl.rc_context(STYLE)
def arms(results: dict[str, Any]) -> Figure | None:
  """Mean test PSNR of every arm, sorted, and of each of its seeds."""
  psnr = _psnr_by_seed(results)
  if not psnr:
    return None
  order = sorted(psnr, key=lambda name: float(np.mean(psnr[name])))
  figure, axes = new_figure(1 + 0.3 * len(order))
  for row, name in enumerate(order):
    axes.plot(psnr[name], [row] * len(psnr[name]), **look(name) | {"marker": ".", "alpha": 0.5})
    axes.plot(np.mean(psnr[name]), row, **look(name))
  everyone = np.concatenate(list(psnr.values()))
  bicubic = np.mean(results["bicubic"]["test"]["psnr"])
  if bicubic > everyone.min() - np.ptp(everyone):
    axes.axvline(bicubic, color="0.4", linestyle="--", linewidth=1)
    axes.text(bicubic, 1, "bicubic", transform=axes.get_xaxis_transform(), ha="center", va="bottom")
  axes.set_yticks(range(len(order)), map(titled, order))
  axes.set(ylim=(-0.6, len(order) - 0.4), xlabel="mean test PSNR (dB)")
  return figure


def _psnr_by_seed(results: dict[str, Any]) -> dict[str, np.ndarray]:
  """Mean test PSNR of every member that did not diverge, by arm."""
  psnr = {
    name: np.array([np.mean(member["test"]["psnr"]) for member in alive(arm)])
    for name, arm in results["arms"].items()
  }
  return {name: values for name, values in psnr.items() if len(values)}


def equal_flops(results: dict[str, Any]) -> Figure | None:
  """Mean test PSNR of every arm against its MACs."""
  cost = {name: float(arm["budget"]["macs"]) for name, arm in results["arms"].items()}
  return _against(cost, "declared MACs per HR pixel", results)


def equal_time(results: dict[str, Any], timing: dict[str, Any]) -> Figure | None:
  """Mean test PSNR of every arm against the measured time of its training step."""
  cost = {name: 1e3 * seconds for name, seconds in fastest(timing).items()}
  return _against(cost, "training step (ms), the faster execution", results)


@mpl.rc_context(STYLE)
def _against(cost: dict[str, float], label: str, results: dict[str, Any]) -> Figure | None:
  psnr = {name: values for name, values in _psnr_by_seed(results).items() if name in cost}
  if not psnr:
    return None
  first = results["verdict"]["contrast"][0]
  figure, axes = new_figure(max(3.2, 1.2 + 0.22 * len(psnr)), width=5)
  if first in cost:
    axes.axvline(cost[first], color="0.4", linestyle="--", linewidth=1)
  for name, values in psnr.items():
    axes.plot([cost[name]] * len(values), values, **look(name) | {"marker": ".", "alpha": 0.4})
    axes.plot(cost[name], values.mean(), **look(name))
  axes.set_xlim(0, 1.06 * max(cost[name] for name in psnr))
  axes.set(xlabel=label, ylabel="mean test PSNR (dB)")
  axes.locator_params(axis="x", nbins=5)
  _name_in_margin(axes, {name: (cost[name], float(psnr[name].mean())) for name in psnr})
  return figure


def _name_in_margin(axes: Axes, points: dict[str, tuple[float, float]]) -> None:
  """Names points in the right margin, in the order of their heights, with lines to them."""
  low, high = axes.get_ylim()
  order = sorted(points, key=lambda name: points[name][1])
  gap = 1 / max(len(order), 12)
  heights = [(points[name][1] - low) / (high - low) for name in order]
  for i in range(1, len(heights)):  # upwards, each at its height or just above the last
    heights[i] = max(heights[i], heights[i - 1] + gap)
  heights[-1] = min(heights[-1], 1.0)
  for i in range(len(heights) - 2, -1, -1):  # and downwards, where that has left the axes
    heights[i] = min(heights[i], heights[i + 1] - gap)
  line = {"arrowstyle": "-", "color": "0.7", "linewidth": 0.6}
  place: Any = {"textcoords": "axes fraction", "va": "center", "size": 10, "arrowprops": line}
  for name, height in zip(order, heights, strict=True):
    colour = look(name)["color"]
    axes.annotate(titled(name), points[name], (1.04, height), color=colour, **place)
