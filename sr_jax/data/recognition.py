"""Recognises the field's own image sets by their pixels, and photographs that are in two sets."""

import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sr_jax.data.pairs import Pair

# The first 8 digits of the digest of each photograph, end to end in order of the digits.
KNOWN_SETS = Path(__file__).parent / "known_sets.json"
DIGITS = 8
ALIASES = {"b100": "bsd100", "bsds100": "bsd100"}  # under which BSD100 is passed around

# Correlation of two thumbnails' gradients from which they show one photograph. Among the 430
# photographs of T91, BSD200, Set5, Set14, BSD100 and the sample the three true pairs that differ in
# pixels have 0.966 and more, any other pair at most 0.574.
MIN_CORRELATION = 0.8
THUMBNAIL_SIDE = 16
MAX_PAIRS_NAMED = 5  # in a sentence
Pairs = list[tuple[str, str]]  # names of photographs in both of two sets


def recognise(name: str, digests: Sequence[str]) -> str | None:
  """A sentence on whether photographs with these digests are a set of the field's, or None."""
  photographs = {digest[:DIGITS] for digest in digests}
  for known, genuine in _known_sets().items():
    if photographs == genuine:
      alias = "" if _normalise(name) == _normalise(known) else f" of {known}"
      return f"{name}: the genuine pixels{alias}."
  for known, genuine in _known_sets().items():
    if _normalise(name) == _normalise(known):
      return (
        f"WARNING: {name}: NOT the genuine {known}: {len(photographs & genuine)} of its "
        f"{len(digests)} photographs have the pixels of {known}'s {len(genuine)} (re-encoded, "
        "resized or incomplete?); its scores do not compare with published ones."
      )
  return None


@functools.cache
def _known_sets() -> dict[str, frozenset[str]]:
  return {
    name: frozenset(text[i : i + DIGITS] for i in range(0, len(text), DIGITS))
    for name, text in json.loads(KNOWN_SETS.read_text()).items()
  }


def _normalise(name: str) -> str:
  letters = "".join(filter(str.isalnum, name.casefold()))
  return ALIASES.get(letters, letters)


def find_copies(sets: Mapping[str, Sequence[Pair]]) -> dict[tuple[str, str], Pairs]:
  """Finds photographs that are in two sets, even resized, re-encoded or cropped a little.

  Within one set, which is paired with itself, only equal pixels count.
  """
  copies = {}
  thumbnails = {
    name: np.array([_thumbnail(p.target) for p in photos]) for name, photos in sets.items()
  }
  digests = {name: np.array([p.digest for p in photos]) for name, photos in sets.items()}
  for a, b in itertools.combinations_with_replacement(sets, 2):
    if a == b:
      pairs = _duplicates(sets[a])
    else:
      similar = thumbnails[a] @ thumbnails[b].T > MIN_CORRELATION
      equal = digests[a][:, None] == digests[b]  # also where a thumbnail is flat
      pairs = [(sets[a][i].name, sets[b][j].name) for i, j in np.argwhere(similar | equal).tolist()]
    if pairs:
      copies[a, b] = pairs
  return copies


def describe_copies(copies: Mapping[tuple[str, str], Pairs]) -> list[str]:
  """A sentence for each entry of `find_copies`."""
  return [
    f"{a} holds photographs twice: {_list_pairs(pairs)}."
    if a == b
    else f"{a} and {b} share photographs: {_list_pairs(pairs)}."
    for (a, b), pairs in copies.items()
  ]


def _duplicates(photos: Sequence[Pair]) -> Pairs:
  first: dict[str, str] = {}
  return [
    (first[photo.digest], photo.name)
    for photo in photos
    if first.setdefault(photo.digest, photo.name) != photo.name
  ]


def _list_pairs(pairs: Pairs) -> str:
  named = ", ".join(f"{a} = {b}" for a, b in pairs[:MAX_PAIRS_NAMED])
  rest = len(pairs) - MAX_PAIRS_NAMED
  return f"{named} and {rest} more" if rest > 0 else named


def _thumbnail(luminance: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, " f"]:
  """Gradients of a thumbnail, of norm 1; those of different photographs correlate little."""
  small = Image.fromarray(luminance).resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX)
  pixels = np.asarray(small, np.float32)
  gradients = np.concatenate([np.diff(pixels, axis=axis).ravel() for axis in (0, 1)])
  return gradients / max(float(np.linalg.norm(gradients)), 1e-9)
