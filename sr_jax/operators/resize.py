"""Bicubic resizing as the super-resolution field measures it: MATLAB's `imresize`.

`imresize` works on NumPy arrays in double precision and makes the data; `downscale` does so over
any number of axes. `upscale_bicubic` is the layer of networks: upscaling by a whole factor is a
convolution in low-resolution space followed by `depth_to_space`.
"""

import functools
import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num
from scipy.sparse import csr_array

from sr_jax.operators.conv import conv, in_float32
from sr_jax.operators.shuffle import depth_to_space

Border = Literal["mirror", "clamp"]


def cubic(x: np.ndarray) -> np.ndarray:
  """Keys' cubic convolution kernel with a = -1/2, zero beyond |x| = 2."""
  x = np.abs(x)
  near = (1.5 * x - 2.5) * x * x + 1
  far = ((-0.5 * x + 2.5) * x - 4) * x + 2
  return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def imresize(
  image: Num[np.ndarray, "h w *c"],
  factor: int | float,
  border: Border = "mirror",
  part: tuple[slice, slice] = (slice(None), slice(None)),
) -> Num[np.ndarray, "h2 w2 *c"]:
  """Resizes as MATLAB's `imresize(image, factor)`: bicubic, widened by 1/factor when shrinking.

  Rows first, then columns. A uint8 image gives a uint8 image and is rounded (halves away from
  zero) after each of the two passes, as MATLAB does; any other dtype is computed in float64.

  Args:
    image: `(height, width)` or `(height, width, channels)`.
    factor: size out per size in; sides become `ceil(factor * side)`.
    border: "mirror" repeats the image in a mirror beyond its edge (MATLAB today), "clamp" repeats
      the edge pixel (MATLAB until 2015).
    part: rows and columns of the result, step 1 and not empty: the only ones that are computed,
      with the bits that they have in the whole.
  """
  matrices, out = [], image
  for axis in (0, 1):
    matrix = _matrix(image.shape[axis], factor, border)[part[axis]]
    first, last = matrix.indices.min(), matrix.indices.max()
    shifted = (matrix.data, matrix.indices - first, matrix.indptr)
    matrices.append(csr_array(shifted, shape=(matrix.shape[0], last - first + 1)))
    out = out[(slice(None),) * axis + (slice(first, last + 1),)]
  for axis, matrix in enumerate(matrices):
    out = _apply_along(out, axis, matrix)
    if image.dtype == np.uint8:
      out = np.floor(np.clip(out, 0, 255) + 0.5).astype(np.uint8)
  return np.ascontiguousarray(out)


def downscale(x: Float[np.ndarray, "*space"], scale: int) -> Float[np.ndarray, "*small"]:
  """Shrinks every axis of a signal, an image or a volume by a whole factor, in float64.

  MATLAB's bicubic, widened by `scale`, axis by axis and with a mirrored border: of an image it is
  `imresize(x, 1 / scale)`. Sides become `ceil(side / scale)`.
  """
  for axis, length in enumerate(x.shape):
    x = _apply_along(x, axis, _matrix(length, 1 / scale, "mirror"))
  return np.ascontiguousarray(x)


def _apply_along(x: Num[np.ndarray, "..."], axis: int, matrix: csr_array) -> np.ndarray:
  """Multiplies each line of x along an axis by the matrix, in float64."""
  lines = np.moveaxis(x, axis, 0).astype(np.float64, copy=False)
  columns = lines.reshape(len(lines), math.prod(lines.shape[1:]))
  resized = (matrix @ columns).reshape(matrix.shape[0], *lines.shape[1:])
  return np.moveaxis(resized, 0, axis)


@functools.lru_cache(maxsize=64)
def _matrix(length: int, factor: int | float, border: Border) -> csr_array:
  """The sparse matrix `(ceil(factor * length), length)` that resizes one axis."""
  out_length = math.ceil(factor * length)
  width = 4.0 / min(factor, 1.0)
  centre = (np.arange(out_length) + 0.5) / factor - 0.5
  first = np.floor(centre - width / 2).astype(int)
  taps = first[:, None] + np.arange(math.ceil(width) + 2)
  weights = cubic(min(factor, 1.0) * (centre[:, None] - taps))
  weights /= weights.sum(axis=1, keepdims=True)
  if border == "mirror":
    beyond = taps % (2 * length)
    indices = np.where(beyond < length, beyond, 2 * length - 1 - beyond)
  else:
    indices = np.clip(taps, 0, length - 1)
  used = np.any(weights != 0, axis=0)
  weights, indices = weights[:, used], indices[:, used]
  begins = np.arange(out_length + 1) * weights.shape[1]
  return csr_array((weights.ravel(), indices.ravel(), begins), shape=(out_length, length))


BICUBIC_REACH = 2  # LR pixels on each side that upscaling uses: 5 taps, of which 4 in each phase


@functools.lru_cache(maxsize=8)
def upscale_taps(scale: int) -> Float[np.ndarray, "5 r"]:
  """The bicubic weights [t, phase] of LR pixel s + t - 2 in HR pixel scale * s + phase."""
  position = (np.arange(scale) + 0.5) / scale - 0.5
  return cubic(position[None, :] - np.arange(-BICUBIC_REACH, BICUBIC_REACH + 1)[:, None])


def bicubic_phases(x: Float[Array, "b *space 1"], scale: int) -> Float[Array, "b *space p"]:
  """The `scale**d` phases of the image upscaled by a whole factor, as LR maps.

  A fixed convolution of 5 taps an axis: after `depth_to_space` an image equals `imresize(x,
  scale)`, mirrored border included, up to x's own precision. Costs 5^d multiply-accumulates a HR
  pixel. Each side of x must have at least 2 pixels.
  """
  dims, taps = x.ndim - 2, upscale_taps(scale)
  kernel = functools.reduce(np.multiply.outer, (taps,) * dims)  # i p j q ...
  kernel = kernel.transpose(*range(0, 2 * dims, 2), *range(1, 2 * dims, 2))
  kernel = kernel.reshape(*taps.shape[:1] * dims, 1, scale**dims)
  reach = (BICUBIC_REACH, BICUBIC_REACH)
  padded = jnp.pad(x, ((0, 0), *(reach,) * dims, (0, 0)), mode="symmetric")
  # Always in float32: a skip in bfloat16 would limit every image to 50 dB.
  return conv(padded, jnp.asarray(kernel, x.dtype), ((0, 0),) * dims, in_float32())


def upscale_bicubic(x: Float[Array, "b h w 1"], scale: int) -> Float[Array, "b rh rw 1"]:
  """Upscales by a whole factor: `bicubic_phases`, then the shuffle."""
  return depth_to_space(bicubic_phases(x, scale), scale)
