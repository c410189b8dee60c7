"""One process at a time works in a run's folder.

The lock is the kernel's, on a file that names its holder: it ends with the process, however that
ends, so that a file left behind by a dead process stops nobody.
"""

import contextlib
import errno
import fcntl
import functools
import json
import os
import platform
import time
from pathlib import Path
from typing import IO, Any

from sr_jax.config import InputError
from sr_jax.runtime.console import warn

FILE = "run.lock"
UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK)

_held: dict[Path, IO[str]] = {}  # a lock belongs to the process, and so does this


def acquire(folder: Path, patience: float = 0.0) -> None:
  """Takes the lock of a run's folder, which must exist, unless this process has it already.

  Raises an InputError if another process has it and does not give it back within `patience`
  seconds. A file system without locks is warned of, and worked on.
  """
  path = folder.resolve() / FILE
  deadline = time.monotonic() + patience
  while path not in _held:
    file = path.open("a+")
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      file.seek(0)
      holder = _describe(file.read())
      file.close()
      if time.monotonic() < deadline:
        time.sleep(0.05)
        continue
      raise InputError(
        f"{folder} is being worked on by {holder}; wait for it, or stop it first"
      ) from error
    except OSError as error:
      if error.errno not in UNSUPPORTED:
        file.close()
        raise
      _warn_unprotected(folder.absolute().parent, error.strerror)
    if not is_still(path, os.fstat(file.fileno())):
      file.close()  # its holder was just removing it: what is locked is no longer there
      continue
    _held[path] = file
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    with contextlib.suppress(OSError):  # on a full disk it holds all the same, without a name
      file.truncate(0)
      file.write(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now}) + "\n")
      file.flush()


@functools.cache  # the runs of a sweep are warned of once
def _warn_unprotected(workdir: Path, reason: str) -> None:
  warn(
    f"WARNING: {workdir} is on a file system without locks ({reason}); two commands in one run "
    "would not be noticed"
  )


def is_still(path: Path, was: os.stat_result) -> bool:
  """Whether a path leads where it did: folders are moved away, and others made in their place."""
  try:
    return os.path.samestat(path.stat(), was)
  except OSError:
    return False


def check(folder: Path) -> None:
  """Raises a FileNotFoundError if a folder whose lock this process has was moved away."""
  path = folder.resolve() / FILE
  if path in _held and not is_still(path, os.fstat(_held[path].fileno())):
    reason = "it was moved away while the run was at work"
    raise FileNotFoundError(errno.ENOENT, reason, str(folder))


def release(folder: Path) -> None:
  """Gives the lock back, if this process has it."""
  path = folder.resolve() / FILE
  if (file := _held.pop(path, None)) is not None:
    with contextlib.suppress(OSError), file:
      if is_still(path, os.fstat(file.fileno())):
        path.unlink(missing_ok=True)


def _describe(text: str) -> str:
  try:
    about: dict[str, Any] = json.loads(text)
    return f"process {about['pid']} on {about['host']} since {about['since']}"
  except (ValueError, KeyError, TypeError):
    return "another process"
