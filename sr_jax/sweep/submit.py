"""The points of a sweep as jobs, through submitit: on this machine, or on a cluster by slurm.

A job is the command that runs one point in a process of its own, as text: it works in the folders
that the command works in, and a job that is begun again goes on from what is saved there.
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

from sr_jax.config import InputError, Launch
from sr_jax.runtime.console import log
from sr_jax.runtime.processes import detect_cluster
from sr_jax.sweep import run as sweeps
from sr_jax.sweep.points import Point, Sweep

PROGRAM = Path(__file__).parents[2] / "launch.py"
POLL = 0.2  # seconds
LOCAL_MINUTES = 60 * 24 * 365  # submitit ends a local job after two minutes unless told otherwise
SMI_SECONDS = 30  # for nvidia-smi, which hangs on a GPU that is ill
REQUEUES = 50  # after as many time limits a point is given up: it may not get anywhere

_child: subprocess.Popen | None = None  # of the job that this process is


def launch(sweep: Sweep, points: Sequence[Point], how: Launch) -> int:
  """Submits every point that is not done; returns the exit code.

  Local jobs are waited for. Slurm's are not: each writes the summary when it ends.

  Raises:
    InputError: submitit or slurm is not there, or does not take what --slurm says; or this process
      is one of several, each of which would submit every point.
  """
  if found := detect_cluster():
    raise InputError(
      f"--launcher={how.launcher} is to be started once, and {found} says that this is one of "
      "several processes"
    )
  executor = _executor(sweep, how)
  sweeps.open_folder(sweep)
  sweeps.summarise(sweep)
  waiting = [point for point in points if not point.is_done]
  log(f"{len(points) - len(waiting)} of {len(points)} points are done; logs: {executor.folder}")
  for point in waiting:
    sweeps.forget_failure(sweep, point)
  if how.launcher == "local":
    _run_all(executor, sweep, waiting, how.max_parallel or 1)
    sweeps.summarise(sweep)
    return sweeps.conclude(sweep, points)
  with executor.batch(), _one_sentence("--launcher=slurm"):
    jobs = [executor.submit(run_command, command_of(sweep, point), None) for point in waiting]
  for point, job in zip(waiting, jobs, strict=True):
    log(f"job {job.job_id}: {point.name}")
  log(f"Summary, after every point: {sweep.folder / 'sweep.html'}")
  return 0


def command_of(sweep: Sweep, point: Point) -> list[str]:
  """What runs one point: the sweep's own command, with a share of one point."""
  share = f"--shard={point.number}/{len(sweep.points)}"
  return [sys.executable, str(PROGRAM), *sweep.flags, share]


def run_command(command: list[str], devices: str | None) -> None:
  """What a job does: runs a command, which is asked to stop where the job is.

  Args:
    command: the program and its arguments.
    devices: for CUDA_VISIBLE_DEVICES, which submitit empties for a local job; None: as it is.

  Raises:
    CalledProcessError: the command failed.
  """
  global _child  # noqa: PLW0603  # a signal's handler needs it
  environment = dict(os.environ)
  if devices == "all":
    del environment["CUDA_VISIBLE_DEVICES"]
  elif devices is not None:
    environment["CUDA_VISIBLE_DEVICES"] = devices
  # The signal for a job's last minutes may reach all its processes. It is for this one, which asks
  # the command to stop: a signal that it does not know would end it with nothing saved.
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
  """Asks the command to save and stop, and waits; may interrupt a wait for the same process."""
  if _child is not None and _child.returncode is None:
    _child.send_signal(signal.SIGTERM)  # which first looks whether it has ended
  if _child is not None and _child.returncode is None:
    os.waitid(os.P_PID, _child.pid, os.WEXITED | os.WNOWAIT)


def _again(command: list[str], devices: str | None) -> Any:
  """What submitit calls when a job is preempted or out of time: the same job is to be requeued."""
  from submitit.helpers import DelayedSubmission  # noqa: PLC0415

  _stop()
  return DelayedSubmission(run_command, command, devices)


run_command.checkpoint = _again  # type: ignore[attr-defined]  # where submitit looks for it


def _executor(sweep: Sweep, how: Launch) -> Any:
  """A submitit executor that logs into the sweep's folder."""
  try:
    import submitit  # noqa: PLC0415  # is optional
  except ImportError as error:
    raise InputError(
      f'--launcher={how.launcher} needs submitit: pip install -e ".[slurm]" ({error})'
    ) from error
  folder = sweep.folder / "logs"
  if how.launcher == "local":
    local = submitit.LocalExecutor(folder)
    local.update_parameters(timeout_min=LOCAL_MINUTES)
    return local
  parameters = {"job_name": f"{sweep.experiment}-{sweep.folder.name}", **parse(how.slurm)}
  parameters["array_parallelism"] = how.max_parallel or len(sweep.points)
  if not isinstance(parameters.get("time"), int):
    raise InputError("--slurm needs time=MINUTES, a whole number: after it a point is requeued")
  with _one_sentence("--launcher=slurm"):
    slurm = submitit.SlurmExecutor(folder, max_num_timeout=REQUEUES)
  with _one_sentence(f"--slurm={how.slurm}"):
    slurm.update_parameters(**parameters)
  return slurm


def parse(text: str) -> dict[str, int | bool | str]:
  """The parameters for submitit in a text like partition=gpu,time=60.

  Raises:
    InputError: a part is not key=value, or a key is given twice.
  """
  found: dict[str, int | bool | str] = {}
  for part in text.split(",") if text else []:
    key, equals, value = part.strip().partition("=")
    if not (key and equals and value):
      raise InputError(f"--slurm={text}: {part!r} is not key=value")
    if key in found:
      raise InputError(f"--slurm={text} gives {key} twice")
    words = {"true": True, "false": False}
    found[key] = int(value) if value.isdecimal() else words.get(value.lower(), value)
  return found


@contextmanager
def _one_sentence(about: str) -> Iterator[None]:
  """Within it an error of submitit becomes one that a user is told."""
  try:
    yield
  except InputError:
    raise
  except Exception as error:  # of several kinds, in submitit 1.5
    raise InputError(f"{about}: {' '.join(str(error).split())}") from error


def visible_gpus() -> list[str]:
  """The GPUs that a program started here may use, as CUDA_VISIBLE_DEVICES names them."""
  if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
    names = (name.strip() for name in visible.split(","))
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # as CUDA does
  try:
    listed = subprocess.run(
      ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True, timeout=SMI_SECONDS
    )
  except (OSError, subprocess.SubprocessError):
    return []
  lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
  return [str(i) for i in range(len(lines))]


def _run_all(executor: Any, sweep: Sweep, points: Sequence[Point], most: int) -> None:
  """Runs local jobs, some at a time; on a signal, stops those that run.

  Of several at a time each has a GPU, the one with the fewest jobs; one at a time has all.
  """
  devices = [os.environ.get("CUDA_VISIBLE_DEVICES", "all")]
  if most > 1 and len(gpus := visible_gpus()) > 1:
    devices = gpus
  waiting = list(points)
  running: dict[Any, tuple[Point, str]] = {}
  try:
    while waiting or running:
      while waiting and len(running) < most:
        point = waiting.pop(0)
        taken = Counter(device for _, device in running.values())
        device = min(devices, key=taken.__getitem__)
        job = executor.submit(run_command, command_of(sweep, point), device)
        running[job] = point, device
        log(f"begun: {point.name}{f' on GPU {device}' if len(devices) > 1 else ''}")
      time.sleep(POLL)
      for job in [job for job in running if job.done()]:
        point, _ = running.pop(job)
        log(f"{'done' if point.is_done else 'NOT done'}: {point.name} (job {job.job_id})")
  finally:
    for job in running:
      job.cancel()
