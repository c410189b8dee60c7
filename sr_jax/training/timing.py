"""Measured time of a training step; networks take turns, so that a drifting machine is fair."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sr_jax.data.patches import Store
from sr_jax.networks import Network
from sr_jax.networks.network import EXECUTIONS
from sr_jax.operators.conv import computing
from sr_jax.runtime.processes import broadcast_from_primary, to_host
from sr_jax.training.objective import Objective, Upscaling
from sr_jax.training.population import AnyMembers, Population, State, make_train_steps, zero_losses
from sr_jax.training.sharding import (
  DATA,
  MEMBER,
  each_member,
  on_mesh,
  replicate,
  replicate_integers,
  shard_members,
)

SCHEDULE = 10_000  # steps: rates are in warm-up while something is timed
SECONDS = 0.1  # of every network and round: enough for a report


def in_both_executions(populations: Mapping[str, Population]) -> dict[str, Population]:
  """Every network that has two executions in both, named "NAME (EXECUTION)"; others unchanged."""
  both: dict[str, Population] = {}
  for name, population in populations.items():
    network = population.network
    if not (isinstance(network, Network) and network.has_two_executions):
      both[name] = population
      continue
    for execution in EXECUTIONS:
      executed = population._replace(network=network.clone(execution=execution))
      both[f"{name} ({execution})"] = executed
  return both


def training_call(
  train_steps: Callable, state: State, members: AnyMembers, store: Store
) -> Callable[[int], None]:
  """A function that trains a copy of a population for some steps and waits for it."""
  held = [jax.tree.map(jnp.copy, state)]
  losses = zero_losses(state)  # an argument, as in training, to time the same program
  mesh = losses.sharding.mesh  # type: ignore[attr-defined]

  def call(steps: int) -> None:
    span = replicate_integers(mesh, 0, steps, SCHEDULE)
    held[0], total = train_steps(held[0], members, store, *span, losses)
    jax.block_until_ready(total)

  return call


def call_of(
  population: Population, store: Store, batch: int, patch: int, objective: Objective | None = None
) -> Callable[[int], None]:
  """The `training_call` of a population; the store is from `sharding.upload`."""
  network, state, members, mesh, computation = population
  train_steps = make_train_steps(network, batch, patch, mesh, computation, objective)
  return training_call(train_steps, state, members, on_mesh(mesh, store))


def gradient_call(
  population: Population,
  members: int,
  batch: int,
  patch: int,
  objective: Objective | None = None,
) -> Callable[[int], None]:
  """A function that computes some members' gradients some times and waits for them.

  They are of a fixed batch, and the program is that of a training step without patches and Adam,
  which it takes a fifth of the time to compile.
  """
  network, state, _, mesh, computation = population
  params = shard_members(mesh, jax.tree.map(lambda x: x[:members], to_host(state.params)))
  learned = objective or Upscaling(network.scale)
  layout, share = learned.layout, batch // mesh.shape[DATA]
  rng = np.random.default_rng(0)

  def random(factor: int, maps: int) -> np.ndarray:
    return rng.random((share, *(factor * patch,) * layout.dims, maps), np.float32)

  batch_of = (
    random(layout.input_factor, layout.input_maps),
    random(layout.scale, layout.target_maps).astype(layout.target_dtype),
  )

  def descend(params: Any, inputs: Array, targets: Array, steps: Array) -> Any:
    params, inputs, targets = jax.lax.pcast((params, inputs, targets), DATA, to="varying")
    inputs, targets = jax.lax.pcast((inputs, targets), MEMBER, to="varying")

    def step(_: Array, params: Any) -> Any:
      with computing(computation):
        loss = jax.grad(learned.training_loss, argnums=1)
        gradient = loss(network, params, inputs, targets)
      # So that every step needs the one before.
      return jax.tree.map(lambda p, g: p - 1e-9 * g, params, gradient)

    return jax.lax.pmean(jax.lax.fori_loop(0, steps, step, params), DATA)

  program = jax.jit(each_member(descend, mesh))
  shared = replicate(mesh, batch_of)

  def call(steps: int) -> None:
    jax.block_until_ready(program(params, *shared, *replicate_integers(mesh, steps)))

  return call


def seconds_a_step(
  calls: Mapping[str, Callable[[int], Any]], seconds: int | float = 0.25, rounds: int = 5
) -> dict[str, float]:
  """Median seconds, over the rounds, of a step of each `call(steps)`, the calls taking turns.

  Each takes about `seconds` in a round; the first of its steps may compile.
  """
  steps = {}
  for name, call in calls.items():
    call(2)
    began = time.perf_counter()
    call(2)
    steps[name] = max(2, int(2 * seconds / (time.perf_counter() - began)))
  steps = broadcast_from_primary(lambda: steps)
  times: dict[str, list[float]] = {name: [] for name in calls}
  for _ in range(rounds):
    for name, call in calls.items():
      began = time.perf_counter()
      call(steps[name])
      times[name].append((time.perf_counter() - began) / steps[name])
  return broadcast_from_primary(
    lambda: {name: float(np.median(rounds)) for name, rounds in times.items()}
  )


def step_seconds(
  populations: Mapping[str, Population],
  store: Store,
  batch: int,
  patch: int,
  objective: Objective | None = None,
) -> dict[str, float]:
  """Seconds a training step takes one member of each population; no state is changed."""
  calls = {
    name: call_of(population, store, batch, patch, objective)
    for name, population in populations.items()
  }
  seconds = seconds_a_step(calls, SECONDS)
  return {name: seconds[name] / len(populations[name].members.seed) for name in calls}
