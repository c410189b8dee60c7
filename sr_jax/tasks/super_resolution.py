"""Super-resolution of signals, images and volumes."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Num, Real

from sr_jax.config import InputError
from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.networks.maps import Maps
from sr_jax.operators.resize import BICUBIC_REACH, downscale, upscale_taps
from sr_jax.tasks.task import Picture, Task, to_picture


@dataclasses.dataclass(frozen=True)
class SuperResolution(Task):
  """A signal, luminance or volume shrunk by MATLAB's bicubic along each axis -> what it was.

  The note's own task (Shi et al. 2016, arXiv 1609.05158; the deconvolution there is FSRCNN's, Dong
  et al. 2016, arXiv 1608.00367), for d = 1, 2, 3. The LR array is not rounded, nor is what is
  scored; the field's protocol of 8 bits and a shaved border is that of evaluation/scoring.py. No
  network: cubic interpolation along each axis.

  Attributes:
    dims: spatial axes, 1 to 3.
    middle: of the range of values: 0.5 for 0..1, and 0 for signals in -1..1.
  """

  scale: int = 2
  dims: int = 2
  middle: float = 0.5
  name: ClassVar[str] = "super_resolution"
  inputs: ClassVar[Maps] = Maps(lr=1)
  no_network: ClassVar[str] = "cubic interpolation along each axis"

  @property
  def fields(self) -> Mapping[str, Any]:
    """Networks read values less their middle, and add it to what they write."""
    return {"mid_input": self.middle, "mid_output": self.middle}

  def pair(self, name: str, pixels: Real[np.ndarray, "..."]) -> Pair:
    """Shrinks uint8 luminance, or a float32 array of `dims` axes; float32 -> as given.

    Raises:
      InputError: it has another number of axes, a side shorter than the scale, or a value that is
        not finite.
    """
    if pixels.ndim != self.dims:
      raise InputError(f"{name} has {pixels.ndim} axes {pixels.shape}, and must have {self.dims}")
    if not np.isfinite(pixels).all():
      raise InputError(f"{name} has values that are not finite; replace them or leave it out")
    hr = self.cropped(name, pixels, self.scale)
    lr = downscale(self.values(hr)[..., 0], self.scale).astype(np.float32)
    return pair_of(name, lr, hr)

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "*space c"]:
    """Cubic interpolation along each axis, beyond the border a mirror."""
    return interpolate(pair.input.astype(np.float64), self.scale)[..., None]

  def picture(self, values: Num[np.ndarray, "..."]) -> Picture | None:
    """The image, the middle slice of a volume across its shortest axis, or None for a signal."""
    if self.dims == 1:
      return None
    image = self.values(values)
    return to_picture(image if self.dims == 2 else middle_slice(image))

  def input_picture(self, pair: Pair) -> Picture | None:
    """As `picture`, each LR pixel as large as it is in HR pixels."""
    values = self.values(pair.input)
    for axis in range(self.dims):
      values = values.repeat(self.scale, axis=axis)
    return self.picture(values)


def middle_slice(volume: Float64[np.ndarray, "x y z *c"]) -> Float64[np.ndarray, "h w *c"]:
  """The middle slice across the shortest axis, the largest that a slab has."""
  axis = int(np.argmin(volume.shape[:3]))
  return volume.take(volume.shape[axis] // 2, axis)


def interpolate(x: Float64[np.ndarray, "*space"], scale: int) -> Float64[np.ndarray, "*scaled"]:
  """Upscales each axis by a whole factor: Keys' cubic kernel, of an image `imresize(x, scale)`."""
  for axis in range(x.ndim):
    lines = np.moveaxis(x, axis, -1)
    beyond = [(0, 0)] * (x.ndim - 1) + [(BICUBIC_REACH, BICUBIC_REACH)]
    padded = np.pad(lines, beyond, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * BICUBIC_REACH + 1, axis=-1)
    phases = windows @ upscale_taps(scale)
    x = np.moveaxis(phases.reshape(*lines.shape[:-1], -1), -1, axis)
  return x
