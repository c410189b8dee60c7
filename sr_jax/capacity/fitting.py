"""Trains members of one network: on photographs as a run does, or on any loss of their own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.data import patches
from sr_jax.data.images import Photo
from sr_jax.data.patches import Store
from sr_jax.evaluation import scoring
from sr_jax.networks import HRNetwork, LRNetwork
from sr_jax.runtime import preemption
from sr_jax.training import population
from sr_jax.training.population import ADAM, Members, State, learning_rate
from sr_jax.training.sharding import (
  MEMBER,
  each_member,
  make_mesh,
  members_of,
  replicate,
  shard_members,
)

DISPATCH = 100  # steps, between which a signal to stop is obeyed
PATCHES_PER_IMAGE = 32  # on which training PSNR is measured, as in a comparison

Shape = LRNetwork | HRNetwork


class Photographs(NamedTuple):
  """What to train on: the images, and the batches cut from them.

  Attributes:
    train: training photographs.
    store: the same, for `patches`.
    batch: patches in a batch.
    patch: side of a patch in LR pixels.
  """

  train: Sequence[Photo]
  store: Store
  batch: int
  patch: int


def train(
  network: Shape, name: str, who: Members, steps: int, data: Photographs, params: Any = None
) -> Any:
  """Parameters of every member after one whole schedule; `params` to begin with, if given."""
  mesh = make_mesh(len(who.seed), data.batch)
  members = shard_members(mesh, who)
  if params is None:
    state = population.initialise(network, name, members, mesh)
  else:
    params = shard_members(mesh, params)
    state = State(params, jax.jit(jax.vmap(ADAM.init))(params))
    state = shard_members(mesh, state)
  store = replicate(mesh, data.store)
  train_steps = population.make_train_steps(network, data.batch, data.patch, mesh)
  for start in range(0, steps, DISPATCH):
    preemption.raise_if_requested()
    stop = min(steps, start + DISPATCH)
    state, loss = train_steps(state, members, store, start, stop, steps)
    jax.block_until_ready(loss)
  return jax.tree.map(np.asarray, members_of(state.params, len(who.seed)))


def training_psnr(network: Shape, params: Any, data: Photographs) -> list[float]:
  """Mean training PSNR in dB of every member, on fixed patches of every training photograph."""
  count = len(jax.tree.leaves(params)[0])
  mesh = make_mesh(count, batch=1)
  crops = patches.fixed_crops(data.train, data.patch, PATCHES_PER_IMAGE)
  arrays = shard_members(mesh, params), replicate(mesh, data.store)
  found = scoring.fit(network, *arrays, crops, data.patch, mesh, network.margin)[:count]
  return [float(np.mean([np.nan if db is None else db for db in member])) for member in found]


def test_psnr(network: Shape, params: Any, photos: Sequence[Photo]) -> list[float]:
  """Mean PSNR in dB of every member on whole photographs."""
  count = len(jax.tree.leaves(params)[0])
  mesh = make_mesh(count, batch=1)
  scores = scoring.score(network, shard_members(mesh, params), photos, mesh)[:count]
  return [float(np.mean([np.nan if db is None else db for db in one["psnr"]])) for one in scores]


Loss = Callable[..., Float[Array, ""]]


def fit(
  network: Shape, loss: Loss, member: Any, rates: Sequence[float], steps: int, *shared: Any
) -> list[float]:
  """Trains members on a loss of their own, with a run's optimiser, and returns its last values.

  Args:
    network: what is trained, from an initialisation of `member`'s seed.
    loss: `loss(params, member, step, *shared)`; its value at `step = steps` is returned.
    member: a tree of arrays, one entry a member, with its "seed".
    rates: the peak learning rate of each member.
    steps: length of the schedule.
    shared: further arrays for the loss.
  """
  mesh = make_mesh(len(rates), batch=1)
  who = shard_members(mesh, {**member, "rate": np.array(rates, np.float32)})

  def initialise(member: Any) -> Any:
    params = network.init(jax.random.key(member["seed"]), jnp.zeros((1, 8, 8, 1)))["params"]
    return params, ADAM.init(params)

  def advance(member: Any, start: Array, stop: Array, *shared: Any) -> tuple[Any, Float[Array, ""]]:
    who, state = member
    # What is shared meets parameters that differ: gradients of convolutions ask to be told.
    shared = jax.tree.map(lambda array: jax.lax.pcast(array, MEMBER, to="varying"), shared)

    def step(i: Array, state: Any) -> Any:
      params, adam = state
      update, adam = ADAM.update(jax.grad(loss)(params, who, i, *shared), adam)
      rate = learning_rate(who["rate"], i, jnp.asarray(steps))
      return jax.tree.map(lambda p, u: p - rate * u, params, update), adam

    state = jax.lax.fori_loop(start, stop, step, state)
    return state, loss(state[0], who, stop, *shared)

  state = jax.jit(each_member(initialise, mesh))(who)
  shared = replicate(mesh, shared)
  some_steps = jax.jit(each_member(advance, mesh))
  values = None
  for start in range(0, steps, DISPATCH):
    preemption.raise_if_requested()
    state, values = some_steps((who, state), start, min(steps, start + DISPATCH), *shared)
    jax.block_until_ready(values)
  return [float(value) for value in np.asarray(values)[: len(rates)]]
