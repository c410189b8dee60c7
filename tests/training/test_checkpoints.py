import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from sr_jax.config import InputError
from sr_jax.networks import LRNetwork
from sr_jax.training import population, sharding
from sr_jax.training.checkpoints import Checkpoints, load_arrays

ROOT = Path(__file__).parents[2]
NETWORK = LRNetwork(features=4, depth=1)


def fresh(seeds=(0, 1), network=NETWORK):
  mesh = sharding.make_mesh(len(seeds), 4)
  members = sharding.shard_members(mesh, population.make_members(seeds, [1e-3]))
  return population.initialise(network, "arm", members, mesh), members


def assert_same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  state, members = fresh()
  folder = tmp_path_factory.mktemp("saved") / "c"
  checkpoints = Checkpoints(folder)
  for step in (1, 2, 3):
    checkpoints.save(step, state, members, {"arm": "lr", "steps": 9})
  checkpoints.save(3, state, members, {})  # the same step again is left alone
  checkpoints.close()
  return folder


def test_restores_bit_for_bit_and_keeps_the_latest_two(saved):
  state, members = fresh()
  checkpoints = Checkpoints(saved)
  assert checkpoints.latest == 3
  other = jax.tree.map(lambda x: x * 0, state)
  restored = checkpoints.restore(other, members)
  assert_same(restored, state)
  assert jax.tree.map(lambda x: x.sharding, restored) == jax.tree.map(lambda x: x.sharding, state)
  assert sorted(path.name for path in saved.iterdir() if path.name.isdigit()) == ["2", "3"]
  checkpoints.close()


def test_another_population_or_network_is_refused(saved):
  checkpoints = Checkpoints(saved)
  for state, members in (fresh((0, 1, 2)), fresh(network=LRNetwork(features=5, depth=1))):
    with pytest.raises(InputError, match="of another network or population"):
      checkpoints.restore(state, members)
  checkpoints.close()


def test_loads_as_numpy_with_what_was_saved_with_it(saved):
  step, tree, metadata = load_arrays(saved)
  assert (step, metadata) == (3, {"arm": "lr", "steps": 9})
  assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))
  np.testing.assert_array_equal(tree["members"]["seed"], [0, 1])
  assert_same(tree["params"], fresh()[0].params)


def test_loads_the_checkpoint_of_a_step(saved):
  assert load_arrays(saved, 2)[0] == 2
  with pytest.raises(InputError, match=r"holds no checkpoint of step 1, but of \[2, 3\]"):
    load_arrays(saved, 1)


def test_plain_orbax_opens_it(saved):
  tree = ocp.load(saved / "3")
  assert_same(tree["params"], fresh()[0].params)


def test_plain_orbax_opens_it_on_other_devices(saved):
  # It was saved from two devices; this process has one, and must not be told.
  code = (
    f"from orbax.checkpoint import v1 as o; print(o.load({str(saved / '3')!r})['params'].keys())"
  )
  environment = {**os.environ, "PYTHONWARNINGS": "error"}
  run = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
  )
  assert "'first'" in run.stdout


def test_other_members_are_refused(saved):
  checkpoints = Checkpoints(saved)
  with pytest.raises(InputError, match=r"of members \(seed 0.*this run wants \(seed 4"):
    checkpoints.restore(*fresh((4, 5)))
  checkpoints.close()


def test_a_damaged_checkpoint_is_named(saved, tmp_path):
  damaged = shutil.copytree(saved, tmp_path / "c")
  for path in [*damaged.glob("3/state/d/*"), *damaged.glob("3/state/ocdbt.process_0/d/*")]:
    path.write_bytes(path.read_bytes()[:20])
  # In a process of its own: Orbax leaves failed tasks behind that complain whenever they are freed.
  code = (
    "import pathlib; from sr_jax.training.checkpoints import load_arrays; "
    f"load_arrays(pathlib.Path({str(damaged)!r}))"
  )
  run = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
  )
  assert run.returncode == 1
  assert re.search(
    r"InputError: the checkpoint .*/c/3 is damaged .*; delete that folder", run.stderr
  )


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
  with pytest.raises(InputError, match="holds no checkpoint"):
    load_arrays(tmp_path / "nothing")
  (tmp_path / "empty").mkdir()
  with pytest.raises(InputError, match="holds no complete checkpoint"):
    load_arrays(tmp_path / "empty")
