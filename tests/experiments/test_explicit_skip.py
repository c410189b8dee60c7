import dataclasses
import json

import pytest

import launch
from experiments import explicit_skip, matched_flops
from experiments.explicit_skip import PRESETS, Config, arms, comparison, measured
from sr_jax.comparison import skip
from sr_jax.config import InputError
from sr_jax.training.choices import Choices

ALL = dataclasses.replace(PRESETS["confirmatory"], networks=skip.NETWORKS)
NAMES = ["lr", "lr_plain", "hr_k4", "hr_k4_plain", "hr_k4_learned", "hr_k4_learned_plain"]


class Chosen(Choices):
  def __init__(self):
    pass

  def fastest(self, name, networks):
    return "lr_space" if name == "hr_k4" else "hr_space"


def test_every_network_is_there_with_the_skip_and_without():
  for config in (Config(), ALL):
    built = arms(config)
    assert [arm.name for arm in built] == NAMES == [*config.arm_names()]
    assert [arm.network.bicubic_skip for arm in built] == [True, False] * 3
    for first, second in zip(built[::2], built[1::2], strict=True):
      budgets = first.budget, second.budget
      assert len({(each.macs, each.parameters, each.activations) for each in budgets}) == 1
      assert first.note.endswith("with the bicubic skip")
      assert second.note.endswith("without the bicubic skip")


def test_networks_cost_what_lr_costs_and_are_those_of_matched_flops():
  assert {float(arm.budget.macs) for arm in arms(ALL)} == {9704, 9708}
  assert {arm.macs for arm in arms(ALL)} == {9704}
  fields = {"arms": tuple(NAMES[::2]), "hr_execution": "hr_space"}
  for has_skip in (True, False):
    others = matched_flops.arms(matched_flops.Config(**fields, bicubic_skip=has_skip))
    own = [arm.network for arm in arms(ALL) if arm.network.bicubic_skip == has_skip]
    assert own == [arm.network for arm in others]


def test_interpolation_is_where_the_names_say():
  is_bicubic = {
    arm.name: arm.network.bicubic_skip or arm.network.bicubic_first for arm in arms(ALL)
  }
  assert [name for name in NAMES if not is_bicubic[name]] == ["lr_plain", "hr_k4_learned_plain"]


def test_the_verdict_is_lr_without_the_skip_less_lr_with_it():
  for config in (ALL, Config(networks=("lr",)), Config(networks=("hr_k4", "lr"))):
    primary = comparison(config).primary
    assert (primary.first, primary.second) == ("lr_plain", "lr")
  groups = [each.group for each in comparison(ALL).combinations]
  assert groups == [skip.WITHOUT] * 3 + [skip.INTERACTION] * 2 + [skip.AGAINST_HR]


def test_the_execution_of_hr_networks_is_measured_or_given():
  assert {name for name in Config().choices() if "/" not in name} == {*NAMES[2:]}
  assert all("/" in name for name in ALL.choices())
  by_time = {arm.name: arm.network.execution for arm in measured(Config(), Chosen())}
  assert {name for name in NAMES if by_time[name] == "lr_space"} == {"hr_k4"}
  assert {arm.network.execution for arm in measured(ALL, Chosen())} == {"hr_space"}


@pytest.mark.parametrize(
  ("more", "says"),
  [
    ({"networks": ("hr_k4",)}, "--networks=hr_k4: the verdict is about lr"),
    ({"networks": ("lr", "hr_k5")}, "--networks=hr_k5 is not supported"),
    ({"features": 20}, "--features=20: no whole number of HR maps of 4x4 .* = 60 is no multiple"),
  ],
)
def test_networks_that_cannot_be_are_refused(more, says):
  with pytest.raises(InputError, match=says):
    Config(**more)


def test_lr_alone_can_have_any_width():
  assert [arm.name for arm in arms(Config(networks=("lr",), features=20))] == NAMES[:2]


@pytest.mark.slow
def test_a_run_says_what_it_answers(tmp_path, tiny_command, capsys):
  flags = ["--networks=lr,hr_k4", "--features=8", "--seeds=2", "--learning_rate=1e-3"]
  assert launch.main(tiny_command("explicit_skip", *flags, "--hr_execution=hr_space")) == 0
  out = capsys.readouterr().out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  assert results["verdict"]["contrast"] == ["lr_plain", "lr"]
  assert [*results["arms"]] == NAMES[:4]
  assert "Whether explicit upsampling is necessary after 6 steps is undecided: LR plain - LR" in out
  assert (run_dir / "figures" / "combinations.png").exists()
  headline = explicit_skip.headline(explicit_skip.RunFolder(run_dir))
  assert headline["explicit upsampling"] == "undecided"
