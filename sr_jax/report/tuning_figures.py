"""The figure of networks that leave the plateau of the best linear filter, or stay on it."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sr_jax.comparison.escape import ESCAPE
from sr_jax.comparison.titles import titled
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, new_figure


@mpl.rc_context(STYLE)
def plateau(results: dict[str, Any]) -> Figure | None:
  """Validation PSNR of every arm against the step, and that of the filter; None without either."""
  if ESCAPE not in results:
    return None
  linear = results[ESCAPE]["validation_psnr"]
  figure, axes = new_figure(4.0)
  lows = [linear]
  for place, (name, arm) in enumerate(results[ESCAPE]["arms"].items()):
    psnr = np.ma.masked_invalid(np.array(arm["validation_psnr"], float))
    if psnr.mask.all():
      continue
    look: Any = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
    mean = psnr.mean(axis=1)
    axes.plot(arm["steps"], mean, **look, markersize=4, linewidth=1.2, label=titled(name))
    low, high = (np.ma.filled(edge, np.nan) for edge in (psnr.min(axis=1), psnr.max(axis=1)))
    axes.fill_between(arm["steps"], low, high, color=look["color"], alpha=0.15, linewidth=0)
    later = len(mean) // 6  # the rise from bicubic interpolation would flatten all that follows
    lows.append(float(mean[later:].min()))
  axes.axhline(linear, color="0.3", linestyle="--", linewidth=1)
  axes.set_ylim(bottom=min(lows) - 0.1)
  axes.set(xlabel="step", ylabel="validation PSNR (dB)")
  axes.annotate(
    "best linear filter",
    (1, linear),
    xycoords=axes.get_yaxis_transform(),
    ha="right",
    va="bottom",
    size=9,
  )
  figure.legend(frameon=False, loc="outside upper center", ncols=3)
  return figure
