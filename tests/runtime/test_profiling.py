"""What is compiled, and how often: each costs seconds or a factor, so it is counted here."""

import re

import jax
import numpy as np

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import lr_network
from sr_jax.runtime.profiling import CompileClock
from sr_jax.training import population, sharding

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
BATCH, PATCH = 4, 6
STORE = patches.make_store([make_pair("n", NOISE, 2)], PATCH)


def test_starting_and_training_compile_one_program_each():
  network = lr_network(features=3, depth=1)  # of no other test, or its programs would be there
  mesh = sharding.make_mesh(2, BATCH)
  members = sharding.shard_members(mesh, population.make_members([0, 1], [1e-3]))
  store = sharding.replicate(mesh, STORE)
  clock = CompileClock()
  state = population.initialise(network, "lr", members, mesh)
  assert clock.programs == 1
  train_steps = population.make_train_steps(network, BATCH, PATCH, mesh)
  nothing = losses = population.zero_losses(state)  # of a line's first dispatch and a later one
  for start, stop, steps in [(0, 3, 9), (3, 5, 9), (0, 1, 100)]:
    state, losses = train_steps(state, members, store, start, stop, steps, losses)
  state, _ = train_steps(state, members, store, 1, 2, 100, nothing)
  jax.block_until_ready(state)
  assert clock.programs == 2
  assert clock.seconds > 0


def test_a_training_program_is_what_a_cpu_runs_fast():
  network = lr_network(features=3, depth=1)
  mesh = sharding.make_mesh(2 * jax.device_count(), BATCH)  # two members a device
  who = population.make_members(range(2 * jax.device_count()), [1e-3])
  members = sharding.shard_members(mesh, who)
  state = population.initialise(network, "lr", members, mesh)
  train_steps = population.make_train_steps(network, BATCH, PATCH, mesh)
  lowered = train_steps.lower(state, members, STORE, 0, 9, 9)
  text = lowered.as_text(dialect="hlo")
  convolutions = [line for line in text.splitlines() if " convolution(" in line]
  # Forward: 3 layers and bicubic interpolation; back: 3 kernels, and 2 maps (not the image).
  assert len(convolutions) == 9
  for line in convolutions:
    assert "dim_labels=b01f_01io->b01f" in line  # any other takes 20 times as long in a loop
    assert "group_count" not in line  # what members become if they are batched
    assert "lhs_dilate" not in line
    assert "rhs_dilate" not in line
  # Nothing leaves the device or comes to it, and images are there in 8 bits.
  assert not re.search(r"infeed|outfeed|callback|host", text)
  assert f"u8[{STORE.targets.size}]" in text
  # Donated: the state that comes out lies where the one that went in was.
  assert all(leaf.donated for leaf in jax.tree.leaves(lowered.args_info[0][0]))
