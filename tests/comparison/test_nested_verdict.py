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
from tests.comparison.made_up_nested import SEEDS, results


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
  assert decided["verdict"]["sentences"][0].startswith(f"In {count} of 3 pairs")
  assert finding in decided["verdict"]["sentences"][1]


def test_a_tied_network_that_still_gains_may_catch_up():
  made = results((0.2, 0.2), (0.2, 0.2), (0.2, 0.2))
  curve = made["arms"][PAIRS[0].tied]["lbfgs"]["patches_psnr"]
  curve["members"][1] = [32.9] * 4  # 40 of 300 iterations before the end
  pairs = nested_verdict.decide(made)["pairs"]
  assert pairs[0]["lbfgs"]["tied_gain"] == pytest.approx(0.1 * 30 / 40)
  assert [nested_verdict.finding_of(pair) for pair in pairs] == [
    nested_verdict.STILL_GAINS,
    nested_verdict.USED,
    nested_verdict.USED,
  ]


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


@pytest.mark.parametrize(("late", "says"), [(0.01, "near an optimum"), (0.2, "not at an optimum")])
def test_whether_lbfgs_has_converged_is_said_by_what_its_end_gains(late, says):
  made_up = results((0.2, 0.3), (0.2, 0.3), (0.2, 0.3))
  made_up |= decide(made_up)
  for arm in made_up["arms"].values():
    psnr = [member["psnr"] - late for member in arm["lbfgs"]["members"]]
    arm["lbfgs"]["patches_psnr"]["members"][1] = psnr
  sentence = nested_verdict.convergence_sentence(made_up)
  assert f"L-BFGS is {says}" in sentence
  assert f"in its last 40 of 300 iterations it gained {late:.3f} to {late:.3f} dB" in sentence
