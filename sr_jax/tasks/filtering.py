"""Filtering: imitates a slow edge-preserving filter of luminance."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, UInt8

from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.tasks.task import Task

ITERATIONS = 10
CONDUCTANCE = 15 / 255  # the step between neighbours at which diffusion slows down to 1/e
STEP = 0.2  # up to 0.25 is stable; here the pattern of a checkerboard decays, too


@dataclasses.dataclass(frozen=True)
class Filtering(Task):
  """A photograph -> the photograph after 10 iterations of Perona and Malik's diffusion.

  This is what a network for image filters (Xu et al. 2015, "Deep edge-aware filters") or for style
  transfer (Johnson et al. 2016, arXiv 1603.08155, with transposed convolutions; Odena et al. 2016,
  doi 10.23915/distill.00003, resize instead) learns from examples of. No network: the photograph.
  """

  scale: int = 2
  name: ClassVar[str] = "filtering"
  no_network: ClassVar[str] = "the unfiltered photograph"
  fields: ClassVar[Mapping[str, Any]] = {"identity_skip": True}

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w"]) -> Pair:
    """Filters the photograph; uint8 -> float32."""
    photo = self.cropped(name, pixels, self.scale)
    return pair_of(name, photo, diffuse(photo / 255).astype(np.float32))


def diffuse(image: Float64[np.ndarray, "h w"]) -> Float64[np.ndarray, "h w"]:
  """Anisotropic diffusion (Perona and Malik 1990, doi 10.1109/34.56205) of an image in 0..1.

  Explicit, over four neighbours, conductance exp(-(difference / CONDUCTANCE)^2); nothing flows over
  the border, so that the mean stays.
  """
  for _ in range(ITERATIONS):
    differences = [np.diff(image, axis=axis) for axis in (0, 1)]
    flows = [d * np.exp(-((d / CONDUCTANCE) ** 2)) for d in differences]
    image = image + STEP * sum(
      np.diff(flow, axis=axis, prepend=0, append=0) for axis, flow in enumerate(flows)
    )
  return image
