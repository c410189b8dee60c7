"""What a command would run: the points, how they stand, what they cost. Nothing is started."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.comparison.verdict import fastest
from sr_jax.config import InputError
from sr_jax.networks.budget import Arm, budget
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.sweep.points import Point, Sweep
from sr_jax.sweep.run import state_of

FEW_ARMS = 3  # each of which gets its own numbers
UNKNOWN = "unknown"


class Finished(NamedTuple):
  """What a finished run says of the time that others will take.

  Attributes:
    work: from `work_of`.
    training: seconds, the search for a rate included.
    rest: seconds of all else, as scoring.
    device: what it ran on.
  """

  work: float
  training: float
  rest: float
  device: str


def lines(sweep: Sweep, points: Sequence[Point]) -> tuple[list[list[str]], str]:
  """The runs as a table of text cells, the header first, and what is to be said below it."""
  known = [one for one in _finished(sweep) if one is not None]
  axes = list(points[0].at) if points else []
  rows = [[*axes, "run folder", "state", "MACs / HR px", "parameters", "time"]]
  total, unknown, to_do, devices = 0.0, 0, 0, set()
  for point in points:
    state = state_of(sweep, point)
    arms = _arms(sweep, point.config)
    like = nearest(known, work_of(point.config, arms))
    time = "-"
    if state != "done":
      to_do += 1
      time = UNKNOWN
      if like is None:
        unknown += 1
      else:
        seconds = like.rest + like.training * work_of(point.config, arms) / like.work
        total += seconds
        devices.add(like.device)
        time = spoken(seconds)
    costs = {arm.name: budget(arm.network) for arm in arms}
    macs = _each({name: float(cost.macs) for name, cost in costs.items()})
    parameters = _each({name: float(cost.parameters) for name, cost in costs.items()})
    rows.append([*point.at.values(), str(point.run_dir), state, macs, parameters, time])
  below = f"{to_do} of {len(points)} points are to be run"
  if to_do > unknown:
    below += (
      f": {spoken(total)} one after another{f', and {unknown} of unknown time' * bool(unknown)}. "
      "Training is taken to last in proportion to MACs x batch x patch^2 x scale^2 x members x "
      "steps, from the finished run nearest in these, and all else as long as there, on "
      + " or ".join(sorted(devices))
    )
  elif to_do:
    below += "; how long that takes is unknown, since no run of this kind is finished in --workdir"
  return rows, below + ". Nothing was started."


def _arms(sweep: Sweep, config: Any) -> Sequence[Arm]:
  """The networks of a run, where its experiment can say them before it is run."""
  return sweep.module.arms(config) if hasattr(sweep.module, "arms") else ()


def work_of(config: Any, arms: Iterable[Arm]) -> float:
  """MACs of all forward passes over training patches, of the search for a rate and of what follows.

  Args:
    config: an `arm_run.Recipe`.
    arms: its networks; without any it is 0.
  """
  macs = sum(float(budget(arm.network).executed_macs) for arm in arms)
  return (
    macs * config.batch * (config.patch * config.scale) ** 2 * _member_steps(config)
    if macs
    else 0.0
  )


def _member_steps(config: Any) -> int:
  """Training steps of one arm, of all its members together."""
  search = config.search_seeds * len(config.learning_rate) * config.search_steps
  return config.seeds * config.steps + (search if len(config.learning_rate) > 1 else 0)


def nearest(known: Sequence[Finished], work: float) -> Finished | None:
  """The finished run that differs by the smallest factor."""
  if not work or not known:
    return None
  return min(known, key=lambda one: abs(math.log(one.work / work)))


def _finished(sweep: Sweep) -> Iterable[Finished | None]:
  """The finished runs of this experiment in the same workdir."""
  folder = Path(sweep.execution.workdir).expanduser()
  for path in sorted(folder.glob(f"{sweep.experiment}-*/results.json")):
    yield _read(RunFolder(path.parent), sweep)


def _read(run_dir: RunFolder, sweep: Sweep) -> Finished | None:
  """A finished run; None if it is of another version, or damaged.

  A session that only finished a run was shorter than the run: its training then counts with the
  time of a step, measured at its end.
  """
  try:
    data = read_json(run_dir.config)["config"]
    timing = read_json(run_dir.timing)
    config = type(sweep.points[0].config)(
      **{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    )
    trained = (
      _member_steps(config) * sum(fastest(timing).values()) if "step_seconds" in timing else 0
    )
    phases = timing["phase_seconds"]
    training = sum(phases[name] for name in phases if name.startswith(("train ", "search ")))
    rest = sum(phases.values()) - training
    work = work_of(config, _arms(sweep, config))
    return Finished(work, max(training, trained), rest, timing["device"]) if work else None
  except (InputError, KeyError, TypeError, AttributeError, json.JSONDecodeError):
    return None


def _each(numbers: dict[str, float]) -> str:
  """A number of every arm, or the least and the most of many."""
  if not numbers:
    return "-"
  if len(set(numbers.values())) == 1:
    return f"{next(iter(numbers.values())):,g}"
  if len(numbers) <= FEW_ARMS:
    return ", ".join(f"{name} {number:,.7g}" for name, number in numbers.items())
  low, high = min(numbers.values()), max(numbers.values())
  return f"{low:,.7g} to {high:,.7g} ({len(numbers)} arms)"


def spoken(seconds: float) -> str:
  """A time in the unit that suits it."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
