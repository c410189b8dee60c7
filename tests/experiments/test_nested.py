import json
import shutil

import jax
import numpy as np
import pytest

import launch
from experiments import nested
from experiments.nested import PRESETS, Config, arms, measured
from sr_jax.comparison import nested as comparison
from sr_jax.comparison import nested_verdict
from sr_jax.comparison.nested import PAIRS
from sr_jax.config import InputError
from sr_jax.networks import upscale
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import Choices

NAMES = ["hr_learned", "hr_untied", "lr_tied", "lr", "hr", "hr_lifted"]


class Chosen(Choices):
  def __init__(self):
    pass

  def fastest(self, name, networks):
    return "lr_space" if name == "lr_tied" else "hr_space"


def test_every_tied_network_is_before_its_untied_self():
  built = {arm.name: arm for arm in arms(PRESETS["confirmatory"])}
  assert [*built] == NAMES == [*Config().arm_names()]
  cost = {name: (float(arm.budget.macs), arm.budget.parameters) for name, arm in built.items()}
  assert cost["hr_learned"] == (9704, 10345)
  assert cost["hr_untied"] == (9704, cost["lr"][1])  # of the same MACs, with all of LR's weights
  assert cost["hr_lifted"][0] / cost["hr"][0] == pytest.approx(1.77, abs=0.005)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.untied)
def test_untied_it_is_the_arm_and_computes_what_it_did(pair):
  config = Config(features=8, depth=1, hr_execution="hr_space")
  built = {arm.name: arm.network for arm in arms(config)}
  tied, untied = built[pair.tied], built[pair.untied]
  x = jax.random.normal(jax.random.key(0), (1, 6, 5, 1))
  params = jax.jit(tied.init)(jax.random.key(1), x)["params"]
  freed, free_params = pair.free(tied, params)
  assert freed.layers == untied.layers
  count = sum(leaf.size for leaf in jax.tree.leaves(free_params))
  assert count > sum(leaf.size for leaf in jax.tree.leaves(params))
  np.testing.assert_allclose(upscale(untied, free_params, x), upscale(tied, params, x), atol=1e-5)


def test_the_execution_of_tied_networks_is_measured_or_given():
  config = Config(hr_execution="auto")
  names = {name for name in config.choices() if "/" not in name}
  assert names == {"hr_learned", "lr_tied", "hr"}
  executions = {arm.name: arm.network.execution for arm in measured(config, Chosen())}
  assert (executions["lr_tied"], executions["hr"]) == ("lr_space", "hr_space")
  sizes = {name.partition("/")[2] for name in PRESETS["confirmatory"].choices()}
  assert sizes == {"6", "12", "4"}


@pytest.mark.parametrize(
  ("more", "says"),
  [
    ({"search_steps": 5}, "--search_steps is not used here"),
    ({"lbfgs_seeds": 3}, "--lbfgs_seeds=3 are more than there are starts, --seeds=2"),
    ({"lbfgs_patches": 24}, "--lbfgs_patches=24 must be a multiple of --batch=16"),
    ({"seeds": 1}, "--seeds=1 must be at least 2"),
    ({"features": 6}, "--features=6 cannot be divided"),
  ],
)
def test_what_cannot_be_is_refused(more, says):
  with pytest.raises(InputError, match=says):
    Config(**more)


@pytest.fixture
def single_pair(monkeypatch):
  """Runs are of the tied subset of LR and LR alone: others would take as long to compile each."""
  for module in (nested, comparison, nested_verdict):
    monkeypatch.setattr(module, "PAIRS", PAIRS[1:2])


@pytest.mark.slow
@pytest.mark.usefixtures("single_pair")
def test_a_run_goes_on_to_the_same_bits_and_says_what_it_found(tmp_path, tiny_command, capsys):
  flags = ["--features=4", "--depth=0", "--hr_execution=hr_space", "--lbfgs_patches=8"]
  command = [*tiny_command("nested", *flags, "--lbfgs_iterations=3"), "--depth=0"]
  assert launch.main(command) == 0
  (folder,) = (tmp_path / "runs").iterdir()
  whole = json.loads((folder / "results.json").read_text())
  out = capsys.readouterr().out
  assert all(sentence in out for sentence in whole["verdict"]["sentences"])
  assert [*whole["arms"]] == ["lr_tied", "lr"]
  assert nested.headline(RunFolder(folder)) == whole["verdict"]["findings"]
  for pair in whole["pairs"]:
    assert pair["start_difference"] < 1e-4  # both start from the same function
  for arm in whole["arms"].values():
    rates = {entry["learning_rate"] for entry in arm["search"]}
    assert rates == {2e-3, 4e-3}
    # The members are those of the rate that is chosen, which is the best on validation.
    chosen = [
      e["validation_psnr"] for e in arm["search"] if e["learning_rate"] == arm["learning_rate"]
    ]
    assert chosen == [member["validation_psnr"] for member in arm["members"]]
    assert np.mean(chosen) == max(
      np.mean([e["validation_psnr"] for e in arm["search"] if e["learning_rate"] == rate])
      for rate in rates
    )
    first, last = (arm["lbfgs"]["members"][0][key] for key in ("start_psnr", "psnr"))
    assert first < last
    np.testing.assert_allclose(arm["lbfgs"]["patches_psnr"]["members"][0][0], first, atol=1e-4)
    validated = arm["curve"]["validation_psnr"]["members"][-1]
    np.testing.assert_allclose(validated, chosen, atol=1e-4)

  # Stopped in the middle: what is there is not trained again, what is missing ends alike.
  for part in ("lr_tied/lbfgs", "lr/final"):
    shutil.rmtree(folder / "checkpoints" / part)
  (folder / "results.json").unlink()
  assert launch.main(command) == 0
  assert json.loads((folder / "results.json").read_text()) == whole
