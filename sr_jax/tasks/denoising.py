"""Denoising: removes white Gaussian noise from luminance."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8

from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.tasks.task import Task, random_of

SIGMA = 25 / 255  # the level that most papers report


@dataclasses.dataclass(frozen=True)
class Denoising(Task):
  """A photograph with white Gaussian noise of sigma 25/255 -> the photograph.

  The noise is neither clipped nor rounded. It is drawn once for each photograph and kept; DnCNN
  (Zhang et al. 2017, arXiv 1608.03981) draws it anew at every step. RED-Net (Mao et al. 2016, arXiv
  1603.09056) ends in transposed convolutions, FFDNet (Zhang et al. 2018, arXiv 1710.04026) in LR
  maps and a shuffle. No network: the noisy photograph, of about 20.2 dB.
  """

  scale: int = 2
  name: ClassVar[str] = "denoising"
  no_network: ClassVar[str] = "the noisy photograph"
  fields: ClassVar[Mapping[str, Any]] = {"identity_skip": True}

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w"]) -> Pair:
    """Adds noise to the photograph; float32 -> uint8."""
    clean = self.cropped(name, pixels, self.scale)
    noisy = clean / 255 + SIGMA * random_of(name).standard_normal(clean.shape)
    return pair_of(name, noisy.astype(np.float32), clean)
