"""Divides the files of a folder into those to train, to validate and to test on."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from sr_jax.config import InputError
from sr_jax.data.luminance_cache import short_names

SPLITS = ("train", "validation", "test")
MAX_HELD_OUT = 100  # images, for validation and for test

Member = TypeVar("Member")


class ArraySets(NamedTuple):
  """Signals or volumes to train, validate and test on, of which no two sets share any."""

  sets: dict[str, dict[str, np.ndarray]]  # "train", "validation" and "test": arrays by name
  notes: list[str]  # sentences on what was done to them


def pick(members: Sequence[Member], name: Callable[[Member], str], count: int) -> list[Member]:
  """This many of the members, chosen by their names alone, in their order."""
  shuffled = sorted(members, key=lambda member: hashlib.sha256(name(member).encode()).digest())
  chosen = {id(member) for member in shuffled[:count]}
  return [member for member in members if id(member) in chosen]


def files_in(folder: Path, suffixes: Sequence[str], kind: str) -> list[Path]:
  """The files of a folder with one of these suffixes, in lower case; sorted by name.

  Raises:
    InputError: it is missing, holds no such file, or holds a symbolic link to one elsewhere.
  """
  if not folder.is_dir():
    raise InputError(f"there is no folder {folder}")
  visible = [path for path in folder.iterdir() if path.name[0] != "."]  # macOS adds hidden copies
  files = sorted(path for path in visible if path.name.lower().endswith(tuple(suffixes)))
  if not files:
    raise InputError(f"{folder} holds no {kind}, that is no file ending in {', '.join(suffixes)}")
  for path in files:
    refuse_outside_link(path)
  return files


def refuse_outside_link(path: Path) -> None:
  """Raises an InputError if the path is a symbolic link that leaves its folder."""
  if path.is_symlink() and path.resolve().parent != path.parent.resolve():
    raise InputError(f"{path} is a symbolic link to outside of its folder; replace it by a copy")


def files_by_split(folder: Path, suffixes: Sequence[str], kind: str) -> dict[str, list[Path]]:
  """The files of the subfolders train, validation and test; all are "train" where it has none.

  Raises:
    InputError: as `files_in`.
  """
  splits = [split for split in SPLITS if (folder / split).is_dir()]
  for split in splits:
    refuse_outside_link(folder / split)
  folders = {split: folder / split for split in splits} or {"train": folder}
  return {split: files_in(path, suffixes, kind) for split, path in folders.items()}


def hold_out(
  members: Sequence[Member],
  name: Callable[[Member], str],
  parts: Sequence[str],
  source: str,
  kind: str,
  remedy: str,
) -> dict[str, list[Member]]:
  """Splits a set into "train" and the parts held out, whatever the order of the members.

  Of each part there are a tenth of all (2 to 100), chosen by name alone. In errors the members are
  the `kind` ("photographs") of `source`, as the user gave it, and `remedy` says what to change.

  Raises:
    InputError: there are too few.
  """
  count = min(MAX_HELD_OUT, max(2, len(members) // 10))
  if len(members) <= count * len(parts):
    raise InputError(
      f"{source} has {len(members)} {kind} and {count * len(parts) + 1} are needed to hold "
      f"{count} out for {' and for '.join(parts)}; {remedy}"
    )
  shuffled = sorted(members, key=lambda member: hashlib.sha256(name(member).encode()).digest())
  splits = {part: shuffled[i * count : (i + 1) * count] for i, part in enumerate(parts)}
  splits["train"] = shuffled[count * len(parts) :]
  return {split: sorted(chosen, key=members.index) for split, chosen in splits.items()}


def divide_folder(
  option: str, source: str, suffixes: Sequence[str], kind: str
) -> dict[str, dict[str, Path]]:
  """The files of `folder:PATH` by split and name, a tenth held out if it has no subfolders.

  Args:
    option: the flag that gives the source, as "--signal".
    source: "folder:PATH".
    suffixes: of its files, in lower case.
    kind: what a file holds: "signal".

  Raises:
    InputError: as `files_in`; a subfolder is missing, or there are too few files.
  """
  folder = Path(source.partition(":")[2]).expanduser()
  files = {
    split: _by_name(paths) for split, paths in files_by_split(folder, suffixes, kind).items()
  }
  if files.keys() == {"train"} and not (folder / "train").is_dir():
    remedy = "add some, or divide them into folders train, validation and test in it"
    members = list(files["train"].items())
    held_out = hold_out(
      members, lambda member: member[0], SPLITS[1:], f"{option}={source}", f"{kind}s", remedy
    )
    return {split: dict(held_out[split]) for split in SPLITS}
  if missing := [split for split in SPLITS if split not in files]:
    raise InputError(
      f"there is no folder {folder / missing[0]} beside {folder / next(iter(files))}"
    )
  return files


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
  """Files by their names without suffix, which are .nii of .nii.gz; whole where two are equal."""
  names = [path.name for path in paths]
  short = short_names([name.removesuffix(".gz") for name in names])
  return dict(zip(short if len(set(short)) == len(short) else names, paths, strict=True))


def drop_copies(sets: dict[str, dict[str, np.ndarray]], option: str) -> list[str]:
  """Leaves out of earlier sets what later ones have too, and returns sentences that say so.

  Raises:
    InputError: nothing is left of a set.
  """
  digests = {
    split: {name: hashlib.sha256(array.tobytes()).digest() for name, array in arrays.items()}
    for split, arrays in sets.items()
  }
  notes = []
  for split, later in itertools.combinations(SPLITS, 2):
    taken = set(digests[later].values())
    copies = [name for name in sets[split] if digests[split][name] in taken]
    for name in copies:
      del sets[split][name]
    if not sets[split]:
      raise InputError(f"{option}: nothing is left of {split}, since {later} has all of it")
    if copies:
      notes.append(f"Left out of {split}, since {later} has them: {', '.join(copies)}.")
  return notes
