"""Luminance and colour of 8-bit images (ITU-R BT.601, as MATLAB's `rgb2ycbcr`), and upscaling both.

Super-resolution networks see luminance; a colour photograph has its chroma enlarged by bicubic
interpolation beside it.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8

from sr_jax.operators.resize import imresize

# Rows Y, Cb and Cr of RGB in 0..255. Many copies hold 64.738 for 65.738 in these weights' other
# form (65.738, 129.057, 25.064) / 256.
_TO_YCBCR = (
  np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
)
_TO_RGB = np.linalg.inv(_TO_YCBCR)
_OFFSET = np.array([16.0, 128.0, 128.0])


def luminance(pixels: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
  """Y = round(16 + (65.481 R + 128.553 G + 24.966 B) / 255) of RGB; a gray image as it is."""
  if pixels.ndim == 2:
    return pixels
  return np.floor(_OFFSET[0] + pixels @ _TO_YCBCR[0] + 0.5).astype(np.uint8)


def upscale_rgb(
  rgb: UInt8[np.ndarray, "h w 3"],
  scale: int,
  upscale_luminance: Callable[[Float32[np.ndarray, "h w"]], np.ndarray],
) -> UInt8[np.ndarray, "rh rw 3"]:
  """Upscales a colour image: its luminance as asked, Cb and Cr by bicubic interpolation.

  The result is protocol B's: nothing is rounded before it.

  Args:
    rgb: LR image.
    scale: upscaling factor r.
    upscale_luminance: takes LR luminance and returns it r times as large and finite, both in
      units of 255 (so from 16/255 to 235/255), as networks do.
  """
  ycbcr = rgb @ _TO_YCBCR.T + _OFFSET
  y = upscale_luminance((ycbcr[:, :, 0] / 255).astype(np.float32)).astype(np.float64) * 255
  chroma = imresize(ycbcr[:, :, 1:], scale)
  upscaled = (np.dstack([y, chroma]) - _OFFSET) @ _TO_RGB.T
  return np.floor(upscaled.clip(0, 255) + 0.5).astype(np.uint8)
