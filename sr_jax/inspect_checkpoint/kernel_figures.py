"""Draws trained kernels: LR kernels, and beside them the equal deconvolution kernels."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr_jax.networks import Layer, Network
from sr_jax.networks.network import lr_kernel, transposed_kernel
from sr_jax.operators.conversion import lr_to_deconv
from sr_jax.report.figures import STYLE

WIDTH = 11.0  # inches, of which 15 % is for the colour scale
BEYOND = 0.5  # per cent of weights beyond the colour scale, which an outlier must not set
COLUMNS = 8  # kernels in a row of each of two panels; twice as many in a single panel
ZOOM = 8  # side of a weight in pixels of the sheet
GAP, PHASE_GAP = 10, 2  # pixels between kernels, and between the phases of a kernel
GROUND = "0.8"  # between kernels: zero is nearly white

Params = dict[str, dict[str, np.ndarray]]


class Panel(NamedTuple):
  """Kernels to draw side by side below a title."""

  title: str
  kernels: np.ndarray  # `(kernels, r, r, k, k)`, each a grid of phases; r is 1 without phases


def draw(params: Params, network: Network, title: str) -> Figure:
  """Draws the first and the last layer in a row each, with one colour scale a row.

  A layer that upscales is drawn twice: as the LR convolution to `scale**2` phases, and as the equal
  deconvolution (arXiv 1609.07009, Section 2). The parameters are those of one member.
  """
  rows = [_panels(network.layers[place], params, network) for place in (0, -1)]
  sheets = [[_sheet(panel, row) for panel in row] for row in rows]
  heights = [
    0.85 * WIDTH * len(in_row[0]) / sum(sheet.shape[1] for sheet in in_row) + 0.9
    for in_row in sheets
  ]
  with mpl.rc_context(STYLE | {"font.size": 10, "axes.titlesize": 10, "axes.grid": False}):
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=13, parse_math=False)
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, row, in_row in zip(parts, rows, sheets, strict=True):
      axes = part.subplots(1, len(row), squeeze=False)[0]
      finite = np.abs(in_row[0][np.isfinite(in_row[0])])  # empty if the member diverged
      limit = (np.percentile(finite, 100 - BEYOND) if finite.size else 0.0) or 1.0
      for cell, panel, sheet in zip(axes, row, in_row, strict=True):
        drawn = cell.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        _label(cell, panel, sheet, row)
      part.colorbar(drawn, ax=axes, aspect=25, pad=0.01, extend="both", label="weight")
  return figure


def _panels(layer: Layer, params: Params, network: Network) -> list[Panel]:
  """The panels of a layer."""
  scale, name = network.scale, layer.name
  blocks = layer.blocks(network.phases, network.dims)
  kernels = {key: params[name][block.name] for key, block in blocks.items()}
  upscales = layer.outputs.lr == 0 and layer.inputs.hr == 0
  if upscales or (name == "last" and layer.outputs.hr == 0):  # as an LR convolution to phases
    kernel = np.asarray(lr_kernel(layer, kernels, scale)[0])
    if layer.transposed_side(scale):
      deconv = np.asarray(transposed_kernel(layer, kernels["from_lr"], scale))
    else:
      deconv = np.asarray(lr_to_deconv(kernel, scale, (layer.lr_padding,) * 2, (0, 0))[0])
    size, maps = len(kernel), kernel.shape[-2] * deconv.shape[-1]
    lr_text = f"{scale**2} kernels {size}x{size} for each of {maps} maps, one a phase"
    hr_text = f"one kernel {len(deconv)}x{len(deconv)} for each map, each phase read backwards"
    return [
      Panel(f"{name} layer, as LR convolution:\n{lr_text}", _by_map(kernel, scale)),
      Panel(f"{name} layer, as the equal deconvolution:\n{hr_text}", _by_map(deconv, 1)),
    ]
  panels = []
  for key, kernel in kernels.items():
    size, _, inputs, outputs = kernel.shape
    if name == "last" and not layer.tied:
      text = f"for each of {inputs} maps, {scale**2} kernels {size}x{size}, one a phase"
      panels.append(Panel(f"last layer, HR: {text}", _by_map(kernel, scale)))
      continue
    title = f"{name} layer" + f", {key.replace('_', ' ')}" * (len(kernels) > 1)
    text = f"{inputs * outputs} kernels {size}x{size}, {inputs} -> {outputs} channels"
    panels.append(Panel(f"{title}: {text}", _by_map(kernel, 1)))
  return panels


def _by_map(kernel: np.ndarray, phases: int) -> np.ndarray:
  """`(k, k, in, phases**2 * out)` as `(in * out, phases, phases, k, k)`."""
  size, _, inputs, _ = kernel.shape
  by_map = kernel.reshape(size, size, inputs, phases, phases, -1).transpose(2, 5, 3, 4, 0, 1)
  return by_map.reshape(-1, phases, phases, size, size)


def _layout(row: list[Panel]) -> tuple[int, int]:
  """The columns of kernels in each panel of a row, and the pixels from kernel to kernel."""
  shapes = (panel.kernels.shape for panel in row)
  side = max(phases * (size * ZOOM + PHASE_GAP) - PHASE_GAP for _, phases, _, size, _ in shapes)
  return min(len(row[0].kernels), COLUMNS * (3 - len(row))), side + GAP


def _sheet(panel: Panel, row: list[Panel]) -> np.ndarray:
  """The enlarged kernels of a panel in rows, with NaN between them."""
  columns, pitch = _layout(row)
  count, phases, _, size, _ = panel.kernels.shape
  sheet = np.full((-(-count // columns) * pitch + GAP, columns * pitch + GAP), np.nan)
  step = size * ZOOM + PHASE_GAP
  for i, phase_row, phase_column in np.ndindex(count, phases, phases):
    top = GAP + i // columns * pitch + phase_row * step
    left = GAP + i % columns * pitch + phase_column * step
    enlarged = panel.kernels[i, phase_row, phase_column].repeat(ZOOM, 0).repeat(ZOOM, 1)
    sheet[top : top + size * ZOOM, left : left + size * ZOOM] = enlarged
  return sheet


def _label(axes: Axes, panel: Panel, sheet: np.ndarray, row: list[Panel]) -> None:
  """Adds title, ground and the numbers of the kernels: row label plus column label."""
  columns, pitch = _layout(row)
  axes.set_title(panel.title)
  axes.set_facecolor(GROUND)
  axes.spines[:].set_visible(False)
  height, width = sheet.shape
  for axis, pixels, step in ((axes.xaxis, width, 1), (axes.yaxis, height, columns)):
    places = range((pixels - GAP) // pitch)
    names = [f"{'+' * (step == 1)}{i * step}" for i in places]
    axis.set_ticks([GAP / 2 + (i + 0.5) * pitch for i in places], names)
  axes.tick_params(length=0, labelsize=8, labelcolor="0.35")
