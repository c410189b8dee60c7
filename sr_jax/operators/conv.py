"""The convolution that every network here calls, with gradients that stay fast inside a loop.

XLA's CPU backend rewrites convolutions to its canonical layout in the entry computation only (jax
issue 12868): the two convolutions that autodiff derives run about 20 times slower inside `scan`,
`while_loop` or `lax.map`. The form "canonical" writes both in that layout from the start; "native"
does without XLA's convolution. The other two forms are for accelerators, where members are batched.
The faster form is measured.
"""

import contextlib
import contextvars
import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from sr_jax.operators.native_conv import Padding, native_conv

Layout = tuple[str, str, str]  # of x, kernel and y, without the names of the spatial axes
CANONICAL = ("N{}C", "{}IO", "N{}C")

# XLA:CPU's weight gradient of a batch of 64 patches of 32x32 takes twice as long as that of its
# sixteenths one after the other; its matrix products do best with about this many terms.
TERMS = 4700
FORMS = ("canonical", "native", "plain", "matrix_product")
PRECISIONS = ("float32", "tf32", "bfloat16")


class Computation(NamedTuple):
  """How convolutions are computed, which changes their results by rounding alone.

  Attributes:
    form: "canonical" (gradients written out, for CPU), "native" (in C++, for CPU and float32; else
      canonical), "plain" (XLA's own gradients; with bfloat16 written out, too, so that results are
      not rounded), or "matrix_product" (of all windows with the kernel; under `vmap` a batched
      product, where canonical and plain are grouped convolutions).
    precision: of products: "float32", "tf32" (on devices that have it), or "bfloat16", which rounds
      operands alone; sums and results are always float32.
  """

  form: str = "canonical"
  precision: str = "float32"


DEFAULT = Computation()
_ambient = contextvars.ContextVar("_ambient", default=DEFAULT)  # which is immutable


@contextlib.contextmanager
def computing(computation: Computation) -> Iterator[None]:
  """Sets how convolutions traced inside are computed; with jit, enter it in the traced function."""
  token = _ambient.set(computation)
  try:
    yield
  finally:
    _ambient.reset(token)


def current() -> Computation:
  """How convolutions are computed that are traced here, as `computing` set it."""
  return _ambient.get()


def in_float32() -> Computation:
  """The form that `computing` set, for what is exact whatever the precision of products is."""
  return current()._replace(precision="float32")


def same_padding(kernel_size: int, *, extra_at_start: bool = False) -> tuple[int, int]:
  """Zeros before and after an axis that keep its length; the odd one of even kernels is after."""
  smaller, larger = (kernel_size - 1) // 2, kernel_size // 2
  return (larger, smaller) if extra_at_start else (smaller, larger)


def conv(
  x: Float[Array, "b *space c"],
  kernel: Float[Array, "*kernel i o"],
  padding: Sequence,
  computation: Computation | None = None,
  *,
  bias: Float[Array, " p"] | None = None,
  relu: bool = False,
) -> Float[Array, "b *out o"]:
  """Correlates x with a kernel, stride 1, on 1 to 3 spatial axes, in full float32 by default.

  y[b, m, o] = sum over (a, i) of kernel[a, i, o] x[b, m + a - low, i], zero outside x, plus the
  bias, and no less than zero with `relu`. `computing` sets how, and `computation` overrides it.
  Differentiable in reverse mode, any number of times; in forward mode (`jax.jvp`) as "plain" and
  "native", which on CPU falls back to XLA there.
  """
  if x.ndim != kernel.ndim or len(padding) != x.ndim - 2:
    raise ValueError(
      f"conv: x {x.shape}, kernel {kernel.shape} and {len(padding)} padding pairs must all have "
      "the same number of spatial axes"
    )
  if x.shape[-1] != kernel.shape[-2]:
    raise ValueError(
      f"conv: kernel {kernel.shape} needs {kernel.shape[-2]} input channels, x {x.shape} has "
      f"{x.shape[-1]}"
    )
  if len(padding) > 3:
    raise ValueError(f"conv: at most 3 spatial axes, not {len(padding)}")
  computation = computation or current()
  if computation.form not in FORMS or computation.precision not in PRECISIONS:
    raise ValueError(f"conv: {computation} is none of {FORMS} in {PRECISIONS}")
  if bias is not None and bias.shape != kernel.shape[-1:]:
    raise ValueError(
      f"conv: kernel {kernel.shape} needs a bias {kernel.shape[-1:]}, not {bias.shape}"
    )
  pairs = tuple((int(low), int(high)) for low, high in padding)
  if computation.form == "native":
    dtypes = {array.dtype for array in (x, kernel, bias) if array is not None}
    if dtypes == {jnp.dtype("float32")} and computation.precision != "bfloat16":
      return native_conv(x, kernel, pairs, bias, relu)
    computation = computation._replace(form="canonical")
  if computation.form == "plain" and computation.precision != "bfloat16":
    y = _correlate(x, kernel, pairs, computation)
  else:
    y = _conv(x, kernel, pairs, computation)
  if bias is not None:
    y = y + bias.reshape((1,) * (y.ndim - 1) + (-1,))
  return jax.nn.relu(y) if relu else y


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: Array, kernel: Array, padding: Padding, computation: Computation) -> Array:
  if computation.form == "matrix_product":
    windows = _windows(x, kernel.shape[:-2], padding)
    y = _product(_rows(windows), _rows(kernel), computation)
    return y.reshape(*windows.shape[:-1], kernel.shape[-1])
  return _correlate(x, kernel, padding, computation)


def _backward(
  padding: Padding, computation: Computation, saved: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
  x, kernel = saved
  # dx: the kernel reversed, channels swapped, and the padding complementary to the forward one.
  mirrored = lax.rev(kernel, tuple(range(len(padding)))).swapaxes(-1, -2)
  dx = _conv(dy, mirrored, mirrored_padding(kernel.shape[:-2], padding), computation)
  if computation.form == "matrix_product":
    windows = _windows(x, kernel.shape[:-2], padding)
    return dx, _product(_rows(windows).T, _rows(dy), computation).reshape(kernel.shape)
  if computation.form == "plain":  # XLA's own gradient would round its results, too
    return dx, _correlate(x, dy, padding, computation, ("C{}N", "I{}O", "{}NC"))
  # The batch is summed over in parts, all equally large, unless channels are so few that XLA:CPU
  # does not take matrix products.
  parts, terms = 1, math.prod(dy.shape[:-1])
  while min(kernel.shape[-2:]) >= 16 and terms > parts * TERMS and len(x) % (2 * parts) == 0:
    parts *= 2
  pairs = zip(jnp.split(x, parts), jnp.split(dy, parts), strict=True)
  gradients = [_kernel_gradient(*pair, kernel.shape[:-2], padding, computation) for pair in pairs]
  return dx, functools.reduce(jnp.add, gradients)


_conv.defvjp(lambda x, kernel, *static: (_conv(x, kernel, *static), (x, kernel)), _backward)


def _kernel_gradient(
  x: Array, dy: Array, window: Sequence[int], padding: Padding, computation: Computation
) -> Array:
  """Correlates x with dy, or dy with x for the reversed kernel, with the batch as channels."""
  # The side with fewer channels becomes the batch: a convolution to few channels leaves a CPU's
  # vectors half empty.
  space = tuple(range(1, x.ndim - 1))
  to_batch, to_kernel = (x.ndim - 1, *space, 0), (*space, 0, x.ndim - 1)
  if dy.shape[-1] >= x.shape[-1]:
    gradient: Array = _conv(x.transpose(to_batch), dy.transpose(to_kernel), padding, computation)
    return gradient.transpose(to_kernel)
  full = mirrored_padding(window, padding)
  if x.shape[1:-1] != dy.shape[1:-1]:
    # A kernel larger than its image takes XLA:CPU 20 times as long.
    dy, full = _pad(dy, full), tuple((0, 0) for _ in full)
  gradient = _conv(dy.transpose(to_batch), x.transpose(to_kernel), full, computation)
  return lax.rev(gradient, space).transpose(*space, x.ndim - 1, 0)


def mirrored_padding(window: Sequence[int], padding: Padding) -> Padding:
  """The padding K - 1 - p of the correlation with the reversed kernel that transposes this one."""
  return tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, padding, strict=True))


def _correlate(
  x: Array, kernel: Array, padding: Padding, computation: Computation, layout: Layout = CANONICAL
) -> Array:
  lhs, rhs, out = (axes.format("DHW"[-len(padding) :]) for axes in layout)
  return lax.conv_general_dilated(
    *_operands(computation, x, kernel),
    window_strides=(1,) * len(padding),
    padding=padding,
    dimension_numbers=(lhs, rhs, out),
    precision=_precision(computation),
    preferred_element_type=x.dtype,
  )


def _windows(x: Array, window: Sequence[int], padding: Padding) -> Array:
  """`(batch, *out, taps * in)`: the inputs of each output pixel."""
  x = _pad(x, padding)
  for axis, size in enumerate(window, start=1):
    length = x.shape[axis] - size + 1
    shifts = [lax.slice_in_dim(x, a, a + length, axis=axis) for a in range(size)]
    x = jnp.stack(shifts, axis=-2)
    x = x.reshape(*x.shape[: len(window) + 1], math.prod(window[:axis]), x.shape[-1])
  return x.reshape(*x.shape[: len(window) + 1], math.prod(x.shape[len(window) + 1 :]))


def _pad(x: Array, padding: Padding) -> Array:
  sides = ((0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0))
  return lax.pad(x, jnp.zeros((), x.dtype), sides)


def _rows(x: Array) -> Array:
  return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _product(a: Array, b: Array, computation: Computation) -> Array:
  left, right = _operands(computation, a, b)
  return jnp.matmul(left, right, precision=_precision(computation), preferred_element_type=a.dtype)


def _operands(computation: Computation, a: Array, b: Array) -> tuple[Array, Array]:
  is_rounded = computation.precision == "bfloat16"
  return (a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)) if is_rounded else (a, b)


def _precision(computation: Computation) -> lax.Precision:
  return lax.Precision.HIGHEST if computation.precision == "float32" else lax.Precision.HIGH
