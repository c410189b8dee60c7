import numpy as np
import pytest

from sr_jax.comparison.shares import SHARE_SESOI, share_of_gain
from sr_jax.comparison.statistics import effect


def simulate(rng, share=0.0, gain=1.0, seeds=3, images=8):
  """Scores of an arm, the reference and no network; the arm has `share` of the gain more."""
  without = 30 + 3 * rng.standard_normal(images)

  def scores(mean_gain):
    by_image = 0.25 * gain * by_image_shared + 0.05 * gain * rng.standard_normal(images)
    by_seed = 0.05 * gain * rng.standard_normal((seeds, 1))
    return without + mean_gain + by_image + by_seed + 0.02 * rng.standard_normal((seeds, images))

  by_image_shared = rng.standard_normal(images)
  reference = scores(gain)
  return scores(gain * (1 + share)), reference, without


def test_an_exact_share_has_no_width():
  # The reference gains 1 to 3 dB, and the arm a fifth less on every image.
  gains = np.array([[1.0, 2, 3, 1, 2, 3], [2.0, 3, 1, 2, 3, 1]])
  without = np.arange(30.0, 36)
  share = share_of_gain(without + 0.8 * gains, without + gains, without)
  assert share.mean == pytest.approx(-0.2)
  assert (share.low, share.high) == (pytest.approx(-0.2), pytest.approx(-0.2))
  assert (share.seeds, share.images) == (2, 6)
  assert share.decision == "reversed"


def test_the_share_is_a_ratio_of_means():
  without = np.zeros(6)
  reference = np.array([[1.0, 2, 3, 4, 5, 6], [3.0, 2, 1, 6, 5, 4]])
  arm = reference + np.array([[0.5, 0.3, 0.1, 0.2, 0.4, 0.6], [0.1, 0.5, 0.3, 0.6, 0.2, 0.4]])
  assert share_of_gain(arm, reference, without).mean == pytest.approx(0.35 / 3.5)


def test_a_gain_that_does_not_vary_leaves_the_interval_of_the_difference():
  rng = np.random.default_rng(0)
  differences = 0.2 + 0.1 * rng.standard_normal((3, 7))
  without = np.full(7, 30.0)
  reference = np.full((3, 7), 32.0)
  share = share_of_gain(reference + differences, reference, without)
  expected = effect(differences / 2, SHARE_SESOI)
  assert (share.mean, share.low) == (pytest.approx(expected.mean), pytest.approx(expected.low))
  assert share.high == pytest.approx(expected.high)
  assert share.decision == expected.decision


def test_the_interval_has_the_uncertainty_of_the_gain_in_it():
  # An arm that adds 1 dB to a gain that varies: the share varies with what it is a share of.
  rng = np.random.default_rng(1)
  reference = 2 + 0.5 * rng.standard_normal((4, 8))
  share = share_of_gain(reference + 1, reference, np.zeros(8))
  assert effect((reference + 1 - reference) / 2).high == pytest.approx(0.5)
  assert share.high - share.low > 0.05


def test_units_do_not_matter():
  tables = simulate(np.random.default_rng(2), share=0.1)
  share = share_of_gain(*tables)
  scaled = share_of_gain(*(1e-3 * table for table in tables))
  offset = share_of_gain(*(table + 5 for table in tables))
  assert share.mean == pytest.approx(0.1, abs=0.1)
  for other in (scaled, offset):
    assert other.decision == share.decision
    for name in ("mean", "low", "high", "error"):
      assert getattr(other, name) == pytest.approx(getattr(share, name), rel=1e-9)


@pytest.mark.parametrize(("share", "seeds", "images"), [(0.0, 3, 8), (1.0, 3, 8), (-0.5, 6, 20)])
def test_the_interval_covers_the_truth_in_95_percent_of_cases(share, seeds, images, monkeypatch):
  monkeypatch.setattr("sr_jax.comparison.statistics.crossed_bootstrap", lambda _: (0.0, 0.0))
  rng = np.random.default_rng(3)
  shares = [share_of_gain(*simulate(rng, share, 1.0, seeds, images)) for _ in range(1000)]
  covered = np.mean([value.low <= share <= value.high for value in shares])
  assert 0.93 <= covered <= 0.99


def test_the_error_is_that_of_seeds_and_images_together():
  rng = np.random.default_rng(4)
  cells = 0.1 * rng.standard_normal((3, 1)) + 0.2 * rng.standard_normal((1, 8))
  reference = np.ones((3, 8))
  share = share_of_gain(reference + cells, reference, np.zeros(8))
  ms_seeds, ms_images = 8 * cells.mean(1).var(ddof=1), 3 * cells.mean(0).var(ddof=1)
  assert share.error == pytest.approx(np.sqrt((ms_seeds + ms_images) / 24))
  assert share.high - share.mean > 1.96 * share.error


def test_the_smallest_share_of_interest_decides():
  without, reference = np.zeros(6), np.ones((3, 6))
  noise = 0.001 * np.random.default_rng(5).standard_normal((3, 6))
  decisions = [
    share_of_gain(reference + share + noise, reference, without).decision
    for share in (0.06, 0.04, -0.04, -0.06)
  ]
  assert decisions == ["supported", "equivalent", "equivalent", "reversed"]


def test_an_unsure_gain_has_no_share():
  arm, reference, without = simulate(np.random.default_rng(6))
  worse = share_of_gain(arm, reference, without + 5)
  assert worse.reason == "the reference gains nothing over no network"
  unsure = share_of_gain(arm, reference, reference.mean(axis=0) - [2, -1, 1, -1, 1, -1, 1, -1])
  assert "includes zero" in unsure.reason
  for share in (worse, unsure):
    assert (share.mean, share.low, share.high, share.error) == (None,) * 4
    assert share.decision == "undecided"
  assert share_of_gain(np.empty((0, 8)), np.empty((0, 8)), without).reason == "nothing was scored"


def test_one_seed_has_a_share_without_an_interval():
  arm, reference, without = simulate(np.random.default_rng(7), share=0.5, seeds=1)
  share = share_of_gain(arm, reference, without)
  assert share.mean == pytest.approx((arm - reference).mean() / (reference - without).mean())
  assert (share.low, share.error, share.decision) == (None, None, "undecided")


def test_an_arm_that_equals_the_reference_has_no_error_to_weigh_by():
  _, reference, without = simulate(np.random.default_rng(8))
  share = share_of_gain(reference, reference, without)
  assert (share.mean, share.error, share.decision) == (0, None, "equivalent")
