"""Demosaicing: RGB from the one colour that a camera measures at each pixel."""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.ndimage import convolve

from sr_jax.config import InputError
from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.networks.maps import Maps
from sr_jax.tasks.task import Picture, Task, to_picture

# Row and column in a cell of 2 x 2, and colour, of the four LR maps in order: RGGB.
SITES = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2))
CROSS = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4  # of green, known at half of the pixels
SQUARE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4  # of red and blue, known at a quarter


@dataclasses.dataclass(frozen=True)
class Demosaicing(Task):
  """A Bayer mosaic (RGGB) packed into 4 LR maps -> the RGB photograph, 3 HR maps.

  The mosaic is made from the photograph as it is stored, gamma and all, as in the literature.
  Gharbi et al. (2016, doi 10.1145/2980179.2982399) pack the mosaic and end in a fixed upsampling;
  Chen et al. (2018, arXiv 1805.01934) end in 12 LR maps and a shuffle. PSNR is over all pixels and
  colours at once (CPSNR). A mirrored mosaic has its colours at other sites. No network: bilinear
  interpolation of each colour.
  """

  scale: int = dataclasses.field(default=2, init=False)
  name: ClassVar[str] = "demosaicing"
  inputs: ClassVar[Maps] = Maps(lr=4)
  outputs: ClassVar[Maps] = Maps(hr=3)
  no_network: ClassVar[str] = "bilinear interpolation of each colour"
  has_symmetries: ClassVar[bool] = False
  in_colour: ClassVar[bool] = True

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w *c"]) -> Pair:
    """Packs the mosaic of the photograph; uint8 `(h / 2, w / 2, 4)` -> uint8 `(h, w, 3)`."""
    if pixels.shape[2:] != (3,):
      raise InputError(f"{name} is gray, and demosaicing learns from colour; leave it out")
    rgb = self.cropped(name, pixels, self.scale)
    packed = np.stack([rgb[row::2, column::2, colour] for row, column, colour in SITES], axis=2)
    return pair_of(name, packed, rgb)

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "h w c"]:
    """Bilinear demosaicing; beyond the border the mosaic goes on in a mirror that keeps its sites.

    It is `(h, w, 3)`.
    """
    sparse = self.mosaic(pair)
    kernels = (SQUARE, CROSS, SQUARE)
    colours = [convolve(sparse[..., i], kernels[i], mode="mirror") for i in range(3)]
    return np.stack(colours, axis=2)

  def mosaic(self, pair: Pair) -> Float64[np.ndarray, "h w 3"]:
    """The measured values in 0..1 at their pixels and colours, and zeros elsewhere."""
    packed = self.values(pair.input)
    rgb = np.zeros((2 * packed.shape[0], 2 * packed.shape[1], 3))
    for i, (row, column, colour) in enumerate(SITES):
      rgb[row::2, column::2, colour] = packed[..., i]
    return rgb

  def input_picture(self, pair: Pair) -> Picture:
    """The mosaic in gray, as a camera stores it."""
    return to_picture(self.mosaic(pair).sum(axis=2, keepdims=True))
