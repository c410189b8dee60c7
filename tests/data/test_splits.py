import itertools

import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data.splits import divide_folder, drop_copies, hold_out


def divide(folder):
  return divide_folder("--volume", f"folder:{folder}", (".npy", ".nii", ".nii.gz"), "volume")


def touch(folder, *names):
  folder.mkdir(exist_ok=True)
  for name in names:
    (folder / name).write_bytes(b"")


def test_files_are_named_without_suffix_unless_two_would_be_equal(tmp_path):
  for split, names in (
    ("train", ("a.nii.gz", "b.c.NPY", ".hidden.npy", "notes.txt")),
    ("validation", ("a.nii", "a.npy")),
    ("test", ("a.nii", "a.nii.gz")),
  ):
    touch(tmp_path / split, *names)
  assert {split: list(files) for split, files in divide(tmp_path).items()} == {
    "train": ["a", "b.c"],
    "validation": ["a.nii", "a.npy"],
    "test": ["a.nii", "a.nii.gz"],
  }


def test_a_link_to_outside_is_refused(tmp_path):
  touch(tmp_path / "elsewhere", "a.npy")
  touch(tmp_path / "mine", "b.npy")
  (tmp_path / "mine" / "a.npy").symlink_to(tmp_path / "elsewhere" / "a.npy")
  with pytest.raises(InputError, match=r"mine/a.npy is a symbolic link to outside of its folder"):
    divide(tmp_path / "mine")


def test_what_is_held_out_depends_on_names_alone():
  names = [str(i) for i in range(30)]
  arguments = (("validation", "test"), "--data=x", "photographs", "add some")
  splits = hold_out(names, str, *arguments)
  assert {split: len(members) for split, members in splits.items()} == {
    "train": 24,
    "validation": 3,
    "test": 3,
  }
  assert sorted(itertools.chain(*splits.values())) == sorted(names)
  again = hold_out(names[::-1], str, *arguments)
  assert {split: set(members) for split, members in again.items()} == {
    split: set(members) for split, members in splits.items()
  }
  with pytest.raises(InputError, match=r"--data=x has 4 photographs and 5 are needed .*; add some"):
    hold_out(names[:4], str, *arguments)


def test_copies_stay_in_the_last_of_their_sets():
  arrays = [np.full(3, i, np.float32) for i in range(4)]
  sets = {
    "train": {"a": arrays[0], "b": arrays[1], "c": arrays[2]},
    "validation": {"a": arrays[2], "d": arrays[3]},
    "test": {"e": arrays[3].copy(), "f": arrays[1].copy()},
  }
  assert drop_copies(sets, "--signal") == [
    "Left out of train, since validation has them: c.",
    "Left out of train, since test has them: b.",
    "Left out of validation, since test has them: d.",
  ]
  assert {split: list(named) for split, named in sets.items()} == {
    "train": ["a"],
    "validation": ["a"],
    "test": ["e", "f"],
  }
