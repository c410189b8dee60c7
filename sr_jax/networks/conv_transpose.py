"""Flax's `ConvTranspose`, with gradients that are several times faster on CPU."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import numpy as jnp
from jaxtyping import Array, Float, Shaped

from sr_jax.operators.transpose import conv_transpose


class ConvTranspose(nn.ConvTranspose):
  """`flax.linen.ConvTranspose` by `conv_transpose`: the same fields, parameters and outputs.

  A checkpoint of the one is a checkpoint of the other, and initial values are equal. For forward
  mode (`jax.jvp`) use `flax.linen.ConvTranspose`.
  """

  # Flax's fields, annotated as it uses them.
  strides: int | Sequence[int] | None = None  # type: ignore[assignment]
  kernel_dilation: int | Sequence[int] | None = None  # type: ignore[assignment]
  promote_dtype: Callable[..., Any] = promote_dtype

  @nn.compact
  def __call__(self, inputs: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """Applies the layer to `(*batch, *space, in)`, with any number of batch axes."""
    sizes = (self.kernel_size,) if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
    strides, dilation = (
      (1 if number is None else number,) * len(sizes)
      if isinstance(number, int | None)
      else tuple(number)
      for number in (self.strides, self.kernel_dilation)
    )
    batch = inputs.shape[: -len(sizes) - 1]
    x = inputs.reshape(-1, *inputs.shape[len(batch) :])
    channels = (x.shape[-1], self.features)
    shape = (*sizes, *(reversed(channels) if self.transpose_kernel else channels))
    if self.mask is not None and self.mask.shape != shape:
      raise ValueError(f"mask {self.mask.shape} must have the shape of the kernel, {shape}")
    kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
    if self.mask is not None:
      kernel *= self.mask
    bias = None
    if self.use_bias:
      bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
    x, kernel, bias = self.promote_dtype(x, kernel, bias, dtype=self.dtype)
    is_circular = self.padding == "CIRCULAR"
    y = conv_transpose(
      x,
      kernel,
      strides,
      "VALID" if is_circular else _padding(self.padding, len(sizes)),
      rhs_dilation=dilation,
      transpose_kernel=self.transpose_kernel,
      precision=self.precision,
      preferred_element_type=self.preferred_element_type,
    )
    if is_circular:
      periods = [n * r for n, r in zip(x.shape[1:-1], strides, strict=True)]
      y = _wrapped(y, periods, extra_at_end=self.transpose_kernel)
    if bias is not None:
      y += bias.reshape((1,) * (y.ndim - 1) + (-1,))
    return y.reshape(*batch, *y.shape[1:])


def _padding(
  padding: str | int | Sequence[int | Sequence[int]], axes: int
) -> str | Sequence[Sequence[int]]:
  """Flax's padding as `conv_transpose` takes it: a number stands for both sides of an axis."""
  if isinstance(padding, str):
    return padding
  sides = (padding,) * axes if isinstance(padding, int) else padding
  return tuple((side, side) if isinstance(side, int) else side for side in sides)


def _wrapped(
  y: Float[Array, "b *space c"], periods: Sequence[int], *, extra_at_end: bool
) -> Float[Array, "b *period c"]:
  """Sums y over the periods of each axis, its middle being that of the first period."""
  for axis, period in enumerate(periods, start=1):
    missing = (period - y.shape[axis]) % (2 * period)
    low = missing // 2 if extra_at_end else (missing + 1) // 2
    sides = [(0, 0)] * y.ndim
    sides[axis] = (low, missing - low)
    y = jnp.pad(y, sides)
    y = y.reshape(*y.shape[:axis], -1, period, *y.shape[axis + 1 :]).sum(axis)
  return y
