"""What happened at which step, one JSON object a line, flushed as it is written."""

import contextlib
import json
from pathlib import Path
from typing import Any

from sr_jax.runtime import lock, processes
from sr_jax.runtime.files import Unsaved, replace_text


def read(path: Path) -> list[dict[str, Any]]:
  """All whole lines of a metrics file: a kill or a full disk may have torn some."""
  if not path.exists():
    return []
  lines = []
  for text in path.read_text(errors="replace").splitlines():
    with contextlib.suppress(ValueError):
      line = json.loads(text)
      if isinstance(line, dict) and isinstance(line.get("step"), int):
        lines.append(line)
  return lines


class MetricsLog:
  """Appends lines to a file; `rewind` forgets what a resumed training is about to repeat.

  Lines that are repeated stand where they stood, also where other trainings have lines after them,
  so that a run has the same file however often it was killed. A line that cannot be written stops
  nothing: it is noted as not saved. Of several processes the primary one writes.

  Attributes:
    lines: all lines, in the order of the file; empty in processes that do not write.
  """

  def __init__(self, path: Path, unsaved: Unsaved) -> None:
    self.lines: list[dict[str, Any]] = []
    processes.broadcast_from_primary(lambda: self.lines.extend(read(path)))
    self._path, self._unsaved, self._name = path, unsaved, f"lines of {path.name}"
    self._next = len(self.lines)  # place of the next line
    self._torn = False

  def append(self, **line: Any) -> None:
    """Writes one line. Numbers must be finite or None: the file is strict JSON."""
    if not processes.is_primary():
      return
    self.lines.insert(self._next, line)
    self._next += 1
    with self._unsaved.noting(self._name):
      lock.check(self._path.parent)
      if self._next < len(self.lines):
        replace_text(self._path, self._text())
        return
      before, self._torn = "\n" * self._torn, True
      with self._path.open("a") as file:
        file.write(before + _as_text(line))
      self._torn = False

  def rewind(self, step: int, **training: str) -> list[dict[str, Any]]:
    """Drops the lines of one training (its arm and stage) after `step`; returns those left of it.

    Torn lines are dropped, too. The lines appended next are to be of this training.
    """
    return processes.broadcast_from_primary(lambda: self._rewind(step, training))

  def _rewind(self, step: int, training: dict[str, str]) -> list[dict[str, Any]]:
    own = [i for i, line in enumerate(self.lines) if training.items() <= line.items()]
    kept = [i for i in own if self.lines[i]["step"] <= step]
    dropped = set(own) - set(kept)
    self._next = kept[-1] + 1 if kept else min(dropped, default=len(self.lines))
    left = [self.lines[i] for i in kept]
    self.lines = [line for i, line in enumerate(self.lines) if i not in dropped]
    # Where none is kept, those to be dropped tell where this training's lines belong.
    waits = bool(dropped and not kept and self._next < len(self.lines))
    text = self._text()
    is_current = self._path.exists() and self._path.read_text(errors="replace") == text
    if not self._path.exists() or not (waits or is_current):
      replace_text(self._path, text)
      self._unsaved.saved(self._name)  # what could not be appended before is in it
    return left

  def _text(self) -> str:
    return "".join(map(_as_text, self.lines))


def _as_text(line: dict[str, Any]) -> str:
  return json.dumps(line, allow_nan=False) + "\n"
