"""PSNR and SSIM of 8-bit luminance, on the host in double precision."""

import math

import numpy as np
from jaxtyping import Num, UInt8
from scipy.ndimage import correlate1d

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MAX_PSNR = 100.0  # dB, of equal images: a mean must stay finite

Gray = UInt8[np.ndarray, "h w"]
Pixels = UInt8[np.ndarray, "h w *c"]  # gray, or RGB


def shave(image: Num[np.ndarray, "h w *c"], border: int) -> Num[np.ndarray, "h2 w2 *c"]:
  """Takes `border` pixels off every side; the field shaves as many as the scale."""
  return image[border : image.shape[0] - border, border : image.shape[1] - border]


def mse(image: Pixels, truth: Pixels, border: int = 0) -> float:
  """Mean squared error in squared gray levels, summed exactly, without `border` pixels a side."""
  error = shave(image, border).astype(np.int64) - shave(truth, border).astype(np.int64)
  return int((error * error).sum()) / error.size


def to_db(mean_squared_error: float, peak: float = 255.0) -> float:
  """PSNR in dB, 10 log10(peak^2 / MSE), at most 100; NaN for an error that is not finite."""
  if not math.isfinite(mean_squared_error):
    return math.nan
  if mean_squared_error <= peak**2 * 10 ** (-MAX_PSNR / 10):
    return MAX_PSNR
  return 10 * math.log10(peak**2 / mean_squared_error)


def ssim(image: Gray, truth: Gray) -> float:
  """Structural similarity (Wang et al. 2004) with the settings of its authors' MATLAB code.

  Gaussian window of 11 x 11 pixels and sigma 1.5 where it fits entirely, K1 = 0.01, K2 = 0.03,
  L = 255, biased variances; the mean over the map.
  """
  x, y = image.astype(np.float64), truth.astype(np.float64)
  mean_x, mean_y = _blur(x), _blur(y)
  var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
  covariance = _blur(x * y) - mean_x * mean_y
  similarity = ((2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
    (mean_x**2 + mean_y**2 + SSIM_C1) * (var_x + var_y + SSIM_C2)
  )
  return float(similarity.mean())


def _blur(x: np.ndarray) -> np.ndarray:
  """Blurs with SSIM's Gaussian window where it lies within the image."""
  reach = SSIM_WINDOW // 2
  window = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * SSIM_SIGMA**2))
  window /= window.sum()
  blurred = correlate1d(correlate1d(x, window, axis=0), window, axis=1)
  return blurred[reach:-reach, reach:-reach]


def score_image(image: Gray, truth: Gray, scale: int) -> tuple[float, float]:
  """PSNR in dB and SSIM after shaving `scale` pixels off every side."""
  return to_db(mse(image, truth, scale)), ssim(shave(image, scale), shave(truth, scale))
