"""Sweeps in processes of their own: on this machine, and what slurm is asked for (without one)."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import launch
from experiments import smoke
from sr_jax.config import Execution, InputError
from sr_jax.sweep import submit
from sr_jax.sweep.options import Launch
from sr_jax.sweep.points import plan
from sr_jax.sweep.submit import launch as launch_jobs
from sr_jax.sweep.submit import parse_slurm, point_command, run_command, visible_gpus

submitit = pytest.importorskip("submitit")


@pytest.fixture
def sweep(tmp_path):
  """Three points of smoke, the first of which is done."""
  execution = Execution(workdir=str(tmp_path / "runs"))
  given = {"depth": [0, 1, 2], "learning_rate": [(1e-3, 2e-3)]}
  whole = plan("smoke", smoke, smoke.Config(), given, execution)
  folder = whole.points[0].run_dir.path
  folder.mkdir(parents=True)
  test = {"mean": None, "low": None, "decision": "undecided"}
  verdict = {"contrast": ["lr", "hr"], "test": test}
  (folder / "results.json").write_text(json.dumps({"verdict": verdict}))
  return whole


@pytest.fixture
def slurm(tmp_path, monkeypatch):
  """A folder with programs by the names of slurm's; sbatch keeps what it is given."""
  folder = tmp_path / "bin"
  folder.mkdir()
  for name, text in {
    "sbatch": f'cp "$1" {folder}/asked && echo Submitted batch job 12',
    "srun": "exit 1",
  }.items():
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
  monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
  return folder


def test_what_a_job_is_told_makes_one_point_of_the_same_sweep(sweep):
  command = point_command(sweep, sweep.points[1])
  assert command[0] == sys.executable
  assert all(isinstance(word, str) for word in command)
  assert command[2:] == [
    "--experiment=smoke",
    "--depth=0,1,2",
    "--learning_rate=0.001,0.002",
    f"--workdir={sweep.execution.workdir}",
    "--shard=1/3",
  ]


def test_slurm_gets_an_array_of_what_is_missing(sweep, slurm, capsys):
  how = Launch(launcher="slurm", slurm="partition=gpu,time=600,gpus_per_node=1", max_parallel=2)
  assert launch_jobs(sweep, sweep.points, how) == 0
  asked = (slurm / "asked").read_text().splitlines()
  for line in (
    "#SBATCH --array=0-1%2",
    "#SBATCH --partition=gpu",
    "#SBATCH --time=600",
    "#SBATCH --gpus-per-node=1",
    "#SBATCH --signal=USR2@90",
  ):
    assert line in asked
  logs = sweep.folder / "logs"
  assert any(line.startswith(f"#SBATCH --output={logs}/") for line in asked)
  out = capsys.readouterr().out
  assert "1 of 3 points are done" in out
  assert "job 12_0: --depth=1" in out
  assert "job 12_1: --depth=2" in out
  assert (sweep.folder / "sweep.html").exists()
  job = submitit.core.utils.DelayedSubmission.load(logs / "12_1_submitted.pkl")
  assert job.args == (point_command(sweep, sweep.points[2]), None)
  assert (job.function.__module__, job.function.__name__) == (
    "sr_jax.sweep.submit",
    "run_command",
  )
  assert hasattr(job.function, "checkpoint")  # else submitit would not requeue it


@pytest.mark.parametrize(
  ("text", "says"),
  [
    ("partition=gpu", "--slurm needs time=MINUTES"),
    ("time=1:00:00", "--slurm needs time=MINUTES"),
    ("time=60,partitoin=gpu", "Unavailable parameter(s): ['partitoin']"),
    ("time=60,gpu", "'gpu' is not key=value"),
    ("time=60,time=70", "gives time twice"),
    ("time=60,setup=module load cuda", "--slurm=time=60,setup=module load cuda: "),
  ],
)
def test_what_slurm_cannot_be_asked_is_one_sentence(text, says, slurm, capsys, tmp_path):
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'runs'}", "--launcher=slurm"]
  assert launch.main(["launch.py", *flags, f"--slurm={text}"]) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert not (slurm / "asked").exists()
  assert not (tmp_path / "runs").exists()


def test_without_slurm_it_is_one_sentence(capsys, tmp_path, monkeypatch):
  monkeypatch.setenv("PATH", str(tmp_path))
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'runs'}"]
  flags += ["--launcher=slurm", "--slurm=time=60"]
  assert launch.main(["launch.py", *flags]) == 2
  assert '--launcher=slurm: Could not detect "srun"' in capsys.readouterr().err


@pytest.mark.parametrize("launcher", ["local", "slurm"])
def test_without_submitit_it_is_one_sentence(launcher, capsys, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "submitit", None)
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'runs'}", f"--launcher={launcher}"]
  assert launch.main(["launch.py", *flags]) == 2
  err = capsys.readouterr().err
  assert 'pip install -e ".[slurm]"' in err
  assert err.count("\n") == 1
  assert not (tmp_path / "runs").exists()


def test_one_of_several_processes_submits_nothing(capsys, tmp_path, monkeypatch):
  monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'runs'}", "--launcher=local"]
  assert launch.main(["launch.py", *flags]) == 2
  assert "SLURM_STEP_NUM_TASKS=2 says that this is one of several" in capsys.readouterr().err
  assert not (tmp_path / "runs").exists()


def test_parameters_are_numbers_truths_or_text():
  found = parse_slurm("time=60,exclusive=true,account=a-1,mem=40GB")
  assert found == {"time": 60, "exclusive": True, "account": "a-1", "mem": "40GB"}
  assert parse_slurm("") == {}
  with pytest.raises(InputError, match="'=60' is not key=value"):
    parse_slurm("=60")


def test_a_command_that_fails_fails_its_job(monkeypatch):
  run_command([sys.executable, "-c", ""], None)
  with pytest.raises(subprocess.CalledProcessError) as found:
    run_command([sys.executable, "-c", "raise SystemExit(2)"], None)
  assert found.value.returncode == 2


@pytest.mark.parametrize(("devices", "seen"), [(None, ""), ("all", "unset"), ("1,2", "1,2")])
def test_a_local_job_sees_the_devices_that_its_launcher_saw(devices, seen, monkeypatch, tmp_path):
  monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # as submitit leaves it
  code = "import os, sys; open(sys.argv[1], 'w').write(os.environ.get(*sys.argv[2:]))"
  file = tmp_path / "seen"
  run_command([sys.executable, "-c", code, str(file), "CUDA_VISIBLE_DEVICES", "unset"], devices)
  assert file.read_text() == seen


@pytest.fixture
def nvidia(tmp_path, monkeypatch):
  """A function that makes nvidia-smi list so many GPUs, or fail; there is none before."""
  folder = tmp_path / "nvidia"
  folder.mkdir()
  monkeypatch.setenv("PATH", str(folder))
  monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

  def install(count, code=0):
    lines = "".join(
      f"echo 'GPU {i}: NVIDIA H200 (UUID: GPU-{i})'\necho '  MIG 1g.18gb Device 0: (UUID: M)'\n"
      for i in range(count)
    )
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{lines}exit {code}\n")
    (folder / "nvidia-smi").chmod(0o755)

  return install


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("0,1,2", ["0", "1", "2"]),
    (" 3, GPU-ab ", ["3", "GPU-ab"]),
    ("2,-1,0", ["2"]),  # CUDA stops there, too
    ("", []),
    ("-1", []),
  ],
)
def test_gpus_are_those_that_are_visible(text, expected, nvidia, monkeypatch):
  nvidia(4)
  monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
  assert visible_gpus() == expected


def test_else_gpus_are_those_of_the_machine(nvidia):
  assert visible_gpus() == []
  nvidia(3)
  assert visible_gpus() == ["0", "1", "2"]
  nvidia(3, code=9)
  assert visible_gpus() == []


class Jobs:
  """Stands in for submitit's executor: keeps which devices its jobs have, and how many at once."""

  def __init__(self):
    self.begun, self.running, self.most_on_one = [], Counter(), Counter()

  def submit(self, function, command, devices):
    self.begun.append(devices)
    self.running[devices] += 1
    self.most_on_one[devices] = max(self.running[devices], self.most_on_one[devices])
    return Job(self, devices, len(self.begun))


class Job:
  """Ends after one to three polls, so that jobs do not end in the order of their beginning."""

  def __init__(self, jobs, devices, job_id):
    self.jobs, self.devices, self.job_id = jobs, devices, job_id
    self.polls = 1 + job_id % 3

  def done(self):
    self.polls -= 1
    self.jobs.running[self.devices] -= not self.polls
    return not self.polls


@pytest.fixture
def jobs(monkeypatch):
  monkeypatch.setattr(submit, "POLL", 0)
  return Jobs()


def many_points(tmp_path, count):
  given = {"depth": list(range(count))}
  execution = Execution(workdir=str(tmp_path / "runs"))
  return plan("smoke", smoke, smoke.Config(), given, execution)


@pytest.mark.parametrize(("most", "shared"), [(2, 1), (3, 1), (4, 2), (6, 2)])
def test_local_jobs_have_a_gpu_each_and_share_them_evenly_beyond(
  most, shared, jobs, nvidia, tmp_path
):
  nvidia(3)
  sweep = many_points(tmp_path, 12)
  submit._run_locally(jobs, sweep, sweep.points, most)
  assert len(jobs.begun) == 12
  assert set(jobs.begun) <= {"0", "1", "2"}
  assert len(set(jobs.begun[:most])) == min(most, 3)
  assert max(jobs.most_on_one.values()) == shared


def test_a_gpu_is_free_again_when_its_job_has_ended(jobs, nvidia, monkeypatch, tmp_path):
  monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
  sweep = many_points(tmp_path, 9)
  submit._run_locally(jobs, sweep, sweep.points, 2)
  assert jobs.most_on_one == {"5": 1, "7": 1}


@pytest.mark.parametrize(
  ("visible", "most", "devices"),
  [("0,1", 1, "0,1"), (None, 1, "all"), ("1", 2, "1"), ("", 2, "")],
)
def test_local_jobs_one_at_a_time_or_on_one_gpu_see_what_the_launcher_sees(
  visible, most, devices, jobs, nvidia, monkeypatch, tmp_path
):
  nvidia(4)
  if visible is not None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
  sweep = many_points(tmp_path, 3)
  submit._run_locally(jobs, sweep, sweep.points, most)
  assert jobs.begun == [devices] * 3


def test_local_jobs_without_gpus_see_what_the_launcher_sees(jobs, nvidia, tmp_path):
  sweep = many_points(tmp_path, 3)
  submit._run_locally(jobs, sweep, sweep.points, 2)
  nvidia(1)
  submit._run_locally(jobs, sweep, sweep.points, 2)
  assert jobs.begun == ["all"] * 6


SLOW_TO_STOP = """
import pathlib, signal, sys, time
file = pathlib.Path(sys.argv[1])
again = file.exists()
def stop(number, frame):
  time.sleep(0.3)
  with file.open("a") as log:
    log.write("saved\\n")
  sys.exit(143)
signal.signal(signal.SIGTERM, stop)
with file.open("a") as log:
  log.write("again\\n" if again else "begun\\n")
time.sleep(0 if again else 60)
"""


def test_a_preempted_job_saves_and_is_begun_again(tmp_path):
  executor = submitit.LocalExecutor(tmp_path / "logs")
  executor.update_parameters(timeout_min=0.2, signal_delay_s=9)  # SIGUSR2 after three seconds
  log = tmp_path / "log"
  job = executor.submit(run_command, [sys.executable, "-c", SLOW_TO_STOP, str(log)], None)
  assert job.result() is None
  assert log.read_text().split() == ["begun", "saved", "again"]


@pytest.mark.slow
def test_a_sweep_killed_once_is_finished_by_the_same_command(tiny):
  process = tiny.start("--steps=4,5,6")
  deadline = time.monotonic() + 200
  while not list(tiny.workdir.glob("smoke-*/results.json")) and time.monotonic() < deadline:
    assert process.poll() is None
    time.sleep(0.01)
  process.kill()
  process.communicate()
  first = {path: path.stat().st_mtime_ns for path in tiny.workdir.glob("smoke-*/results.json")}
  assert 1 <= len(first) < 3
  out, err = (again := tiny.start("--steps=4,5,6")).communicate(timeout=200)
  assert again.returncode == 0, out + err
  assert out.count("nothing is trained again") == len(first)
  assert {path: path.stat().st_mtime_ns for path in first} == first
  (file,) = tiny.workdir.glob("sweep-*/sweep.csv")
  rows = list(csv.DictReader(file.read_text().splitlines()))
  assert [(row["steps"], row["state"]) for row in rows] == [(n, "done") for n in "456"]
  assert all(row["mean"] for row in rows)


@pytest.mark.slow
def test_two_points_run_on_this_machine(tiny):
  flags = ("--steps=4,5", "--launcher=local", "--max_parallel=2", "--tensorboard")
  out, err = (process := tiny.start(*flags)).communicate(timeout=200)
  assert process.returncode == 0, out + err
  for steps in "45":
    assert f"done: --steps={steps} (job " in out
  (folder,) = tiny.workdir.glob("sweep-*")
  rows = list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))
  assert [(row["steps"], row["state"]) for row in rows] == [("4", "done"), ("5", "done")]
  logs = sorted((folder / "logs").glob("*_log.out"))
  assert len(logs) == 2
  assert all("On test photographs, LR is" in path.read_text() for path in logs)
  for arm in ("lr", "hr", "."):
    assert len(list(tiny.workdir.glob(f"smoke-*/tensorboard/{arm}/events.out.tfevents.*"))) == 2


@pytest.mark.slow
def test_what_stops_the_launcher_stops_its_jobs(tiny):
  process = tiny.start("--steps=100000", "--seeds=1", "--launcher=local")
  deadline = time.monotonic() + 60
  while not list(tiny.workdir.glob("smoke-*/checkpoints")) and time.monotonic() < deadline:
    assert process.poll() is None
    time.sleep(0.05)
  (lock,) = tiny.workdir.glob("smoke-*/run.lock")
  worker = json.loads(lock.read_text())["pid"]
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=10)
  assert process.returncode == 143
  while os.path.exists(f"/proc/{worker}/exe") and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not os.path.exists(f"/proc/{worker}/exe")
