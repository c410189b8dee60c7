"""Runs the points of a sweep and summarises them.

A point is done when its run's folder has a results.json; nothing else is remembered, so that any
number of processes can work on a sweep, and the same command always does what is missing.
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

AGAIN = "the same command goes on from what is saved"
PATIENCE = 30.0  # seconds to wait while another process writes the summary
LONGEST = 300  # characters that are quoted of an error


class Failure(NamedTuple):
  """Why a point is not done, in a sentence, and the exit code that it stands for."""

  code: int
  said: str


def explained(error: Exception) -> Failure:
  """An error as the exit code and the sentence that a user is told."""
  if isinstance(error, InputError):
    return Failure(2, str(error))
  if isinstance(error, NotSavedError):
    return Failure(1, f"{error}; {AGAIN}")
  if isinstance(error, OSError):
    about = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return Failure(2, f"{about}; {AGAIN}")
  said = " ".join(f"{type(error).__name__}: {error}".split())
  return Failure(1, said if len(said) <= LONGEST else said[: LONGEST - 3] + "...")


def run_points(sweep: Sweep, points: Sequence[Point], run_one: Callable[[Point], Any]) -> int:
  """Runs points one after another, whatever becomes of each; returns the exit code."""
  from_first = processes.broadcast_from_primary
  from_first(lambda: open_folder(sweep))
  from_first(lambda: summarise(sweep))
  failed = from_first(lambda: [failure_of(sweep, point) is not None for point in points])
  # Those that failed come last: of several processes, such a one ends all.
  points = [point for _, point in sorted(zip(failed, points, strict=True), key=lambda one: one[0])]
  for i, point in enumerate(points, start=1):
    preemption.raise_if_requested()
    log(f"\n[{i}/{len(points)}] {point.name}")
    try:
      if from_first(functools.partial(getattr, point, "is_done")):
        log(f"This run is finished; nothing is trained again. {point.run_dir}")
        if sweep.execution.tensorboard:
          from_first(functools.partial(tensorboard.write_finished, point.run_dir))
        continue
      from_first(functools.partial(forget_failure, sweep, point))
      run_one(point)
    except Exception as error:  # of any kind: the other points are to be run all the same
      failure = explained(error)
      if processes.is_primary():
        _note_failure(sweep, point, failure)
      if not isinstance(error, processes.USER_ERRORS):
        processes.abort(error)  # others, if there are any, would wait for this one
        traceback.print_exc()
      warn(f"launch.py: {point.name}: {failure.said}")
    finally:
      lock.release(point.run_dir.path)
    from_first(lambda: summarise(sweep))
  return from_first(lambda: conclude(sweep, points))


def open_folder(sweep: Sweep) -> None:
  """Makes the folder of the summary.

  Raises:
    InputError: it cannot be written.
  """
  try:
    (sweep.folder / "failures").mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise InputError(f"--workdir: {sweep.folder} cannot be written ({error.strerror})") from error


def _file_of(sweep: Sweep, point: Point) -> Path:
  return sweep.folder / "failures" / f"{point.run_dir.name}.json"


def _note_failure(sweep: Sweep, point: Point, failure: Failure) -> None:
  with contextlib.suppress(OSError):  # a full disk is what most likely made it fail
    write_json(_file_of(sweep, point), failure._asdict())


def forget_failure(sweep: Sweep, point: Point) -> None:
  """To be called before a point is tried again."""
  _file_of(sweep, point).unlink(missing_ok=True)


def failure_of(sweep: Sweep, point: Point) -> Failure | None:
  """Why a point is not done, where some process that tried it knows."""
  try:
    return Failure(**read_json(_file_of(sweep, point)))
  except (InputError, TypeError):
    return None


def rows_of(sweep: Sweep, points: Sequence[Point]) -> list[Any]:
  """What the summary says of some points."""
  from sr_jax.sweep.summary import Row  # noqa: PLC0415  # matplotlib takes a second

  rows = []
  for point in points:
    state, headline, effect, said = state_of(sweep, point), {}, None, ""
    if state == "done":
      try:
        results = read_json(point.run_dir.results)
        headline = sweep.module.headline(point.run_dir)
        effect = results.get("verdict")
      except (InputError, KeyError, TypeError, IndexError, AttributeError):
        state, said = "damaged", "results.json is damaged; without it the run makes it again"
    elif state == "failed" and (failure := failure_of(sweep, point)):
      said = failure.said
    rows.append(Row(point.at, point.run_dir.name, state, headline, effect, said))
  return rows


def state_of(sweep: Sweep, point: Point) -> str:
  """Where a point stands: "done", "failed", "begun" or "missing"."""
  if point.is_done:
    return "done"
  if failure_of(sweep, point):
    return "failed"
  return "begun" if point.run_dir.is_begun else "missing"


def summarise(sweep: Sweep) -> None:
  """Writes sweep.html and sweep.csv; a failure to is said, and stops nothing."""
  from sr_jax.sweep import summary as sweep_report  # noqa: PLC0415

  try:
    lock.acquire(sweep.folder, PATIENCE)
    sweep_report.write(sweep.folder, sweep.experiment, rows_of(sweep, sweep.points), sweep.flags)
  except (OSError, InputError) as error:
    warn(f"WARNING: no summary: {explained(error).said}")
  finally:
    lock.release(sweep.folder)


def conclude(sweep: Sweep, points: Sequence[Point]) -> int:
  """Prints the table of these points and names those that are not done; returns the exit code."""
  rows = rows_of(sweep, points)
  log(f"\nSummary: {sweep.folder / 'sweep.html'}, and sweep.csv beside it\n")
  columns = list(dict.fromkeys(column for row in rows for column in row.headline))
  cells = [
    [*row.at.values(), row.state, *(row.headline.get(c, "-") for c in columns)] for row in rows
  ]
  if rows:
    log(table([[*rows[0].at, "run", *columns], *cells]))
  left = [(point, row) for point, row in zip(points, rows, strict=True) if row.state != "done"]
  if not left:
    return 0
  listed = "".join(
    f"\n  {point.name}: {row.failure or row.state} ({point.run_dir})" for point, row in left
  )
  warn(f"launch.py: {len(left)} of {len(points)} points are not done:{listed}")
  codes = [failure.code if (failure := failure_of(sweep, point)) else 1 for point, _ in left]
  return 2 if all(code == 2 for code in codes) else 1
