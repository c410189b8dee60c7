"""Runs the points of a sweep as submitit jobs, on this machine or on a cluster with slurm.

A job is the command line of one point, run in its own process and in the same folders as the sweep,
so that a job that is started again continues from what is saved there.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sr_jax.config import InputError
from sr_jax.runtime.console import log
from sr_jax.runtime.processes import detect_cluster
from sr_jax.sweep import run as sweeps
from sr_jax.sweep.options import Launch
from sr_jax.sweep.points import Point, Sweep

PROGRAM = Path(__file__).parents[2] / "launch.py"
POLL = 0.2  # seconds
LOCAL_MINUTES = 60 * 24 * 365  # submitit's default for a local job is two minutes
SMI_SECONDS = 30  # for nvidia-smi, which hangs on a defective GPU
MAX_REQUEUES = 50  # time limits after which a point is given up: it may make no progress

_child: subprocess.Popen | None = None  # the command, in a job's process


def launch(sweep: Sweep, points: Sequence[Point], options: Launch) -> int:
  """Submits every point that is not done; returns the exit code.

  Waits for local jobs, but not for those of slurm, each of which writes the summary when it ends.
  Raises an InputError if submitit or slurm is not installed or refuses the parameters of --slurm,
  or if this process is one of several, each of which would submit every point.
  """
  if cluster := detect_cluster():
    raise InputError(
      f"--launcher={options.launcher} is to be started once, and {cluster} says that this is one "
      "of several processes"
    )
  executor = _executor(sweep, options)
  sweeps.open_folder(sweep)
  sweeps.summarise(sweep)
  waiting = [point for point in points if not point.is_done]
  log(f"{len(points) - len(waiting)} of {len(points)} points are done; logs: {executor.folder}")
  for point in waiting:
    sweeps.forget_failure(sweep, point)
  if options.launcher == "local":
    _run_locally(executor, sweep, waiting, options.max_parallel or 1)
    sweeps.summarise(sweep)
    return sweeps.report_points(sweep, points)
  with executor.batch(), _as_input_error("--launcher=slurm"):
    jobs = [executor.submit(run_command, point_command(sweep, point), None) for point in waiting]
  for point, job in zip(waiting, jobs, strict=True):
    log(f"job {job.job_id}: {point.name}")
  log(f"Summary, after every point: {sweep.folder / 'sweep.html'}")
  return 0


def point_command(sweep: Sweep, point: Point) -> list[str]:
  """The command that runs one point: that of the sweep, with a shard of one point."""
  shard = f"--shard={point.number}/{len(sweep.points)}"
  return [sys.executable, str(PROGRAM), *sweep.flags, shard]


def run_command(command: list[str], devices: str | None) -> None:
  """Runs a command as a job, and asks it to stop when the job must stop.

  `devices` is for CUDA_VISIBLE_DEVICES, which submitit empties for a local job; None keeps it.
  Raises a CalledProcessError if the command fails.
  """
  global _child  # noqa: PLW0603  # a signal's handler needs it
  environment = dict(os.environ)
  if devices == "all":
    del environment["CUDA_VISIBLE_DEVICES"]
  elif devices is not None:
    environment["CUDA_VISIBLE_DEVICES"] = devices
  # The signal before a job's time limit may reach all its processes. Only this process may get it
  # and ask the command to stop: the command, which has no handler for it, would end without saving.
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
  try:
    _child = subprocess.Popen(command, env=environment, start_new_session=True)
  finally:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
  try:
    code = _child.wait()
  except BaseException:
    _stop()
    raise
  if code:
    raise subprocess.CalledProcessError(code, command)


def _stop() -> None:
  """Asks the command to save and stop, and waits; may interrupt another wait for it."""
  if _child is not None:
    _child.send_signal(signal.SIGTERM)  # unless a poll shows that it has ended
    if _child.returncode is None:
      os.waitid(os.P_PID, _child.pid, os.WEXITED | os.WNOWAIT)


def _requeue(command: list[str], devices: str | None) -> Any:
  """Called by submitit when a job is preempted or out of time; requeues the same job."""
  from submitit.helpers import DelayedSubmission  # noqa: PLC0415

  _stop()
  return DelayedSubmission(run_command, command, devices)


run_command.checkpoint = _requeue  # type: ignore[attr-defined]  # where submitit looks for it


def _executor(sweep: Sweep, options: Launch) -> Any:
  """A submitit executor that logs into the sweep's folder."""
  try:
    import submitit  # noqa: PLC0415  # optional
  except ImportError as error:
    remedy = 'pip install -e ".[slurm]"'
    raise InputError(f"--launcher={options.launcher} needs submitit: {remedy} ({error})") from error
  folder = sweep.folder / "logs"
  if options.launcher == "local":
    local = submitit.LocalExecutor(folder)
    local.update_parameters(timeout_min=LOCAL_MINUTES)
    return local
  parameters = {"job_name": f"{sweep.experiment}-{sweep.folder.name}", **parse_slurm(options.slurm)}
  parameters["array_parallelism"] = options.max_parallel or len(sweep.points)
  if not isinstance(parameters.get("time"), int):
    raise InputError("--slurm needs time=MINUTES, a whole number: after it a point is requeued")
  with _as_input_error("--launcher=slurm"):
    slurm = submitit.SlurmExecutor(folder, max_num_timeout=MAX_REQUEUES)
  with _as_input_error(f"--slurm={options.slurm}"):
    slurm.update_parameters(**parameters)
  return slurm


def parse_slurm(text: str) -> dict[str, int | bool | str]:
  """Parses parameters for submitit such as partition=gpu,time=60.

  Raises an InputError if a part is not key=value, or a key is given twice.
  """
  parameters: dict[str, int | bool | str] = {}
  words = {"true": True, "false": False}
  for part in text.split(",") if text else []:
    key, equals, value = part.strip().partition("=")
    if not (key and equals and value):
      raise InputError(f"--slurm={text}: {part!r} is not key=value")
    if key in parameters:
      raise InputError(f"--slurm={text} gives {key} twice")
    parameters[key] = int(value) if value.isdecimal() else words.get(value.lower(), value)
  return parameters


@contextmanager
def _as_input_error(about: str) -> Iterator[None]:
  """Turns an error of submitit into an InputError."""
  try:
    yield
  except Exception as error:  # submitit 1.5 raises several kinds
    raise InputError(f"{about}: {' '.join(str(error).split())}") from error


def visible_gpus() -> list[str]:
  """The GPUs that a program may use, named as in CUDA_VISIBLE_DEVICES."""
  if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
    names = (name.strip() for name in visible.split(","))
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # as CUDA does
  try:
    listed = subprocess.check_output(
      ["nvidia-smi", "--list-gpus"], stderr=subprocess.DEVNULL, text=True, timeout=SMI_SECONDS
    )
  except (OSError, subprocess.SubprocessError):
    return []
  return [str(i) for i in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


def _run_locally(executor: Any, sweep: Sweep, points: Sequence[Point], max_jobs: int) -> None:
  """Runs local jobs, at most `max_jobs` at a time; stops them on a signal.

  With several jobs at a time each gets the GPU with the fewest jobs; a single job gets all GPUs.
  """
  devices = [os.environ.get("CUDA_VISIBLE_DEVICES", "all")]
  if max_jobs > 1 and len(gpus := visible_gpus()) > 1:
    devices = gpus
  waiting = list(points)
  running: dict[Any, tuple[Point, str]] = {}
  try:
    while waiting or running:
      while waiting and len(running) < max_jobs:
        point = waiting.pop(0)
        jobs = Counter(device for _, device in running.values())
        device = min(devices, key=jobs.__getitem__)
        job = executor.submit(run_command, point_command(sweep, point), device)
        running[job] = point, device
        log(f"begun: {point.name}{f' on GPU {device}' if len(devices) > 1 else ''}")
      time.sleep(POLL)
      for job in [job for job in running if job.done()]:
        point, _ = running.pop(job)
        log(f"{'done' if point.is_done else 'NOT done'}: {point.name} (job {job.job_id})")
  finally:
    for job in running:
      job.cancel()
