"""Effects as text."""

import pytest

from sr_jax.comparison.phrases import in_unit, percent, percent_ends

NOTHING = {"mean": None, "low": None, "high": None}
ALONE = {"mean": 0.1, "low": None, "high": None}
WHOLE = {"mean": 0.031, "low": -0.012, "high": 0.05}


@pytest.mark.parametrize(
  ("summary", "share", "effect"),
  [
    (NOTHING, "-", "-"),
    (ALONE, "+10.0 %", "+0.100 dB"),
    (WHOLE, "+3.1 % (-1.2 to +5.0 %)", "+0.031 dB (-0.012 to +0.050)"),
  ],
)
def test_an_interval_is_written_where_there_is_one(summary, share, effect):
  assert percent(summary) == share
  assert in_unit(summary, "dB") == effect


def test_a_unit_may_be_empty_and_ends_may_be_of_a_prediction():
  assert in_unit(WHOLE, "", 1) == "+0.0 (-0.0 to +0.1)"
  assert percent_ends({"prediction_low": -0.1, "prediction_high": 0.2}, "prediction_") == (
    "-10.0 to +20.0 %"
  )
