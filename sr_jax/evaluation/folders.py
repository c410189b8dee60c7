"""Scores a folder of super-resolved images against their references, by the field's protocol."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.data.images import decode, images_in
from sr_jax.evaluation.habits import Habit, Undone, best_offset, undone
from sr_jax.evaluation.metrics import SSIM_WINDOW, score_image
from sr_jax.evaluation.variants import errors

Pixels = UInt8[np.ndarray, "h w *c"]  # gray, or RGB

_MARKED = re.compile(r"[_\-. ](gt|hr)$")  # how a reference is told from other files of its image
_ENDINGS = re.compile(r"([_\-. ](gt|hr|srf[_\-]?\d+)|[_\-. ]?x\d+)+$")
_GOES_ON = re.compile(r"$|[_\-. ]|x\d")  # what may follow the reference's name in the result's


@dataclasses.dataclass(frozen=True)
class Score:
  """What one image scores.

  Attributes:
    name: the reference's file name.
    psnr: in dB, of luminance.
    ssim: of luminance.
    luminance: "Y of RGB" (protocol B) or "as in file" (protocol A).
    errors: mean squared error by the field's variants, see `variants.errors`.
    undone: what it scores with each habit undone that spoils comparisons, see `habits.undone`.
  """

  name: str
  psnr: float
  ssim: float
  luminance: str
  errors: dict[str, float | None]
  undone: dict[Habit, Undone]


def pair(reference: Path, restored: Path) -> list[tuple[Path, Path]]:
  """Pairs the images of two folders, `(reference, restored)` in order of name.

  A restored image belongs to the reference whose name its own begins with, capitals aside. From
  the reference's name, endings such as `_GT`, `_HR`, `_SRF_3` and `x3` are taken off first, so
  that `baby_GT` fits `baby`, `baby_x3`, `babyx3` and `baby_SRF_3_espcn`. Where some references
  end in `_GT` or `_HR`, the folder's other files are none.

  Raises:
    InputError: a folder is missing or empty, or an image has no partner or several.
  """
  references, results = images_in(reference), images_in(restored)
  if reference.resolve() == restored.resolve():
    raise InputError(f"--reference and --restored are the same folder, {reference}")
  references = [path for path in references if _MARKED.search(_name(path))] or references
  bare = {path: _ENDINGS.sub("", _name(path)) or _name(path) for path in references}
  found: dict[Path, Path] = {}
  taken: dict[str, Path] = {}
  for path, name in bare.items():
    if name in taken:
      raise InputError(
        f"{taken[name]} and {path.name} are both references named {name!r}; keep one"
      )
    taken[name] = path
  for result in results:
    name = _name(result)
    fits = [p for p, b in bare.items() if name.startswith(b) and _GOES_ON.match(name, len(b))]
    if not fits:
      raise InputError(f"the name of {result} begins with that of no image in {reference}")
    best = max(fits, key=lambda path: len(bare[path]))
    if best in found:
      raise InputError(
        f"{found[best]} and {result.name} both belong to {best.name} by name; keep one of them"
      )
    found[best] = result
  missing = [path for path in references if path not in found]
  if missing:
    raise InputError(
      f"{len(missing)} of {len(references)} references have no image in {restored}, where a name "
      f"would begin with {bare[missing[0]]!r} for {missing[0].name}"
    )
  return [(path, found[path]) for path in references]


def _name(path: Path) -> str:
  return path.stem.lower()


def score_folder(pairs: Sequence[tuple[Path, Path]], scale: int) -> Iterator[Score]:
  """Scores image by image, as it is asked for the next.

  The reference is cropped to a multiple of the scale, and the restored image with it if it has
  the reference's whole size. `scale` pixels are shaved off every side of both.

  A gray restored image holds luminance (protocol A; also an RGB one whose channels are equal while
  the reference's are not); of an RGB one luminance is computed (protocol B). A gray reference is
  taken as it is, except beside a result in colour.

  Args:
    pairs: as from `pair`.
    scale: upscaling factor r.

  Raises:
    InputError: a file cannot be read, has not 8 bits a channel or is transparent; the sizes of
      two do not fit; an image is too small.
  """
  for reference, restored in pairs:
    truth, image = _fit(reference, restored, scale)
    as_in_file = image.ndim == 2 or (_is_gray(image) and not (truth.ndim == 3 and _is_gray(truth)))
    if as_in_file:
      image = image if image.ndim == 2 else image[:, :, 0]
    elif truth.ndim == 2:
      truth = np.repeat(truth[:, :, None], 3, axis=2)
    psnr, ssim = score_image(luminance(image), luminance(truth), scale)
    how = "as in file" if as_in_file else "Y of RGB"
    mended = undone(image, truth, scale)
    yield Score(reference.name, psnr, ssim, how, errors(image, truth, scale), mended)


def _is_gray(rgb: UInt8[np.ndarray, "h w 3"]) -> bool:
  return bool((rgb == rgb[:, :, :1]).all())


def _fit(
  reference: Path, restored: Path, scale: int
) -> tuple[UInt8[np.ndarray, "rh rw *c"], UInt8[np.ndarray, "rh rw *d"]]:
  """The two images, cropped to the same multiple of the scale."""
  truth, image = read_8_bit(reference), read_8_bit(restored)
  height, width = (side - side % scale for side in truth.shape[:2])
  if image.shape[:2] not in ((height, width), truth.shape[:2]):
    raise InputError(
      f"{restored} is {_size(image)} pixels, and {reference} is {_size(truth)}, at --scale={scale} "
      f"cropped to {width} x {height}; the two must be equal{_where(image, truth, scale)}"
    )
  if min(height, width) < 2 * scale + SSIM_WINDOW:
    raise InputError(
      f"{reference} is {_size(truth)} pixels; at --scale={scale} SSIM's window needs at least "
      f"{2 * scale + SSIM_WINDOW} x {2 * scale + SSIM_WINDOW}"
    )
  return truth[:height, :width], image[:height, :width]


def _where(
  image: UInt8[np.ndarray, "h w *c"], truth: UInt8[np.ndarray, "h2 w2 *d"], scale: int
) -> str:
  """Where an image lies in its reference that has another size, if it can be told."""
  fit = best_offset(luminance(image), luminance(truth), scale)
  if fit is None:
    return ""
  (row, column), db = fit
  return (
    f"; it fits best, at {db:.2f} dB, with its first pixel at row {row} and column {column} of the "
    "reference, counted from 0: crop or pad it to the reference's size there"
  )


def _size(pixels: Pixels) -> str:
  return f"{pixels.shape[1]} x {pixels.shape[0]}"


def read_8_bit(path: Path) -> Pixels:
  """Reads an image whose pixels need no interpretation: `(h, w)` gray or `(h, w, 3)` RGB.

  Raises:
    InputError: the file cannot be read, has more than 8 bits a channel or is transparent.
  """
  image = decode(path)
  with Image.open(path) as file:  # Pillow reads 16-bit RGB as 8-bit, and says so here alone
    deep = ";16" in str(file.tile) or file.mode[0] in "IF"
  if deep:
    raise InputError(
      f"{path} has more than 8 bits a channel; the protocol rounds to 8 before it compares: save "
      "it so"
    )
  if (
    image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255,) * 2
  ):
    raise InputError(f"{path} is transparent in places; save it without its alpha channel")
  return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
