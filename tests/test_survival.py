"""Kills at random moments, full disks, folders that are gone: no bit of a run is harmed."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import chaos
from sr_jax.training.checkpoints import load_arrays, steps

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _optimised():
  """Bits are compared of what users run."""
  with pytest.MonkeyPatch.context() as patch:
    patch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS")
    yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
  """A run that nothing happened to, and the seconds that it takes."""
  return chaos.leave_alone(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def alone(undisturbed):
  return undisturbed[0]


def test_eight_kills_change_no_bit(undisturbed, tmp_path):
  happened = list(chaos.storm(tmp_path, *undisturbed, kills=8, seed=0))

  kills = [one for one in happened if isinstance(one, chaos.Kill)]
  assert len(kills) == 8
  assert [one["wrong"] for one in kills] == [""] * 8
  assert sum(one["doing"] == "saving" for one in kills) >= 2
  finished = [one for one in happened if not isinstance(one, chaos.Kill)]
  assert finished
  assert not any(finished)


@pytest.fixture
def small_disk(tmp_path):
  """A file system of 3 MiB."""
  folder = tmp_path / "disk"
  folder.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
  if (
    shutil.which("mount") is None
    or subprocess.run(mount, capture_output=True, check=False).returncode
  ):
    pytest.skip("only root can mount a small file system")
  yield folder
  subprocess.run(["umount", str(folder)], check=True)


def run_until(workdir, cache, ready):
  """Starts a run and waits until something is there."""
  process = chaos.start(workdir, cache)
  deadline = time.monotonic() + 200
  while not ready() and process.poll() is None and time.monotonic() < deadline:
    time.sleep(0.001)
  assert process.poll() is None
  return process


def trained(workdir, arm, stage):
  return any(steps(folder) for folder in workdir.glob(f"*/checkpoints/{arm}/{stage}"))


def test_a_pipe_that_nobody_reads_any_more_costs_nothing(alone, tmp_path):
  # Ctrl-C with "2>&1 | tee log" kills tee as well.
  workdir, cache = tmp_path / "runs", alone.parents[1]
  process = run_until(workdir, cache, lambda: trained(workdir, "lr", "search"))
  process.stdout.close()
  process.send_signal(signal.SIGINT)
  assert process.wait(60) == 130
  chaos.finish(chaos.start(workdir, cache))
  (run_dir,) = workdir.iterdir()
  assert chaos.compare(run_dir, alone) == []


def fill(folder):
  """Leaves no byte."""
  with (folder / "filler").open("wb", buffering=0) as file:
    for size in (1 << 16, 1 << 10, 1):
      try:
        while file.write(b"x" * size) == size:
          pass
      except OSError:
        continue


def test_a_full_disk_is_said_and_the_run_goes_on_later(small_disk, alone):
  cache = alone.parents[1]
  process = run_until(small_disk, cache, lambda: trained(small_disk, "lr", "final"))
  fill(small_disk)
  out, _ = process.communicate(timeout=120)
  assert process.returncode == 1, out
  assert "WARNING: not saved: checkpoints of lr final (" in out
  assert "No space left on device" in out
  assert "launch.py: not saved: checkpoints of lr final (" in out
  assert "the same command goes on from what is saved" in out
  (run_dir,) = (path for path in small_disk.iterdir() if path.is_dir())
  assert not (run_dir / "results.json").exists()
  for stage in ("search", "final"):
    load_arrays(run_dir / "checkpoints" / "lr" / stage)  # what was good is good
  (small_disk / "filler").unlink()
  chaos.finish(chaos.start(small_disk, cache))
  assert chaos.compare(run_dir, alone) == []
  assert not list(run_dir.rglob("*.orbax-checkpoint-tmp"))


def test_a_folder_that_must_not_be_written_is_said(small_disk, alone):
  shutil.copytree(alone, small_disk / alone.name)
  (small_disk / alone.name / "results.json").unlink()
  subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
  process = chaos.start(small_disk, alone.parents[1])
  out, _ = process.communicate(timeout=120)
  assert process.returncode == 2
  assert f"launch.py: {small_disk / alone.name}/run.lock: Read-only file system" in out
  process = chaos.start(small_disk / "new", alone.parents[1])
  out, _ = process.communicate(timeout=120)
  assert process.returncode == 2
  assert "cannot be written (Read-only file system)" in out


def test_a_folder_that_vanishes_is_said_and_not_made_again(tmp_path, alone):
  workdir, cache = tmp_path / "runs", alone.parents[1]
  process = run_until(workdir, cache, lambda: trained(workdir, "lr", "final"))
  workdir.rename(tmp_path / "elsewhere")
  out, _ = process.communicate(timeout=120)
  assert process.returncode == 1, out
  assert "launch.py: not saved: " in out
  assert "its folder is gone" in out
  assert not workdir.exists()
  chaos.finish(chaos.start(tmp_path / "elsewhere", cache))
  (run_dir,) = (tmp_path / "elsewhere").iterdir()
  assert chaos.compare(run_dir, alone) == []
