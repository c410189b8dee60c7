import subprocess
import sys
from pathlib import Path

import pytest

from sr_jax import run_lock
from sr_jax.config import InputError

ROOT = Path(__file__).parents[1]
HOLD = """
import pathlib, sys
from sr_jax import run_lock
run_lock.acquire(pathlib.Path(sys.argv[1]))
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
      run_lock.acquire(tmp_path)
    process.kill()  # it can tidy nothing up
  assert (tmp_path / run_lock.FILE).exists()
  run_lock.acquire(tmp_path)
  run_lock.acquire(tmp_path)  # it is ours already
  run_lock.release(tmp_path)
  run_lock.release(tmp_path)
  assert not (tmp_path / run_lock.FILE).exists()


def test_a_released_lock_is_free_for_others(tmp_path):
  run_lock.acquire(tmp_path)
  run_lock.release(tmp_path)
  with hold(tmp_path) as process:
    process.communicate("\n")
  assert process.returncode == 0


def test_a_torn_lock_file_still_holds(tmp_path):
  with hold(tmp_path) as process:
    (tmp_path / run_lock.FILE).write_text('{"pid"')
    with pytest.raises(InputError, match="worked on by another process"):
      run_lock.acquire(tmp_path)
    process.kill()
