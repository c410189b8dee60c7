import dataclasses
import hashlib
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from sr_jax.config import Execution, InputError
from sr_jax.data import sources
from sr_jax.data.finding import SAMPLE_PHOTOS

RNG = np.random.default_rng(0)


@pytest.fixture
def execution(tmp_path):
  return Execution(manual_dir=str(tmp_path / "manual"), data_dir=str(tmp_path / "data"))


def noise(path, width=40, height=50):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(RNG.integers(0, 256, (height, width), np.uint8)).save(path)


def folder(tmp_path, **sizes):
  """A data folder with one gray noise image of (width, height) per split."""
  for split, (width, height) in sizes.items():
    noise(tmp_path / "photos" / split / f"{split}.png", width, height)
  return f"folder:{tmp_path / 'photos'}"


def test_sample_photos_are_those_of_the_manifest(execution, tmp_path):
  photos = sources.load("sample_photos", 2, 17, execution=execution)
  assert [len(photos.train), len(photos.validation), len(photos.test)] == [11, 3, 6]
  assert photos.notes == []
  assert not list(tmp_path.iterdir())  # so few need no cache
  manifest = json.loads((SAMPLE_PHOTOS / "manifest.json").read_text())
  for entry in manifest:
    path = SAMPLE_PHOTOS / f"{entry['name']}.webp"
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == entry["sha256_of_rgb_pixels"]
    assert entry["name"] in (SAMPLE_PHOTOS / "ATTRIBUTION.md").read_text()


def test_a_folder_is_read_and_fingerprinted_by_its_pixels(tmp_path, execution):
  source = folder(tmp_path, train=(40, 50), validation=(30, 30), test=(33, 47))
  photos = sources.load(source, 2, 17, execution=execution)
  assert photos.test[0].target.shape == (46, 32)
  before = photos.fingerprint()
  path = tmp_path / "photos" / "test" / "test.png"
  pixels = np.array(Image.open(path))
  pixels[0, 0] ^= 1
  Image.fromarray(pixels).save(path)
  after = sources.load(source, 2, 17, execution=execution).fingerprint()
  assert before["train"] == after["train"]
  assert before["test"] != after["test"]


def test_every_test_set_is_kept_by_itself(tmp_path, execution):
  for name in ("train/a", "train/b", "one/c", "two/d", "two/e", "three/f"):
    noise(tmp_path / f"{name}.png")
  photos = sources.load(
    f"folder:{tmp_path / 'train'}",
    2,
    17,
    validation=f"folder:{tmp_path / 'one'}",
    tests=(f"folder:{tmp_path / 'two'}", f"folder:{tmp_path / 'three'}"),
    execution=execution,
  )
  assert [photo.name for photo in photos.train] == ["a", "b"]
  assert {name: [photo.name for photo in tests] for name, tests in photos.tests.items()} == {
    "two": ["d", "e"],
    "three": ["f"],
  }
  assert photos.test == photos.tests["two"]
  assert list(photos.further_tests) == ["three"]
  assert photos.fingerprint().keys() == {"train", "validation", "test", "three"}


def test_an_image_smaller_than_a_patch_is_named(tmp_path, execution):
  source = folder(tmp_path, train=(33, 50), validation=(30, 30), test=(30, 30))
  with pytest.raises(InputError, match=r"train\.png is 33 x 50 pixels; .* at least 34 x 34"):
    sources.load(source, 2, 17, execution=execution)


def test_a_flat_test_image_is_named(tmp_path, execution):
  source = folder(tmp_path, train=(40, 50), validation=(30, 30), test=(30, 30))
  Image.fromarray(np.full((30, 30), 9, np.uint8)).save(tmp_path / "photos" / "test" / "flat.png")
  with pytest.raises(InputError, match=r"flat\.png is one flat colour"):
    sources.load(source, 2, 17, execution=execution)


@pytest.mark.parametrize(
  ("first", "second"), list(itertools.combinations(("train", "validation", "test"), 2))
)
def test_copies_of_a_whole_set_are_refused(tmp_path, execution, first, second):
  source = folder(tmp_path, train=(50, 50), validation=(50, 50), test=(50, 50))
  copied = tmp_path / "photos" / second / f"{second}.png"
  copied.write_bytes((tmp_path / "photos" / first / f"{first}.png").read_bytes())
  with pytest.raises(InputError, match=f"same photographs are given as {first} and as {second}"):
    sources.load(source, 2, 17, execution=execution)


def place(source, target):
  """Saves a photograph again: its file's bytes, or its pixels in another format."""
  target.parent.mkdir(parents=True, exist_ok=True)
  if source.suffix == target.suffix:
    target.write_bytes(source.read_bytes())
  else:
    Image.open(source).save(target)


def load_folders(tmp_path, execution, tests=("one", "two")):
  return sources.load(
    f"folder:{tmp_path / 'train'}",
    2,
    17,
    validation=f"folder:{tmp_path / 'val'}",
    tests=[f"folder:{tmp_path / name}" for name in tests],
    execution=execution,
  )


def test_a_photograph_leaves_the_sets_that_come_before_its_last_one(tmp_path, execution):
  for name in ("train/a", "train/b", "train/c", "train/d", "val/e", "val/f", "one/g", "two/h"):
    noise(tmp_path / f"{name}.png")
  place(tmp_path / "one" / "g.png", tmp_path / "train" / "in_test.png")
  place(tmp_path / "two" / "h.png", tmp_path / "train" / "in_further_test.bmp")
  place(tmp_path / "val" / "e.png", tmp_path / "train" / "in_validation.png")
  place(tmp_path / "two" / "h.png", tmp_path / "val" / "tested.png")
  photos = load_folders(tmp_path, execution)
  assert [photo.name for photo in photos.train] == list("abcd")
  assert [photo.name for photo in photos.validation] == list("ef")
  assert [len(tests) for tests in photos.tests.values()] == [1, 1]
  assert photos.notes == [
    "WARNING: train and validation share photographs: in_further_test = tested, in_validation = e.",
    "WARNING: train and one share photographs: in_test = g.",
    "WARNING: train and two share photographs: in_further_test = h.",
    "WARNING: validation and two share photographs: tested = h.",
    "Left out of training, since validation or a test set has them: in_further_test, in_test, "
    "in_validation.",
    "Left out of validation, since a test set has them: tested.",
  ]


def test_every_photograph_left_out_is_named(tmp_path, execution):
  for i in range(9):
    noise(tmp_path / "one" / f"t{i}.png")
    place(tmp_path / "one" / f"t{i}.png", tmp_path / "train" / f"copy_{i}.png")
  for name in ("train/a", "val/e"):
    noise(tmp_path / f"{name}.png")
  photos = load_folders(tmp_path, execution, tests=("one",))  # the test set lies within the other
  assert [photo.name for photo in photos.train] == ["a"]
  assert all(f"copy_{i}" in photos.notes[-1] for i in range(9))


def test_equal_pixels_are_found_though_nothing_is_seen_from_afar(tmp_path, execution):
  for name in ("train/a", "val/e", "one/g"):
    noise(tmp_path / f"{name}.png")
  board = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (32, 32))  # gray, as a thumbnail
  for name in ("train/board", "one/board"):
    Image.fromarray(board).save(tmp_path / f"{name}.png")
  photos = load_folders(tmp_path, execution, tests=("one",))
  assert [photo.name for photo in photos.train] == ["a"]


@pytest.mark.parametrize(
  ("role", "says"),
  [
    ("train", "no photograph is left to train on: validation or a test set has all of them; name"),
    ("val", "no photograph is left to choose rates by: a test set has all of them; name another"),
  ],
)
def test_if_no_photograph_is_left_it_is_refused(tmp_path, execution, role, says):
  for name in ("train/a", "val/e", "one/g", "one/h"):
    noise(tmp_path / f"{name}.png", 80, 80)
  (own,) = (tmp_path / role).iterdir()
  smaller = Image.open(tmp_path / "one" / "g.png").resize((60, 60), Image.Resampling.BOX)
  smaller.save(own)  # no pixel is equal
  with pytest.raises(InputError, match=says):
    load_folders(tmp_path, execution, tests=("one",))


def test_more_memory_than_there_is_is_refused_before_it_is_taken(tmp_path, execution, monkeypatch):
  source = folder(tmp_path, train=(50, 50), validation=(50, 50), test=(50, 50))
  monkeypatch.setattr("os.sysconf", lambda name: 64)
  with pytest.raises(InputError, match=r"3 photographs need 0.0 GiB of memory and this machine"):
    sources.load(source, 2, 17, execution=execution)


def test_every_process_of_a_machine_takes_memory_for_all_photographs(
  tmp_path, execution, monkeypatch
):
  source = folder(tmp_path, train=(50, 50), validation=(50, 50), test=(50, 50))
  monkeypatch.setattr("os.sysconf", lambda name: 160)  # squared, a fifth more than is needed
  sources.load(source, 2, 17, execution=execution)
  monkeypatch.setattr(sources.processes, "count_on_this_machine", lambda: 8)
  with pytest.raises(InputError, match=r"3 photographs in 8 processes need .* or processes"):
    sources.load(source, 2, 17, execution=execution)


def test_the_memory_of_a_big_set_is_logged_first(tmp_path, execution, monkeypatch, capsys):
  source = folder(tmp_path, train=(50, 50), validation=(50, 50), test=(50, 50))
  monkeypatch.setattr(sources.luminance_cache, "fill", lambda items, cache: 2**28)
  sources.load(source, 2, 17, execution=execution)
  assert "3 photographs: 2.0 GiB of memory, and 0.5 GiB on the device" in capsys.readouterr().out


def test_the_known_leaks_are_named_and_the_sets_are_genuine(shared_data, execution):
  photos = sources.load(
    f"folder:{shared_data / 'T91'}",
    3,
    17,
    validation=f"folder:{shared_data / 'BSD200'}",
    tests=[f"folder:{shared_data / name}" for name in ("Set5", "Set14", "BSD100")],
    execution=execution,
  )
  assert [len(photos.train), len(photos.validation)] == [91, 199]
  assert [len(tests) for tests in photos.tests.values()] == [5, 14, 100]
  assert photos.notes == [
    *(f"{name}: the genuine pixels." for name in ("T91", "BSD200", "Set5", "Set14", "BSD100")),
    "WARNING: train holds photographs twice: t36 = t65.",
    "WARNING: validation and Set5 share photographs: 302003 = woman_GT.",
    "WARNING: Set5 and Set14 share photographs: head_GT = face.",
    "Left out of validation, since a test set has them: 302003.",
  ]


def test_fewer_photographs_are_chosen_by_their_names(execution):
  photos = sources.load("sample_photos", 2, 17, execution=execution)
  assert sources.select(photos, False, 1.0, 0) == photos
  fewer = sources.select(photos, False, 0.5, 2)
  assert (len(fewer.train), len(fewer.validation)) == (6, 2)
  assert fewer.tests == photos.tests
  assert fewer.notes == [
    "Trained on a part of the photographs: 6.",
    "Validated on 2 photographs of 3.",
  ]
  backwards = dataclasses.replace(photos, train=photos.train[::-1])
  names = {photo.name for photo in fewer.train}
  assert {photo.name for photo in sources.select(backwards, False, 0.5, 2).train} == names
  # A smaller part lies within a larger one, so that data is added and not changed.
  assert {photo.name for photo in sources.select(photos, False, 0.2, 0).train} < names
  assert len(sources.select(photos, False, 1e-9, 0).train) == 1


def test_a_photograph_that_is_there_twice_is_kept_once(execution):
  photos = sources.load("sample_photos", 2, 17, execution=execution)
  twin = dataclasses.replace(photos.train[3], name="twin")
  twice = dataclasses.replace(photos, train=[*photos.train, twin])
  selected = sources.select(twice, True, 1.0, 0)
  assert {photo.name for photo in selected.train} == {photo.name for photo in photos.train}
  assert selected.notes == ["Trained on 11 distinct photographs: 1 were there twice."]


def test_sets_are_joined_with_what_validation_leaves_unused(tmp_path, execution):
  manual = tmp_path / "manual"
  for name, count in {"A": 3, "B": 2, "V": 6}.items():
    for i in range(count):
      noise(manual / name / f"{name}{i}.png")
  (manual / "V" / "V5.png").write_bytes((manual / "B" / "B1.png").read_bytes())
  for i in range(2):
    noise(tmp_path / "photos" / f"t{i}.png")
  tests = ["A+B+unused", "A+unused"]
  args = f"folder:{tmp_path / 'photos'}", 2, 8, "V"
  with pytest.raises(InputError, match="test set cannot be called"):
    sources.load(*args, tests, execution, validation_images=2)
  photos = sources.load(*args, tests[:1], execution, validation_images=2)
  joined = photos.tests["A+B+unused"]
  names = {photo.name for photo in photos.validation} | {photo.name for photo in joined}
  assert names >= {"A0", "A1", "A2", "B0", "B1", "V0", "V1", "V2", "V3", "V4"}
  assert "V5" not in names  # it is B's
  assert len(names) == len(joined) + len(photos.validation) == 10
  with pytest.raises(InputError, match="--validation_images=6 leaves none"):
    sources.load(*args, tests[:1], execution, validation_images=6)


def test_names_of_joined_sets_must_differ(tmp_path, execution):
  for name in "AB":
    noise(tmp_path / "manual" / name / "same.png")
    noise(tmp_path / "manual" / name / f"{name}.png")
    noise(tmp_path / "photos" / f"{name}.png")
  with pytest.raises(InputError, match="same is in several"):
    sources.load("sample_photos", 2, 8, tests=["A+B"], execution=execution)
