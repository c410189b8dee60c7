"""Scores a folder of super-resolved images against their references, by the field's protocol."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.data.images import decode, images_in
from sr_jax.evaluation.habits import Corrected, Habit, best_offset, undo_habits
from sr_jax.evaluation.metrics import SSIM_WINDOW, Pixels, score_image
from sr_jax.evaluation.variants import errors_by_variant

_MARKED = re.compile(r"[_\-. ](gt|hr)$")  # a reference, beside other files of its image
_ENDINGS = re.compile(r"([_\-. ](gt|hr|srf[_\-]?\d+)|[_\-. ]?x\d+)+$")
_SUFFIX = re.compile(r"$|[_\-. ]|x\d")  # may follow the reference's name in the result's


class Score(NamedTuple):
  """The scores of one image: PSNR in dB and SSIM of luminance, and those of variants and habits."""

  name: str  # the reference's file name
  psnr: float
  ssim: float
  luminance: str  # "Y of RGB" (protocol B) or "as in file" (protocol A)
  errors: dict[str, float | None]  # from `variants.errors_by_variant`
  corrected: dict[Habit, Corrected]  # from `habits.undo_habits`


def pair_images(reference: Path, restored: Path) -> list[tuple[Path, Path]]:
  """Pairs the images of two folders, `(reference, restored)` in order of name.

  The name of a restored image begins with that of its reference, whatever the case and without the
  reference's endings such as `_GT`, `_HR`, `_SRF_3` and `x3`: `baby_GT` fits `baby`, `baby_x3`,
  `babyx3` and `baby_SRF_3_espcn`. If names in the reference folder end in `_GT` or `_HR`, its other
  files are ignored.

  Raises:
    InputError: a folder is missing or empty, or an image has no partner or several.
  """
  references, results = images_in(reference), images_in(restored)
  if reference.resolve() == restored.resolve():
    raise InputError(f"--reference and --restored are the same folder, {reference}")
  references = [path for path in references if _MARKED.search(_name(path))] or references
  bare = {path: _ENDINGS.sub("", _name(path)) or _name(path) for path in references}
  by_name: dict[str, Path] = {}
  for path, name in bare.items():
    if (first := by_name.setdefault(name, path)) is not path:
      raise InputError(f"{first} and {path.name} are both references named {name!r}; keep one")
  partners: dict[Path, Path] = {}
  for result in results:
    name = _name(result)
    fitting = [p for p, b in bare.items() if name.startswith(b) and _SUFFIX.match(name, len(b))]
    if not fitting:
      raise InputError(f"the name of {result} begins with that of no image in {reference}")
    path = max(fitting, key=lambda path: len(bare[path]))
    if (first := partners.setdefault(path, result)) is not result:
      raise InputError(f"{first} and {result.name} both belong to {path.name} by name; keep one")
  if missing := [path for path in references if path not in partners]:
    raise InputError(
      f"{len(missing)} of {len(references)} references have no image in {restored}; the name of "
      f"the one for {missing[0].name} must begin with {bare[missing[0]]!r}"
    )
  return [(path, partners[path]) for path in references]


def _name(path: Path) -> str:
  return path.stem.lower()


def score_folder(pairs: Sequence[tuple[Path, Path]], scale: int) -> Iterator[Score]:
  """Yields the scores of image after image.

  The reference is cropped to a multiple of the scale, and so is a restored image of the reference's
  whole size. `scale` pixels are shaved off every side of both.

  A gray restored image holds luminance (protocol A; also an RGB one whose channels are equal while
  the reference's are not); of an RGB one luminance is computed (protocol B). A gray reference
  holds luminance, except for a result in colour.

  Raises:
    InputError: a file cannot be read, does not have 8 bits a channel or is transparent; the sizes
      of two images do not fit; an image is too small.
  """
  for reference, restored in pairs:
    truth, image = _read_pair(reference, restored, scale)
    as_in_file = image.ndim == 2 or (_is_gray(image) and not (truth.ndim == 3 and _is_gray(truth)))
    if as_in_file:
      image = image if image.ndim == 2 else image[:, :, 0]
    elif truth.ndim == 2:
      truth = np.repeat(truth[:, :, None], 3, axis=2)
    psnr, ssim = score_image(luminance(image), luminance(truth), scale)
    source = "as in file" if as_in_file else "Y of RGB"
    errors, corrected = errors_by_variant(image, truth, scale), undo_habits(image, truth, scale)
    yield Score(reference.name, psnr, ssim, source, errors, corrected)


def _is_gray(rgb: UInt8[np.ndarray, "h w 3"]) -> bool:
  return bool((rgb == rgb[:, :, :1]).all())


def _read_pair(
  reference: Path, restored: Path, scale: int
) -> tuple[UInt8[np.ndarray, "rh rw *c"], UInt8[np.ndarray, "rh rw *d"]]:
  """Reads two images and crops them to the same multiple of the scale."""
  truth, image = read_8_bit(reference), read_8_bit(restored)
  height, width = (side - side % scale for side in truth.shape[:2])
  if image.shape[:2] not in ((height, width), truth.shape[:2]):
    raise InputError(
      f"{restored} is {_size(image)} pixels, and {reference} is {_size(truth)}, at --scale={scale} "
      f"cropped to {width} x {height}; the two must be equal{_offset(image, truth, scale)}"
    )
  if min(height, width) < 2 * scale + SSIM_WINDOW:
    raise InputError(
      f"{reference} is {_size(truth)} pixels; at --scale={scale} SSIM's window needs at least "
      f"{2 * scale + SSIM_WINDOW} x {2 * scale + SSIM_WINDOW}"
    )
  return truth[:height, :width], image[:height, :width]


def _offset(image: Pixels, truth: UInt8[np.ndarray, "h2 w2 *d"], scale: int) -> str:
  """A clause on where an image lies in its reference of another size; empty if that is unclear."""
  if (best := best_offset(luminance(image), luminance(truth), scale)) is None:
    return ""
  (row, column), db = best
  return (
    f"; it fits best, at {db:.2f} dB, with its first pixel at row {row} and column {column} of the "
    "reference, counted from 0: crop or pad it to the reference's size there"
  )


def _size(pixels: Pixels) -> str:
  return f"{pixels.shape[1]} x {pixels.shape[0]}"


def read_8_bit(path: Path) -> Pixels:
  """Reads an image of 8 bits a channel, `(h, w)` gray or `(h, w, 3)` RGB.

  Raises:
    InputError: the file cannot be read, has more than 8 bits a channel or is transparent.
  """
  image = decode(path)
  with Image.open(path) as file:  # Pillow reads 16-bit RGB as 8-bit, and only this shows it
    deep = ";16" in str(file.tile) or file.mode[0] in "IF"
  if deep:
    raise InputError(f"{path} has more than 8 bits a channel; the protocol takes 8: save it with 8")
  if image.has_transparency_data and np.asarray(image.convert("RGBA"))[:, :, 3].min() < 255:
    raise InputError(f"{path} is transparent in places; save it without its alpha channel")
  return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
