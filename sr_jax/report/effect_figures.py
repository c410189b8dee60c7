"""Figures of effects: paired PSNR differences, their intervals, and the smallest of interest."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr_jax.comparison.statistics import SESOI, ci_half_width_over_seeds
from sr_jax.report.figures import COLOURS, STYLE, new_figure
from sr_jax.report.tables import KINDS, between, contrasts, interval

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


@mpl.rc_context(STYLE)
def effects(results: dict[str, Any]) -> Figure | None:
  """The verdict's effect on every test set and on the patches of the training."""
  verdict, first_set = results["verdict"], results["tests"][0]
  named = {"test photographs" if first_set == "test" else first_set: verdict["test"]}
  named |= {**verdict["further_tests"], "training patches": verdict["training"]}
  shown = {name: effect for name, effect in named.items() if effect["mean"] is not None}
  if not shown:
    return None
  figure, axes = new_figure(1.2 + 0.6 * len(shown))
  band(axes, f" {between(verdict['contrast'])}")
  place: Any = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center", "size": 10}
  for row, effect in enumerate(shown.values()):
    draw(axes, effect, row, COLOURS[0], "D" if row == 0 else "o")
    limits = "" if effect["low"] is None else f" ({interval(effect)})"
    axes.annotate(f"{effect['mean']:+.3f}{limits}", (0.5, row - 0.3), **place)
  labels = [f"{name}\n({effect['images']} images)" for name, effect in shown.items()]
  axes.set_yticks(range(len(shown)), labels)
  axes.set_ylim(len(shown) - 0.5, -0.6)
  return figure


class Line(NamedTuple):
  """A line of a forest plot: an effect with its colour and marker, or a word, or a heading."""

  label: str
  content: dict[str, Any] | str | None = None
  look: tuple[str, str] = (COLOURS[0], "o")


@mpl.rc_context(STYLE)
def forest_plot(lines: Sequence[Line], contrast: str) -> Figure:
  """Effects below each other on one axis; `contrast` is what they are differences of."""
  figure, axes = new_figure(1 + 0.26 * len(lines))
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


@mpl.rc_context(STYLE | {"axes.titlesize": 10})
def differences_by_image(results: dict[str, Any]) -> Figure | None:
  """The paired difference on every test photograph, and the mean with its interval."""
  verdict = results["verdict"]
  first, second = (results["arms"][name]["members"] for name in verdict["contrast"])
  differences = [
    np.subtract(a["test"]["psnr"], b["test"]["psnr"])
    for a, b in zip(first, second, strict=True)
    if a["seed"] not in verdict["left_out_seeds"]
  ]
  if not differences:
    return None
  plot = _by_name if len(differences[0]) <= FEW else _by_rank
  return plot(np.array(differences), results)


def _by_name(pairs: np.ndarray, results: dict[str, Any]) -> Figure:
  images, verdict = results["images"]["test"], results["verdict"]
  order = np.argsort(pairs.mean(axis=0))
  figure, axes = new_figure(1.8 + 0.3 * len(images))
  band(axes, f" {between(verdict['contrast'])}")
  for row, image in enumerate(order, start=1):
    mean, half_width = pairs[:, image].mean(), ci_half_width_over_seeds(pairs[:, image])
    axes.plot(pairs[:, image], np.full(len(pairs), row), ".", color=COLOURS[0], alpha=0.5)
    axes.errorbar(mean, row, xerr=half_width, fmt="o", color=COLOURS[0], capsize=3)
  draw(axes, verdict["test"], 0, "black", "D")
  shortened = [name if len(name) <= 18 else f"{name[:17]}\u2026" for name in images]
  labels = ["mean of all", *(shortened[i] for i in order)]
  axes.set_yticks(range(len(labels)), labels, parse_math=False)
  axes.set_title(
    "Small points: seeds. Bars: 95 % intervals over seeds;\nof the mean, over seeds "
    "and images (thick: seeds alone)"
  )
  return figure


def _by_rank(pairs: np.ndarray, results: dict[str, Any]) -> Figure:
  contrast, test = results["verdict"]["contrast"], results["verdict"]["test"]
  ordered = pairs[:, np.argsort(pairs.mean(axis=0))]
  means, ranks = ordered.mean(axis=0), np.arange(1, ordered.shape[1] + 1)
  figure, axes = new_figure(4.2)
  axes.axhspan(-SESOI, SESOI, color="0.9", label=f"less than {SESOI} dB", zorder=0)
  axes.axhline(0, color="0.4", linewidth=0.8)
  seeds: Any = {"color": COLOURS[5], "linewidth": 1.5, "label": "range of seeds"}
  axes.vlines(ranks, ordered.min(axis=0), ordered.max(axis=0), **seeds)
  axes.plot(ranks, means, "o", color=COLOURS[0], markersize=3.5, label="mean of seeds")
  label = f"mean of all, {test['mean']:+.3f} dB"
  axes.axhline(test["mean"], color=COLOURS[1], linestyle="--", label=label)
  if test["low"] is not None:
    shade: Any = {"color": COLOURS[1], "alpha": 0.2, "linewidth": 0}
    axes.axhspan(test["low"], test["high"], **shade, label="its 95 % interval")
  axes.set_xlabel(f"{len(ranks)} test photographs, sorted ({(means > 0).sum()} above zero)")
  axes.set_ylabel(f"PSNR difference {between(contrast)} (dB)")
  axes.legend(frameon=False, loc="upper left", fontsize=9)
  return figure
