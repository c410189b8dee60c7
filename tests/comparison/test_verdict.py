import json

import numpy as np
import pytest

from sr_jax.comparison import verdict
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.report import tables, times

PAIR = Comparison(Contrast("lr", "hr", "the pair"))


def member(seed, psnr, status="ok"):
  return {
    "seed": seed,
    "learning_rate": 1e-3,
    "status": status,
    "validation_psnr": 30.0,
    "test": {"psnr": list(psnr), "ssim": [0.9] * len(psnr)},
    "training": {"psnr": list(psnr)},
  }


def results(lr, hr, edge=None):
  """Results of two arms from their test PSNR, (seeds, images) each; None marks a diverged seed."""

  def arm(table):
    rows = [
      member(seed, [None] * 6, "diverged") if row is None else member(seed, row)
      for seed, row in enumerate(table)
    ]
    return {"learning_rate": 1e-3, "rate_at_edge": edge, "search": [], "members": rows}

  data = {
    "experiment": "test",
    "config": {"scale": 2, "steps": 5},
    "images": {"test": list("abcdef")},
    "bicubic": {"test": {"psnr": [29.0] * 6, "ssim": [0.8] * 6}, "training": {"psnr": [29.0]}},
    "arms": {"lr": arm(lr), "hr": arm(hr)},
  }
  data["verdict"] = verdict.decide(data, PAIR)
  json.dumps(data, allow_nan=False)
  return data


BASE = 30 + np.arange(6.0) + np.array([[0.0], [0.1], [0.2]])
WOBBLE = 0.01 * np.array([[1.0, -1, 1, -1, 1, -1], [-1, 1, 1, -1, 1, -1], [1, 1, -1, -1, -1, 1]])


def test_every_further_test_set_is_judged_by_itself():
  data = results([*(BASE + WOBBLE)[:2], None], BASE)
  lr = [{"psnr": row, "ssim": [0.9, 0.9]} for row in ([31.0, 32.0], [31.5, 32.0], [None, 32.0])]
  hr = [{"psnr": [30.0, 31.0], "ssim": [0.8, 0.8]}] * 3
  data |= {
    "tests": ["Set5", "Set14"],
    "further_tests": {
      "Set14": {"images": ["a", "b"], "bicubic": hr[0], "arms": {"lr": lr, "hr": hr}}
    },
    "notes": [],
  }
  data["verdict"] = verdict.decide(data, PAIR)
  on_set14 = data["verdict"]["further_tests"]["Set14"]
  assert (on_set14["mean"], on_set14["seeds"], on_set14["images"]) == (1.125, 2, 2)
  said = verdict.sentences(data)
  assert said[0].startswith("On Set5, LR is 0.000 dB")
  assert said[1].startswith("The mean of differences in dB")
  assert said[2].startswith("On Set14, LR is 1.125 dB better than HR")
  assert [row[:1] + row[4:6] for row in tables.rows_by_set(data)] == [
    ["", "Set14 (2) PSNR (dB)", "seeds' sd"],
    ["bicubic", "30.50", "-"],
    ["LR", "31.62", "0.177"],
    ["HR", "30.50", "0.000"],
  ]
  json.dumps(data, allow_nan=False)


@pytest.mark.parametrize(
  ("shift", "decision", "words"),
  [
    (0.3, "supported", "better by more than 0.05 dB"),
    (-0.3, "reversed", "worse by more than 0.05 dB"),
    (0.0, "equivalent", "equivalent, within"),
    (0.05, "undecided", "undecided, since the interval crosses"),
  ],
)
def test_the_verdict_is_about_the_paired_difference(shift, decision, words):
  data = results(BASE + shift + WOBBLE, BASE)
  assert data["verdict"]["test"]["decision"] == decision
  assert data["verdict"]["test"]["mean"] == pytest.approx(shift)
  assert words in data["verdict"]["sentences"][0]
  assert "3 seeds x 6 images" in data["verdict"]["sentences"][0]
  assert verdict.headline(data)["decision"] == decision


def test_a_diverged_seed_is_left_out_and_said():
  lr = [*(BASE + 0.3 + WOBBLE)]
  lr[1] = None
  data = results(lr, BASE)
  assert data["verdict"]["left_out_seeds"] == [1]
  assert data["verdict"]["test"]["seeds"] == 2
  assert any("LR diverged for seeds [1], which are left out" in s for s in verdict.sentences(data))


def test_a_member_that_did_not_learn_is_named_and_stays():
  data = results(BASE + 0.3 + WOBBLE, BASE)
  data["arms"]["hr"]["members"][2]["status"] = "did not learn"
  data["verdict"] = verdict.decide(data, PAIR)
  assert data["verdict"]["left_out_seeds"] == []
  assert data["verdict"]["test"]["seeds"] == 3
  assert any("HR did not learn for seeds [2]" in text for text in verdict.sentences(data))
  assert tables.status_rows(data)[2][2:] == ["2 of 3", "0 of 3", "1 of 3", "0 of 3"]


def test_the_other_estimates_stand_beside_the_mean():
  skewed = np.array([0.0, 0, 0, 0, 0, 1.2])
  data = results(BASE + skewed + WOBBLE, BASE)
  (sentence,) = verdict.other_estimates(data)
  assert "is +0.200; their" in sentence
  assert "median over photographs is +0.00" in sentence
  assert sentence in data["verdict"]["sentences"]
  row = tables.contrast_rows(data)[1]
  header = tables.contrast_rows(data)[0]
  assert row[header.index("median")].startswith("+0.00")
  assert row[header.index("pooled")] == f"{data['verdict']['test']['pooled']:+.3f}"


def test_five_photographs_get_an_interval_and_no_decision():
  data = results(BASE + 0.3 + WOBBLE, BASE)
  for arm in data["arms"].values():
    for member in arm["members"]:
      member["test"]["psnr"] = member["test"]["psnr"][:5]
  data["verdict"] = verdict.decide(data, PAIR)
  assert data["verdict"]["test"]["images"] == 5
  assert data["verdict"]["test"]["low"] > 0.05
  assert data["verdict"]["test"]["p_supported"] is None
  assert "too few photographs to decide" in data["verdict"]["sentences"][0]
  assert verdict.headline(data)["decision"] == "too few photographs"


def test_nothing_left_to_compare_is_said():
  data = results([None, None, None], BASE)
  assert data["verdict"]["test"]["mean"] is None
  assert "no seed finished in both" in data["verdict"]["sentences"][0]
  assert tables.score_rows(data)[2][2] == "diverged (0 of 3)"
  assert verdict.headline(data)["decision"] == "undecided"


def test_a_rate_on_the_edge_of_the_grid_is_said():
  data = results(BASE, BASE, edge="highest")
  assert any("0.001, is the highest of the grid" in s for s in data["verdict"]["sentences"])


def test_networks_of_other_costs_are_not_said_to_have_the_same_macs():
  data = results(BASE, BASE)
  assert "HR networks of other shapes at the same MACs" in verdict.not_shown(data)
  for macs, alike in ((102.0, True), (103.0, False), (97.0, False)):
    data["arms"]["lr"]["budget"] = {"macs": 100.0}
    data["arms"]["hr"] |= {"budget": {"macs": macs}, "code": "0123456789"}
    assert ("at the same MACs" in verdict.not_shown(data)) == alike
    assert "or HR networks of other shapes" in verdict.not_shown(data)


def test_time_is_said_beside_the_macs_it_was_spent_on():
  said = times.time_sentence(
    {
      "device": "1 x cpu",
      "step_seconds": {"lr": 0.004, "hr (hr_space)": 0.009, "hr (lr_space)": 0.005, "x": 9.0},
      "executed_macs": {"lr": 100.0, "hr (hr_space)": 100.0, "hr (lr_space)": 177.0, "x": 1.0},
    },
    ["lr", "hr"],
  )
  assert "takes 4.00 ms for LR on 1 x cpu, 2.25 times as long for HR (9.00 ms), at 1.00" in said
  assert said.endswith(
    "1.25 times as long for HR computed in LR space (5.00 ms), at 1.77 times the MACs."
  )
