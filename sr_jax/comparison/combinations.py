"""Linear contrasts of arms, and the curve of PSNR that the number of weights alone predicts."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np

Weights = dict[str, float]  # by arm
LEAST = 1e-9  # below which a weight is rounding


@dataclasses.dataclass(frozen=True)
class Best:
  """In place of an arm: the best of these on validation photographs."""

  arms: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Combination:
  """A linear contrast of arms: the sum of their PSNR, each times its weight.

  Attributes:
    group: what it is for; the p-values of a group are adjusted together (Holm).
    name: of the effect, as a table has it.
    question: that the effect answers.
    weights: by arm, or by the best of several; they sum to zero.
    is_less_curve: whether what the number of weights predicts is subtracted.

  Raises:
    ValueError: the weights do not sum to zero.
  """

  group: str
  name: str
  question: str
  weights: Mapping[str, float] | Mapping[str | Best, float]
  is_less_curve: bool = False

  def __post_init__(self) -> None:
    """Checks the weights, and leaves out arms whose weight is zero but for rounding."""
    if abs(total := sum(self.weights.values())) > LEAST:
      raise ValueError(f"the weights of {self.name} sum to {total:g}, not to zero")
    kept = {arm: float(weight) for arm, weight in self.weights.items() if abs(weight) > LEAST}
    object.__setattr__(self, "weights", kept)


@dataclasses.dataclass(frozen=True)
class WeightCurve:
  """PSNR against log2(parameters): a line, fitted by least squares over arms of the same run.

  The slope of the line is itself a linear combination of those arms, `sum_c b_c PSNR_c` with
  `b_c = (x_c - mean x) / sum_c (x_c - mean x)^2` and x = log2(parameters). So an effect less what
  the line predicts for it, `sum_a w_a PSNR_a - (sum_a w_a x_a) slope`, is one linear contrast
  again, and its interval contains the error of the line, paired over seeds and photographs like
  all else. With a slope taken from elsewhere, the interval would be too narrow.

  Attributes:
    parameters: of every arm of the run.
    arms: over which the line is fitted, two or more of different numbers of parameters.
  """

  parameters: Mapping[str, int]
  arms: tuple[str, ...]

  def slope(self, left_out: str | None = None) -> Weights:
    """The weights whose contrast is the slope in dB per doubling; one arm can be left out."""
    arms = [arm for arm in self.arms if arm != left_out]
    x = self._doublings(arms)
    offsets = x - x.mean()
    return dict(zip(arms, (offsets / (offsets @ offsets)).tolist(), strict=True))

  def less_predicted(self, weights: Mapping[str, float]) -> Weights:
    """The contrast of these weights, less what the line predicts for it."""
    predicted = float(self._doublings(weights) @ np.array(list(weights.values())))
    return add(weights, self.slope(), -predicted)

  def deviation(self, arm: str) -> Weights:
    """The contrast of an arm of the line with the line through the others, at its parameters.

    Left out of the fit, since a line that an arm helps to fit comes closer to it.
    """
    others = [other for other in self.arms if other != arm]
    mean = dict.fromkeys(others, -1 / len(others))
    (x,), x_others = self._doublings([arm]), self._doublings(others)
    return add({arm: 1.0, **mean}, self.slope(arm), float(x_others.mean() - x))

  def _doublings(self, arms: Iterable[str]) -> np.ndarray:
    return np.array([math.log2(self.parameters[arm]) for arm in arms])


def add(weights: Mapping[str, float], others: Mapping[str, float], factor: float) -> Weights:
  """The weights plus a factor times others."""
  arms = dict.fromkeys([*weights, *others])
  return {arm: weights.get(arm, 0.0) + factor * others.get(arm, 0.0) for arm in arms}


def difference(first: str, second: str) -> Weights:
  """The weights of a contrast of two arms."""
  return {first: 1.0, second: -1.0}
