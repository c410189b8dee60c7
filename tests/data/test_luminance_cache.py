import functools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data import luminance_cache
from sr_jax.data.colour import luminance
from sr_jax.data.images import read_luminance, read_pixels
from sr_jax.data.luminance_cache import Item, file_stamp, short_names

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 9), np.uint8)


class Counting:
  """Decodes a file and counts how often."""

  def __init__(self, path):
    self.path, self.times = path, 0

  def __call__(self):
    self.times += 1
    return read_pixels(self.path)


def item_of(path):
  return Item(path.stem, str(path), str(path), file_stamp(path), Counting(path))


@pytest.fixture
def path(tmp_path):
  Image.fromarray(PIXELS).save(tmp_path / "a.bmp")
  return tmp_path / "a.bmp"


def test_an_image_is_decoded_once(path, tmp_path):
  first, second = item_of(path), item_of(path)
  assert luminance_cache.fill([first], tmp_path / "data") == PIXELS.size
  assert luminance_cache.fill([second], tmp_path / "data") == PIXELS.size
  np.testing.assert_array_equal(luminance_cache.read(second, tmp_path / "data"), PIXELS)
  assert (first.decode.times, second.decode.times) == (1, 0)


def test_a_changed_image_is_never_served_stale(path, tmp_path):
  luminance_cache.read(item_of(path), tmp_path / "data")
  before = path.stat()
  Image.fromarray(255 - PIXELS).save(path)  # as many bytes
  os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # and as old, it says
  assert path.stat().st_size == before.st_size
  np.testing.assert_array_equal(
    luminance_cache.read(item_of(path), tmp_path / "data"), 255 - PIXELS
  )


@pytest.mark.parametrize("damage", ["half", "flip", "header", "other", "empty"])
def test_a_damaged_cache_file_is_decoded_again(path, tmp_path, damage):
  luminance_cache.read(item_of(path), tmp_path / "data")
  (file,) = (path for path in (tmp_path / "data").rglob("*") if path.is_file())
  whole = file.read_bytes()
  file.write_bytes(
    {
      "half": whole[:-20],
      "flip": whole[:-1] + bytes([whole[-1] ^ 1]),
      "header": whole.replace(b"stamp", b"stomp"),
      "other": b"[1]\n" + whole,
      "empty": b"",
    }[damage]
  )
  again = item_of(path)
  np.testing.assert_array_equal(luminance_cache.read(again, tmp_path / "data"), PIXELS)
  assert again.decode.times == 1
  assert file.read_bytes() == whole


def test_a_kill_while_decoding_leaves_a_cache_that_works(tmp_path):
  for i in range(60):
    Image.fromarray(np.random.default_rng(i).integers(0, 256, (400, 400), np.uint8)).save(
      tmp_path / f"{i}.png"
    )
  code = (
    "import sys; from pathlib import Path; from sr_jax.config import Execution;"
    "from sr_jax.data import finding, luminance_cache;"
    "images = finding.find(f'folder:{sys.argv[1]}', 'held_out', ['held_out'], Execution());"
    "print('found', flush=True);"
    "[luminance_cache.fill(items, Path(sys.argv[2])) for items in images.sets.values()]"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", code, tmp_path, tmp_path / "data"], stdout=subprocess.PIPE, text=True
  )
  assert process.stdout.readline() == "found\n"
  while process.poll() is None and len(list((tmp_path / "data").rglob("*"))) < 10:
    time.sleep(0.001)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  for path in tmp_path.glob("*.png"):
    np.testing.assert_array_equal(
      luminance_cache.read(item_of(path), tmp_path / "data"), read_luminance(path)
    )


def test_a_folder_that_cannot_be_written_is_named(path, tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(InputError, match=r"--data_dir: .*file/data cannot be written"):
    luminance_cache.fill([item_of(path)], tmp_path / "file" / "data")


def test_an_image_without_a_stamp_is_not_cached(path, tmp_path):
  item = Item("a", "a", "a", "", functools.partial(read_pixels, path))
  assert luminance_cache.fill([item], tmp_path / "data") == 0
  np.testing.assert_array_equal(luminance_cache.read(item, tmp_path / "data"), PIXELS)
  assert not (tmp_path / "data").exists()


def test_colour_is_decoded_and_its_luminance_cached(path, tmp_path):
  rgb = np.random.default_rng(1).integers(0, 256, (7, 9, 3), np.uint8)
  Image.fromarray(rgb).save(tmp_path / "rgb.png")
  gray, colour = item_of(path), item_of(tmp_path / "rgb.png")
  np.testing.assert_array_equal(luminance_cache.read_colour(colour), rgb)
  np.testing.assert_array_equal(
    luminance_cache.read_colour(gray), PIXELS[:, :, None].repeat(3, axis=2)
  )
  for _ in range(2):  # the second time from the cache
    np.testing.assert_array_equal(luminance_cache.read(colour, tmp_path / "data"), luminance(rgb))
  assert colour.decode.times == 2  # for colour, and for luminance


def test_work_is_done_in_order_and_its_error_raised():
  results = list(luminance_cache.map_in_threads(lambda i: i * i, range(200), "Squaring"))
  assert results == [i * i for i in range(200)]
  with pytest.raises(ZeroDivisionError):
    list(luminance_cache.map_in_threads(lambda i: 1 / (i - 150), range(200), "Dividing"))


def test_names_stay_apart():
  assert short_names(["a.png", "b.png", "b.jpg"]) == ["a", "b.png", "b.jpg"]
