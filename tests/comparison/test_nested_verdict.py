"""What pairs say, by made-up scores."""

import numpy as np
import pytest

from sr_jax.comparison import nested_verdict
from sr_jax.comparison.nested import PAIRS
from sr_jax.comparison.nested_verdict import (
  BY_ADAM,
  BY_LBFGS,
  NOT_SHOWN,
  UNUSED,
  USED,
  decide,
  over_seeds,
)

SEEDS, IMAGES = 6, 8


def scores(base, gain, seed):
  rng = np.random.default_rng(seed)
  return (base + gain + 0.01 * rng.standard_normal(IMAGES)).tolist()


def arm(by_adam, by_lbfgs):
  """Scores that are above those of a tied arm by so many dB, with little noise."""
  members = [
    {
      "seed": seed,
      "status": "ok",
      "test": {"psnr": scores(30, by_adam, seed)},
      "training": {"psnr": scores(32, by_adam, seed)},
    }
    for seed in range(SEEDS)
  ]
  fixed = [
    {
      "seed": seed,
      "start_psnr": 31.0 + 1e-6 * by_lbfgs,
      "psnr": 33 + by_lbfgs + 0.001 * seed * (by_lbfgs != 0),
      "test": {"psnr": scores(30, by_lbfgs, seed)},
    }
    for seed in range(4)
  ]
  return {"members": members, "lbfgs": {"members": fixed}}


def results(*gains):
  arms = {}
  for pair, both in zip(PAIRS, gains, strict=True):
    arms |= {pair.tied: arm(0, 0), pair.untied: arm(*both)}
  config = {"steps": 6000, "lbfgs_patches": 512, "lbfgs_iterations": 300}
  images = {"test": [str(i) for i in range(IMAGES)]}
  return {"arms": arms, "images": images, "config": config}


@pytest.mark.parametrize(
  ("gains", "finding"),
  [
    ((0.2, 0.3), USED),
    ((0.2, 0.02), BY_ADAM),
    ((0.02, 0.3), BY_LBFGS),
    ((0.02, 0.02), UNUSED),
    ((-0.2, 0.02), NOT_SHOWN),
    ((0.05, 0.3), BY_LBFGS),  # at the bound nothing is decided
  ],
)
def test_both_optimisers_have_to_show_it(gains, finding):
  decided = decide(results(gains, (0.2, 0.3), (0.2, 0.3)))
  assert [*decided["verdict"]["findings"].values()] == [finding, USED, USED]
  count = 2 + (finding == USED)
  assert decided["verdict"]["sentences"][0].startswith(f"In {count} of 3 pairs more")
  assert finding in decided["verdict"]["sentences"][1]


def test_a_fit_worse_than_that_of_a_subset_is_called_short():
  sentences = decide(results((-0.2, -0.3), (0.2, -0.3), (0.2, 0.3)))["verdict"]["sentences"]
  assert "Adam and L-BFGS fell short" in sentences[1]
  assert "better: L-BFGS fell short" not in sentences[2]
  assert "L-BFGS fell short" in sentences[2]
  assert "short" not in sentences[3]


def test_a_seed_that_diverged_is_left_out_of_both_networks():
  made_up = results((0.2, 0.3), (0.2, 0.3), (0.2, 0.3))
  made_up["arms"]["lr"]["lbfgs"]["members"][1]["psnr"] = None
  pair = decide(made_up)["pairs"][1]
  assert pair["lbfgs"]["left_out_seeds"] == [1]
  assert pair["lbfgs"]["patches"]["seeds"] == pair["lbfgs"]["test"]["seeds"] == 3
  assert pair["adam"]["training"]["seeds"] == SEEDS


def test_where_too_many_diverged_nothing_is_decided():
  made_up = results((0.2, 0.3), (0.2, 0.3), (0.2, 0.3))
  for member in made_up["arms"]["hr_untied"]["lbfgs"]["members"][1:]:
    member["psnr"] = None
  first, second, _ = decide(made_up)["pairs"]
  assert first["lbfgs"]["patches"]["decision"] == "undecided"
  assert nested_verdict.finding_of(first) == BY_ADAM
  assert nested_verdict.finding_of(second) == USED


def test_the_interval_over_seeds_is_that_of_t():
  effect = over_seeds([0.1, 0.2, 0.3])
  half_width = 4.302653 * 0.1 / np.sqrt(3)  # of two degrees of freedom
  ends = effect["low"], effect["high"]
  np.testing.assert_allclose(ends, [0.2 - half_width, 0.2 + half_width], rtol=1e-5)


@pytest.mark.parametrize("beyond", [1e-6, -1e-6])
@pytest.mark.parametrize(("sign", "p_value"), [(1, "p_supported"), (-1, "p_reversed")])
def test_a_p_value_is_small_where_the_interval_excludes_the_bound(sign, p_value, beyond):
  shift = 0.05 - over_seeds([0.1, 0.2, 0.3])["low"] + beyond
  values = [sign * (value + shift) for value in (0.1, 0.2, 0.3)]
  assert (over_seeds(values)[p_value] < 0.025) == (beyond > 0)
