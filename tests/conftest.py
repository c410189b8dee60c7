"""Every test runs on four CPU devices, so that a mesh is more than the trivial one."""

import json
from pathlib import Path

import jax
import pytest

from sr_jax.networks import ESPCN, LRNetwork, describe
from sr_jax.training import population, sharding
from sr_jax.training.checkpoints import Checkpoints

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling is most of what the tests do; what is computed needs no optimised machine code. Where
# bits are compared between programs, and in every process a test starts, it is optimised.
jax.config.update("jax_disable_most_optimizations", True)

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
  """The field's own image sets, which are not part of the project."""
  if not SHARED.is_dir():
    pytest.skip("the image sets (T91, Set5, ...) are not beside this checkout")
  return SHARED


@pytest.fixture
def optimised():
  """Programs compiled during the test are optimised: for bits, and where much is computed."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
  """A run's folder: of "begun" there is no checkpoint, of "lr" and "espcn" those of two seeds."""
  run_dir = tmp_path_factory.mktemp("runs") / "comparison"
  run_dir.mkdir()
  for arm, network in (("lr", LRNetwork(features=4, depth=1)), ("espcn", ESPCN(features=(8, 4)))):
    mesh = sharding.make_mesh(2, 4)
    members = sharding.shard_members(mesh, population.make_members([0, 1], [1e-3]))
    state = population.initialise(network, arm, members, mesh)
    checkpoints = Checkpoints(run_dir / "checkpoints" / arm / "final")
    for step in (5, 9):
      checkpoints.save(step, state, members, {"network": describe(network)})
    checkpoints.wait()
    checkpoints.close()
  (run_dir / "config.json").write_text(json.dumps({"arms": {"begun": {}, "lr": {}, "espcn": {}}}))
  return run_dir
