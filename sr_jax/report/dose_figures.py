"""The advantage of LR maps against log R, and the line through it."""

import math

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sr_jax.comparison.meta import quantile
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, new_figure
from sr_jax.report.model import Json

ASIDE = 0.07  # in log2 R: dimensions of the same R stand side by side
ABOUT = (
  "Points: LR - HR learned on a grid, in percent of what LR gains over interpolation; those of "
  "equal R stand side by side. Areas: weights in the fit; hollow: not in it. Bars: 95 % intervals "
  "over seeds and images. Line: the fit, with its 95 % interval. Dotted: the band of "
  f"{100 * SHARE_SESOI:g} % on either side, within which grids count as on one line."
)


@mpl.rc_context(STYLE)
def dose(results: Json) -> Figure | None:
  """Every grid's advantage against R, coloured by dimension; None where there is none."""
  verdict = results["verdict"]
  grids = [each for each in verdict["grids"].values() if each["advantage"]["mean"] is not None]
  if not grids:
    return None
  figure, axes = new_figure(4.4)
  axes.axhline(0, color="0.4", linewidth=0.8)
  doses = sorted({math.log2(grid["phases"]) for grid in grids})
  if line := verdict["line"]:
    x = np.linspace(doses[0] - 0.3, doses[-1] + 0.3, 100)
    ones = np.stack([np.ones_like(x), x])
    y = line["intercept"]["mean"] + line["slope"]["mean"] * x
    errors = np.sqrt(np.einsum("ix,ij,jx->x", ones, np.array(line["covariance"]), ones))
    half_width = quantile(line["degrees_of_freedom"]) * errors
    low, high = 100 * (y - half_width), 100 * (y + half_width)
    axes.fill_between(x, low, high, color="0.85", linewidth=0)
    axes.plot(x, 100 * y, color="0.3")
    for sign in (-1, 1):
      axes.plot(x, 100 * (y + sign * SHARE_SESOI), ":", color="0.3", linewidth=1)
  dimensions = sorted({grid["dims"] for grid in grids})
  heaviest = max(grid["weight"] or 0 for grid in grids) or 1
  for dims, colour, marker in zip(dimensions, COLOURS, MARKERS, strict=False):
    own = [grid for grid in grids if grid["dims"] == dims]
    middle = (len(dimensions) - 1) / 2
    for grid in own:
      place = math.log2(grid["phases"]) + ASIDE * (dimensions.index(dims) - middle)
      advantage, weight = grid["advantage"], grid["weight"]
      if advantage["low"] is not None:
        ends = [100 * advantage["low"], 100 * advantage["high"]]
        axes.plot([place, place], ends, color=colour, linewidth=1.4)
      size = 5 + 7 * math.sqrt((weight or 0) / heaviest)
      face = colour if weight else "white"
      label = f"d = {dims}" if grid is own[0] else None
      axes.plot(
        place,
        100 * advantage["mean"],
        marker,
        color=colour,
        markerfacecolor=face,
        markersize=size,
        label=label,
      )
  labels = [f"{2**dose:.0f}" for dose in doses]
  axes.set_xticks(doses, labels)
  axes.set(xlabel="R = r$^d$ (log scale)", ylabel="LR - HR learned (% of LR's gain)")
  legend = axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
  for handle in legend.legend_handles:
    handle.set_markersize(8)  # type: ignore[union-attr]
  return figure
