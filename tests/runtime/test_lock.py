import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sr_jax.config import InputError
from sr_jax.runtime import lock

ROOT = Path(__file__).parents[2]
HOLD = """
import pathlib, sys
from sr_jax.runtime import lock
lock.acquire(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


def hold(folder):
  process = subprocess.Popen(
    [sys.executable, "-c", HOLD, str(folder)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    cwd=ROOT,
  )
  assert process.stdout.readline() == "held\n"
  return process


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
  with hold(tmp_path) as process:
    with pytest.raises(
      InputError, match=f"is being worked on by process {process.pid} on .* since"
    ):
      lock.acquire(tmp_path)
    process.kill()  # it can tidy nothing up
  assert (tmp_path / lock.FILE).exists()
  lock.acquire(tmp_path)
  lock.acquire(tmp_path)  # it is ours already
  lock.release(tmp_path)
  lock.release(tmp_path)
  assert not (tmp_path / lock.FILE).exists()


def test_a_released_lock_is_free_for_others(tmp_path):
  lock.acquire(tmp_path)
  lock.release(tmp_path)
  with hold(tmp_path) as process:
    process.communicate("\n")
  assert process.returncode == 0


def test_a_torn_lock_file_still_holds(tmp_path):
  with hold(tmp_path) as process:
    (tmp_path / lock.FILE).write_text('{"pid"')
    with pytest.raises(InputError, match="worked on by another process"):
      lock.acquire(tmp_path)
    process.kill()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK])
def test_where_nothing_can_be_locked_it_is_told_once_and_worked_on(
  number, tmp_path, monkeypatch, capsys
):
  def refuse(file, operation):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(fcntl, "flock", refuse)
  for name in ("first", "second"):
    (tmp_path / name).mkdir()
    lock.acquire(tmp_path / name)
    lock.check(tmp_path / name)
    lock.release(tmp_path / name)
    assert not list((tmp_path / name).iterdir())
  err = capsys.readouterr().err
  assert err.startswith(f"WARNING: {tmp_path} ")
  assert "two commands in one run" in err
  assert err.count("\n") == 1


def test_other_errors_of_a_lock_are_raised(tmp_path, monkeypatch):
  def refuse(file, operation):
    raise OSError(errno.EIO, os.strerror(errno.EIO))

  monkeypatch.setattr(fcntl, "flock", refuse)
  with pytest.raises(OSError, match=os.strerror(errno.EIO)):
    lock.acquire(tmp_path)
