"""What untying brings: effects of all pairs, and how they grew while the networks were trained."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr_jax.comparison.nested_verdict import pair_title
from sr_jax.comparison.statistics import SESOI
from sr_jax.report.effect_figures import Line, forest_plot
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, WIDTH
from sr_jax.report.model import Json

ABOUT_EFFECTS = (
  "Untied less tied. Diamonds decide; circles, of test photographs, do not. Thin bars: 95 % "
  "intervals over seeds and photographs; thick: over seeds alone."
)
ABOUT_CURVES = (
  "Untied less tied: lines are means over seeds, bands their range. By Adam on batches, the same "
  "for both, averaged over tenths of the training; by L-BFGS on the fixed patches. Grey: less than "
  f"{SESOI:g} dB."
)


def effects(results: Json) -> Figure:
  """The effect of every pair: of both optimisers, on training patches and test photographs."""
  lines = []
  for pair in results["pairs"]:
    lines.append(Line(pair_title(pair)))
    shown = (
      ("Adam, training patches", pair["adam"]["training"], "D"),
      ("L-BFGS, its patches", pair["lbfgs"]["patches"], "D"),
      ("Adam, test photographs", pair["adam"]["test"], "o"),
      ("L-BFGS, test photographs", pair["lbfgs"]["test"], "o"),
    )
    for label, effect, marker in shown:
      colour = COLOURS["L-BFGS" in label]
      if effect["mean"] is None:
        lines.append(Line(label, "diverged"))
      else:
        # What is over seeds alone has no other interval.
        over_seeds = {"seed_low": effect["low"], "seed_high": effect["high"]}
        lines.append(Line(label, over_seeds | effect, (colour, marker)))
  return forest_plot(lines, ", untied - tied")


@mpl.rc_context(STYLE)
def curves(results: Json) -> Figure:
  """How the difference of every pair grew, in steps of Adam and in iterations of L-BFGS."""
  figure = Figure(figsize=(WIDTH, 6.5), layout="constrained")
  above, below = figure.subplots(2, 1)
  for axes in (above, below):
    axes.axhspan(-SESOI, SESOI, color="0.9", zorder=0)
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set_ylabel("PSNR difference (dB)")
  for pair, colour, marker in zip(results["pairs"], COLOURS, MARKERS, strict=False):
    looks: Any = {"color": colour, "marker": marker, "label": pair_title(pair)}
    by_arm = [results["arms"][pair[name]] for name in ("untied", "tied")]
    _draw(above, [arm["curve"]["batches_psnr"] for arm in by_arm], looks)
    _draw(below, [arm["lbfgs"]["patches_psnr"] for arm in by_arm], looks)
  above.set(title="Adam, on batches", xlabel="step after untying")
  below.set(title="L-BFGS, on fixed patches", xlabel="iteration")
  place: Any = {"frameon": False, "loc": "outside upper center", "ncols": 2}
  figure.legend(*above.get_legend_handles_labels(), **place)
  return figure


def _draw(axes: Axes, by_network: list[Json], looks: dict[str, Any]) -> None:
  """The difference of two networks' curves, where no member diverged."""
  untied, tied = (np.array(curve["members"], float) for curve in by_network)
  difference = untied - tied
  difference = difference[:, np.isfinite(difference).all(axis=0)]
  if not difference.size:
    return
  steps = by_network[0]["steps"]
  axes.plot(steps, difference.mean(axis=1), markersize=4, **looks)
  low, high = difference.min(axis=1), difference.max(axis=1)
  axes.fill_between(steps, low, high, color=looks["color"], alpha=0.2, linewidth=0)
