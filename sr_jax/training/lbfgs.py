"""L-BFGS on fixed patches: no batch is drawn, no rate is chosen, and no iteration is noise.

Liu and Nocedal (1989), as in Optax, with a line search for the strong Wolfe conditions (Nocedal and
Wright 2006, algorithms 3.5 and 3.6). Iterations are the steps of `training.loop`, so that they are
logged, saved and continued as those of Adam are.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float32

from sr_jax.data.patches import Store, cut, draw
from sr_jax.networks import AnyNetwork
from sr_jax.operators.conv import Computation, computing
from sr_jax.training.objective import Objective
from sr_jax.training.population import Members, State
from sr_jax.training.sharding import each_member, on_mesh, shard_members

MEMORY = 20  # the largest that Nocedal and Wright (2006, Section 7.2) recommend
OPTIMIZER = optax.lbfgs(memory_size=MEMORY)
FIRST_STEP = 1.0  # that the line search tries, which is Newton's


class Patches(NamedTuple):
  """Fixed patches in batches, whose gradients are computed one after the other and added.

  A batch is as large as those of Adam: its maps stay in the cache.
  """

  inputs: Float32[Array, "n b *space i"]
  targets: Float32[Array, "n b *space2 o"]


def draw_patches(store: Store, count: int, batch: int, patch: int, objective: Objective) -> Patches:
  """Draws `count` patches of training images, the same in every run of the same images.

  `batch` divides `count`; `patch` is a side in LR pixels. The store is on one device.
  """

  @jax.jit
  def batches(store: Store) -> tuple[Array, ...]:
    crops = draw(store, jax.random.key(0), count)
    pairs = cut(store, crops, patch, objective.layout)
    return tuple(x.reshape(count // batch, batch, *x.shape[1:]) for x in pairs)

  return Patches(*batches(store))


def start_from(params: Any, mesh: Mesh) -> State:
  """State before the first iteration of members that start from these parameters."""

  def fresh(params: Any) -> State:
    return State(params, OPTIMIZER.init(params))

  return jax.jit(_each_member(fresh, mesh))(shard_members(mesh, params))


def make_train_steps(
  network: AnyNetwork, mesh: Mesh, computation: Computation, objective: Objective
) -> Callable:
  """Makes jitted iterations on `Patches`, to be called as those of `population.train_steps_on`.

  The losses that they add up are those before each iteration. The length of the schedule and the
  members' learning rates play no part.
  """
  loss = _make_loss(network, computation, objective)
  value_and_grad = optax.value_and_grad_from_state(loss)

  def iterate(_: Array, carry: tuple[State, Array], data: Patches) -> tuple[State, Array]:
    (params, opt_state), total = carry
    value, gradient = value_and_grad(params, data, state=opt_state)
    updates, opt_state = OPTIMIZER.update(
      gradient, opt_state, params, value=value, grad=gradient, value_fn=loss, data=data
    )
    return State(optax.apply_updates(params, updates), opt_state), total + value

  def train_member(
    carry: tuple[State, Array], data: Patches, start: Array, stop: Array
  ) -> tuple[State, Array]:
    body = functools.partial(iterate, data=data)
    return jax.lax.fori_loop(start, stop, body, carry)

  def train_steps(
    state: State,
    members: Members,
    data: Patches,
    start: Array,
    stop: Array,
    steps: Array,
    losses: Array,
  ) -> tuple[State, Array]:
    return _each_member(train_member, mesh)((state, losses), data, start, stop)

  return jax.jit(train_steps, donate_argnums=0)


def losses(
  network: AnyNetwork,
  params: Any,
  patches: Patches,
  mesh: Mesh,
  computation: Computation,
  objective: Objective,
) -> list[float]:
  """The loss of every member on uploaded patches."""
  loss = _make_loss(network, computation, objective)
  count = len(jax.tree.leaves(params)[0])
  arrays = shard_members(mesh, params), on_mesh(mesh, patches)
  return np.asarray(jax.jit(_each_member(loss, mesh))(*arrays))[:count].tolist()


def _make_loss(network: AnyNetwork, computation: Computation, objective: Objective) -> Callable:
  """The mean loss over batches, whose gradient is computed with it, batch by batch.

  Differentiating a sum over batches would keep, or compute twice, what each batch has computed.
  """

  def value_and_grad(params: Any, data: Patches) -> tuple[Array, Any]:
    def add(sums: tuple[Array, Any], batch: Patches) -> tuple[tuple[Array, Any], None]:
      with computing(computation):
        of_batch = jax.value_and_grad(objective.training_loss, argnums=1)(network, params, *batch)
      return jax.tree.map(jnp.add, sums, of_batch), None

    nothing = jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)
    sums, _ = jax.lax.scan(add, nothing, data)
    mean: tuple[Array, Any] = jax.tree.map(lambda x: x / len(data.inputs), sums)
    return mean

  @jax.custom_vjp
  def loss(params: Any, data: Patches) -> Array:
    return value_and_grad(params, data)[0]

  def backward(gradient: Any, cotangent: Array) -> tuple[Any, None]:
    return jax.tree.map(lambda x: cotangent * x, gradient), None

  loss.defvjp(value_and_grad, backward)
  return loss


def _each_member(function: Callable, mesh: Mesh) -> Callable:
  """`each_member` of what begins loops with constants, as Optax does: they vary over no axis."""
  return each_member(function, mesh, check_vma=False)
