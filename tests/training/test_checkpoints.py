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
from sr_jax.networks import lr_network
from sr_jax.training import population, sharding
from sr_jax.training.checkpoint_files import DIGESTS, digests, sealed
from sr_jax.training.checkpoints import Checkpoints, load_arrays, steps

ROOT = Path(__file__).parents[2]
NETWORK = lr_network(features=4, depth=1)


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
  checkpoints = Checkpoints(folder, 2)
  for step in (1, 2, 3):
    checkpoints.save(step, state, members, {"arm": "lr", "steps": 9})
  checkpoints.save(3, state, members, {})  # the same step again is left alone
  checkpoints.wait()
  checkpoints.close()
  return folder


def test_restores_bit_for_bit_and_keeps_the_latest_two(saved):
  state, members = fresh()
  checkpoints = Checkpoints(saved, 2)
  other = jax.tree.map(lambda x: x * 0, state)
  step, restored, about = checkpoints.restore(other, members)
  assert step == 3
  assert (about["arm"], about["steps"]) == ("lr", 9)
  assert_same(restored, state)
  assert jax.tree.map(lambda x: x.sharding, restored) == jax.tree.map(lambda x: x.sharding, state)
  assert sorted(path.name for path in saved.iterdir() if path.name.isdigit()) == ["2", "3"]
  checkpoints.close()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (3, 1)])
def test_restores_on_another_mesh(saved, shape):
  # It was saved from members on two devices.
  axes = (jax.sharding.AxisType.Auto,) * 2
  devices = jax.devices()[-shape[0] * shape[1] :]
  mesh = jax.make_mesh(shape, ("member", "data"), axis_types=axes, devices=devices)
  state, members = fresh()
  members = sharding.shard_members(mesh, jax.tree.map(np.asarray, members))
  like = sharding.shard_members(mesh, jax.tree.map(np.asarray, state))
  checkpoints = Checkpoints(saved, 2)
  _, restored, _ = checkpoints.restore(like, members)
  checkpoints.close()
  assert_same(sharding.without_padding(restored, 2), state)
  assert {x.sharding.mesh for x in jax.tree.leaves(restored)} == {mesh}


def test_another_population_or_network_is_refused(saved):
  others = ((3, *fresh((0, 1, 2))), (2, *fresh(network=lr_network(features=5, depth=1))))
  for count, state, members in others:
    checkpoints = Checkpoints(saved, count)
    with pytest.raises(InputError, match="of another network or population"):
      checkpoints.restore(state, members)
    checkpoints.close()


def test_loads_as_numpy_with_what_was_saved_with_it(saved):
  step, tree, metadata = load_arrays(saved)
  assert (step, metadata["arm"], metadata["steps"]) == (3, "lr", 9)
  assert len(metadata["sha256"]) == len(jax.tree.leaves(tree))
  assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))
  np.testing.assert_array_equal(tree["members"]["seed"], [0, 1])
  assert_same(tree["params"], fresh()[0].params)


def test_plain_orbax_opens_it(saved):
  tree = ocp.load(saved / "3")
  assert_same(tree["params"], fresh()[0].params)


def test_plain_orbax_opens_it_on_other_devices(saved):
  # It was saved from two devices; this process has one, and gives no sharding.
  code = (
    f"from orbax.checkpoint import v1 as o; print(o.load({str(saved / '3')!r})['params'].keys())"
  )
  environment = {**os.environ, "PYTHONWARNINGS": "error"}
  run = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
  )
  assert "'first'" in run.stdout


def test_other_members_are_refused(saved):
  checkpoints = Checkpoints(saved, 2)
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
    r"InputError: the checkpoint .*/c/3 is damaged .*; step 2 is there too", run.stderr
  )


@pytest.fixture
def flipped(saved, tmp_path):
  """Checkpoints of steps 2 and 3, one bit of a weight in the latter being another one."""
  folder = shutil.copytree(saved, tmp_path / "c")
  step, tree, metadata = load_arrays(folder)
  kernel = tree["params"]["first"]["kernel"]
  kernel.view(np.uint32).reshape(-1)[5] ^= 1 << 22
  shutil.rmtree(folder / "3")
  with ocp.training.Checkpointer(folder) as checkpointer:
    checkpointer.save(step, tree, custom_metadata=sealed(metadata))
  return folder


def test_a_flipped_bit_is_named(flipped):
  state, members = fresh()
  checkpoints = Checkpoints(flipped, 2)
  says = r"c/3 is damaged \(params/first/kernel is not what was written\)"
  with pytest.raises(InputError, match=says + "; --on_corrupt=previous goes on from step 2"):
    checkpoints.restore(state, members)
  checkpoints.close()
  with pytest.raises(InputError, match=says + "; step 2 is there too"):
    load_arrays(flipped)
  assert load_arrays(flipped, 2)[0] == 2
  with pytest.raises(InputError, match="holds no step 7; there are 2, 3"):
    load_arrays(flipped, 7)


def test_the_one_before_a_damaged_one_is_used_if_asked_for(flipped):
  state, members = fresh()
  other = jax.tree.map(lambda x: x * 0, state)
  checkpoints = Checkpoints(flipped, 2)
  step, restored, _ = checkpoints.restore(other, members, on_corrupt="previous")
  assert step == steps(flipped)[-1] == 2
  assert_same(restored, state)
  assert (flipped.parent / "c_damaged_3" / "state").is_dir()  # nothing is lost
  checkpoints.save(3, state, members, {})
  checkpoints.wait()
  checkpoints.close()
  assert load_arrays(flipped)[0] == 3


def test_without_another_one_training_begins_again_if_asked_for(flipped):
  shutil.rmtree(flipped / "2")
  (flipped.parent / "c_damaged_3").mkdir()  # of an earlier time
  state, members = fresh()
  checkpoints = Checkpoints(flipped, 2)
  with pytest.raises(InputError, match="; --on_corrupt=previous goes on from step 0"):
    checkpoints.restore(state, members)
  assert checkpoints.restore(state, members, on_corrupt="previous") == (0, state, {})
  assert steps(flipped) == []
  checkpoints.close()
  assert (flipped.parent / "c_damaged_3_2" / "state").is_dir()


def test_metadata_that_was_changed_is_refused(saved, tmp_path):
  folder = shutil.copytree(saved, tmp_path / "c")
  path = folder / "3" / "_CHECKPOINT_METADATA"
  path.write_text(path.read_text().replace('"steps": 9', '"steps": 8'))
  with pytest.raises(InputError, match=r"c/3 is damaged \(its metadata is not what was written\)"):
    load_arrays(folder)


FLIPS = """
import pathlib, shutil, sys
import numpy as np, jax
from sr_jax.config import InputError
from sr_jax.training.checkpoints import load_arrays
saved, work = map(pathlib.Path, sys.argv[1:])
_, good, about = load_arrays(saved)
rng = np.random.default_rng(0)
for trial in range(12):
  folder = shutil.copytree(saved, work / str(trial))
  files = [path for path in sorted((folder / "3").rglob("*")) if path.is_file()]
  path = files[trial % len(files)]
  data = bytearray(path.read_bytes())
  data[rng.integers(len(data))] ^= 1 << rng.integers(8)
  path.write_bytes(data)
  try:
    _, tree, now = load_arrays(folder)
  except InputError:
    print("refused")
  else:
    same = jax.tree.all(jax.tree.map(np.array_equal, tree, good)) and now == about
    print("same" if same else "WRONG")
"""


def test_a_flip_in_the_files_never_passes_as_good(saved, tmp_path):
  # Whatever it hits: it is refused, or it changed nothing. In a process of its own, as above.
  run = subprocess.run(
    [sys.executable, "-c", FLIPS, str(saved), str(tmp_path)],
    capture_output=True,
    text=True,
    check=True,
    cwd=ROOT,
  )
  outcomes = run.stdout.split()
  assert len(outcomes) == 12
  assert set(outcomes) == {"refused", "same"}


def test_a_checkpoint_of_another_version_gives_its_parameters_but_is_not_continued(saved, tmp_path):
  _, tree, metadata = load_arrays(saved)
  tree["adam"] = tree.pop("opt_state")
  with ocp.training.Checkpointer(tmp_path) as checkpointer:
    checkpointer.save(3, tree, custom_metadata=sealed({**metadata, DIGESTS: digests(tree)}))
  step, loaded, _ = load_arrays(tmp_path, parts=("params", "members"))
  assert step == 3
  assert_same(loaded, {"params": tree["params"], "members": tree["members"]})
  says = (
    r"/3 was made by another version of sr_jax, which saved no opt_state; move the run's folder"
  )
  with pytest.raises(InputError, match=says):
    load_arrays(tmp_path)
  for on_corrupt in ("stop", "previous"):
    checkpoints = Checkpoints(tmp_path, 2)
    with pytest.raises(InputError, match=says):
      checkpoints.restore(*fresh(), on_corrupt)
    checkpoints.close()
  assert steps(tmp_path) == [3]


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
  with pytest.raises(InputError, match="holds no complete checkpoint"):
    load_arrays(tmp_path / "nothing")
  (tmp_path / "empty").mkdir()
  with pytest.raises(InputError, match="holds no complete checkpoint"):
    load_arrays(tmp_path / "empty")
