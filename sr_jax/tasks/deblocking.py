"""Deblocking: removes what JPEG compression did to luminance."""

import dataclasses
import io
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.tasks.task import Task

QUALITY = 10  # of 1..95, the strongest compression that most papers report
BLOCK = 8  # pixels along a block of JPEG


@dataclasses.dataclass(frozen=True)
class Deblocking(Task):
  """A photograph after JPEG of quality 10, in luminance alone -> the photograph.

  At scale 8 an LR pixel is a JPEG block, so that a network in LR space knows where in its block
  each pixel is. At scale 2 or 4 it knows that modulo the scale at most, and patches begin anywhere
  in a block. A mirrored pair would be a pair again; one whose axes are swapped is not, because
  JPEG quantises vertical and horizontal frequencies differently.

  AR-CNN (Dong et al. 2015, arXiv 1504.06993) set the task; its fast successor (Yu et al. 2016,
  arXiv 1608.02778) strides and ends in a transposed convolution. No network: the decoded JPEG.
  """

  scale: int = 8
  name: ClassVar[str] = "deblocking"
  no_network: ClassVar[str] = "the decoded JPEG"
  has_symmetries: ClassVar[bool] = False
  fields: ClassVar[Mapping[str, Any]] = {"identity_skip": True}

  def __post_init__(self) -> None:
    if BLOCK % self.scale:
      raise InputError(
        f"deblocking has blocks of {BLOCK} pixels; its scale divides {BLOCK}, "
        f"and is not {self.scale}"
      )

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w"]) -> Pair:
    """Compresses the photograph, its sides cropped to multiples of 8; uint8 -> uint8."""
    original = self.cropped(name, pixels, BLOCK)
    return pair_of(name, jpeg(original), original)


def jpeg(luminance: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
  """Encodes luminance as a gray JPEG of `QUALITY`, and decodes it."""
  file = io.BytesIO()
  Image.fromarray(luminance).save(file, "JPEG", quality=QUALITY)
  with Image.open(file) as decoded:
    return np.array(decoded)
