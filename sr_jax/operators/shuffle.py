"""The periodic shuffling of the note (Section 2) and its inverse."""

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def depth_to_space(x: Shaped[Array, "b *space rc"], scale: int) -> Shaped[Array, "b *scaled c"]:
  """Moves the r^d phases of every output channel from the channels into space.

  Output pixel r s + phase of channel c is input channel phase * C + c at pixel s, as in
  `tf.nn.depth_to_space`. PyTorch's `pixel_shuffle` is channel-major; they are equal for C = 1.
  """
  axes = _spatial_axes(x, scale)
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
  """Inverse of `depth_to_space`, for spatial axes that are multiples of `scale`."""
  axes = _spatial_axes(x, scale)
  if any(x.shape[axis] % scale for axis in axes):
    raise ValueError(
      f"space_to_depth: the spatial axes of x (shape {x.shape}) must be multiples of scale {scale}"
    )
  for axis in reversed(axes):
    x = x.reshape(*x.shape[:axis], x.shape[axis] // scale, scale, *x.shape[axis + 1 :])
    x = jnp.moveaxis(x, axis + 1, -2)
    x = x.reshape(*x.shape[:-2], scale * x.shape[-1])
  return x


def check_whole(**numbers: int) -> None:
  """Checks that numbers, by the names of their arguments, are whole and at least 1."""
  for name, number in numbers.items():
    if not isinstance(number, int) or number < 1:
      raise ValueError(f"{name} must be a whole number of at least 1, not {number!r}")


def _spatial_axes(x: Array, scale: int) -> range:
  check_whole(scale=scale)
  if x.ndim < 3:
    raise ValueError(f"x must be (batch, *space, channels) with a spatial axis, not {x.shape}")
  return range(1, x.ndim - 1)
