"""What --precision changes: products are rounded to bfloat16, and training ends nearby."""

import jax
import numpy as np

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.evaluation import scoring
from sr_jax.networks import lr_network
from sr_jax.operators.conv import Computation
from sr_jax.training import population, sharding

DISTANCE = 0.1  # dB
TILES = np.random.default_rng(0).integers(0, 256, (11, 11), np.uint8)
PHOTO = make_pair("tiles", np.kron(TILES, np.ones((3, 3), np.uint8)), 2)


def psnr_after_training(precision):
  network, mesh = lr_network(features=4, depth=0), sharding.make_mesh(1, 4)
  members = sharding.shard_members(mesh, population.make_members([0], [4e-3]))
  store = sharding.replicate(mesh, patches.make_store([PHOTO], 6))
  state = population.initialise(network, "lr", members, mesh)
  computation = Computation("canonical", precision)
  train_steps = population.make_train_steps(network, 4, 6, mesh, computation)
  state, _ = train_steps(state, members, store, 0, 200, 200)
  params = jax.device_get(state.params)
  whole = sharding.make_mesh(1, 1)
  (psnr,) = scoring.pooled_psnr(network, sharding.shard_members(whole, params), [PHOTO], whole)[:1]
  return psnr


def test_training_in_bfloat16_ends_near_training_in_float32_and_elsewhere():
  exact, rounded = map(psnr_after_training, ("float32", "bfloat16"))
  assert exact != rounded
  assert abs(exact - rounded) < DISTANCE
