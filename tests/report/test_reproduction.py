import numpy as np
import pytest
from scipy.stats import t

from sr_jax.report import reproduction


def scores(*psnr):
  return {"psnr": list(psnr), "ssim": [0.9] * len(psnr)}


def member(*psnr, status="ok"):
  return {"status": "diverged" if None in psnr else status, "test": scores(*psnr)}


def arm(note, *members, edge=None):
  return {"note": note, "learning_rate": 0.008, "rate_at_edge": edge, "members": list(members)}


RESULTS = {
  "tests": ["Set5", "Set14"],
  "bicubic": {"test": scores(30.0, 31.0)},
  "arms": {
    "espcn": arm("ESPCN", member(32, 33), member(32.2, 33.2), member(32.4, 33.4), edge="highest"),
    "srcnn": arm("SRCNN", member(31.0, 32.0), member(12.0, 11.0, status="diverged")),
    "fsrcnn": arm("FSRCNN", member(None, None)),
  },
  "further_tests": {
    "Set14": {
      "bicubic": scores(27.0),
      "arms": {
        "espcn": [scores(28.0), scores(28.0), scores(28.0)],
        "srcnn": [scores(28.5), scores(28.7)],
        "fsrcnn": [scores(None)],
      },
    }
  },
  "paper": {
    "espcn": {"Set5": 32.55, "Set14": 29.08},
    "srcnn": {"Set5": 31.5},
    "fsrcnn": {"Set5": 33},
  },
}


def test_the_interval_is_that_of_t_over_seeds():
  score = reproduction.mean(
    [member["test"] for member in RESULTS["arms"]["espcn"]["members"]], "psnr"
  )
  low, high = t.interval(0.95, 2, loc=32.7, scale=0.2 / np.sqrt(3))
  assert score.value == pytest.approx(32.7)
  assert score.ci_half_width == pytest.approx((high - low) / 2)
  assert score.text(2) == "32.70 +- 0.50"


def test_diverged_members_are_left_out_and_counted():
  table = reproduction.rows(RESULTS)
  assert table[0] == ["", "Set5 (dB)", "paper", "Set14 (dB)", "paper"]
  assert table[1] == ["bicubic", "30.50", "-", "27.00", "-"]
  assert table[2] == ["ESPCN", "32.70 +- 0.50", "32.55", "28.00 +- 0.00", "29.08"]
  assert table[3] == ["SRCNN", "31.50 (1 of 2)", "31.50", "28.50 (1 of 2)", "-"]
  assert table[4] == ["FSRCNN", "diverged", "33.00", "diverged", "-"]


def test_ssim_has_no_column_of_the_paper():
  assert reproduction.rows(RESULTS, "ssim")[:2] == [
    ["", "Set5", "Set14"],
    ["bicubic", "0.9000", "0.9000"],
  ]


def test_sentences_say_on_which_side_of_the_paper_a_mean_lies():
  assert list(reproduction.sentences(RESULTS)) == [
    "ESPCN on Set5: 32.70 dB, 95 % interval over 3 seeds 32.20 to 33.20; 0.15 dB above the paper's "
    "32.55.",
    "ESPCN on Set14: 28.00 dB, 95 % interval over 3 seeds 28.00 to 28.00; 1.08 dB below the "
    "paper's 29.08.",
    "SRCNN on Set5: 31.50 dB, one seed; as the paper's 31.50.",
    "FSRCNN on Set5: diverged.",
    "The best learning rate of ESPCN, 0.008, is the highest of the grid: a wider --learning_rate "
    "may change its scores.",
  ]
