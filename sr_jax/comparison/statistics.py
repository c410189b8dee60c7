"""How sure one may be of a mean paired difference when both seeds and images are samples.

The differences form a table of S seeds by I images, each cell one observation. The model is
two-way random effects, d[s, i] = mu + seed_s + image_i + error, and the question is about mu: what
new seeds on new images would give.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

# dB, the smallest effect size of interest: smaller ones are invisible, yet commonly reported.
SESOI = 0.05
LEVEL = 0.95
MIN_IMAGES = 6  # of fewer, as skewed as real ones are, an interval covers less than it says
RESAMPLES = 10_000

Decision = Literal["supported", "reversed", "equivalent", "undecided", "too few photographs"]


@dataclasses.dataclass(frozen=True)
class Effect:
  """A mean paired difference with its 95 % intervals, and two estimates beside the mean.

  It is in the unit of the scores, as dB; SESOI is the smallest effect of interest in that unit.

  Attributes:
    mean: over all cells, of differences; this one decides.
    seeds: S.
    images: I.
    median: over images, of the mean over seeds.
    pooled: the mean over seeds of the difference in PSNR after errors are pooled over images.
    low, high: the two-way random-effects interval; None for less than two seeds or images.
    degrees_of_freedom: of its widest t distribution, that of seeds and images together.
    p_supported: one-sided p-value of "the mean is at most +SESOI"; None where nothing is decided.
    p_reversed: of "the mean is at least -SESOI".
    p_equivalent: of "the mean is at least SESOI from zero" (two one-sided tests).
    seed_low, seed_high: the t interval over seeds alone: of these images, whatever others give.
    bootstrap_low, bootstrap_high: the crossed percentile bootstrap, for comparison.
    decision: what the interval says of the claim "the difference is above SESOI".
  """

  mean: float | None
  seeds: int
  images: int
  median: float | None = None
  pooled: float | None = None
  low: float | None = None
  high: float | None = None
  degrees_of_freedom: float | None = None
  p_supported: float | None = None
  p_reversed: float | None = None
  p_equivalent: float | None = None
  seed_low: float | None = None
  seed_high: float | None = None
  bootstrap_low: float | None = None
  bootstrap_high: float | None = None
  decision: Decision = "undecided"


def paired_effect(first: Float[np.ndarray, "s i"], second: Float[np.ndarray, "s i"]) -> Effect:
  """Summarises what one network's PSNR has over another's, `(seeds, images)` in dB, all finite."""
  summary = effect(first - second)
  if not first.size:
    return summary
  pooled = np.mean(_pooled_psnr(first) - _pooled_psnr(second))
  return dataclasses.replace(summary, pooled=float(pooled))


def _pooled_psnr(psnr: Float[np.ndarray, "s i"]) -> Float[np.ndarray, " s"]:
  """PSNR in dB of squared errors averaged over images."""
  return -10 * np.log10(np.mean(10 ** (-psnr / 10), axis=1))


def effect(differences: Float[np.ndarray, "s i"], sesoi: float = SESOI) -> Effect:
  """Summarises a table of paired differences, `(seeds, images)`, all finite.

  Args:
    differences: in dB, or in another unit.
    sesoi: the smallest effect size of interest, in the unit of the differences.
  """
  seeds, images = differences.shape
  if not differences.size:
    return Effect(None, seeds, images)
  mean = float(differences.mean())
  median = float(np.median(differences.mean(axis=0)))
  if min(seeds, images) < 2:
    few: Decision = "too few photographs" if images < MIN_IMAGES else "undecided"
    return Effect(mean, seeds, images, median, decision=few)
  errors, freedoms = standard_errors(differences)
  half_width = float(ci_half_width(errors, freedoms))
  seed_half_width = ci_half_width_over_seeds(differences.mean(axis=1)) or 0.0
  bootstrap_low, bootstrap_high = crossed_bootstrap(differences)
  above = below = inside = None
  if images >= MIN_IMAGES:
    above, below = (_p_value(sign * mean - sesoi, errors, freedoms) for sign in (1, -1))
    inside = max(_p_value(sesoi - sign * mean, errors, freedoms) for sign in (1, -1))
  return Effect(
    mean=mean,
    seeds=seeds,
    images=images,
    median=median,
    low=mean - half_width,
    high=mean + half_width,
    degrees_of_freedom=float(freedoms[0]),
    p_supported=above,
    p_reversed=below,
    p_equivalent=inside,
    seed_low=mean - seed_half_width,
    seed_high=mean + seed_half_width,
    bootstrap_low=bootstrap_low,
    bootstrap_high=bootstrap_high,
    decision=decision_of(mean - half_width, mean + half_width, images, sesoi),
  )


def interval(differences: Float[np.ndarray, "s i"]) -> dict[str, float | None]:
  """The mean of a table with its 95 % interval, "mean", "low" and "high"; None as in `Effect`."""
  summary = effect(differences)
  return {"mean": summary.mean, "low": summary.low, "high": summary.high}


def holm(p_values: Sequence[float], family_size: int) -> list[float]:
  """Holm's (1979) adjusted p-values: below 0.05 together, the chance of one false claim is 5 %.

  The smallest is multiplied by the size of the family, the next by one less, and so on; none may
  fall below the one before it. Members of the family that were not tested count as if their
  p-values were the largest.
  """
  adjusted = [0.0] * len(p_values)
  floor = 0.0
  for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
    floor = max(floor, min(1.0, (family_size - rank) * p_values[i]))
    adjusted[i] = floor
  return adjusted


def ci_half_width_over_seeds(values: Float[np.ndarray, " s"]) -> float | None:
  """Half the 95 % t interval of a mean over seeds; None for one seed, which says nothing of it."""
  if len(values) < 2:
    return None
  quantile = stdtrit(len(values) - 1, 0.5 + LEVEL / 2)
  return float(quantile * values.std(ddof=1) / math.sqrt(len(values)))


def standard_errors(
  differences: Float[np.ndarray, "*n s i"],
) -> tuple[Float[np.ndarray, "*n 3"], Float[np.ndarray, "*n 3"]]:
  """Three standard errors of the mean of each table, and the degrees of freedom of each.

  With the mean squares of seeds and images, MS_s and MS_i, the first is
  `sqrt((MS_s + MS_i) / (S I))` with Satterthwaite's degrees of freedom: both margins contain the
  error once, so that their sum counts it twice, and leaving it in costs little width where there
  are many cells and needs no difference of mean squares, which could be negative. The other two
  are those of the t intervals over seeds alone and over images alone.
  """
  seeds, images = differences.shape[-2:]
  cells = seeds * images
  ms_seeds = images * differences.mean(axis=-1).var(axis=-1, ddof=1)
  ms_images = seeds * differences.mean(axis=-2).var(axis=-1, ddof=1)
  both = ms_seeds + ms_images
  spread = ms_seeds**2 / (seeds - 1) + ms_images**2 / (images - 1)
  min_df = float(min(seeds, images) - 1)  # where nothing varies, any number gives no width
  freedom = np.divide(both**2, spread, out=np.full_like(both, min_df), where=spread > 0)
  errors = np.sqrt(np.stack([both, ms_seeds, ms_images], axis=-1) / cells)
  alone = [np.full_like(both, count - 1) for count in (seeds, images)]
  return errors, np.stack([freedom, *alone], axis=-1)


def largest_error(differences: Float[np.ndarray, "s i"]) -> float | None:
  """The largest of `standard_errors`; None where there is no interval, or nothing varies."""
  if min(differences.shape) < 2:
    return None
  return float(standard_errors(differences)[0].max()) or None


def ci_half_width(
  errors: Float[np.ndarray, "*n 3"], freedoms: Float[np.ndarray, "*n 3"]
) -> Float[np.ndarray, "*n"]:
  """Half the 95 % interval of a mean over seeds and images: the widest of three t intervals.

  It is a continuous function of the data, and never narrower than the interval over seeds alone or
  the one over images alone.
  """
  return np.asarray(np.max(stdtrit(freedoms, 0.5 + LEVEL / 2) * errors, axis=-1))


def _p_value(
  excess: float, errors: Float[np.ndarray, "3"], freedoms: Float[np.ndarray, "3"]
) -> float:
  """One-sided p-value of an excess over a bound.

  The largest of the three t tests': below 0.025 where, and only where, the interval excludes the
  bound.
  """
  certain = math.inf if excess > 0 else -math.inf  # where nothing varies
  with np.errstate(divide="ignore", invalid="ignore"):
    statistics = np.where(errors > 0, excess / errors, certain)
  return float(np.max(stdtr(freedoms, -statistics)))


def crossed_bootstrap(differences: Float[np.ndarray, "s i"]) -> tuple[float, float]:
  """Percentile interval from resampling seeds and images independently.

  It stands beside the t interval because readers expect it; with few seeds and images it covers
  the truth less often than it says (benchmarks/coverage.py).
  """
  seed_weights, image_weights = _resampling_weights(*differences.shape)
  means = (seed_weights @ differences * image_weights).sum(axis=1)
  low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
  return float(low), float(high)


@functools.lru_cache(maxsize=4)  # contrasts of a run share them
def _resampling_weights(seeds: int, images: int) -> tuple[np.ndarray, np.ndarray]:
  """The weight of every seed, and of every image, in each resample."""
  rng = np.random.default_rng(0)
  weights = [
    rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) / count
    for count in (seeds, images)
  ]
  return weights[0], weights[1]


def decision_of(low: float, high: float, images: int, sesoi: float = SESOI) -> Decision:
  """What an interval says: beyond `sesoi` on either side, within it on both, or neither.

  Of fewer than `MIN_IMAGES` photographs it says nothing.
  """
  if images < MIN_IMAGES:
    return "too few photographs"
  if low > sesoi:
    return "supported"
  if high < -sesoi:
    return "reversed"
  if low > -sesoi and high < sesoi:
    return "equivalent"
  return "undecided"
