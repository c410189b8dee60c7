"""Files that are written whole or not at all, and what a run could not write."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sr_jax.config import InputError, NotSavedError
from sr_jax.runtime.console import warn


def write_json(path: Path, data: Any) -> None:
  """Writes strict JSON so that the file is either the old one or the new one, whole."""
  replace_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def replace_text(path: Path, text: str) -> None:
  """Writes a file whole or leaves the old one, with an OSError whose `filename` is the path."""
  fresh = path.with_name(path.name + ".new")
  try:
    with fresh.open("w", encoding="utf-8") as file:
      file.write(text)
      file.flush()
      os.fsync(file.fileno())
    fresh.replace(path)
  except OSError as error:
    with contextlib.suppress(OSError):
      fresh.unlink(missing_ok=True)
    raise OSError(error.errno, error.strerror, str(path)) from error


def read_json(path: Path) -> Any:
  """Reads a JSON file of a run; raises an InputError if it is missing or damaged."""
  try:
    return json.loads(path.read_text())
  except FileNotFoundError as error:
    raise InputError(f"there is no {path}; is {path.parent} the folder of a run?") from error
  except (OSError, ValueError) as error:
    raise InputError(f"{path} cannot be read ({error}); move its folder away") from error


class Unsaved:
  """What a run could not write so far: it goes on without, and says so at once and at its end."""

  def __init__(self) -> None:
    self._reasons: dict[str, str] = {}

  @contextlib.contextmanager
  def noting(self, what: str) -> Iterator[None]:
    """Within it a failure to write `what` (in words) is noted and stops nothing."""
    try:
      yield
    except OSError as error:
      if what not in self._reasons:
        self._reasons[what] = error.strerror or str(error)
        warn(f"WARNING: not saved: {what} ({self._reasons[what]})")

  @contextlib.contextmanager
  def ending(self) -> Iterator[None]:
    """Within it an OSError becomes a NotSavedError, which lists all that is missing."""
    try:
      yield
    except OSError as error:
      self._reasons[str(error.filename or "a file of the run")] = error.strerror or str(error)
      self.check()

  def saved(self, what: str) -> None:
    """Notes that `what` is on disk after all."""
    self._reasons.pop(what, None)

  def check(self) -> None:
    """Raises a NotSavedError that lists what is missing, if anything is."""
    if self._reasons:
      listed = "; ".join(f"{what} ({reason})" for what, reason in self._reasons.items())
      raise NotSavedError(f"not saved: {listed}")
