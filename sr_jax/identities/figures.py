"""Figures of the note's identities: matrices, phases and kernels, one colour a phase."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

# One for each phase up to scale 4: those of Okabe and Ito, then others that differ from them.
PHASES = (
  "#56B4E9",
  "#E69F00",
  "#009E73",
  "#CC79A7",
  "#F0E442",
  "#D55E00",
  "#0072B2",
  "#999999",
  "#B4A7D6",
  "#882255",
  "#117733",
  "#DDCC77",
  "#332288",
  "#AA4499",
  "#44AA99",
  "#661100",
)


def _draw_grid(
  axes: Axes, values: np.ndarray, phases: np.ndarray, title: str, text: bool = True
) -> None:
  """Draws numbers in cells coloured by phase; cells of phase -1 stay white."""
  colours = np.ones((*values.shape, 3))
  for phase in np.unique(phases[phases >= 0]):
    # lightened, so that black numbers stand out
    colours[phases == phase] = 0.35 + 0.65 * np.array(to_rgb(PHASES[phase]))
  axes.imshow(colours)
  rows, columns = values.shape
  if text:
    for row, column in np.ndindex(rows, columns):
      if phases[row, column] >= 0:
        axes.text(column, row, f"{values[row, column]:g}", ha="center", va="center", fontsize=9)
  axes.set_xticks(np.arange(columns + 1) - 0.5, [])
  axes.set_yticks(np.arange(rows + 1) - 0.5, [])
  axes.grid(color="0.8", linewidth=0.5)
  axes.tick_params(length=0)
  axes.set_title(title, fontsize=10)


def matrices(
  transposed: np.ndarray,
  sub_pixel: np.ndarray,
  three_taps: np.ndarray,
  filters: np.ndarray,
  scale: int,
) -> Figure:
  """Draws Fig. 2 and 3 of the note as matrices that act on x, coloured by the output's phase.

  Args:
    transposed: `(outputs, inputs)` matrix of the transposed convolution, f = (1, 2, 3, 4).
    sub_pixel: the matrix of the sub-pixel convolution with the same filter.
    three_taps: the matrix of the sub-pixel convolution with f = (1, 2, 3).
    filters: `(phases, taps)`, the LR filters in the first matrix.
    scale: r.
  """
  figure = Figure(figsize=(14, 5), layout="constrained")
  *panels, taps = figure.subplots(1, 5, width_ratios=(5, 5, 5, 5, 2.2))
  order = np.argsort(np.arange(len(transposed)) % scale, kind="stable")
  for axes, matrix, rows, title in (
    (panels[0], transposed, None, "transposed convolution, f = (1, 2, 3, 4)\n(outputs x inputs)"),
    (panels[1], transposed, order, "its rows sorted by phase:\ntwo LR convolutions"),
    (panels[2], sub_pixel, None, "sub-pixel convolution,\nf = (1, 2, 3, 4)"),
    (panels[3], three_taps, None, "sub-pixel convolution,\nf = (1, 2, 3)"),
  ):
    phase = np.arange(len(matrix)) % scale
    shown, phase = (matrix, phase) if rows is None else (matrix[rows], phase[rows])
    _draw_grid(axes, shown, np.where(shown != 0, phase[:, None], -1), title)
  colours = np.repeat(np.arange(len(filters))[:, None], filters.shape[1], 1)
  _draw_grid(taps, filters, colours, "LR filters\nof the first two")
  return figure


def phases_in_two_dimensions(
  x: np.ndarray, kernel: np.ndarray, filters: np.ndarray, y: np.ndarray, scale: int, low: int
) -> Figure:
  """Draws Fig. 4 to 7 of the note: the filter, its phase filters, and the shuffled output.

  Args:
    x: `(h, w)` input.
    kernel: `(K, K)` deconvolution kernel.
    filters: `(r * r, k, k)` phase filters.
    y: `(M, M)` output.
    scale: r.
    low: p0, the crop at the start.
  """
  figure = Figure(figsize=(11, 6.4), layout="constrained")
  count = len(filters)
  cells = figure.add_gridspec(2, 2 * count)
  half = count * 2 // 3
  tap = (np.arange(len(kernel)) - low) % scale
  pixel = np.arange(len(y)) % scale
  inputs = figure.add_subplot(cells[0, :half])
  _draw_grid(inputs, x, np.zeros(x.shape, int) - 1, "LR input", text=False)
  for row, column in np.ndindex(x.shape):
    inputs.text(column, row, f"{x[row, column]:g}", ha="center", va="center", fontsize=9)
  deconv = figure.add_subplot(cells[0, half : 2 * half])
  _draw_grid(
    deconv, kernel, scale * tap[:, None] + tap[None, :], "deconvolution kernel, taps by phase"
  )
  result = figure.add_subplot(cells[0, 2 * half :])
  _draw_grid(result, y, scale * pixel[:, None] + pixel[None, :], "output after the shuffle")
  for phase, taps in enumerate(filters):
    axes = figure.add_subplot(cells[1, 2 * phase : 2 * phase + 2])
    _draw_grid(axes, taps, np.full(taps.shape, phase), f"LR filter of phase {divmod(phase, scale)}")
  return figure


def conversion(
  lr_kernel: np.ndarray, deconv: np.ndarray, scale: int, maps: Sequence[int]
) -> Figure:
  """Draws the note's last figure, (o r^2, i, k, k) to (o, i, k r, k r), for some input maps.

  Args:
    lr_kernel: `(k, k, in, r * r)` of a sub-pixel layer with one output channel.
    deconv: `(k r, k r, in, 1)`, the same layer as a deconvolution.
    scale: r.
    maps: which input maps to draw.
  """
  size = lr_kernel.shape[0]
  figure = Figure(figsize=(2.6 * len(maps) + 0.6, 5.6), layout="constrained")
  limit = max(np.abs(lr_kernel[:, :, m]).max() for m in maps)
  colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
  above, below = figure.subplots(2, len(maps), squeeze=False, gridspec_kw={"wspace": 0.12})
  for column, m in enumerate(maps):
    filters = lr_kernel[:, :, m].reshape(size, size, scale, scale)
    # the phases side by side, a gap of one pixel between them
    sheet = np.full((scale, size + 1, scale, size + 1), np.nan)
    sheet[:, :size, :, :size] = filters.transpose(2, 0, 3, 1)
    drawn = above[column].imshow(sheet.reshape(scale * (size + 1), -1)[:-1, :-1], **colours)
    for row, col in np.ndindex(scale, scale):
      corner = (col * (size + 1) - 0.5, row * (size + 1) - 0.5)
      edge = PHASES[row * scale + col]
      above[column].add_patch(Rectangle(corner, size, size, fill=False, edgecolor=edge, lw=2.5))
    above[column].set_title(f"map {m}: {scale**2} filters {size}x{size}", fontsize=10)
    below[column].imshow(deconv[:, :, m, 0], **colours)
    for row, col in np.ndindex(scale * size, scale * size):
      edge = PHASES[row % scale * scale + col % scale]
      below[column].add_patch(
        Rectangle((col - 0.42, row - 0.42), 0.84, 0.84, fill=False, edgecolor=edge, lw=1.2)
      )
    below[column].set_title(
      f"one deconvolution {scale * size}x{scale * size},\neach phase read backwards", fontsize=10
    )
  for axes in (*above, *below):
    axes.set_axis_off()
  figure.colorbar(drawn, ax=[*above, *below], shrink=0.6, label="weight")
  return figure


def lift(indices: Sequence[tuple[int, np.ndarray]], scale: int) -> Figure:
  """Draws where the taps of an HR kernel are in its lift: equal colours are a tied weight.

  Args:
    indices: pairs of an HR kernel size K and an array `(k, k, phases in, phases out)` that holds,
      for each LR weight, the number of its HR tap, or -1 if it is zero.
    scale: r.
  """
  figure = Figure(figsize=(5.2 * len(indices), 5.6), layout="constrained")
  phases = scale**2
  for axes, (size, index) in zip(
    figure.subplots(1, len(indices), squeeze=False)[0], indices, strict=True
  ):
    k = index.shape[0]
    sheet = np.full((phases, k + 1, phases, k + 1), np.nan)
    sheet[:, :k, :, :k] = np.where(index < 0, np.nan, index).transpose(3, 0, 2, 1)
    colours = np.stack(np.meshgrid(np.linspace(0.25, 1, size), np.linspace(0.25, 1, size)), -1)
    table = np.concatenate([colours, np.full((size, size, 1), 0.55)], -1).reshape(-1, 3)
    axes.imshow(
      np.ma.masked_invalid(sheet.reshape(phases * (k + 1), -1)[:-1, :-1]),
      cmap=ListedColormap(table),
      vmin=0,
      vmax=size * size - 1,
      interpolation="nearest",
    )
    for row, column in np.ndindex(phases, phases):
      corner = (column * (k + 1) - 0.5, row * (k + 1) - 0.5)
      axes.add_patch(Rectangle(corner, k, k, fill=False, edgecolor="0.5", lw=0.8))
    ticks = np.arange(phases) * (k + 1) + (k - 1) / 2
    names = [str(divmod(phase, scale)) for phase in range(phases)]
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.tick_params(length=0)
    axes.set(xlim=(-1, phases * (k + 1) - 1), ylim=(phases * (k + 1) - 1, -1))
    axes.spines[:].set_visible(False)
    axes.set(xlabel="input phase", ylabel="output phase")
    axes.set_title(f"HR {size}x{size} as LR {k}x{k} on {phases} phases (white: zero)", fontsize=10)
  return figure
