"""Two processes on one machine make the run that one makes, and end together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import chaos
from sr_jax.config import InputError, NotSavedError
from sr_jax.runtime import processes, watchdog
from sr_jax.training.checkpoints import load_arrays, steps
from sr_jax.training.metrics import read

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
  ("environment", "found"),
  [
    ({}, None),
    ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),  # of the job, not of this step of it
    ({"SLURM_STEP_NUM_TASKS": "1"}, None),
    ({"SLURM_STEP_NUM_TASKS": "4"}, "SLURM_STEP_NUM_TASKS=4"),
    ({"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_SIZE=2"),
    ({"JAX_NUM_PROCESSES": "2"}, "JAX_NUM_PROCESSES=2"),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
    ({"TPU_WORKER_HOSTNAMES": "t0,t1"}, "TPU_WORKER_HOSTNAMES=t0,t1"),
    ({"MEGASCALE_NUM_SLICES": "2"}, "MEGASCALE_NUM_SLICES=2"),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None),
    (
      {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"},
      "JOB_COMPLETION_INDEX=3",
    ),
  ],
)
def test_several_processes_are_told_from_the_environment(environment, found):
  assert processes.detect_cluster(environment) == found


def test_alone_everything_is_ones_own():
  assert not processes.is_multiprocess()
  assert processes.is_primary()
  assert processes.all_gather(lambda: {"a": 1}) == [{"a": 1}]
  assert processes.exchange_bytes(b"abc") == [b"abc"]
  with pytest.raises(InputError, match="bad"):
    processes.broadcast_from_primary(lambda: (_ for _ in ()).throw(InputError("bad")))
  array = jax.device_put(np.arange(6.0).reshape(3, 2), jax.devices()[0])
  rows = processes.local_rows(array)
  assert list(rows) == [0, 1, 2]
  np.testing.assert_array_equal(rows[2], [4, 5])
  wants = iter([(0.0, 1.0), (2.0, 0.0)])
  votes = processes.AllReduceMax(lambda: next(wants))
  votes.cast()
  assert [votes.result(), votes.result()] == [(0, 1), (2, 0)]  # what is wanted now


@pytest.mark.parametrize(
  "error",
  [
    InputError("bad"),
    NotSavedError("full"),
    OSError(28, "No space left on device", "/a/b"),
    FileNotFoundError(2, "its folder is gone", "/a"),
    OSError("the checkpoint after step 3 (full)"),
  ],
)
def test_an_error_is_told_as_what_it_is(error):
  kind, arguments = processes._described(error)
  again = processes.USER_ERRORS[kind](*arguments)
  assert type(again) is type(error)
  assert str(again) == str(error)


PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


def free_port():
  with contextlib.closing(socket.socket()) as one:
    one.bind(("127.0.0.1", 0))
    return one.getsockname()[1]


# What each of two processes does with the primitives.
PRIMITIVES = """
import sys
import numpy as np
from sr_jax.runtime import devices, processes
from sr_jax.config import InputError
from sr_jax.training import sharding
devices.use_all_cores()
processes.start("auto", 10)
i = processes.index()
assert (processes.count(), processes.is_primary()) == (2, i == 0)
assert processes.all_gather(lambda: [i, "x" * 300 * i]) == [[0, ""], [1, "x" * 300]]
assert processes.broadcast_from_primary(lambda: {"pi": 0.1 + 0.2}) == {"pi": 0.1 + 0.2}
try:
  if i:
    processes.all_gather(lambda: 1)
  else:
    processes.all_gather(lambda: 1)
except RuntimeError as error:
  assert "the processes went different ways" in str(error)
else:
  raise AssertionError
processes.assert_equal_across_processes([1, 2], "not alike")
try:
  processes.assert_equal_across_processes(i, "not alike")
except InputError as error:
  assert str(error) == "not alike"
else:
  raise AssertionError
for culprit in (0, 1):
  def work():
    if i == culprit:
      raise InputError(f"of {culprit}")
  try:
    processes.all_gather(work)
  except InputError as error:
    assert str(error) == f"of {culprit}" and processes.is_reported(error) == (i != culprit)
  else:
    raise AssertionError
mesh = sharding.make_mesh(3, 8)
assert dict(mesh.shape) == {"member": 4, "data": 1}  # all devices, though two would do
given = np.arange(3, dtype=np.float32)
rows = sharding.shard_members(mesh, given)
np.testing.assert_array_equal(sharding.without_padding(processes.to_host(rows), 3), given)
here = {k: float(row) for k, row in processes.local_rows(rows).items()}
assert here == [{0: 0, 1: 1}, {2: 2, 3: 2}][i]
try:
  sharding.make_mesh(3, 8, "member:2")
except InputError as error:
  assert "takes 2 of 4 devices; several processes share all" in str(error)
votes = processes.AllReduceMax(lambda: (i, 1 - i, 0.5))
votes.cast()
assert votes.result() == (1, 1, 0.5)
processes.all_gather(lambda: None)
print("all is well", flush=True)
"""


def environment(port, index, **more):
  return {
    **os.environ,
    "JAX_NUM_CPU_DEVICES": "2",
    "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": str(index),
    **more,
  }


def start_two(command):
  port = free_port()
  return [subprocess.Popen(command, env=environment(port, i), cwd=ROOT, **PIPES) for i in range(2)]


@pytest.mark.slow
def test_two_processes_tell_one_another():
  for process in start_two([sys.executable, "-c", PRIMITIVES]):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    assert "all is well" in out


@pytest.mark.parametrize(
  ("given", "says"),
  [
    ({"JAX_NUM_PROCESSES": "2"}, "JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID is not set"),
    (
      {"JAX_COORDINATOR_ADDRESS": "127.0.0.1:1", "JAX_NUM_PROCESSES": "x", "JAX_PROCESS_ID": "0"},
      "invalid literal for int",
    ),
  ],
)
def test_a_broken_cluster_is_one_sentence(given, says, monkeypatch):
  for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
    monkeypatch.delenv(name, raising=False)
  for name, value in given.items():
    monkeypatch.setenv(name, value)
  before = jax.config.jax_enable_preemption_service
  try:
    with pytest.raises(InputError) as told:
      processes.start("auto", 10)
  finally:
    jax.config.update("jax_enable_preemption_service", before)
  assert says in str(told.value)
  assert "--distributed=off if it is to run alone" in str(told.value)


@pytest.mark.slow
def test_one_of_several_that_finds_no_others_starts_nothing(tmp_path):
  env = {**os.environ, "SLURM_STEP_NUM_TASKS": "2"}
  start = [sys.executable, "launch.py", "--experiment=smoke", f"--workdir={tmp_path}"]
  done = subprocess.run(start, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
  assert done.returncode == 2
  assert "SLURM_STEP_NUM_TASKS=2 says that this is one of several processes" in done.stderr
  assert "(coordinator_address should be defined.)" in done.stderr
  assert not list(tmp_path.iterdir())


HEARTBEAT = 10
# The session compiles; a batch of 4 is too few to be split.
FLAGS = ["--learning_rate=1e-3", "--compile_cache=", f"--heartbeat_seconds={HEARTBEAT}"]


def command(workdir, cache, *more):
  return chaos.command(workdir, cache, *FLAGS, *more)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
  """A run of one process, and the folder that holds what it is made from."""
  cache = tmp_path_factory.mktemp("alone")
  chaos.make_photographs(cache / "photographs")
  chaos.finish(chaos.start(cache / "runs", cache, *FLAGS))
  (run_dir,) = (cache / "runs").iterdir()
  return run_dir, cache


def wait_for(ready, pair):
  deadline = time.monotonic() + 120
  while not ready() and time.monotonic() < deadline:
    assert all(process.poll() is None for process in pair)
    time.sleep(0.01)
  assert ready()


@pytest.mark.slow
def test_a_killed_one_ends_the_other_and_the_run_goes_on(alone, tmp_path):
  run_dir, cache = alone
  pair = start_two(command(tmp_path, cache))
  wait_for(lambda: any(map(steps, tmp_path.glob("*/checkpoints/lr/final"))), pair)
  pair[1].kill()
  began = time.monotonic()
  out, _ = pair[0].communicate(timeout=60)
  assert time.monotonic() - began < HEARTBEAT + 5
  assert pair[0].returncode not in (0, 2)
  assert watchdog.AGAIN in out
  pair[1].communicate()
  single = chaos.start(tmp_path, cache, *FLAGS)  # what two have saved, one may go on with
  wait_for(lambda: any(map(steps, tmp_path.glob("*/checkpoints/hr/final"))), [single])
  single.kill()
  single.communicate()
  for process in start_two(command(tmp_path, cache)):
    chaos.finish(process)
  (found,) = tmp_path.iterdir()
  assert chaos.compare(found, run_dir) == []


WAITING = """
import time
from sr_jax.runtime import devices, processes
from sr_jax.training import sharding
devices.use_all_cores()
processes.start("on", 10)
processes.all_gather(lambda: None)
print("together", flush=True)
time.sleep(60)  # in which nothing is computed together
"""


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_computes_nothing_ends_within_the_heartbeat(victim):
  pair = start_two([sys.executable, "-c", WAITING])
  for process in pair:
    while "together" not in process.stdout.readline():
      assert process.poll() is None
  pair[victim].kill()
  began = time.monotonic()
  out, _ = pair[1 - victim].communicate(timeout=60)
  assert time.monotonic() - began < 1.5 * HEARTBEAT
  assert watchdog.SENTENCE in out
  pair[victim].communicate()


@pytest.mark.slow
@pytest.mark.parametrize("after", [None, 0.1])
def test_signals_stop_both_with_all_saved(after, alone, tmp_path):
  _, cache = alone
  pair = start_two(command(tmp_path, cache, "--steps=90000", "--checkpoint_every_seconds=60"))
  metrics = tmp_path / "any"

  def trains():
    nonlocal metrics
    metrics = next(tmp_path.glob("*/metrics.jsonl"), metrics)
    return any(line["stage"] == "final" and line["step"] >= 100 for line in read(metrics))

  wait_for(trains, pair)
  pair[1].send_signal(signal.SIGTERM)
  if after is not None:  # by then it has heard of the other one's
    time.sleep(after)
    pair[0].send_signal(signal.SIGTERM)
  began = time.monotonic()
  outs = [process.communicate(timeout=60)[0] for process in pair]
  assert time.monotonic() - began < 10
  assert [process.returncode for process in pair] == [143, 143], outs
  (folder,) = tmp_path.glob("*/checkpoints/lr/final")
  step, _, _ = load_arrays(folder)
  assert step >= max(line["step"] for line in read(metrics) if line["stage"] == "final")


@pytest.mark.slow
def test_processes_of_different_commands_make_no_run(alone, tmp_path):
  _, cache = alone
  port = free_port()
  pair = [
    subprocess.Popen(
      command(tmp_path, cache, f"--steps={90 + i}"), env=environment(port, i), cwd=ROOT, **PIPES
    )
    for i in range(2)
  ]
  outs = [process.communicate(timeout=60)[0] for process in pair]
  assert [process.returncode for process in pair] == [2, 2], outs
  assert all("were not started by the same command, code and versions" in out for out in outs)
  assert not any("had died" in out for out in outs)
  assert not list(tmp_path.iterdir())
