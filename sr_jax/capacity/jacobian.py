"""How many directions a network's function can move in: the rank of its parameter Jacobian.

The derivative of all outputs, on random images, with respect to all parameters. Its rank is the
dimension, at this point, of the set of functions that the network can compute, as far as these
images tell them apart: parameters that only rescale one another do not count twice.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from sr_jax.networks import Network
from sr_jax.operators.conv import Computation, computing

TOLERANCE = 1e-10  # of the largest singular value: below is rounding
IMAGES, SIDE = 8, 12  # white ones


class Rank(NamedTuple):
  """The rank of a Jacobian, from its singular values with columns scaled to norm 1.

  The effective rank is exp of the entropy of the singular values, taken as shares of their sum (Roy
  and Vetterli 2007): how many directions are moved in about equally.
  """

  parameters: int  # columns
  rank: int  # singular values above `TOLERANCE` times the largest
  effective_rank: float


def rank_of(network: Network, seed: int) -> Rank:
  """Rank of the Jacobian at random parameters, on white images, in double precision."""
  with jax.enable_x64():
    matrix = jacobian(network, seed)
  norms = np.linalg.norm(matrix, axis=0)
  values = np.linalg.svd(matrix[:, norms > 0] / norms[norms > 0], compute_uv=False)
  shares = values / values.sum()
  shares = shares[shares > 0]
  effective_rank = float(np.exp(-(shares * np.log(shares)).sum()))
  return Rank(matrix.shape[1], int((values > TOLERANCE * values[0]).sum()), effective_rank)


def jacobian(network: Network, seed: int) -> Float[np.ndarray, "outputs parameters"]:
  """The derivative of every output pixel with respect to every parameter.

  Biases are drawn as well, so that no unit is at the special point that networks start from.
  """
  weights, biases, images = jax.random.split(jax.random.key(seed), 3)
  x = jax.random.normal(images, (IMAGES, SIDE, SIDE, 1))
  params = jax.jit(network.init)(weights, x)["params"]
  flat, unravel = ravel_pytree(params)
  flat = flat.astype(x.dtype) + 0.1 * jax.random.normal(biases, flat.shape, x.dtype)

  def outputs(flat: jax.Array) -> jax.Array:
    with computing(Computation("plain")):  # the form that has a forward mode
      y: Any = network.apply({"params": unravel(flat)}, x)
    return y.reshape(-1)

  @jax.jit
  def columns(flat: jax.Array) -> jax.Array:
    _, forward = jax.linearize(outputs, flat)
    return jax.lax.map(forward, jnp.eye(flat.size, dtype=flat.dtype))

  return np.asarray(columns(flat)).T
