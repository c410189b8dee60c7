"""Images of any mode as planes: the luminance that a network upscales, and what is beside it.

The colour of a translucent image is multiplied by its alpha before it is enlarged, and divided by
the enlarged alpha afterwards (Porter and Duff 1984). So a pixel counts as far as it is seen, and
the colour that a file happens to hold under alpha 0 does not ring into the pixels beside it.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.colour import from_ycbcr, to_ycbcr

CHANNELS = {"I;16": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # of the modes of `Planes`
ROWS = 256  # taken apart at once: a whole photograph takes gigabytes in double precision


@dataclasses.dataclass(frozen=True)
class Planes:
  """An image taken apart.

  Attributes:
    luminance: with values in 0..1; gray as it is, of colour Y of ITU-R BT.601, not rounded.
    beside: what is not luminance, in 0..255: Cb and Cr of colour, then alpha.
    mode: of the image that `compose` makes, a key of `CHANNELS`; "I;16" is 16-bit gray.
    premultiplied: whether luminance and chroma are those of the colour times alpha / 255. They are
      unless every pixel is opaque.
  """

  luminance: Float32[np.ndarray, "h w"]
  beside: Float32[np.ndarray, "h w k"]
  mode: str
  premultiplied: bool


def mode_of(image: Image.Image, name: str) -> str:
  """The mode that an image's `Planes` have: that of the image, if it is one of `CHANNELS`.

  Black and white becomes gray, all else RGB, with alpha where the image is transparent.

  Raises:
    InputError: the pixels of the image called `name` are not of 8 bits a channel, or gray of 16.
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
    found = f"{pixels.min()} to {pixels.max()}"
    raise InputError(f"{name} holds values from {found}, not in 0..65535; save it with 16 bits")
  if transparent:
    raise InputError(f"{name} is 16-bit gray with transparency; save it with 8 bits or without")
  return "I;16"


def take_apart(image: Image.Image, mode: str) -> Planes:
  """Takes an image apart into planes of the mode that `mode_of` gives."""
  if mode == "I;16":
    gray = np.asarray(image) / np.float32(65535)
    return Planes(gray.astype(np.float32), np.empty((*gray.shape, 0), np.float32), mode, False)
  pixels = np.asarray(image.convert(mode)).reshape(image.height, image.width, CHANNELS[mode])
  colours = CHANNELS[mode.removesuffix("A")]
  premultiplied = bool((pixels[:, :, colours:] < 255).any())
  luminance = np.empty(pixels.shape[:2], np.float32)
  beside = np.empty((*pixels.shape[:2], CHANNELS[mode] - 1), np.float32)
  for rows in (slice(first, first + ROWS) for first in range(0, len(pixels), ROWS)):
    colour, alpha = pixels[rows, :, :colours], pixels[rows, :, colours:]
    if premultiplied:
      colour = colour * (alpha / 255)
    planes = to_ycbcr(colour) if colours == 3 else colour
    luminance[rows] = planes[:, :, 0] / 255
    beside[rows] = np.concatenate([planes[:, :, 1:], alpha], axis=2)
  return Planes(luminance, beside, mode, premultiplied)


def compose(
  luminance: Float[np.ndarray, "h w"],
  beside: Float[np.ndarray, "h w k"],
  mode: str,
  premultiplied: bool,
) -> UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]:
  """Puts planes of some mode, or a part of them, together as pixels, clipped and rounded half up.

  A pixel's bits depend on that pixel alone. One whose alpha is 0 becomes black.
  """
  peak, dtype = (65535, np.uint16) if mode == "I;16" else (255, np.uint8)
  planes = np.dstack([peak * luminance.astype(np.float64), beside])
  if mode.startswith("RGB"):
    planes[:, :, :3] = from_ycbcr(planes[:, :, :3])
  if premultiplied:
    # By alpha that is not clipped yet: where it overshoots, so did the colour times alpha.
    alpha = planes[:, :, -1:]
    visible = alpha >= 0.5  # which is not rounded to 0
    planes[:, :, :-1] *= np.where(visible, 255 / np.where(visible, alpha, 255), 0)
  return np.floor(planes.clip(0, peak) + 0.5).astype(dtype)
