"""Runs the points of a sweep and summarises them.

A point is done when its run's folder has a results.json. No other state is kept, so that any number
of processes can work on a sweep, and the same command always runs what is missing.
"""

import contextlib
import functools
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.config import InputError, NotSavedError
from sr_jax.report import tensorboard
from sr_jax.runtime import lock, preemption, processes
from sr_jax.runtime.console import log, table, warn
from sr_jax.runtime.files import read_json, write_json
from sr_jax.sweep.points import Point, Sweep

RESUME = "the same command goes on from what is saved"
LOCK_SECONDS = 30.0  # to wait while another process writes the summary
MAX_QUOTED = 300  # characters of an error


class Failure(NamedTuple):
  """The exit code of a failed point and the sentence for the user."""

  code: int
  message: str


def as_failure(error: Exception) -> Failure:
  """The exit code and the sentence for an error."""
  if isinstance(error, InputError):
    return Failure(2, str(error))
  if isinstance(error, NotSavedError):
    return Failure(1, f"{error}; {RESUME}")
  if isinstance(error, OSError) and error.errno is not None:
    message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return Failure(2, f"{message}; {RESUME}")
  message = " ".join(f"{type(error).__name__}: {error}".split())
  return Failure(1, message if len(message) <= MAX_QUOTED else message[: MAX_QUOTED - 3] + "...")


def run_points(sweep: Sweep, points: Sequence[Point], run_point: Callable[[Point], Any]) -> int:
  """Runs points one after another, even if some fail; returns the exit code."""
  on_primary = processes.broadcast_from_primary
  on_primary(lambda: open_folder(sweep))
  on_primary(lambda: summarise(sweep))
  failed = on_primary(lambda: [point.number for point in points if read_failure(sweep, point)])
  # Failed points come last, since a failure may end all processes.
  points = sorted(points, key=lambda point: point.number in failed)
  for i, point in enumerate(points, start=1):
    preemption.raise_if_requested()
    log(f"\n[{i}/{len(points)}] {point.name}")
    try:
      if on_primary(functools.partial(getattr, point, "is_done")):
        log(f"This run is finished; nothing is trained again. {point.run_dir}")
        if sweep.execution.tensorboard:
          on_primary(functools.partial(tensorboard.write_finished, point.run_dir))
        continue
      on_primary(functools.partial(forget_failure, sweep, point))
      run_point(point)
    except Exception as error:  # of any kind: the next points are run all the same
      failure = as_failure(error)
      if processes.is_primary():
        with contextlib.suppress(OSError):  # the failure itself may be a full disk
          write_json(_failure_file(sweep, point), {"code": failure.code, "said": failure.message})
      if not processes.is_for_user(error):
        processes.abort(error)  # other processes would wait for this one
        traceback.print_exc()
      warn(f"launch.py: {point.name}: {failure.message}")
    finally:
      lock.release(point.run_dir.path)
    on_primary(lambda: summarise(sweep))
  return on_primary(lambda: report_points(sweep, points))


def open_folder(sweep: Sweep) -> None:
  """Makes the folder of the summary; raises an InputError if it cannot be written."""
  try:
    (sweep.folder / "failures").mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise InputError(f"--workdir: {sweep.folder} cannot be written ({error.strerror})") from error


def _failure_file(sweep: Sweep, point: Point) -> Path:
  return sweep.folder / "failures" / f"{point.run_dir.name}.json"


def forget_failure(sweep: Sweep, point: Point) -> None:
  """Forgets the failure of a point that is tried again."""
  _failure_file(sweep, point).unlink(missing_ok=True)


def read_failure(sweep: Sweep, point: Point) -> Failure | None:
  """The failure of a point in any process; None if it has not failed."""
  try:
    failure = read_json(_failure_file(sweep, point))
    return Failure(failure["code"], failure["said"])
  except (InputError, KeyError, TypeError):
    return None


def summary_rows(sweep: Sweep, points: Sequence[Point]) -> list[Any]:
  """The rows of the summary for these points."""
  from sr_jax.sweep.summary import Row  # noqa: PLC0415  # matplotlib takes a second

  rows = []
  for point in points:
    state, headline, verdict, failure = point_state(sweep, point), {}, None, ""
    if state == "done":
      try:
        results, headline = read_json(point.run_dir.results), sweep.module.headline(point.run_dir)
        verdict = results.get("verdict")
        if verdict and "contrast" not in verdict:  # of several tasks: the headline says it
          verdict = None
      except (InputError, KeyError, TypeError, IndexError, AttributeError):
        state, failure = "damaged", "results.json is damaged; without it the run makes it again"
    elif state == "failed" and (known := read_failure(sweep, point)):
      failure = known.message
    rows.append(Row(point.at, point.run_dir.name, state, headline, verdict, failure))
  return rows


def point_state(sweep: Sweep, point: Point) -> str:
  """The state of a point: "done", "failed", "begun" or "missing"."""
  if point.is_done:
    return "done"
  if read_failure(sweep, point):
    return "failed"
  return "begun" if point.run_dir.is_begun else "missing"


def summarise(sweep: Sweep) -> None:
  """Writes sweep.html and sweep.csv; warns if that fails."""
  from sr_jax.sweep import summary as sweep_report  # noqa: PLC0415

  try:
    lock.acquire(sweep.folder, LOCK_SECONDS)
    rows = summary_rows(sweep, sweep.points)
    sweep_report.write(sweep.folder, sweep.experiment, rows, sweep.flags)
  except (OSError, InputError) as error:
    warn(f"WARNING: no summary: {as_failure(error).message}")
  finally:
    lock.release(sweep.folder)


def report_points(sweep: Sweep, points: Sequence[Point]) -> int:
  """Prints the table of these points and names those that are not done; returns the exit code."""
  from sr_jax.sweep.summary import table_rows  # noqa: PLC0415

  rows = summary_rows(sweep, points)
  log(f"\nSummary: {sweep.folder / 'sweep.html'}, and sweep.csv beside it\n")
  if rows:
    log(table(table_rows(rows)))
  left = [(point, row) for point, row in zip(points, rows, strict=True) if row.state != "done"]
  if not left:
    return 0
  listed = "".join(
    f"\n  {point.name}: {row.failure or row.state} ({point.run_dir})" for point, row in left
  )
  warn(f"launch.py: {len(left)} of {len(points)} points are not done:{listed}")
  codes = [failure.code if (failure := read_failure(sweep, point)) else 1 for point, _ in left]
  return 2 if all(code == 2 for code in codes) else 1
