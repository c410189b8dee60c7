"""Autoencoding: luminance through a bottleneck of few LR maps."""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.fft import dctn, idctn

from sr_jax.data.images import pixel_digest
from sr_jax.data.pairs import Pair
from sr_jax.networks.maps import Maps
from sr_jax.tasks.task import Task

VALUES = 8  # of a code at an LR pixel, for 64 pixels


@dataclasses.dataclass(frozen=True)
class Autoencoding(Task):
  """A photograph -> itself, through a state of 8 LR maps at scale 8: 8 values for 64 pixels.

  What is after that state is the decoder of a generative model: DCGAN's (Radford et al. 2016, arXiv
  1511.06434) is of transposed convolutions. The rate is fixed and values are not quantised. No
  network: the discrete cosine transform of each block, of which as many coefficients are kept.
  """

  scale: int = 8
  name: ClassVar[str] = "autoencoding"
  no_network: ClassVar[str] = "the block DCT with as many values"
  bottleneck: ClassVar[Maps | None] = Maps(lr=VALUES)

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w"]) -> Pair:
    """The photograph twice; uint8 -> uint8."""
    photo = self.cropped(name, pixels, self.scale)
    return Pair(name, photo, photo, pixel_digest(pixels))

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "h w c"]:
    """Each block from the first coefficients of its DCT in zigzag order, not quantised."""
    kept = zigzag(self.scale) < VALUES
    return _unblock(idctn(dctn(self._blocks(pair), axes=(2, 3)) * kept, axes=(2, 3)))[..., None]

  def _blocks(self, pair: Pair) -> Float64[np.ndarray, "h w r r"]:
    """The blocks of the input."""
    rows, columns = (side // self.scale for side in pair.input.shape)
    blocks = self.values(pair.input).reshape(rows, self.scale, columns, self.scale)
    return blocks.swapaxes(1, 2)


def zigzag(side: int) -> np.ndarray:
  """The place of each coefficient of a block `(side, side)` in JPEG's zigzag order, from 0."""
  row, column = np.indices((side, side))
  diagonal = row + column
  within = np.where(diagonal % 2, row, column)  # odd diagonals run down, even ones up
  return np.lexsort((within.ravel(), diagonal.ravel())).argsort().reshape(side, side)


def _unblock(blocks: Float64[np.ndarray, "h w r r"]) -> Float64[np.ndarray, "rh rw"]:
  """The image of blocks."""
  rows, columns, side, _ = blocks.shape
  return blocks.swapaxes(1, 2).reshape(rows * side, columns * side)
