"""The native convolution (native/conv.cc) as operations of JAX, with bias and ReLU in one.

A `custom_vjp` would lose forward mode, so these are primitives. Values and the gradients of reverse
mode are computed natively on CPU, in loops as fast as outside. All else, tangents, second
derivatives and other platforms, is XLA's plain convolution. Where that gives infinity, the native
one may give NaN.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float32

from sr_jax.operators.native import library

Padding = tuple[tuple[int, int], ...]


def native_conv(
  x: Float32[Array, "b *space c"],
  kernel: Float32[Array, "*kernel i o"],
  padding: Padding,
  bias: Float32[Array, " o"] | None = None,
  relu: bool = False,
) -> Float32[Array, "b *out o"]:
  """`conv` of 1 to 3 spatial axes, plus a bias, and ReLU of it, on one core.

  Raises:
    UnavailableError: the native convolution cannot be compiled here; raised when it is lowered.
  """
  bias = jnp.zeros(0, jnp.float32) if bias is None else bias  # without elements: none
  return conv_p.bind(*_varying_alike(x, kernel, bias), padding=padding, relu=relu)


@functools.cache
def register() -> None:
  """Compiles and loads the library, and makes it known to XLA.

  Raises:
    UnavailableError: there is none here; the message is the reason.
  """
  native = library.load()
  for name in ("sr_jax_conv", "sr_jax_conv_gradient"):
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(native, name)), platform="cpu")


def _varying_alike(*arrays: Array) -> list[Array]:
  """Arrays that vary over the same axes of a mesh inside `shard_map`, as operands have to.

  XLA's operations see to it of themselves, and so does this sum, in which zero is added.
  """
  zero = sum(lax.stop_gradient(x.ravel()[:0].sum()) for x in arrays)
  return [x + zero for x in arrays]


# The same in XLA's operations, for whatever the library does not compute.


def _plain(x: Array, kernel: Array, padding: Padding) -> Array:
  space = "DHW"[-len(padding) :]
  return lax.conv_general_dilated(
    x,
    kernel,
    (1,) * len(padding),
    padding,
    dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    precision=lax.Precision.HIGHEST,
  )


def _masked(dy: Array, y: Array, relu: bool) -> Array:
  return jnp.where(y > 0, dy, 0) if relu else dy


def _add_bias(y: Array, bias: Array) -> Array:
  return y + bias.reshape((1,) * (y.ndim - 1) + (-1,)) if bias.size else y


def _plain_conv(x: Array, kernel: Array, bias: Array, *, padding: Padding, relu: bool) -> Array:
  y = _add_bias(_plain(x, kernel, padding), bias)
  return jax.nn.relu(y) if relu else y


def _plain_tangent(
  x: Array,
  kernel: Array,
  y: Array,
  *tangents: Array,
  padding: Padding,
  relu: bool,
  wanted: Sequence,
) -> Array:
  """The tangent of y for tangents of those of (x, kernel, bias) that are `wanted`."""
  given = iter(tangents)
  dx, dkernel, dbias = (next(given) if has else None for has in wanted)
  dy = jnp.zeros_like(y)
  if dx is not None:
    dy += _plain(dx, kernel, padding)
  if dkernel is not None:
    dy += _plain(x, dkernel, padding)
  if dbias is not None:
    dy = _add_bias(dy, dbias)
  return _masked(dy, y, relu)


def _plain_gradient(
  x: Array, kernel: Array, y: Array, dy: Array, *, padding: Padding, relu: bool, wanted: Sequence
) -> list[Array]:
  dy = _masked(dy, y, relu)
  dx, dkernel = jax.vjp(lambda x, kernel: _plain(x, kernel, padding), x, kernel)[1](dy)
  results = dx, dkernel, dy.sum(tuple(range(dy.ndim - 1)))
  return [result for result, is_wanted in zip(results, wanted, strict=True) if is_wanted]


# What the library computes.


def _native_conv(x: Array, kernel: Array, bias: Array, *, padding: Padding, relu: bool) -> Array:
  (y,) = _call("sr_jax_conv", (x, kernel, bias), [_output(x, kernel, padding)], padding, relu=relu)
  return y


def _native_gradient(
  x: Array, kernel: Array, y: Array, dy: Array, *, padding: Padding, relu: bool, wanted: Sequence
) -> list[Array]:
  shapes = x.shape, kernel.shape, kernel.shape[-1:]
  made = [shape if is_wanted else (0,) for shape, is_wanted in zip(shapes, wanted, strict=True)]
  y = y if relu else y.ravel()[:0]
  results = _call("sr_jax_conv_gradient", (x, kernel, y, dy), made, padding)
  return [result for result, is_wanted in zip(results, wanted, strict=True) if is_wanted]


def _call(
  target: str, arrays: Sequence[Array], shapes: Sequence, padding: Padding, **attributes: Any
) -> Sequence[Array]:
  register()
  results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  lows = np.array([low for low, _ in padding], np.int64)
  call = jax.ffi.ffi_call(target, results)
  return call(*arrays, low=lows, **attributes)


def _output(x: Any, kernel: Any, padding: Padding) -> tuple[int, ...]:
  """The shape of a convolution's result."""
  axes = zip(x.shape[1:-1], kernel.shape[:-2], padding, strict=True)
  space = (max(0, n + low + high - k + 1) for n, k, (low, high) in axes)
  return (x.shape[0], *space, kernel.shape[-1])


# The primitives: y, its tangent (which is linear in all but the first three), and gradients.


def _primitive(
  name: str, plain: Callable, native: Callable | None, shape: Callable, several: bool = False
) -> Primitive:
  """A primitive that is `native` on CPU, and has the derivatives of `plain`."""
  primitive = Primitive(f"sr_jax_{name}")
  primitive.multiple_results = several

  @functools.partial(jax.jit, static_argnames="parameters")
  def run(*arrays: Array, parameters: tuple) -> Any:
    return primitive.bind(*arrays, **dict(parameters))

  def batch(arrays: Sequence[Array], axes: Sequence[int | None], **parameters: Any) -> Any:
    def call(mapped: Sequence[Array]) -> Any:
      rest = iter(mapped)
      pairs = zip(arrays, axes, strict=True)
      return primitive.bind(*(x if a is None else next(rest) for x, a in pairs), **parameters)

    pairs = zip(arrays, axes, strict=True)
    results = lax.map(call, [jnp.moveaxis(x, a, 0) for x, a in pairs if a is not None])
    return results, ([0] * len(results) if several else 0)

  def differentiate(primals: Sequence, tangents: Sequence, **parameters: Any) -> Any:
    tangents = [ad.instantiate_zeros(tangent) for tangent in tangents]
    function = functools.partial(plain, **parameters)
    return jax.jvp(function, tuple(primals), tuple(tangents))

  primitive.def_impl(lambda *arrays, **kw: run(*arrays, parameters=tuple(kw.items())))
  primitive.def_abstract_eval(shape)
  batching.primitive_batchers[primitive] = batch
  ad.primitive_jvps[primitive] = differentiate
  mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=several))
  if native:
    lowering = mlir.lower_fun(native, multiple_results=several)
    mlir.register_lowering(primitive, lowering, platform="cpu")
  return primitive


def _conv_shape(x: Any, kernel: Any, bias: Any, *, padding: Padding, relu: bool) -> Any:
  return x.update(shape=_output(x, kernel, padding))


def _tangent_shape(x: Any, kernel: Any, y: Any, *tangents: Any, **parameters: Any) -> Any:
  return y


def _gradient_shape(
  x: Any, kernel: Any, y: Any, dy: Any, *, wanted: Sequence, **parameters: Any
) -> Any:
  results = x, kernel, kernel.update(shape=kernel.shape[-1:])
  return [result for result, is_wanted in zip(results, wanted, strict=True) if is_wanted]


conv_p = _primitive("conv", _plain_conv, _native_conv, _conv_shape)
tangent_p = _primitive("conv_tangent", _plain_tangent, None, _tangent_shape)
gradient_p = _primitive("conv_gradient", _plain_gradient, _native_gradient, _gradient_shape, True)


def _differentiate_conv(primals: Sequence, tangents: Sequence, **parameters: Any) -> Any:
  x, kernel, _ = primals
  y = conv_p.bind(*primals, **parameters)
  wanted = tuple(not isinstance(tangent, ad.Zero) for tangent in tangents)
  given = [tangent for tangent, has in zip(tangents, wanted, strict=True) if has]
  return y, tangent_p.bind(x, kernel, y, *given, **parameters, wanted=wanted)


def _transpose_tangent(
  dy: Any, x: Array, kernel: Array, y: Array, *_: Any, **parameters: Any
) -> Any:
  if isinstance(dy, ad.Zero):
    return [None] * (3 + sum(parameters["wanted"]))
  gradients = gradient_p.bind(x, kernel, y, dy, **parameters)
  return [None, None, None, *gradients]


ad.primitive_jvps[conv_p] = _differentiate_conv
ad.primitive_transposes[tangent_p] = _transpose_tangent
