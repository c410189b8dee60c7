import dataclasses

import pytest

from sr_jax.comparison.representation import Evidence, explanation, missing

ALL = Evidence(True, True, True, "supported", "supported", change="equivalent")


@pytest.mark.parametrize(
  ("changes", "allowed"),
  [
    ({}, "more representation power"),
    ({"change": "supported"}, "more representation power"),
    ({"change": "reversed"}, "both"),
    ({"change": "undecided"}, "more representation power, perhaps both"),
    ({"longest": "equivalent", "own_recipes": "undecided"}, "better trained"),
    ({"longest": "reversed", "own_recipes": "equivalent"}, "better trained"),
    ({"longest": "equivalent", "own_recipes": "supported"}, "neither is shown"),
    ({"longest": "undecided", "own_recipes": "undecided"}, "neither is shown"),
    # Without the control, the run of own recipes says nothing, of either explanation.
    (
      {"control_holds": False, "longest": "undecided", "own_recipes": "reversed"},
      "neither is shown",
    ),
    ({"control_holds": False, "longest": "equivalent"}, "better trained"),
    ({"control_holds": False}, "neither is shown"),
    ({"weights_used": False, "change": "reversed"}, "neither is shown"),
    ({"containment_excluded": False}, "neither is shown"),
  ],
)
def test_the_evidence_allows_no_more_than_it_carries(changes, allowed):
  assert explanation(dataclasses.replace(ALL, **changes)) == allowed


def test_what_is_missing_is_named():
  assert missing(ALL) == []
  lacking = dataclasses.replace(ALL, control_holds=False, longest="undecided")
  control, length = missing(lacking)
  assert "LR far - LR" in control
  assert "longest training" in length
