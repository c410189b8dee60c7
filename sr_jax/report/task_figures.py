"""Forest plots over tasks: what explicit upsampling brings, and what its errors repeat."""

import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sr_jax.comparison.explicit_pool import BEST
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.titles import task_title, titled
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, new_figure
from sr_jax.report.model import Json

NO_POOL = "not pooled"
POOLED_LINES = 2  # that the diamond of a form takes
REASON_WIDTH = 40  # characters
ABOUT_FOREST = (
  "Points: the arm less LR, in percent of what LR gains over no network; right of zero it is "
  "better than LR. Bars: 95 % intervals over seeds and images; an arrow where a bar goes on. Black "
  "edge: the form that is best on validation images. Diamonds: the mean over tasks by a random "
  "effect, as wide as its 95 % interval; thin line: where a new task is expected. Grey: within "
  f"{100 * SHARE_SESOI:g} % of nothing."
)
ABOUT_PERIODICITY = (
  "Phase periodicity of the error of the arm less that of LR's, in dB: right of zero the arm has "
  "more energy at the phase frequencies, as a checkerboard has. Bars and diamonds as above."
)


class Quantity(NamedTuple):
  """What a forest plot shows of each arm of the verdict, times a factor, and its axis."""

  key: str
  factor: float
  label: str
  band: float | None  # half its width, after the factor
  line: float  # inches from a form to the next


SHARE = Quantity("share", 100.0, "% of what LR gains over no network", 100 * SHARE_SESOI, 0.14)
PERIODICITY = Quantity("periodicity", 1.0, "phase periodicity less LR's (dB)", None, 0.11)


def grouped(results: Json) -> dict[str, list[str]]:
  """Names of tasks by what their networks read; those not pooled last."""
  groups: dict[str, list[str]] = {"reads LR maps": [], "reads HR maps": [], NO_POOL: []}
  for name, record in results["tasks"].items():
    task = record["task"]
    reads = "reads LR maps" if task["inputs"]["lr"] else "reads HR maps"
    groups[reads if task["pooled"] else NO_POOL].append(name)
  return {heading: names for heading, names in groups.items() if names}


def forest(results: Json) -> Figure | None:
  """Every explicit form's share of LR's gain in every task, and over tasks."""
  return _forest(results, SHARE)


def periodicity(results: Json) -> Figure | None:
  """Every explicit form's phase periodicity against LR's in every task, and over tasks."""
  return _forest(results, PERIODICITY)


@mpl.rc_context(STYLE)
def _forest(results: Json, quantity: Quantity) -> Figure | None:
  verdict = results["verdict"]
  forms = [name for name in verdict["pooled"] if name != BEST]
  looks = dict(zip(forms, zip(COLOURS[1:], MARKERS[1:], strict=True), strict=False))
  effects = {
    task: {form: record["arms"][form][quantity.key] for form in forms if form in record["arms"]}
    for task, record in verdict["tasks"].items()
  }
  pooled = {form: record[quantity.key] for form, record in verdict["pooled"].items()}
  limits = _limits([*(e for own in effects.values() for e in own.values()), *pooled.values()])
  if limits is None:
    return None
  groups = grouped(results)
  lines = sum(2 + sum(1 + max(1, len(effects[name])) for name in own) for own in groups.values())
  lines += 2 + POOLED_LINES * len(pooled)
  figure, axes = new_figure(1.5 + quantity.line * lines)
  axes.set_xlim(*(quantity.factor * end for end in limits))
  ticks: dict[float, str] = {}
  headings = []
  row = 0.0
  for heading, names in groups.items():
    headings.append(row)
    ticks[row] = heading
    row += 2
    for name in names:
      count = max(1, len(effects[name]))
      ticks[row + (count - 1) / 2] = _label(name, results["tasks"][name]["task"])
      best = verdict["tasks"][name]["best"]
      _draw_task(axes, row, effects[name], best, looks, quantity)
      row += count + 1
      axes.axhline(row - 1, color="0.92", linewidth=0.8, zorder=-2)
  headings.append(row)
  ticks[row] = "over tasks"
  row += 2
  for form, effect in pooled.items():
    title = "Best form" if form == BEST else titled(form)
    ticks[row] = f"{title}, {effect['count']} tasks"
    _draw_pooled(axes, row, effect, looks.get(form, ("black", ""))[0], quantity.factor)
    row += POOLED_LINES
  axes.set_yticks(list(ticks), list(ticks.values()), parse_math=False)
  for at, label in zip(ticks, axes.get_yticklabels(), strict=True):
    label.set_fontweight("bold" if at in headings else "normal")
  axes.set(ylim=(row - 0.5, -1), xlabel=quantity.label)
  axes.tick_params(axis="y", length=0)
  axes.grid(visible=False, axis="y")
  _finish(figure, axes, looks, quantity)
  return figure


def _label(name: str, task: Json) -> str:
  """A task with its scale, and its dimensions if they are not 2."""
  dims = f", d = {task['dims']}" if task["dims"] != 2 else ""
  title = task_title(name).removesuffix(f" x{task['scale']}")
  return f"{title} (r = {task['scale']}{dims})"


def _limits(effects: Iterable[Json]) -> tuple[float, float] | None:
  """The ends of the axis: all means, and of intervals what is not far beyond them."""
  shown = [effect for effect in effects if effect["mean"] is not None]
  if not shown:
    return None
  means = [0.0, *(effect["mean"] for effect in shown)]
  ends = [effect[end] for effect in shown for end in ("low", "high") if effect[end] is not None]
  beyond = 0.5 * (max(means) - min(means)) or 1.0
  low = max(min([*means, *ends]), min(means) - beyond)
  high = min(max([*means, *ends]), max(means) + beyond)
  margin = 0.04 * (high - low) or 1.0
  return min(low - margin, -2 * margin), max(high + margin, 2 * margin)


def _draw_task(
  axes: Axes,
  row: float,
  effects: dict[str, Json],
  best: str | None,
  looks: dict[str, tuple[str, str]],
  quantity: Quantity,
) -> None:
  """The forms of a task below each other, or why they have no effect."""
  if all(effect["mean"] is None for effect in effects.values()):
    place: Any = {"ha": "left", "va": "center", "color": "0.45", "style": "italic", "size": 9}
    reasons = [effect.get("reason", "") for effect in effects.values()]
    middle = row + (max(1, len(effects)) - 1) / 2
    text = textwrap.fill(next(filter(None, reasons), "not measured"), REASON_WIDTH)
    axes.text(0.02, middle, text, transform=axes.get_yaxis_transform(), **place)
    return
  for form, effect in effects.items():
    colour, marker = looks[form]
    if effect["mean"] is not None:
      _draw_bar(axes, row, effect, colour, 1.2, quantity.factor)
      edge: Any = {"markeredgecolor": "black", "markeredgewidth": 1.3} if form == best else {}
      axes.plot(quantity.factor * effect["mean"], row, marker, color=colour, markersize=5.5, **edge)
    row += 1


def _draw_bar(
  axes: Axes, row: float, effect: Json, colour: str, width: float, factor: float, prefix: str = ""
) -> None:
  """An interval as far as the axis goes, with arrows where it goes on."""
  if effect[f"{prefix}low"] is None:
    return
  low, high = axes.get_xlim()
  ends = [factor * effect[f"{prefix}{end}"] for end in ("low", "high")]
  inside = min(max(ends[0], low), high), max(min(ends[1], high), low)
  axes.plot(inside, [row, row], color=colour, linewidth=width)
  for limit, arrow, goes_on in ((low, "<", ends[0] < low), (high, ">", ends[1] > high)):
    if goes_on:
      axes.plot(limit, row, arrow, color=colour, markersize=5, clip_on=False)


def _draw_pooled(axes: Axes, row: float, effect: Json, colour: str, factor: float) -> None:
  if effect["mean"] is None:
    return
  _draw_bar(axes, row, effect, colour, 0.8, factor, "prediction_")
  mean = factor * effect["mean"]
  low, high = (mean if effect[end] is None else factor * effect[end] for end in ("low", "high"))
  axes.fill([low, mean, high, mean], [row, row - 0.7, row, row + 0.7], color=colour, zorder=3)
  axes.plot(mean, row, "D", color=colour, markersize=3, zorder=3)  # seen where it is narrow


def _finish(
  figure: Figure, axes: Axes, looks: dict[str, tuple[str, str]], quantity: Quantity
) -> None:
  """The line at nothing, the band around it, and the legend."""
  axes.axvline(0, color="0.4", linewidth=0.8, zorder=0)
  if quantity.band is not None:
    axes.axvspan(-quantity.band, quantity.band, color="0.9", zorder=-1)
  handles = [
    Line2D([], [], color=colour, marker=marker, markersize=5.5, label=titled(form))
    for form, (colour, marker) in looks.items()
  ]
  figure.legend(handles=handles, loc="outside upper center", frameon=False, ncols=3)
