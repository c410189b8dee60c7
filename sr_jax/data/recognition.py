"""What photographs are: the field's own sets, by their pixels, and copies of one another."""

import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sr_jax.data.images import Photo

# The first 8 digits of the digest of each photograph, end to end in order of the digits.
KNOWN_SETS = Path(__file__).parent / "known_sets.json"
DIGITS = 8
ALIASES = {"b100": "bsd100", "bsds100": "bsd100"}  # under which BSD100 is passed around

# Correlation of two thumbnails' gradients from which they show one photograph. Among the 430
# photographs of T91, BSD200, Set5, Set14, BSD100 and the sample the three true pairs that differ in
# pixels have 0.966 and more, any other pair at most 0.574.
SAME = 0.8
SIDE = 16  # of a thumbnail
SHOWN = 5  # pairs that a sentence names


def recognise(name: str, digests: Sequence[str]) -> str | None:
  """Says whether a set is one of the field's and has its pixels; None if it is nobody's.

  Args:
    name: what the set calls itself.
    digests: of all its photographs (`images.digest_of`).
  """
  found = {digest[:DIGITS] for digest in digests}
  for known, genuine in _known_sets().items():
    if found == genuine:
      alias = "" if _plain(name) == _plain(known) else f" of {known}"
      return f"{name}: the genuine pixels{alias}."
  for known, genuine in _known_sets().items():
    if _plain(name) == _plain(known):
      return (
        f"WARNING: {name}: NOT the genuine {known}: {len(found & genuine)} of its {len(digests)} "
        f"photographs have the pixels of {known}'s {len(genuine)} (re-encoded, resized or "
        "incomplete?); its scores do not compare with published ones."
      )
  return None


@functools.cache
def _known_sets() -> dict[str, frozenset[str]]:
  return {
    name: frozenset(text[i : i + DIGITS] for i in range(0, len(text), DIGITS))
    for name, text in json.loads(KNOWN_SETS.read_text()).items()
  }


def _plain(name: str) -> str:
  plain = "".join(filter(str.isalnum, name.casefold()))
  return ALIASES.get(plain, plain)


def copies(sets: Mapping[str, Sequence[Photo]]) -> dict[tuple[str, str], list[tuple[str, str]]]:
  """Photographs that are in two sets, though resized, re-encoded or cropped a little.

  Within one set only equal pixels are found.

  Returns:
    for each pair of sets (or of a set and itself) that share photographs, their names in both.
  """
  found = {}
  thumbnails = {name: _thumbnails(photos) for name, photos in sets.items()}
  digests = {name: np.array([photo.digest for photo in some]) for name, some in sets.items()}
  for one, other in itertools.combinations_with_replacement(sets, 2):
    alike = thumbnails[one] @ thumbnails[other].T > SAME
    equal = digests[one][:, None] == digests[other]  # also where a thumbnail shows nothing
    same = np.argwhere(alike | equal).tolist()
    named = [(sets[one][a].name, sets[other][b].name) for a, b in same]
    if pairs := _twins(sets[one]) if one == other else named:
      found[one, other] = pairs
  return found


def describe(shared: Mapping[tuple[str, str], Sequence[tuple[str, str]]]) -> list[str]:
  """A sentence for each entry of `copies`."""
  return [
    f"{one} holds photographs twice: {_pairs(pairs)}."
    if one == other
    else f"{one} and {other} share photographs: {_pairs(pairs)}."
    for (one, other), pairs in shared.items()
  ]


def _twins(photos: Sequence[Photo]) -> list[tuple[str, str]]:
  first: dict[str, str] = {}
  return [
    (first[photo.digest], photo.name)
    for photo in photos
    if first.setdefault(photo.digest, photo.name) != photo.name
  ]


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
  shown = ", ".join(f"{a} = {b}" for a, b in pairs[:SHOWN])
  return shown + (f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")


def _thumbnails(photos: Sequence[Photo]) -> Float[np.ndarray, "n f"]:
  return np.array([_thumbnail(photo.hr) for photo in photos])


def _thumbnail(luminance: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, " f"]:
  """Gradients of a thumbnail, of norm 1; those of another photograph correlate little."""
  small = Image.fromarray(luminance).resize((SIDE, SIDE), Image.Resampling.BOX)
  pixels = np.asarray(small, np.float32)
  gradients = np.concatenate([np.diff(pixels, axis=axis).ravel() for axis in (0, 1)])
  return gradients / max(float(np.linalg.norm(gradients)), 1e-9)
