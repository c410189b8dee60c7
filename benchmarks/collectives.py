"""Collectives of a compiled program, counted in its text."""

import math
import re
from typing import NamedTuple

KINDS = {
  *("all-reduce", "all-gather", "reduce-scatter", "all-to-all"),
  *("collective-permute", "collective-broadcast"),
}


class Collective(NamedTuple):
  """A collective of a compiled program, of a kind as XLA names it.

  `devices` exchange with each other (with 1, nothing leaves a device); `bytes` are of the result on
  one device; `times` is how often it runs, in a step or in a dispatch.
  """

  kind: str
  devices: int
  bytes: int
  times: int


def collectives(program: str, devices: int) -> tuple[list[Collective], list[Collective]]:
  """The collectives of one step of one member, and those of a dispatch outside of its steps.

  The loop over steps is the loop whose length the compiler does not know, since the first and the
  last step are arguments. Where a device maps members, that is a loop around it.

  Args:
    program: optimised HLO for CPU, where no collective is asynchronous; `compiled.as_text()`.
    devices: their number.

  Raises:
    ValueError: a loop within a step is of unknown length, there is not one loop over steps, or the
      devices of a collective are written in a way that is not known here.
  """
  bodies: dict[str, list[str]] = {}
  entry = here = ""
  for line in program.splitlines():
    if head := re.match(r"(ENTRY )?%?([\w.-]+) \(.*\{$", line):
      here = head[2]
      entry = here if head[1] else entry
      bodies[here] = []
    elif here:
      bodies[here].append(line)
  step: list[Collective] = []
  dispatch: list[Collective] = []
  over_steps: list[str] = []

  def walk(name: str, times: int, into: list[Collective]) -> None:
    for line in bodies[name]:
      # A shape is one word, or a tuple in parentheses.
      parts = re.search(r" = (\(.*?\)|\S+) ([a-z][\w-]*)\(", line)
      if parts is None:
        continue
      kind = parts[2]
      if kind in KINDS:
        into.append(Collective(kind, _group(line, devices), _bytes(parts[1]), times))
      inside, repeats = into, times
      if kind == "while":
        if length := re.search(r'"known_trip_count":\{"n":"(\d+)"', line):
          repeats *= int(length[1])
        elif into is step:
          raise ValueError(f"a loop within a step is of unknown length: {line.strip()[:200]}")
        else:
          over_steps.append(line)
          inside, repeats = step, 1
      listed = re.findall(r"branch_computations=\{(.*?)\}", line)
      called = re.findall(r"(?:to_apply|calls|body|condition)=%?([\w.-]+)", line)
      for callee in [*called, *re.findall(r"[\w.-]+", " ".join(listed))]:
        walk(callee, repeats, inside)

  walk(entry, 1, dispatch)
  if len(over_steps) != 1:
    raise ValueError(f"there are {len(over_steps)} loops of unknown length, not one")
  return step, dispatch


def _bytes(shape: str) -> int:
  """Bytes of "f32[3,3]{1,0}", or of all arrays of a tuple."""
  total = 0
  for bits, sides in re.findall(r"(?:pred|\b[a-z]+(\d+)\w*)\[([\d,]*)\]", shape):
    total += math.prod(int(side) for side in sides.split(",") if side) * int(bits or 8) // 8
  return total


def _group(line: str, devices: int) -> int:
  """Devices that exchange with each other.

  Groups are written {{0,1},{2,3}}, or {} for all, or [groups,size]<=[devices], or since jax 0.12
  mesh['member'=2,'data'=4] {'data'}.
  """
  if axes := re.search(r"replica_groups=mesh\[(.*?)\] ?\{(.*?)\}", line):
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", axes[1]))
    return math.prod(int(sizes[name]) for name in re.findall(r"'(\w+)'", axes[2]))
  if size := re.search(r"replica_groups=\[\d+,(\d+)\]", line):
    return int(size[1])
  if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
    return listed[1].count(",") + 1
  if "replica_groups={}" in line:
    return devices
  raise ValueError(f"replica groups are not understood: {line.strip()[:200]}")
