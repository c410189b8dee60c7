"""Finds the images to train, validate and test on, without reading any.

A source is `sample_photos` (in the package), `folder:PATH`, or `tfds:NAME`: the photographs of the
folder NAME under `--manual_dir`, or a prepared set of TFDS's catalogue.
"""

import functools
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from sr_jax.config import Execution, InputError
from sr_jax.data.images import SUFFIXES, images_in, read_pixels
from sr_jax.data.luminance_cache import Item, file_stamp, short_names
from sr_jax.data.splits import SPLITS, files_by_split, hold_out, pick

SAMPLE_PHOTOS = Path(__file__).parent / "sample_photos"
HELD_OUT = "held_out"
UNUSED = "unused"  # photographs of the validation set that validation does not use, as a test set
# The two folders of DIV2K's archives; any other set is the one folder of its name.
DIV2K = {"train": "DIV2K_train_HR", "validation": "DIV2K_valid_HR"}

Splits = dict[str, list[Item]]


class ImageSets(NamedTuple):
  """The images of a comparison, not read yet."""

  sets: Splits  # "train", "validation", then the test sets: "test" where held out, else by name
  origin: dict[str, str]  # for each of `sets`, the name of the source that it is or is a part of


def parts_of(test: str) -> list[str]:
  """The sets that a test set is made of: of the bare names A+B those of A and of B."""
  return [test] if ":" in test else test.split("+")


def test_name(source: str) -> str:
  """What a test set of one source is called."""
  return "test" if source == HELD_OUT else _name(source)


def find(
  data: str,
  validation: str,
  tests: Sequence[str],
  execution: Execution,
  validation_images: int = 0,
) -> ImageSets:
  """Lists the images of every set without reading them; prepares a TFDS set if necessary.

  The training images are those of the source `data`. Validation and test sets are "held_out", for
  those of `data`, or other sources; a bare NAME is tfds:NAME. Of a source without splits, a tenth
  of the images (2 to 100, chosen by name alone) is held out for validation and a tenth for test,
  where "held_out" asks for it. Sets that a test set joins, as A+B, are listed each by itself. The
  test set "unused" is what `validation_images`, chosen by name alone, leave of the validation set.

  Raises:
    InputError: unknown source; a folder is missing or holds no image; a set is not prepared, has
      too few images to hold any out, or is given twice; nothing of the validation set is unused.
  """
  tests = [part for test in tests for part in parts_of(test)]
  splits = _splits(data, execution)
  required = ["train"] + ["validation"] * (validation == HELD_OUT) + ["test"] * (HELD_OUT in tests)
  if splits.keys() == {"train"}:
    splits = _hold_out(data, splits["train"], required[1:])
  if missing := [split for split in required if split not in splits]:
    raise InputError(_missing_split(data, missing[0]))

  sets = {"train": splits["train"]}
  origin = {"train": _name(data)}
  for source, role in ((validation, "validation"), *((test, "test") for test in tests)):
    if role == "test" and source == UNUSED:
      continue  # divided from the validation set, below
    name = test_name(source) if role == "test" else role
    if name in sets:
      raise InputError(f"--test_data: a test set cannot be called {name} beside another; rename it")
    sets[name] = splits[role] if source == HELD_OUT else _whole_set(source, execution)
    origin[name] = _name(data if source == HELD_OUT else source)
    if role == "validation" and UNUSED in tests:  # first of the test sets, since it gives way
      sets[role], sets[UNUSED] = _divide(sets[role], validation_images)
      origin[UNUSED] = origin[role]
  for first, second in itertools.combinations(sets, 2):
    if {item.key for item in sets[first]} & {item.key for item in sets[second]}:
      raise same_photographs(first, second)
  return ImageSets(sets, origin)


def _divide(validation: list[Item], count: int) -> tuple[list[Item], list[Item]]:
  """The photographs to validate on, `count` by their names, and the others."""
  if not 0 < count < len(validation):
    raise InputError(
      f"--test_data={UNUSED} is what --validation_images leaves of the {len(validation)} "
      f"validation photographs, and --validation_images={count} leaves none; give 1 to "
      f"{len(validation) - 1}"
    )
  kept = {item.name for item in pick(validation, lambda item: item.name, count)}
  return (
    [item for item in validation if item.name in kept],
    [item for item in validation if item.name not in kept],
  )


def same_photographs(first: str, second: str) -> InputError:
  """The error for two sets that are the same photographs."""
  return InputError(
    f"the same photographs are given as {first} and as {second}; name another set with --data, "
    "--validation_data or --test_data"
  )


def _name(source: str) -> str:
  """The name of a set: the last part of its path, or its name in TFDS."""
  kind, _, rest = source.rpartition(":")
  return Path(rest).expanduser().resolve().name if kind == "folder" else rest


def _missing_split(data: str, split: str) -> str:
  kind, _, path = data.partition(":")
  absent = f"there is no folder {Path(path) / split}"
  message = absent if kind == "folder" else f"--data={data} has no {split} photographs"
  return message + ("" if split == "train" else f"; name others, as --{split}_data=folder:PATH")


def _hold_out(data: str, items: list[Item], parts: Sequence[str]) -> Splits:
  """Splits one set into training images and those held out, whatever the order of `items`."""
  others = " and ".join(f"--{part}_data" for part in parts)
  remedy = f"add some, or name others with {others}"
  return hold_out(items, lambda item: item.name, parts, f"--data={data}", "photographs", remedy)


def _whole_set(source: str, execution: Execution) -> list[Item]:
  """All images of a set given for test or validation, or of its test split if it has splits."""
  is_bare_name = ":" not in source and source != "sample_photos"
  splits = _splits(f"tfds:{source}" if is_bare_name else source, execution)
  return next(splits[split] for split in ("test", "validation", "train") if split in splits)


def _splits(source: str, execution: Execution) -> Splits:
  """The images of a source by split; all are "train" where it has no splits."""
  kind, _, rest = source.partition(":")
  if source == "sample_photos":
    return sample_photos()
  if kind == "folder" and rest:
    folder = Path(rest).expanduser()
    files = files_by_split(folder, SUFFIXES, "image")
    return {split: _items(paths) for split, paths in files.items()}
  if kind == "tfds" and rest:
    return _tfds_splits(rest, execution)
  raise InputError(f"{source} is not supported; use sample_photos, folder:PATH or tfds:NAME")


def sample_photos() -> Splits:
  """The photographs of the package by split."""
  sample: Splits = {split: [] for split in SPLITS}
  for entry in json.loads((SAMPLE_PHOTOS / "manifest.json").read_text()):
    path = SAMPLE_PHOTOS / f"{entry['name']}.webp"
    sample[entry["split"]].append(_item(path, entry["name"], stamp=""))  # few: not cached
  return sample


def _items(paths: Sequence[Path]) -> list[Item]:
  names = short_names([path.name for path in paths])
  return [_item(path, name, file_stamp(path)) for path, name in zip(paths, names, strict=True)]


def _item(path: Path, name: str, stamp: str) -> Item:
  return Item(name, str(path), str(path.resolve()), stamp, functools.partial(read_pixels, path))


def _tfds_splits(name: str, execution: Execution) -> Splits:
  """The images of a TFDS set by split: the user's own, else the catalogue's."""
  manual_dir = Path(execution.manual_dir).expanduser()
  data_dir = Path(execution.data_dir).expanduser()
  folders = DIV2K if name == "DIV2K" else {"train": name}
  missing = [folder for folder in folders.values() if not (manual_dir / folder).is_dir()]
  may_be_own = re.fullmatch(r"\w[\w.-]*", name) is not None
  prepared = list((data_dir / "image_set" / name).glob("*/dataset_info.json"))
  if may_be_own and (prepared or not missing):
    files = {} if missing else {k: images_in(manual_dir / v) for k, v in folders.items()}
    return _import_image_sets(name).own_set(name, files, data_dir)
  if versions := list((data_dir / name).glob("*.*.*/dataset_info.json")):
    newest = max(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)])
    return _import_image_sets(name).catalogue_set(name, newest.parent)
  own_folder = (
    f"put its photographs into {manual_dir / missing[0]} (--manual_dir names another place), or "
    if may_be_own
    else ""
  )
  raise InputError(
    f"tfds:{name} is not prepared in {data_dir} (--data_dir); {own_folder}prepare it, if TFDS's "
    f"catalogue has it, by `pip install tensorflow-cpu && tfds build {name} --data_dir={data_dir} "
    "--file_format=array_record`"
  )


def _import_image_sets(name: str) -> ModuleType:
  try:
    from sr_jax.data import image_sets  # noqa: PLC0415  # TFDS takes a second to import
  except ImportError as error:
    raise InputError(
      f"tfds:{name} needs tensorflow-datasets ({error}); install it, or give folder:PATH"
    ) from error
  return image_sets
