"""Splits images of any mode into luminance, which a network upscales, and chroma and alpha.

The colour of a translucent image is multiplied by its alpha before upscaling, and divided by the
upscaled alpha afterwards (Porter and Duff 1984). So a pixel has the weight of its opacity, and the
colour that a file holds under alpha 0 does not ring into neighbouring pixels.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.colour import from_ycbcr, to_ycbcr

CHANNELS = {"I;16": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # of the modes of `Planes`
ROWS = 256  # to convert at a time: a whole photograph takes gigabytes in double precision


@dataclasses.dataclass(frozen=True)
class Planes:
  """The planes of an image, of the colour times alpha / 255 unless every pixel is opaque."""

  luminance: Float32[np.ndarray, "h w"]  # in 0..1: gray, or Y of BT.601 of colour, not rounded
  chroma_and_alpha: Float32[np.ndarray, "h w k"]  # in 0..255: Cb and Cr of colour, then alpha
  mode: str  # of the image that `merge_planes` makes, a key of `CHANNELS`; "I;16" is 16-bit gray
  premultiplied: bool  # whether colour is multiplied by alpha


def planes_mode(image: Image.Image, name: str) -> str:
  """The mode of an image's `Planes`: the image's own, if it is one of `CHANNELS`.

  Black and white becomes gray, other modes RGB, with alpha if the image is transparent.

  Raises:
    InputError: the pixels are neither 8 bits a channel nor 16-bit gray.
  """
  transparent = image.has_transparency_data
  if image.mode in ("1", "L", "LA", "La"):
    return "LA" if transparent else "L"
  if image.mode == "F":
    raise InputError(f"{name} holds pixels of floating point; save it with 8 or 16 bits a channel")
  if image.mode[0] != "I":
    return "RGBA" if transparent else "RGB"
  pixels = np.asarray(image)
  if not 0 <= pixels.min() <= pixels.max() <= 65535:
    values = f"{pixels.min()} to {pixels.max()}"
    raise InputError(f"{name} holds values from {values}, not in 0..65535; save it with 16 bits")
  if transparent:
    raise InputError(f"{name} is 16-bit gray with transparency; save it with 8 bits or without")
  return "I;16"


def split_planes(image: Image.Image, mode: str) -> Planes:
  """Splits an image into planes of the mode from `planes_mode`."""
  if mode == "I;16":
    gray = np.asarray(image) / np.float32(65535)
    return Planes(gray.astype(np.float32), np.empty((*gray.shape, 0), np.float32), mode, False)
  pixels = np.asarray(image.convert(mode)).reshape(image.height, image.width, CHANNELS[mode])
  colours = CHANNELS[mode.removesuffix("A")]
  premultiplied = bool((pixels[:, :, colours:] < 255).any())
  luminance = np.empty(pixels.shape[:2], np.float32)
  chroma_and_alpha = np.empty((*pixels.shape[:2], CHANNELS[mode] - 1), np.float32)
  for rows in (slice(first, first + ROWS) for first in range(0, len(pixels), ROWS)):
    colour, alpha = pixels[rows, :, :colours], pixels[rows, :, colours:]
    if premultiplied:
      colour = colour * (alpha / 255)
    planes = to_ycbcr(colour) if colours == 3 else colour
    luminance[rows] = planes[:, :, 0] / 255
    chroma_and_alpha[rows] = np.concatenate([planes[:, :, 1:], alpha], axis=2)
  return Planes(luminance, chroma_and_alpha, mode, premultiplied)


def merge_planes(
  source: Planes, luminance: Float[np.ndarray, "h w"], chroma_and_alpha: Float[np.ndarray, "h w k"]
) -> UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]:
  """Merges what was made of the planes of `source`, or a part of it, into pixels.

  They are clipped and rounded half up. A pixel's bits depend on that pixel alone. A pixel of alpha
  0 becomes black.
  """
  peak, dtype = (65535, np.uint16) if source.mode == "I;16" else (255, np.uint8)
  planes = np.dstack([peak * luminance.astype(np.float64), chroma_and_alpha])
  if source.mode.startswith("RGB"):
    planes[:, :, :3] = from_ycbcr(planes[:, :, :3])
  if source.premultiplied:
    # By alpha before clipping: where it overshoots, so does the colour times alpha.
    alpha = planes[:, :, -1:]
    visible = alpha >= 0.5  # else it is rounded to 0
    planes[:, :, :-1] *= np.where(visible, 255 / np.where(visible, alpha, 255), 0)
  return np.floor(planes.clip(0, peak) + 0.5).astype(dtype)
