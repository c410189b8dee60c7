"""A lower bound of the rank of a network's Jacobian that rounding errors cannot explain.

The outputs of a network for given images are a piecewise smooth function of its P parameters: as
these vary, they fill a set of dimension P at most. Where some n columns of the Jacobian of another
network are independent, at a point where it is smooth, its outputs fill a smooth surface of n
dimensions. So for n > P it computes functions that no network of P parameters does, whatever its
layers, and near the point almost all of its functions are such.

`jacobian.py` counts singular values above a tolerance. Here is shown that none is zero, with unit
roundoff u and gamma(k) = k u / (1 - k u):

1. The point is exact: parameters are the numbers of double precision that were drawn, and images
   are multiples of 2^-10. With ReLU it is smooth, as no hidden unit is at zero: every
   pre-activation is further from zero than the bound of its error.
2. `bounded_jacobian` bounds the error of every entry of the computed columns A. If the least
   singular value of A is above the Frobenius norm |E| of these bounds, the true columns are
   independent (Weyl's inequality).
3. Columns are scaled to norms near 1 by powers of two, which rounds nothing. Their computed Gram
   matrix G is off by at most gamma(rows) trace(G) in norm. If a Cholesky factorisation of G - c I
   in floating-point numbers succeeds, the least eigenvalue of G - c I is above
   -gamma(columns + 1) trace(G) or nearly so (Rump 2006, "Verification of positive definiteness",
   BIT 46); gamma(2 columns) is used, as libraries multiply by reciprocals.
4. So it is enough that the factorisation succeeds with
   c = 2 (|E|^2 + (gamma(rows) + gamma(2 columns)) trace(G)). The factor 2 has room for terms of
   second order, the rounding of G - c I and underflow.

Taken on trust: that arithmetic is IEEE's, that products of matrices are sums of products in some
order, and that `tanh` is as exact as `bounded_jacobian.TANH` says.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import LinAlgError, blas, cho_solve, cholesky

from sr_jax.capacity.bounded_jacobian import gamma, inputs_of, random_stack, rows_of_image
from sr_jax.networks import Network
from sr_jax.runtime import preemption

IMAGES, SIDE = 48, 8  # white ones, in LR pixels: 12,288 outputs at r = 2
LEVELS = 1024  # of gray, from 0 to 1
INFLATION = 1.01  # of |E|: bounds are rounded, too, but have no cancellation
POWER_STEPS = 16  # of inverse iteration


class Certificate(NamedTuple):
  """What was shown of columns of a Jacobian, which are scaled to norms near 1."""

  parameters: int  # of the network
  rows: int  # outputs, of all images
  columns: int  # parameters that were drawn
  rank: int  # at least: the columns, or 0 if nothing was shown
  smallest_singular_value: float | None  # estimated, if the factorisation succeeded
  needed: float  # the square root of c, which the smallest singular value must exceed
  derivative_error: float  # |E|
  clearance: float | None  # least |pre-activation| in bounds of its error; None at tanh

  @property
  def ratio(self) -> float:
    """The smallest singular value in multiples of what is needed; 0 if nothing was shown."""
    return (self.smallest_singular_value or 0.0) / self.needed if self.rank else 0.0


def certify(
  network: Network, columns: int, images: int = IMAGES, side: int = SIDE, seed: int = 0
) -> Certificate:
  """Tries to show that the Jacobian has so many independent columns at random parameters.

  Columns are drawn among the parameters that move an output of the first image. Takes memory for
  about one matrix of `columns` squared in double precision.

  Args:
    network: one of LR maps, or with untied phases: `random_stack` says which.
    columns: how many.
    images: how many random ones it is evaluated on.
    side: of an image, in LR pixels.
    seed: of parameters, images and columns.

  Raises:
    ValueError: the network is of another kind, or has too few parameters that move an output.
  """
  rng = np.random.default_rng(seed)
  grays = rng.integers(0, LEVELS, (images, 1, side, side, 1), endpoint=True) / LEVELS
  gram = np.zeros((columns, columns), order="F")
  squared_errors, clearances = np.zeros(columns), []
  with jax.enable_x64():
    stack, own = random_stack(network, seed)
    first = rows_of_image(stack, inputs_of(network, jnp.asarray(grays[0])))
    moves = np.asarray((first.values != 0).any(axis=0))
    drawn = _draw(rng, own[moves[own]], columns)
    for gray in grays:
      preemption.raise_if_requested()
      rows = rows_of_image(stack, inputs_of(network, jnp.asarray(gray)))
      values, errors = np.asarray(rows.values)[:, drawn], np.asarray(rows.errors)[:, drawn]
      squared_errors += (errors**2).sum(axis=0)
      clearances.append(float(rows.clearance))
      gram = blas.dsyrk(1.0, values.T, beta=1.0, c=gram, overwrite_c=1)  # the upper triangle
  scales = 2.0 ** -np.round(np.log2(gram.diagonal()) / 2)
  gram *= scales
  gram *= scales[:, None]
  error = INFLATION * float(np.sqrt(squared_errors @ scales**2))
  count, unit = images * network.phases * side**2, float(np.finfo(float).eps) / 2
  rounding = (gamma(count, unit) + gamma(2 * columns, unit)) * float(gram.trace())
  shift = 2 * (error**2 + rounding)
  smallest = _smallest_singular_value(gram, shift)
  clearance = min(clearances) if stack.activation == "relu" else None
  is_smooth = clearance is None or clearance > 1
  return Certificate(
    parameters=len(own),
    rows=count,
    columns=columns,
    rank=columns if smallest is not None and is_smooth else 0,
    smallest_singular_value=smallest,
    needed=float(np.sqrt(shift)),
    derivative_error=error,
    clearance=clearance,
  )


def _draw(
  rng: np.random.Generator, candidates: Int[np.ndarray, " n"], columns: int
) -> Int[np.ndarray, " columns"]:
  if len(candidates) < columns:
    raise ValueError(
      f"{len(candidates)} parameters move an output of the first image, fewer than {columns}"
    )
  return np.sort(rng.choice(candidates, columns, replace=False))


def _smallest_singular_value(gram: Float[np.ndarray, "n n"], shift: float) -> float | None:
  """The square root of the least eigenvalue, estimated; None if it is not above the shift.

  Reads the upper triangle, and overwrites it.
  """
  diagonal = np.arange(len(gram))
  gram[diagonal, diagonal] -= shift
  try:
    factor = cholesky(gram, overwrite_a=True, check_finite=False)
  except LinAlgError:
    return None
  if not (factor.diagonal() > 0).all():  # NaN, of which some libraries do not complain
    return None
  vector, eigenvalue = np.random.default_rng(0).standard_normal(len(gram)), 0.0
  for _ in range(POWER_STEPS):
    vector = cho_solve((factor, False), vector / np.linalg.norm(vector), check_finite=False)
    eigenvalue = 1 / float(np.linalg.norm(vector))
  return float(np.sqrt(eigenvalue + shift))
