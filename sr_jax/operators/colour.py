"""Luminance of 8-bit images: Y of ITU-R BT.601, as MATLAB's `rgb2ycbcr`."""

import numpy as np
from jaxtyping import Float, UInt8

# Of R, G and B in 0..255. Many copies hold 64.738 for 65.738 in these weights' other form,
# (65.738, 129.057, 25.064) / 256.
WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255


def luminance(pixels: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
  """Y = round(16 + (65.481 R + 128.553 G + 24.966 B) / 255) of RGB; a gray image as it is."""
  if pixels.ndim == 2:
    return pixels
  return np.floor(unrounded_luminance(pixels) + 0.5).astype(np.uint8)


def unrounded_luminance(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
  """Y of RGB in 16..235, in double precision."""
  return 16 + rgb @ WEIGHTS
