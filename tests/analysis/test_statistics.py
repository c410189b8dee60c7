import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import t

from sr_jax.analysis.statistics import (
  crossed_bootstrap,
  decide,
  effect,
  holm,
  two_way_standard_error,
)


def simulate(rng, seeds, images, spread=(0.05, 0.2, 0.03)):
  """Differences of true mean zero with random seeds, images and errors of given spreads."""
  by_seed, by_image, error = spread
  return (
    by_seed * rng.standard_normal((seeds, 1))
    + by_image * rng.standard_normal((1, images))
    + error * rng.standard_normal((seeds, images))
  )


def test_a_worked_example():
  # By hand: means 2, 4 (seeds) and 2, 3, 4 (images); MS_s = 6, MS_i = 2, MS_e = 0.
  table = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
  error, freedom = two_way_standard_error(table)
  assert error**2 == pytest.approx((6 + 2 - 0) / 6)
  assert freedom == pytest.approx(8**2 / (6**2 / 1 + 2**2 / 2))
  found = effect(table)
  assert found.mean == 3
  assert found.high - found.mean == pytest.approx(found.mean - found.low)


def test_the_variance_never_falls_below_a_margin():
  # The interaction exceeds both margins: MS_s + MS_i - MS_e would be negative.
  table = np.array([[1.0, -1.0, 0.1], [-1.0, 1.0, 0.0]])
  error, freedom = two_way_standard_error(table)
  ms_image = 2 * table.mean(axis=0).var(ddof=1)
  ms_seed = 3 * table.mean(axis=1).var(ddof=1)
  residual = table - table.mean(0) - table.mean(1)[:, None] + table.mean()
  assert ms_seed + ms_image < (residual**2).sum() / 2
  assert error**2 == pytest.approx(max(ms_seed, ms_image) / 6)
  assert freedom >= 1


@pytest.mark.parametrize(("seeds", "images"), [(3, 6), (8, 5), (8, 6), (8, 14), (8, 100)])
@pytest.mark.parametrize("spread", [(0.05, 0.2, 0.03), (0.1, 0.1, 0.1)])
def test_the_interval_covers_the_truth_nineteen_times_in_twenty(seeds, images, spread):
  rng = np.random.default_rng(0)
  trials = 2000
  covered = 0
  for _ in range(trials):
    table = simulate(rng, seeds, images, spread)
    error, freedom = two_way_standard_error(table)
    covered += abs(table.mean()) <= stdtrit(freedom, 0.975) * error
  assert 0.93 <= covered / trials <= 0.97


def test_the_p_value_and_the_interval_agree():
  rng = np.random.default_rng(2)
  for _ in range(50):
    found = effect(simulate(rng, 4, 8) + 0.2)
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
  table = simulate(rng, 4, 8)
  assert effect(table - effect(table).low).p == pytest.approx(0.05)


def test_the_interval_over_seeds_is_the_t_interval_of_their_means():
  table = simulate(np.random.default_rng(4), 5, 7)
  found = effect(table)
  low, high = t.interval(0.95, 4, table.mean(), table.mean(axis=1).std(ddof=1) / np.sqrt(5))
  assert (found.seed_low, found.seed_high) == (pytest.approx(low), pytest.approx(high))
  assert found.seed_high - found.seed_low < found.high - found.low


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
  # By hand: 0.01 * 4, 0.02 * 3, 0.03 * 2 = 0.06 again, 0.9 * 1.
  assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
  assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
  assert holm([]) == []


def test_the_bootstrap_is_narrower_with_few_samples():
  found = effect(simulate(np.random.default_rng(1), 3, 6))
  assert found.bootstrap_high - found.bootstrap_low < found.high - found.low


def test_the_bootstrap_resamples_both_ways():
  # Where only images (or only seeds) differ, the spread is that of resampling six values.
  values = np.array([0.0, 1, 2, 3, 4, 5])
  spread = values.std() / np.sqrt(6)
  for table in (np.tile(values, (4, 1)), np.tile(values[:, None], (1, 4))):
    low, high = crossed_bootstrap(table)
    assert low == pytest.approx(2.5 - 1.96 * spread, abs=0.15)
    assert high == pytest.approx(2.5 + 1.96 * spread, abs=0.15)


@pytest.mark.parametrize(
  ("low", "high", "decision"),
  [
    (0.06, 0.2, "supported"),
    (0.04, 0.2, "undecided"),
    (-0.2, -0.06, "reversed"),
    (-0.04, 0.04, "equivalent"),
    (-0.06, 0.04, "undecided"),
    (-0.2, 0.2, "undecided"),
    (0.01, 0.04, "equivalent"),
  ],
)
def test_the_decision_rule(low, high, decision):
  assert decide(low, high) == decision


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_one_seed_or_image_decides_nothing(shape):
  found = effect(np.full(shape, 0.5))
  assert (found.mean, found.low, found.decision) == (0.5, None, "undecided")


def test_no_data_and_no_spread():
  assert effect(np.empty((0, 6))).mean is None
  same = effect(np.full((3, 6), 0.1))
  assert same.low == pytest.approx(0.1)
  assert same.decision == "supported"
