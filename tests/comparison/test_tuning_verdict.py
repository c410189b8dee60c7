"""What a run with recipes says, of made-up results on both sides of each rule."""

import numpy as np
import pytest

from sr_jax.comparison import tuning_verdict
from sr_jax.comparison.escape import escape_step

IMAGES, SEEDS = 8, 4


def make_results(test=0.0, training=0.0, escape_steps=(500, 1000, 500, 500), arms=("lr", "lr_far")):
  """Results in which LR far is better than LR by these, in dB, up to some noise."""
  rng = np.random.default_rng(0)

  def arm(gain):
    members = [
      {
        "seed": seed,
        "status": "ok",
        "test": {"psnr": (30 + gain * test + rng.normal(0, 0.005, IMAGES)).tolist()},
        "training": {"psnr": (30 + gain * training + rng.normal(0, 0.005, IMAGES)).tolist()},
      }
      for seed in range(SEEDS)
    ]
    return {"members": members, "different_recipes": 2}

  escaped = {"members": [{"seed": i, "escape_step": step} for i, step in enumerate(escape_steps)]}
  results = {
    "config": {"search_steps": 3000},
    "recipes": [{}] * 16,
    "arms": {name: arm(name == "lr_far") for name in arms},
    "escape": {"margin": 0.05, "arms": dict.fromkeys(arms, escaped)},
  }
  return results | {"verdict": {"tuning": tuning_verdict.decide(results)}}


def test_what_contains_another_network_must_not_be_worse():
  results = make_results(test=-0.02, training=0.1)
  assert results["verdict"]["tuning"]["control"]["holds"] == {"test": True, "training": True}
  text = " ".join(tuning_verdict.sentences(results))
  assert "holds on test photographs (-0.0" in text
  assert "what can represent more is not trained worse" in text
  assert "cannot speak" not in text


@pytest.mark.parametrize(("test", "training"), [(-0.1, 0.1), (0.1, -0.1)])
def test_a_control_that_fails_on_either_says_that_representation_is_not_shown(test, training):
  results = make_results(test, training)
  holds = results["verdict"]["tuning"]["control"]["holds"]
  assert holds == {"test": test > 0, "training": training > 0}
  assert "this run cannot speak of representation" in " ".join(tuning_verdict.sentences(results))


def test_without_the_arms_there_is_no_control():
  results = make_results(arms=("lr", "hr"))
  assert results["verdict"]["tuning"]["control"] is None
  assert "control" not in " ".join(tuning_verdict.sentences(results))


def test_the_verdict_counts_where_every_member_left_the_plateau():
  results = make_results()
  assert results["verdict"]["tuning"]["escaped"] == {"lr": 4, "lr_far": 4}
  text = " ".join(tuning_verdict.sentences(results))
  assert "LR 4 of 4 (by step 1,000), LR far 4 of 4" in text
  assert "All did" in text


def test_a_member_that_stays_takes_the_verdict_with_it():
  results = make_results(escape_steps=(None, 1000, 500, 500))
  assert not results["verdict"]["tuning"]["all_escaped"]
  assert "its verdict does not count" in " ".join(tuning_verdict.sentences(results))


def test_a_run_without_recipes_says_nothing_of_them():
  assert tuning_verdict.sentences({"verdict": {}}) == []


def test_a_network_has_escaped_where_it_is_above_the_filter_by_the_margin():
  steps = [100, 200, 300, 400]
  assert escape_step(steps, [30.0, 30.04, 30.06, 30.5], 30.0) == 300
  assert escape_step(steps, [30.2, 30.1, 30.06, 30.5], 30.0) == 100
  assert escape_step(steps, [30.2, 30.04, 30.06, 30.5], 30.0) == 300  # it had fallen back
  assert escape_step(steps, [30.2, 30.2, 30.2, 30.0], 30.0) is None
  assert escape_step(steps, [30.2, None, 30.2, 30.2], 30.0) == 300
  assert escape_step(steps, [29.0, 30.0, 30.04, 30.049], 30.0) is None
  assert escape_step(steps, [None, None, None, None], 30.0) is None
