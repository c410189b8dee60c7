"""What happened at which step, one JSON object a line, flushed as it is written."""

import json
from pathlib import Path
from typing import Any

from sr_jax.runtime import lock, processes
from sr_jax.runtime.files import Unsaved, replace_text


def read(path: Path) -> list[dict[str, Any]]:
  """All lines of a metrics file, but for what a kill or a full disk has torn."""
  if not path.exists():
    return []
  found = []
  for text in path.read_text(errors="replace").splitlines():
    try:
      line = json.loads(text)
    except ValueError:
      continue
    if isinstance(line, dict) and isinstance(line.get("step"), int):
      found.append(line)
  return found


class MetricsLog:
  """Appends lines to a file; `rewind` forgets what a resumed training is about to repeat.

  Lines that are repeated stand where they stood, also where other trainings have lines after them,
  so that a run has the same file however often it was killed. A line that cannot be written stops
  nothing: it is noted as not saved. Of several processes the first one writes.
  """

  def __init__(self, path: Path, unsaved: Unsaved) -> None:
    self._path, self._unsaved = path, unsaved
    self._torn = False
    self._before, self._after = "", ""  # what surrounds the next line, where something is after it

  def append(self, **line: Any) -> None:
    """Writes one line. Numbers must be finite or None: the file is strict JSON."""
    if not processes.is_primary():
      return
    text = json.dumps(line, allow_nan=False) + "\n"
    with self._unsaved.noting(f"lines of {self._path.name}"):
      lock.check(self._path.parent)
      if self._after:
        self._before += text
        replace_text(self._path, self._before + self._after)
        return
      before, self._torn = "\n" * self._torn, True
      with self._path.open("a") as file:
        file.write(before + text)
      self._torn = False

  def rewind(self, step: int, **training: str) -> list[dict[str, Any]]:
    """Drops the lines of one training (its arm and stage) after `step`, and torn ones.

    The lines appended next are to be of this training.

    Returns:
      the lines of this training that are left.
    """
    return processes.broadcast_from_primary(lambda: self._rewind(step, training))

  def _rewind(self, step: int, training: dict[str, str]) -> list[dict[str, Any]]:
    lines = read(self._path)
    ours = [
      i
      for i, line in enumerate(lines)
      if all(line.get(key) == value for key, value in training.items())
    ]
    kept = [i for i in ours if lines[i]["step"] <= step]
    dropped = set(ours) - set(kept)
    place = kept[-1] + 1 if kept else min(dropped, default=len(lines))

    def text(numbers: range) -> str:
      return "".join(json.dumps(lines[i]) + "\n" for i in numbers if i not in dropped)

    self._before, self._after = text(range(place)), text(range(place, len(lines)))
    whole = self._before + self._after
    # Where none is kept, those to be dropped tell where this training's lines belong.
    waits = bool(dropped and not kept and self._after)
    if not self._path.exists() or (not waits and self._path.read_text(errors="replace") != whole):
      replace_text(self._path, whole)
    return [lines[i] for i in kept]
