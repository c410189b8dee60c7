import numpy as np
import pytest

from sr_jax.report.convergence_figures import contrasts, curve

IMAGES = [f"{i}" for i in range(8)]


def run(steps, seeds, arms):
  rng = np.random.default_rng(steps)

  def member(seed, psnr):
    scores = {"psnr": (psnr + 0.01 * rng.standard_normal(len(IMAGES))).tolist()}
    return {
      "seed": seed,
      "status": "ok",
      "validation_psnr": psnr,
      "test": scores,
      "training": scores,
    }

  members = {name: {"members": [member(s, psnr) for s in range(seeds)]} for name, psnr in arms}
  return {
    "config": {"steps": steps, "seeds": seeds},
    "images": {"test": IMAGES, "train": IMAGES},
    "arms": members,
  }


@pytest.fixture
def runs():
  arms = [("lr", 30.2), ("hr", 30.0), ("hr_k4", 30.1)]
  return [run(3000, 4, [*arms, ("hr_d7_k3", 29.9)]), run(12_000, 4, arms), run(48_000, 2, arms[:2])]


def test_the_pairs_that_decide_come_first_and_others_need_two_lengths(runs):
  assert contrasts(runs) == [("lr", "hr"), ("lr", "hr_k4")]
  assert contrasts(runs, least=1) == [("lr", "hr"), ("lr", "hr_k4"), ("lr", "hr_d7_k3")]


def test_every_length_has_its_difference_and_interval(runs):
  test, training = curve(runs).axes
  for axes in (test, training):
    lines = {line.get_label(): line for line in axes.get_lines()}
    pair, best = lines["LR - HR"], lines["LR - HR k4"]
    assert len(pair.get_ydata()) == 3
    np.testing.assert_allclose(pair.get_ydata(), 0.2, atol=0.02)
    assert len(best.get_ydata()) == 2
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 1  # the length of few seeds
  assert [tick.get_text() for tick in training.get_xticklabels()] == ["3,000", "12,000", "48,000"]


def test_nothing_is_drawn_of_a_single_length(runs):
  assert curve(runs[:1]) is None
  assert curve([]) is None
