"""Autoencoding: luminance through a bottleneck of few LR maps."""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, UInt8

from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.networks.maps import Maps
from sr_jax.operators.resize import downscale
from sr_jax.tasks.super_resolution import interpolate
from sr_jax.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Autoencoding(Task):
  """A photograph -> itself, through a state of 8 LR maps at scale 8: 8 values for 64 pixels.

  What is after that state is the decoder of a generative model: DCGAN's (Radford et al. 2016, arXiv
  1511.06434) is of transposed convolutions. The rate is fixed and values are not quantised. No
  network: the photograph shrunk to LR pixels and interpolated, which takes one value of the eight.
  """

  scale: int = 8
  name: ClassVar[str] = "autoencoding"
  no_network: ClassVar[str] = "the photograph shrunk by 8 and interpolated"
  bottleneck: ClassVar[Maps | None] = Maps(lr=8)

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w"]) -> Pair:
    """The photograph twice; uint8 -> uint8."""
    photo = self.cropped(name, pixels, self.scale)
    return pair_of(name, photo, photo)

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "h w c"]:
    """The photograph after MATLAB's bicubic, to LR pixels and back."""
    lr = downscale(self.values(pair.input)[..., 0], self.scale)
    return interpolate(lr, self.scale)[..., None]
