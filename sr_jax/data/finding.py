"""Which images a comparison trains on, chooses rates by and tests on, before any is read.

A source is `sample_photos` (in the package), `folder:PATH`, or `tfds:NAME`: the photographs of the
folder NAME under `--manual_dir`, or a prepared set of TFDS's catalogue.
"""

import functools
import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from sr_jax.config import Execution, InputError
from sr_jax.data.images import images_in, read_luminance, refuse_link_out
from sr_jax.data.luminance_cache import Item, short_names, stamp_of

SPLITS = ("train", "validation", "test")
SAMPLE_PHOTOS = Path(__file__).parent / "sample_photos"
HELD_OUT = "held_out"
MOST_HELD_OUT = 100  # images, for validation and for test
# The two folders of DIV2K's archives; any other set is the one folder of its name.
DIV2K = {"train": "DIV2K_train_HR", "validation": "DIV2K_valid_HR"}

Parts = dict[str, list[Item]]


class Found(NamedTuple):
  """Images that have not been read yet.

  Attributes:
    sets: "train", "validation", then the test sets: "test" where it is held out, else by name.
    origin: what the set is called that each of `sets` is, or is a part of.
  """

  sets: Parts
  origin: dict[str, str]


def find(data: str, validation: str, tests: Sequence[str], execution: Execution) -> Found:
  """The images of every set, without reading them; prepares a TFDS set that is not yet.

  A source that is one set of images, undivided, gives up a tenth of them (2 to 100, by their names
  alone) for validation and a tenth for test, where these are held out.

  Args:
    data: source of the training images.
    validation: "held_out" for the validation images of `data`, else as one of `tests`.
    tests: "held_out" for the test images of `data`, else a source; a bare NAME is tfds:NAME.
    execution: names the folders `manual_dir` and `data_dir`.

  Raises:
    InputError: unknown source; a folder is missing or holds no image; a set is not prepared, has
      too few images to hold any out, or is given twice.
  """
  parts = _parts(data, execution)
  wanted = [
    split
    for split, given in (("train", [HELD_OUT]), ("validation", [validation]), ("test", tests))
    if HELD_OUT in given
  ]
  if parts.keys() == {"train"}:
    parts = _divide(data, parts["train"], wanted[1:])
  if lacking := [split for split in wanted if split not in parts]:
    raise InputError(_lacks(data, lacking[0]))

  sets = {"train": parts["train"]}
  origin = {"train": _name(data)}
  for source, role in ((validation, "validation"), *((test, "test") for test in tests)):
    name = _name(source) if role == "test" and source != HELD_OUT else role
    if name in sets:
      raise InputError(f"--test_data: a test set cannot be called {name} beside another; rename it")
    sets[name] = parts[role] if source == HELD_OUT else _whole(source, execution)
    origin[name] = _name(data if source == HELD_OUT else source)
  for one, other in itertools.combinations(sets, 2):
    if {item.key for item in sets[one]} & {item.key for item in sets[other]}:
      raise same_set(one, other)
  return Found(sets, origin)


def same_set(one: str, other: str) -> InputError:
  """What to say of images that are given in two roles."""
  return InputError(
    f"the same photographs are given as {one} and as {other}; name another set with --data, "
    "--validation_data or --test_data"
  )


def _name(source: str) -> str:
  """What a set is called: the last part of its path, or its name in TFDS."""
  kind, _, rest = source.rpartition(":")
  return Path(rest).expanduser().resolve().name if kind == "folder" else rest


def _lacks(data: str, split: str) -> str:
  kind, _, path = data.partition(":")
  lack = (
    f"there is no folder {Path(path) / split}"
    if kind == "folder"
    else (f"--data={data} has no {split} photographs")
  )
  return lack + ("" if split == "train" else f"; name others, as --{split}_data=folder:PATH")


def _divide(data: str, items: list[Item], parts: Sequence[str]) -> Parts:
  """Takes images for validation and test out of one set, whatever their order."""
  count = min(MOST_HELD_OUT, max(2, len(items) // 10))
  if len(items) <= count * len(parts):
    raise InputError(
      f"--data={data} has {len(items)} photographs and {count * len(parts) + 1} are needed to hold "
      f"{count} out for {' and for '.join(parts)}; add some, or name others with "
      f"{' and '.join(f'--{part}_data' for part in parts)}"
    )
  shuffled = sorted(items, key=lambda item: hashlib.sha256(item.name.encode()).digest())
  divided = {part: shuffled[i * count : (i + 1) * count] for i, part in enumerate(parts)}
  divided["train"] = shuffled[count * len(parts) :]
  return {part: sorted(some, key=items.index) for part, some in divided.items()}


def _whole(source: str, execution: Execution) -> list[Item]:
  """The images of a set that is given for test or validation."""
  plain = ":" not in source and source != "sample_photos"
  parts = _parts(f"tfds:{source}" if plain else source, execution)
  return next(parts[split] for split in ("test", "validation", "train") if split in parts)


def _parts(source: str, execution: Execution) -> Parts:
  """The images of a source by split; all are "train" where it is not divided."""
  kind, _, rest = source.partition(":")
  if source == "sample_photos":
    manifest = json.loads((SAMPLE_PHOTOS / "manifest.json").read_text())
    return {
      split: [
        _item(SAMPLE_PHOTOS / f"{one['name']}.webp", one["name"], stamp="")  # few: not cached
        for one in manifest
        if one["split"] == split
      ]
      for split in SPLITS
    }
  if kind == "folder" and rest:
    folder = Path(rest).expanduser()
    splits = [split for split in SPLITS if (folder / split).is_dir()]
    for part in (folder / split for split in splits):
      refuse_link_out(part)
    files = {split: images_in(folder / split) for split in splits} or {"train": images_in(folder)}
    return {split: _items(paths) for split, paths in files.items()}
  if kind == "tfds" and rest:
    return _tfds_parts(rest, execution)
  raise InputError(f"{source} is not supported; use sample_photos, folder:PATH or tfds:NAME")


def _items(paths: Sequence[Path]) -> list[Item]:
  names = short_names([path.name for path in paths])
  return [_item(path, name, stamp_of(path)) for path, name in zip(paths, names, strict=True)]


def _item(path: Path, name: str, stamp: str) -> Item:
  return Item(name, str(path), str(path.resolve()), stamp, functools.partial(read_luminance, path))


def _tfds_parts(name: str, execution: Execution) -> Parts:
  """The images of a TFDS set by split: the user's own, else the catalogue's."""
  manual_dir, data_dir = (
    Path(folder).expanduser() for folder in (execution.manual_dir, execution.data_dir)
  )
  folders = DIV2K if name == "DIV2K" else {"train": name}
  missing = [folder for folder in folders.values() if not (manual_dir / folder).is_dir()]
  own = re.fullmatch(r"\w[\w.-]*", name) is not None
  if own and (not missing or list((data_dir / "image_set" / name).glob("*/dataset_info.json"))):
    files = {} if missing else {k: images_in(manual_dir / v) for k, v in folders.items()}
    return _image_sets(name).own_set(name, files, data_dir)
  if versions := list((data_dir / name).glob("*.*.*/dataset_info.json")):
    newest = max(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)])
    return _image_sets(name).catalogue_set(name, newest.parent)
  wanted = manual_dir / missing[0] if own else None
  raise InputError(_how_to_prepare(name, wanted, data_dir))


def _how_to_prepare(name: str, wanted: Path | None, data_dir: Path) -> str:
  """What to do about a set that is neither prepared nor among the user's own folders."""
  own = (
    f"put its photographs into {wanted} (--manual_dir names another place), or " if wanted else ""
  )
  return (
    f"tfds:{name} is not prepared in {data_dir} (--data_dir); {own}prepare it, if TFDS's catalogue "
    f"has it, by `pip install tensorflow-cpu && tfds build {name} --data_dir={data_dir} "
    "--file_format=array_record`"
  )


def _image_sets(name: str) -> ModuleType:
  try:
    from sr_jax.data import image_sets  # noqa: PLC0415  # TFDS takes a second to import
  except ImportError as error:
    raise InputError(
      f"tfds:{name} needs tensorflow-datasets ({error}); install it, or give folder:PATH"
    ) from error
  return image_sets
