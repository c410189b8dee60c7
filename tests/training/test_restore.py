import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.config import InputError, digest
from sr_jax.networks import espcn, lr_network
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import population, sharding
from sr_jax.training.checkpoints import Checkpoints, load_arrays
from sr_jax.training.restore import load


def test_loads_the_first_arm_that_is_trained(trained_run):
  found = load(RunFolder(trained_run))
  assert found.network == lr_network(features=4, depth=1)
  assert (found.arm, found.step, found.seed) == ("lr", 9, 0)
  assert found.learning_rates == pytest.approx([1e-3, 1e-3])


def test_loads_the_arm_member_and_step_that_is_asked_for(trained_run):
  found = load(RunFolder(trained_run), "espcn", member=1, step=5)
  assert (found.network, found.step, found.seed) == (espcn(features=(8, 4)), 5, 1)
  _, tree, _ = load_arrays(trained_run / "checkpoints" / "espcn" / "final", 5)
  expected = jax.tree.map(lambda leaf: leaf[1], tree["params"])
  jax.tree.map(np.testing.assert_array_equal, found.params, expected)
  jax.jit(found.network.apply)({"params": found.params}, jnp.zeros((1, 10, 10, 1)))


BAD = [
  ({"arm": "hr"}, "--arm=hr is not in this run; choose from begun, lr, espcn"),
  ({"arm": "begun"}, "--arm=begun has no final checkpoint .* choose from lr, espcn"),
  ({"member": 2}, r"--member=2 .* the 2 members of lr; choose from 0 to 1 \(seeds 0, 1\)"),
  ({"member": -1}, "--member=-1 is not one of"),
  ({"step": 7}, "holds no step 7; there are 5, 9"),
]


@pytest.mark.parametrize(("asked", "says"), BAD)
def test_what_is_not_there_is_said_with_what_is(trained_run, asked, says):
  with pytest.raises(InputError, match=says):
    load(RunFolder(trained_run), **asked)


def test_what_is_no_run_is_refused(tmp_path):
  with pytest.raises(InputError, match="nowhere is no folder; give that of a run"):
    load(RunFolder(tmp_path / "nowhere"))
  with pytest.raises(InputError, match=r"there is no .*config.json"):
    load(RunFolder(tmp_path))
  for about in ({"experiment": "capacity"}, {"arms": {}}, []):
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="names no arms"):
      load(RunFolder(tmp_path))


def test_a_changed_configuration_is_refused(trained_run, tmp_path):
  config = {"steps": 9}
  name = f"smoke-{digest('smoke', config)}"
  run = tmp_path / "copy of a run"
  shutil.copytree(trained_run, run)
  about = {"run": name, "experiment": "smoke", "config": config, "arms": {"lr": {}}}
  (run / "config.json").write_text(json.dumps(about))
  assert load(RunFolder(run)).arm == "lr"
  (run / "config.json").write_text(json.dumps(about | {"config": {"steps": 8}}))
  with pytest.raises(
    InputError, match=f"was changed: its configuration hashes to .* not to {name}"
  ):
    load(RunFolder(run))


def test_a_run_without_a_final_checkpoint_is_refused(trained_run, tmp_path):
  shutil.copy(trained_run / "config.json", tmp_path)
  (tmp_path / "checkpoints" / "lr" / "final").mkdir(parents=True)
  with pytest.raises(InputError, match="holds no final checkpoint of any arm"):
    load(RunFolder(tmp_path))


def save(run_dir, params_to, about):
  """A run of one arm with one seed, its parameters changed."""
  mesh = sharding.make_mesh(1, 1)
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  state = population.initialise(lr_network(features=4, depth=1), "lr", members, mesh)
  checkpoints = Checkpoints(run_dir / "checkpoints" / "lr" / "final", 1)
  changed = state._replace(params=jax.tree.map(params_to, state.params))
  checkpoints.save(1, changed, members, about)
  checkpoints.wait()
  checkpoints.close()
  (run_dir / "config.json").write_text(json.dumps({"arms": {"lr": {}}}))


def test_a_checkpoint_of_an_older_version_is_refused(tmp_path):
  save(tmp_path, lambda x: x, {"arm": "lr"})
  with pytest.raises(InputError, match=r"final/1 was made by an older version of sr_jax"):
    load(RunFolder(tmp_path))
