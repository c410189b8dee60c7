import jax
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.networks import LRNetwork
from sr_jax.run_folder import read_json
from sr_jax.training import autotune, population, sharding

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
NETWORK, BATCH, PATCH = LRNetwork(features=2, depth=0), 4, 6


@pytest.fixture
def choose(tmp_path):
  mesh = sharding.make_mesh(1, BATCH)
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  state = population.initialise(NETWORK, "lr", members, mesh)
  store = sharding.replicate(mesh, patches.make_store([make_photo("n", NOISE, 2)], PATCH))

  def chosen():
    return autotune.choose(
      tmp_path, "lr", "tf32", NETWORK, BATCH, PATCH, state, members, store, mesh
    )

  yield chosen
  jax.block_until_ready(state)  # measuring has not used it up


def test_one_by_one_there_is_nothing_to_measure(choose, tmp_path):
  assert choose() == ("canonical", "tf32")
  assert not list(tmp_path.iterdir())


def test_the_fastest_form_is_measured_once_and_kept(choose, tmp_path, monkeypatch):
  monkeypatch.setattr(autotune, "one_by_one", lambda mesh: False)
  monkeypatch.setattr(autotune, "SECONDS", 0.01)
  first = choose()
  kept = read_json(tmp_path / "computation.json")["lr, 1 members"]
  assert set(kept["step_seconds"]) == set(autotune.BATCHED_FORMS)
  assert min(kept["step_seconds"], key=kept["step_seconds"].get) == kept["form"] == first.form
  monkeypatch.setattr(autotune, "make_train_steps", lambda *_: pytest.fail("measured again"))
  assert choose() == first
