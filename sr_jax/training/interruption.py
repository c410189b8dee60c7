"""Stopping on a signal: at once, or, while state is being changed, at the next safe moment."""

import contextlib
import signal
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
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
  global _requested  # noqa: PLW0603  # signals belong to the process, and so does this
  if not _deferring:
    raise Interrupted(number)
  _requested = number


@contextlib.contextmanager
def deferred() -> Iterator[None]:
  """Within it a signal is only noted; the body asks `requested` where it is safe to stop."""
  global _deferring  # noqa: PLW0603
  _deferring = True
  try:
    yield
  finally:
    _deferring = False
  raise_if_requested()


def requested() -> bool:
  """Whether a signal has arrived since `deferred` was entered."""
  return _requested is not None


def raise_if_requested() -> None:
  """Raises the `Interrupted` that was noted, once."""
  global _requested
  if _requested is not None:
    number, _requested = _requested, None
    raise Interrupted(number)
