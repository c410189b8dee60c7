import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sr_jax.config import Execution, InputError
from sr_jax.data.finding import find
from sr_jax.data.images import luminance

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def execution(tmp_path):
  return Execution(manual_dir=str(tmp_path / "manual"), data_dir=str(tmp_path / "data"))


def save(path, pixels, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
  image.save(path, **options)


def own(tmp_path, name="Mine", count=5):
  for i in range(count):
    save(tmp_path / "manual" / name / f"{i}.png", RNG.integers(0, 256, (20, 30), np.uint8))


def whole(name, execution):
  """All images of a set: taken for test, so that none is held out."""
  return find("sample_photos", "held_out", [name], execution).sets[name]


def test_a_set_is_prepared_once_and_read_without_the_folder(tmp_path, execution, capsys):
  own(tmp_path)
  first = whole("Mine", execution)
  pixels = [item.decode() for item in first]
  assert "preparing" in capsys.readouterr().out
  for i, item in enumerate(first):
    assert item.name == str(i)
    np.testing.assert_array_equal(
      item.decode(), np.asarray(Image.open(tmp_path / "manual" / "Mine" / f"{i}.png"))
    )
  shutil.rmtree(tmp_path / "manual")
  again = whole("Mine", execution)
  assert [(item.key, item.stamp) for item in again] == [(item.key, item.stamp) for item in first]
  for item, before in zip(again, pixels, strict=True):
    np.testing.assert_array_equal(item.decode(), before)
  assert "preparing" not in capsys.readouterr().out


def test_every_mode_is_stored_as_8_bit_gray_or_rgb_of_the_same_luminance(tmp_path, execution):
  folder, gray, rgb = tmp_path / "manual" / "Mixed", RGB[..., 0], Image.fromarray(RGB)
  exif = Image.Exif()
  exif[0x0112] = 6
  palette = rgb.quantize(256)
  made = {
    "alpha": (np.dstack([RGB, RGB[..., :1]]), ".png", luminance(RGB), {}),
    "bmp": (rgb, ".bmp", luminance(RGB), {}),
    "cmyk": (
      Image.fromarray(np.dstack([255 - RGB, 0 * gray]), mode="CMYK"),
      ".tif",
      luminance(RGB),
      {},
    ),
    "deep": (gray.astype(np.uint16) * 257, ".png", gray, {}),
    "gray": (gray, ".png", gray, {}),
    "palette": (palette, ".png", luminance(np.asarray(palette.convert("RGB"))), {}),
    "rgb": (rgb, ".png", luminance(RGB), {}),
    "turned": (rgb, ".png", np.rot90(luminance(RGB), -1), {"exif": exif}),
    "webp": (rgb, ".webp", luminance(RGB), {"lossless": True}),
  }
  for name, (pixels, suffix, _, options) in made.items():
    save(folder / f"{name}{suffix}", pixels, **options)
  items = {item.name: item for item in whole("Mixed", execution)}
  assert items.keys() == made.keys()
  for name, (_, _, expected, _) in made.items():
    np.testing.assert_array_equal(luminance(items[name].decode()), expected, err_msg=name)
  # Everybody else reads three channels, with or without TensorFlow.
  import tensorflow_datasets as tfds  # noqa: PLC0415

  (prepared,) = (tmp_path / "data" / "image_set" / "Mixed").iterdir()
  for example in tfds.builder_from_directory(prepared).as_data_source("train"):
    assert example["image"].shape in ((20, 30, 3), (30, 20, 3))
    assert example["image"].dtype == np.uint8


def test_div2k_is_its_two_folders(tmp_path, execution):
  for folder, first, count in (("DIV2K_train_HR", 1, 3), ("DIV2K_valid_HR", 801, 2)):
    for i in range(first, first + count):
      save(
        tmp_path / "manual" / folder / f"{i:04}.png", RNG.integers(0, 256, (20, 30, 3), np.uint8)
      )
  with pytest.raises(
    InputError, match="tfds:DIV2K has no test photographs; name others, as --test"
  ):
    find("tfds:DIV2K", "held_out", ["held_out"], execution)
  own(tmp_path, "Set5")
  images = find("tfds:DIV2K", "held_out", ["Set5"], execution)
  assert [item.name for item in images.sets["train"]] == ["0001", "0002", "0003"]
  assert [item.name for item in images.sets["validation"]] == ["0801", "0802"]
  assert images.origin == {"train": "DIV2K", "validation": "DIV2K", "Set5": "Set5"}
  with pytest.raises(InputError, match="the same photographs are given as validation and as DIV2K"):
    find("tfds:DIV2K", "held_out", ["DIV2K"], execution)


def test_a_damaged_image_stops_the_preparation_and_nothing_is_left(tmp_path, execution):
  own(tmp_path)
  bad = tmp_path / "manual" / "Mine" / "3.png"
  whole_file = bad.read_bytes()
  bad.write_bytes(whole_file[:100])
  with pytest.raises(InputError, match=r"3\.png cannot be read as an image"):
    whole("Mine", execution)
  assert not list((tmp_path / "data" / "image_set" / "Mine").iterdir())
  bad.write_bytes(whole_file)
  assert len(whole("Mine", execution)) == 5


def test_files_that_changed_since_are_refused(tmp_path, execution):
  own(tmp_path)
  whole("Mine", execution)
  save(tmp_path / "manual" / "Mine" / "2.png", RNG.integers(0, 256, (20, 30), np.uint8))
  with pytest.raises(InputError, match=r"not those it was prepared from; remove .*Mine/1\.0\.0 to"):
    whole("Mine", execution)
  shutil.rmtree(tmp_path / "data" / "image_set" / "Mine" / "1.0.0")
  assert len(whole("Mine", execution)) == 5


@pytest.mark.parametrize("damage", ["gone", "cut", "bad info", "no metadata"])
def test_a_damaged_prepared_set_is_named(tmp_path, execution, damage):
  own(tmp_path)
  whole("Mine", execution)
  (prepared,) = (tmp_path / "data" / "image_set" / "Mine").iterdir()
  (records,) = prepared.glob("*array_record*")
  if damage == "gone":
    records.unlink()
  elif damage == "cut":
    records.write_bytes(records.read_bytes()[:-300])
  elif damage == "bad info":
    (prepared / "dataset_info.json").write_text("{ torn")
  else:
    (prepared / "metadata.json").unlink()
  with pytest.raises(InputError, match=r"Mine.* prepare"):
    [item.decode() for item in whole("Mine", execution)]


PREPARE = """
import sys
sys.path.insert(0, sys.argv[3])
from sr_jax.config import Execution
from sr_jax.data.finding import find
execution = Execution(manual_dir=sys.argv[1], data_dir=sys.argv[2])
print("begins", flush=True)
items = find("sample_photos", "held_out", ["Mine"], execution).sets["Mine"]
print(sum(item.decode().size for item in items), "tensorflow" in sys.modules, "jax" in sys.modules)
"""


def prepare(execution, packages="."):
  command = [sys.executable, "-c", PREPARE, execution.manual_dir, execution.data_dir, packages]
  return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_tensorflow_is_never_imported(tmp_path, execution):
  own(tmp_path)
  (tmp_path / "packages" / "tensorflow").mkdir(parents=True)  # there is one to import
  (tmp_path / "packages" / "tensorflow" / "__init__.py").write_text("")
  for _ in ("prepares", "reads"):
    out, err = prepare(execution, str(tmp_path / "packages")).communicate(timeout=120)
    assert out.splitlines()[-1].split()[:2] == ["3000", "False"], out + err


@pytest.mark.slow
def test_two_processes_prepare_at_once_and_both_succeed(tmp_path, execution):
  own(tmp_path, count=150)
  both = [prepare(execution) for _ in range(2)]
  for process in both:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert out.splitlines()[-1].startswith("90000 False"), out + err
  assert [path.name for path in (tmp_path / "data" / "image_set" / "Mine").iterdir()] == ["1.0.0"]


def test_losing_the_race_is_no_failure(tmp_path, execution, monkeypatch):
  from sr_jax.data import image_sets  # noqa: PLC0415

  own(tmp_path)
  prepare_it = image_sets.ImageSet.download_and_prepare

  def be_slower(self):
    prepare_it(self)
    raise FileExistsError("Cannot rename: destination already exists")

  monkeypatch.setattr(image_sets.ImageSet, "download_and_prepare", be_slower)
  assert len(whole("Mine", execution)) == 5
  monkeypatch.setattr(
    image_sets.ImageSet,
    "download_and_prepare",
    lambda self: (_ for _ in ()).throw(OSError("disk full")),
  )
  own(tmp_path, "Other")
  with pytest.raises(InputError, match=r"tfds:Other cannot be prepared in .*disk full"):
    whole("Other", execution)


@pytest.mark.slow
def test_a_killed_preparation_is_done_again(tmp_path, execution):
  own(tmp_path, count=300)
  folder = tmp_path / "data" / "image_set" / "Mine"
  process = prepare(execution)
  deadline = time.monotonic() + 100
  while not list(folder.glob("incomplete*/*")) and time.monotonic() < deadline:
    time.sleep(0.001)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  assert not (folder / "1.0.0").exists()
  assert len(whole("Mine", execution)) == 300


@functools.cache
def div2k():
  """A builder of a set such as TFDS's own div2k."""
  import tensorflow_datasets as tfds  # noqa: PLC0415

  class Div2k(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("2.0.0")
    BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="bicubic_x2"),)

    def _info(self):
      features = {"lr": tfds.features.Image(), "hr": tfds.features.Image()}
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
      return {"train": self._generate_examples(4), "validation": self._generate_examples(3)}

    def _generate_examples(self, count):
      for i in range(count):
        png = BytesIO()
        Image.fromarray(np.full((8, 9, 3), 10 * count + i, np.uint8)).save(png, "PNG")
        yield i, {"lr": BytesIO(png.getvalue()), "hr": BytesIO(png.getvalue())}

  return Div2k


@pytest.fixture
def catalogue(tmp_path):
  """The folder of that set, prepared."""
  builder = div2k()(data_dir=tmp_path / "data", file_format="array_record")
  builder.download_and_prepare()
  return tmp_path / "data" / "div2k" / "bicubic_x2" / "2.0.0"


def test_a_prepared_set_of_the_catalogue_is_read(tmp_path, execution, catalogue):
  own(tmp_path, "Set5")
  images = find("tfds:div2k/bicubic_x2", "held_out", ["Set5"], execution)
  assert [len(items) for items in images.sets.values()] == [4, 3, 5]
  seen = {int(luminance(item.decode())[0, 0]) for item in images.sets["train"]}
  grays = np.array([[[40 + i] * 3 for i in range(4)]], np.uint8)
  assert seen == set(luminance(grays)[0].tolist())
  info = catalogue / "dataset_info.json"
  about = json.loads(info.read_text())
  about["fileFormat"] = "tfrecord"
  info.write_text(json.dumps(about))
  with pytest.raises(InputError, match=r"tfds:div2k/bicubic_x2 cannot be read .* as array_record"):
    find("tfds:div2k/bicubic_x2", "held_out", ["Set5"], execution)


def test_a_set_without_images_is_refused(execution, catalogue):
  features = json.loads((catalogue / "features.json").read_text())
  text = {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}}
  features["featuresDict"]["features"] = {"text": text}
  (catalogue / "features.json").write_text(json.dumps(features))
  with pytest.raises(
    InputError, match="tfds:div2k/bicubic_x2 has no images; its features are text"
  ):
    find("tfds:div2k/bicubic_x2", "held_out", ["held_out"], execution)


def test_a_file_replaced_while_the_program_runs_is_seen(tmp_path, execution):
  own(tmp_path)
  before = whole("Mine", execution)
  stat = os.stat(tmp_path / "manual" / "Mine" / "0.png")
  (prepared,) = (tmp_path / "data" / "image_set" / "Mine").iterdir()
  shutil.rmtree(prepared)
  save(tmp_path / "manual" / "Mine" / "0.png", RNG.integers(0, 256, (20, 30), np.uint8))
  assert os.stat(tmp_path / "manual" / "Mine" / "0.png").st_mtime_ns != stat.st_mtime_ns
  after = whole("Mine", execution)
  assert before[0].key == after[0].key
  assert before[0].stamp != after[0].stamp
