"""Upscales photographs with a trained network.

  python -m sr_jax.upscale IMAGE... --checkpoint=RUN --output=DIR

RUN is the folder of a run, such as runs/matched_flops-0123456789. Every IMAGE becomes a PNG file,
lossless also for a JPEG, of the same name in DIR, which is made if need be; images there are kept,
unless --overwrite.

The network upscales luminance. Chroma (Cb and Cr of ITU-R BT.601) and alpha are enlarged by bicubic
interpolation. Colour is multiplied by alpha before and divided by it after, so that what a file
holds under transparent pixels changes nothing that is seen. Gray stays gray, 16-bit gray stays
16-bit; palettes and CMYK become RGB, black and white becomes gray. Pillow reads 16-bit colour as
8-bit, and of several frames the first. Photographs are turned as their EXIF tag says and keep their
ICC profile (but for CMYK's). Large ones are upscaled in tiles that leave no seam; beyond about 178
million pixels they are refused.
"""

import dataclasses
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from sr_jax.config import InputError, setting
from sr_jax.data.images import decode
from sr_jax.networks import Maps, Network
from sr_jax.operators.resize import imresize
from sr_jax.runtime.command_line import REQUIRED, run, words
from sr_jax.runtime.console import log, with_progress
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import restore as trained
from sr_jax.training.checkpoints import silence_orbax
from sr_jax.training.restore import Trained
from sr_jax.upscale import tiling
from sr_jax.upscale.planes import CHANNELS, merge_planes, planes_mode, split_planes
from sr_jax.upscale.tiling import SIDE


@dataclasses.dataclass(frozen=True)
class Arguments:
  """The command line."""

  checkpoint: str = setting(REQUIRED, "folder of the run that trained the network")
  output: str = setting(REQUIRED, "folder to write the upscaled images to")
  images: tuple[str, ...] = words("photographs to upscale")
  arm: str | None = setting(None, "arm of the run; by default the first that is trained")
  member: int = setting(0, "which of the arm's seeds, counted from 0", at_least=0)
  overwrite: bool = setting(False, "replace images in --output")


def upscale_image(image: Image.Image, name: str, by: Trained, side: int = SIDE) -> Image.Image:
  """Upscales an image of any mode to one of mode L, LA, RGB, RGBA or I;16.

  Args:
    image: as from `decode`.
    name: what errors and progress call it.
    by: the network.
    side: of a tile, in LR pixels; the result does not depend on it (see tiling.py).

  Raises:
    InputError: as `planes_mode`.
  """
  planes, scale = split_planes(image, planes_mode(image, name)), by.network.scale
  tiles = tiling.plan_tiles(by.network, image.height, image.width, side)
  shape = (scale * image.height, scale * image.width, CHANNELS[planes.mode])
  pixels = np.empty(shape, np.uint16 if planes.mode == "I;16" else np.uint8)
  upscaled = tiling.upscale_tiles(by.network, by.params, planes.luminance, tiles)
  for part, luminance in with_progress(upscaled, len(tiles), name):
    rest = imresize(planes.chroma_and_alpha, scale, part=part)
    pixels[part] = merge_planes(planes, luminance, rest)
  return Image.fromarray(pixels[:, :, 0] if shape[2] == 1 else pixels)


def read(path: Path) -> Image.Image:
  """Reads an image file.

  Raises:
    InputError: there is none, it is damaged, or larger than Pillow takes for safe.
  """
  if path.is_dir():
    raise InputError(f"{path} is a folder; name the images in it, as {path}/*.jpg")
  if not path.is_file():
    raise InputError(f"there is no file {path}")
  with warnings.catch_warnings():  # Pillow warns from half of the size that it refuses
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return decode(path)


def save(image: Image.Image, file: Path, icc_profile: bytes | None) -> None:
  """Writes a PNG file, whole or not at all."""
  fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
  try:
    image.save(fresh, "PNG", icc_profile=icc_profile)
    fresh.replace(file)
  finally:
    fresh.unlink(missing_ok=True)


def outputs_of(images: Sequence[Path], folder: Path, overwrite: bool) -> list[Path]:
  """Where each image's result goes.

  Raises:
    InputError: the folder cannot be written, two results have one name, or one exists already.
  """
  existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
  if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
    raise InputError(f"--output={folder} cannot be written: {existing} is no folder or protected")
  taken: dict[str, Path] = {}
  files = [folder / f"{image.stem}.png" for image in images]
  for image, file in zip(images, files, strict=True):
    first = taken.setdefault(file.name.casefold(), image)  # some file systems ignore capitals
    if first is not image:
      raise InputError(f"{first} and {image} would both become {file}; rename one of them")
    if file.exists() and any(file.samefile(other) for other in images):
      raise InputError(f"{file} is one of the images to upscale; choose another --output")
    if file.is_dir():
      raise InputError(f"{file} is a folder; choose another --output")
    if file.exists() and not overwrite:
      raise InputError(f"{file} exists; choose another --output, or --overwrite it")
  return files


def _check_upscales(by: Trained) -> None:
  """Raises an InputError if the network is one of this package of another task."""
  network = by.network
  if not isinstance(network, Network):
    return
  reads, writes = network.image_maps, network.target_maps
  if (network.dims, reads, writes) != (2, Maps(lr=1), Maps(hr=1)):
    kind, count = ("HR", reads.hr) if reads.hr else ("LR", reads.lr)
    raise InputError(
      f"--checkpoint: {by.arm} makes {writes.hr} HR maps of {count} {kind} maps in {network.dims} "
      "dimensions; give a run whose networks make HR luminance of LR luminance"
    )


def main(argv: Sequence[str]) -> int:
  """Upscales the images that a command line names and returns the exit code."""
  return run(upscale, Arguments, argv)


def upscale(arguments: Arguments) -> None:
  """Checks all images, then upscales one after the other."""
  if not arguments.images:
    raise InputError("name at least one image; --help says how")
  folder = Path(arguments.output).expanduser()
  images = [Path(name) for name in arguments.images]
  for path in images:  # all of them, to the last byte, before anything is computed or written
    planes_mode(read(path), str(path))
  files = outputs_of(images, folder, arguments.overwrite)
  run_dir = RunFolder(Path(arguments.checkpoint).expanduser())
  by = trained.load(run_dir, arguments.arm, arguments.member)
  if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(by.params)):
    raise InputError(f"--member={by.member} of {by.arm} diverged in training; choose another")
  _check_upscales(by)
  log(f"{by.arm}, seed {by.seed}, trained for {by.step} steps, enlarges {by.network.scale} times")
  folder.mkdir(parents=True, exist_ok=True)
  for path, file in zip(images, files, strict=True):
    image = read(path)
    result = upscale_image(image, path.name, by)
    save(result, file, None if image.mode == "CMYK" else image.info.get("icc_profile"))
    log(f"{path} -> {file}  {result.width} x {result.height}")


if __name__ == "__main__":
  silence_orbax()
  sys.exit(main(sys.argv))
