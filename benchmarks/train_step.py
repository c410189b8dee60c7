"""What the training loop costs beside a bare step: `python benchmarks/train_step.py`.

Compares, on the default recipe (scale 2, 17x17 patches, batch 16), one member trained by this
project's loop (patches cut from resident photographs, schedule, all steps in one program) with a
bare jitted step on one fixed batch. The two take turns; medians and their ratio are printed.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.common import Arguments
from sr_jax.comparison.recipe import Recipe
from sr_jax.data import patches, sources
from sr_jax.data.pairs import Layout
from sr_jax.networks import Network, hr_network, lr_network, upscale
from sr_jax.runtime.command_line import run
from sr_jax.runtime.console import log, table
from sr_jax.training import population
from sr_jax.training.sharding import make_mesh, replicate

ROUNDS, STEPS = 15, 40


def compare(network: Network, recipe: Recipe, store: patches.Store) -> tuple[float, float]:
  """Median seconds of a step in the loop and of a bare step."""
  mesh = make_mesh(1, recipe.batch)
  members = replicate(mesh, population.make_members([0], [1e-3]))
  state = population.initialise(network, "arm", members, mesh)
  train_steps = population.make_train_steps(network, recipe.batch, recipe.patch, mesh)
  resident = replicate(mesh, store)

  params = jax.tree.map(lambda x: jnp.asarray(x[0]), state.params)
  optimizer = population.make_optimizer(network, 1e-3)
  opt_state = optimizer.init(params)
  crops = patches.draw(store, jax.random.key(0), recipe.batch)
  lr, hr = patches.cut(store, crops, recipe.patch, Layout(recipe.scale))

  def loss(params, lr, hr):  # type: ignore[no-untyped-def]
    return jnp.mean((upscale(network, params, lr) - hr) ** 2)

  def step(params, opt_state, lr, hr):  # type: ignore[no-untyped-def]
    gradient = jax.grad(loss)(params, lr, hr)
    updates, opt_state = optimizer.update(gradient, opt_state)
    return optax.apply_updates(params, updates), opt_state

  bare = jax.jit(step, donate_argnums=(0, 1))
  seconds: dict[str, list[float]] = {"loop": [], "bare": []}
  for _ in range(ROUNDS + 1):
    began = time.perf_counter()
    state, _ = jax.block_until_ready(train_steps(state, members, resident, 0, STEPS, 10_000))
    seconds["loop"].append((time.perf_counter() - began) / STEPS)
    began = time.perf_counter()
    for _ in range(STEPS):
      params, opt_state = bare(params, opt_state, lr, hr)
    jax.block_until_ready(params)
    seconds["bare"].append((time.perf_counter() - began) / STEPS)
  return float(np.median(seconds["loop"][1:])), float(np.median(seconds["bare"][1:]))


def main(arguments: Arguments) -> None:
  """Compares both networks and prints a row for each."""
  recipe = Recipe()
  photos = sources.load(recipe.data, recipe.scale, recipe.patch)
  store = jax.tree.map(jnp.asarray, patches.make_store(photos.train, recipe.patch))
  rows, seconds = [["network", "loop (ms)", "bare step (ms)", "throughput of the loop"]], {}
  for name, network in (("LR 32 maps 3x3", lr_network()), ("HR 8 maps 6x6", hr_network())):
    loop, bare = compare(network, recipe, store)
    seconds[name] = {"loop": loop, "bare": bare}
    rows.append([name, f"{1e3 * loop:.2f}", f"{1e3 * bare:.2f}", f"{bare / loop:.3f} x bare"])
  log(table(rows))
  arguments.write("train_step", seconds=seconds)


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
