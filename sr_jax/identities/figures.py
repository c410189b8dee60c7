"""Figures of the note's identities: matrices, phases and kernels, one colour a phase."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

# One for each phase up to scale 4: those of Okabe and Ito, then others that differ from them.
PHASES = (
  "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#999999",
  "#B4A7D6", "#882255", "#117733", "#DDCC77", "#332288", "#AA4499", "#44AA99", "#661100",
)  # fmt: skip


def _draw_grid(axes: Axes, values: np.ndarray, phases: np.ndarray, title: str) -> None:
  """Draws numbers in cells coloured by phase; cells of phase -1 stay white, and empty if 0."""
  colours = np.ones((*values.shape, 3))
  for phase in np.unique(phases[phases >= 0]):
    # lightened, so that black numbers stand out
    colours[phases == phase] = 0.35 + 0.65 * np.array(to_rgb(PHASES[phase]))
  axes.imshow(colours)
  rows, columns = values.shape
  for row, column in np.argwhere((phases >= 0) | (values != 0)):
    axes.text(column, row, f"{values[row, column]:g}", ha="center", va="center", fontsize=9)
  axes.set_xticks(np.arange(columns + 1) - 0.5, [])
  axes.set_yticks(np.arange(rows + 1) - 0.5, [])
  axes.grid(color="0.8", linewidth=0.5)
  axes.tick_params(length=0)
  axes.set_title(title, fontsize=10)


def matrices(
  transposed: np.ndarray, sub_pixel: np.ndarray, three_taps: np.ndarray, filters: np.ndarray, r: int
) -> Figure:
  """Draws Fig. 2 and 3 of the note as matrices that act on x, coloured by the output's phase.

  The `(outputs, inputs)` matrices are of the transposed and the sub-pixel convolution with
  f = (1, 2, 3, 4), and of the latter with f = (1, 2, 3); `filters`, `(phases, taps)`, are the LR
  filters in the first.
  """
  figure = Figure(figsize=(14, 5), layout="constrained")
  *panels, taps = figure.subplots(1, 5, width_ratios=(5, 5, 5, 5, 2.2))
  sort = np.argsort(np.arange(len(transposed)) % r, kind="stable")
  for axes, matrix, rows, title in (
    (panels[0], transposed, ..., "transposed convolution, f = (1, 2, 3, 4)\n(outputs x inputs)"),
    (panels[1], transposed, sort, "its rows sorted by phase:\ntwo LR convolutions"),
    (panels[2], sub_pixel, ..., "sub-pixel convolution,\nf = (1, 2, 3, 4)"),
    (panels[3], three_taps, ..., "sub-pixel convolution,\nf = (1, 2, 3)"),
  ):
    phases = np.where(matrix != 0, np.arange(len(matrix))[:, None] % r, -1)
    _draw_grid(axes, matrix[rows], phases[rows], title)
  colours = np.repeat(np.arange(len(filters))[:, None], filters.shape[1], 1)
  _draw_grid(taps, filters, colours, "LR filters\nof the first two")
  return figure


def phases_in_two_dimensions(
  x: np.ndarray, kernel: np.ndarray, filters: np.ndarray, y: np.ndarray, scale: int, low: int
) -> Figure:
  """Draws Fig. 4 to 7 of the note: the filter, its phase filters, and the shuffled output.

  The input is `(h, w)`, without zeros, the deconvolution kernel `(K, K)`, the phase filters
  `(r * r, k, k)` and the output `(M, M)`; `low` is p0, the crop at the start.
  """
  figure = Figure(figsize=(11, 6.4), layout="constrained")
  count = len(filters)
  cells = figure.add_gridspec(2, 2 * count)
  half = count * 2 // 3
  tap, pixel = (np.arange(len(kernel)) - low) % scale, np.arange(len(y)) % scale
  _draw_grid(figure.add_subplot(cells[0, :half]), x, np.full(x.shape, -1), "LR input")
  axes = figure.add_subplot(cells[0, half : 2 * half])
  _draw_grid(axes, kernel, scale * tap[:, None] + tap, "deconvolution kernel, taps by phase")
  axes = figure.add_subplot(cells[0, 2 * half :])
  _draw_grid(axes, y, scale * pixel[:, None] + pixel, "output after the shuffle")
  for phase, taps in enumerate(filters):
    axes = figure.add_subplot(cells[1, 2 * phase : 2 * phase + 2])
    _draw_grid(axes, taps, np.full(taps.shape, phase), f"LR filter of phase {divmod(phase, scale)}")
  return figure


def _side_by_side(grid: np.ndarray) -> np.ndarray:
  """Arrays, `(k, k, rows, columns)`, as a sheet with a gap of one pixel, NaN, between them."""
  size, _, rows, columns = grid.shape
  sheet = np.full((rows, size + 1, columns, size + 1), np.nan)
  sheet[:, :size, :, :size] = grid.transpose(2, 0, 3, 1)
  return sheet.reshape(rows * (size + 1), -1)[:-1, :-1]


def conversion(
  lr_kernel: np.ndarray, deconv: np.ndarray, scale: int, maps: Sequence[int]
) -> Figure:
  """Draws the note's last figure, (o r^2, i, k, k) to (o, i, k r, k r), for these input maps.

  A sub-pixel layer with one output channel, `(k, k, in, r * r)`, and the same layer as a
  deconvolution, `(k r, k r, in, 1)`.
  """
  size = lr_kernel.shape[0]
  figure = Figure(figsize=(2.6 * len(maps) + 0.6, 5.6), layout="constrained")
  limit = max(np.abs(lr_kernel[:, :, m]).max() for m in maps)
  colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
  above, below = figure.subplots(2, len(maps), squeeze=False, gridspec_kw={"wspace": 0.12})
  for column, m in enumerate(maps):
    filters = lr_kernel[:, :, m].reshape(size, size, scale, scale)
    drawn = above[column].imshow(_side_by_side(filters), **colours)
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

  With each HR kernel size K comes an array `(k, k, phases in, phases out)` of the number of every
  LR weight's HR tap, or -1 if the weight is zero.
  """
  figure = Figure(figsize=(5.2 * len(indices), 5.6), layout="constrained")
  phases = scale**2
  panels = figure.subplots(1, len(indices), squeeze=False)[0]
  for axes, (size, index) in zip(panels, indices, strict=True):
    k = index.shape[0]
    colours = np.stack(np.meshgrid(np.linspace(0.25, 1, size), np.linspace(0.25, 1, size)), -1)
    table = np.concatenate([colours, np.full((size, size, 1), 0.55)], -1).reshape(-1, 3)
    taps = _side_by_side(np.where(index < 0, np.nan, index).swapaxes(2, 3))
    look = {"cmap": ListedColormap(table), "vmin": 0, "vmax": size**2 - 1}
    axes.imshow(np.ma.masked_invalid(taps), interpolation="nearest", **look)
    for row, column in np.ndindex(phases, phases):
      corner = (column * (k + 1) - 0.5, row * (k + 1) - 0.5)
      axes.add_patch(Rectangle(corner, k, k, fill=False, edgecolor="0.5", lw=0.8))
    ticks = np.arange(phases) * (k + 1) + (k - 1) / 2
    names = [str(divmod(phase, scale)) for phase in range(phases)]
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    end = phases * (k + 1) - 1
    axes.set(xlim=(-1, end), ylim=(end, -1), xlabel="input phase", ylabel="output phase")
    axes.set_title(f"HR {size}x{size} as LR {k}x{k} on {phases} phases (white: zero)", fontsize=10)
  return figure
