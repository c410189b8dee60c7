"""Trains members of one network on photographs, or on a loss of their own, and scores them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.comparison.score import PATCHES_PER_IMAGE
from sr_jax.data import patches
from sr_jax.data.pairs import Pair
from sr_jax.data.patches import Store
from sr_jax.evaluation import scoring
from sr_jax.networks import Network
from sr_jax.training import population
from sr_jax.training.dispatch import train_unlogged
from sr_jax.training.population import Loss, Members
from sr_jax.training.sharding import (
  each_member,
  make_mesh,
  on_mesh,
  replicate,
  shard_members,
  without_padding,
)


class Photographs(NamedTuple):
  """What to train on: the images, and the batches cut from them."""

  train: Sequence[Pair]
  store: Store  # of the same, from `sharding.upload`
  batch: int  # patches
  patch: int  # side in LR pixels


def train(network: Network, name: str, members: Members, steps: int, data: Photographs) -> Any:
  """Parameters of every member after one whole schedule."""
  count = len(members.seed)
  mesh = make_mesh(count, data.batch)
  members = shard_members(mesh, members)
  state = population.initialise(network, name, members, mesh)
  train_steps = population.make_train_steps(network, data.batch, data.patch, mesh)
  state = train_unlogged(train_steps, state, members, on_mesh(mesh, data.store), steps)
  return jax.tree.map(np.asarray, without_padding(state.params, count))


def train_on_loss(
  network: Network, loss: Loss, members: Any, steps: int, data: Any = None
) -> list[float]:
  """Losses of members after one whole schedule, each at the step after the last.

  `loss`, `members` and `data` are as in `population.train_steps_on`; members have a `seed`, too.
  """
  count = len(members.seed)
  mesh = make_mesh(count, batch=1)

  @jax.jit
  @jax.vmap
  def init(seed: Any) -> Any:
    return network.init(jax.random.key(seed), jnp.zeros((1, 8, 8, 1)))["params"]

  state = population.start_from(network, jax.tree.map(np.asarray, init(members.seed)), mesh)
  members, data = shard_members(mesh, members), replicate(mesh, data)
  train_steps = population.train_steps_on(loss, network, mesh)
  state = train_unlogged(train_steps, state, members, data, steps)

  def loss_of(trained: tuple[Any, Any], data: Any) -> Any:
    return loss(*trained, jnp.int32(steps), data)

  losses = jax.jit(each_member(loss_of, mesh))((state.params, members), data)
  return np.asarray(losses)[:count].tolist()


def training_psnr(network: Network, params: Any, data: Photographs) -> list[float]:
  """Mean training PSNR in dB of every member, on fixed patches of every training photograph."""
  count = len(jax.tree.leaves(params)[0])
  mesh = make_mesh(count, batch=1)
  crops = patches.fixed_crops(data.train, data.patch, PATCHES_PER_IMAGE)
  arrays = shard_members(mesh, params), on_mesh(mesh, data.store)
  by_member = scoring.training_psnr(network, *arrays, crops, data.patch, mesh, network.margin)
  return [_mean(psnr) for psnr in by_member[:count]]


def _mean(psnr: Sequence[float | None]) -> float:
  return float(np.mean(np.array(psnr, float)))  # None becomes NaN
