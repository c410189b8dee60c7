"""Training patches, cut on the device from images that stay there: a batch is a function of a key.

One flat array holds all images end to end, HR as uint8 and LR as float32, so that images of any
size share one program. Every position at which a patch fits is equally likely.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32, PRNGKeyArray, UInt8, UInt32

from sr_jax.config import InputError
from sr_jax.data.images import Photo

HostOrDevice = Array | np.ndarray
ALIGNMENT = 64  # bytes: a CPU's devices share arrays that start at a multiple of it


class Store(NamedTuple):
  """The training images on the device.

  Each begins at `lr_start` in `lr`, and `scale**2` times further in `hr`: unsigned, since DIV2K has
  more HR pixels than a signed 32-bit index counts.
  """

  hr: UInt8[HostOrDevice, " hr_pixels"]  # luminance of all images end to end
  lr: Float32[HostOrDevice, " lr_pixels"]  # likewise, in 0..1
  lr_start: UInt32[HostOrDevice, " n"]
  lr_width: Int32[HostOrDevice, " n"]
  last_position: Int32[HostOrDevice, " n"]  # the patch positions in an image and all before it
  columns: Int32[HostOrDevice, " n"]  # patch positions in a row


class Crops(NamedTuple):
  """Which patches to cut: an image, the LR pixel of the upper left corner, and a symmetry.

  The 8 symmetries of the square are the choices of three: swap the axes, reverse rows, reverse
  columns.
  """

  image: Int32[HostOrDevice, " b"]
  row: Int32[HostOrDevice, " b"]
  column: Int32[HostOrDevice, " b"]
  symmetry: Bool[HostOrDevice, "b 3"]


def make_store(photos: Sequence[Photo], patch: int) -> Store:
  """Concatenates images into NumPy arrays; `jax.device_put` moves them to a device or mesh.

  The devices of a CPU share these arrays, so that a process has one copy of them; any other device
  gets its own. Each image must hold a patch of `patch` x `patch` LR pixels.

  Raises:
    InputError: there are more pixels than 32-bit indices can address.
  """
  if (pixels := sum(photo.hr.size for photo in photos)) >= 2**32:
    raise InputError(
      f"the training images have {pixels:,} HR pixels and at most {2**32 - 1:,} fit one run; "
      "use fewer images"
    )
  shapes = np.array([photo.lr.shape for photo in photos])
  sizes, (rows, columns) = shapes.prod(axis=1), (shapes - patch + 1).T
  return Store(
    hr=_concatenate([photo.hr for photo in photos]),
    lr=_concatenate([photo.lr for photo in photos]),
    lr_start=(np.cumsum(sizes) - sizes).astype(np.uint32),
    lr_width=shapes[:, 1].astype(np.int32),
    last_position=np.cumsum(rows * columns).astype(np.int32),
    columns=columns.astype(np.int32),
  )


def _concatenate(images: Sequence[np.ndarray]) -> np.ndarray:
  """All pixels in one flat array, aligned: else JAX copies it for every device of a CPU."""
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
  within = position - jnp.where(image > 0, store.last_position[image - 1], 0)
  row, column = jnp.divmod(within, store.columns[image])
  return Crops(image, row, column, jax.random.bernoulli(key_symmetry, shape=(batch, 3)))


def cut(
  store: Store, crops: Crops, patch: int, scale: int
) -> tuple[Float32[Array, "b p p 1"], Float32[Array, "b rp rp 1"]]:
  """Cuts LR patches and their HR patches, both in 0..1, out of the store."""
  start, width = store.lr_start[crops.image], store.lr_width[crops.image]

  def windows(flat: HostOrDevice, factor: int) -> Array:
    """`(b, side, side)` windows of images, each side `factor` times that in the LR image."""
    row_length, side = width * factor, patch * factor
    corner = (crops.row * factor * row_length + crops.column * factor).astype(jnp.uint32)
    lines = jnp.arange(side)[None, :] * row_length[:, None]
    begin = (start * factor**2 + corner)[:, None] + lines.astype(jnp.uint32)
    one_row = jax.vmap(lambda at: jax.lax.dynamic_slice(flat, (at,), (side,)))
    return jax.vmap(one_row)(begin)

  lr, hr = windows(store.lr, 1), windows(store.hr, scale).astype(jnp.float32) / 255
  return _apply_symmetry(lr, crops.symmetry), _apply_symmetry(hr, crops.symmetry)


def _apply_symmetry(x: HostOrDevice, symmetry: Bool[HostOrDevice, "b 3"]) -> Array:
  """Applies a symmetry of the square to each image, `(b, side, side) -> (b, side, side, 1)`."""
  swap, up_down, left_right = (symmetry[:, i, None, None] for i in range(3))
  x = jnp.where(swap, x.swapaxes(1, 2), x)
  x = jnp.where(up_down, x[:, ::-1], x)
  return jnp.where(left_right, x[:, :, ::-1], x)[..., None]


def fixed_crops(photos: Sequence[Photo], patch: int, per_image: int) -> Crops:
  """Positions of `per_image` patches an image, on which every run measures its training PSNR.

  Neither rotated nor mirrored, at random offsets that depend on the images' sizes alone.
  """
  image = np.repeat(np.arange(len(photos), dtype=np.int32), per_image)
  bounds = np.array([photo.lr.shape for photo in photos]) - patch + 1
  row, column = np.random.default_rng(0).integers(0, bounds[image]).astype(np.int32).T
  return Crops(image, row, column, np.zeros((len(image), 3), bool))
