import jax
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.networks import LRNetwork
from sr_jax.training import autotune, population, sharding

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
NETWORK, BATCH, PATCH = LRNetwork(features=2, depth=0), 4, 6


@pytest.fixture
def choose():
  mesh = sharding.make_mesh(1, BATCH)
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  state = population.initialise(NETWORK, "lr", members, mesh)
  store = sharding.replicate(mesh, patches.make_store([make_photo("n", NOISE, 2)], PATCH))

  def chosen():
    return autotune.fastest_form("tf32", NETWORK, BATCH, PATCH, state, members, store, mesh)

  yield chosen
  jax.block_until_ready(state)  # measuring has not used it up


def test_one_by_one_there_is_nothing_to_measure(choose, monkeypatch):
  monkeypatch.setattr(autotune, "make_train_steps", lambda *_: pytest.fail("measured"))
  assert choose() == ("canonical", "tf32")


def test_batched_forms_are_measured_and_the_fastest_is_taken(choose, monkeypatch):
  monkeypatch.setattr(autotune, "one_by_one", lambda mesh: False)
  monkeypatch.setattr(autotune, "SECONDS", 0.01)
  assert choose().form in autotune.BATCHED_FORMS
  seconds = dict(zip(autotune.BATCHED_FORMS, (2.0, 1.0), strict=True))
  monkeypatch.setattr(autotune, "form_seconds", lambda *_: seconds)
  assert choose() == (autotune.BATCHED_FORMS[1], "tf32")
