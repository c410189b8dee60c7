"""What networks fit besides photographs: random targets, and each other."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sr_jax.capacity.fitting import train_on_loss
from sr_jax.networks import Network
from sr_jax.training.population import make_members

SIDE = 4  # LR pixels of a noise patch to be memorised
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
ERROR = 0.1  # of the targets' variance: what counts as fitted
TEACHER_SIDE, BATCH = 12, 16  # LR pixels of white noise, and images in a step


class Learners(NamedTuple):
  """`Members`, and their source: a count of patches, or a teacher's weights, mean and deviation."""

  seed: Any
  learning_rate: Any
  source: Any


def memorise(
  network: Network, seeds: int, rates: Sequence[float], steps: int
) -> dict[int, list[float]]:
  """Error left on M patches of white noise whose HR targets are white noise, for every M.

  Every step sees all M patches. The best of the rates counts, for every seed and M. Since an
  optimiser found it, what is fitted is a lower bound of what could be. Returns by M the mean
  squared error of every seed, as a share of the targets' variance.
  """
  rng = np.random.default_rng(0)
  patches, side = max(COUNTS), network.scale * SIDE
  x = rng.standard_normal((patches, SIDE, SIDE, 1)).astype(np.float32)
  y = rng.standard_normal((patches, side, side, 1)).astype(np.float32)

  def loss(params: Any, member: Learners, step: Array, data: Any) -> Float[Array, ""]:
    del step
    x, y = data
    kept = (jnp.arange(patches) < member.source).astype(x.dtype)
    output: Any = network.apply({"params": params}, x)
    error = jnp.mean((output - y) ** 2, axis=(1, 2, 3))
    return jnp.sum(kept * error) / jnp.sum(kept)

  seed, rate = (np.tile(field, len(COUNTS)) for field in make_members(range(seeds), rates))
  counts = np.repeat(np.array(COUNTS, np.int32), seeds * len(rates))
  losses = train_on_loss(network, loss, Learners(seed, rate, counts), steps, (x, y))
  errors = _of_best_rate(losses, (len(COUNTS), seeds, len(rates)))
  return {
    count: (error / float(np.mean(y[:count] ** 2))).tolist()
    for count, error in zip(COUNTS, errors, strict=True)
  }


def _of_best_rate(losses: Sequence[float], shape: tuple[int, ...]) -> np.ndarray:
  """The least loss along the last axis of `shape`; NaN only where all are."""
  return np.fmin.reduce(np.reshape(losses, shape), axis=-1)


def largest_fitted(errors: Mapping[int, Sequence[float]]) -> int:
  """The largest M up to which the mean error over seeds is at most `ERROR`; 0 for none."""
  fitted = itertools.takewhile(lambda count: np.mean(errors[count]) <= ERROR, sorted(errors))
  return max(fitted, default=0)  # a NaN is not fitted either


def imitate(
  teacher: Network, student: Network, seeds: int, rates: Sequence[float], steps: int
) -> list[float]:
  """Error of a student trained on the outputs of a random teacher for fresh white noise.

  Teachers have random weights and biases; their outputs are shifted and scaled to mean 0 and
  variance 1. The best of the rates counts. Returns for every seed the mean squared error on a batch
  never seen, in dB below the teacher's variance.
  """

  def draw_teacher(seed: Int[Array, ""]) -> tuple[Any, Array, Array]:
    key = jax.random.key(1000 + seed)
    x = jax.random.normal(jax.random.fold_in(key, 0), (4 * BATCH, TEACHER_SIDE, TEACHER_SIDE, 1))
    leaves, tree = jax.tree.flatten(teacher.init(jax.random.fold_in(key, 1), x)["params"])
    keys = jax.random.split(jax.random.fold_in(key, 2), len(leaves))
    moved = [
      leaf + 0.1 * jax.random.normal(k, leaf.shape) * (leaf.ndim == 1)
      for k, leaf in zip(keys, leaves, strict=True)
    ]
    weights = jax.tree.unflatten(tree, moved)
    y: Any = teacher.apply({"params": weights}, x)
    return weights, jnp.mean(y), jnp.std(y)

  def loss(params: Any, member: Learners, step: Array, data: None) -> Float[Array, ""]:
    del data
    key = jax.random.fold_in(jax.random.key(member.seed), step)
    x = jax.random.normal(key, (BATCH, TEACHER_SIDE, TEACHER_SIDE, 1))
    weights, shift, spread = member.source
    target: Any = teacher.apply({"params": weights}, x)
    output: Any = student.apply({"params": params}, x)
    return jnp.mean((output - (target - shift) / spread) ** 2)

  members = make_members(range(seeds), rates)
  teachers = jax.tree.map(np.asarray, jax.jit(jax.vmap(draw_teacher))(members.seed))
  losses = train_on_loss(student, loss, Learners(*members, teachers), steps)
  return [float(-10 * np.log10(error)) for error in _of_best_rate(losses, (seeds, len(rates)))]
