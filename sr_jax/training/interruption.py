"""Stopping on a signal: at once, or, while state is being changed, at the next safe moment."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_deferring = False
_requested: int | None = None


class Interrupted(KeyboardInterrupt):
  """SIGINT or SIGTERM arrived; `exit_code` is what a shell expects (130 or 143)."""

  def __init__(self, number: int) -> None:
    super().__init__(signal.Signals(number).name)
    self.exit_code = 128 + number


def install() -> None:
  """Turns SIGINT and SIGTERM into `Interrupted` (main thread only)."""
  global _requested  # noqa: PLW0603  # signals belong to the process, and so does this
  _requested = None
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
  global _requested
  first, _requested = _requested is None, number
  if not _deferring or not first:
    raise Interrupted(number)
  print("\nStopping after these steps; once more to stop at once.", file=sys.stderr, flush=True)


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


def requested() -> bool:
  """Whether a signal has arrived."""
  return _requested is not None


def raise_if_requested() -> None:
  """Raises `Interrupted` if a signal has arrived.

  To be called between phases: an exception raised by a signal is lost where Python swallows
  exceptions, as in the callbacks of weak references.
  """
  if _requested is not None:
    raise Interrupted(_requested)
