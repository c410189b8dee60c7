"""Figures of effects: paired PSNR differences, their intervals, and the smallest of interest."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr_jax.comparison.statistics import SESOI, ci_half_width_over_seeds
from sr_jax.report.figures import COLOURS, STYLE, WIDTH
from sr_jax.report.tables import KINDS, between, contrasts

FEW = 40  # photographs, of which each gets a line with its name
LOOKS = {
  "primary": ("black", "D"),
  "best": (COLOURS[0], "o"),
  "subset": (COLOURS[0], "o"),
  "mechanism": (COLOURS[2], "s"),
  "exploratory": ("0.45", "o"),
}


def draw(axes: Axes, effect: dict[str, Any], row: int, colour: str, marker: str) -> None:
  """An effect: its mean, a thin bar for seeds and images, a thick one for seeds alone."""
  if effect["low"] is not None:
    axes.plot([effect["low"], effect["high"]], [row, row], color=colour, linewidth=1.2, marker="|")
    ends = [effect["seed_low"], effect["seed_high"]]
    axes.plot(ends, [row, row], color=colour, linewidth=4, alpha=0.4, solid_capstyle="butt")
  axes.plot(effect["mean"], row, marker, color=colour)


def band(axes: Axes, label: str) -> None:
  """The axis of a difference, its zero, and the differences that do not matter."""
  axes.axvspan(-SESOI, SESOI, color="0.9", label=f"less than {SESOI} dB", zorder=0)
  axes.axvline(0, color="0.4", linewidth=0.8)
  axes.set_xlabel(f"PSNR difference{label} (dB)")


def effects(results: dict[str, Any]) -> Figure | None:
  """The verdict's effect on every test set and on the patches of the training."""
  verdict = results["verdict"]
  first_set = results["tests"][0]
  named = {"test photographs" if first_set == "test" else first_set: verdict["test"]}
  named |= verdict["further_tests"]
  named["training patches"] = verdict["training"]
  shown = {name: effect for name, effect in named.items() if effect["mean"] is not None}
  if not shown:
    return None
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(WIDTH, 1.2 + 0.6 * len(shown)), layout="constrained")
    axes = figure.subplots()
    band(axes, f" {between(verdict['contrast'])}")
    labels = []
    for row, (name, effect) in enumerate(shown.items()):
      draw(axes, effect, row, COLOURS[0], "D" if row == 0 else "o")
      interval = (
        "" if effect["low"] is None else f" ({effect['low']:+.3f} to {effect['high']:+.3f})"
      )
      axes.annotate(
        f"{effect['mean']:+.3f}{interval}",
        (0.5, row - 0.3),
        xycoords=("axes fraction", "data"),
        ha="center",
        va="center",
        size=10,
      )
      labels.append(f"{name}\n({effect['images']} images)")
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(len(shown) - 0.5, -0.6)
  return figure


class Line(NamedTuple):
  """A line of a forest plot: an effect with its colour and marker, a word, or None under a heading.

  Attributes:
    label: its name.
    content: what stands there.
    look: colour and marker of an effect.
  """

  label: str
  content: dict[str, Any] | str | None = None
  look: tuple[str, str] = (COLOURS[0], "o")


def forest_plot(lines: Sequence[Line], contrast: str) -> Figure:
  """Effects below each other on one axis; `contrast` is what they are differences of."""
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(WIDTH, 1 + 0.26 * len(lines)), layout="constrained")
    axes = figure.subplots()
    band(axes, contrast)
    axes.set_yticks(range(len(lines)), [line.label for line in lines], parse_math=False)
    word: Any = {"ha": "right", "va": "center", "color": "0.45", "style": "italic", "size": 9}
    for row, (line, label) in enumerate(zip(lines, axes.get_yticklabels(), strict=True)):
      if isinstance(line.content, str):
        axes.text(0.98, row, line.content, transform=axes.get_yaxis_transform(), **word)
      elif line.content:
        draw(axes, line.content, row, *line.look)
      else:
        label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
  return figure


def forest(results: dict[str, Any]) -> Figure | None:
  """Every contrast on the first test set, grouped by what it is for."""
  shown = [each for each in contrasts(results) if each["test"]["mean"] is not None]
  if len(shown) < 2:
    return None
  lines = []
  for kind, heading in KINDS.items():
    if group := [each for each in shown if each["kind"] == kind]:
      lines.append(Line(heading))
      lines += [Line(between(each["contrast"]), each["test"], LOOKS[kind]) for each in group]
  return forest_plot(lines, ", first - second")


def differences_by_image(results: dict[str, Any]) -> Figure | None:
  """The paired difference on every test photograph, and the mean with its interval."""
  pairs = _paired(results)
  if not len(pairs):
    return None
  plot = _by_name if pairs.shape[1] <= FEW else _by_rank
  with mpl.rc_context(STYLE | {"axes.titlesize": 10}):
    return plot(pairs, results)


def _paired(results: dict[str, Any]) -> np.ndarray:
  """The differences of the verdict's contrast, (seeds, images), of the seeds it uses."""
  verdict = results["verdict"]
  first, second = (results["arms"][name]["members"] for name in verdict["contrast"])
  return np.array(
    [
      np.subtract(a["test"]["psnr"], b["test"]["psnr"])
      for a, b in zip(first, second, strict=True)
      if a["seed"] not in verdict["left_out_seeds"]
    ]
  )


def _by_name(pairs: np.ndarray, results: dict[str, Any]) -> Figure:
  images, verdict = results["images"]["test"], results["verdict"]
  order = np.argsort(pairs.mean(axis=0))
  figure = Figure(figsize=(WIDTH, 1.8 + 0.3 * len(images)), layout="constrained")
  axes = figure.subplots()
  band(axes, f" {between(verdict['contrast'])}")
  for row, image in enumerate(order, start=1):
    mean, half_width = pairs[:, image].mean(), ci_half_width_over_seeds(pairs[:, image])
    axes.plot(pairs[:, image], np.full(len(pairs), row), ".", color=COLOURS[0], alpha=0.5)
    axes.errorbar(mean, row, xerr=half_width, fmt="o", color=COLOURS[0], capsize=3)
  draw(axes, verdict["test"], 0, "black", "D")
  names = [_short(images[i]) for i in order]
  axes.set_yticks(range(len(images) + 1), ["mean of all", *names], parse_math=False)
  axes.set_title(
    "Small points: seeds. Bars: 95 % intervals over seeds;\nof the mean, over seeds "
    "and images (thick: seeds alone)"
  )
  return figure


def _by_rank(pairs: np.ndarray, results: dict[str, Any]) -> Figure:
  verdict = results["verdict"]
  ordered = pairs[:, np.argsort(pairs.mean(axis=0))]
  ranks = np.arange(1, ordered.shape[1] + 1)
  figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
  axes = figure.subplots()
  axes.axhspan(-SESOI, SESOI, color="0.9", label=f"less than {SESOI} dB", zorder=0)
  axes.axhline(0, color="0.4", linewidth=0.8)
  axes.vlines(
    ranks,
    ordered.min(axis=0),
    ordered.max(axis=0),
    color=COLOURS[5],
    linewidth=1.5,
    label="range of seeds",
  )
  axes.plot(
    ranks, ordered.mean(axis=0), "o", color=COLOURS[0], markersize=3.5, label="mean of seeds"
  )
  test = verdict["test"]
  label = f"mean of all, {test['mean']:+.3f} dB"
  axes.axhline(test["mean"], color=COLOURS[1], linestyle="--", label=label)
  if test["low"] is not None:
    axes.axhspan(
      test["low"], test["high"], color=COLOURS[1], alpha=0.2, linewidth=0, label="its 95 % interval"
    )
  better = int((ordered.mean(axis=0) > 0).sum())
  axes.set(
    xlabel=f"{len(ranks)} test photographs, sorted ({better} above zero)",
    ylabel=f"PSNR difference {between(verdict['contrast'])} (dB)",
  )
  axes.legend(frameon=False, loc="upper left", fontsize=9)
  return figure


def _short(name: str) -> str:
  return name if len(name) <= 18 else name[:17] + "\u2026"
