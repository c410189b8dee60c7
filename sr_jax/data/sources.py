"""Reads the photographs of a comparison: decoded once, paired, checked against one another."""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.config import Execution, InputError
from sr_jax.data import luminance_cache
from sr_jax.data.finding import HELD_OUT, SPLITS, Found, find, same_set
from sr_jax.data.images import Photo, make_photo
from sr_jax.data.luminance_cache import Item, in_parallel
from sr_jax.data.patches import machine_memory
from sr_jax.data.recognition import copies, describe, recognise
from sr_jax.runtime import processes
from sr_jax.runtime.console import log

SHARE = 4  # photographs that a process reads before all tell one another: no chip holds many


@dataclasses.dataclass(frozen=True)
class Photos:
  """The photographs of one comparison: disjoint files to train, to choose rates, and to test.

  Attributes:
    train: to train on.
    validation: to choose rates by.
    tests: one or more test sets by name ("test" where held out); the first one decides.
    notes: sentences on which sets are genuine, and what they share.
  """

  train: list[Photo]
  validation: list[Photo]
  tests: dict[str, list[Photo]]
  notes: list[str]

  @property
  def test(self) -> list[Photo]:
    """The photographs of the first test set."""
    return next(iter(self.tests.values()))

  @property
  def further_tests(self) -> dict[str, list[Photo]]:
    """The test sets after the first."""
    return dict(itertools.islice(self.tests.items(), 1, None))

  def fingerprint(self) -> dict[str, str]:
    """A hash of the pixels of each set: two runs with equal ones saw equal images."""
    sets = {split: getattr(self, split) for split in SPLITS} | self.further_tests
    return {
      name: hashlib.sha256(
        "\n".join(f"{one.name} {one.hr.shape} {one.digest}" for one in photos).encode()
      ).hexdigest()[:16]
      for name, photos in sets.items()
    }


def load(
  data: str,
  scale: int,
  patch: int,
  validation: str = HELD_OUT,
  tests: Sequence[str] = (HELD_OUT,),
  execution: Execution | None = None,
) -> Photos:
  """Reads all photographs and makes their LR images.

  Args:
    data: source of the training photographs: sample_photos, folder:PATH or tfds:NAME.
    scale: upscaling factor.
    patch: side of a training patch in LR pixels, which every training image must hold.
    validation: "held_out" for the validation photographs of `data`, else as one of `tests`.
    tests: "held_out" for the test photographs of `data`, else a source; a bare NAME is tfds:NAME.
    execution: names the folders `manual_dir` and `data_dir`.

  Raises:
    InputError: as `finding.find` and `read_luminance`; an image is too small (named); two sets
      are the same photographs; or there is too little memory.
  """
  execution = execution or Execution()
  cache = Path(execution.data_dir).expanduser()
  found = _find_alike(data, validation, tests, execution)
  _decode(found, scale, cache)
  # Shaved by `scale` on each side, SSIM's window of 11 pixels must fit; sides are cropped to r.
  for_scoring = scale * -(-(2 * scale + 11) // scale)

  def read(job: tuple[str, Item]) -> Photo:
    trains = job[0] == "train"
    return _read(job[1], scale, patch * scale if trains else for_scoring, trains, cache)

  jobs = [(name, item) for name, items in found.sets.items() for item in items]
  photos = _read_share_alike(read, jobs)
  sets = {name: list(itertools.islice(photos, len(items))) for name, items in found.sets.items()}
  notes = _recognise(found, sets) + _compare(sets)
  return Photos(sets.pop("train"), sets.pop("validation"), sets, notes)


def select(photos: Photos, distinct: bool, fraction: float, validation_images: int) -> Photos:
  """Fewer photographs, chosen by their names alone.

  Args:
    photos: from `load`.
    distinct: keep one of each training photograph that is there twice, pixel for pixel.
    fraction: of the training photographs to keep, at least one.
    validation_images: how many validation photographs to keep at most; 0 for all.
  """
  train, notes = photos.train, list(photos.notes)
  if distinct:
    train = list({photo.digest: photo for photo in reversed(train)}.values())[::-1]
    if twice := len(photos.train) - len(train):
      notes.append(f"Trained on {len(train)} distinct photographs: {twice} were there twice.")
  if fraction < 1:
    train = _pick(train, max(1, round(fraction * len(train))))
    notes.append(f"Trained on a part of the photographs: {len(train)}.")
  validation = photos.validation
  if validation_images and validation_images < len(validation):
    validation = _pick(validation, validation_images)
    notes.append(f"Validated on {validation_images} photographs of {len(photos.validation)}.")
  return Photos(train, validation, photos.tests, notes)


def _pick(photos: list[Photo], count: int) -> list[Photo]:
  shuffled = sorted(photos, key=lambda photo: hashlib.sha256(photo.name.encode()).digest())
  chosen = {id(photo) for photo in shuffled[:count]}
  return [photo for photo in photos if id(photo) in chosen]


def _decode(found: Found, scale: int, cache: Path) -> None:
  """Decodes what is not in the cache, then says what memory all images will take.

  Raises:
    InputError: this machine has not as much.
  """
  pixels = {name: _fill(items, cache) for name, items in found.sets.items()}
  count, copies = sum(map(len, found.sets.values())), processes.count_on_this_machine()
  processes.all_gather(lambda: _check_memory(pixels, scale, count, copies))


def _check_memory(pixels: dict[str, int], scale: int, count: int, copies: int) -> None:
  """Refuses more images than this machine can hold; says what many take.

  Every process holds all images and, end to end, a copy of those to train on, which all devices of
  a CPU share.
  """
  a_pixel = 1 + 4 / scale**2  # bytes: HR as uint8 and LR as float32
  store = a_pixel * pixels["train"] / 2**30
  needed = copies * (a_pixel * sum(pixels.values()) / 2**30 + store)
  there = machine_memory() / 2**30
  each = f" in {copies} processes" if copies > 1 else ""
  if needed > there:
    raise InputError(
      f"{count} photographs{each} need {needed:.1f} GiB of memory and this machine has {there:.1f} "
      f"GiB; use fewer{' photographs or processes' if each else ''}"
    )
  if needed > 0.5:
    log(f"{count} photographs{each}: {needed:.1f} GiB of memory, and {store:.1f} GiB on the device")


def _find_alike(data: str, validation: str, tests: Sequence[str], execution: Execution) -> Found:
  """What every process finds, the first one before the others: it may have to prepare a set.

  Raises:
    InputError: as `find`; or it is not the same in all of them.
  """
  found: list[Found] = []

  def look() -> dict[str, list[str]]:
    if not found:
      found.append(find(data, validation, tests, execution))
    return {name: [item.name for item in items] for name, items in found[0].sets.items()}

  processes.broadcast_from_primary(look)
  processes.assert_equal_across_processes(
    processes.all_gather(look)[processes.index()],
    "the processes do not find the same photographs; put them into one folder that all share",
  )
  return found[0]


def _fill(items: Sequence[Item], cache: Path) -> int:
  """Decodes images, each process its share; the pixels of all of them."""
  mine = items[processes.index() :: processes.count()]
  return sum(processes.all_gather(lambda: luminance_cache.fill(mine, cache)))


def _read_share_alike(
  read: Callable[[tuple[str, Item]], Photo], jobs: Sequence[tuple[str, Item]]
) -> Iterator[Photo]:
  """Reads photographs in order: each process a share of the files, and the rest from the others."""
  title, every = "Reading photographs", processes.count()
  if every == 1:
    yield from in_parallel(read, jobs, title)
    return
  at_once = SHARE * every
  for block in (jobs[i : i + at_once] for i in range(0, len(jobs), at_once)):
    mine: list[Photo] = []

    def read_mine(block: Sequence = block, mine: list[Photo] = mine) -> list[Any]:
      mine += in_parallel(read, block[processes.index() :: every], title)
      return [[one.name, one.digest, one.hr.shape, one.lr.shape] for one in mine]

    about = processes.all_gather(read_mine)
    pixels = processes.exchange_bytes(b"".join(p.hr.tobytes() + p.lr.tobytes() for p in mine))
    shares = [list(_unpacked(*one)) for one in zip(about, pixels, strict=True)]
    yield from (shares[i % every][i // every] for i in range(len(block)))


def _unpacked(about: list[Any], pixels: bytes) -> Iterator[Photo]:
  begin = 0
  for name, digest, hr_shape, lr_shape in about:
    middle = begin + math.prod(hr_shape)
    end = middle + 4 * math.prod(lr_shape)
    hr = np.frombuffer(pixels[begin:middle], np.uint8).reshape(hr_shape)
    lr = np.frombuffer(pixels[middle:end], np.float32).reshape(lr_shape)
    yield Photo(name, hr, lr, digest)
    begin = end


def _read(item: Item, scale: int, side: int, trains: bool, cache: Path) -> Photo:
  gray = luminance_cache.read(item, cache)
  height, width = gray.shape
  if min(height, width) // scale * scale < side:
    raise InputError(
      f"{item.where} is {width} x {height} pixels; at --scale={scale} it needs at least "
      f"{side} x {side}" + (" to hold a patch (--patch)" if trains else " for SSIM's window")
    )
  if not trains and gray.min() == gray.max():
    raise InputError(f"{item.where} is one flat colour, which has no PSNR; remove it")
  return make_photo(item.name, gray, scale)


def _recognise(found: Found, sets: dict[str, list[Photo]]) -> list[str]:
  """Says which of the sets given are the field's own."""
  digests: dict[str, list[str]] = {}
  for name, origin in found.origin.items():
    digests.setdefault(origin, []).extend(photo.digest for photo in sets[name])
  said = [recognise(origin, some) for origin, some in digests.items()]
  return [sentence for sentence in said if sentence]


def _compare(sets: dict[str, list[Photo]]) -> list[str]:
  """Leaves each photograph in the last role that it has, and says which sets shared some.

  Those of test sets leave training and validation, those of validation leave training. Test sets
  stay whole.

  Raises:
    InputError: all those of a set are in another one.
  """
  digests = {name: {photo.digest for photo in photos} for name, photos in sets.items()}
  roles = {
    "train": ("training", "validation or a test set", "train on"),
    "validation": ("validation", "a test set", "choose rates by"),
  }
  for one, other in itertools.combinations(sets, 2):
    both_are_tests = one not in roles
    if digests[one] <= digests[other] or (both_are_tests and digests[other] <= digests[one]):
      raise same_set(one, other)
  shared = copies(sets)
  notes = [f"WARNING: {sentence}" for sentence in describe(shared)]
  for role, (called, later, use) in roles.items():
    taken = {
      name
      for (one, other), pairs in shared.items()
      for name, _ in pairs
      if one == role and other != role
    }
    sets[role] = [photo for photo in sets[role] if photo.name not in taken]
    if not sets[role]:
      raise InputError(
        f"no photograph is left to {use}: {later} has all of them; name another set with --data, "
        "--validation_data or --test_data"
      )
    if taken:
      notes.append(f"Left out of {called}, since {later} has them: {', '.join(sorted(taken))}.")
  return notes
