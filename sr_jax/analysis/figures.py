"""The figures of a report. Colours are Okabe and Ito's, told apart by every kind of eye."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sr_jax.analysis.statistics import SESOI, reach_of_mean
from sr_jax.analysis.verdict import titled
from sr_jax.data.images import Photo
from sr_jax.evaluation.scoring import bicubic

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WIDTH, TILES = 8, 16  # inches, and kernels in a row
DETAIL = 96  # HR pixels on a side of the example
STYLE: Any = {
  "axes.spines.right": False,
  "axes.spines.top": False,
  "axes.grid": True,
  "grid.alpha": 0.25,
  "font.size": 10,
  "axes.titlesize": 11,
}


def save(figure: Figure, path: Path) -> None:
  """Writes a figure as PNG."""
  FigureCanvasAgg(figure)
  figure.savefig(path, dpi=110)


def learning_curves(metrics: Sequence[dict[str, Any]], results: dict[str, Any]) -> Figure:
  """PSNR of both arms against the step: the seeds' mean, and a band from the least to the most."""
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour in zip(results["arms"], COLOURS, strict=False):
      final = [line for line in metrics if line["arm"] == name and line["stage"] == "final"]
      _curve(left, final, "training_psnr", colour, titled(name), window=7)
      _curve(right, final, "validation_psnr", colour, titled(name))
    left.set(title="Training batches (running median)", xlabel="step", ylabel="PSNR (dB)")
    right.set(title="Validation photographs", xlabel="step", ylabel="PSNR of the pooled error (dB)")
    if left.get_legend_handles_labels()[0]:
      left.legend(frameon=False, title="mean and range of seeds")
  return figure


def _curve(
  axes: Axes, lines: Sequence[dict], key: str, colour: str, label: str, window: int = 1
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
  axes.plot(steps, psnr.mean(axis=1), color=colour, label=label, marker="o" * (window == 1))
  low, high = (np.ma.filled(edge, np.nan) for edge in (psnr.min(axis=1), psnr.max(axis=1)))
  axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)


def differences_by_image(results: dict[str, Any]) -> Figure | None:
  """The paired difference on every test photograph, every seed, and the mean with its interval."""
  contrast = results["verdict"]["contrast"]
  first, second = (results["arms"][name] for name in contrast)
  names = [titled(name) for name in contrast]
  left_out = results["verdict"]["left_out_seeds"]
  pairs = [
    np.subtract(a["test"]["psnr"], b["test"]["psnr"])
    for a, b in zip(first["members"], second["members"], strict=True)
    if a["seed"] not in left_out
  ]
  if not pairs:
    return None
  table, images = np.array(pairs), results["images"]["test"]
  test = results["verdict"]["test"]
  order = np.argsort(table.mean(axis=0))
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(10, 1.6 + 0.3 * min(len(images), 40)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-SESOI, SESOI, color="0.9", label=f"less than\n{SESOI} dB")
    axes.axvline(0, color="0.4", linewidth=0.8)
    for row, image in enumerate(order, start=1):
      mean, reach = table[:, image].mean(), reach_of_mean(table[:, image])
      axes.plot(table[:, image], np.full(len(table), row), ".", color=COLOURS[0], alpha=0.5)
      axes.errorbar(mean, row, xerr=reach, fmt="o", color=COLOURS[0], capsize=3)
    if test["low"] is not None:
      ends = [[test["mean"] - test["low"]], [test["high"] - test["mean"]]]
      axes.errorbar(test["mean"], 0, xerr=ends, fmt="D", color="black", capsize=4, linewidth=2)
    else:
      axes.plot(test["mean"], 0, "D", color="black")
    axes.set_yticks(range(len(images) + 1), ["mean of all", *(images[i] for i in order)])
    axes.set(
      xlabel=f"PSNR difference {' - '.join(names)} (dB)",
      title="Points: seeds. Bars: 95 % intervals over seeds; over seeds and images for the mean.",
    )
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(1, 0))
  return figure


def example(photo: Photo, pictures: dict[str, np.ndarray], scale: int) -> Figure:
  """A detail of one photograph through every arm, with error maps on one colour scale.

  The detail is where the arms together take most off bicubic's squared error.

  Args:
    photo: a test photograph.
    pictures: 8-bit HR luminance by arm.
    scale: upscaling factor.
  """
  shown = {"bicubic": bicubic(photo, scale)} | {titled(k): v for k, v in pictures.items()}
  errors = {name: np.abs(image.astype(float) - photo.hr) for name, image in shown.items()}
  gain = errors["bicubic"] ** 2 - np.mean([error**2 for error in errors.values()], axis=0)
  top, left, side = _best_detail(gain, scale)
  crop = np.s_[top : top + side, left : left + side]
  low = np.s_[top // scale : (top + side) // scale, left // scale : (left + side) // scale]
  columns = [("LR input", photo.lr[low] * 255), *((n, i[crop]) for n, i in shown.items())]
  columns.append(("truth", photo.hr[crop]))
  brightest = max(np.percentile(error[crop], 99.5) for error in errors.values())

  figure = Figure(figsize=(2.5 * len(columns), 5.6), layout="constrained")
  axes = figure.subplots(2, len(columns))
  for cell in axes.flat:
    cell.set_axis_off()
  for cell, (name, image) in zip(axes[0], columns, strict=True):
    cell.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    cell.set_title(name)
  axes[1, 0].imshow(photo.hr, cmap="gray", vmin=0, vmax=255)
  axes[1, 0].add_patch(Rectangle((left, top), side, side, fill=False, color=COLOURS[4], lw=1.5))
  axes[1, 0].set_title(photo.name)
  for cell, (name, error) in zip(axes[1, 1:], errors.items(), strict=False):
    drawn = cell.imshow(error[crop], cmap="magma", vmin=0, vmax=brightest, interpolation="nearest")
    cell.set_title(f"error of {name}\nmean {error[crop].mean():.2f} in this detail", fontsize=9)
  bar = axes[1, -1].inset_axes((0.05, 0.1, 0.08, 0.8))
  figure.colorbar(drawn, cax=bar, label="error (of 255 levels)")
  return figure


def _best_detail(gain: np.ndarray, scale: int) -> tuple[int, int, int]:
  """The square, on the LR grid, over which a map sums highest: its top, left and side."""
  side = min(DETAIL, *gain.shape) // scale * scale
  total = np.pad(gain.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
  sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
  row, column = np.unravel_index(np.argmax(sums[::scale, ::scale]), sums[::scale, ::scale].shape)
  return int(row) * scale, int(column) * scale, side


def kernels(named: dict[str, np.ndarray]) -> Figure:
  """Kernels `(height, width, in, out)` as tiles, one per pair of channels, zero being white."""
  sheets = {name: _tile(kernel) for name, kernel in named.items()}
  heights = [WIDTH * sheet.shape[0] / sheet.shape[1] for sheet in sheets.values()]
  figure = Figure(figsize=(WIDTH + 1, sum(heights) + 0.6 * len(heights)), layout="constrained")
  rows = figure.subplots(len(named), 1, squeeze=False, height_ratios=heights)[:, 0]
  for axes, (name, sheet) in zip(rows, sheets.items(), strict=True):
    height, width, inputs, outputs = named[name].shape
    most = np.nanmax(np.abs(sheet), initial=1e-9)
    drawn = axes.imshow(sheet, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    axes.set_title(f"{name}: {inputs} -> {outputs} channels, {height}x{width}")
    axes.set_axis_off()
    figure.colorbar(drawn, ax=axes)
  return figure


def _tile(kernel: np.ndarray) -> np.ndarray:
  """Lays a kernel's planes out in rows, a gap of one pixel (NaN) between them."""
  height, width, inputs, outputs = kernel.shape
  columns = min(inputs * outputs, TILES)
  rows = -(-inputs * outputs // columns)
  sheet = np.full((rows, height + 1, columns, width + 1), np.nan)
  for i, plane in enumerate(np.moveaxis(kernel.reshape(height, width, -1), -1, 0)):
    sheet[i // columns, :height, i % columns, :width] = plane
  return sheet.reshape(rows * (height + 1), columns * (width + 1))
