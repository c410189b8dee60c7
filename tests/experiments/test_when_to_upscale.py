import dataclasses
import itertools
import json

import pytest

import launch
from experiments.when_to_upscale import LATTICE, PRESETS, Config, arms, choices, comparison, learn
from sr_jax.comparison import findings, learning
from sr_jax.comparison.family import measured_arms
from sr_jax.config import InputError
from sr_jax.training.choices import Choices

BLOCKS = ["0-0-0-0-0", "8-8-8-0-0", "0-8-8-8-0", "0-0-8-8-8", "8-8-8-8-8"]


def names(*schedules, **more):
  return [arm.name for arm in arms(Config(schedules=schedules, **more))]


def groups(config):
  planned = comparison(config).combinations
  return {group: [*each] for group, each in itertools.groupby(planned, key=lambda c: c.group)}


def test_words_stand_for_schedules_and_each_is_trained_once():
  assert names("blocks") == BLOCKS
  assert names("controls") == ["8-0-0-0-0", "0-8-0-8-0"]
  assert len(names("all")) == 32
  assert len(names("half")) == 16
  none, early, *others = BLOCKS
  assert names("4-0-0-0-4", early, "blocks") == ["4-0-0-0-4", early, none, *others]
  assert names("blocks", "widths")[5:] == ["lr_n16", "lr_n20", "lr_n24", "lr_n28"]
  assert names("blocks", depth=2, features=16) == ["0-0-0", "4-4-0", "0-4-4", "4-4-4"]


@pytest.mark.parametrize(
  ("more", "macs", "activations"),
  [({}, 9704, 41), ({"scale": 3, "features": 36}, None, None), ({"depth": 3}, None, None)],
)
def test_every_schedule_costs_exactly_the_same(more, macs, activations):
  built = arms(Config(schedules=("all",), **more))
  costs = {(arm.budget.macs, arm.budget.activations) for arm in built}
  assert len(costs) == 1
  assert {arm.macs for arm in built} == {arm.budget.macs for arm in built}
  if macs:
    assert costs == {(macs, activations)}


def test_blocks_agree_in_weights_and_controls_have_those_of_lr_but_for_biases():
  budgets = {arm.name: arm.budget for arm in arms(Config(schedules=("all",)))}
  for cost in ("parameters", "macs", "activations", "executed_macs"):
    assert len({getattr(budgets[name], cost) for name in BLOCKS[1:4]}) == 1
  assert budgets["0-0-0-0-0"].parameters == 38_980
  assert budgets["8-0-0-0-0"].parameters == 38_980 - 24
  assert budgets["0-8-0-8-0"].parameters == 38_980 - 2 * 24
  assert budgets["8-8-8-8-8"].parameters == 11_212


def test_smaller_hr_kernels_cost_less_and_declare_nothing():
  built = {arm.name: arm for arm in arms(Config(hr_kernel_size=5))}
  assert built["0-0-0-0-0"].macs == 9704
  assert built["8-8-8-0-0"].macs is None
  assert built["8-8-8-8-8"].budget.macs < built["8-8-8-0-0"].budget.macs < 9704


def test_the_verdict_is_the_late_block_less_the_early_one():
  primary = comparison(Config()).primary
  assert (primary.first, primary.second) == ("0-0-8-8-8", "8-8-8-0-0")
  first_two = comparison(Config(schedules=("8-0-0-0-0", "blocks"))).primary
  assert (first_two.first, first_two.second) == ("0-0-8-8-8", "8-8-8-0-0")
  first_two = comparison(Config(schedules=("4-0-0-0-0", "0-0-0-0-0"))).primary
  assert (first_two.first, first_two.second) == ("4-0-0-0-0", "0-0-0-0-0")


def test_the_confirmatory_run_asks_every_question_it_announces():
  planned = groups(PRESETS["confirmatory"])
  assert {group: len(each) for group, each in planned.items()} == {
    findings.BLOCKS: 3,
    findings.POSITIONS: 9,
    findings.AGAINST_LR: 4,
    findings.CONTROLS: 2,
    findings.CURVE: 1,
  }
  for group in (findings.POSITIONS, findings.AGAINST_LR):
    assert all(each.is_less_curve for each in planned[group])
    assert all({"lr_n16", "0-0-0-0-0"} <= each.weights.keys() for each in planned[group])
  for group in (findings.BLOCKS, findings.CONTROLS):
    assert not any(each.is_less_curve for each in planned[group])
  for name in ("confirmatory", "nested"):
    assert len(arms(PRESETS[name])) == 22


def test_without_widths_effects_are_as_they_are():
  planned = groups(Config(schedules=("half", "0-0-0-0-0")))
  assert len(planned[findings.POSITIONS]) == 9
  assert findings.CURVE not in planned
  assert not any(each.is_less_curve for each in planned[findings.POSITIONS])
  assert findings.POSITIONS not in groups(Config())
  assert findings.CURVE in groups(Config(schedules=("blocks", "widths")))


def test_executions_are_measured_where_there_are_two():
  config = Config(schedules=("8-8-0-0-0", "0-0-0-0-0", "8-0-8-0-8"))
  measured = []

  class Chosen(Choices):
    def __init__(self):
      pass

    def fastest(self, name, networks):
      measured.append((name, [*networks]))
      return "lr_space"

  built = {arm.name: arm.network.execution for arm in measured_arms(config, Chosen())}
  assert ("8-8-0-0-0", ["hr_space", "lr_space"]) in measured
  assert "0-0-0-0-0" not in dict(measured)
  assert built["8-8-0-0-0"] == "lr_space"
  assert set(dict(measured)) <= config.choices().keys()
  fixed = dataclasses.replace(config, hr_execution="hr_space")
  assert {arm.network.execution for arm in measured_arms(fixed, Chosen())} == {"hr_space"}


@pytest.mark.parametrize(
  ("schedules", "says"),
  [
    (
      ("8-8-0",),
      "--schedules=8-8-0 has 3 states, and there are depth . 1 = 5 of them: as 8-8-8-0-0",
    ),
    (("9-0-0-0-0",), "--schedules=9-0-0-0-0: 9 HR maps do not fit .* scale.2 = 8 do"),
    (
      ("8-8-x-0-0",),
      "--schedules=8-8-x-0-0 is neither the number of HR maps of every state, as 8-8",
    ),
    (("08-8-8-0-0",), "is neither the number of HR maps of every state"),
    (("thirds",), "nor one of blocks, half, all, controls, families, widths"),
    (("8-8-8-0-0", "8-8-8-0-0"), "names a value twice"),
    (("8-8-8-0-0", "widths"), "a comparison needs two schedules, and has 8-8-8-0-0"),
    (("widths",), "a comparison needs two schedules, and has none"),
  ],
)
def test_schedules_that_cannot_be_are_refused(schedules, says):
  with pytest.raises(InputError, match=says):
    Config(schedules=schedules)


@pytest.mark.parametrize(
  ("more", "says"),
  [
    ({"features": 30}, "--features=30 cannot be divided .* use --features=28 or 32"),
    ({"features": 3}, "--features=3 cannot be divided .* use --features=4"),
    ({"features": 32, "scale": 3}, "at --scale=3: use --features=27 or 36"),
    ({"depth": 1}, "--depth=1 must be at least 2"),
    ({"residual": True}, "--residual adds states .* same maps: 8-8-8-0-0 HR maps do not"),
    ({"measured": ("0-0-0-0-0:lr_space",)}, "nothing of the name 0-0-0-0-0 is chosen"),
  ],
)
def test_shapes_that_cannot_be_are_refused(more, says):
  with pytest.raises(InputError, match=says):
    Config(**more)


def test_presets_are_fixed():
  confirmatory = PRESETS["confirmatory"]
  assert confirmatory.schedules == LATTICE
  assert (confirmatory.seeds, confirmatory.steps, confirmatory.search_seeds) == (6, 1000, 3)
  assert confirmatory.learning_rate == (2e-3, 4e-3, 8e-3, 1.6e-2)
  assert (PRESETS["nested"].hr_kernel_size, PRESETS["nested"].seeds) == (5, 3)
  assert PRESETS["little_data"].schedules == ("blocks",)


@pytest.mark.slow
def test_a_run_says_what_it_answers(tmp_path, tiny_command, capsys):
  flags = ["--schedules=0-0-0,1-1-0,0-1-1", "--features=4", "--seeds=2", "--learning_rate=1e-3"]
  command = tiny_command("when_to_upscale", *flags, "--hr_execution=hr_space")
  assert launch.main(command) == 0
  out = capsys.readouterr().out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  assert results["verdict"]["contrast"] == ["0-1-1", "1-1-0"]
  effects = results["verdict"]["combinations"]
  assert [each["name"] for each in effects] == ["late - early", "early - LR", "late - LR"]
  assert effects[0]["test"]["mean"] == pytest.approx(results["verdict"]["test"]["mean"], abs=1e-9)
  assert "A reduced lattice: 3 of the 8 schedules of 0 or 1 HR maps" in out
  for name in ("combinations", "lattice"):
    assert (run_dir / "figures" / f"{name}.png").exists()


def test_gates_need_all_schedules_whose_weights_differ():
  assert names("families", learn=True, hr_kernel_size=5) == list(choices(Config()).neighbours)
  with pytest.raises(InputError, match="add families to --schedules=blocks"):
    Config(learn=True, hr_kernel_size=5)
  with pytest.raises(InputError, match="--hr_kernel_size=3 or 4 or 5, not 6"):
    Config(schedules=("families",), learn=True)


def test_a_gate_between_two_states_ties_them_where_both_are_above_the_start(monkeypatch):
  monkeypatch.setattr(learning, "record", lambda choices, over, choose, *_: choose)
  choose = learn(Config())
  high, low = learning.THRESHOLD + 0.01, learning.THRESHOLD
  assert choose([high, high, low, high, low]) == "8-8-0-0-0"
  assert choose([low] * 5) == "0-0-0-0-0"
