import pytest

from sr_jax.analysis import claims
from sr_jax.networks import HRNetwork, LRNetwork


def test_equal_speed_is_judged_by_the_measurement():
  seconds = {"lr": 1.0, "hr": 2.5, "hr (lr_space)": 1.2}
  assert claims.same_speed(seconds).verdict == "wrong"
  assert claims.same_speed(seconds | {"hr": 1.05}).verdict == "right"


def test_a_pair_that_fits_would_be_contained(monkeypatch):
  monkeypatch.setattr(claims, "HR_PAIR", HRNetwork(kernel_size=5, depth=1))
  monkeypatch.setattr(claims, "LR_PAIR", LRNetwork(depth=1))
  assert claims.more_representation_power()[0] == "right"


def test_unequal_costs_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "HR_PAIR", HRNetwork(kernel_size=5))
  assert claims.equal_cost()[0] == "wrong"


def test_a_broken_identity_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "sub_pixel_conv", lambda *a: 1.001 * claims.transposed_conv(*a))
  assert claims.deviation_of_three_implementations(1, 2, 4, 1) > claims.EXACT
  assert claims.other_sizes()[0] == "wrong"


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_three_forms_agree(axes):
  assert claims.deviation_of_three_implementations(axes, 2, 3, 1) < claims.EXACT
