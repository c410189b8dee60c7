"""Image sets through TensorFlow Datasets (TFDS), without TensorFlow.

A user's own folders are prepared once, without loss, as array_record files. These, and prepared
sets of TFDS's catalogue, are read with random access. Import this module only where it is needed:
TFDS takes a second to import and may not be installed.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from google.protobuf.json_format import ParseError
from jaxtyping import UInt8
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.images import read_pixels
from sr_jax.data.luminance_cache import Item, file_stamp, map_in_threads, short_names

FORMAT = "array_record"  # which is read without TensorFlow
EXIF_ORIENTATION = 0x0112
Files = Mapping[str, Sequence[Path]]  # the image files of a set by split


@dataclasses.dataclass(eq=False)
class Folders(tfds.core.BuilderConfig):
  """The configuration of a set made from folders: the image files of each split."""

  files: Files = dataclasses.field(default_factory=dict)


class ImageSet(tfds.core.GeneratorBasedBuilder):
  """The photographs of a user's own folders, with unchanged pixels."""

  VERSION = tfds.core.Version("1.0.0")

  def _info(self) -> tfds.core.DatasetInfo:
    features = {"image": tfds.features.Image(), "name": tfds.features.Text()}
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(features),
      metadata=tfds.core.MetadataDict(),
      disable_shuffling=True,  # examples stay in the order of the listing
    )

  def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
    files = self.builder_config.files
    self.info.metadata["listing"] = _listing(files)
    return {split: self._generate_examples(paths) for split, paths in files.items()}

  def _generate_examples(self, paths: Sequence[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    for i, image in enumerate(map_in_threads(_encode, paths, "Preparing photographs")):
      yield i, {"image": BytesIO(image), "name": paths[i].stem}


def _listing(files: Files) -> dict[str, list[Any]]:
  """Name, size and time of every file by split, to notice later changes."""
  return {
    split: [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    for split, paths in files.items()
  }


def _encode(path: Path) -> bytes:
  """The file's own bytes if any program reads the same 8-bit gray or RGB from them, else a PNG."""
  pixels = read_pixels(path)
  with Image.open(path) as image:
    plain = image.format in ("PNG", "JPEG") and image.mode in ("L", "RGB")
    if plain and "transparency" not in image.info and EXIF_ORIENTATION not in image.getexif():
      return path.read_bytes()
  png = BytesIO()
  Image.fromarray(pixels).save(png, "PNG", compress_level=1)
  return png.getvalue()


def own_set(name: str, files: Files, data_dir: Path) -> dict[str, list[Item]]:
  """The images of a user's own set by split; prepares the set the first time.

  Two processes may prepare it at once: the first to finish serves both. `files` may be empty for a
  set that is prepared in `data_dir`, TFDS's folder.

  Raises:
    InputError: an image cannot be read, files have changed since the set was prepared, or the
      prepared set is damaged.
  """
  folder = data_dir / "image_set" / name / str(ImageSet.VERSION)
  with _explain_read_errors(f"tfds:{name}", folder):
    builder = _prepare(name, files, data_dir)
    listing = builder.info.metadata["listing"]
  if files and listing != _listing(files):
    raise InputError(
      f"the files of tfds:{name} are not those it was prepared from; remove {folder} to prepare it "
      "again"
    )
  names = {split: short_names([file for file, _, _ in rows]) for split, rows in listing.items()}
  return _items(builder, f"tfds:{name}", "image", names)


def _prepare(name: str, files: Files, data_dir: Path) -> ImageSet:
  """The builder of a user's own set, once this process or another has prepared the set."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)  # TFDS warns of configs that it does not list
  try:
    config = Folders(name=name, files=files)
    tfds.disable_progress_bar()  # `map_in_threads` shows one
    builder = ImageSet(data_dir=data_dir, config=config, file_format=FORMAT)
    if builder.is_prepared():
      return builder
    try:
      builder.download_and_prepare()
    except OSError as error:
      builder = ImageSet(data_dir=data_dir, config=config, file_format=FORMAT)
      if not builder.is_prepared():  # by another process, which was faster
        raise InputError(f"tfds:{name} cannot be prepared in {data_dir} ({error})") from error
    return builder
  finally:
    logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _explain_read_errors(source: str, folder: Path) -> Iterator[None]:
  """Turns what TFDS raises on a set that is damaged or not array_record into an InputError."""
  try:
    yield
  except InputError:
    raise
  except (KeyError, NotImplementedError, OSError, ParseError, RuntimeError, ValueError) as error:
    raise InputError(
      f"{source} cannot be read from {folder} as {FORMAT}; remove that folder and prepare it again"
    ) from error


def catalogue_set(name: str, folder: Path) -> dict[str, list[Item]]:
  """The images by split of a prepared set of TFDS's catalogue, as "div2k/bicubic_x2".

  Raises:
    InputError: it cannot be read without TensorFlow, or has no feature that is an image.
  """
  with _explain_read_errors(f"tfds:{name}", folder):
    builder = tfds.builder_from_directory(folder)
  images = _image_features(builder)
  feature = next((key for key in ("hr", "image", *images) if key in images), None)
  if feature is None:
    features = ", ".join(builder.info.features)
    raise InputError(f"tfds:{name} has no images; its features are {features}")
  return _items(builder, f"tfds:{name}", feature, {})


def _image_features(builder: tfds.core.DatasetBuilder) -> list[str]:
  features = builder.info.features
  return [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]


def _items(
  builder: tfds.core.DatasetBuilder, source: str, feature: str, names: Mapping[str, Sequence[str]]
) -> dict[str, list[Item]]:
  """The images of a prepared set by split; `names` is empty if they are only numbered."""
  folder = Path(builder.data_path)
  undecoded = {key: tfds.decode.SkipDecoding() for key in _image_features(builder)}
  stamp = file_stamp(folder / "dataset_info.json")

  def items(split: str) -> Iterator[Item]:
    records = builder.as_data_source(split, decoders=undecoded)
    for i in range(len(records)):
      name = names[split][i] if split in names else f"{split}-{i}"
      where = f"image {name} of {source}"
      decode = functools.partial(_read_record, records, i, feature, where)
      yield Item(name, where, f"{folder.resolve()} {split} {i}", stamp, decode)

  with _explain_read_errors(source, folder):
    return {split: list(items(split)) for split in builder.info.splits}


def _read_record(
  records: Sequence[Any], i: int, feature: str, where: str
) -> UInt8[np.ndarray, "h w *c"]:
  try:
    encoded = records[i][feature]
  except (IndexError, OSError, RuntimeError, ValueError) as error:
    raise InputError(f"{where} cannot be read ({error}); prepare the set again") from error
  return read_pixels(BytesIO(encoded), where)
