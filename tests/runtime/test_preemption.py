import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sr_jax.runtime import preemption

ROOT = Path(__file__).parents[2]


def test_a_signal_that_python_swallowed_is_raised_later():
  with preemption.installed():
    with contextlib.suppress(preemption.Interrupted):  # as a weak reference's callback does
      os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(preemption.Interrupted) as stop:
      preemption.raise_if_requested()
  assert stop.value.exit_code == 143


def test_a_signal_outside_the_loop_stops_at_once():
  before = signal.getsignal(signal.SIGINT)
  with preemption.installed(), pytest.raises(preemption.Interrupted) as stop:
    os.kill(os.getpid(), signal.SIGINT)
  assert stop.value.exit_code == 130
  assert signal.getsignal(signal.SIGINT) == before


def test_deferred_stops_are_asked_for_and_some_are_at_once():
  reached = []

  def body():
    with preemption.installed(), preemption.deferred():
      with contextlib.suppress(preemption.Interrupted), preemption.at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("after the signal, at once")
      assert preemption.requested()
      reached.append("within deferred")

  with pytest.raises(preemption.Interrupted):
    body()
  assert reached == ["within deferred"]


# Hashing for minutes, in C without Python's lock: what XLA's compiler looks like to a signal.
BUSY = """
import hashlib, signal, threading, time
from sr_jax.runtime import preemption
signal.signal(signal.SIGUSR1, lambda number, frame: None)
with preemption.installed(), preemption.deferred():
  preemption.must_save({must_save})
  threading.Timer(4, preemption.must_save, [False]).start()
  print("ready", flush=True)
  hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@contextlib.contextmanager
def busy(must_save):
  """A process that is hashing."""
  with subprocess.Popen(
    [sys.executable, "-c", BUSY.format(must_save=must_save)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    cwd=ROOT,
  ) as process:
    assert process.stdout.readline() == "ready\n"
    try:
      yield process
    finally:
      process.kill()


@pytest.mark.parametrize(("must_save", "least", "most"), [(False, 1, 4), (True, 3.5, 9)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_busy_main_thread_delays_no_exit_but_for_what_must_be_saved(
  must_save, least, most, number
):
  with busy(must_save) as process:
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert least < time.monotonic() - began < most
    assert "Stopped; the same command goes on from here." in process.stderr.read()


def test_a_busy_main_thread_delays_no_exit_after_other_signals():
  with busy(must_save=False) as process:
    for _ in range(3):
      process.send_signal(signal.SIGUSR1)  # of which the program wants to hear, too
      time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
