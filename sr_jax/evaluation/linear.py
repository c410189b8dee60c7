"""The linear case, without any optimiser: the best filters by least squares over all pixels.

LR k: a k x k filter and a bias for each of the `scale**2` phases, on the LR image: a sub-pixel
layer. HR K: one K x K filter and a bias on the image enlarged by bicubic interpolation. What a
network of these layers reaches starts from here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sr_jax.data.pairs import Pair
from sr_jax.evaluation.metrics import mse, shave, to_db
from sr_jax.evaluation.scoring import to_uint8
from sr_jax.operators.resize import imresize

MID_GRAY = 0.5


class LinearModel:
  """Filters of one size on LR or bicubic-enlarged images, with a bias.

  The taps of a filter are pixels of the `grid`, "lr" or "hr". Its window begins `(size - 1) // 2`
  taps before the pixel, and the image is extended by its mirror.
  """

  def __init__(self, grid: str, size: int, scale: int) -> None:
    self.grid, self.size, self.scale = grid, size, scale
    self.name = f"{grid.upper()} {size}"
    self._stride = scale if grid == "lr" else 1  # HR pixels from one window to the next
    self.weights: Float[np.ndarray, "taps outputs"] = np.zeros((size**2 + 1, self._stride**2))

  def fit(self, photos: Sequence[Pair]) -> None:
    """Least squares over all pixels of all photographs, by their normal equations."""
    gram, moment = np.zeros((self.size**2 + 1,) * 2), np.zeros_like(self.weights)
    for photo in photos:
      seen = self._windows(photo.input)
      gram += seen.T @ seen
      moment += seen.T @ self._phases(photo.target / 255.0 - MID_GRAY)
    self.weights = np.linalg.solve(gram, moment)

  def predict(self, lr: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "rh rw"]:
    """The enlarged image, in 0..1 but not clipped."""
    r, (height, width) = self._stride, (self.scale * length for length in lr.shape)
    values = self._windows(lr) @ self.weights + MID_GRAY
    by_phase = values.reshape(height // r, width // r, r, r)
    return by_phase.transpose(0, 2, 1, 3).reshape(height, width)

  def _windows(self, lr: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "pixels taps"]:
    image = lr.astype(np.float64)
    if self.grid == "hr":
      image = imresize(image, self.scale)
    around = ((self.size - 1) // 2, self.size // 2)
    padded = np.pad(image - MID_GRAY, around, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (self.size, self.size))
    pixels = windows.reshape(image.size, self.size**2)
    return np.concatenate([pixels, np.ones((image.size, 1))], axis=1)

  def _phases(self, hr: Float[np.ndarray, "rh rw"]) -> Float[np.ndarray, "pixels outputs"]:
    r, (height, width) = self._stride, hr.shape
    by_phase = hr.reshape(height // r, r, width // r, r).transpose(0, 2, 1, 3)
    return by_phase.reshape(-1, r * r)


def mean_psnr(model: LinearModel, photos: Sequence[Pair], rounded: bool) -> float:
  """Mean PSNR in dB, `scale` pixels shaved; of 8-bit results, or of results as they are."""
  psnr = []
  for photo in photos:
    sr, hr = (shave(image, model.scale) for image in (model.predict(photo.input), photo.target))
    if rounded:
      psnr.append(to_db(mse(to_uint8(sr), hr)))
    else:
      psnr.append(to_db(float(np.mean((sr - hr / 255.0) ** 2)), peak=1.0))
  return float(np.mean(psnr))
