"""Decodes images in threads, each image once: a cache of files keeps their 8-bit luminance."""

import contextlib
import hashlib
import json
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.runtime.console import with_progress

Input = TypeVar("Input")
Output = TypeVar("Output")
MAX_WAITING = 64  # results that wait for their consumer


class Item(NamedTuple):
  """An image that is not read yet."""

  name: str  # in results
  where: str  # its name in errors, as its path
  key: str  # unique to this image
  stamp: str  # changes whenever the image does; empty if the image is not to be cached
  decode: Callable[[], UInt8[np.ndarray, "h w *c"]]  # its gray `(h, w)` or RGB `(h, w, 3)`


def short_names(files: Sequence[str]) -> list[str]:
  """File names without suffix, except where two would then be equal."""
  stems = [Path(file).stem for file in files]
  counts = Counter(stems)
  return [stem if counts[stem] == 1 else file for stem, file in zip(stems, files, strict=True)]


def map_in_threads(
  function: Callable[[Input], Output], items: Sequence[Input], title: str
) -> Iterator[Output]:
  """Yields `function` of every item, in order; decoding in threads releases Python's lock."""
  pool = ThreadPoolExecutor()
  blocks = (items[i : i + MAX_WAITING] for i in range(0, len(items), MAX_WAITING))
  try:
    results = (result for block in blocks for result in pool.map(function, block))
    yield from with_progress(results, len(items), title)
  finally:  # also after a signal
    pool.shutdown(cancel_futures=True)


def file_stamp(path: Path) -> str:
  """Size and times of a file, which change whenever its contents do."""
  stat = path.stat()  # no program can set the time of the inode's last change, ctime
  return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def fill(items: Sequence[Item], folder: Path) -> int:
  """Decodes the images that the cache lacks and returns the number of pixels of all cached ones.

  A kill loses only those being decoded.

  Raises:
    InputError: as `read`.
  """
  cached = [item for item in items if item.stamp]
  missing = [item for item in cached if _header(item, folder) is None]
  for _ in map_in_threads(lambda item: read(item, folder).size, missing, "Decoding photographs"):
    pass
  shapes = [(_header(item, folder) or {"shape": (0, 0)})["shape"] for item in cached]
  return sum(height * width for height, width in shapes)


def read(item: Item, folder: Path) -> UInt8[np.ndarray, "h w"]:
  """Reads an image's luminance from its cache file, or decodes the image and caches it.

  Raises:
    InputError: the image cannot be read, or the folder cannot be written.
  """
  if not item.stamp:
    return luminance(item.decode())
  if (header := _header(item, folder)) is not None:
    pixels = np.fromfile(_cache_file(item, folder), np.uint8, offset=header["begins"])
    if pixels.size == np.prod(header["shape"]) and zlib.crc32(pixels.data) == header["crc32"]:
      return pixels.reshape(header["shape"])
  gray = luminance(item.decode())
  _write(item, folder, gray)
  return gray


def read_colour(item: Item) -> UInt8[np.ndarray, "h w 3"]:
  """Decodes an image as RGB; gray is repeated. Nothing is cached.

  Raises:
    InputError: the image cannot be read.
  """
  pixels = item.decode()
  return np.stack([pixels] * 3, axis=2) if pixels.ndim == 2 else pixels


def _cache_file(item: Item, folder: Path) -> Path:
  name = hashlib.blake2b(item.key.encode(), digest_size=16).hexdigest()
  return folder / "luminance" / name[:2] / name[2:]


def _header(item: Item, folder: Path) -> dict[str, Any] | None:
  """The first line of an image's cache file; None without a file of the same stamp."""
  try:
    with _cache_file(item, folder).open("rb") as file:
      header = json.loads(file.readline(1000))
      return {**header, "begins": file.tell()} if header["stamp"] == item.stamp else None
  except (KeyError, OSError, TypeError, ValueError):  # no file yet, or a damaged one
    return None


def _write(item: Item, folder: Path, gray: UInt8[np.ndarray, "h w"]) -> None:
  """Replaces an image's cache file atomically."""
  path = _cache_file(item, folder)
  gray = np.ascontiguousarray(gray)
  header = {"stamp": item.stamp, "shape": gray.shape, "crc32": zlib.crc32(gray.data)}
  new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with new.open("wb") as file:
      file.write(json.dumps(header).encode() + b"\n")
      file.write(gray.data)  # without a copy
    new.replace(path)
  except OSError as error:
    with contextlib.suppress(OSError):
      new.unlink()
    raise InputError(
      f"--data_dir: {folder} cannot be written ({error.strerror}); name another folder"
    ) from error
