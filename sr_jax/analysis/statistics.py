"""How sure one may be of a mean paired difference when both seeds and images are samples.

The differences form a table of S seeds by I images, each cell one observation. The model is
two-way random effects, d[s, i] = mu + seed_s + image_i + error, and the question is about mu: what
new seeds on new images would give.
"""

import dataclasses
import math
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

SESOI = 0.05  # dB, the smallest effect size of interest: what seeds alone can move a good recipe by
LEVEL = 0.95
RESAMPLES = 10_000

Decision = Literal["supported", "reversed", "equivalent", "undecided"]


@dataclasses.dataclass(frozen=True)
class Effect:
  """A mean paired difference in dB with its 95 % intervals.

  Attributes:
    mean: over all cells.
    seeds: S.
    images: I.
    low: lower end of the two-way random-effects t interval; None for less than two seeds or images.
    high: its upper end.
    degrees_of_freedom: of the t distribution.
    bootstrap_low: lower end of the crossed percentile bootstrap, for comparison.
    bootstrap_high: its upper end.
    decision: what the t interval says of the claim "the difference is above SESOI".
  """

  mean: float | None
  seeds: int
  images: int
  low: float | None
  high: float | None
  degrees_of_freedom: float | None
  bootstrap_low: float | None
  bootstrap_high: float | None
  decision: Decision


def effect(differences: Float[np.ndarray, "s i"]) -> Effect:
  """Summarises a table of paired differences in dB, `(seeds, images)`, all finite."""
  seeds, images = differences.shape
  if not differences.size:
    return Effect(None, seeds, images, None, None, None, None, None, "undecided")
  mean = float(differences.mean())
  if min(seeds, images) < 2:
    return Effect(mean, seeds, images, None, None, None, None, None, "undecided")
  error, freedom = two_way_standard_error(differences)
  reach = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * error
  low, high = mean - reach, mean + reach
  bootstrap_low, bootstrap_high = crossed_bootstrap(differences)
  return Effect(
    mean, seeds, images, low, high, freedom, bootstrap_low, bootstrap_high, decide(low, high)
  )


def reach_of_mean(values: Float[np.ndarray, " s"]) -> float | None:
  """Half the 95 % t interval of a mean over seeds; None for one seed, which says nothing of it."""
  if len(values) < 2:
    return None
  reach = stdtrit(len(values) - 1, 0.5 + LEVEL / 2) * values.std(ddof=1) / math.sqrt(len(values))
  return float(reach)


def two_way_standard_error(differences: Float[np.ndarray, "s i"]) -> tuple[float, float]:
  """Standard error of the mean under crossed random seeds and images.

  With the mean squares of seeds, images and error, the variance of the mean is estimated by
  `max(MS_s + MS_i - MS_e, MS_s, MS_i) / (S I)`, which cannot fall below either margin's own. The
  degrees of freedom are Satterthwaite's, at least `min(S, I) - 1`.

  Returns:
    `(standard error, degrees of freedom)`.
  """
  seeds, images = differences.shape
  mean = differences.mean()
  by_seed = differences.mean(axis=1, keepdims=True)
  by_image = differences.mean(axis=0, keepdims=True)
  residual = differences - by_seed - by_image + mean
  ms_seed = float(images * ((by_seed - mean) ** 2).sum() / (seeds - 1))
  ms_image = float(seeds * ((by_image - mean) ** 2).sum() / (images - 1))
  ms_error = float((residual**2).sum() / ((seeds - 1) * (images - 1)))

  both = ms_seed + ms_image - ms_error
  largest = max(both, ms_seed, ms_image)
  fewest = float(min(seeds, images) - 1)
  if largest == 0:
    return 0.0, fewest
  if largest == both:
    terms = (
      ms_seed**2 / (seeds - 1),
      ms_image**2 / (images - 1),
      ms_error**2 / ((seeds - 1) * (images - 1)),
    )
    freedom = both**2 / sum(terms)
  else:
    freedom = seeds - 1 if largest == ms_seed else images - 1
  return math.sqrt(largest / (seeds * images)), max(fewest, float(freedom))


def crossed_bootstrap(differences: Float[np.ndarray, "s i"]) -> tuple[float, float]:
  """Percentile interval from resampling seeds and images independently.

  It stands beside the t interval because readers expect it; with few seeds and images it covers
  the truth in only 77 to 92 % of cases.
  """
  rng = np.random.default_rng(0)
  seeds, images = differences.shape
  pick_seed = rng.integers(0, seeds, (RESAMPLES, seeds))
  pick_image = rng.integers(0, images, (RESAMPLES, images))
  count_seed = np.stack([np.bincount(pick, minlength=seeds) for pick in pick_seed]) / seeds
  count_image = np.stack([np.bincount(pick, minlength=images) for pick in pick_image]) / images
  means = np.einsum("bs,si,bi->b", count_seed, differences, count_image)
  low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
  return float(low), float(high)


def decide(low: float, high: float) -> Decision:
  """What an interval says: beyond SESOI on either side, within it on both, or neither."""
  if low > SESOI:
    return "supported"
  if high < -SESOI:
    return "reversed"
  if low > -SESOI and high < SESOI:
    return "equivalent"
  return "undecided"
