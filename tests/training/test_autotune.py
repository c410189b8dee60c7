import jax
import numpy as np

from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.networks import LRNetwork
from sr_jax.operators.conv import Computation
from sr_jax.training import autotune, population, sharding, timing
from sr_jax.training.population import Population

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
NETWORK, BATCH, PATCH = LRNetwork(features=2, depth=0), 4, 6


def test_every_batched_form_is_timed_at_the_precision_of_the_run(monkeypatch):
  mesh = sharding.make_mesh(1, BATCH)
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  state = population.initialise(NETWORK, "lr", members, mesh)
  fresh = Population(NETWORK, state, members, mesh, Computation(precision="bfloat16"))
  store = sharding.upload(patches.make_store([make_photo("n", NOISE, 2)], PATCH))
  make, made = timing.make_train_steps, []

  def note(network, batch, patch, mesh, computation):
    made.append((batch, patch, *computation))
    return make(network, batch, patch, mesh, computation)

  monkeypatch.setattr(timing, "make_train_steps", note)
  monkeypatch.setattr(autotune, "SECONDS", 0.01)
  seconds = autotune.form_seconds(fresh, store, BATCH, PATCH)
  assert list(seconds) == list(autotune.BATCHED_FORMS)
  assert min(seconds.values()) > 0
  assert made == [(BATCH, PATCH, form, "bfloat16") for form in autotune.BATCHED_FORMS]
  jax.block_until_ready(state)  # measuring has not used it up
