"""Explains the end of a process that JAX aborts.

JAX aborts a process when another one of its run has died, past every handler of Python. So a child
process waits for the end of this one, and prints what to do unless the end was an orderly one.
"""

import contextlib
import subprocess
import sys
from typing import Any

AGAIN = (
  "start all processes of the run again, by the same command: it goes on from the last checkpoint"
)
SENTENCE = (
  "launch.py: this process was ended, most likely since another one of its run had died, whose "
  f"output says more; {AGAIN}"
)
# A signal to the whole process group is not for it; a byte says that all is well.
PROGRAM = f"""
import signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
  signal.signal(number, signal.SIG_IGN)
if not sys.stdin.read(1):
  sys.stderr.write({SENTENCE + chr(10)!r})
"""

_waiting: Any = None  # the child; a process has one at most


def start() -> None:
  """Starts the child, which prints `SENTENCE` if this process ends before `stop`."""
  global _waiting  # noqa: PLW0603
  if _waiting is None:
    command = [sys.executable, "-I", "-S", "-c", PROGRAM]
    _waiting = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def stop() -> None:
  """Stops the child; nothing is printed any more."""
  global _waiting
  child, _waiting = _waiting, None
  if child is not None:
    with contextlib.suppress(OSError):  # it was killed
      child.communicate(b".")
