import pytest

from experiments.matched_flops import (
  FAMILY,
  MECHANISMS,
  PRESETS,
  Config,
  arms,
  comparison,
  measured_arms,
)
from sr_jax.config import InputError
from sr_jax.networks import Maps, lr_network
from sr_jax.networks.budget import budget
from sr_jax.training.choices import Choices


class Chosen(Choices):
  """Choices that need no measuring: the widths, and the executions, "lr_space" by default."""

  def __init__(self, **executions):
    self.executions, self.networks, self.targets = executions, {}, {}

  def fastest(self, name, networks):
    self.networks.setdefault(name, networks)
    return self.executions.get(name, "lr_space")

  def max_width(self, name, target, candidates):
    self.targets[name] = (target, candidates)
    return {"lr_timed": 36, "hr_timed": 6}[name]


def named(*names, **more):
  return {arm.name: arm for arm in measured_arms(Config(arms=names, **more), Chosen())}


def test_the_default_is_the_pair_of_the_note():
  lr, hr = arms(Config())
  assert (lr.name, hr.name, lr.macs, hr.macs) == ("lr", "hr", 9704, 9704)
  assert lr.network == lr_network()
  assert {(layer.outputs, layer.hr_kernel_size) for layer in hr.network.layers[1:-1]} == {
    (Maps(hr=8), 6)
  }


def test_the_family_costs_what_lr_costs_within_tolerance():
  family = named("lr", *FAMILY)
  assert {name: float(budget(arm.network).macs) for name, arm in family.items()} == {
    "lr": 9704,
    "hr": 9704,
    "hr_learned": 9704,
    "hr_k4": 9708,
    "hr_k4_learned": 9708,
    "hr_k3": 9760,
    "hr_k3_learned": 9760,
    "hr_k2": 9912,
    "hr_k2_learned": 9912,
  }
  assert {arm.macs for arm in family.values()} == {9704}
  hr_networks = [arm.network for name, arm in family.items() if name != "lr"]
  assert [network.bicubic_first for network in hr_networks] == [True, False] * 4
  assert all(layer.outputs.lr == 0 for network in hr_networks for layer in network.layers)


def test_the_controls_are_what_they_are_called():
  names = ("lr", "hr", "lr_tied", "hr_untied", "lr_deeper", "hr_deeper", "lr_narrow", "hr_wide")
  found = {
    name: budget(arm.network)
    for name, arm in named(*names, "lr_far", hr_execution="lr_space").items()
  }
  assert (found["lr_tied"].macs, found["lr_tied"].executed_macs) == (6800, 9704)
  assert found["hr_untied"].macs == 9704
  assert found["hr_untied"].parameters == found["lr"].parameters
  assert found["lr_deeper"].macs == found["hr_deeper"].macs
  assert found["hr_deeper"].shift == 0
  assert abs(found["lr_narrow"].parameters / found["hr"].parameters - 1) < 0.06
  assert abs(found["hr_wide"].parameters / found["lr"].parameters - 1) < 0.06
  assert found["lr_far"].receptive_field == found["hr"].receptive_field


def test_arms_of_equal_time_take_the_width_they_are_given():
  timed = named("lr", "hr", "lr_timed", "hr_timed", hr_execution="hr_space")
  assert timed["lr_timed"].network.layers[0].outputs == Maps(lr=36)
  assert timed["hr_timed"].network.layers[0].outputs == Maps(hr=6)


def test_each_hr_network_is_trained_in_its_faster_execution():
  chosen = Chosen(hr_k3="hr_space")
  config = Config(arms=("lr", "hr", "hr_k3", "hr_untied", "lr_timed", "hr_timed"))
  found = {arm.name: arm.network for arm in measured_arms(config, chosen)}
  executions = {name: network.execution for name, network in found.items()}
  assert executions == {
    "lr": "hr_space",
    "hr": "lr_space",
    "hr_k3": "hr_space",
    "hr_untied": "lr_space",
    "lr_timed": "hr_space",
    "hr_timed": "lr_space",
  }
  # What is timed is what would be trained: the same networks, in the execution chosen for them.
  assert chosen.networks["hr"]["lr_space"] == found["hr"] == chosen.targets["lr_timed"][0]
  assert chosen.networks["hr_k3"]["hr_space"] == found["hr_k3"]
  assert chosen.targets["hr_timed"][1][6] == found["hr_timed"]
  assert chosen.targets["lr_timed"][1][36] == found["lr_timed"]
  assert set(chosen.networks) == {"hr", "hr_k3"}


@pytest.mark.parametrize(
  ("given", "says"),
  [
    (("hr",), "--measured=hr is not NAME:CHOICE"),
    (("hr:lr_space", "hr:hr_space"), "each name once"),
    (("hr:fast",), "hr may be hr_space or lr_space"),
    (("lr:lr_space",), "nothing of the name lr is chosen in this run"),
    (("lr_timed:36",), "nothing of the name lr_timed is chosen"),
    (("lr/3:fast",), "lr/3 may be canonical or native or plain or matrix_product"),
    (("lr/999:plain",), "nothing of the name lr/999 is chosen in this run; choose from lr/3"),
    (("auto", "hr:lr_space"), "--measured=auto is not NAME:CHOICE"),
  ],
)
def test_choices_that_cannot_be_are_refused(given, says):
  with pytest.raises(InputError, match=says):
    Config(measured=given)


def test_an_execution_that_is_not_measured_cannot_be_given_as_measured():
  with pytest.raises(InputError, match="nothing of the name hr is chosen"):
    Config(hr_execution="hr_space", measured=("hr:lr_space",))
  names = ("lr", "hr", "lr_timed")
  given = Config(arms=names, measured=("lr_timed:36", "hr:hr_space", "lr/3:plain"))
  assert given.given_choices() == {"lr_timed": "36", "hr": "hr_space", "lr/3": "plain"}


@pytest.mark.parametrize(
  ("execution", "in_lr_space"),
  [("hr_space", []), ("lr_space", ["hr", "hr_k4", "hr_k3"]), ("fewer", ["hr", "hr_k4"])],
)
def test_hr_networks_are_lifted_where_that_is_asked_for_or_pays(execution, in_lr_space):
  found = named("lr", "hr", "hr_k4", "hr_k3", hr_execution=execution)
  lifted = [name for name, arm in found.items() if arm.network.execution == "lr_space"]
  assert lifted == in_lr_space


@pytest.mark.parametrize(
  ("names", "says"),
  [
    (("lr",), "--arms=lr: a comparison needs two arms"),
    (("lr", "lr"), "--arms=lr,lr names a value twice"),
    (("lr", "hr_k5"), r"kernels of 5x5 cost .* = 48 must be a multiple of K"),
    (("lr", "hr_k0"), "--arms=hr_k0 is not known; choose from lr, hr,"),
    (("lr", "HR"), "--arms=HR is not known"),
  ],
)
def test_arms_that_cannot_be_are_refused(names, says):
  with pytest.raises(InputError, match=says):
    Config(arms=names)


@pytest.mark.parametrize(("scale", "features", "kernels"), [(3, 36, (9, 6, 4)), (4, 64, (12, 8))])
def test_every_arm_exists_at_other_scales(scale, features, kernels):
  names = ["lr", "hr", "hr_learned", "lr_tied", "hr_untied", "lr_deeper", "hr_deeper", "lr_narrow"]
  family = [f"hr_k{kernel}" for kernel in kernels]
  found = named(*names, "hr_wide", *family, scale=scale, features=features)
  lr = budget(found["lr"].network)
  assert budget(found["hr"].network).macs == budget(found["hr_untied"].network).macs == lr.macs
  assert budget(found["lr_tied"].network.clone(execution="lr_space")).executed_macs == lr.macs
  for of_parameters, like in (("lr_narrow", "hr"), ("hr_wide", "lr")):
    ratio = budget(found[of_parameters].network).parameters / budget(found[like].network).parameters
    assert abs(ratio - 1) < 0.22  # first and last layers, with few maps, do not match


def test_the_confirmatory_run_asks_every_question_it_announces():
  config = PRESETS["confirmatory"]
  asked = comparison(config)
  assert {*FAMILY, asked.subset, asked.primary.first} <= set(config.arms)
  missing = [one for one in MECHANISMS if not {one.first, one.second} <= set(config.arms)]
  assert [one.second for one in missing] == ["hr_wide"]  # whose training takes six times as long
  assert config.seeds >= 8
  assert config.test_data[0] == "BSD100"


def test_without_the_pair_the_first_two_arms_are_the_verdict():
  asked = comparison(Config(arms=("hr_k3", "lr", "hr_k4"))).primary
  assert (asked.first, asked.second) == ("hr_k3", "lr")


def test_the_family_and_the_subset_of_lr_meet_no_other_arm():
  others = comparison(Config(arms=("hr_k4", "hr_k3", "lr_tied")))
  assert (others.opponents, others.subset) == ((), None)
  assert comparison(Config(arms=("lr", "hr_k3"))).opponents == FAMILY


def test_residual_networks_cost_what_plain_ones_do():
  for name, arm in named("lr", "hr", "hr_k4", residual=True).items():
    assert [layer.adds for layer in arm.network.layers[1:-1]] == [0, 2, 0, 2]
    assert arm.budget.macs == named(name, "lr" if name == "hr" else "hr")[name].budget.macs
    assert arm.note.endswith("depth 4, residual")
  for depth in (0, 3):
    says = f"--depth={depth} hidden layers cannot be residual blocks of two"
    with pytest.raises(InputError, match=says):
      Config(residual=True, depth=depth)
  with pytest.raises(InputError, match="--arms=hr_deeper is one hidden layer deeper, which"):
    Config(arms=("lr", "hr_deeper"), residual=True)
