"""Reads one checkpoint through Orbax and checks the digests that were saved with it.

Array storage returns a flipped bit without an error, so a digest of every array is part of the
metadata, and a digest of the metadata as well.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from orbax.checkpoint import v1 as ocp

from sr_jax.config import InputError

DIGESTS = "sha256"  # of every array, in a checkpoint's metadata
SEAL = "sha256_of_metadata"
PARTS = ("params", "opt_state", "members")  # of the tree


class DamagedError(Exception):
  """A checkpoint cannot be read, or differs from what was written."""


def read(checkpoint: Path, parts: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
  """Reads parts of a checkpoint as NumPy arrays, and its metadata; raises as `read_metadata`."""
  metadata, shapes = read_metadata(checkpoint, parts)
  wanted = {part: jax.tree.map(lambda _: ocp.PLACEHOLDER, tree) for part, tree in shapes.items()}
  for part in parts:
    wanted[part] = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), shapes[part])
  try:
    tree = ocp.load(checkpoint.absolute(), wanted)
  except Exception as error:  # as in `read_metadata`
    raise _damaged(checkpoint, in_short(error)) from error
  tree = {part: tree[part] for part in parts}
  actual = digests(tree)
  written = {name: value for name, value in metadata[DIGESTS].items() if _part(name) in parts}
  if changed := written.items() ^ actual.items():
    raise _damaged(checkpoint, f"{min(changed)[0]} is not what was written")
  return tree, metadata


def read_metadata(checkpoint: Path, parts: Sequence[str]) -> tuple[dict[str, Any], Any]:
  """Reads what was saved beside the arrays, and the tree of the arrays' shapes and types.

  Raises:
    DamagedError: it cannot be read, or differs from what was written.
    InputError: another version of sr_jax wrote it, without one of the parts.
  """
  try:
    contents = ocp.metadata(checkpoint.absolute())
  except Exception as error:  # Orbax and TensorStore raise many kinds for damaged files
    raise _damaged(checkpoint, in_short(error)) from error
  metadata, shapes = contents.custom_metadata, contents.metadata  # None where Orbax cannot read it
  if not metadata or not shapes:
    raise _damaged(checkpoint, "its metadata cannot be read")
  seal = metadata.pop(SEAL, None)
  if sealed(metadata)[SEAL] != seal:
    raise _damaged(checkpoint, "its metadata is not what was written")
  if missing := set(parts) - {_part(name) for name in metadata[DIGESTS]}:
    raise InputError(
      f"the checkpoint {checkpoint} was made by another version of sr_jax, which saved no "
      f"{' and '.join(sorted(missing))}; move the run's folder away to start afresh"
    )
  if not set(parts) <= shapes.keys():
    raise _damaged(checkpoint, "its metadata cannot be read")
  return metadata, shapes


def sealed(metadata: dict[str, Any]) -> dict[str, Any]:
  """Metadata with a digest of itself."""
  text = json.dumps(metadata, sort_keys=True)
  return {**metadata, SEAL: hashlib.sha256(text.encode()).hexdigest()}


def digests(tree: dict[str, Any]) -> dict[str, str]:
  """A digest of every array, its type and shape included, by the array's path in the tree."""
  by_name = {}
  for name, array in flatten_dict(tree, sep="/").items():
    hasher = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    hasher.update(np.ascontiguousarray(array).tobytes())
    by_name[name] = hasher.hexdigest()
  return by_name


def in_short(error: Exception) -> str:
  """An error's kind and the beginning of its text, on one line."""
  return " ".join(f"{type(error).__name__}: {str(error)[:100]}".split())


def _part(name: str) -> str:
  return name.partition("/")[0]


def _damaged(checkpoint: Path, reason: str) -> DamagedError:
  return DamagedError(f"the checkpoint {checkpoint} is damaged ({reason})")
