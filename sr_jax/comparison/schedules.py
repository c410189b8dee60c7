"""Schedules: how many HR maps each state between two layers holds; and effects of its positions.

A schedule's name has the number of every state: "8-8-8-0-0" upscales 8 maps in the first three.
Where each state holds either none or the same number, schedules are runs of a two-level factorial
design, with a factor a position.
"""

import itertools
import math
import re
from collections.abc import Collection, Sequence

from sr_jax.comparison.combinations import Weights

Schedule = tuple[int, ...]
# Of fewer positions, half of all schedules mixes the effect of a position with that of two others.
MIN_POSITIONS_OF_HALF = 5


def name_of(schedule: Schedule) -> str:
  """The name of a schedule: "8-8-8-0-0"."""
  return "-".join(map(str, schedule))


def parse(name: str) -> Schedule | None:
  """The schedule of this name, or None if it is no schedule's."""
  return tuple(map(int, name.split("-"))) if re.fullmatch(r"\d+(-\d+)+", name) else None


def lattice(positions: int, maps: int) -> list[Schedule]:
  """All schedules of none or `maps` HR maps, 2^positions of them."""
  return [schedule[::-1] for schedule in itertools.product((0, maps), repeat=positions)]


def half(positions: int, maps: int) -> list[Schedule]:
  """The half of the lattice with an odd number of HR states.

  Of five positions it is a design of resolution V: the effect of a position is mixed with that of
  the four others together, and that of two positions with that of the three others.
  """
  return [each for each in lattice(positions, maps) if sum(map(bool, each)) % 2]


def blocks(positions: int, maps: int) -> dict[str, Schedule]:
  """Neighbouring HR states, as many early as in the middle as late; and none, and all.

  Of three positions there is no block in the middle.
  """
  length = (positions + 1) // 2
  middle = (positions - length) // 2
  starts = {"early": 0, **({"middle": middle} if middle else {}), "late": positions - length}
  states = {name: range(start, start + length) for name, start in starts.items()}
  chosen = {"none": range(0), **states, "all": range(positions)}
  return {
    name: tuple(maps if i in high else 0 for i in range(positions)) for name, high in chosen.items()
  }


def controls(positions: int, maps: int) -> list[Schedule]:
  """Schedules without neighbouring HR states: LR networks, but that biases are tied."""
  first = tuple(maps if i == 0 else 0 for i in range(positions))
  return [first, tuple(maps if i % 2 else 0 for i in range(positions))]


def design(present: Collection[str], positions: int, maps: int) -> list[Schedule]:
  """The largest of the whole lattice and its half whose arms are all present; else none."""
  designs = [lattice(positions, maps)]
  if positions >= MIN_POSITIONS_OF_HALF:
    designs.append(half(positions, maps))
  return next((each for each in designs if {*map(name_of, each)} <= {*present}), [])


def effect_of(positions: Sequence[int], schedules: Sequence[Schedule]) -> Weights:
  """The effect of a position, or the interaction of several, as weights of the schedules.

  A state counts +1 if it has HR maps, else -1. The effect is the mean over schedules whose product
  of these, over the positions, is +1 less the mean over the others.
  """
  signs = {
    name_of(schedule): math.prod(1 if schedule[i] else -1 for i in positions)
    for schedule in schedules
  }
  counts = {sign: [*signs.values()].count(sign) for sign in (1, -1)}
  return {name: sign / counts[sign] for name, sign in signs.items()}


def reduced(schedule: Schedule) -> Schedule:
  """The schedule less its HR states without an HR neighbour, which tie nothing but biases."""
  padded = (0, *schedule, 0)
  return tuple(maps if padded[i] or padded[i + 2] else 0 for i, maps in enumerate(schedule))


def families(positions: int, maps: int) -> list[Schedule]:
  """The schedules of the lattice whose weights differ: each HR state has an HR neighbour."""
  return [each for each in lattice(positions, maps) if reduced(each) == each]


def neighbours(positions: int, maps: int) -> dict[str, list[str]]:
  """Of each of the `families`, those that differ in one state, or in two side by side."""
  names = {each: name_of(each) for each in families(positions, maps)}

  def are_near(first: Schedule, second: Schedule) -> bool:
    places = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    return bool(places) and places[-1] - places[0] < 2

  return {
    name: [other for each, other in names.items() if are_near(schedule, each)]
    for schedule, name in names.items()
  }
