import dataclasses

import pytest

from sr_jax.comparison.representation import Evidence, explanation, missing

ALL = Evidence(True, True, True, "supported", "supported", shrinks=False)


@pytest.mark.parametrize(
  ("changes", "allowed"),
  [
    ({}, "more representation power"),
    ({"shrinks": True}, "both"),
    ({"longest": "equivalent"}, "better trained"),
    ({"own_recipes": "reversed", "containment_excluded": False}, "better trained"),
    ({"longest": "undecided"}, "neither is shown"),
    ({"control_holds": False}, "neither is shown"),
    ({"weights_used": False, "shrinks": True}, "neither is shown"),
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
