"""Where photographs come from: `sample_photos` in the package, or `folder:PATH`."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sr_jax.config import InputError
from sr_jax.data.images import SUFFIXES, Photo, make_photo, read_luminance

SPLITS = ("train", "validation", "test")
SAMPLE_PHOTOS = Path(__file__).parent / "sample_photos"


@dataclasses.dataclass(frozen=True)
class Photos:
  """The photographs of one comparison: disjoint files to train, to choose rates, and to test."""

  train: list[Photo]
  validation: list[Photo]
  test: list[Photo]

  def fingerprint(self) -> dict[str, str]:
    """A hash of the pixels of each split: two runs with equal ones saw equal images."""
    return {
      split: hashlib.sha256(
        b"".join(
          f"{photo.name} {photo.hr.shape}".encode() + photo.hr.tobytes()
          for photo in getattr(self, split)
        )
      ).hexdigest()[:16]
      for split in SPLITS
    }


def find(source: str) -> dict[str, list[Path]]:
  """The image files of each split, without reading them.

  Args:
    source: "sample_photos", or "folder:PATH" with PATH/train, PATH/validation and PATH/test.

  Raises:
    InputError: unknown source; a folder is missing or holds no image.
  """
  if source == "sample_photos":
    manifest = json.loads((SAMPLE_PHOTOS / "manifest.json").read_text())
    return {
      split: [SAMPLE_PHOTOS / f"{one['name']}.webp" for one in manifest if one["split"] == split]
      for split in SPLITS
    }
  kind, _, path = source.partition(":")
  if kind != "folder" or not path:
    raise InputError(f"--data={source} is not supported; use sample_photos or folder:PATH")
  return {split: _images_in(Path(path).expanduser() / split) for split in SPLITS}


def _images_in(folder: Path) -> list[Path]:
  if not folder.is_dir():
    raise InputError(
      f"there is no folder {folder}; --data=folder:PATH wants PATH/train, PATH/validation and "
      "PATH/test"
    )
  files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
  if not files:
    raise InputError(f"{folder} holds no image; put files there ending in {', '.join(SUFFIXES)}")
  return files


def load(source: str, scale: int, patch: int) -> Photos:
  """Reads all photographs of a source and makes their LR images.

  Args:
    source: as for `find`.
    scale: upscaling factor.
    patch: side of a training patch in LR pixels, which every training image must hold.

  Raises:
    InputError: as `find` and `read_luminance`, or an image is too small (named).
  """
  files = find(source)
  # Shaved by `scale` on each side, SSIM's window of 11 pixels must fit; sides are cropped to r.
  for_scoring = scale * -(-(2 * scale + 11) // scale)
  return Photos(
    **{
      split: _read(files[split], scale, patch * scale if split == "train" else for_scoring, split)
      for split in SPLITS
    }
  )


def _read(paths: Sequence[Path], scale: int, side: int, split: str) -> list[Photo]:
  train = split == "train"
  stems = [path.stem for path in paths]

  def read(path: Path) -> Photo:
    gray = read_luminance(path)
    height, width = gray.shape
    if min(height, width) // scale * scale < side:
      raise InputError(
        f"{path} is {width} x {height} pixels; at --scale={scale} it needs at least {side} x {side}"
        + (" to hold a patch (--patch)" if train else " for SSIM's window")
      )
    if not train and gray.min() == gray.max():
      raise InputError(f"{path} is one flat colour, which has no PSNR; remove it")
    name = path.stem if stems.count(path.stem) == 1 else path.name
    return make_photo(name, gray, scale)

  with ThreadPoolExecutor() as pool:  # decoding releases the interpreter lock
    return list(pool.map(read, paths))
