"""What networks fit that is no photograph: random targets, and each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sr_jax.capacity.fitting import Shape, fit

SIDE = 4  # LR pixels of a noise patch to be memorised
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
ERROR = 0.1  # of the targets' variance: what counts as fitted
TEACHER_SIDE, BATCH = 12, 16  # LR pixels of white noise, and how many images a step


def memorise(
  network: Shape, seeds: int, rates: Sequence[float], steps: int
) -> dict[int, list[float]]:
  """Error left on M patches of white noise whose HR targets are white noise, for every M.

  Every step sees all M patches. The best of the rates counts, for every seed and M; as an optimiser
  found it, so that what is fitted is a lower bound of what could be.

  Returns:
    by M, the mean squared error of every seed, as a share of the targets' variance.
  """
  rng = np.random.default_rng(0)
  most, side = max(COUNTS), network.scale * SIDE
  x = rng.standard_normal((most, SIDE, SIDE, 1)).astype(np.float32)
  y = rng.standard_normal((most, side, side, 1)).astype(np.float32)

  def loss(params: Any, member: Any, step: Array, x: Array, y: Array) -> Float[Array, ""]:
    del step
    kept = (jnp.arange(most) < member["count"]).astype(x.dtype)
    output: Any = network.apply({"params": params}, x)
    error = jnp.mean((output - y) ** 2, axis=(1, 2, 3))
    return jnp.sum(kept * error) / jnp.sum(kept)

  cells = [(count, seed, rate) for count in COUNTS for seed in range(seeds) for rate in rates]
  counts, of_seed, of_rate = zip(*cells, strict=True)
  member = {"seed": np.array(of_seed, np.int32), "count": np.array(counts, np.int32)}
  errors = fit(network, loss, member, of_rate, steps, x, y)
  found: dict[int, list[float]] = {}
  for count in COUNTS:
    variance = float(np.mean(y[:count] ** 2))
    found[count] = [
      min(e for e, cell in zip(errors, cells, strict=True) if cell[:2] == (count, seed)) / variance
      for seed in range(seeds)
    ]
  return found


def largest_fitted(errors: Mapping[int, Sequence[float]], threshold: float = ERROR) -> int:
  """The largest M up to which the mean error over seeds stays within the threshold; 0 for none."""
  largest = 0
  for count in sorted(errors):
    if not np.mean(errors[count]) <= threshold:  # a NaN is not fitted either
      break
    largest = count
  return largest


def imitate(
  teacher: Shape, student: Shape, seeds: int, rates: Sequence[float], steps: int
) -> list[float]:
  """Error of a student trained on what a random teacher makes of fresh white noise.

  Teachers have random weights and biases; what they put out is shifted and scaled to mean 0 and
  variance 1. The best of the rates counts.

  Returns:
    for every seed, mean squared error on a batch never seen, in dB below the teacher's variance.
  """

  def taught(weights: Any, shift: Array, spread: Array, x: Array) -> Array:
    output: Any = teacher.apply({"params": weights}, x)
    return (output - shift) / spread

  def draw(seed: Int[Array, ""]) -> tuple[Any, Array, Array]:
    key = jax.random.key(1000 + seed)
    x = jax.random.normal(jax.random.fold_in(key, 0), (4 * BATCH, TEACHER_SIDE, TEACHER_SIDE, 1))
    params = teacher.init(jax.random.fold_in(key, 1), x)["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.fold_in(key, 2), len(leaves))
    moved = [
      leaf + 0.1 * jax.random.normal(k, leaf.shape) * (leaf.ndim == 1)
      for k, leaf in zip(keys, leaves, strict=True)
    ]
    weights = jax.tree.unflatten(tree, moved)
    y: Any = teacher.apply({"params": weights}, x)
    return weights, jnp.mean(y), jnp.std(y)

  cells = [(seed, rate) for seed in range(seeds) for rate in rates]
  of_seed = np.array([seed for seed, _ in cells], np.int32)
  teachers = jax.tree.map(np.asarray, jax.jit(jax.vmap(draw))(of_seed))

  def loss(params: Any, member: Any, step: Array) -> Float[Array, ""]:
    key = jax.random.fold_in(jax.random.key(member["seed"]), step)
    x = jax.random.normal(key, (BATCH, TEACHER_SIDE, TEACHER_SIDE, 1))
    output: Any = student.apply({"params": params}, x)
    weights, shift, spread = member["teacher"]
    return jnp.mean((output - taught(weights, shift, spread, x)) ** 2)

  member = {"seed": of_seed, "teacher": teachers}
  errors = fit(student, loss, member, [rate for _, rate in cells], steps)
  return [
    float(-10 * np.log10(min(e for e, cell in zip(errors, cells, strict=True) if cell[0] == seed)))
    for seed in range(seeds)
  ]
