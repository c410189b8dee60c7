"""Reads the photographs of a comparison, makes their LR images and drops overlaps between sets."""

import dataclasses
import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.config import Execution, InputError
from sr_jax.data import luminance_cache
from sr_jax.data.finding import (
  HELD_OUT,
  SPLITS,
  UNUSED,
  ImageSets,
  find,
  parts_of,
  same_photographs,
  test_name,
)
from sr_jax.data.images import make_pair
from sr_jax.data.luminance_cache import Item, map_in_threads
from sr_jax.data.pairs import Pair
from sr_jax.data.recognition import describe_copies, find_copies, recognise
from sr_jax.data.splits import pick
from sr_jax.runtime import processes
from sr_jax.runtime.console import log
from sr_jax.runtime.devices import machine_memory

Job = tuple[str, Item]  # the name of a set, and an image of it
EXCHANGED = 4  # photographs of a process at a time: their pixels pass through a chip's memory


@dataclasses.dataclass(frozen=True)
class Photos:
  """The photographs of one comparison, in sets without overlap."""

  train: list[Pair]
  validation: list[Pair]
  tests: dict[str, list[Pair]]  # one or more by name ("test" where held out); the first decides
  notes: list[str]  # sentences on which sets are genuine, and what they share

  @property
  def test(self) -> list[Pair]:
    """The photographs of the first test set."""
    return next(iter(self.tests.values()))

  @property
  def further_tests(self) -> dict[str, list[Pair]]:
    """The test sets after the first."""
    return dict(itertools.islice(self.tests.items(), 1, None))

  def fingerprint(self) -> dict[str, str]:
    """A hash of the pixels of each set; runs with equal hashes read equal images."""
    sets = {split: getattr(self, split) for split in SPLITS} | self.further_tests
    return {
      name: hashlib.sha256(
        "\n".join(f"{p.name} {p.target.shape} {p.digest}" for p in photos).encode()
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
  make: Callable[[str, np.ndarray, int], Pair] = make_pair,
  validation_images: int = 0,
) -> Photos:
  """Reads all photographs, of sources as `finding.find` describes them, and makes their LR images.

  The sets of a test set A+B are joined after overlaps between all sets are dropped. Every training
  image must hold a patch of `patch` x `patch` LR pixels. `make` makes a pair, whose input is
  float32 and whose target bytes, of a name, luminance and scale.

  Raises:
    InputError: as `find` and `read_luminance`; an image is too small; two sets are the same
      photographs; or the machine has too little memory.
  """
  execution = execution or Execution()
  cache = Path(execution.data_dir).expanduser()
  images = _find_on_every_process(
    functools.partial(find, data, validation, tests, execution, validation_images)
  )
  _decode(images, scale, cache)
  read = functools.partial(_read_photo, scale=scale, patch=patch, cache=cache, make=make)
  jobs = [(name, item) for name, items in images.sets.items() for item in items]
  photos = _read_on_all_processes(read, jobs)
  sets = {name: list(itertools.islice(photos, len(items))) for name, items in images.sets.items()}
  notes = _recognise(images, sets) + _drop_overlaps(sets)
  train, validating = sets.pop("train"), sets.pop("validation")
  return Photos(train, validating, _join(sets, tests), notes)


def _join(sets: dict[str, list[Pair]], tests: Sequence[str]) -> dict[str, list[Pair]]:
  """The test sets, those of A+B as one of this name.

  Raises:
    InputError: two photographs of a set would have the same name.
  """
  joined = {}
  for test in tests:
    parts = [test_name(part) for part in parts_of(test)]
    photos = joined["+".join(parts)] = [photo for part in parts for photo in sets[part]]
    names = [photo.name for photo in photos]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
      raise InputError(
        f"--test_data={test}: {repeated[0]} is in several of these sets, and names of a set must "
        "differ; rename the file, or give the sets apart"
      )
  return joined


def select(photos: Photos, distinct: bool, fraction: float, validation_images: int) -> Photos:
  """Selects fewer photographs, by their names alone.

  Args:
    photos: from `load`.
    distinct: whether to keep one of several training photographs with equal pixels.
    fraction: of the training photographs to keep, at least one.
    validation_images: the largest number of validation photographs to keep; 0 for all.
  """
  train, notes = photos.train, list(photos.notes)
  if distinct:
    train = list({photo.digest: photo for photo in reversed(train)}.values())[::-1]
    if duplicates := len(photos.train) - len(train):
      notes.append(f"Trained on {len(train)} distinct photographs: {duplicates} were there twice.")
  if fraction < 1:
    train = _pick(train, max(1, round(fraction * len(train))))
    notes.append(f"Trained on a part of the photographs: {len(train)}.")
  validation = photos.validation
  if validation_images and validation_images < len(validation):
    validation = _pick(validation, validation_images)
    notes.append(f"Validated on {validation_images} photographs of {len(photos.validation)}.")
  return Photos(train, validation, photos.tests, notes)


def _pick(photos: list[Pair], count: int) -> list[Pair]:
  return pick(photos, lambda photo: photo.name, count)


def _find_on_every_process(find_images: Callable[[], ImageSets]) -> ImageSets:
  """Lists the images in every process; in the primary first, which may have to prepare a set.

  Raises:
    InputError: as `find_images`; or the processes find different images.
  """
  find_once = functools.cache(find_images)

  def names() -> dict[str, list[str]]:
    return {name: [item.name for item in items] for name, items in find_once().sets.items()}

  processes.broadcast_from_primary(names)
  processes.assert_equal_across_processes(
    processes.all_gather(names)[processes.index()],
    "the processes do not find the same photographs; put them into one folder that all share",
  )
  return find_once()


def _decode(images: ImageSets, scale: int, cache: Path) -> None:
  """Decodes what the cache lacks, each process its part, and checks what memory all will take."""
  pixels = {}
  for name, items in images.sets.items():
    own = items[processes.index() :: processes.count()]
    pixels[name] = sum(processes.all_gather(functools.partial(luminance_cache.fill, own, cache)))
  count, copies = sum(map(len, images.sets.values())), processes.count_on_this_machine()
  processes.all_gather(lambda: _check_memory(pixels, scale, count, copies))


def _check_memory(pixels: dict[str, int], scale: int, count: int, copies: int) -> None:
  """Refuses more images than this machine can hold; logs the memory of many.

  Every process holds all images and, in the store, a copy of those to train on, which all devices
  of a CPU share.
  """
  pixel_bytes = 1 + 4 / scale**2  # HR as uint8 and LR as float32
  store = pixel_bytes * pixels["train"] / 2**30
  needed = copies * (pixel_bytes * sum(pixels.values()) / 2**30 + store)
  memory = machine_memory() / 2**30
  where = f" in {copies} processes" if copies > 1 else ""
  if needed > memory:
    raise InputError(
      f"{count} photographs{where} need {needed:.1f} GiB of memory and this machine has "
      f"{memory:.1f} GiB; use fewer{' photographs or processes' if where else ''}"
    )
  if needed > 0.5:
    images = f"{count} photographs{where}"
    log(f"{images}: {needed:.1f} GiB of memory, and {store:.1f} GiB on the device")


def _read_on_all_processes(read: Callable[[Job], Pair], jobs: Sequence[Job]) -> Iterator[Pair]:
  """Yields photographs in order; each process reads every n-th and gets the others' pixels."""
  title, count = "Reading photographs", processes.count()
  if count == 1:
    yield from map_in_threads(read, jobs, title)
    return
  step = EXCHANGED * count
  for block in (jobs[i : i + step] for i in range(0, len(jobs), step)):
    own: list[Pair] = []

    def read_own(block: Sequence = block, own: list[Pair] = own) -> list[Any]:
      own += map_in_threads(read, block[processes.index() :: count], title)
      return [[photo.name, photo.digest, photo.target.shape, photo.input.shape] for photo in own]

    headers = processes.all_gather(read_own)
    pixels = processes.exchange_bytes(b"".join(p.target.tobytes() + p.input.tobytes() for p in own))
    by_process = [list(_unpack(*message)) for message in zip(headers, pixels, strict=True)]
    yield from (by_process[i % count][i // count] for i in range(len(block)))


def _unpack(headers: list[Any], pixels: bytes) -> Iterator[Pair]:
  stream = BytesIO(pixels)
  for name, digest, hr_shape, lr_shape in headers:
    hr = np.frombuffer(stream.read(math.prod(hr_shape)), np.uint8)
    lr = np.frombuffer(stream.read(4 * math.prod(lr_shape)), np.float32)
    yield Pair(name, lr.reshape(lr_shape), hr.reshape(hr_shape), digest)


def _read_photo(
  job: Job, scale: int, patch: int, cache: Path, make: Callable[[str, np.ndarray, int], Pair]
) -> Pair:
  name, item = job
  gray = luminance_cache.read(item, cache)
  trains, (height, width) = name == "train", gray.shape
  # Shaved by `scale` on each side, SSIM's window of 11 pixels must fit; sides are cropped to r.
  side = scale * (patch if trains else math.ceil((2 * scale + 11) / scale))
  if min(height, width) // scale * scale < side:
    raise InputError(
      f"{item.where} is {width} x {height} pixels; at scale {scale} it needs at least "
      f"{side} x {side} for " + (f"a patch of {patch} LR pixels" if trains else "SSIM's window")
    )
  if not trains and gray.min() == gray.max():
    raise InputError(f"{item.where} is one flat colour, which has no PSNR; remove it")
  return make(item.name, gray, scale)


def _recognise(images: ImageSets, sets: dict[str, list[Pair]]) -> list[str]:
  """Sentences on which sets are the field's own."""
  digests: dict[str, list[str]] = {}
  for name, origin in images.origin.items():
    digests.setdefault(origin, []).extend(photo.digest for photo in sets[name])
  return list(filter(None, (recognise(origin, hashes) for origin, hashes in digests.items())))


def _drop_overlaps(sets: dict[str, list[Pair]]) -> list[str]:
  """Keeps a photograph that is in several sets only in the last of them; test sets stay whole.

  Returns sentences on which sets share photographs, and on what is left out.

  Raises:
    InputError: all photographs of a set are in another one.
  """
  digests = {name: {photo.digest for photo in photos} for name, photos in sets.items()}
  roles = {
    "train": ("training", "validation or a test set", "train on"),
    "validation": ("validation", "a test set", "choose rates by"),
    UNUSED: ("the unused validation photographs", "another test set", "test on"),
  }
  for a, b in itertools.combinations(sets, 2):
    both_are_tests = a not in roles
    if digests[a] <= digests[b] or (both_are_tests and digests[b] <= digests[a]):
      raise same_photographs(a, b)
  copies = find_copies(sets)
  notes = [f"WARNING: {sentence}" for sentence in describe_copies(copies)]
  for role in filter(sets.__contains__, roles):
    called, later, use = roles[role]
    shared = [pairs for (a, b), pairs in copies.items() if a == role != b]
    dropped = {name for name, _ in itertools.chain.from_iterable(shared)}
    sets[role] = [photo for photo in sets[role] if photo.name not in dropped]
    if not sets[role]:
      raise InputError(
        f"no photograph is left to {use}: {later} has all of them; name another set with --data, "
        "--validation_data or --test_data"
      )
    if dropped:
      notes.append(f"Left out of {called}, since {later} has them: {', '.join(sorted(dropped))}.")
  return notes
