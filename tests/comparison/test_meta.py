import math

import numpy as np
import pytest
from scipy.stats import chi2, linregress, t

from sr_jax.comparison.meta import random_effect, regress

# Nine laboratories of Kacker (2004, Metrologia 41, 132), an example of Paule and Mandel's.
LABORATORIES = [61.00, 61.40, 62.21, 62.30, 62.34, 62.60, 62.70, 62.84, 65.90]
VARIANCES = [0.2025, 1.2100, 0.0900, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225]


def test_equal_effects_have_no_spread_and_keep_an_interval():
  # By hand: tau = 0, the variance of the mean is 0.1^2 / 4.
  summary = random_effect([0.3] * 4, [0.1] * 4)
  assert (summary.mean, summary.tau, summary.count) == (pytest.approx(0.3), 0, 4)
  assert summary.high - summary.mean == pytest.approx(t.ppf(0.975, 3) * 0.05)
  assert summary.mean - summary.low == pytest.approx(t.ppf(0.975, 3) * 0.05)
  assert summary.prediction_high - summary.mean == pytest.approx(t.ppf(0.975, 2) * 0.05)


def test_unequal_errors_weigh_by_the_inverse_variance():
  # By hand: weights 100 and 25, Q = 20 (0.05)^2 < 1, so that tau = 0.
  summary = random_effect([0.0, 0.05], [0.1, 0.2])
  assert (summary.mean, summary.tau) == (pytest.approx(0.01), 0)
  assert summary.high - summary.mean == pytest.approx(t.ppf(0.975, 1) / math.sqrt(125))


def test_two_tasks_that_differ():
  # By hand: Q = 2 / (0.1^2 + tau^2) = 1, so that tau^2 = 1.99; the interval is that of two values.
  summary = random_effect([-1.0, 1.0], [0.1, 0.1])
  assert summary.mean == pytest.approx(0, abs=1e-12)
  assert summary.tau == pytest.approx(math.sqrt(1.99), rel=1e-9)
  assert summary.high == pytest.approx(t.ppf(0.975, 1))
  assert summary.prediction_low is None


def test_effects_of_equal_errors_have_the_t_interval_of_the_effects():
  effects = [0.1, 0.5, -0.2, 0.9, 0.3]
  summary = random_effect(effects, [0.01] * 5)
  low, high = t.interval(0.95, 4, np.mean(effects), np.std(effects, ddof=1) / math.sqrt(5))
  assert (summary.low, summary.high) == (pytest.approx(low), pytest.approx(high))


def test_the_laboratories_of_the_literature():
  # tau of Kacker (2004); the others by R's metafor, rma(method="PM").
  summary = random_effect(LABORATORIES, np.sqrt(VARIANCES).tolist())
  assert summary.tau == pytest.approx(0.8399, abs=5e-5)
  assert summary.tau**2 == pytest.approx(0.705395309224248, rel=1e-9)
  assert summary.mean == pytest.approx(62.4076199113286, rel=1e-12)
  half_width = t.ppf(0.975, 8) * 0.338030602684471
  assert summary.high - summary.mean == pytest.approx(half_width, rel=1e-9)
  spread = t.ppf(0.975, 7) * math.sqrt(0.705395309224248 + 0.338030602684471**2)
  assert summary.prediction_high - summary.mean == pytest.approx(spread, rel=1e-9)


def test_q_is_at_most_one_so_that_the_modification_is_the_plain_variance():
  rng = np.random.default_rng(0)
  for spread in (0.0, 0.1, 1.0):
    values, errors = spread * rng.standard_normal(6), rng.uniform(0.05, 0.4, 6)
    summary = random_effect(values.tolist(), errors.tolist())
    weights = 1 / (errors**2 + summary.tau**2)
    q = weights @ (values - summary.mean) ** 2 / 5
    assert q <= 1 + 1e-9
    assert summary.tau == 0 or q == pytest.approx(1)
    variance = max(1, q) / weights.sum()
    assert summary.high - summary.mean == pytest.approx(t.ppf(0.975, 5) * math.sqrt(variance))


def test_order_scale_and_offset_change_nothing_else():
  values, errors = np.array([0.1, 0.4, -0.3, 0.8, 0.2]), np.array([0.1, 0.2, 0.05, 0.3, 0.15])
  summary = random_effect(values.tolist(), errors.tolist())
  backwards = random_effect(values[::-1].tolist(), errors[::-1].tolist())
  moved = random_effect((1e-3 * values + 7).tolist(), (1e-3 * errors).tolist())
  assert backwards.tau == pytest.approx(summary.tau)
  assert moved.tau == pytest.approx(1e-3 * summary.tau)
  for name in ("mean", "low", "high", "prediction_low", "prediction_high"):
    assert getattr(backwards, name) == pytest.approx(getattr(summary, name))
    assert getattr(moved, name) == pytest.approx(1e-3 * getattr(summary, name) + 7)


@pytest.mark.parametrize(("tau", "at_most"), [(0, 0.995), (0.1, 0.98), (0.3, 0.97), (1, 0.97)])
def test_the_interval_covers_the_truth_in_95_percent_of_cases(tau, at_most):
  rng = np.random.default_rng(1)
  errors = np.geomspace(0.05, 0.2, 8)
  spread = np.sqrt(tau**2 + errors**2)
  covered = 0
  for effects in 0.5 + spread * rng.standard_normal((1000, 8)):
    summary = random_effect(effects.tolist(), errors.tolist())
    covered += summary.low <= 0.5 <= summary.high
  assert 0.93 <= covered / 1000 <= at_most


def test_a_single_task_has_no_interval():
  summary = random_effect([0.3], [0.1])
  assert (summary.mean, summary.count) == (0.3, 1)
  assert summary.low is summary.high is summary.tau is summary.prediction_low is None
  assert random_effect([], []).mean is None


@pytest.mark.parametrize(
  ("effects", "errors", "message"),
  [
    ([0.1, 0.2], [0.1, 0.0], r"effect 1 is 0.2 with the standard error 0.0"),
    ([0.1, math.nan], [0.1, 0.1], "must be finite"),
    ([0.1, 0.2], [math.inf, 0.1], "effect 0"),
    ([0.1, 0.2], [0.1], "2 effects need as many standard errors, not 1"),
  ],
)
def test_bad_input_is_refused(effects, errors, message):
  with pytest.raises(ValueError, match=message):
    random_effect(effects, errors)


def test_a_regression_on_the_mean_alone_is_the_random_effect():
  errors = np.sqrt(VARIANCES).tolist()
  summary, fit = random_effect(LABORATORIES, errors), regress(LABORATORIES, errors, [[1.0]] * 9)
  assert fit.value([1.0]) == pytest.approx((summary.mean, summary.low, summary.high))
  assert fit.tau == pytest.approx(summary.tau)
  assert fit.degrees_of_freedom == 8


def test_without_errors_to_speak_of_a_regression_is_ordinary_least_squares():
  rng = np.random.default_rng(2)
  x, y = np.arange(8.0), rng.standard_normal(8)
  fit = regress(y.tolist(), [1e-6] * 8, [[1.0, value] for value in x])
  expected = linregress(x, y)
  mean, low, high = fit.value([0.0, 1.0])
  assert mean == pytest.approx(expected.slope, rel=1e-6)
  assert (high - low) / 2 == pytest.approx(t.ppf(0.975, 6) * expected.stderr, rel=1e-6)
  assert fit.p_all_zero([1]) == pytest.approx(expected.pvalue, rel=1e-6)
  assert fit.tau == pytest.approx(
    math.sqrt(((y - y.mean()) ** 2).sum() * (1 - expected.rvalue**2) / 6)
  )


def test_an_exact_line_keeps_an_interval():
  # By hand: tau = 0, and the slope has the variance 0.1^2 / sum (x - 1.5)^2 = 0.01 / 5.
  fit = regress([1.0, 3.0, 5.0, 7.0], [0.1] * 4, [[1.0, float(x)] for x in range(4)])
  mean, _, high = fit.value([0.0, 1.0])
  assert (mean, fit.tau, fit.tau_low) == (pytest.approx(2), 0, 0)
  assert fit.q == pytest.approx(0, abs=1e-20)
  assert high - mean == pytest.approx(t.ppf(0.975, 2) * math.sqrt(0.002))
  # The errors' own q, 2 / (1 + tau^2 / 0.01), is the quantile of chi-squared.
  assert fit.tau_high == pytest.approx(0.1 * math.sqrt(2 / chi2.ppf(0.025, 2) - 1))


def test_the_interval_of_tau_is_the_q_profile_of_the_literature():
  # By hand: equal errors, so that Q(tau) = RSS / (0.1^2 + tau^2).
  values = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
  fit = regress(values, [0.1] * 6, [[1.0]] * 6)
  for tau, level in ((fit.tau_low, 0.975), (fit.tau_high, 0.025)):
    assert tau == pytest.approx(math.sqrt(1.5 / chi2.ppf(level, 5) - 0.01))
  assert fit.q == pytest.approx(150)
  assert fit.p_homogeneous == pytest.approx(chi2.sf(150, 5))


@pytest.mark.parametrize("tau", [0.0, 0.1])
def test_intervals_of_the_slope_and_of_tau_cover_the_truth(tau):
  rng = np.random.default_rng(3)
  errors, x = np.geomspace(0.03, 0.1, 7), np.array([1, 2, 3, 2, 3.2, 4, 3])
  spread = np.sqrt(tau**2 + errors**2)
  slope, above = 0, 0
  for noise in spread * rng.standard_normal((200, 7)):
    fit = regress((0.1 * x + noise).tolist(), errors.tolist(), [[1.0, value] for value in x])
    _, low, high = fit.value([0.0, 1.0])
    slope += low <= 0.1 <= high
    above += fit.tau_high >= tau
  assert slope / 200 >= 0.92
  assert above / 200 >= 0.95


@pytest.mark.parametrize("rows", [[[1.0, 2.0]] * 4, [[1.0, 0.0, 0.0, 0.0]] * 4])
def test_regressors_that_determine_nothing_are_refused(rows):
  with pytest.raises(ValueError, match="4 effects do not determine"):
    regress([0.1, 0.2, 0.3, 0.4], [0.1] * 4, rows)
