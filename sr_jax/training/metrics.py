"""What happened at which step, one JSON object a line, flushed as it is written."""

import json
from pathlib import Path
from typing import Any

from sr_jax import processes, run_lock
from sr_jax.run_folder import Unsaved, replace_text


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

  A line that cannot be written stops nothing: it is noted as not saved. Of several processes the
  first one writes.
  """

  def __init__(self, path: Path, unsaved: Unsaved) -> None:
    self._path, self._unsaved = path, unsaved
    self._torn = False

  def append(self, **line: Any) -> None:
    """Writes one line. Numbers must be finite or None: the file is strict JSON."""
    if not processes.first():
      return
    text = json.dumps(line, allow_nan=False) + "\n"
    with self._unsaved.noting(f"lines of {self._path.name}"):
      run_lock.check(self._path.parent)
      before, self._torn = "\n" * self._torn, True
      with self._path.open("a") as file:
        file.write(before + text)
      self._torn = False

  def rewind(self, step: int, **training: str) -> list[dict[str, Any]]:
    """Drops the lines of one training (its arm and stage) after `step`, and torn ones.

    Returns:
      the lines of this training that are left.
    """
    return processes.from_first(lambda: self._rewind(step, training))

  def _rewind(self, step: int, training: dict[str, str]) -> list[dict[str, Any]]:
    def ours(line: dict[str, Any]) -> bool:
      return all(line.get(key) == value for key, value in training.items())

    kept = [line for line in read(self._path) if line["step"] <= step or not ours(line)]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    if not self._path.exists() or self._path.read_text(errors="replace") != text:
      replace_text(self._path, text)
    return [line for line in kept if ours(line)]
