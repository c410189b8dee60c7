import itertools
import json

import numpy as np
import pytest

import launch
from experiments.what_share import PRESETS, Config, arms, comparison
from sr_jax.comparison import findings
from sr_jax.comparison.learner import LEARNED, SHUFFLED
from sr_jax.comparison.learning import THRESHOLD
from sr_jax.config import InputError


def groups(config):
  planned = comparison(config).combinations
  return {group: [*each] for group, each in itertools.groupby(planned, key=lambda c: c.group)}


def test_every_share_costs_what_lr_costs_and_has_fewer_weights():
  built = {arm.name: arm for arm in arms(Config(hr_maps=tuple(range(9))))}
  shares = [built[f"h{maps}"] for maps in range(9)]
  assert {(arm.macs, arm.budget.macs, arm.budget.activations) for arm in shares} == {
    (9704, 9704, 41)
  }
  parameters = [arm.budget.parameters for arm in shares]
  assert parameters[0] == 38_980
  assert all(a > b for a, b in itertools.pairwise(parameters))
  # A layer between states of h HR maps has 9 x 12 h^2 weights fewer, and three biases fewer a map.
  assert parameters[4] == 38_980 - 4 * 108 * 16 - 5 * 3 * 4


def test_nested_shares_have_names_of_their_own_and_declare_no_cost():
  built = {arm.name: arm for arm in arms(Config(hr_kernel_size=(0, 5)))}
  assert [*built] == ["h0", "h4", "h8", "h4_k5", "h8_k5", "lr_n16", "lr_n24"]
  assert built["h4_k5"].macs is None
  assert built["h4_k5"].budget.macs < built["h4"].budget.macs
  assert [arm.name for arm in arms(Config(hr_kernel_size=(5,)))][:3] == ["h0", "h4_k5", "h8_k5"]


def test_the_verdict_is_half_the_maps_against_none():
  for config in (Config(), PRESETS["confirmatory"]):
    primary = comparison(config).primary
    assert (primary.first, primary.second) == ("h4", "h0")
  assert comparison(Config(hr_maps=(2, 8))).primary.first == "h2"
  assert comparison(PRESETS["curve"]).primary.second == "lr_n12"


def test_every_share_meets_lr_as_it_is_and_less_the_weights():
  config = PRESETS["confirmatory"]
  plan, planned = comparison(config), groups(config)
  shares = [f"h{maps}{kernel}" for kernel in ("", "_k5") for maps in range(1, 9)]
  assert [each.name for each in planned[findings.SHARES]] == shares
  assert all(each.is_less_curve for each in planned[findings.SHARES])
  assert {plan.primary.first, *(each.first for each in plan.mechanisms)} == {*shares}
  assert {each.second for each in plan.mechanisms} == {"h0"}


def test_the_curve_covers_every_share_and_its_inner_widths_are_checked():
  config = PRESETS["confirmatory"]
  parameters = {arm.name: arm.budget.parameters for arm in arms(config)}
  assert min(parameters, key=parameters.get) == "lr_n12"
  assert max(parameters, key=parameters.get) == "h0"
  inner = ["lr_n16", "lr_n20", "lr_n24", "lr_n28"]
  for each in (config, PRESETS["curve"]):
    assert [deviation.name for deviation in groups(each)[findings.FORM]] == inner
  assert [arm.name for arm in arms(PRESETS["curve"])] == ["h0", "lr_n12", *inner]
  assert findings.FORM not in groups(Config(widths=(16,)))


@pytest.mark.parametrize(
  ("more", "says"),
  [
    ({"hr_maps": (4, 9)}, "--hr_maps=4,9: 9 HR maps do not fit into a state; .* = 8 do"),
    ({"hr_maps": (-1,)}, "--hr_maps=-1 must be at least 0"),
    ({"hr_maps": (4, 4)}, "--hr_maps=4,4 names a value twice"),
    ({"hr_kernel_size": (0, 6)}, "--hr_kernel_size=0,6 names a kernel twice: 0 is .* = 6"),
    ({"widths": (16, 32)}, "--widths=16,32 names 32, the width of all networks"),
    ({"features": 30}, "--features=30 cannot be divided .* use --features=28 or 32"),
    ({"residual": True, "depth": 3}, "--depth=3 hidden layers cannot be residual blocks of two"),
  ],
)
def test_shares_that_cannot_be_are_refused(more, says):
  with pytest.raises(InputError, match=says):
    arms(Config(**more))


def test_shares_can_be_of_residual_networks():
  for arm in arms(Config(residual=True)):
    assert [layer.adds for layer in arm.network.layers] == [0, 0, 2, 0, 2, 0]


@pytest.mark.slow
def test_a_run_says_what_it_answers(tmp_path, tiny_command, capsys):
  flags = ["--hr_maps=1", "--widths=2", "--features=4", "--seeds=2", "--learning_rate=1e-3"]
  command = tiny_command("what_share", *flags, "--hr_execution=lr_space")
  assert launch.main(command) == 0
  out = capsys.readouterr().out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  assert results["verdict"]["contrast"] == ["h1", "h0"]
  effects = results["verdict"]["combinations"]
  assert [each["group"] for each in effects] == [findings.SHARES, findings.CURVE]
  assert set(effects[0]["weights"]) == {"h1", "h0", "lr_n2"}
  assert "What share of the maps to upscale: undecided" in out
  assert (run_dir / "figures" / "shares.png").exists()


def test_gates_need_all_shares_of_kernels_that_lr_contains():
  nested = {"hr_kernel_size": (0, 5), "learn": True}
  assert Config(hr_maps=tuple(range(9)), **nested).learn
  with pytest.raises(InputError, match="add 1, 2, 3, 5, 6, 7 to --hr_maps=4,8"):
    Config(**nested)
  with pytest.raises(InputError, match="--hr_kernel_size=3 or 4 or 5, not 6"):
    Config(hr_maps=tuple(range(9)), learn=True)


@pytest.mark.slow
def test_gates_learn_once_and_are_judged_by_the_shares_they_choose(tmp_path, tiny_command, capsys):
  flags = ["--hr_maps=1,2", "--hr_kernel_size=5", "--learn", "--widths=4", "--features=8"]
  flags += ["--seeds=3", "--learning_rate=1e-3,2e-3", "--search_steps=2"]
  command = tiny_command("what_share", *flags, "--hr_execution=lr_space")
  assert launch.main(command) == 0
  assert "what share of its maps to upscale" in capsys.readouterr().out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = (run_dir / "results.json").read_bytes()
  learned = json.loads(results)["learning"]
  assert list(learned["neighbours"]) == ["h0", "h1_k5", "h2_k5"]
  for kind in (LEARNED, SHUFFLED):
    gates = learned["variants"][kind]["gates"]
    assert np.shape(gates) == (3, 2)  # seeds x HR maps
    counts = [sum(gate > THRESHOLD for gate in member) for member in gates]
    assert learned["chosen"][kind] == [list(learned["neighbours"])[count] for count in counts]
  for kind, gate in (("frozen at 0", 0), ("frozen at 1", 1)):
    np.testing.assert_allclose(learned["variants"][kind]["gates"], gate)
  assert (run_dir / "figures" / "gates.png").exists()
  assert "What gates learn" in (run_dir / "report.md").read_text()

  (run_dir / "results.json").unlink()  # as if killed after the gates were trained
  part = (run_dir / "parts" / "learning.json").stat().st_mtime_ns
  assert launch.main(command) == 0
  assert (run_dir / "results.json").read_bytes() == results
  assert (run_dir / "parts" / "learning.json").stat().st_mtime_ns == part
