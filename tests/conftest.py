"""Every test runs on four CPU devices, so that a mesh is more than the trivial one."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# Threads of linear algebra wait busily for one another, and workers are as many as cores. (Of no
# use to a process that has NumPy already, as that of -n 0.)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import pytest

from benchmarks import chaos
from sr_jax.networks import describe, espcn, lr_network
from sr_jax.runtime import lock
from sr_jax.training import population, sharding
from sr_jax.training.checkpoints import Checkpoints

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling is most of what the tests do; what is computed needs no optimised machine code, but for
# where bits are compared between programs or runs.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # of the processes that a test starts

ROOT = Path(__file__).parents[1]
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items):
  """Files with slow tests first, or one process would be left with them at the end."""
  slow = {item.path for item in items if item.get_closest_marker("slow")}
  items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory):
  """Programs that the processes of tests compile are kept for all of them, and for one session."""
  folder = tmp_path_factory.getbasetemp()
  if "PYTEST_XDIST_WORKER" in os.environ:
    folder = folder.parent  # which the workers share
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
    patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    yield


@pytest.fixture(autouse=True)
def _locks_end_with_the_test():
  """A lock is the process's, and experiments are called in one process here."""
  yield
  for path in list(lock._held):
    lock.release(path.parent)


@pytest.fixture
def shared_data() -> Path:
  """The field's own image sets, which are not part of the project."""
  if not SHARED.is_dir():
    pytest.skip("the image sets (T91, Set5, ...) are not beside this checkout")
  return SHARED


@pytest.fixture
def optimised():
  """Programs compiled during the test are optimised: for bits, and where much is computed."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)


class SmallRun(NamedTuple):
  """A finished run, and the flags that made it."""

  folder: Path
  flags: dict[str, str]

  def command(self, **changed):
    flags = {**self.flags, **changed}
    return ["launch.py", *(f"--{name}={value}" for name, value in flags.items())]


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
  """A small finished run: LR of 8 maps and HR of 2, one hidden layer each, two seeds."""
  folder = tmp_path_factory.mktemp("run")
  chaos.make_photographs(folder / "data")
  flags = {
    "experiment": "smoke",
    "features": "8",
    "steps": "30",
    "search_steps": "5",
    "batch": "4",
    "patch": "8",
    "checkpoint_every_seconds": "0.001",
    "workdir": str(folder / "runs"),
    "data": f"folder:{folder / 'data'}",
    "compile_cache": "",
    "data_dir": str(folder / "decoded"),
  }
  command = SmallRun(folder, flags).command()
  done = subprocess.run(
    [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stdout + done.stderr
  (run_dir,) = (folder / "runs").iterdir()
  return SmallRun(run_dir, flags)


def contents_of(folder):
  """Every file below a folder with its bytes' hash and its time, and every folder."""
  return {
    path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
    if path.is_file()
    else None
    for path in folder.rglob("*")
  }


@pytest.fixture
def contents():
  """What tells whether anything below a folder was changed."""
  return contents_of


@pytest.fixture
def unchanged():
  """A context in which no file below some folders may change, come or go."""

  @contextlib.contextmanager
  def watch(*folders):
    before = [contents_of(folder) for folder in folders]
    yield
    for folder, files in zip(folders, before, strict=True):
      now = contents_of(folder)
      assert sorted(now) == sorted(files)
      assert [path for path in files if now[path] != files[path]] == []

  return watch


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
  """A run's folder: of "begun" there is no checkpoint, of "lr" and "espcn" those of two seeds."""
  run_dir = tmp_path_factory.mktemp("runs") / "comparison"
  run_dir.mkdir()
  for arm, network in (("lr", lr_network(features=4, depth=1)), ("espcn", espcn(features=(8, 4)))):
    mesh = sharding.make_mesh(2, 4)
    members = sharding.shard_members(mesh, population.make_members([0, 1], [1e-3]))
    state = population.initialise(network, arm, members, mesh)
    checkpoints = Checkpoints(run_dir / "checkpoints" / arm / "final", 2)
    for step in (5, 9):
      checkpoints.save(step, state, members, {"network": describe(network)})
    checkpoints.wait()
    checkpoints.close()
  (run_dir / "config.json").write_text(json.dumps({"arms": {"begun": {}, "lr": {}, "espcn": {}}}))
  return run_dir


class Tiny:
  """Starts sweeps of runs that take a second each once their programs were compiled."""

  def __init__(self, folder: Path, workdir: Path) -> None:
    self.workdir = workdir
    self.command = [
      sys.executable,
      "launch.py",
      "--experiment=smoke",
      "--features=4",
      "--depth=0",
      "--search_steps=1",
      "--learning_rate=1e-3",
      "--batch=4",
      "--patch=8",
      "--hr_execution=hr_space",
      "--convolution=xla",
      f"--data=folder:{folder / 'data'}",
      "--compile_cache=",  # the session's
      f"--data_dir={folder / 'decoded'}",
      f"--workdir={workdir}",
    ]

  def start(self, *flags):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*self.command, *flags], cwd=ROOT, **pipes)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
  """Small photographs that all tiny runs share."""
  folder = tmp_path_factory.mktemp("tiny")
  chaos.make_photographs(folder / "data")
  return folder


@pytest.fixture
def tiny(tiny_folder, tmp_path):
  return Tiny(tiny_folder, tmp_path / "runs")
