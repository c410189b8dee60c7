import dataclasses
import sys
import time

import numpy as np
import pytest
from PIL import Image

import sr_jax.data
from sr_jax.config import Execution, InputError
from sr_jax.data.finding import HELD_OUT, find


@pytest.fixture
def execution(tmp_path):
  return Execution(manual_dir=str(tmp_path / "manual"), data_dir=str(tmp_path / "data"))


def fill(folder, count, first=0):
  """Gray noise images 0.png, 1.png and so on."""
  folder.mkdir(parents=True)
  for i in range(first, first + count):
    Image.fromarray(np.random.default_rng(i).integers(0, 256, (9, 9), np.uint8)).save(
      folder / f"{i}.png"
    )
  return f"folder:{folder}"


def names(images):
  return {part: {item.name for item in items} for part, items in images.sets.items()}


def held_out(data, execution):
  return find(data, HELD_OUT, [HELD_OUT], execution)


def test_a_folder_of_photographs_is_divided_by_their_names_alone(tmp_path, execution):
  source = fill(tmp_path / "photos", 40)
  by_set = names(held_out(source, execution))
  assert {part: len(items) for part, items in by_set.items()} == {
    "train": 32,
    "validation": 4,
    "test": 4,
  }
  assert set.union(*by_set.values()) == {str(i) for i in range(40)}
  copy = fill(tmp_path / "elsewhere" / "copy", 40)
  assert names(held_out(copy, execution)) == by_set


def test_only_requested_splits_of_a_folder_are_held_out(tmp_path, execution):
  source = fill(tmp_path / "photos", 40)
  test, validation = fill(tmp_path / "mine", 3, first=50), fill(tmp_path / "held", 2, first=60)
  images = find(source, HELD_OUT, [test], execution)
  assert {part: len(items) for part, items in images.sets.items()} == {
    "train": 36,
    "validation": 4,
    "mine": 3,
  }
  assert images.origin == {"train": "photos", "validation": "photos", "mine": "mine"}
  images = find(source, validation, [test], execution)
  assert [len(items) for items in images.sets.values()] == [40, 2, 3]


def test_a_few_photographs_and_very_many_are_divided_sensibly(tmp_path, execution):
  assert [len(items) for items in held_out(fill(tmp_path / "few", 5), execution).sets.values()] == [
    1,
    2,
    2,
  ]
  with pytest.raises(InputError, match="has 4 photographs and 5 are needed to hold 2 out for val"):
    held_out(fill(tmp_path / "fewer", 4), execution)


def test_a_divided_folder_is_taken_as_it_is(tmp_path, execution):
  for i, split in enumerate(("train", "validation", "test")):
    fill(tmp_path / "photos" / split, 2, first=10 * i)
  images = held_out(f"folder:{tmp_path / 'photos'}", execution)
  assert names(images) == {"train": {"0", "1"}, "validation": {"10", "11"}, "test": {"20", "21"}}
  # As a test set for others it is its test photographs.
  other = fill(tmp_path / "other", 5, first=30)
  images = find(other, HELD_OUT, [f"folder:{tmp_path / 'photos'}"], execution)
  assert names(images)["photos"] == {"20", "21"}


@pytest.mark.parametrize(
  ("source", "says"),
  [
    ("imagenet", "imagenet is not supported; use sample_photos, folder:PATH or tfds:NAME"),
    ("folder:", "folder: is not supported"),
    ("tfds:", "tfds: is not supported"),
    ("folder:/no/such/place", "there is no folder /no/such/place"),
    ("tfds:../etc", "tfds:../etc is not prepared"),
  ],
)
def test_unknown_sources_are_refused(source, says, execution):
  with pytest.raises(InputError, match=says):
    held_out(source, execution)


def test_what_a_divided_folder_lacks_is_named(tmp_path, execution):
  photos = tmp_path / "photos"
  fill(photos / "train", 2)
  fill(photos / "validation", 2, first=10)
  with pytest.raises(InputError, match=r"no folder .*photos/test; name others, as --test_data="):
    held_out(f"folder:{photos}", execution)
  (photos / "test").mkdir()
  (photos / "test" / "notes.txt").write_text("")
  with pytest.raises(InputError, match=r"test holds no image"):
    held_out(f"folder:{photos}", execution)


def test_a_set_in_two_roles_is_refused(tmp_path, execution):
  source = fill(tmp_path / "photos", 10)
  with pytest.raises(InputError, match="the same photographs are given as train and as photos"):
    find(source, HELD_OUT, [source], execution)
  (tmp_path / "link").symlink_to(tmp_path / "photos")
  with pytest.raises(InputError, match="the same photographs are given as train and as validation"):
    find(source, f"folder:{tmp_path / 'link'}", [HELD_OUT], execution)
  first, second = (fill(tmp_path / name / "Set5", 1, first=20) for name in "ab")
  with pytest.raises(InputError, match="a test set cannot be called Set5 beside another"):
    find(source, HELD_OUT, [first, second], execution)


def test_a_set_that_is_not_prepared_is_refused_at_once(tmp_path, execution):
  began = time.monotonic()
  with pytest.raises(InputError, match=r"put its photographs into .*manual/Set5 \(--manual_dir"):
    find("sample_photos", HELD_OUT, ["Set5"], execution)
  with pytest.raises(
    InputError, match=r"is not prepared .* tfds build div2k/bicubic_x2 --data_dir="
  ):
    held_out("tfds:div2k/bicubic_x2", execution)
  fill(tmp_path / "manual" / "DIV2K_train_HR", 2)
  with pytest.raises(InputError, match=r"put its photographs into .*DIV2K_valid_HR"):
    held_out("tfds:DIV2K", execution)
  assert time.monotonic() - began < 2
  assert not (tmp_path / "data").exists()


def test_without_tfds_the_error_says_what_to_do(tmp_path, execution, monkeypatch):
  fill(tmp_path / "manual" / "Set5", 2)
  monkeypatch.setitem(sys.modules, "sr_jax.data.image_sets", None)
  monkeypatch.delattr(sr_jax.data, "image_sets", raising=False)  # if a test has imported it
  with pytest.raises(InputError, match=r"tfds:Set5 needs tensorflow-datasets .* give folder:PATH"):
    find("sample_photos", HELD_OUT, ["Set5"], execution)


def test_a_tilde_is_a_home(tmp_path, monkeypatch, execution):
  monkeypatch.setenv("HOME", str(tmp_path))
  fill(tmp_path / "photos", 5)
  assert len(held_out("folder:~/photos", execution).sets["train"]) == 1
  at_home = dataclasses.replace(execution, manual_dir="~/nothing")
  with pytest.raises(InputError, match=f"photographs into {tmp_path}/nothing/Set5"):
    held_out("tfds:Set5", at_home)
