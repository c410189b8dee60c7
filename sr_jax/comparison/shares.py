"""The effect of an arm as a share of what the reference network gains over no network.

Scores of tasks have different units; shares of a gain have none, so that tasks stand on one axis.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from sr_jax.comparison.statistics import Decision, effect, largest_error

# The smallest share of interest. At SR x2 the reference gains 1 to 2 dB over bicubic interpolation,
# of which this is 0.05 to 0.1 dB: about the SESOI of differences in dB.
SHARE_SESOI = 0.05


@dataclasses.dataclass(frozen=True)
class Share:
  """A difference from the reference as a share of its gain, with the 95 % interval.

  Attributes:
    mean: the ratio of the mean difference to the mean gain; None where there is no sure gain.
    seeds: S.
    images: I.
    low, high: the two-way random-effects interval; None for less than two seeds or images.
    error: the standard error to weigh the share by among tasks; None where there is no interval,
      and where nothing varies, which leaves none to weigh by.
    p_supported: one-sided p-value of "the share is at most SHARE_SESOI"; None where nothing is
      decided.
    decision: what the interval says of the claim "the share is above SHARE_SESOI".
    reason: why there is no share; empty where there is.
  """

  mean: float | None
  seeds: int
  images: int
  low: float | None = None
  high: float | None = None
  error: float | None = None
  p_supported: float | None = None
  decision: Decision = "undecided"
  reason: str = ""


def share_of_gain(
  arm: Float[np.ndarray, "s i"],
  reference: Float[np.ndarray, "s i"],
  without_network: Float[np.ndarray, " i"],
) -> Share:
  """Compares an arm with the reference network in units of what the latter gains.

  The share is mean(arm - reference) / mean(reference - without_network). Both means are uncertain,
  and together: a reference that scores high by chance lowers the one and raises the other. So the
  interval is of the linearised ratio, whose cells are
  (arm - reference) / G - share * (gain - G) / G with the mean gain G: their mean is the share, and
  their spread is, to first order, that of the ratio (the delta method). It needs a gain well above
  its own uncertainty; one whose interval reaches zero gives no share.

  The error is the largest of the three of `standard_errors`, which is that of seeds and images
  together. It is not the half width over a normal quantile, which with two or three seeds holds a
  large t quantile: errors too large hide that tasks differ. In simulations of eight tasks of two
  seeds and eight images, with tau 0.1 and errors that differ twentyfold, the interval of
  `random_effect` covers the truth in 93 % of cases with the one and in 80 % with the other.

  Args:
    arm: scores, higher is better, all finite, in any unit.
    reference: of the reference network, with the same seeds and images.
    without_network: of each image as no network gives it.
  """
  seeds, images = arm.shape
  if not arm.size:
    return Share(None, seeds, images, reason="nothing was scored")
  gains = reference - without_network
  gain = effect(gains)
  assert gain.mean is not None
  if gain.mean <= 0:
    return Share(None, seeds, images, reason="the reference gains nothing over no network")
  if gain.low is not None and gain.low <= 0:
    reason = "the interval of what the reference gains over no network includes zero"
    return Share(None, seeds, images, reason=reason)
  differences = arm - reference
  share = differences.mean() / gain.mean
  cells = (differences - share * (gains - gain.mean)) / gain.mean
  summary = effect(cells, SHARE_SESOI)
  return Share(
    mean=summary.mean,
    seeds=seeds,
    images=images,
    low=summary.low,
    high=summary.high,
    error=largest_error(cells),
    p_supported=summary.p_supported,
    decision=summary.decision,
  )
