"""Luminance and chroma of 8-bit images: YCbCr of ITU-R BT.601, as MATLAB's `rgb2ycbcr`."""

import numpy as np
from jaxtyping import Float, Real, UInt8

# Of R, G and B in 0..255. Many copies hold 64.738 for 65.738 in these weights' other form,
# (65.738, 129.057, 25.064) / 256.
WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255
OFFSETS = np.array([16.0, 128.0, 128.0])  # of Y, Cb and Cr
TO_YCBCR = np.stack(
  [WEIGHTS, np.array([-37.797, -74.203, 112]) / 255, np.array([112, -93.786, -18.214]) / 255]
)
FROM_YCBCR = np.linalg.inv(TO_YCBCR)


def luminance(pixels: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
  """Y = round(16 + (65.481 R + 128.553 G + 24.966 B) / 255) of RGB; gray is returned unchanged."""
  if pixels.ndim == 2:
    return pixels
  return np.floor(unrounded_luminance(pixels) + 0.5).astype(np.uint8)


def unrounded_luminance(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
  """Y of RGB in 16..235, in double precision."""
  return 16 + rgb @ WEIGHTS


def to_ycbcr(rgb: Real[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
  """Y in 16..235, Cb and Cr in 16..240 of RGB in 0..255, in double precision and not rounded."""
  return OFFSETS + rgb @ TO_YCBCR.T


def from_ycbcr(ycbcr: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
  """RGB from what `to_ycbcr` gives, in double precision, neither rounded nor clipped to 0..255.

  Each pixel is computed by itself: the bits of a matrix product may depend on its neighbours.
  """
  y, cb, cr = np.moveaxis(ycbcr - OFFSETS, 2, 0)
  return np.stack([row[0] * y + row[1] * cb + row[2] * cr for row in FROM_YCBCR], axis=2)
