import json

import pytest

import launch
from experiments.residual import PRESETS, Config, arms, comparison
from sr_jax.comparison import residual
from sr_jax.comparison.combinations import Best
from sr_jax.config import InputError
from sr_jax.networks import Maps

ALL = PRESETS["confirmatory"]


def group(config, name):
  return {each.name: each for each in comparison(config).combinations if each.group == name}


def test_networks_cost_what_lr_costs_but_for_streams():
  built = {arm.name: arm for arm in arms(ALL)}
  assert len(built) == 16
  for depth, macs, percent in ((8, 18_920, 0.38), (16, 37_352, -0.14)):
    for end in ("", "_residual"):
      costs = {
        name: built[f"{name}_d{depth}{end}"].budget.macs for name in ("lr", "half", "hr", "streams")
      }
      assert [*costs.values()][:3] == [macs] * 3
      assert 100 * (costs["streams"] / macs - 1) == pytest.approx(percent, abs=0.005)


def test_streams_are_half_of_the_compute_each():
  for arm in arms(ALL):
    if arm.name.startswith("streams"):
      (state,) = {layer.outputs for layer in arm.network.layers[:-1]}
      assert state == Maps(lr=21, hr=6)
      assert not any(layer.crosses for layer in arm.network.layers[1:-1])
      assert "43% of the MACs in that of LR maps" in arm.note


def test_residual_networks_add_every_two_layers_and_start_alike():
  for arm in arms(Config(depths=(4,), block_gain=0.25, residual_scale=0.5)):
    hidden = arm.network.layers[1:-1]
    blocks = arm.name.endswith("_residual")
    assert [layer.adds for layer in hidden] == ([0, 2, 0, 2] if blocks else [0] * 4)
    assert [layer.gain for layer in hidden] == [2.0, 0.25 if blocks else 2.0] * 2
    assert {layer.residual_scale for layer in hidden[1::2]} == {0.5 if blocks else 1.0}


def test_the_verdict_is_lr_against_the_best_mixture_of_the_deepest_residual_networks():
  primary = comparison(ALL).primary
  assert primary.first == "lr_d16_residual"
  assert primary.second == Best(("half_d16_residual", "streams_d16_residual"))
  plain = comparison(Config(connections=("plain",), networks=("lr", "half"))).primary
  assert (plain.first, plain.second) == ("lr_d8", Best(("half_d8",)))
  assert comparison(Config(networks=("hr", "lr"))).primary.second == "lr_d8"
  backwards = Config(depths=(16, 8), connections=("residual", "plain"))
  assert comparison(backwards).primary == primary


def test_the_interaction_is_residual_less_plain_averaged_over_depths():
  estimand, by_depth = group(ALL, residual.INTERACTION), group(ALL, residual.BY_DEPTH)
  assert [*estimand] == ["interaction, all depths"]  # a group of its own, not adjusted
  assert [*by_depth] == ["interaction, depth 8", "interaction, depth 16"]
  effects = estimand | by_depth
  mixtures = {
    (depth, end): Best((f"half_d{depth}{end}", f"streams_d{depth}{end}"))
    for depth in (8, 16)
    for end in ("", "_residual")
  }
  assert effects["interaction, depth 8"].weights == {
    "lr_d8_residual": 1.0,
    mixtures[8, "_residual"]: -1.0,
    "lr_d8": -1.0,
    mixtures[8, ""]: 1.0,
  }
  weights = effects["interaction, all depths"].weights
  assert {weights["lr_d16_residual"], weights["lr_d8_residual"]} == {0.5}
  assert {weights[mixtures[depth, "_residual"]] for depth in (8, 16)} == {-0.5}
  alone = Config(connections=("residual",))
  assert not group(alone, residual.INTERACTION)
  assert [*group(alone, residual.MIXTURES)] == ["LR - best mixture, residual, depth 8"]


@pytest.mark.parametrize(
  ("more", "says"),
  [
    ({"depths": (8, 7)}, "--depths=7 hidden layers cannot be residual blocks of two"),
    ({"features": 20}, "--features=20: half of the maps cannot .* use a multiple of 8"),
    ({"networks": ("lr",), "connections": ("plain",)}, "a comparison needs two networks"),
    ({"networks": ("lr", "dbpn")}, "--networks=dbpn is not supported"),
    ({"block_gain": -1.0}, "--block_gain=-1.0 must be at least 0"),
    ({"features": 8, "networks": ("lr", "streams")}, "--features=8 cannot be split into two"),
    ({"features": 64, "scale": 4}, "the nearest are 55 LR maps and 2 HR maps; use more features"),
    ({"networks": ("examples.own_network:EDSR", "lr")}, "give networks of your own last"),
  ],
)
def test_networks_that_cannot_be_are_refused(more, says):
  with pytest.raises(InputError, match=says):
    Config(**more)


def test_a_network_of_the_users_own_joins():
  own = "examples.own_network:EDSR"
  config = Config(networks=("lr", "half", own), match="macs:features")
  *family, arm = arms(config)
  assert arm.name == "EDSR"
  assert [each.name for each in family] == list(config.family) == [*config.arm_names()][:-1]
  lr = family[0].budget
  assert float(arm.budget.macs / lr.macs) == pytest.approx(1, abs=0.1)
  assert comparison(config).primary.second == Best(("half_d8_residual",))
  alone = Config(networks=("lr", own), connections=("residual",))
  assert comparison(alone).primary.second == "EDSR"
  timed = Config(networks=("lr", "half", own), match="time:features")
  assert timed.arm_names()[-1] == "EDSR"
  assert "EDSR" in timed.choices()


@pytest.mark.slow
def test_a_run_says_what_it_answers(tmp_path, tiny_command, capsys):
  flags = ["--depths=2", "--networks=lr,half", "--features=8", "--seeds=2", "--learning_rate=1e-3"]
  command = [flag for flag in tiny_command("residual", *flags) if flag != "--depth=2"]
  assert launch.main(command) == 0
  out = capsys.readouterr().out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  assert results["verdict"]["contrast"] == ["lr_d2_residual", "half_d2_residual"]
  effects = results["verdict"]["combinations"]
  (interaction,) = (each for each in effects if each["group"] == residual.INTERACTION)
  assert interaction["weights"] == {
    "lr_d2_residual": 1,
    "half_d2_residual": -1,
    "lr_d2": -1,
    "half_d2": 1,
  }
  assert "Whether residual networks need an explicit combination" in out
  assert "2 of 2 residual networks do not train in every seed" in out
