"""Stopping on a signal: at once, or, while there is something to save, at the next safe moment.

Python runs a signal's handler in the main thread, which may be inside XLA's compiler for a minute.
So a second thread hears of the signal as well, and where nothing waits to be saved it ends the
process without waiting for the compiler.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from sr_jax.runtime import watchdog

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 2.0  # seconds for the main thread to stop in good order
LIMIT = 9.0  # seconds for it to save: schedulers kill soon after
SHOW_CURSOR = "\x1b[?25h"

_requested: int | None = None
_heard = False  # whether this process itself was sent a signal
_deferring = False
_saving = False  # whether the process must live until something is saved


class Interrupted(KeyboardInterrupt):
  """SIGINT or SIGTERM arrived; `exit_code` is what a shell expects (130 or 143)."""

  def __init__(self, number: int) -> None:
    super().__init__(signal.Signals(number).name)
    self.exit_code = 128 + number


@contextlib.contextmanager
def installed() -> Iterator[None]:
  """Within it SIGINT and SIGTERM become `Interrupted` (main thread only)."""
  global _requested, _heard  # signals belong to the process, and so do these
  _requested, _heard = None, False
  ours, theirs = socket.socketpair()
  theirs.setblocking(False)
  before = {number: signal.signal(number, _handle) for number in SIGNALS}
  woken = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
  finished = threading.Event()
  watcher = threading.Thread(target=_watch, args=(ours, finished), daemon=True)
  watcher.start()
  try:
    yield
  finally:
    finished.set()
    signal.set_wakeup_fd(woken)
    for number, handler in before.items():
      signal.signal(number, handler)
    theirs.close()  # the watcher reads its end
    watcher.join()
    ours.close()
    _requested, _heard = None, False


def _handle(number: int, frame: FrameType | None) -> None:
  global _requested, _heard
  first, _requested, _heard = not _heard, number, True
  if not _deferring or not first:
    raise Interrupted(number)
  _tell("\nStopping as soon as all is saved; once more to stop at once.\n")


def _tell(text: str) -> None:
  """Writes to standard error, past Python's buffers, which another thread may be in."""
  with contextlib.suppress(OSError):  # it may be a pipe that nobody reads any more
    os.write(2, text.encode())


def _watch(signals: socket.socket, finished: threading.Event) -> None:
  """Ends the process if a signal came, its time is up, and there is nothing to save."""
  while heard := signals.recv(16):  # every signal with a handler; empty at the end
    number = next((number for number in heard if number in SIGNALS), None)
    if number is None:
      continue
    deadline = time.monotonic() + LIMIT
    overdue = not finished.wait(PATIENCE)
    while overdue and _saving and time.monotonic() < deadline:
      overdue = not finished.wait(0.05)
    if overdue:
      if sys.stdout.isatty():
        _tell(SHOW_CURSOR)  # which a progress bar hides
      lost = ", but for the steps since the last checkpoint" if _saving else ""
      _tell(f"\nStopped; the same command goes on from here{lost}.\n")
      watchdog.stop()
      os._exit(128 + number)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
  """Within it a first signal is only noted; the body asks `requested` where it is safe to stop."""
  global _deferring  # noqa: PLW0603
  _deferring = True
  try:
    yield
  finally:
    _deferring = False
  raise_if_requested()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
  """Within `deferred`, around what changes nothing: a signal raises `Interrupted` there."""
  global _deferring  # noqa: PLW0603
  before, _deferring = _deferring, False
  try:
    raise_if_requested()
    yield
  finally:
    _deferring = before


def must_save(something: bool) -> None:
  """Says whether the process holds something that it has yet to save."""
  global _saving  # noqa: PLW0603
  _saving = something


def requested() -> int:
  """The signal that has arrived; 0 if none has."""
  return _requested or 0


def request(number: int) -> None:
  """Takes note of a signal that another process of the run was sent."""
  global _requested  # noqa: PLW0603
  _requested = number


def raise_if_requested() -> None:
  """Raises `Interrupted` if a signal has arrived.

  To be called between phases: an exception raised by a signal is lost where Python swallows
  exceptions, as in the callbacks of weak references.
  """
  if _requested is not None:
    raise Interrupted(_requested)
