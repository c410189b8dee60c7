"""Reads labels for segmentation: a class for each pixel of a photograph, from files by its name."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from scipy.io import loadmat

from sr_jax.config import InputError
from sr_jax.data.images import decode

SUFFIXES = (".png", ".mat")
MAX_CLASSES = 32
PNG_MODES = ("1", "L", "P")  # a gray value, or an index of the palette, is a class


def load_labels(
  folder: str, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Int32[np.ndarray, "h w"]]:
  """Reads the labels of photographs, by their names, from a folder and its subfolders.

  Those of a photograph are in NAME.png: class numbers of 8 bits, as gray values or indices of a
  palette; or in NAME.mat, the ground truth of BSDS500 (Arbelaez et al., "Contour Detection and
  Hierarchical Image Segmentation", PAMI 2011): label 1 where any annotator marks a boundary, else
  0. Annotators' boundaries differ by a pixel or so, hence their union is wider than a boundary.

  Args:
    folder: what --labels gives.
    shapes: `(height, width)` of each photograph by name, before any cropping.

  Raises:
    InputError: a photograph has no labels or several files of them; a file is damaged, holds
      colour or more than 32 classes, or does not fit its photograph; or all labels are equal.
  """
  root, files = Path(folder).expanduser(), find_labels(folder)
  by_name = {}
  for name, (height, width, *_) in shapes.items():
    if name not in files:
      raise InputError(
        f"--labels: {root} has no labels of the photograph {name}, that is no {name}.png or "
        f"{name}.mat"
      )
    path, *others = files[name]
    if others:
      raise InputError(
        f"--labels: {path} and {others[0]} are of one photograph; remove one of them"
      )
    labels = _read(path)
    if labels.shape != (height, width):
      raise InputError(
        f"{path} labels {_size(labels.shape)} pixels and the photograph {name} has "
        f"{_size((height, width))}"
      )
    by_name[name] = labels
  ends = {int(label) for labels in by_name.values() for label in (labels.min(), labels.max())}
  if len(ends) == 1:
    raise InputError(f"--labels: {root} labels every pixel {ends.pop()}; there is nothing to learn")
  return by_name


def find_labels(folder: str) -> dict[str, list[Path]]:
  """The label files below a folder by their names without suffix; none is read.

  Raises an InputError if there is no such folder.
  """
  root = Path(folder).expanduser()
  if not root.is_dir():
    raise InputError(f"--labels: there is no folder {root}")
  files: dict[str, list[Path]] = {}
  for path in sorted(root.rglob("*")):
    if path.suffix.lower() in SUFFIXES and path.name[0] != ".":  # macOS adds hidden copies
      files.setdefault(path.stem, []).append(path)
  return files


def _size(shape: tuple[int, ...]) -> str:
  return f"{shape[1]} x {shape[0]}"


def count_classes(folder: str) -> int:
  """The largest label of all files below a folder, plus 1.

  Raises:
    InputError: there is no such folder, no file in it, or a damaged one.
  """
  files = [path for paths in find_labels(folder).values() for path in paths]
  if not files:
    raise InputError(f"--labels: {folder} holds no file ending in {' or '.join(SUFFIXES)}")
  return 1 + max(int(_read(path).max()) for path in files)


def _read(path: Path) -> Int32[np.ndarray, "h w"]:
  return _read_png(path) if path.suffix.lower() == ".png" else _read_bsds(path)


def _read_png(path: Path) -> Int32[np.ndarray, "h w"]:
  image = decode(path)
  if image.mode not in PNG_MODES:
    raise InputError(
      f"{path} holds pixels of mode {image.mode}; save class numbers as 8-bit gray or a palette"
    )
  labels = np.asarray(image).astype(np.int32)
  if labels.max() >= MAX_CLASSES:
    raise InputError(
      f"{path} has class {labels.max()}; classes are numbered from 0 and may be {MAX_CLASSES} at "
      "most"
    )
  return labels


def _read_bsds(path: Path) -> Int32[np.ndarray, "h w"]:
  """Where any of BSDS500's annotators marks a boundary."""
  try:
    annotators = loadmat(path, simplify_cells=True)["groundTruth"]
    annotators = [annotators] if isinstance(annotators, dict) else annotators
    boundaries = np.stack([annotator["Boundaries"] for annotator in annotators])
    if boundaries.ndim != 3:
      raise ValueError(f"Boundaries of {boundaries.ndim - 1} dimensions")
    return np.any(boundaries != 0, axis=0).astype(np.int32)
  except Exception as error:  # damaged files make the parser raise any kind
    raise InputError(
      f"{path} cannot be read as ground truth of BSDS500 ({type(error).__name__}: {error}); "
      "replace it"
    ) from error
