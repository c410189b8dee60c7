"""What a run prints: tables, and progress as a bar on a terminal, as lines in a pipe."""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.progress import BarColumn, Progress, SpinnerColumn, TimeRemainingColumn, track

Item = TypeVar("Item")
LINE_SECONDS = 10.0  # between two progress lines in a pipe

_quiet = False


def silence() -> None:
  """Prints nothing from now on but errors: another process prints for this one."""
  global _quiet  # noqa: PLW0603  # standard output belongs to the process, and so does this
  _quiet = True


def _on_terminal() -> bool:
  return sys.stdout.isatty() and not _quiet


def log(text: str = "") -> None:
  """Prints a line at once, also into a pipe; the run goes on if nobody reads it any more."""
  if not _quiet:
    _print(text, sys.stdout)


def warn(text: str) -> None:
  """Prints a line to standard error, likewise."""
  if not _quiet:
    error(text)


def error(text: str) -> None:
  """Prints a line to standard error, also in a silenced process: no other one knows of it."""
  _print(text, sys.stderr)


def _print(text: str, stream: Any) -> None:
  try:
    print(text, file=stream, flush=True)
  except BrokenPipeError:  # what is left in the buffer would raise again when Python ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def table(rows: Sequence[Sequence[str]]) -> str:
  """Rows of text cells (the header first) as aligned columns, numbers to the right."""
  columns = []
  for cells in zip(*rows, strict=True):
    justify = str.rjust if any(cell[:1].isdigit() for cell in cells[1:]) else str.ljust
    columns.append([justify(cell, max(map(len, cells))) for cell in cells])
  lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
  return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def with_progress(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
  """Yields the items and shows how many of them are done, and the time left."""
  if _on_terminal():
    yield from track(items, title, total, transient=True)
    return
  logged = began = time.monotonic()
  for done, item in enumerate(items, start=1):
    yield item
    if time.monotonic() - logged >= LINE_SECONDS:
      logged = time.monotonic()
      left = (logged - began) / done * (total - done)
      log(f"{title}: {done} of {total}  {left:.0f} s left")


class TrainingProgress:
  """Shows the progress of one training: steps per second and the time left."""

  def __init__(self, title: str, done: int, steps: int) -> None:
    self._title, self._steps, self._logged = title, steps, -math.inf
    self._first: tuple[int, float] | None = None  # step and time of the first update
    self._bar: Progress | None = None
    if _on_terminal():
      text = "{task.completed}/{task.total} steps {task.fields[state]}"
      columns = SpinnerColumn(), "{task.description}", BarColumn(), text, TimeRemainingColumn()
      self._bar = Progress(*columns)
      self._task = self._bar.add_task(title, total=steps, completed=done, state="compiling")
      self._bar.start()

  def update(self, step: int, state: str) -> None:
    """Shows how many steps are done, and a state in words."""
    now = time.monotonic()
    first_step, began = self._first = self._first or (step, now)  # what came before was compiling
    rate = (step - first_step) / (now - began) if step > first_step else 0.0
    speed = f"{rate:.1f} steps/s  " if rate else ""  # none yet after the first steps
    if self._bar:
      self._bar.update(self._task, completed=step, state=speed + state)
    elif now - self._logged >= LINE_SECONDS or step == self._steps:
      self._logged = now
      left = f"{(self._steps - step) / rate:.0f} s left  " if rate else ""
      log(f"{self._title}: step {step}/{self._steps}  {speed}{left}{state}")

  def close(self) -> None:
    """Removes the bar."""
    if self._bar:
      self._bar.stop()
