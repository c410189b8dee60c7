"""What several tasks say together: the mean effect over tasks like these, and how they differ.

The model is random effects, y[i] = mu + task_i + error_i, where task_i has an unknown standard
deviation tau and error_i the known standard error of the effect of task i. The question is about
mu, the mean over tasks of which these are a sample. In a meta-regression mu[i] = x[i] . b, and the
question is about the coefficients b.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import chdtrc, chdtri, fdtrc, stdtrit

from sr_jax.comparison.statistics import LEVEL

TAIL = (1 - LEVEL) / 2


@dataclasses.dataclass(frozen=True)
class RandomEffect:
  """The mean effect over tasks, in the unit of the effects, with 95 % intervals.

  Attributes:
    mean: weighted by 1 / (error^2 + tau^2); None of no task.
    count: k, the number of tasks.
    low, high: the interval of the mean; None for less than two tasks.
    tau: the standard deviation between tasks beyond their errors; None for less than two tasks.
    prediction_low, prediction_high: where the true effect of a new task is expected; None for less
      than three tasks.
  """

  mean: float | None
  count: int
  low: float | None = None
  high: float | None = None
  tau: float | None = None
  prediction_low: float | None = None
  prediction_high: float | None = None


def random_effect(effects: Sequence[float], errors: Sequence[float]) -> RandomEffect:
  """Combines effects of tasks in one unit, each with its standard error.

  tau^2 is Paule and Mandel's (1982): with it the generalised Q, the sum of
  w (y - mean)^2 where w = 1 / (error^2 + tau^2), equals its expectation k - 1; zero where Q is
  below that already. The interval is Hartung and Knapp's (2001) with t of k - 1 degrees of
  freedom, which covers the truth with few tasks where one with a normal quantile does not
  (IntHout et al. 2014). Its variance is q / sum(w), q = Q / (k - 1). Where effects are very alike q
  is below 1, and the interval could be narrower than one without differences between tasks; so q
  is taken as at least 1, Knapp and Hartung's (2003) modification. With this tau q is 1, or below 1
  at tau = 0, so that what is left is 1 / sum(w). The prediction interval is that of Higgins et al.
  (2009), with t of k - 2 degrees of freedom.

  In simulations of eight tasks the interval covers the truth in 94 to 99 % of cases where errors
  differ up to fourfold, the most where tasks do not differ. Where they differ twentyfold and tau
  is among them, a tau of 0 by chance leaves little but the task of the smallest error: then it is
  about 90 %. The prediction interval covers 86 to 99 % of new tasks, the least where tau is about
  as large as the errors.

  Args:
    effects: of k tasks.
    errors: their standard errors, above zero and finite, in the unit of the effects.

  Returns:
    The mean and its intervals; of one task its effect alone.

  Raises:
    ValueError: numbers of effects and errors differ, or an effect is not finite, or an error is not
      above zero: a task that is known exactly would leave the others without weight.
  """
  values, variances = _checked(effects, errors)
  count = len(values)
  if count < 2:
    return RandomEffect(float(values[0]) if count else None, count)
  tau_squared = _paule_mandel(values, variances, np.ones((count, 1)))
  weights = 1 / (variances + tau_squared)
  mean = float(weights @ values / weights.sum())
  half_width = quantile(count - 1) / math.sqrt(weights.sum())
  summary = RandomEffect(
    mean=mean,
    count=count,
    low=mean - half_width,
    high=mean + half_width,
    tau=math.sqrt(tau_squared),
  )
  if count < 3:
    return summary
  spread = quantile(count - 2) * math.sqrt(tau_squared + 1 / weights.sum())
  return dataclasses.replace(summary, prediction_low=mean - spread, prediction_high=mean + spread)


def _checked(
  effects: Sequence[float], errors: Sequence[float]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
  """Effects, and the squares of their standard errors."""
  if len(effects) != len(errors):
    raise ValueError(f"{len(effects)} effects need as many standard errors, not {len(errors)}")
  values, variances = np.array(effects, np.float64), np.array(errors, np.float64) ** 2
  for index, (value, error) in enumerate(zip(effects, errors, strict=True)):
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
      raise ValueError(
        f"effect {index} is {value} with the standard error {error}: both must be finite and the "
        f"error above zero; leave the task out"
      )
  return values, variances


@dataclasses.dataclass(frozen=True)
class Regression:
  """A random-effects meta-regression of k effects on p regressors.

  Attributes:
    coefficients: b, one for each regressor.
    covariance: of b, p by p.
    degrees_of_freedom: k - p, of the t distribution of b.
    tau: the standard deviation of the effects about the regression beyond their errors.
    tau_low, tau_high: its 95 % interval.
    q: the sum of (residual / error)^2 at tau = 0.
    p_homogeneous: the probability of at least this q if tau = 0.
  """

  coefficients: Float[np.ndarray, " p"]
  covariance: Float[np.ndarray, "p p"]
  degrees_of_freedom: int
  tau: float
  tau_low: float
  tau_high: float
  q: float
  p_homogeneous: float

  def value(self, regressors: Sequence[float]) -> tuple[float, float, float]:
    """The mean effect at these regressors, and its 95 % interval."""
    x = np.array(regressors, np.float64)
    mean = float(x @ self.coefficients)
    half_width = quantile(self.degrees_of_freedom) * math.sqrt(x @ self.covariance @ x)
    return mean, mean - half_width, mean + half_width

  def p_all_zero(self, indices: Sequence[int]) -> float:
    """p-value of the claim that all these coefficients are zero, by Knapp and Hartung's F test."""
    chosen = list(indices)
    b, covariance = self.coefficients[chosen], self.covariance[np.ix_(chosen, chosen)]
    f = float(b @ np.linalg.solve(covariance, b)) / len(chosen)
    return float(fdtrc(len(chosen), self.degrees_of_freedom, f))


def regress(
  effects: Sequence[float], errors: Sequence[float], regressors: Sequence[Sequence[float]]
) -> Regression:
  """Fits effects, each with its known standard error, by regressors, each with its own.

  As `random_effect`, which is its case of the single regressor 1: tau is Paule and Mandel's, with
  which the generalised Q is k - p (DerSimonian and Kacker 2007), and coefficients have Knapp and
  Hartung's (2003) t distribution of k - p degrees of freedom, with q at least 1. The interval of
  tau is the Q-profile's (Viechtbauer 2007): at its ends Q(tau) is a 2.5 % quantile of chi-squared.
  Residuals smaller than errors explain would make its upper end too small, or leave none at all;
  there Q(tau) is taken to be what it is on average where tau is zero.

  Args:
    effects: of k tasks.
    errors: their standard errors, above zero and finite, in the unit of the effects.
    regressors: k rows of p numbers, of full rank, where p < k.

  Raises:
    ValueError: as `random_effect`, or regressors are not of full rank, or p is not below k.
  """
  values, variances = _checked(effects, errors)
  design = np.array(regressors, np.float64)
  count, width = design.shape
  if width >= count or np.linalg.matrix_rank(design) < width:
    raise ValueError(f"{count} effects do not determine {width} coefficients and a spread")
  freedom = count - width
  arguments = (values, variances, design)
  tau_squared = _paule_mandel(*arguments)
  weights = 1 / (variances + tau_squared)
  q = float(_generalised_q(0.0, *arguments))
  return Regression(
    coefficients=_weighted_fit(values, design, weights),
    covariance=np.linalg.inv(design.T @ (weights[:, None] * design)),
    degrees_of_freedom=freedom,
    tau=math.sqrt(tau_squared),
    tau_low=math.sqrt(_tau_squared_where(_generalised_q, float(chdtri(freedom, TAIL)), arguments)),
    tau_high=math.sqrt(_tau_squared_where(_profile, float(chdtri(freedom, 1 - TAIL)), arguments)),
    q=q,
    p_homogeneous=float(chdtrc(freedom, q)),
  )


def _weighted_fit(
  values: Float[np.ndarray, " k"],
  design: Float[np.ndarray, "k p"],
  weights: Float[np.ndarray, " k"],
) -> Float[np.ndarray, " p"]:
  weighted = weights[:, None] * design
  return np.linalg.solve(weighted.T @ design, weighted.T @ values)


def _paule_mandel(
  values: Float[np.ndarray, " k"],
  variances: Float[np.ndarray, " k"],
  design: Float[np.ndarray, "k p"],
) -> float:
  """Variance between tasks with which the generalised Q is k - p, or zero."""
  freedom = len(values) - design.shape[1]
  return _tau_squared_where(_generalised_q, float(freedom), (values, variances, design))


def _tau_squared_where(
  q: Callable[..., float], target: float, arguments: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> float:
  """Variance between tasks with which q is the target, or zero where it is below that already."""
  if q(0.0, *arguments) <= target:
    return 0.0
  # Q falls as tau grows: residuals of weighted least squares are smaller, so weighted, than those
  # of equal weights, and at tau^2 = bound these give at most half the target.
  values, variances, design = arguments
  residuals = values - design @ _weighted_fit(values, design, np.ones(len(values)))
  bound = 2 * float(residuals @ residuals + variances.sum()) / target
  return float(brentq(lambda x: q(x, *arguments) - target, 0.0, bound, xtol=1e-14 * bound))


def _generalised_q(
  tau_squared: float,
  values: Float[np.ndarray, " k"],
  variances: Float[np.ndarray, " k"],
  design: Float[np.ndarray, "k p"],
) -> float:
  """The sum of squared residuals of the weighted fit, times their weights."""
  weights = 1 / (variances + tau_squared)
  residuals = values - design @ _weighted_fit(values, design, weights)
  return float(weights @ residuals**2)


def _profile(
  tau_squared: float,
  values: Float[np.ndarray, " k"],
  variances: Float[np.ndarray, " k"],
  design: Float[np.ndarray, "k p"],
) -> float:
  """The generalised Q, but not less than its mean where tasks do not differ."""
  weights = 1 / (variances + tau_squared)
  weighted = weights[:, None] * design
  projection = weighted @ np.linalg.solve(design.T @ weighted, weighted.T)
  mean = float(variances @ (weights - np.diag(projection)))
  return max(_generalised_q(tau_squared, values, variances, design), mean)


def quantile(degrees_of_freedom: int) -> float:
  """How many standard errors a 95 % t interval reaches on either side."""
  return float(stdtrit(degrees_of_freedom, 0.5 + LEVEL / 2))
