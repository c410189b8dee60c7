"""Measured time of a training step; networks take turns, so that a drifting machine is fair."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sr_jax.data.patches import Store
from sr_jax.networks import EXECUTIONS, HRNetwork, Network, has_two_executions
from sr_jax.operators.conv import DEFAULT, Computation
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.training.population import Members, State, make_train_steps, no_losses
from sr_jax.training.sharding import replicate

SCHEDULE = 10_000  # steps: rates are in warm-up while something is timed
SECONDS = 0.1  # of every network and round: enough for a report


class Timed(NamedTuple):
  """A population to time: its network, where it stands, and how its convolutions are computed."""

  network: Network
  state: State
  members: Members
  mesh: Mesh
  computation: Computation = DEFAULT


def in_both_executions(timed: dict[str, Timed]) -> dict[str, Timed]:
  """Every HR network in both executions, named "NAME (EXECUTION)"; others as they are."""
  both: dict[str, Timed] = {}
  for name, one in timed.items():
    if has_two_executions(one.network):
      for execution in EXECUTIONS:
        network = one.network.clone(execution=execution)
        both[f"{name} ({execution})"] = one._replace(network=network)
    elif isinstance(one.network, HRNetwork):
      both[f"{name} ({one.network.execution})"] = one
    else:
      both[name] = one
  return both


def training_call(
  train_steps: Callable, state: State, members: Members, store: Store
) -> Callable[[int], None]:
  """What trains a copy of a population for some steps and waits for it; `state` is kept."""
  held = [jax.tree.map(jnp.copy, state)]
  nothing = no_losses(state)  # given as in training, whose program this is to be

  def call(steps: int) -> None:
    held[0], losses = train_steps(held[0], members, store, 0, steps, SCHEDULE, nothing)
    jax.block_until_ready(losses)

  return call


def seconds_a_step(
  calls: Mapping[str, Callable[[int], Any]], seconds: int | float = 0.25, rounds: int = 5
) -> dict[str, float]:
  """Median seconds of one of the steps that each `call(steps)` does, the calls taking turns.

  Args:
    calls: what is timed, by name; the first of their steps may compile.
    seconds: about how long each one takes in a round.
    rounds: over which the median is taken.
  """
  steps = {}
  for name, call in calls.items():
    call(2)
    began = time.perf_counter()
    call(2)
    steps[name] = max(2, int(2 * seconds / (time.perf_counter() - began)))
  steps = broadcast_from_primary(lambda: steps)
  found: dict[str, list[float]] = {name: [] for name in calls}
  for _ in range(rounds):
    for name, call in calls.items():
      began = time.perf_counter()
      call(steps[name])
      found[name].append((time.perf_counter() - began) / steps[name])
  return broadcast_from_primary(
    lambda: {name: float(np.median(each)) for name, each in found.items()}
  )


def step_seconds(timed: dict[str, Timed], store: Store, batch: int, patch: int) -> dict[str, float]:
  """Seconds a training step takes one member of each population. No state is changed."""
  resident = {one.mesh: jax.block_until_ready(replicate(one.mesh, store)) for one in timed.values()}
  calls = {
    name: training_call(
      make_train_steps(one.network, batch, patch, one.mesh, one.computation),
      one.state,
      one.members,
      resident[one.mesh],
    )
    for name, one in timed.items()
  }
  found = seconds_a_step(calls, SECONDS)
  return {name: seconds / len(timed[name].members.seed) for name, seconds in found.items()}
