"""Lists the points that a command would run, with their states and costs; starts nothing."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.comparison.own_arms import sources
from sr_jax.config import InputError, to_dict
from sr_jax.networks.budget import Arm, budget
from sr_jax.report.times import fastest
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.sweep.points import Point, Sweep
from sr_jax.sweep.run import point_state

MAX_ARMS_LISTED = 3  # with numbers for each arm


class FinishedRun(NamedTuple):
  """The time of a finished run, from which that of others is estimated.

  `work` is from `training_work`; `training` is in seconds, with the search for a learning rate, and
  `rest` the seconds of everything else, as scoring.
  """

  work: float
  training: float
  rest: float
  device: str


def describe(sweep: Sweep, points: Sequence[Point]) -> tuple[list[list[str]], str]:
  """The runs as a table of text cells, the header first, and the text below it."""
  finished = _finished_runs(sweep)
  rows = [[*(points[0].at if points else ()), "run folder", "state", "MACs / HR px"]]
  rows[0] += ["parameters", "time"]
  to_do, estimates, devices = 0, [], set()
  for point in points:
    state = point_state(sweep, point)
    arms = _arms(sweep, point.config)
    time = "-"
    if state != "done":
      to_do += 1
      time = "unknown"
      work = training_work(point.config, arms)
      if similar := nearest(finished, work):
        estimates.append(similar.rest + similar.training * work / similar.work)
        devices.add(similar.device)
        time = format_seconds(estimates[-1])
    costs = _by_arm(arms, "macs"), _by_arm(arms, "parameters")
    rows.append([*point.at.values(), str(point.run_dir), state, *costs, time])
  below = f"{to_do} of {len(points)} points are to be run"
  if estimates:
    unknown = to_do - len(estimates)
    below += (
      f": {format_seconds(sum(estimates))} one after another"
      f"{f', and {unknown} of unknown time' * bool(unknown)}. Training is assumed to take time in "
      "proportion to MACs x batch x patch^2 x scale^2 x members x steps, from the finished run "
      "nearest in these, and all else as long as there, on " + " or ".join(sorted(devices))
    )
  elif to_do:
    below += "; how long that takes is unknown, since no run of this kind is finished in --workdir"
  return rows, below + ". Nothing was started."


def _arms(sweep: Sweep, config: Any) -> Sequence[Arm]:
  """The arms of a run, if its experiment can name them before the run."""
  return sweep.module.arms(config) if hasattr(sweep.module, "arms") else ()


def training_work(config: Any, arms: Sequence[Arm]) -> float:
  """MACs of all forward passes of a comparison, its search included; 0 without any arms."""
  if not arms:
    return 0.0
  macs = sum(float(budget(arm.network).executed_macs) for arm in arms)
  return macs * config.batch * (config.patch * config.scale) ** 2 * _member_steps(config)


def _member_steps(config: Any) -> int:
  """Training steps of all members of an arm."""
  rates = len(config.learning_rate) if len(config.learning_rate) > 1 else 0
  trials = config.recipes if getattr(config, "recipes", 0) else rates
  return config.seeds * config.steps + config.search_seeds * trials * config.search_steps


def nearest(runs: Sequence[FinishedRun], work: float) -> FinishedRun | None:
  """The finished run whose work differs by the smallest factor, if there is any."""
  return min(runs if work else (), key=lambda run: abs(math.log(run.work / work)), default=None)


def _finished_runs(sweep: Sweep) -> list[FinishedRun]:
  """The finished runs of this experiment in the same workdir."""
  paths = Path(sweep.execution.workdir).expanduser().glob(f"{sweep.experiment}-*")
  folders = [folder for folder in map(RunFolder, sorted(paths)) if folder.is_finished]
  return list(filter(None, (_read(folder, sweep) for folder in folders)))


def _read(run_dir: RunFolder, sweep: Sweep) -> FinishedRun | None:
  """A finished run; None if it is of another version, of other own networks, or damaged.

  After an interruption the phases of only the last session are known. So training takes at least
  the time of a step, which is measured at its end, times the steps.
  """
  try:
    data = read_json(run_dir.config)["config"]
    config_class = type(sweep.points[0].config)
    named = {entry for p in sweep.points for entry in sources(config_class, to_dict(p.config))}
    if not sources(config_class, data) <= named:
      return None  # its networks would be imported, and the command does not name them
    timing = read_json(run_dir.timing)
    config = config_class(
      **{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    )
    phases, by_steps = timing["phase_seconds"], 0.0
    if "step_seconds" in timing:
      by_steps = _member_steps(config) * sum(fastest(timing).values())
    training = sum(phases[name] for name in phases if name.startswith(("train ", "search ")))
    rest = sum(phases.values()) - training
    work = training_work(config, _arms(sweep, config))
    return FinishedRun(work, max(training, by_steps), rest, timing["device"]) if work else None
  except (InputError, KeyError, TypeError, AttributeError):
    return None


def _by_arm(arms: Sequence[Arm], cost: str) -> str:
  """A cost of every arm as text; of many arms the smallest and the largest."""
  numbers = {arm.name: float(getattr(budget(arm.network), cost)) for arm in arms}
  if not numbers:
    return "-"
  if len(set(numbers.values())) == 1:
    return f"{next(iter(numbers.values())):,g}"
  if len(numbers) <= MAX_ARMS_LISTED:
    return ", ".join(f"{name} {number:,.7g}" for name, number in numbers.items())
  low, high = min(numbers.values()), max(numbers.values())
  return f"{low:,.7g} to {high:,.7g} ({len(numbers)} arms)"


def format_seconds(seconds: float) -> str:
  """A time as text in seconds, minutes or hours."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
