"""Training patches, cut on the device from arrays that stay there: a batch is a function of a key.

One flat array holds all inputs end to end, and another all targets, so that images of any size
share one program. Every position at which a patch fits is equally likely.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32, Int64, Num, PRNGKeyArray, UInt32

from sr_jax.config import InputError
from sr_jax.data.pairs import Layout, Pair

HostOrDevice = Array | np.ndarray
ALIGNMENT = 64  # bytes: a CPU's devices share arrays that start at a multiple of it


class Store(NamedTuple):
  """The training pairs on the device, image for short.

  Each begins `start` LR pixels into the arrays: unsigned, since DIV2K has more HR pixels than a
  signed 32-bit index counts.
  """

  inputs: Num[HostOrDevice, " input_values"]  # of all images end to end; uint8 is in 255ths
  targets: Num[HostOrDevice, " target_values"]  # likewise
  start: UInt32[HostOrDevice, " n"]
  shape: Int32[HostOrDevice, "n d"]  # LR pixels along each axis
  positions: Int32[HostOrDevice, "n d"]  # of a patch, along each axis
  last_position: Int32[HostOrDevice, " n"]  # the patch positions in an image and all before it


class Crops(NamedTuple):
  """Which patches to cut: an image, the LR pixel of the first corner, and a symmetry.

  The symmetries are choices: to reverse each axis, and on images, before that, to swap the axes.
  """

  image: Int32[HostOrDevice, " b"]
  corner: Int32[HostOrDevice, "b d"]
  symmetry: Bool[HostOrDevice, "b s"]


def make_store(pairs: Sequence[Pair], patch: int, layout: Layout | None = None) -> Store:
  """Concatenates pairs into NumPy arrays; `jax.device_put` moves them to a device or mesh.

  The devices of a CPU share these arrays, so that a process has one copy of them; any other device
  gets its own. Each image must hold a patch of `patch` LR pixels a side. The default layout is of
  photographs to upscale.

  Raises:
    InputError: there are more values than 32-bit indices can address.
  """
  layout = layout or Layout(1)
  values = max(sum(pair.input.size for pair in pairs), sum(pair.target.size for pair in pairs))
  if values >= 2**32:
    raise InputError(
      f"the training images have {values:,} HR pixels and at most {2**32 - 1:,} fit one run; "
      "use fewer images"
    )
  shapes = np.array([layout.lr_shape(pair) for pair in pairs])
  sizes = shapes.prod(axis=1)
  return Store(
    _concatenate([pair.input for pair in pairs]),
    _concatenate([pair.target for pair in pairs]),
    (np.cumsum(sizes) - sizes).astype(np.uint32),
    shapes.astype(np.int32),
    *positions_of(shapes, patch),
  )


def positions_of(
  shapes: Int32[np.ndarray, "n d"] | Int64[np.ndarray, "n d"], patch: int
) -> tuple[Int32[np.ndarray, "n d"], Int32[np.ndarray, " n"]]:
  """`positions` and `last_position` of a `Store` whose images have these shapes in LR pixels."""
  positions = shapes - patch + 1
  return positions.astype(np.int32), np.cumsum(positions.prod(axis=1)).astype(np.int32)


def _concatenate(images: Sequence[np.ndarray]) -> np.ndarray:
  """All values in one flat array, aligned: else JAX copies it for every device of a CPU."""
  size = sum(image.nbytes for image in images)
  memory = np.empty(size + ALIGNMENT, np.uint8)
  begin = -memory.ctypes.data % ALIGNMENT
  flat = memory[begin : begin + size].view(images[0].dtype)
  return np.concatenate([image.ravel() for image in images], out=flat)


def check_memory(store: Store, memory: int) -> None:
  """Raises an InputError if a store does not fit into `memory` bytes of a device."""
  needed = sum(leaf.nbytes for leaf in jax.tree.leaves(store))
  if needed > 0.8 * memory:  # the rest is for the networks
    raise InputError(
      f"the training images need {needed / 2**30:.2f} GiB and the device has {memory / 2**30:.2f} "
      "GiB, of which images may take 80 %; train on fewer images"
    )


def draw(store: Store, key: PRNGKeyArray, batch: int) -> Crops:
  """Draws patch positions and symmetries, all equally likely."""
  key_position, key_symmetry = jax.random.split(key)
  position = jax.random.randint(key_position, (batch,), 0, store.last_position[-1])
  image = jnp.searchsorted(store.last_position, position, side="right").astype(jnp.int32)
  rest = position - jnp.where(image > 0, store.last_position[image - 1], 0)
  dims = store.positions.shape[1]
  corner = []
  for axis in range(dims - 1, 0, -1):
    rest, index = jnp.divmod(rest, store.positions[image, axis])
    corner.append(index)
  corner.append(rest)
  choices = jax.random.bernoulli(key_symmetry, shape=(batch, _choices(dims)))
  return Crops(image, jnp.stack(corner[::-1], axis=1), choices)


def _choices(dims: int) -> int:
  """How many choices make a symmetry."""
  return dims + (dims == 2)


def cut(
  store: Store, crops: Crops, patch: int, layout: Layout
) -> tuple[Num[Array, "b *space i"], Num[Array, "b *space2 o"]]:
  """Cuts patches of inputs and of targets out of the store, those of uint8 in 0..1."""
  dims, start, shape = layout.dims, store.start[crops.image], store.shape[crops.image]

  def windows(flat: HostOrDevice, factor: int, maps: int) -> Array:
    """Windows whose sides are `factor` times those in the LR image."""
    side = patch * factor
    stride = [jnp.ones_like(start)]  # values from a pixel to the next along an axis, without maps
    for axis in range(dims - 1, 0, -1):
      stride.insert(0, stride[0] * (shape[:, axis] * factor).astype(jnp.uint32))
    begin = start * factor**dims
    for axis in range(dims):
      begin = begin + (crops.corner[:, axis] * factor).astype(jnp.uint32) * stride[axis]
    begin = begin[:, None]
    for axis in range(dims - 1):  # the last axis of a window is in one piece
      lines = jnp.arange(side, dtype=jnp.uint32)[None, :] * stride[axis][:, None]
      begin = (begin[:, :, None] + lines[:, None, :]).reshape(len(begin), -1)
    line = jax.vmap(lambda at: jax.lax.dynamic_slice(flat, (at,), (side * maps,)))
    values = jax.vmap(line)(begin * maps).reshape(len(begin), *(side,) * dims, maps)
    values = values.astype(jnp.float32) / 255 if flat.dtype == jnp.uint8 else values
    return _apply_symmetry(values, crops.symmetry) if layout.has_symmetries else values

  inputs = windows(store.inputs, layout.input_factor, layout.input_maps)
  return inputs, windows(store.targets, layout.scale, layout.target_maps)


def _apply_symmetry(x: Num[Array, "b *space c"], symmetry: Bool[HostOrDevice, "b s"]) -> Array:
  """Swaps the axes of each image, and reverses them, where that is chosen."""
  dims = x.ndim - 2
  choices = [symmetry[:, i].reshape(-1, *(1,) * (dims + 1)) for i in range(symmetry.shape[1])]
  if dims == 2:
    x = jnp.where(choices.pop(0), x.swapaxes(1, 2), x)
  for axis, choice in enumerate(choices):
    x = jnp.where(choice, jnp.flip(x, 1 + axis), x)
  return x


def fixed_crops(
  pairs: Sequence[Pair], patch: int, per_image: int, layout: Layout | None = None
) -> Crops:
  """Positions of `per_image` patches an image, on which every run measures its training PSNR.

  Neither rotated nor mirrored, at random offsets that depend on the images' sizes alone.
  """
  layout = layout or Layout(1)
  image = np.repeat(np.arange(len(pairs), dtype=np.int32), per_image)
  bounds = np.array([layout.lr_shape(pair) for pair in pairs]) - patch + 1
  corner = np.random.default_rng(0).integers(0, bounds[image]).astype(np.int32)
  return Crops(image, corner, np.zeros((len(image), _choices(layout.dims)), bool))
