"""What gates learn to upscale, as a table and a figure."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sr_jax.comparison.learner import LEARNED, SHUFFLED
from sr_jax.comparison.learning import LEARNING, THRESHOLD
from sr_jax.report.figures import COLOURS, STYLE, new_figure

ABOUT = (
  "Lines: seeds. A gate of 1 ties the phases of HR maps, one of 0 leaves LR maps free. Above the "
  "dashed line, where gates start, it counts as HR. Right: where ties join channels of no common "
  "HR map."
)


@mpl.rc_context(STYLE)
def gates(results: dict[str, Any]) -> Figure | None:
  """The gates of every seed, learned with the phases of HR maps and with shuffled channels."""
  if LEARNING not in results:
    return None
  variants = results[LEARNING]["variants"]
  figure, _ = new_figure(3.6)
  figure.clear()
  panels = figure.subplots(1, 2, sharey=True)
  for axes, kind in zip(panels, (LEARNED, SHUFFLED), strict=True):
    for seed, values in enumerate(variants[kind]["gates"]):
      places = np.arange(1, len(values) + 1)
      axes.plot(
        places,
        np.array(values, float),
        "o-",
        color=COLOURS[seed % len(COLOURS)],
        alpha=0.7,
        markersize=4,
      )
    axes.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
    axes.set(title=kind, ylim=(-0.03, 1.03), xticks=places, xlabel=_axis(results))
  panels[0].set_ylabel("gate")
  return figure


def _axis(results: dict[str, Any]) -> str:
  return "state" if results[LEARNING]["question"] == "when" else "HR map"


def rows(results: dict[str, Any]) -> list[list[str]]:
  """The mean gates of every variant, what they choose, and how they fit held-out photographs."""
  table = [["gates", "mean at the end", "chosen", "PSNR of held-out patches (dB)"]]
  if LEARNING not in results:
    return table
  learning = results[LEARNING]
  for kind, variant in learning["variants"].items():
    means = np.nanmean(np.array(variant["gates"], float), axis=0)
    chosen = [choice or "diverged" for choice in learning["chosen"].get(kind, [])]
    fits = [psnr for psnr in variant["held_out"] if psnr is not None]
    table.append(
      [
        kind,
        ", ".join(f"{mean:.2f}" for mean in means),
        ", ".join(chosen) if chosen else "-",
        f"{np.mean(fits):.3f}" if fits else "diverged",
      ]
    )
  return table
