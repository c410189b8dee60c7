import jax.numpy as jnp
import pytest

from sr_jax.identities import theorems
from sr_jax.identities.layer_overlap import EXACT_LIFT, deviation_of_inclusion
from sr_jax.networks import network as network_module
from sr_jax.networks.budget import budget
from sr_jax.operators.lifting import lift_conv

PAIRS = {"lr_tied": "lr", "hr_learned": "hr_untied", "hr": "lift"}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
  monkeypatch.setattr(theorems, "FEATURES", 4)
  monkeypatch.setattr(theorems, "DEPTH", 1)
  monkeypatch.setattr(theorems, "SMALL_FEATURES", 4)
  monkeypatch.setattr(theorems, "IMAGES", 2)


def small(name):
  return theorems.family(name, 4, 1)


def test_costs_of_the_notes_size():
  hr, learned, untied, lift = (
    budget(theorems.family(name, 32, 4)) for name in ("hr", "hr_learned", "hr_untied", "lift")
  )
  assert hr.macs == learned.macs == untied.macs == 9704
  assert untied.parameters / learned.parameters == pytest.approx(3.77, abs=0.005)
  assert float(lift.macs / hr.macs) == pytest.approx(1.77, abs=0.03)


@pytest.mark.parametrize("inner", PAIRS)
def test_random_parameters_are_copied_exactly(inner):
  assert deviation_of_inclusion(small(inner), small(PAIRS[inner])) < EXACT_LIFT


def test_families_that_are_not_contained_deviate():
  assert deviation_of_inclusion(small("hr"), small("lr")) == float("inf")
  assert deviation_of_inclusion(small("hr_untied"), small("hr_learned")) > 1e-3


def test_a_lift_that_is_not_exact_shows_nothing(monkeypatch):
  shown = theorems._rank_above("hr_learned", "hr_untied")
  monkeypatch.setattr(theorems, "_rank_above", lambda *names: shown)
  assert theorems._strictly_inside("", "hr_learned", "hr_untied").is_shown

  def rough(kernel, scale, padding):
    lifted, pairs = lift_conv(kernel, scale, padding)
    return lifted.at[0].multiply(1.001), pairs

  monkeypatch.setattr(network_module, "lift_conv", rough)
  theorem = theorems._strictly_inside("", "hr_learned", "hr_untied")
  assert not theorem.is_shown
  assert theorem.evidence.startswith("not shown to be contained")


def test_a_rank_that_is_not_above_shows_nothing(monkeypatch):
  certify = theorems.certify

  def rank_of_zero(*arguments, **fields):
    return certify(*arguments, **fields)._replace(rank=0)

  monkeypatch.setattr(theorems, "certify", rank_of_zero)
  theorem = theorems._strictly_inside("", "lr_tied", "lr")
  assert not theorem.is_shown
  assert theorem.evidence.startswith("contained")
  assert "is not shown to have a rank above 153" in theorem.evidence
  assert not theorems.neither_contains_the_other().is_shown


def test_of_the_notes_pair_neither_contains_the_other(monkeypatch):
  monkeypatch.setattr(theorems, "DEPTH", 2)  # HR sees further from there
  theorem = theorems.neither_contains_the_other()
  assert theorem.is_shown
  assert "LR does not contain HR: an output of HR depends on an LR pixel" in theorem.evidence
  assert "the Jacobian of LR of 4 LR maps and 1 hidden layer has a rank of at least 101" in (
    theorem.evidence
  )
  assert theorem.evidence.count("and HR has 100 parameters") == 1


def test_a_pixel_that_both_see_shows_nothing(monkeypatch):
  monkeypatch.setattr(
    theorems, "unseen_pixel", lambda network, other: (9, 1e-3, 1e-3)
  )  # as of an LR network that depends on it, too
  theorem = theorems.neither_contains_the_other()
  assert not theorem.is_shown
  assert "LR is not shown not to contain HR" in theorem.evidence


def test_a_pixel_is_unseen_by_the_smaller_windows_alone():
  hr, lr = theorems.family("hr", 4, 2), theorems.family("lr", 4, 2)
  reach, of_hr, of_lr = theorems.unseen_pixel(hr, lr)
  assert reach > 1 + 2 + 2  # of LR
  assert abs(of_hr) > 1e-6
  assert of_lr == 0
  assert theorems.unseen_pixel(lr, hr) == (0, 0.0, 0.0)


def test_an_operator_that_loses_the_border_of_kernels_is_noticed(monkeypatch):
  exact = network_module.conv

  def short_sighted(x, kernel, padding, *rest, **fields):
    inner = jnp.zeros_like(kernel).at[1:-1, 1:-1].set(1)
    return exact(x, kernel * inner, padding, *rest, **fields)

  monkeypatch.setattr(network_module, "conv", short_sighted)
  hr, lr = theorems.family("hr", 4, 2), theorems.family("lr", 4, 2)
  reach, of_hr, _ = theorems.unseen_pixel(hr, lr)
  assert reach > 0
  assert of_hr == 0


def test_every_theorem_is_listed(monkeypatch):
  pairs = []

  def judged(*names):
    pairs.append(names)
    return theorems.Theorem("", True, "")

  monkeypatch.setattr(theorems, "_strictly_inside", lambda statement, *names: judged(*names))
  monkeypatch.setattr(theorems, "neither_contains_the_other", lambda: judged("lr", "hr"))
  theorems.theorems()
  assert pairs == [*PAIRS.items(), ("lr", "hr")]
