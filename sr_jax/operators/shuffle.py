"""The periodic shuffling of the note (Section 2) and its inverse, on any number of spatial axes."""

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def depth_to_space(x: Shaped[Array, "b *space rc"], scale: int) -> Shaped[Array, "b *scaled c"]:
  """Moves `scale**d` phases of every output channel from the channel axis into space.

  Phase-major, as `tf.nn.depth_to_space`: output pixel `scale * s + phase` of channel `c` is input
  channel `phase * C + c` at pixel `s`, phases counted row first. PyTorch's `pixel_shuffle` is
  channel-major; the two are equal for one output channel.

  Args:
    x: `(batch, *space, scale**d * C)`, d spatial axes.
    scale: upscaling factor r >= 1.

  Returns:
    `(batch, *(scale * space), C)`.

  Raises:
    ValueError: the channels are not a multiple of `scale**d`.
  """
  axes = _check(x, scale)
  phases = scale ** len(axes)
  if x.shape[-1] % phases:
    raise ValueError(
      f"depth_to_space: x has {x.shape[-1]} channels (shape {x.shape}); with scale {scale} and "
      f"{len(axes)} spatial axes it must be a multiple of {phases}"
    )
  # One axis at a time: sharded (Explicit) axes allow only reshapes that merge one pair.
  for axis in axes:
    x = x.reshape(*x.shape[:-1], scale, x.shape[-1] // scale)
    x = jnp.moveaxis(x, -2, axis + 1)
    x = x.reshape(*x.shape[:axis], x.shape[axis] * scale, *x.shape[axis + 2 :])
  return x


def space_to_depth(x: Shaped[Array, "b *space c"], scale: int) -> Shaped[Array, "b *shrunk rc"]:
  """Inverse of `depth_to_space`: `(batch, *(scale * space), C) -> (batch, *space, scale**d * C)`.

  Raises:
    ValueError: a spatial axis is not a multiple of `scale`.
  """
  axes = _check(x, scale)
  if any(x.shape[axis] % scale for axis in axes):
    raise ValueError(
      f"space_to_depth: the spatial axes of x (shape {x.shape}) must be multiples of scale {scale}"
    )
  for axis in reversed(axes):
    x = x.reshape(*x.shape[:axis], x.shape[axis] // scale, scale, *x.shape[axis + 1 :])
    x = jnp.moveaxis(x, axis + 1, -2)
    x = x.reshape(*x.shape[:-2], scale * x.shape[-1])
  return x


def _check(x: Array, scale: int) -> range:
  """Checks that x has a spatial axis and scale is a whole number; returns the spatial axes."""
  if not isinstance(scale, int) or scale < 1:
    raise ValueError(f"scale must be a whole number of at least 1, not {scale!r}")
  if x.ndim < 3:
    raise ValueError(f"x must be (batch, *space, channels) with a spatial axis, not {x.shape}")
  return range(1, x.ndim - 1)
