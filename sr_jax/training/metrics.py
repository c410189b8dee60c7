"""What happened at which step, one JSON object a line, flushed as it is written."""

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
  """All complete lines of a metrics file; a last line torn by a kill is left out."""
  if not path.exists():
    return []
  text = path.read_text()
  return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class MetricsLog:
  """Appends lines to a file; `rewind` forgets what a resumed training is about to repeat."""

  def __init__(self, path: Path) -> None:
    self._path = path

  def append(self, **line: Any) -> None:
    """Writes one line. Numbers must be finite or None: the file is strict JSON."""
    with self._path.open("a") as file:
      file.write(json.dumps(line, allow_nan=False) + "\n")

  def rewind(self, step: int, **training: str) -> None:
    """Drops the lines of one training (its arm and stage) after `step`, and a torn line."""
    kept = [
      line
      for line in read(self._path)
      if line["step"] <= step or any(line.get(key) != value for key, value in training.items())
    ]
    fresh = self._path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(line) + "\n" for line in kept))
    fresh.replace(self._path)
