import numpy as np
import pytest

from sr_jax.analysis import claims
from sr_jax.networks import HRNetwork, LRNetwork
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv

SECONDS = {"lr": 1.0, "hr (hr_space)": 2.5, "hr (lr_space)": 1.2}


def test_equal_speed_is_judged_by_the_measurement():
  assert claims.same_speed(SECONDS, "cpu").verdict == "wrong"
  assert claims.same_speed(SECONDS | {"hr (hr_space)": 1.05}, "cpu").verdict == "right"


@pytest.mark.parametrize(
  ("upsampling", "verdict"), [("transposed_conv", "right"), ("bicubic", "loose")]
)
def test_only_a_pair_that_fits_is_contained(upsampling, verdict, monkeypatch):
  hr = HRNetwork(kernel_size=5, depth=1, upsampling=upsampling)
  monkeypatch.setattr(claims, "HR_PAIR", hr)
  monkeypatch.setattr(claims, "LR_PAIR", LRNetwork(depth=1))
  assert claims.more_representation_power()[0] == verdict


def test_the_overlap_of_one_hr_and_one_lr_layer():
  assert claims.tied_share(6, 2, 3)[0] == 4
  assert claims.tied_share(5, 2, 3)[0] == 3
  assert claims.tied_share(3, 1, 3) == (3, pytest.approx(0, abs=1e-12))  # r = 1: the same layer
  missing = claims.tied_share(5, 2, 3)[1]
  # 25 free taps of 144: that much of a random kernel's square is left over.
  assert missing == pytest.approx(np.sqrt(1 - 25 / 144), abs=0.05)


def test_unequal_costs_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "HR_PAIR", HRNetwork(kernel_size=5))
  assert claims.equal_cost()[0] == "wrong"


def test_equal_stacks_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "HR_PAIR", HRNetwork(kernel_size=3))
  monkeypatch.setattr(claims, "LR_PAIR", LRNetwork(scale=1))
  assert claims.equal_receptive_fields()[0] == "right"


def test_a_broken_operator_is_not_blamed_on_the_note(monkeypatch):
  monkeypatch.setattr(claims, "sub_pixel_conv", lambda *a: 1.001 * claims.transposed_conv(*a))
  for check in (claims.reversed_filter, claims.other_sizes):
    with pytest.raises(ArithmeticError, match="a bug of the operators"):
      check()


def test_a_bijection_that_is_another_layer_is_found(monkeypatch):
  def unreversed(kernel, scale, padding):
    lr_kernel, *rest = deconv_to_lr(kernel, scale, padding)
    return lr_kernel[::-1], *rest

  def back(lr_kernel, *rest):
    return lr_to_deconv(lr_kernel[::-1], *rest)

  monkeypatch.setattr(claims, "deconv_to_lr", unreversed)
  monkeypatch.setattr(claims, "lr_to_deconv", back)
  monkeypatch.setattr(claims, "LARGEST", 6)
  with pytest.raises(ArithmeticError, match="a bug of the operators"):
    claims.one_to_one()


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_three_forms_agree(axes):
  assert claims.deviation_of_three_implementations(axes, 2, 3, 1) < claims.EXACT
