import re

import numpy as np
import pytest

from sr_jax.identities import claims
from sr_jax.identities.theorems import Theorem
from sr_jax.networks import hr_network, lr_network
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv

SECONDS = {"lr": 1.0, "hr (hr_space)": 2.5, "hr (lr_space)": 1.2}


def test_equal_speed_is_judged_by_the_measurement():
  assert claims.same_speed(SECONDS, "cpu").verdict == "wrong"
  assert claims.same_speed(SECONDS | {"hr (hr_space)": 1.05}, "cpu").verdict == "right"


@pytest.mark.parametrize(
  ("upsampling", "verdict"), [("transposed_conv", "right"), ("bicubic", "loose")]
)
def test_only_a_pair_that_fits_is_contained(upsampling, verdict, monkeypatch):
  hr = hr_network(kernel_size=5, depth=1, upsampling=upsampling)
  monkeypatch.setattr(claims, "HR_PAIR", hr)
  monkeypatch.setattr(claims, "LR_PAIR", lr_network(depth=1))
  set_theorem(monkeypatch, is_shown=True)
  assert claims.more_representation_power()[0] == verdict


@pytest.fixture
def exact_lift(monkeypatch):
  monkeypatch.setattr(claims, "deviation_of_lift", lambda network: 0.0)
  set_theorem(monkeypatch, is_shown=False)


def set_theorem(monkeypatch, is_shown):
  theorem = Theorem("neither contains the other", is_shown, "")
  monkeypatch.setattr(claims, "neither_contains_the_other", lambda: theorem)


@pytest.mark.usefixtures("exact_lift")
def test_what_is_said_of_the_networks_is_the_theorem(monkeypatch):
  assert (
    "whether one of the whole networks contains the other is open"
    in (claims.more_representation_power()[1])
  )
  set_theorem(monkeypatch, is_shown=True)
  assert (
    "; neither of the whole networks contains the other, and which is better"
    in (claims.more_representation_power()[1])
  )


@pytest.mark.usefixtures("exact_lift")
def test_what_one_layer_cannot_do_leaves_the_networks_open():
  verdict, evidence = claims.more_representation_power()
  assert verdict == "loose"
  assert (
    "of single layers neither contains the other: a lifted HR layer of 6x6 uses 4x4" in evidence
  )
  assert "% of a random LR layer of 3x3 no HR layer of 6x6 reproduces" in evidence
  assert "whether one of the whole networks contains the other is open" in evidence
  assert "HR 5x5 with a learned front is a subset of LR" in evidence
  assert "neither network" not in evidence


@pytest.mark.parametrize(
  ("overlap", "words"),
  [
    ((3, 0.5), "every HR layer of 6x6 is one LR layer of 3x3, but 50% of a random LR layer"),
    ((3, 0.0), "every HR layer of 6x6 is one LR layer of 3x3, and the other way round"),
    ((4, 0.0), "every LR layer of 3x3 is one HR layer of 6x6, but a lifted HR layer of 6x6 uses"),
  ],
)
@pytest.mark.usefixtures("exact_lift")
def test_the_words_on_layers_follow_their_overlap(overlap, words, monkeypatch):
  monkeypatch.setattr(claims, "tied_share", lambda *_: overlap)
  verdict, evidence = claims.more_representation_power()
  assert verdict == "loose"
  assert evidence.startswith(words)
  assert "neither" not in evidence


def test_a_lift_that_is_not_exact_shows_nothing(monkeypatch):
  set_theorem(monkeypatch, is_shown=True)
  monkeypatch.setattr(claims, "deviation_of_lift", lambda network: 0.1)
  assert (
    "5x5 with a learned front is not shown to be a subset"
    in (claims.more_representation_power()[1])
  )
  monkeypatch.setattr(
    claims, "HR_PAIR", hr_network(kernel_size=5, depth=1, upsampling="transposed_conv")
  )
  monkeypatch.setattr(claims, "LR_PAIR", lr_network(depth=1))
  verdict, evidence = claims.more_representation_power()
  assert verdict == "loose"
  assert evidence.startswith("open: HR 5x5 differs from its lift")


def test_the_overlap_of_one_hr_and_one_lr_layer():
  assert claims.tied_share(6, 2, 3)[0] == 4
  assert claims.tied_share(5, 2, 3)[0] == 3
  assert claims.tied_share(3, 1, 3) == (3, pytest.approx(0, abs=1e-12))  # r = 1: the same layer
  missing = claims.tied_share(5, 2, 3)[1]
  # 25 free taps of 144: that much of a random kernel's square is left over.
  assert missing == pytest.approx(np.sqrt(1 - 25 / 144), abs=0.05)


def test_unequal_costs_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "HR_PAIR", hr_network(kernel_size=5))
  assert claims.equal_cost()[0] == "wrong"


def test_equal_stacks_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "HR_PAIR", hr_network(kernel_size=3))
  monkeypatch.setattr(claims, "LR_PAIR", lr_network(scale=1))
  assert claims.equal_receptive_fields()[0] == "right"


FEW = [(1, 2, 3, 1), (2, 2, 4, 0)]


@pytest.fixture
def few_layers(monkeypatch):
  monkeypatch.setattr(claims, "LAYERS", FEW)
  monkeypatch.setattr(claims, "OTHER_SIZES", [(1, 2, 3, 0), (1, 3, 4, 0)])
  monkeypatch.setattr(claims, "LARGEST", 6)


@pytest.mark.usefixtures("few_layers")
def test_the_reversed_filter_is_right_by_a_deviation_and_a_control():
  verdict, evidence = claims.reversed_filter()
  assert verdict == "right"
  worst, control = map(float, re.search(r"axes: (\S+), .* not reversed: (\S+)", evidence).groups())
  assert worst < claims.EXACT
  assert control > 0.1


def test_an_unreversed_filter_gives_another_layer():
  for exact, unreversed in claims.deviations_of_sub_pixel(FEW):
    assert exact < claims.EXACT
    assert unreversed > 0.1
  # A filter of one tap is its own reverse.
  assert claims.deviations_of_sub_pixel([(1, 2, 1, 0)]) == [(0.0, 0.0)]


@pytest.mark.parametrize("operator", ["transposed_conv", "sub_pixel_conv", "zero_insertion_conv"])
@pytest.mark.parametrize("check", [claims.reversed_filter, claims.other_sizes])
@pytest.mark.usefixtures("few_layers")
def test_forms_that_differ_make_the_sentence_wrong(operator, check, monkeypatch):
  exact = getattr(claims, operator)
  monkeypatch.setattr(claims, operator, lambda *a: 1.001 * exact(*a))
  verdict, evidence = check()
  assert verdict == "wrong"
  worst = float(re.search(r"largest difference .*?: ([0-9.e+-]+)", evidence).group(1))
  assert 1e-4 < worst < 1


@pytest.mark.usefixtures("few_layers")
def test_outputs_that_are_not_finite_are_not_equal(monkeypatch):
  monkeypatch.setattr(claims, "sub_pixel_conv", lambda *a: np.nan * claims.transposed_conv(*a))
  assert claims.reversed_filter()[0] == claims.other_sizes()[0] == "wrong"


@pytest.mark.usefixtures("few_layers")
def test_a_filter_that_need_not_be_reversed_would_be_found(monkeypatch):
  monkeypatch.setattr(claims, "LAYERS", [(1, 2, 1, 0)])
  verdict, evidence = claims.reversed_filter()
  assert verdict == "loose"
  assert evidence.startswith("the filter need not be reversed")


def test_whether_other_sizes_fill_the_lr_kernel_is_counted(monkeypatch):
  monkeypatch.setattr(claims, "OTHER_SIZES", [(1, 2, 3, 0), (1, 3, 4, 0)])
  assert "an injection, not onto: f = (1, 2, 3) fills 3 of 4 taps" in claims.other_sizes()[1]
  monkeypatch.setattr(claims, "OTHER_SIZES", [(1, 2, 3, 0), (1, 2, 4, 0)])
  assert "an injection, onto for 1 sizes only" in claims.other_sizes()[1]
  monkeypatch.setattr(claims, "OTHER_SIZES", [(1, 2, 4, 0)])
  assert "an injection, and onto" in claims.other_sizes()[1]


def test_a_tap_that_is_lost_is_no_injection(monkeypatch):
  def lossy(kernel, scale, padding):
    lr_kernel, *rest = deconv_to_lr(kernel, scale, padding)
    return np.where(np.asarray(lr_kernel) == 2, 0, lr_kernel), *rest

  monkeypatch.setattr(claims, "OTHER_SIZES", [(1, 2, 3, 0)])
  monkeypatch.setattr(claims, "deconv_to_lr", lossy)
  assert "not an injection, not onto: f = (1, 2, 3) fills 2 of 4 taps" in claims.other_sizes()[1]


@pytest.mark.usefixtures("few_layers")
def test_a_bijection_that_is_another_layer_is_found(monkeypatch):
  def unreversed(kernel, scale, padding):
    lr_kernel, *rest = deconv_to_lr(kernel, scale, padding)
    return lr_kernel[::-1], *rest

  def back(lr_kernel, *rest):
    return lr_to_deconv(lr_kernel[::-1], *rest)

  monkeypatch.setattr(claims, "deconv_to_lr", unreversed)
  monkeypatch.setattr(claims, "lr_to_deconv", back)
  verdict, evidence = claims.one_to_one()
  assert verdict == "wrong"
  assert "differ" in evidence


def test_what_is_one_to_one_is_counted(monkeypatch):
  monkeypatch.setattr(claims, "deviations_of_lr_form", lambda layers: [0.0])
  monkeypatch.setattr(claims, "LARGEST", 6)
  verdict, evidence = claims.one_to_one()
  assert verdict == "right when"
  assert "exactly those with K = k r and p0 = 0 mod r; elsewhere the LR kernel has taps" in evidence
  monkeypatch.setattr(claims, "lr_to_deconv", lambda lr_kernel, *_: (0 * lr_kernel, None))
  verdict, evidence = claims.one_to_one()
  assert verdict == "wrong"
  assert "bit for bit, in 0 of" in evidence


def test_the_three_forms_agree():
  deviations = claims.deviations_of_three_implementations([(axes, 2, 3, 1) for axes in (1, 2, 3)])
  assert len(deviations) == 3
  assert max(deviations) < claims.EXACT
