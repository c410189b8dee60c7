"""How far channels of LR networks form HR maps, as figures and a table."""

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import figure as canvas
from PIL import Image

from sr_jax.comparison.combining import COMBINING
from sr_jax.comparison.combining_verdict import decide, sentences
from sr_jax.comparison.titles import titled
from sr_jax.report.figures import COLOURS, STYLE, WIDTH
from sr_jax.report.model import Bullets, Figure, Section, Table
from sr_jax.report.tables import interval

ABOUT_SHARES = (
  "Line: mean of the seeds, which are dots. Grey: 95 % of kernels whose filters changed places. "
  "Positive controls, lifted to LR space with shuffled channels: HR networks (dotted; their share "
  "has to be 1) and networks of which half the channels are phases of HR maps (dashed). HR maps of "
  "fewer channels may go unseen."
)
CONTROLS = {"hr": ":", "half": "--"}  # and their lines
ABOUT_PICTURES = (
  "The R channels that are most like the phases of an HR map, and as many random ones of the same "
  "state, interleaved to a picture of HR pixels: of the first seed, from the least to the greatest "
  "value. Right: the most tied of the controls. Channels that differ make a pattern that repeats "
  "every LR pixel; HR maps show one, too, where the first layer, which is not tied, writes phases "
  "of unequal strength."
)
COLUMNS = 2  # of panels


@mpl.rc_context(STYLE)
def shares(results: dict[str, Any]) -> canvas.Figure | None:
  """The tied share of every hidden layer, against that of permuted kernels."""
  records = _arms(results)
  if not records:
    return None
  rows = -(-len(records) // COLUMNS)
  figure = canvas.Figure(figsize=(WIDTH, 0.9 + 2.4 * rows), layout="constrained")
  panels = figure.subplots(rows, min(COLUMNS, len(records)), sharey=True, squeeze=False)
  for axes in panels.flat[len(records) :]:
    axes.set_axis_off()
  for axes, (name, record) in zip(panels.flat, records.items(), strict=False):
    by_seed, null = np.array(record["shares"]), np.array(record["null"])
    layers = np.arange(1, by_seed.shape[1] + 1)
    low, high = np.quantile(null.reshape(-1, len(layers)), [0.025, 0.975], axis=0)
    for kind, style in CONTROLS.items():
      control = results[COMBINING]["controls"][name][kind]
      if control["seeds"]:
        mean, label = np.mean(control["shares"], axis=0), f"control, {titled(kind)}"
        axes.plot(layers, mean, style, color=COLOURS[2], label=label)
    axes.fill_between(layers, low, high, color="0.7", linewidth=0, label="permuted kernels")
    axes.plot(layers, by_seed.mean(axis=0), "-", color=COLOURS[0], label="tied share")
    for own in by_seed:
      axes.plot(layers, own, ".", color=COLOURS[0], alpha=0.5, markersize=4)
    axes.set(title=titled(name), ylim=(0, 1.05), xlabel="hidden layer")
    axes.xaxis.get_major_locator().set_params(integer=True)
  for axes in panels[:, 0]:
    axes.set_ylabel("share of energy")
  labels = dict(pair[::-1] for pair in zip(*panels[0, 0].get_legend_handles_labels(), strict=True))
  place: Any = {"frameon": False, "loc": "outside upper center", "ncols": 2}
  figure.legend(list(labels.values()), list(labels), **place)
  return figure


@mpl.rc_context(STYLE | {"axes.titlesize": 10})
def pictures(results: dict[str, Any]) -> canvas.Figure | None:
  """The most tied map of every arm, random channels, and that of its controls, interleaved."""
  records = _arms(results)
  if not records:
    return None
  detail = results[COMBINING]["detail"]
  kinds = list(next(iter(results[COMBINING]["controls"].values())))
  columns = 3 + len(kinds)
  height = WIDTH / columns + 0.6
  figure = canvas.Figure(figsize=(WIDTH, height * len(records)), layout="constrained")
  panels = figure.subplots(len(records), columns, squeeze=False)
  for row, (name, record) in zip(panels, records.items(), strict=True):
    drawn, controls = record["pictures"], results[COMBINING]["controls"][name]
    titled_pictures = [
      (f"{titled(name)}\n{detail['photograph']}", detail["picture"]),
      (f"most tied\n{drawn['share']:.2f}, state {drawn['state'] + 1}", drawn["tied"]),
      ("random\nchannels", drawn["random"]),
      *(
        (f"control, {titled(kind)}\n{own['share']:.2f}, state {own['state'] + 1}", own["tied"])
        for kind in kinds
        if (own := controls[kind].get("pictures"))
      ),
    ]
    for axes in row:
      axes.set_axis_off()
    for axes, (title, picture) in zip(row, titled_pictures, strict=False):
      axes.imshow(_decode(picture), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
      axes.set_title(title, parse_math=False, fontsize=9)
  return figure


def _decode(picture: str) -> np.ndarray:
  return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))


def _arms(results: dict[str, Any]) -> dict[str, Any]:
  """The arms of which a seed finished."""
  records = results[COMBINING]["arms"] if COMBINING in results else {}
  return {name: record for name, record in records.items() if record["seeds"]}


def rows(results: dict[str, Any]) -> list[list[str]]:
  """The tied share of every arm, the null's, what tying costs, and what that shows."""
  table = [
    [
      "network",
      "tied share",
      "permuted kernels",
      "tying half of the maps costs (dB)",
      "random orders cost more (dB)",
      "channels that form HR maps",
    ]
  ]
  if COMBINING not in results:
    return table
  for name, judged in decide(results)["arms"].items():
    numbers = ["-"] * 4
    if judged["seeds"]:
      numbers = [f"{judged[key]:.3f}" for key in ("share", "null")]
      numbers += [_interval(judged[key]) for key in ("cost_of_half", "saved_of_half")]
    table.append([titled(name), *numbers, judged["finding"]])
  return table


def _interval(effect: dict[str, Any]) -> str:
  return f"{effect['mean']:+.3f}" + ("" if effect["low"] is None else f" ({interval(effect)})")


def section(results: dict[str, Any], folder: Path) -> Section:
  """How far channels of LR networks form HR maps, if the run has looked."""
  return Section(
    "Do LR networks form HR maps?",
    Bullets(sentences(results)),
    Figure(
      folder / "tied_shares.png",
      "Share of the energy of every hidden layer that is tied, of every LR network, against "
      "permuted kernels; the table below has the means.",
      ABOUT_SHARES,
    ),
    Table(rows(results)),
    Figure(
      folder / "interleaved.png",
      "The most tied channels of every LR network as a picture of HR pixels, beside the photograph "
      "and random channels.",
      ABOUT_PICTURES,
    ),
  )
