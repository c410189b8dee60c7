import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data import sources


def folder(tmp_path, **sizes):
  """A data folder with one gray noise image of (width, height) per split."""
  rng = np.random.default_rng(0)
  for split, (width, height) in sizes.items():
    (tmp_path / split).mkdir()
    pixels = rng.integers(0, 256, (height, width), np.uint8)
    Image.fromarray(pixels).save(tmp_path / split / f"{split}.png")
  return f"folder:{tmp_path}"


def test_sample_photos_are_those_of_the_manifest():
  photos = sources.load("sample_photos", 2, 17)
  assert [len(photos.train), len(photos.validation), len(photos.test)] == [11, 3, 6]
  manifest = json.loads((sources.SAMPLE_PHOTOS / "manifest.json").read_text())
  for one in manifest:
    path = sources.SAMPLE_PHOTOS / f"{one['name']}.webp"
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == one["sha256_of_rgb_pixels"]
    assert one["name"] in (sources.SAMPLE_PHOTOS / "ATTRIBUTION.md").read_text()


def test_a_folder_is_read_and_fingerprinted_by_its_pixels(tmp_path):
  source = folder(tmp_path, train=(40, 50), validation=(30, 30), test=(33, 47))
  photos = sources.load(source, 2, 17)
  assert photos.test[0].hr.shape == (46, 32)
  before = photos.fingerprint()
  path = tmp_path / "test" / "test.png"
  pixels = np.array(Image.open(path))
  pixels[0, 0] ^= 1
  Image.fromarray(pixels).save(path)
  after = sources.load(source, 2, 17).fingerprint()
  assert before["train"] == after["train"]
  assert before["test"] != after["test"]


@pytest.mark.parametrize(
  ("source", "says"),
  [
    ("imagenet", "--data=imagenet is not supported; use sample_photos or folder:PATH"),
    ("folder:", "--data=folder: is not supported"),
    ("folder:/no/such/place", "there is no folder /no/such/place/train"),
  ],
)
def test_unknown_sources_are_refused(source, says):
  with pytest.raises(InputError, match=says):
    sources.find(source)


def test_an_empty_folder_is_named(tmp_path):
  folder(tmp_path, train=(40, 40), validation=(30, 30))
  (tmp_path / "test").mkdir()
  (tmp_path / "test" / "notes.txt").write_text("")
  with pytest.raises(InputError, match=r"test holds no image"):
    sources.find(f"folder:{tmp_path}")


def test_an_image_smaller_than_a_patch_is_named(tmp_path):
  source = folder(tmp_path, train=(33, 50), validation=(30, 30), test=(30, 30))
  with pytest.raises(InputError, match=r"train\.png is 33 x 50 pixels; .* at least 34 x 34"):
    sources.load(source, 2, 17)


def test_a_flat_test_image_is_named(tmp_path):
  source = folder(tmp_path, train=(40, 50), validation=(30, 30), test=(30, 30))
  Image.fromarray(np.full((30, 30), 9, np.uint8)).save(tmp_path / "test" / "flat.png")
  with pytest.raises(InputError, match=r"flat\.png is one flat colour"):
    sources.load(source, 2, 17)
