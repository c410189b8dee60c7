"""What a run prints: tables, and progress as a bar on a terminal, as lines in a pipe."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.progress import (
  BarColumn,
  Progress,
  SpinnerColumn,
  TextColumn,
  TimeRemainingColumn,
  track,
)

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
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  left = [all(not row[i][:1].isdigit() for row in rows[1:]) for i in range(len(rows[0]))]
  lines = [
    "  ".join(
      cell.ljust(width) if flush else cell.rjust(width)
      for cell, width, flush in zip(row, widths, left, strict=True)
    ).rstrip()
    for row in rows
  ]
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
    self._title, self._steps = title, steps
    self._first_step, self._began = done, time.monotonic()
    self._started = False
    self._logged = self._began - LINE_SECONDS
    self._bar: Progress | None = None
    if _on_terminal():
      self._bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
      )
      self._task = self._bar.add_task(title, total=steps, completed=done, state="compiling")
      self._bar.start()

  def update(self, step: int, state: str) -> None:
    """Shows how many steps are done, and a state in words."""
    if not self._started:  # what came before was compiling
      self._started, self._first_step, self._began = True, step, time.monotonic()
    seconds = time.monotonic() - self._began
    rate = (step - self._first_step) / seconds if step > self._first_step else 0.0
    speed = f"{rate:.1f} steps/s  " if rate else ""  # none yet after the first steps
    if self._bar:
      self._bar.update(self._task, completed=step, state=speed + state)
    elif time.monotonic() - self._logged >= LINE_SECONDS or step == self._steps:
      self._logged = time.monotonic()
      left = f"{(self._steps - step) / rate:.0f} s left  " if rate else ""
      log(f"{self._title}: step {step}/{self._steps}  {speed}{left}{state}")

  def close(self) -> None:
    """Removes the bar."""
    if self._bar:
      self._bar.stop()
