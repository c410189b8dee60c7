"""Reads 8-bit luminance from image files and makes HR and LR pairs."""

import dataclasses
import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, ImageOps

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.data.pairs import Pair
from sr_jax.data.splits import files_in
from sr_jax.operators.resize import imresize

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def make_pair(name: str, luminance: UInt8[np.ndarray, "h w"], scale: int) -> Pair:
  """Crops luminance to multiples of the scale and downscales it with MATLAB's bicubic.

  The target is that HR luminance; the input is `target / 255` downscaled, which protocol A does not
  round. The digest is of the whole luminance.
  """
  hr = luminance_alone(name, luminance, scale)
  lr = imresize(hr.target / 255.0, 1 / scale).astype(np.float32)
  return dataclasses.replace(hr, input=lr)


def luminance_alone(name: str, luminance: UInt8[np.ndarray, "h w"], scale: int) -> Pair:
  """As `make_pair`, but without an LR image: the input is empty."""
  hr = luminance[tuple(slice(side - side % scale) for side in luminance.shape)]
  return Pair(name, np.empty(0, np.float32), hr, pixel_digest(luminance))


def pair_of(name: str, inputs: Num[np.ndarray, "..."], target: Num[np.ndarray, "..."]) -> Pair:
  """A pair with a digest of both: it changes with whatever made one of them, a codec or a filter.

  Training does not go on with other pairs than it began with.
  """
  return Pair(name, inputs, target, pixel_digest(inputs) + pixel_digest(target))


def images_in(folder: Path) -> list[Path]:
  """The image files of a folder, sorted by name.

  Raises:
    InputError: it is missing, holds no image, or holds a symbolic link to an image elsewhere.
  """
  return files_in(folder, SUFFIXES, "image")


def pixel_digest(pixels: Num[np.ndarray, "..."]) -> str:
  """A hash of shape and values in 32 hexadecimal digits."""
  digest = hashlib.blake2b("x".join(map(str, pixels.shape)).encode(), digest_size=16)
  digest.update(np.ascontiguousarray(pixels).data)
  return digest.hexdigest()


def decode(file: Path | BytesIO, name: str = "") -> Image.Image:
  """Decodes an image file, which errors call `name`, rotated as its EXIF tag says.

  Raises:
    InputError: the file is not an image or is damaged.
  """
  try:
    with Image.open(file) as opened:
      image = ImageOps.exif_transpose(opened)
      image.load()
  except Exception as error:  # damaged files make Pillow's parsers raise any kind
    raise InputError(
      f"{name or file} cannot be read as an image ({error}); remove or replace it"
    ) from error
  return image


def read_luminance(file: Path | BytesIO, name: str = "") -> UInt8[np.ndarray, "h w"]:
  """Reads an image file's 8-bit luminance: Y of BT.601 (16..235) of colour, gray as it is."""
  return luminance(read_pixels(file, name))


def read_pixels(file: Path | BytesIO, name: str = "") -> UInt8[np.ndarray, "h w *c"]:
  """Reads an image file of any mode as 8-bit gray `(h, w)` or RGB `(h, w, 3)`.

  16-bit gray is rounded to 8 bits, transparency is ignored. Arguments are those of `decode`.

  Raises:
    InputError: the file is not an image, is damaged, or holds 32-bit pixels.
  """
  image = decode(file, name)
  if image.mode in ("F", "I"):
    raise InputError(f"{name or file} holds 32-bit pixels; save it with 8 or 16 bits a channel")
  if image.mode.startswith("I;16"):  # which Pillow's own conversion would clip at 255
    return np.floor(np.asarray(image, np.float64) / 257 + 0.5).clip(0, 255).astype(np.uint8)
  return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
