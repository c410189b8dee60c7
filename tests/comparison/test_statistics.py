import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t

from benchmarks import coverage
from sr_jax.comparison.statistics import (
  SESOI,
  ci_half_width,
  crossed_bootstrap,
  decision_of,
  effect,
  holm,
  paired_effect,
  standard_errors,
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
  # By hand: means 2, 4 (seeds) and 2, 3, 4 (images); MS_s = 6, MS_i = 2.
  table = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
  errors, freedoms = standard_errors(table)
  assert errors**2 == pytest.approx([(6 + 2) / 6, 6 / 6, 2 / 6])
  assert freedoms == pytest.approx([8**2 / (6**2 / 1 + 2**2 / 2), 1, 2])
  widths = [t.ppf(0.975, df) * error for df, error in zip(freedoms, errors, strict=True)]
  summary = effect(np.concatenate([table, table + 2], axis=1))  # of six images
  assert summary.mean == 4
  assert ci_half_width(errors, freedoms) == pytest.approx(max(widths))
  assert widths[1] == max(widths)  # two seeds: theirs alone is the widest
  assert summary.high - summary.mean == pytest.approx(summary.mean - summary.low)


def half_width(table):
  return float(ci_half_width(*standard_errors(table)))


tables = arrays(
  np.float64,
  st.tuples(st.integers(2, 5), st.integers(2, 8)),
  elements=st.floats(-1, 1, allow_subnormal=False),
)


@given(tables)
def test_the_interval_is_never_narrower_than_that_of_either_margin(table):
  for axis in (0, 1):
    means = table.mean(axis=axis)
    alone = t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    assert half_width(table) >= alone * (1 - 1e-9)


@given(tables, st.integers(0, 2**32 - 1))
def test_the_interval_is_a_continuous_function_of_the_data(table, seed):
  moved = table + 1e-9 * np.random.default_rng(seed).standard_normal(table.shape)
  assert half_width(moved) == pytest.approx(half_width(table), abs=1e-6)


def test_the_interval_does_not_jump_where_a_mean_square_passes_the_error():
  # The old rule chose another formula on either side of MS_seeds = MS_error.
  images = np.array([0.3, -0.1, 0.2, 0.0, -0.2, 0.1])
  noise = np.array([[1, -1, 0, 1, -1, 0], [-1, 1, 1, -1, 0, 0], [0, 0, -1, 0, 1, 0]]) / 20
  noise = noise - noise.mean(1, keepdims=True) - noise.mean(0) + noise.mean()
  by_seed = np.array([[-1.0], [0.0], [1.0]])
  ms_error = (noise**2).sum() / 10
  level = np.sqrt(ms_error / 6)  # here MS_seeds = MS_error
  below, above = (noise + images + level * (1 + side) * by_seed for side in (-1e-7, 1e-7))
  assert abs(below - above).max() < 2.5e-8
  assert half_width(below) == pytest.approx(half_width(above), rel=1e-6)


def test_two_seeds_decide_nothing_that_the_seeds_alone_leave_open():
  # Two seeds that differ, on six photographs that agree: their own interval leaves the band.
  table = np.array([[0.02], [-0.02]]) + 0.001 * np.arange(6)
  summary = effect(table)
  assert summary.high >= summary.seed_high > 0.05
  assert summary.decision == "undecided"


@pytest.mark.parametrize(("seeds", "images"), [(3, 6), (4, 100), (8, 14), (8, 100)])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_interval_covers_the_truth_in_95_percent_of_cases(seeds, images, skewed):
  components = list(map(coverage.components, coverage.kept_contrasts()))
  tables = coverage.simulate(np.random.default_rng(0), components, (1000, seeds, images), skewed)
  assert 0.925 <= coverage.covered(tables) <= 0.98


def test_the_p_values_and_the_interval_agree():
  rng = np.random.default_rng(2)
  decisions = set()
  for shift in np.linspace(-0.4, 0.4, 60):
    summary = effect(simulate(rng, 4, 8, (0.01, 0.04, 0.02)) + shift)
    assert (summary.p_supported < 0.025) == (summary.low > SESOI)
    assert (summary.p_reversed < 0.025) == (summary.high < -SESOI)
    inside = summary.low > -SESOI and summary.high < SESOI
    assert (summary.p_equivalent < 0.025) == inside
    decisions.add(summary.decision)
  assert decisions >= {"supported", "reversed", "undecided"}
  table = simulate(rng, 4, 8)
  at_bound = effect(table - effect(table).low + SESOI)
  assert at_bound.p_supported == pytest.approx(0.025)
  assert at_bound.p_reversed > 0.5
  close = effect(simulate(rng, 4, 8, (0.001, 0.004, 0.002)))
  assert close.p_equivalent < 0.025 < min(close.p_supported, close.p_reversed)


def test_three_estimates_of_one_difference():
  second = np.full((3, 7), 30.0)
  first = second + np.array([0, 0, 0, 0.1, 0.2, 0.3, 4])
  first[:, 6] += [-1, 0, 1]
  summary = paired_effect(first, second)
  assert summary.mean == pytest.approx(4.6 / 7)
  assert summary.median == pytest.approx(0.1)
  errors = [np.mean(10 ** (-row / 10)) for row in first]
  assert summary.pooled == pytest.approx(np.mean([-10 * np.log10(e / 1e-3) for e in errors]))
  assert paired_effect(np.empty((0, 6)), np.empty((0, 6))).pooled is None


def test_the_interval_over_seeds_is_the_t_interval_of_their_means():
  table = simulate(np.random.default_rng(4), 5, 7)
  summary = effect(table)
  low, high = t.interval(0.95, 4, table.mean(), table.mean(axis=1).std(ddof=1) / np.sqrt(5))
  assert (summary.seed_low, summary.seed_high) == (pytest.approx(low), pytest.approx(high))
  assert summary.seed_high - summary.seed_low < summary.high - summary.low


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
  # By hand: 0.01 * 4, 0.02 * 3, 0.03 * 2 = 0.06 again, 0.9 * 1.
  assert holm([0.03, 0.01, 0.9, 0.02], 4) == pytest.approx([0.06, 0.04, 0.9, 0.06])
  assert holm([0.5, 0.6], 2) == pytest.approx([1.0, 1.0])
  assert holm([], 3) == []


def test_holm_counts_the_members_of_the_family_that_were_not_tested():
  # By hand: 0.01 * 5, 0.02 * 4, 0.03 * 3; the missing two count as the largest.
  assert holm([0.01, 0.02, 0.03], 5) == pytest.approx([0.05, 0.08, 0.09])


def test_the_bootstrap_is_narrower_with_few_samples():
  summary = effect(simulate(np.random.default_rng(1), 3, 6))
  assert summary.bootstrap_high - summary.bootstrap_low < summary.high - summary.low


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
  assert decision_of(low, high, images=6) == decision
  assert decision_of(low, high, images=5) == "too few photographs"


def test_the_smallest_effect_of_interest_is_in_the_unit_of_the_differences():
  table = simulate(np.random.default_rng(5), 4, 8, (0.01, 0.04, 0.02)) + 0.1
  in_db, scaled = effect(table), effect(100 * table, sesoi=100 * SESOI)
  for name in ("p_supported", "p_reversed", "p_equivalent", "decision"):
    assert getattr(scaled, name) == pytest.approx(getattr(in_db, name))
  assert effect(table, sesoi=0.5).decision == "equivalent" != in_db.decision
  assert decision_of(0.3, 0.6, images=6, sesoi=0.2) == "supported"
  assert decision_of(0.3, 0.6, images=6, sesoi=0.4) == "undecided"


@pytest.mark.parametrize(
  ("shape", "decision"),
  [((1, 6), "undecided"), ((6, 1), "too few photographs"), ((1, 1), "too few photographs")],
)
def test_one_seed_or_image_decides_nothing(shape, decision):
  summary = effect(np.full(shape, 0.5))
  assert (summary.mean, summary.low, summary.decision) == (0.5, None, decision)


def test_no_data_and_no_spread():
  assert effect(np.empty((0, 6))).mean is None
  same = effect(np.full((3, 6), 0.1))
  assert same.low == pytest.approx(0.1)
  assert same.decision == "supported"
