import re

import numpy as np
import pytest

from sr_jax.comparison import convergence, findings, skip, verdict
from sr_jax.comparison.combinations import Best
from sr_jax.comparison.contrasts import Comparison, Contrast

PAIR = Contrast("lr_plain", "lr", "without the skip instead of with it")
PHOTOS = list("abcdef")
BASE = 30 + np.arange(6.0) + np.array([[0.0], [0.1], [0.2]])  # seeds x photographs
SIGNS = np.array([[1.0, -1, 1, -1, 1, -1], [-1, 1, 1, -1, 1, -1], [1, 1, -1, -1, -1, 1]])


def run(losses, steps=3000, noise=0.01, failed=None, photos=PHOTOS):
  """Results whose networks lose so many dB without the skip, in order: lr, hr_k4, hr_k4_learned.

  `failed` is the status of all seeds, or of some, by arm.
  """
  names = skip.NETWORKS[: len(losses)]
  psnr = dict.fromkeys(names, BASE[:, : len(photos)])
  for name, loss in zip(names, losses, strict=True):
    psnr[skip.plain(name)] = (BASE - loss + noise * SIGNS)[:, : len(photos)]

  def arm(name, table):
    status = {**dict.fromkeys(range(3), "ok"), **(failed or {}).get(name, {})}
    return {
      "learning_rate": 1e-3,
      "rate_at_edge": None,
      "search": [],
      "members": [
        {
          "seed": seed,
          "status": status[seed],
          "validation_psnr": float(row.mean()),
          "test": {"psnr": [None] * len(row) if status[seed] == "diverged" else row.tolist()},
          "training": {"psnr": row.tolist()},
        }
        for seed, row in enumerate(table)
      ],
    }

  results = {
    "config": {"steps": steps},
    "images": {"test": photos},
    "arms": {name: arm(name, table) for name, table in psnr.items()},
  }
  planned = tuple(skip.combinations(names))
  results["verdict"] = verdict.decide(results, Comparison(PAIR, combinations=planned))
  return results


DID_NOT_LEARN = dict.fromkeys(range(3), "did not learn")


@pytest.mark.parametrize(
  ("loss", "noise", "finding"),
  [
    (0.3, 0.01, "necessary"),
    (0.0, 0.01, "not necessary"),
    (-0.2, 0.01, "not necessary"),  # better without
    (-0.08, 0.15, "not necessary"),  # above -0.05 dB, whether or not above 0.05
    (0.05, 0.01, "undecided"),
    (0.1, 0.3, "undecided"),
  ],
)
def test_the_interval_says_whether_explicit_upsampling_is_necessary(loss, noise, finding):
  results = run([loss], noise=noise)
  assert skip.finding(results) == finding
  (sentence,) = skip.sentences(results)
  assert sentence.startswith(skip.WORDS[finding].format(steps=3000))
  assert f"LR plain - LR {results['verdict']['test']['mean']:+.3f} dB (95 %" in sentence


def test_a_better_network_without_the_skip_can_be_undecided_against_the_upper_bound():
  test = run([-0.08], noise=0.15)["verdict"]["test"]
  assert test["decision"] == "undecided"
  assert -0.05 < test["low"] < 0.05 < test["high"]


def test_networks_that_did_not_learn_show_nothing_not_to_be_necessary():
  for arm in ("lr", "lr_plain"):
    assert skip.finding(run([0.0], failed={arm: DID_NOT_LEARN})) == "undecided"
    assert skip.finding(run([0.0], failed={arm: {0: "did not learn"}})) == "not necessary"
  assert skip.finding(run([0.3], failed={"lr_plain": DID_NOT_LEARN})) == "necessary"


def test_few_photographs_or_no_seed_decide_nothing():
  assert skip.finding(run([0.3], photos=PHOTOS[:5])) == "undecided"
  diverged = run([0.3], failed={"lr_plain": dict.fromkeys(range(3), "diverged")})
  assert skip.finding(diverged) == "undecided"
  assert "without a seed that finished in both" in skip.sentences(diverged)[0]


@pytest.mark.parametrize(
  ("losses", "finding", "words"),
  [
    ((0.3, 0.0), "a matter of training time", "it is after 3,000 steps, and is not after 12,000"),
    ((0.3, 0.2), "necessary", "is necessary, after 12,000 steps as after 3,000"),
    ((0.0, -0.1), "not necessary", "is not necessary, after 3,000 steps as after 12,000"),
    ((0.0, 0.3), "only after longer training", "not necessary after 3,000 steps, but is after"),
    ((0.3, 0.05), "undecided", "undecided over lengths of 3,000 to 12,000 steps"),
    ((0.05, 0.0), "undecided", "undecided over lengths of 3,000 to 12,000 steps"),
  ],
)
def test_what_two_lengths_say(losses, finding, words):
  runs = {steps: run([loss], steps) for steps, loss in zip((3000, 12000), losses, strict=True)}
  backwards = dict(reversed(runs.items()))
  assert skip.finding_over_lengths(runs) == skip.finding_over_lengths(backwards) == finding
  sentence = skip.over_lengths(backwards)
  assert words in sentence
  assert sentence == skip.over_lengths(runs)
  change = losses[0] - losses[1]
  assert convergence.change(runs, "lr_plain", "lr").mean == pytest.approx(change, abs=1e-9)
  assert re.search(r" after 3,000: .* after 12,000: .*it changes by [+-]0\.\d+ dB", sentence)


def test_lengths_are_paired_by_seeds_that_finished_in_both():
  short, long = run([0.3], failed={"lr": {0: "diverged"}}), run([0.1], 12000)
  for name in ("lr", "lr_plain"):  # two seeds suffice for the longer one
    del long["arms"][name]["members"][2]
  change = convergence.change({3000: short, 12000: long}, "lr_plain", "lr")
  assert (change.seeds, change.images) == (1, 6)
  assert change.mean == pytest.approx(0.2)


def test_lengths_that_cannot_be_compared_are_refused():
  with pytest.raises(ValueError, match="needs two of them, not 1"):
    skip.over_lengths({3000: run([0.1])})
  with pytest.raises(ValueError, match="same test photographs"):
    skip.over_lengths({3000: run([0.1]), 12000: run([0.1], photos=PHOTOS[::-1])})


def effects(results, group):
  return {each["name"]: each["test"]["mean"] for each in findings.group_of(results, group)}


def test_effects_have_the_signs_of_their_questions():
  results = run([0.3, 0.1, 0.4])
  assert effects(results, skip.WITHOUT) == pytest.approx(
    {
      "LR plain - LR": -0.3,
      "HR k4 plain - HR k4": -0.1,
      "HR k4 learned plain - HR k4 learned": -0.4,
    },
    abs=0.01,
  )
  assert effects(results, skip.INTERACTION) == pytest.approx(
    {"skip of LR - skip of HR k4": 0.2, "skip of LR - skip of HR k4 learned": -0.1}, abs=0.01
  )
  lines = findings.sentences(results)
  assert lines[0].startswith("After 3,000 steps explicit upsampling is necessary")
  assert lines[1].startswith("Networks need the bicubic skip (LR plain - LR; HR k4 plain - HR k4;")
  assert "brings LR more (skip of LR - skip of HR k4) and less (skip of LR - skip of" in lines[2]
  assert "is worse than the best HR network (LR plain - best HR)" in lines[3]
  assert len(lines) == 4  # the number of weights is no explanation


def test_lr_without_any_upsampling_meets_the_best_hr_network_on_validation():
  *_, against = skip.combinations(skip.NETWORKS)
  hr = ("hr_k4", "hr_k4_plain", "hr_k4_learned", "hr_k4_learned_plain")
  assert against.weights == {"lr_plain": 1.0, Best(hr): -1.0}
  results = run([0.3, -0.2, 0.4])  # hr_k4_plain is the best
  (effect,) = findings.group_of(results, skip.AGAINST_HR)
  assert set(effect["weights"]) == {"lr_plain", "hr_k4_plain"}
  assert effect["test"]["mean"] == pytest.approx(-0.5, abs=0.01)


def test_other_comparisons_say_nothing_of_the_skip():
  assert skip.sentences({"verdict": {"combinations": []}}) == []
  assert skip.sentences({"verdict": {}}) == []
  assert [each.group for each in skip.combinations(["lr"])] == [skip.WITHOUT]
