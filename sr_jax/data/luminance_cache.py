"""Decoding many images at once, and only once: their 8-bit luminance is kept in files."""

import contextlib
import dataclasses
import hashlib
import json
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from sr_jax.config import InputError
from sr_jax.runtime.console import with_progress

Given = TypeVar("Given")
Made = TypeVar("Made")
AT_ONCE = 64  # results that wait for their consumer, at most


@dataclasses.dataclass(frozen=True)
class Item:
  """An image that has not been read yet.

  Attributes:
    name: what results call it.
    where: what errors call it, as its path.
    key: what no other image has.
    stamp: changes whenever the image does; empty for one that is not worth caching.
    read: decodes its luminance.
  """

  name: str
  where: str
  key: str
  stamp: str
  read: Callable[[], UInt8[np.ndarray, "h w"]]


def short_names(files: Sequence[str]) -> list[str]:
  """File names without suffix, unless two would then be called the same."""
  stems = [Path(file).stem for file in files]
  times = Counter(stems)
  return [stem if times[stem] == 1 else file for stem, file in zip(stems, files, strict=True)]


def in_parallel(
  work: Callable[[Given], Made], items: Sequence[Given], title: str
) -> Iterator[Made]:
  """Does `work` on all items in threads, results in order; decoding releases Python's lock."""
  pool = ThreadPoolExecutor()
  blocks = (items[i : i + AT_ONCE] for i in range(0, len(items), AT_ONCE))
  try:
    made = (one for block in blocks for one in pool.map(work, block))
    yield from with_progress(made, len(items), title)
  finally:  # also when a signal stops it
    pool.shutdown(cancel_futures=True)


def stamp_of(path: Path) -> str:
  """Size and times of a file: none of its contents can change without them.

  The time of the last change of the inode is among them, which nobody can set back.
  """
  stat = path.stat()
  return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def fill(items: Sequence[Item], folder: Path) -> int:
  """Decodes what the cache does not hold yet; a kill loses only the images at work.

  Returns:
    the number of pixels of all items that are cached.

  Raises:
    InputError: an image cannot be read, or the folder cannot be written.
  """
  kept = [item for item in items if item.stamp]
  missing = [item for item in kept if _header(item, folder) is None]
  for _ in in_parallel(lambda item: read(item, folder).size, missing, "Decoding photographs"):
    pass
  shapes = [(_header(item, folder) or {"shape": (0, 0)})["shape"] for item in kept]
  return sum(height * width for height, width in shapes)


def read(item: Item, folder: Path) -> UInt8[np.ndarray, "h w"]:
  """An image's luminance from its cache file, or decoded and cached.

  Raises:
    InputError: the image cannot be read, or the folder cannot be written.
  """
  if not item.stamp:
    return item.read()
  if (header := _header(item, folder)) is not None:
    pixels = np.fromfile(_file(item, folder), np.uint8, offset=header["begins"])
    if pixels.size == np.prod(header["shape"]) and zlib.crc32(pixels.data) == header["crc32"]:
      return pixels.reshape(header["shape"])
  luminance = item.read()
  _write(item, folder, luminance)
  return luminance


def _file(item: Item, folder: Path) -> Path:
  name = hashlib.blake2b(item.key.encode(), digest_size=16).hexdigest()
  return folder / "luminance" / name[:2] / name[2:]


def _header(item: Item, folder: Path) -> dict[str, Any] | None:
  """The first line of an image's cache file; None if there is none, or it is of another stamp."""
  try:
    with _file(item, folder).open("rb") as file:
      header = json.loads(file.readline(1000))
      return {**header, "begins": file.tell()} if header["stamp"] == item.stamp else None
  except (KeyError, OSError, TypeError, ValueError):  # none yet, or damaged
    return None


def _write(item: Item, folder: Path, luminance: UInt8[np.ndarray, "h w"]) -> None:
  """Writes an image's cache file, which is at any moment the old one or the new one, whole."""
  path = _file(item, folder)
  luminance = np.ascontiguousarray(luminance)
  header = {"stamp": item.stamp, "shape": luminance.shape, "crc32": zlib.crc32(luminance.data)}
  fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with fresh.open("wb") as file:
      file.write(json.dumps(header).encode() + b"\n")
      file.write(luminance.data)
    fresh.replace(path)
  except OSError as error:
    with contextlib.suppress(OSError):
      fresh.unlink()
    raise InputError(
      f"--data_dir: {folder} cannot be written ({error.strerror}); name another folder"
    ) from error
