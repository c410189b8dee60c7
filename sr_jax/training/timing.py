"""Measured time of a training step; networks take turns, so that a drifting machine is fair."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sr_jax.data.patches import Store
from sr_jax.networks import HRNetwork, Network
from sr_jax.operators.conv import DEFAULT, Computation
from sr_jax.training.loop import steps_per_dispatch
from sr_jax.training.population import Members, State, make_train_steps
from sr_jax.training.sharding import replicate


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
    if isinstance(one.network, HRNetwork):
      for execution in ("hr_space", "lr_space"):
        network = one.network.clone(execution=execution)
        both[f"{name} ({execution})"] = one._replace(network=network)
    else:
      both[name] = one
  return both


def step_seconds(
  timed: dict[str, Timed], store: Store, batch: int, patch: int, rounds: int = 5
) -> dict[str, float]:
  """Seconds a training step takes one member: the median over rounds. No state is changed."""
  seconds: dict[str, list[float]] = {name: [] for name in timed}
  resident = {one.mesh: jax.block_until_ready(replicate(one.mesh, store)) for one in timed.values()}
  steps = steps_per_dispatch()
  for i in range(rounds + 1):
    for name, (network, state, members, mesh, computation) in timed.items():
      train_steps = make_train_steps(network, batch, patch, mesh, computation)
      copy = jax.block_until_ready(jax.tree.map(jnp.copy, state))  # it will be donated
      began = time.perf_counter()
      jax.block_until_ready(train_steps(copy, members, resident[mesh], 0, steps, 1000))
      if i:  # the first round may compile
        work = steps * len(members.seed)
        seconds[name].append((time.perf_counter() - began) / work)
  return {name: float(np.median(each)) for name, each in seconds.items()}
