"""The periodic shuffling of the note (Section 2) and its inverse."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Shaped

Scale = int | Sequence[int]  # of all axes, or of each


def depth_to_space(x: Shaped[Array, "b *space rc"], scale: Scale) -> Shaped[Array, "b *scaled c"]:
  """Moves the r^d phases of every output channel from the channels into space.

  Output pixel r s + phase of channel c is input channel phase * C + c at pixel s, as in
  `tf.nn.depth_to_space`. PyTorch's `pixel_shuffle` is channel-major; they are equal for C = 1.
  """
  scales, axes = _scaled_axes(x, scale)
  phases = math.prod(scales)
  if x.shape[-1] % phases:
    raise ValueError(
      f"depth_to_space: x has {x.shape[-1]} channels (shape {x.shape}); with scale {scale} and "
      f"{len(axes)} spatial axes it must be a multiple of {phases}"
    )
  # One axis at a time: sharded (Explicit) axes allow only reshapes that merge one pair.
  for axis, r in zip(axes, scales, strict=True):
    x = x.reshape(*x.shape[:-1], r, x.shape[-1] // r)
    x = jnp.moveaxis(x, -2, axis + 1)
    x = x.reshape(*x.shape[:axis], x.shape[axis] * r, *x.shape[axis + 2 :])
  return x


def space_to_depth(x: Shaped[Array, "b *space c"], scale: Scale) -> Shaped[Array, "b *shrunk rc"]:
  """Inverse of `depth_to_space`, for spatial axes that are multiples of `scale`."""
  scales, axes = _scaled_axes(x, scale)
  if any(x.shape[axis] % r for axis, r in zip(axes, scales, strict=True)):
    raise ValueError(
      f"space_to_depth: the spatial axes of x (shape {x.shape}) must be multiples of scale {scale}"
    )
  for axis, r in reversed(list(zip(axes, scales, strict=True))):
    x = x.reshape(*x.shape[:axis], x.shape[axis] // r, r, *x.shape[axis + 1 :])
    x = jnp.moveaxis(x, axis + 1, -2)
    x = x.reshape(*x.shape[:-2], r * x.shape[-1])
  return x


def check_whole(**numbers: int) -> None:
  """Checks that numbers, by the names of their arguments, are whole and at least 1."""
  for name, number in numbers.items():
    if not isinstance(number, int) or number < 1:
      raise ValueError(f"{name} must be a whole number of at least 1, not {number!r}")


def per_axis(scale: Scale, axes: int, name: str = "scale") -> tuple[int, ...]:
  """Checks whole numbers of at least 1, one for all axes or one for each; returns one for each."""
  numbers = tuple(scale) if isinstance(scale, Sequence) else (scale,) * axes
  if len(numbers) != axes or any(not isinstance(r, int) or r < 1 for r in numbers):
    raise ValueError(
      f"{name} must be a whole number of at least 1, or {axes} of them, one for each spatial axis, "
      f"not {scale!r}"
    )
  return numbers


def _scaled_axes(x: Array, scale: Scale) -> tuple[tuple[int, ...], range]:
  """The scale of each spatial axis of x, and these axes."""
  if x.ndim < 3:
    raise ValueError(f"x must be (batch, *space, channels) with a spatial axis, not {x.shape}")
  return per_axis(scale, x.ndim - 2), range(1, x.ndim - 1)
