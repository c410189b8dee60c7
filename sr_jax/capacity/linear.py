"""The linear case, without any optimiser: the best filters by least squares over all pixels.

LR k: a k x k filter and a bias for each of the `scale**2` phases, on the LR image: a sub-pixel
layer. HR K: one K x K filter and a bias on the image enlarged by bicubic interpolation. What a
network of these layers reaches starts from here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sr_jax.data.images import Photo
from sr_jax.evaluation.metrics import mse, shave, to_db
from sr_jax.evaluation.scoring import to_uint8
from sr_jax.operators.resize import imresize

MID_GRAY = 0.5


class LinearModel:
  """Filters of one size on LR or bicubic-enlarged images, with a bias.

  Args:
    grid: "lr" or "hr", the pixels that the filter's taps are.
    size: of the filter; its window begins `(size - 1) // 2` taps before the pixel, and the image is
      extended by its mirror.
    scale: upscaling factor r.
  """

  def __init__(self, grid: str, size: int, scale: int) -> None:
    self.grid, self.size, self.scale = grid, size, scale
    self.name = f"{grid.upper()} {size}"
    self.weights: Float[np.ndarray, "taps outputs"] = np.zeros((size**2 + 1, self._outputs))

  @property
  def _outputs(self) -> int:
    return self.scale**2 if self.grid == "lr" else 1

  def fit(self, photos: Sequence[Photo]) -> None:
    """Least squares over all pixels of all photographs, by their normal equations."""
    gram = np.zeros((self.size**2 + 1,) * 2)
    moment = np.zeros((self.size**2 + 1, self._outputs))
    for photo in photos:
      seen = self._windows(photo.lr)
      gram += seen.T @ seen
      moment += seen.T @ self._phases(photo.hr / 255.0 - MID_GRAY)
    self.weights = np.linalg.solve(gram, moment)

  def predict(self, lr: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "rh rw"]:
    """The enlarged image, in 0..1 but not clipped."""
    height, width = lr.shape
    r = self.scale
    values = self._windows(lr) @ self.weights + MID_GRAY
    if self.grid == "hr":
      return values.reshape(r * height, r * width)
    return values.reshape(height, width, r, r).transpose(0, 2, 1, 3).reshape(r * height, r * width)

  def _windows(self, lr: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "pixels taps"]:
    image = lr.astype(np.float64)
    if self.grid == "hr":
      image = imresize(image, self.scale)
    before = (self.size - 1) // 2
    around = (before, self.size - 1 - before)
    padded = np.pad(image - MID_GRAY, (around, around), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (self.size, self.size))
    pixels = windows.reshape(image.size, self.size**2)
    return np.concatenate([pixels, np.ones((image.size, 1))], axis=1)

  def _phases(self, hr: Float[np.ndarray, "rh rw"]) -> Float[np.ndarray, "pixels outputs"]:
    if self.grid == "hr":
      return hr.reshape(-1, 1)
    r = self.scale
    height, width = hr.shape[0] // r, hr.shape[1] // r
    return hr.reshape(height, r, width, r).transpose(0, 2, 1, 3).reshape(height * width, r * r)


def mean_psnr(model: LinearModel, photos: Sequence[Photo], rounded: bool) -> float:
  """Mean PSNR in dB, `scale` pixels shaved; of 8-bit results, or of results as they are."""
  psnr = []
  for photo in photos:
    sr = model.predict(photo.lr)
    if rounded:
      error = mse(to_uint8(sr), photo.hr, model.scale)
      psnr.append(to_db(error))
    else:
      difference = shave(sr, model.scale) - shave(photo.hr / 255.0, model.scale)
      psnr.append(to_db(float(np.mean(difference**2)), peak=1.0))
  return float(np.mean(psnr))
