"""The judgement of what gates choose, on made-up scores."""

import numpy as np
import pytest

from sr_jax.comparison import learning, schedules, verdict
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.learner import LEARNED, SHUFFLED

NEIGHBOURS = schedules.neighbours(5, 8)
NAMES = list(NEIGHBOURS)
RANDOM = [schedules.name_of(schedules.reduced(each)) for each in schedules.lattice(5, 8)]
SEEDS, PHOTOS = 6, 8
EARLY, LATE = "8-8-8-0-0", "0-0-8-8-8"


def results_of(gains, chosen, noise=0.002):
  """`gains` in dB over LR by schedule, and the choice of every seed."""
  rng = np.random.default_rng(0)

  def member(name, seed):
    psnr = (30 + gains.get(name, 0) + noise * rng.standard_normal(PHOTOS)).tolist()
    scores = {"psnr": psnr, "ssim": [0.9] * PHOTOS}
    return {"seed": seed, "status": "ok", "validation_psnr": 30 + gains.get(name, 0)} | {
      "test": scores,
      "training": {"psnr": psnr},
    }

  def arm(name):
    search = [
      {"seed": seed, "learning_rate": rate, "validation_psnr": 29 + gains.get(name, 0) - rate}
      for seed in range(3)
      for rate in (0.1, 0.2)
    ]
    members = [member(name, seed) for seed in range(SEEDS)]
    about = {"note": "", "budget": {"parameters": 1}, "rate_at_edge": None, "learning_rate": 0.1}
    return {"members": members, "search": search, **about}

  gates = {kind: {"gates": [[0.5] * 5] * SEEDS, "held_out": [30.0] * SEEDS} for kind in chosen}
  results = {
    "config": {"steps": 5, "search_steps": 7},
    "learning_rates": [0.1, 0.2],
    "arms": {name: arm(name) for name in NAMES},
    "further_tests": {},
    "learning": {
      "question": "when",
      "neighbours": NEIGHBOURS,
      "random": RANDOM,
      "search_seeds": [0, 1, 2],
      "variants": gates,
      "chosen": chosen,
    },
  }
  results["verdict"] = verdict.decide(results, Comparison(Contrast(LATE, EARLY, "?")))
  return results


def chosen(*learned, shuffled="0-0-0-0-0"):
  return {LEARNED: list(learned), SHUFFLED: [shuffled] * SEEDS}


def test_of_five_states_twelve_schedules_differ_in_weights():
  assert len(NAMES) == 12
  assert NAMES[0] == "0-0-0-0-0"
  assert schedules.reduced((8, 0, 8, 8, 0)) == (0, 0, 8, 8, 0)
  assert schedules.reduced((8, 0, 8, 0, 8)) == (0,) * 5
  assert set(RANDOM) == set(NAMES)
  assert len(RANDOM) == 32
  assert RANDOM.count("0-0-0-0-0") == 13  # without neighbouring HR states


@pytest.mark.parametrize(
  ("gains", "choices", "finding"),
  [
    ({EARLY: 0.2}, [EARLY] * 6, "learns"),
    ({EARLY: 0.2}, [EARLY] * 5 + [LATE], "undecided"),  # one seed far off makes it wide
    ({EARLY: 0.2, LATE: 0.199}, [EARLY] * 5 + [LATE], "learns"),
    ({EARLY: 0.2, LATE: 0.199}, [EARLY] * 4 + [LATE] * 2, "undecided"),
    ({EARLY: 0.2}, [LATE] * 6, "does not learn"),
    ({EARLY: -0.2}, ["0-0-0-0-0"] * 6, "nothing to learn"),
    ({EARLY: 0.03}, [EARLY] * 6, "nothing to learn"),
    ({EARLY: 0.2, "8-8-8-8-8": 0.2}, ["8-8-8-8-8"] * 6, "learns"),
  ],
)
def test_it_learns_only_if_regret_is_small_and_seeds_agree(gains, choices, finding):
  results = results_of(gains, chosen(*choices))
  assert results["verdict"]["learning"]["finding"] == finding
  first = learning.sentences(results)[0]
  words = {"learns": "The network learns when", "does not learn": "does not learn when"}
  assert words.get(finding, finding) in first


def test_regrets_are_against_the_best_on_validation():
  found = results_of({EARLY: 0.2, LATE: 0.1}, chosen(*[LATE] * 6), noise=0)["verdict"]["learning"]
  assert found["best"] == EARLY
  assert found["regret"]["mean"] == pytest.approx(0.1)
  assert found["regret_of_shuffled"]["mean"] == pytest.approx(0.2)
  share = (0.2 * RANDOM.count(EARLY) + 0.1 * RANDOM.count(LATE)) / len(RANDOM)
  assert found["regret_of_random"]["mean"] == pytest.approx(0.2 - share)
  assert found["less_random"]["mean"] == pytest.approx(0.1 - 0.2 + share)
  assert found["better_than_never"] == [EARLY, LATE]


def test_greedy_climbs_while_it_gains():
  gains = {"8-8-0-0-0": 0.1, EARLY: 0.2, LATE: 0.5}  # LATE is two steps from LR, over no gain
  found = results_of(gains, chosen(*[LATE] * 6))["verdict"]["learning"]
  assert found["greedy"] == [EARLY] * 3
  assert found["regret_of_greedy"]["mean"] == pytest.approx(0.3, abs=0.01)
  assert 1 < found["greedy_steps"][0] / (2 * 7) <= 12
  stays = results_of({LATE: 0.5}, chosen(*[LATE] * 6))["verdict"]["learning"]
  assert stays["greedy"] == ["0-0-0-0-0"] * 3


def test_a_seed_that_diverged_is_left_out():
  results = results_of({EARLY: 0.2}, chosen(LATE, *[EARLY] * 5))
  results["arms"]["8-8-0-0-0"]["members"][0]["status"] = "diverged"
  found = learning.decide(results)
  assert found["chosen"][LEARNED] == [EARLY] * 5
  assert found["regret"]["seeds"] == 5
  assert found["finding"] == "learns"


def test_what_shuffled_gates_choose_too_is_not_learned():
  same = chosen(*[EARLY] * 6, shuffled=EARLY)
  assert results_of({EARLY: 0.2}, same)["verdict"]["learning"]["finding"] == "undecided"


def test_one_arm_that_may_be_better_leaves_it_undecided():
  found = results_of({EARLY: 0.06}, chosen(*[EARLY] * 6), noise=0.05)["verdict"]["learning"]
  assert found["better_than_never"] == []
  assert found["finding"] == "undecided"


def test_a_seed_whose_gates_diverged_chooses_nothing_and_does_not_agree():
  results = results_of({EARLY: 0.2}, chosen(None, *[EARLY] * 5))
  results["learning"]["variants"][LEARNED]["gates"][0] = [None] * 5
  found = learning.decide(results)
  assert found["regret"]["seeds"] == 5
  assert found["finding"] == "learns"
  results = results_of({EARLY: 0.2}, chosen(None, None, *[EARLY] * 4))
  assert learning.decide(results)["finding"] == "undecided"


def test_without_a_seed_that_finished_nothing_is_decided():
  results = results_of({EARLY: 0.2}, chosen(*[EARLY] * 6))
  for member in results["arms"][EARLY]["members"]:
    member["status"] = "diverged"
  found = learning.decide(results)
  assert found["finding"] == "undecided"
  results["verdict"]["learning"] = found
  assert learning.sentences(results) == [
    "Whether the network learns when to upscale is undecided: no seed finished in all networks."
  ]
