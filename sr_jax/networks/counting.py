"""What any network costs and depends on, from the function alone, whatever it is written in.

Costs are counted in the function's jaxpr, the program that JAX traces it to, which compiles and
executes nothing. `networks/budget.py` has the same numbers in closed form, for the family.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params, primitives
from jax.interpreters.partial_eval import dce_jaxpr

from sr_jax.config import InputError
from sr_jax.operators.conv import DEFAULT, computing


@dataclasses.dataclass(frozen=True)
class Count:
  """The work of a function for arguments of certain shapes.

  Attributes:
    macs: multiply-accumulates of convolutions and matrix products, learned or not.
    activations: values that these write.
    uncounted: names of operations whose products are not in `macs`, sorted.
  """

  macs: int
  activations: int
  uncounted: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class PixelCount:
  """The work of a network per HR pixel of an infinite image; fields as of `Count`."""

  macs: Fraction
  activations: Fraction
  uncounted: tuple[str, ...]


NOTHING = Count(0, 0, ())

# Functions called once: what is inside is counted.
CALLS = {
  primitives.call_p,
  primitives.closed_call_p,
  primitives.custom_jvp_call_p,
  primitives.custom_vjp_call_p,
  primitives.jit_p,
  primitives.remat_p,
}

# What `jax.lax` offers beside convolutions and products is elementwise, a reduction, or moves data,
# except the operations below. One that is neither there nor here, such as a kernel of Pallas, a
# call of other code or a factorisation, may hide products.
FREE = {getattr(lax, name) for name in dir(lax) if name.endswith("_p")} - {
  lax.cond_p,
  lax.fft_p,
  lax.scan_p,
  lax.while_p,
  primitives.linear_solve_p,
}
FREE_NAMES = {
  "debug_callback",
  "debug_print",
  "name",
  "platform_index",
  "psum_invariant",
  "pvary",
  "random_bits",
  "random_fold_in",
  "random_seed",
  "random_split",
  "random_unwrap",
  "random_wrap",
  "threefry2x32",
}


def count(function: Callable, *arguments: Any) -> Count:
  """Counts the multiply-accumulates of a function without compiling or executing it.

  A tap of a convolution counts wherever it is, on zero padding too, as on an infinite image; but of
  a transposed convolution (`lhs_dilation`) only taps on data do, not those on inserted zeros. The
  body of a `scan` counts as often as it runs, and of a `cond` the branch with the most MACs does.
  The trip count of a `while` is unknown: if it does products it is in `uncounted`, and they are not
  in `macs`. What is elementwise or a reduction has no MACs, nor has work whose result is not used.
  Convolutions of this package count in their default form.

  Args:
    function: of arrays, or of trees of them.
    *arguments: its arguments, arrays or `jax.ShapeDtypeStruct`.
  """
  return _traced(function, *arguments)[0]


def _traced(function: Callable, *arguments: Any) -> tuple[Count, Any]:
  """What `count` returns, and the shapes of the function's results."""
  with computing(DEFAULT):
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
  jaxpr, _ = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
  return _of_jaxpr(jaxpr), shapes


def _of_jaxpr(jaxpr: Jaxpr) -> Count:
  return _total(_of_equation(equation) for equation in jaxpr.eqns)


def _total(counts: Iterable[Count], times: int = 1) -> Count:
  counts = list(counts)
  return Count(
    times * sum(each.macs for each in counts),
    times * sum(each.activations for each in counts),
    tuple(sorted({name for each in counts for name in each.uncounted})),
  )


def _of_equation(equation: JaxprEqn) -> Count:
  """Counts an operation with all that is inside it."""
  primitive = equation.primitive
  if primitive is lax.conv_general_dilated_p:
    return _of_convolution(equation)
  if primitive is lax.dot_general_p:
    (contracted, _), _ = equation.params["dimension_numbers"]
    lhs, outputs = _shape(equation.invars[0]), math.prod(_shape(equation.outvars[0]))
    return Count(outputs * math.prod(lhs[axis] for axis in contracted), outputs, ())
  if primitive in FREE or primitive.name in FREE_NAMES:
    return NOTHING
  bodies = [_of_jaxpr(body) for body in jaxprs_in_params(equation.params)]
  if primitive is lax.cond_p:
    largest = max(bodies, key=lambda body: (body.macs, body.activations))
    return dataclasses.replace(largest, uncounted=_total(bodies).uncounted)
  if primitive is lax.scan_p or primitive in CALLS:
    return _total(bodies, equation.params.get("length", 1))
  is_free = primitive is lax.while_p and _total(bodies) == NOTHING
  return NOTHING if is_free else Count(0, 0, (primitive.name,))


def _shape(variable: Any) -> tuple[int, ...]:
  return tuple(variable.aval.shape)


def _of_convolution(equation: JaxprEqn) -> Count:
  """Counts a convolution with any strides, dilations and groups."""
  parameters, outputs = equation.params, _shape(equation.outvars[0])
  kernel = _shape(equation.invars[1])
  _, rhs, out = parameters["dimension_numbers"]
  # The kernel has the inputs of one group and the outputs of all, of channels or of the batch.
  macs = outputs[out[0]] * kernel[rhs[0]] * kernel[rhs[1]]
  axes = zip(
    (outputs[axis] for axis in out[2:]),
    (kernel[axis] for axis in rhs[2:]),
    parameters["window_strides"],
    parameters["padding"],
    parameters["lhs_dilation"],
    parameters["rhs_dilation"],
    strict=True,
  )
  for length, taps, stride, (low, _), spacing, dilation in axes:
    positions = np.arange(length)[:, None] * stride - low + np.arange(taps) * dilation
    macs *= int(np.sum(positions % spacing == 0))  # on data, not on zeros inserted between them
  return Count(macs, math.prod(outputs), ())


# Multiples of what networks usually divide images into: windows of attention, levels of a pyramid.
SIDES = (96, 192, 288, 384)


def per_hr_pixel(function: Callable, *arguments: Any) -> PixelCount:
  """Counts the work of a network per HR pixel of an infinite image.

  Of square images with sides in arithmetic progression, second differences keep what is
  proportional to pixels, and drop what is proportional to the border, as of convolutions without
  padding, or constant, as the products of channel attention on pooled vectors.

  Args:
    function: of `arguments` and, last, an LR image `(1, h, w, 1)`; returns the HR image.
    *arguments: as of `count`.

  Raises:
    InputError: the work is not linear in pixels, so that it is no number per pixel.
  """
  counts, pixels = [], []
  for side in SIDES:
    image = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    total, hr = _traced(function, *arguments, image)
    counts.append(total)
    pixels.append(hr.shape[1] * hr.shape[2])
  macs = _ratios([total.macs for total in counts], pixels)
  activations = _ratios([total.activations for total in counts], pixels)
  if len({*macs}) > 1 or len({*activations}) > 1:
    raise InputError(
      f"the network's MACs are not linear in pixels: {float(macs[0]):g} per HR pixel of images "
      f"around {SIDES[1]}x{SIDES[1]}, {float(macs[1]):g} around {SIDES[2]}x{SIDES[2]}; attention "
      "over the whole image and jax.image.resize (a dense product with it) are not: use windows, "
      "and sr_jax.operators.resize.upscale_bicubic"
    )
  return PixelCount(macs[0], activations[0], total.uncounted)


def _ratios(work: Sequence[int], pixels: Sequence[int]) -> list[Fraction]:
  """Second differences of work over those of pixels."""
  pairs = zip(np.diff(work, 2), np.diff(pixels, 2), strict=True)
  return [Fraction(int(operations), int(area)) for operations, area in pairs]


# LR pixels along the axis of which the support is computed, and across it.
LENGTHS = (64, 128, 256)
WIDTH = 32

# How parameters are drawn. With positive kernels no ReLU dies; with small ones neither tanh nor
# clipping is flat; with signed ones gradients shrink least, at the edge of the window of n layers
# of 3x3 as 3^(-n / 2), so that float32 is enough for 150 layers.
DRAWS = tuple(itertools.product((1.0, 0.3, 0.1), ("positive", "signed")))


def receptive_windows(
  function: Callable, scale: int, *arguments: Any
) -> list[tuple[int, int]] | None:
  """The first and last LR pixel, counted from its own, that HR pixels of each phase depend on.

  An HR pixel depends on the LR pixels with a gradient that is not zero, for some of a few draws of
  the image and of the floating-point `arguments`: their own values could hide what a dead ReLU, or
  a layer that is zero at the start, may learn to use. It is in the middle of an image that grows
  until its windows end within it. A window holds those of both axes. Networks that are not
  shift-invariant (attention in windows) have others elsewhere. Takes a second or two on a CPU.

  Args:
    function: of `arguments` and, last, an LR image `(1, h, w, 1)`; returns the HR image, or its
      middle (without padding).
    scale: HR pixels per LR pixel and axis.
    *arguments: arrays or `jax.ShapeDtypeStruct`; those not of floating point must be arrays.

  Returns:
    A window for each of the `scale` phases of an axis, as `budget.lr_windows`, or None if an HR
    pixel depends on the whole image, or on about as many pixels as
    LENGTHS[-1].

  Raises:
    InputError: some HR pixel depends on no LR pixel, in any draw.
  """

  def transposed(*arguments: Any) -> Any:
    *rest, image = arguments
    return function(*rest, image.swapaxes(1, 2)).swapaxes(1, 2)

  with computing(DEFAULT), jax.default_device(_cpu()):
    for length in LENGTHS:
      rows = _row_windows(function, scale, arguments, length)
      columns = rows and _row_windows(transposed, scale, arguments, length)
      if rows and columns:
        pairs = zip(rows, columns, strict=True)
        return [(min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs]
  return None


def _cpu() -> jax.Device | None:
  """A CPU, where gradients are exactly zero off the window; None where JAX was told to have none.

  Convolutions of GPUs by Fourier or Winograd transforms leave rounding errors there.
  """
  try:
    return jax.local_devices(backend="cpu")[0]
  except RuntimeError:
    return None


def _row_windows(
  function: Callable, scale: int, arguments: tuple, length: int
) -> list[tuple[int, int]] | None:
  """A window of rows for each phase, or None if one reaches the border of `length` rows."""
  shape = (1, length, WIDTH, 1)
  hr = jax.eval_shape(function, *arguments, jax.ShapeDtypeStruct(shape, jnp.float32))
  row, column = (pixels // scale // 2 for pixels in hr.shape[1:3])
  margin = (length - hr.shape[1] // scale) // 2

  @jax.jit
  def support(arguments: tuple, image: Any, weights: Any) -> tuple[Any, Any]:
    """Whether each phase depends on each row of the image; whether all gradients are finite."""
    y, transpose = jax.vjp(lambda image: function(*arguments, image), image)
    phases, columns = np.arange(scale), slice(scale * column, scale * (column + 1))
    pixels = jnp.zeros((scale, *y.shape[1:]), y.dtype)
    pixels = pixels.at[phases, scale * row + phases, columns].set(weights.astype(y.dtype))
    gradients = jax.vmap(lambda dy: transpose(dy[None])[0])(pixels)
    return (gradients != 0).any((1, 3, 4)), jnp.isfinite(gradients).all()

  rng, depends = np.random.default_rng(0), np.zeros((scale, length), bool)
  for size, signs in DRAWS:
    drawn = jax.tree.map(functools.partial(draw, rng, size, signs), arguments)
    image = jnp.asarray(rng.uniform(size=shape), jnp.float32)
    seen, is_finite = support(drawn, image, rng.uniform(0.5, 1.5, (scale, scale, 1)))
    depends |= np.asarray(seen) & bool(is_finite)
    if depends[:, [0, -1]].any():
      return None
  if not depends.any(1).all():
    raise InputError(
      "some HR pixel depends on no LR pixel, whatever the parameters: the network must return an "
      "HR image that is differentiable in its LR image"
    )
  windows = [np.flatnonzero(rows) - row - margin for rows in depends]
  return [(int(window[0]), int(window[-1])) for window in windows]


def draw(rng: np.random.Generator, size: float, signs: str, leaf: Any) -> Any:
  """Random values for a parameter of floating point; vectors, as variances, stay positive."""
  if not jnp.issubdtype(leaf.dtype, jnp.floating):
    return leaf
  values = size * rng.uniform(0.5, 1.5, leaf.shape)
  if len(leaf.shape) > 1:
    fan_in = np.prod(leaf.shape[:-1])
    is_signed = signs == "signed"
    values *= rng.choice([-1, 1], leaf.shape) * np.sqrt(2 / fan_in) if is_signed else 1 / fan_in
  return jnp.asarray(values, leaf.dtype)
