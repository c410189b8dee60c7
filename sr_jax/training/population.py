"""A population: members (seed x learning rate) of one network, trained side by side.

Member i of a population computes what a population of that member alone computes: nothing is
shared between members but the images.
"""

import functools
import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh
from jaxtyping import Array, Float32, Int32, PRNGKeyArray

from sr_jax.data.patches import Crops, HostOrDevice, Store, cut, draw
from sr_jax.networks import AnyNetwork, Network, OwnNetwork
from sr_jax.networks.own import PROBE
from sr_jax.operators.conv import DEFAULT, Computation, computing
from sr_jax.training.hyperparameters import (
  CLIP,
  WARMUP,
  TunedMembers,
  scale_initial,
  scale_updates,
)
from sr_jax.training.objective import Objective, Upscaling
from sr_jax.training.sharding import DATA, MEMBER, each_member, one_by_one, shard_members

Loss = Callable[[Any, Any, Array, Any], Array]

# Functions of the share of training that is done: optax needs a static length, ours is traced.
WARMUP_SCHEDULE = optax.linear_schedule(0.0, 1.0, WARMUP)
DECAY_SCHEDULE = optax.cosine_decay_schedule(1.0, 1.0)
BLOCK = 20  # steps, see `_repeat`
INITIALISATION, BATCHES = 0, 1  # the two uses of a seed


class Members(NamedTuple):
  """The members of a population; arrays of equal length."""

  seed: Int32[HostOrDevice, "*m"]  # of the initialisation (with the arm's name) and the batches
  learning_rate: Float32[HostOrDevice, "*m"]  # peak of the schedule


AnyMembers = Members | TunedMembers


class State(NamedTuple):
  """What training changes; every leaf has a leading member axis."""

  params: Any
  opt_state: Any  # of `make_optimizer`: Adam's moments and step count


class Population(NamedTuple):
  """A population where it stands."""

  network: AnyNetwork
  state: State  # of every member, and of those that the mesh added
  members: AnyMembers
  mesh: Mesh
  computation: Computation = DEFAULT  # of the convolutions


def make_members(seeds: Sequence[int], learning_rates: Sequence[float]) -> Members:
  """Every seed with every learning rate, seeds varying slowest."""
  seed, rate = zip(*itertools.product(seeds, learning_rates), strict=True)
  return Members(np.array(seed, np.int32), np.array(rate, np.float32))


def batch_key(seed: Int32[HostOrDevice, ""], step: Int32[HostOrDevice, ""]) -> PRNGKeyArray:
  """The key of a batch: a function of (seed, step) and of nothing else."""
  return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), BATCHES), step)


def learning_rate(
  peak: Float32[HostOrDevice, ""],
  step: Int32[HostOrDevice, ""],
  steps: Int32[HostOrDevice, ""],
  warmup: Float32[HostOrDevice, ""] | None = None,
) -> Float32[Array, ""]:
  """Linear warm-up over a share of the steps, times cosine decay to zero over all of them.

  A share of None is a tenth, `WARMUP`.
  """
  done = (step + 1) / steps
  risen = WARMUP_SCHEDULE(done) if warmup is None else jnp.minimum(done / warmup, 1.0)
  rate: Array = risen * DECAY_SCHEDULE(step / steps) * peak
  return rate


def make_optimizer(
  network: AnyNetwork, rate: Array | float, clip: Array | float = CLIP
) -> optax.GradientTransformation:
  """Adam on gradients clipped to a norm, with each layer's own multiple of the learning rate.

  A user's own network has one rate.
  """
  if isinstance(network, OwnNetwork):
    updates = optax.scale_by_learning_rate(rate)
  else:
    by_layer = {
      layer.name: optax.scale_by_learning_rate(rate * layer.rate) for layer in network.layers
    }
    updates = optax.partition(by_layer, lambda params: {name: name for name in params})
  return optax.chain(
    optax.clip_by_global_norm(clip), optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8), updates
  )


def _update(
  network: AnyNetwork, member: Any, gradient: Any, state: State, step: Array, steps: Array
) -> State:
  """A member after a step: `learning_rate` of a schedule of `steps`, and `make_optimizer`."""
  is_tuned = isinstance(member, TunedMembers)
  rate = learning_rate(member.learning_rate, step, steps, member.warmup if is_tuned else None)
  optimizer = make_optimizer(network, rate, member.clip if is_tuned else CLIP)
  updates, opt_state = optimizer.update(gradient, state.opt_state)
  if is_tuned:
    updates = scale_updates(network, updates, member)
  return State(optax.apply_updates(state.params, updates), opt_state)


def initialise(network: AnyNetwork, arm_name: str, members: AnyMembers, mesh: Mesh) -> State:
  """Fresh state of every member; its seed is folded with the arm's name."""
  if (
    isinstance(network, Network) and network.has_two_executions
  ):  # which begin alike: one program for both
    network = network.clone(execution="hr_space")
  return _make_initialise(network, mesh)(members, np.uint32(zlib.crc32(arm_name.encode())))


@functools.lru_cache(maxsize=16)
def _make_initialise(network: AnyNetwork, mesh: Mesh) -> Callable:
  def initialise_member(member: AnyMembers, name: Array) -> State:
    key = jax.random.fold_in(jax.random.key(member.seed), INITIALISATION)
    example = jnp.zeros(_example_shape(network))
    params = network.init(jax.random.fold_in(key, name), example)["params"]
    if isinstance(member, TunedMembers):
      params = scale_initial(network, params, member)
    return _fresh(network, params)

  return jax.jit(each_member(initialise_member, mesh))


def _example_shape(network: AnyNetwork) -> tuple[int, ...]:
  """The shape of an image that the network reads."""
  if isinstance(network, OwnNetwork):
    return 1, *PROBE[1:], 1  # of those checked
  inputs, is_lr = network.layers[0].inputs, network.layers[0].inputs.lr or network.bicubic_first
  side = (8 + 2 * network.margin) * (1 if is_lr else network.scale)
  return 1, *(side,) * network.dims, 1 if network.bicubic_first else inputs.lr + inputs.hr


def start_from(network: AnyNetwork, params: Any, mesh: Mesh) -> State:
  """State before the first step of members that start from these parameters."""
  fresh = functools.partial(_fresh, network)
  return jax.jit(each_member(fresh, mesh))(shard_members(mesh, params))


def _fresh(network: AnyNetwork, params: Any) -> State:
  return State(params, make_optimizer(network, 0.0).init(params))


def zero_losses(state: State) -> Array:
  """The sum of losses that a line of metrics begins with: zero for every member of a population."""
  leaf = jax.tree.leaves(state)[0]
  return shard_members(leaf.sharding.mesh, np.zeros(len(leaf), np.float32))


@functools.lru_cache(maxsize=16)
def make_train_steps(
  network: AnyNetwork,
  batch: int,
  patch: int,
  mesh: Mesh,
  computation: Computation = DEFAULT,
  objective: Objective | None = None,
) -> Callable:
  """Makes the jitted training loop on patches of pairs; the data is their `Store`.

  The devices along the mesh's data axis share a batch; `patch` is a side in LR pixels. The default
  objective is super-resolution of photographs.
  """
  share = batch // mesh.shape[DATA]
  learned = objective or Upscaling(network.scale)

  def loss(params: Any, member: AnyMembers, step: Array, store: Store) -> Array:
    crops = draw(store, batch_key(member.seed, step), batch)
    inputs, targets = cut(store, _share_of(crops, share), patch, learned.layout)
    with computing(computation):
      return learned.training_loss(network, params, inputs, targets)

  return train_steps_on(loss, network, mesh)


def train_steps_on(loss: Loss, network: AnyNetwork, mesh: Mesh) -> Callable:
  """The training loop of a population on any loss, jitted once for a network and a mesh.

  The numbers of the first and last step are arguments, so that one program serves any stretch of
  steps, any schedule length, and (populations being equally large) the search for a rate and the
  final training.

  `loss(params, member, step, data)` is of one member at one step, on this device's part of the
  batch. `members` are `Members`, or another tuple that has their `learning_rate` and what the loss
  needs.

  Returns:
    `train_steps(state, members, data, start, stop, steps, losses=None) -> (state, losses)`: trains
    every member for the steps from `start` up to `stop` of a schedule of `steps`, and adds each
    step's loss to those of its member, in the order of the steps, so that their sum does not depend
    on how a stretch is cut; None is a sum of nothing. `state` is donated.
  """

  def train_step(
    step: Array, carry: tuple[State, Array], member: Any, data: Any, steps: Array
  ) -> tuple[State, Array]:
    state, total = carry
    # Gradients of convolutions need all of their inputs to vary alike over the mesh.
    local = jax.lax.pcast((state.params, member), DATA, to="varying")
    value, gradient = _mean_over_data(jax.value_and_grad(loss)(*local, step, data), mesh)
    return _update(network, member, gradient, state, step, steps), total + value

  def train_member(
    carry: tuple[State, Any, Array | None], data: Any, start: Array, stop: Array, steps: Array
  ) -> tuple[State, Array]:
    state, member, losses = carry
    data = jax.lax.pcast(data, (MEMBER, DATA), to="varying")
    body = functools.partial(train_step, member=member, data=data, steps=steps)
    zero = member.learning_rate * 0  # rather than 0.0: sharded as the member is
    before = zero if losses is None else losses
    return _repeat(body, start, stop, (state, before), one_by_one(mesh))

  def train_steps(
    state: State,
    members: Any,
    data: Any,
    start: Array,
    stop: Array,
    steps: Array,
    losses: Array | None = None,
  ) -> tuple[State, Array]:
    return each_member(train_member, mesh)((state, members, losses), data, start, stop, steps)

  return jax.jit(train_steps, donate_argnums=0)


def _mean_over_data(values: Any, mesh: Mesh) -> Any:
  """The mean over the devices that share a batch, of one array: they synchronise for every one."""
  if mesh.shape[DATA] == 1:
    return jax.lax.pmean(values, DATA)
  flat, unravel = ravel_pytree(jax.lax.optimization_barrier(values))
  # With the barriers, what is before and after is compiled as it is without.
  return jax.lax.optimization_barrier(unravel(jax.lax.pmean(flat, DATA)))


def _repeat(body: Callable, start: Array, stop: Array, carry: Any, on_cpu: bool) -> Any:
  """`fori_loop`, on accelerators in blocks whose length the compiler knows.

  With a length that it does not know, the host has to check after every step.
  """
  if on_cpu:
    return jax.lax.fori_loop(start, stop, body, carry)

  def block(i: Array, carry: Any) -> Any:
    first = start + i * BLOCK
    return jax.lax.fori_loop(0, BLOCK, lambda j, carry: body(first + j, carry), carry)

  blocks = (stop - start) // BLOCK
  carry = jax.lax.fori_loop(0, blocks, block, carry)
  return jax.lax.fori_loop(start + blocks * BLOCK, stop, body, carry)


def _share_of(crops: Crops, share: int) -> Crops:
  """The part of a batch that this device of the data axis computes."""
  first = jax.lax.axis_index(DATA) * share
  return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, share), crops)
