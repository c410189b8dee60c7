import numpy as np
import pytest

from sr_jax.comparison.contrasts import (
  Comparison,
  Contrast,
  all_contrasts,
  best_of,
)

RNG = np.random.default_rng(0)
COMPARISON = Comparison(
  Contrast("lr", "hr", "the pair"),
  opponents=("hr", "wide", "absent"),
  subset="tied",
  mechanisms=(
    Contrast("tied", "hr", "one"),
    Contrast("lr", "wide", "two"),
    Contrast("lr", "absent", "not run"),
  ),
)


def arm(level, validation=30.0, diverged=()):
  """Four seeds on six photographs around a level in dB."""

  def member(seed):
    dead = seed in diverged
    psnr = (level + 0.01 * RNG.standard_normal(6)).tolist()
    return {
      "seed": seed,
      "status": "diverged" if dead else "ok",
      "validation_psnr": None if dead else validation,
      "test": {"psnr": [None] * 6 if dead else psnr},
      "training": {"psnr": [None] * 6 if dead else psnr},
    }

  return {"members": [member(seed) for seed in range(4)]}


def run(**arms):
  return {"arms": arms, "further_tests": {}}


def test_contrasts_come_in_order_of_what_they_are_for():
  results = run(lr=arm(31), hr=arm(30.8), wide=arm(30.9, 30.5), tied=arm(30.7), other=arm(30))
  found = all_contrasts(results, COMPARISON)
  assert [(one["kind"], *one["contrast"]) for one in found] == [
    ("primary", "lr", "hr"),
    ("best", "lr", "wide"),
    ("subset", "lr", "tied"),
    ("mechanism", "tied", "hr"),
    ("mechanism", "lr", "wide"),
    ("exploratory", "lr", "other"),
  ]
  assert found[0]["test"]["mean"] == pytest.approx(0.2, abs=0.02)
  assert found[3]["test"]["mean"] == pytest.approx(-0.1, abs=0.02)


def test_mechanisms_are_adjusted_together_and_nothing_else_is():
  found = all_contrasts(
    run(lr=arm(31), hr=arm(31), wide=arm(30.99), tied=arm(31.0), other=arm(30)), COMPARISON
  )
  mechanisms = [one for one in found if one["kind"] == "mechanism"]
  # The family is the one fixed in the code: of its three, two have their arms in this run.
  p_values = [
    2 * min(effect["test"][f"p_{name}"] for name in ("supported", "reversed", "equivalent"))
    for effect in mechanisms
  ]
  low, high = sorted(p_values)
  adjusted = {low: min(1, 3 * low), high: min(1, max(3 * low, 2 * high))}
  assert [effect["p_holm"] for effect in mechanisms] == [adjusted[p] for p in p_values]
  assert all("p_holm" not in one for one in found if one["kind"] != "mechanism")


def test_the_best_opponent_is_chosen_by_validation_and_not_by_test():
  results = run(lr=arm(31), hr=arm(40, 29.0), wide=arm(20, 29.5))
  assert best_of(results, ["hr", "wide"]) == "wide"
  assert all_contrasts(results, COMPARISON)[1]["contrast"] == ["lr", "wide"]


def test_a_diverged_arm_is_no_best_opponent_and_its_seeds_are_left_out():
  results = run(lr=arm(31), hr=arm(30, 29.0), wide=arm(30, 35.0, diverged=range(4)))
  assert best_of(results, ["hr", "wide"]) == "hr"
  (wide,) = (one for one in all_contrasts(results, COMPARISON) if one["contrast"][1] == "wide")
  assert (wide["left_out_seeds"], wide["test"]["mean"]) == ([0, 1, 2, 3], None)
  assert "p_holm" not in wide  # nothing was tested
  one_seed = all_contrasts(run(lr=arm(31, diverged=[2]), hr=arm(30)), COMPARISON)[0]
  assert (one_seed["left_out_seeds"], one_seed["test"]["seeds"]) == ([2], 3)


def test_a_single_opponent_has_no_best():
  kinds = [one["kind"] for one in all_contrasts(run(lr=arm(31), hr=arm(30)), COMPARISON)]
  assert kinds == ["primary"]
