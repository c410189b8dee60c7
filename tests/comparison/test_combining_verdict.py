"""The judgement of whether channels form HR maps, on made-up measurements."""

import numpy as np
import pytest

from sr_jax.comparison import combining_verdict

SEEDS, PHOTOS, DRAWS, LAYERS = 6, 8, 19, 4


def record_of(share, saved=0.5, null=0.23, cost=1.0, noise=0.002):
  """A network of this tied share, whose ties cost so much and so much less than random ones."""
  rng = np.random.default_rng(0)

  def around(mean, *shape):
    return mean + noise * rng.standard_normal(shape)

  untied = 30 + rng.standard_normal((SEEDS, PHOTOS))
  psnr = {"untied": untied, "tied": untied - around(cost, SEEDS, PHOTOS)}
  psnr["half_tied"] = untied - around(cost / 2, SEEDS, PHOTOS)
  psnr["half_random"] = untied - around(cost / 2 + saved, SEEDS, PHOTOS)
  return {
    "seeds": list(range(SEEDS)),
    "of_seeds": SEEDS,
    "layers": [f"hidden_{i}" for i in range(LAYERS)],
    "shares": around(share, SEEDS, LAYERS).tolist(),
    "null": around(null, SEEDS, DRAWS, LAYERS).tolist(),
    "psnr": {name: values.tolist() for name, values in psnr.items()},
  }


def results_of(arm, **controls):
  """Results of one arm, whose controls pass unless they are given."""
  passing = {"hr": record_of(1, cost=0, noise=0), "half": record_of(0.4)}
  return {"combining": {"arms": {"lr_4": arm}, "controls": {"lr_4": passing | controls}}}


def finding_of(results):
  return combining_verdict.decide(results)["arms"]["lr_4"]["finding"]


@pytest.mark.parametrize(
  ("arm", "finding", "words"),
  [
    ({"share": 0.4}, "half or more", "Half of the channels of LR 4 or more form HR maps"),
    ({"share": 0.25}, "fewer than half", "Fewer than half of the channels of LR 4, if any,"),
    ({"share": 0.4, "saved": 0.01}, "fewer than half", "Fewer than half of"),  # ties of no use
    ({"share": 0.3, "noise": 0.1}, "undecided", "is undecided"),
    ({"share": 0.4, "saved": 0.06, "noise": 0.1}, "undecided", "is undecided"),
  ],
)
def test_an_arm_forms_maps_only_if_ties_are_there_and_of_use(arm, finding, words):
  results = results_of(record_of(**arm))
  assert finding_of(results) == finding
  first, hr, half, last = combining_verdict.sentences(results)
  assert words in first
  assert "over 6 seeds." in first
  assert hr.startswith("HR, lifted and shuffled, of LR 4, passes")
  assert half.startswith("Half, lifted and shuffled, of LR 4, passes")
  assert last == combining_verdict.FEWER
  column = {"channels that form HR maps": f"LR 4: {finding}"}
  assert combining_verdict.headline(results) == column


@pytest.mark.parametrize(
  ("kind", "control"),
  [
    ("hr", {"share": 0.98, "cost": 0}),
    ("hr", {"share": 1, "cost": 0.02}),
    ("hr", {"share": 1, "cost": 0, "saved": 0}),  # which random ties do not harm
    ("half", {"share": 0.25}),
    ("half", {"share": 0.4, "saved": 0}),
  ],
)
def test_nothing_is_concluded_unless_the_rule_sees_the_maps_of_both_controls(kind, control):
  results = results_of(record_of(0.4), **{kind: record_of(**control, noise=0)})
  passes = {"hr": True, "half": True} | {kind: False}
  assert combining_verdict.decide(results)["controls"] == {"lr_4": passes}
  assert finding_of(results) == "not concluded"
  first, *of_controls, _ = combining_verdict.sentences(results)
  assert first.startswith("Nothing is concluded on HR maps in LR 4, since a positive control fails")
  assert [", fails" in sentence for sentence in of_controls] == [not ok for ok in passes.values()]


def test_a_control_that_fails_is_of_its_arm_alone():
  results = results_of(record_of(0.4))
  combining = results["combining"]
  combining["arms"]["lr_8"] = record_of(0.4)
  lost = {"seeds": [], "of_seeds": SEEDS, "layers": []}
  combining["controls"]["lr_8"] = combining["controls"]["lr_4"] | {"half": lost}
  arms = combining_verdict.decide(results)["arms"]
  assert {name: judged["finding"] for name, judged in arms.items()} == {
    "lr_4": "half or more",
    "lr_8": "not concluded",
  }
  sentences = combining_verdict.sentences(results)
  assert "Half, lifted and shuffled, of LR 8, fails: no seed finished." in sentences


def test_numbers_are_means_over_seeds():
  judged = combining_verdict.decide(results_of(record_of(0.4, noise=0)))["arms"]["lr_4"]
  assert judged["share"] == pytest.approx(0.4)
  assert judged["excess"] == pytest.approx(0.17)
  assert judged["cost"]["mean"] == pytest.approx(1)
  assert judged["cost_of_half"]["mean"] == pytest.approx(0.5)
  assert judged["saved_of_half"]["mean"] == pytest.approx(0.5)


def test_one_seed_or_none_decides_nothing():
  record = record_of(0.4)
  single = {key: record[key][:1] for key in ("seeds", "shares", "null")}
  single["psnr"] = {name: psnr[:1] for name, psnr in record["psnr"].items()}
  for few, words in ((record | single, "over 1 of 6 seeds"), ({"seeds": []}, "no seed finished")):
    results = results_of(few)
    assert finding_of(results) == "undecided"
    (first, *_) = combining_verdict.sentences(results)
    assert "is undecided" in first
    assert words in first


def test_a_run_that_did_not_look_says_nothing():
  assert combining_verdict.sentences({}) == []
  assert combining_verdict.headline({}) == {}
