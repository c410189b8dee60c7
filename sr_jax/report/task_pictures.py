"""One picture a task: its input, no network, two networks and the truth, in a detail."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import figure as canvas
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from sr_jax.comparison.titles import titled
from sr_jax.data.pairs import Pair
from sr_jax.report.figures import COLOURS, STYLE, WIDTH, save
from sr_jax.report.pictures import COLUMNS, best_detail
from sr_jax.tasks.super_resolution import middle_slice
from sr_jax.tasks.task import Task

MEASURES = {"iou": "IoU"}  # without a unit
STRETCH = 64  # HR samples of a signal
CLOSER = LinearSegmentedColormap.from_list("closer", [COLOURS[1], "white", COLOURS[0]])
ABOUT_DETAIL = (
  "The detail is where the two networks together reduce the squared error of no network most; "
  "scores are of the whole. Last: blue where the first network is closer to the truth and orange "
  "where the second is, in full colour where their distances from it differ by the networks' root "
  "mean squared error in the detail or more."
)
ABOUT_STRETCH = (
  "The stretch is where the two networks together reduce the squared error of no network most; "
  "scores are of the whole signal. Below: each output less the truth."
)


def draw(pair: Pair, task: Task, outputs: dict[str, np.ndarray], path: Path) -> None:
  """Saves the picture of a task as PNG.

  Args:
    pair: one of the task's.
    task: tells how arrays look, and what errors and scores are.
    outputs: of two networks by name, `(*space, c)`: of the one that the other is compared with
      first.
    path: of the file.
  """
  figure = _signal(pair, task, outputs) if task.dims == 1 else _image(pair, task, outputs)
  save(figure, path)


@mpl.rc_context(STYLE | {"axes.titlesize": 11, "axes.grid": False})
def _image(pair: Pair, task: Task, outputs: dict[str, np.ndarray]) -> canvas.Figure:
  shown = {"no network": task.without_network(pair)} | {titled(k): v for k, v in outputs.items()}
  distances = {name: _distance(pair, task, output) for name, output in shown.items()}
  without, first, second = distances.values()
  gain = without**2 - (first**2 + second**2) / 2
  top, left, side = best_detail(gain, task.scale)
  crop = np.s_[top : top + side, left : left + side]
  figure = canvas.Figure(figsize=(WIDTH, 5.1), layout="constrained")
  cells = figure.subplots(2, COLUMNS)
  for axes in cells.flat:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)

  def show(axes: Axes, image: np.ndarray | None, title: str, below: str) -> None:
    assert image is not None  # of two or three dimensions
    look: Any = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}
    axes.imshow(image[crop], **look)
    axes.set_title(title, parse_math=False)
    axes.set_xlabel(below, parse_math=False)

  show(cells[0, 0], task.input_picture(pair), "input", "")
  show(cells[0, 2], task.picture(pair.target), "truth", _shortened(pair.name))
  for axes, (name, output) in zip(cells.flat[[1, 3, 4]], shown.items(), strict=True):
    show(axes, task.picture(output), name, _score(pair, task, output))
  spread = float(np.sqrt((first[crop] ** 2 + second[crop] ** 2).mean() / 2)) or 1.0
  closer: Any = {"cmap": CLOSER, "vmin": -spread, "vmax": spread, "interpolation": "nearest"}
  cells[1, 2].imshow((second - first)[crop], **closer)
  cells[1, 2].set_title("closer to the truth")
  names = list(shown)[1:]
  cells[1, 2].set_xlabel(f"blue {names[0]}, orange {names[1]}", fontsize=9)
  for axes in cells[1, 2:]:
    axes.spines[:].set(visible=True, color="0.8")
  return figure


def _distance(pair: Pair, task: Task, output: np.ndarray) -> np.ndarray:
  """How far an output is from the truth at each pixel that a picture shows, `(h, w)`."""
  error = np.linalg.norm(task.error(output, pair), axis=-1)
  return middle_slice(error) if task.dims == 3 else error


def _score(pair: Pair, task: Task, output: np.ndarray) -> str:
  value = task.score(output, pair)[task.measure]
  return f"{value:.2f} {task.unit}" if task.unit else f"{MEASURES[task.measure]} {value:.3f}"


def _shortened(name: str) -> str:
  return name if len(name) <= 24 else f"{name[:23]}\u2026"


@mpl.rc_context(STYLE)
def _signal(pair: Pair, task: Task, outputs: dict[str, np.ndarray]) -> canvas.Figure:
  shown = {"no network": task.without_network(pair)} | {titled(k): v for k, v in outputs.items()}
  errors = {name: task.error(output, pair)[:, 0] for name, output in shown.items()}
  without, first, second = errors.values()
  begin, length = _best_stretch(without**2 - (first**2 + second**2) / 2)
  at = np.arange(begin, begin + length)
  figure = canvas.Figure(figsize=(WIDTH, 6), layout="constrained")
  above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
  above.plot(at, pair.target[at], color="black", linewidth=3, alpha=0.35, label="truth")
  for (name, output), line in zip(shown.items(), ("0.5", *COLOURS), strict=False):
    style: Any = {"color": line, "linewidth": 1.3, "linestyle": "--" if line == "0.5" else "-"}
    label = f"{name}, {_score(pair, task, output)}"
    above.plot(at, output[at, 0], **style, label=label)
    below.plot(at, errors[name][at], **style)
  centres = task.scale * (np.arange(len(pair.input)) + 0.5) - 0.5
  inside = (at[0] <= centres) & (centres <= at[-1])
  above.plot(centres[inside], pair.input[inside], "o", color="black", markersize=4, label="input")
  below.axhline(0, color="0.4", linewidth=0.8)
  above.set(title=_shortened(pair.name), ylabel="value")
  below.set(xlabel="sample", ylabel="error")
  figure.legend(loc="outside upper center", frameon=False, ncols=2)
  return figure


def _best_stretch(gain: np.ndarray) -> tuple[int, int]:
  """Begin and length of the stretch over which an array sums highest."""
  length = min(STRETCH, len(gain))
  total = np.concatenate([[0.0], gain.cumsum()])
  return int(np.argmax(total[length:] - total[:-length])), length
