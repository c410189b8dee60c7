"""How sure one may be of a mean paired difference when both seeds and images are samples.

The differences form a table of S seeds by I images, each cell one observation. The model is
two-way random effects, d[s, i] = mu + seed_s + image_i + error, and the question is about mu: what
new seeds on new images would give.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

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
    p: two-sided p-value of "the difference is zero" by the same t test.
    seed_low: lower end of the t interval over seeds alone: of these images, whatever others give.
    seed_high: its upper end.
    bootstrap_low: lower end of the crossed percentile bootstrap, for comparison.
    bootstrap_high: its upper end.
    decision: what the t interval says of the claim "the difference is above SESOI".
  """

  mean: float | None
  seeds: int
  images: int
  low: float | None = None
  high: float | None = None
  degrees_of_freedom: float | None = None
  p: float | None = None
  seed_low: float | None = None
  seed_high: float | None = None
  bootstrap_low: float | None = None
  bootstrap_high: float | None = None
  decision: Decision = "undecided"


def effect(differences: Float[np.ndarray, "s i"]) -> Effect:
  """Summarises a table of paired differences in dB, `(seeds, images)`, all finite."""
  seeds, images = differences.shape
  if not differences.size:
    return Effect(None, seeds, images)
  mean = float(differences.mean())
  if min(seeds, images) < 2:
    return Effect(mean, seeds, images)
  error, freedom = two_way_standard_error(differences)
  reach = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * error
  over_seeds = reach_of_mean(differences.mean(axis=1)) or 0.0
  bootstrap_low, bootstrap_high = crossed_bootstrap(differences)
  return Effect(
    mean=mean,
    seeds=seeds,
    images=images,
    low=mean - reach,
    high=mean + reach,
    degrees_of_freedom=freedom,
    p=2 * float(stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0),
    seed_low=mean - over_seeds,
    seed_high=mean + over_seeds,
    bootstrap_low=bootstrap_low,
    bootstrap_high=bootstrap_high,
    decision=decide(mean - reach, mean + reach),
  )


def holm(p_values: Sequence[float]) -> list[float]:
  """Holm's (1979) adjusted p-values: below 0.05 together, the chance of one false claim is 5 %.

  The smallest is multiplied by their number, the next by one less, and so on; none may fall below
  the one before it.
  """
  adjusted = [0.0] * len(p_values)
  least = 0.0
  for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
    least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
    adjusted[i] = least
  return adjusted


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
