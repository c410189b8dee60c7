"""The judgement of whether channels form HR maps, on made-up measurements."""

import numpy as np
import pytest

from sr_jax.comparison import combining_verdict

SEEDS, PHOTOS, DRAWS, LAYERS = 6, 8, 19, 4


def record_of(share, saved=0.5, null=0.23, cost=1.0, noise=0.002):
  """An arm of this tied share, whose ties cost so much and so much less than random ones."""
  rng = np.random.default_rng(0)

  def around(mean, *shape):
    return mean + noise * rng.standard_normal(shape)

  untied = 30 + rng.standard_normal((SEEDS, PHOTOS))
  versions = {"untied": untied}
  for maps, part in ((1, 0.1), (8, 1)):
    versions[f"tied_{maps}"] = untied - part * around(cost, SEEDS, PHOTOS)
    versions[f"random_{maps}"] = untied - part * around(cost + saved, SEEDS, PHOTOS)
  return {
    "seeds": list(range(SEEDS)),
    "layers": [f"hidden_{i}" for i in range(LAYERS)],
    "shares": around(share, SEEDS, LAYERS).tolist(),
    "null": around(null, SEEDS, DRAWS, LAYERS).tolist(),
    "maps": 8,
    "psnr": {name: psnr.tolist() for name, psnr in versions.items()},
  }


def results_of(arm, control=None):
  control = control or record_of(1, cost=0, noise=0)
  return {"combining": {"arms": {"lr_4": arm}, "controls": {"hr_4": control}}}


@pytest.mark.parametrize(
  ("arm", "finding", "words"),
  [
    ({"share": 0.4}, "forms HR maps", "Channels of LR 4 form HR maps"),
    ({"share": 0.25}, "forms none", "do not form HR maps"),  # hardly above the null
    ({"share": 0.4, "saved": 0.01}, "forms none", "do not form HR maps"),  # of no use
    ({"share": 0.3, "noise": 0.1}, "undecided", "is undecided"),
    ({"share": 0.4, "saved": 0.06, "noise": 0.1}, "undecided", "is undecided"),
  ],
)
def test_an_arm_forms_maps_only_if_ties_are_there_and_of_use(arm, finding, words):
  results = results_of(record_of(**arm))
  assert combining_verdict.decide(results)["arms"]["lr_4"]["finding"] == finding
  first, last = combining_verdict.sentences(results)
  assert words in first
  assert "HR 4 passes" in last
  assert combining_verdict.headline(results) == {"HR maps": f"LR 4: {finding}"}


@pytest.mark.parametrize(
  "control", [{"share": 0.98, "cost": 0}, {"share": 1, "cost": 0.02}], ids=["share", "cost"]
)
def test_without_a_control_that_passes_nothing_is_concluded(control):
  results = results_of(record_of(0.4), record_of(**control, noise=0))
  judged = combining_verdict.decide(results)
  assert judged["controls"] == {"hr_4": False}
  assert judged["arms"]["lr_4"]["finding"] == "not concluded"
  first, last = combining_verdict.sentences(results)
  assert first.startswith("Nothing is concluded on channels of LR 4")
  assert "HR 4 fails" in last
  results["combining"]["controls"] = {}
  assert combining_verdict.decide(results)["arms"]["lr_4"]["finding"] == "not concluded"


def test_numbers_are_means_over_seeds():
  judged = combining_verdict.decide(results_of(record_of(0.4, noise=0)))["arms"]["lr_4"]
  assert judged["share"] == pytest.approx(0.4)
  assert judged["excess"] == pytest.approx(0.17)
  assert judged["max_p"] == 1 / (1 + DRAWS)
  assert judged["cost"]["mean"] == pytest.approx(1)
  assert judged["saved"]["mean"] == pytest.approx(0.5)
  assert judged["cost_of_first_map"]["mean"] == pytest.approx(0.1)
  alike = combining_verdict.decide(results_of(record_of(0.23)))["arms"]["lr_4"]
  assert alike["max_p"] > 0.1


def test_one_seed_or_none_decides_nothing():
  record = record_of(0.4)
  single = {key: record[key][:1] for key in ("seeds", "shares", "null")}
  single["psnr"] = {name: psnr[:1] for name, psnr in record["psnr"].items()}
  for few in (record | single, {"seeds": [], "layers": []}):
    results = results_of(few)
    assert combining_verdict.decide(results)["arms"]["lr_4"]["finding"] == "undecided"
    assert "is undecided" in combining_verdict.sentences(results)[0]


def test_a_run_that_did_not_look_says_nothing():
  assert combining_verdict.sentences({}) == []
  assert combining_verdict.headline({}) == {}
