"""Flow estimation: how far the content of two frames moved."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Num, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Pair
from sr_jax.evaluation.metrics import to_db
from sr_jax.networks.maps import Maps
from sr_jax.tasks.task import Picture, Task, random_of, to_picture

MAX_DISPLACEMENT = 3.0  # HR pixels, the length of the longest vector of a pair
SMOOTHNESS = 16.0  # HR pixels, sigma of the Gaussian that makes a flow of white noise
MARGIN = 4  # HR pixels that are cropped off each side: no frame shows what the photograph does not
SOFTENING = 0.01  # HR pixels, below which the loss is quadratic


@dataclasses.dataclass(frozen=True)
class Flow(Task):
  """Two frames, the second a smooth warp of the first -> where its content was in the first.

  The first frame is a photograph. second(x) = first(x + flow(x)), by cubic splines and rounded to 8
  bits; flow is (rows, columns) in HR pixels, smoothed noise seeded by the name, at most 3 pixels
  long. FlowNet (Dosovitskiy et al. 2015, arXiv 1504.06852) refines by transposed convolutions, RAFT
  (Teed and Deng 2020, arXiv 2003.12039) by LR maps that are weights of the upsampling. A mirrored
  flow would need its signs changed. No network: nothing moves.
  """

  scale: int = 4
  name: ClassVar[str] = "flow"
  inputs: ClassVar[Maps] = Maps(hr=2)
  outputs: ClassVar[Maps] = Maps(hr=2)
  measure: ClassVar[str] = "epe_db"
  unit: ClassVar[str] = "dB of end-point error"
  trains_on_psnr: ClassVar[bool] = False
  no_network: ClassVar[str] = "zero flow"
  has_symmetries: ClassVar[bool] = False
  fields: ClassVar[Mapping[str, Any]] = {"mid_output": 0.0}

  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w"]) -> Pair:
    """Warps the photograph; uint8 `(h, w, 2)` -> float32 `(h, w, 2)`, `MARGIN` pixels cropped."""
    photo = self.cropped(name, pixels, self.scale, MARGIN)
    first = photo[MARGIN:-MARGIN, MARGIN:-MARGIN]
    flow = random_flow(name, first.shape)
    second = to_picture(warp(photo / 255, flow, MARGIN)[..., None])
    frames = np.stack([first, second], axis=2)
    return pair_of(name, frames, flow.astype(np.float32))

  def loss(
    self, output: Float[Array, "b *space c"], target: Float[Array, "b *space c"]
  ) -> Float[Array, ""]:
    """The mean end-point error in HR pixels, softened at 0 (Charbonnier)."""
    return jnp.mean(jnp.sqrt(jnp.sum((output - target) ** 2, axis=-1) + SOFTENING**2))

  def score(self, output: Float[np.ndarray, "h w c"], pair: Pair) -> dict[str, float]:
    """The mean end-point error in HR pixels, "epe", and in dB below 1 pixel, "epe_db"."""
    epe = float(np.mean(np.linalg.norm(self.error(output, pair), axis=-1)))
    return {"epe_db": to_db(epe**2, peak=1.0), "epe": epe if math.isfinite(epe) else math.nan}

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "h w c"]:
    """Zeros."""
    return np.zeros(pair.target.shape)

  def picture(self, values: Num[np.ndarray, "h w c"]) -> Picture:
    """RGB: the hue is the direction, the brightness the length, full at `MAX_DISPLACEMENT`."""
    rows, columns = np.moveaxis(values.astype(np.float64), -1, 0)
    hue = (np.arctan2(rows, columns) / (2 * np.pi)) % 1
    value = np.hypot(rows, columns) / MAX_DISPLACEMENT
    hsv = to_picture(np.stack([hue, np.ones_like(hue), value], axis=2))
    bands = [Image.fromarray(band) for band in np.moveaxis(hsv, -1, 0)]
    return np.array(Image.merge("HSV", bands).convert("RGB"))

  def input_picture(self, pair: Pair) -> Picture:
    """The first frame."""
    return pair.input[..., 0]


def random_flow(name: str, sides: tuple[int, int]) -> Float64[np.ndarray, "h w 2"]:
  """Gaussian noise of both components, smoothed, the longest vector of `MAX_DISPLACEMENT`."""
  noise = random_of(name).standard_normal((*sides, 2))
  flow = gaussian_filter(noise, (SMOOTHNESS, SMOOTHNESS, 0))
  return flow * (MAX_DISPLACEMENT / np.linalg.norm(flow, axis=-1).max())


def warp(
  image: Float64[np.ndarray, "h2 w2"], flow: Float64[np.ndarray, "h w 2"], margin: int = 0
) -> Float64[np.ndarray, "h w"]:
  """The image at x + flow(x) by cubic splines; it has `margin` more pixels on each side."""
  positions = np.moveaxis(flow, -1, 0) + np.indices(flow.shape[:2]) + margin
  return map_coordinates(image, positions, order=3, mode="mirror")
