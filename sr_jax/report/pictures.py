"""Pictures made of photographs: an example and thumbnails."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from sr_jax.comparison.titles import titled
from sr_jax.data.pairs import Pair
from sr_jax.evaluation.scoring import bicubic
from sr_jax.report.figures import COLOURS, STYLE

DETAIL = 96  # HR pixels on a side of the example
COLUMNS = 3  # of the example, for a phone's screen
THUMBNAIL = 320  # pixels on the longer side


def save_thumbnail(photo: Pair, path: Path) -> None:
  """Writes a photograph, small; a file that exists stays."""
  if not path.exists():
    picture = Image.fromarray(photo.target)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    picture.save(path, quality=85)


@mpl.rc_context(STYLE | {"axes.titlesize": 10})
def example(photo: Pair, pictures: dict[str, np.ndarray], scale: int) -> Figure:
  """A detail of one photograph through every arm, with error maps on one colour scale.

  The detail is where the arms reduce the squared error of bicubic interpolation most. `pictures`
  are 8-bit HR luminance by arm.
  """
  shown = {"bicubic": bicubic(photo, scale)} | {titled(k): v for k, v in pictures.items()}
  errors = {name: np.abs(image.astype(float) - photo.target) for name, image in shown.items()}
  gain = errors["bicubic"] ** 2 - np.mean([error**2 for error in errors.values()], axis=0)
  top, left, side = best_detail(gain, scale)
  crop = np.s_[top : top + side, left : left + side]
  low = np.s_[top // scale : (top + side) // scale, left // scale : (left + side) // scale]
  brightest = max(np.percentile(error[crop], 99.5) for error in errors.values())

  names = list(shown)
  groups = [names[i : i + COLUMNS] for i in range(0, len(names), COLUMNS)]
  rows = 1 + 2 * len(groups)
  figure = Figure(figsize=(6, 2.3 * rows + 0.5), layout="constrained")
  axes = figure.subplots(rows, COLUMNS, squeeze=False)
  for cell in axes.flat:
    cell.set_axis_off()

  def show(cell: Any, image: np.ndarray, title: str) -> None:
    cell.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    cell.set_title(title, parse_math=False)

  show(axes[0, 0], photo.target, photo.name)
  axes[0, 0].add_patch(Rectangle((left, top), side, side, fill=False, color=COLOURS[4], lw=1.5))
  show(axes[0, 1], photo.input[low] * 255, "LR input")
  show(axes[0, 2], photo.target[crop], "truth")
  for row, group in enumerate(groups):
    for cell, below, name in zip(axes[1 + 2 * row], axes[2 + 2 * row], group, strict=False):
      show(cell, shown[name][crop], name)
      error = errors[name][crop]
      drawn = below.imshow(error, cmap="magma", vmin=0, vmax=brightest, interpolation="nearest")
      below.set_title(f"its error, mean {error.mean():.2f}")
  place: Any = {"location": "bottom", "shrink": 0.6, "aspect": 40}
  figure.colorbar(drawn, ax=axes, label="error (of 255 levels)", **place)
  return figure


def best_detail(gain: np.ndarray, scale: int) -> tuple[int, int, int]:
  """Top, left and side of the square, on the LR grid, over which a map sums highest."""
  side = min(DETAIL, *gain.shape) // scale * scale
  total = np.pad(gain.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
  sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
  sums = sums[::scale, ::scale]
  row, column = np.unravel_index(np.argmax(sums), sums.shape)
  return int(row) * scale, int(column) * scale, side
