"""The points of a sweep: which runs a command asks for, and which of them cannot be."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.config import Execution, InputError, Launch, changes, digest, flag_words
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.sharding import parse_mesh


class Point(NamedTuple):
  """One run of a sweep.

  Attributes:
    number: from 0, in the whole sweep.
    at: the fields that are swept, and their values here, as text.
    config: of the run.
    run_dir: where it is or will be.
  """

  number: int
  at: dict[str, str]
  config: Any
  run_dir: RunFolder

  @property
  def name(self) -> str:
    """The flags that make it this point; the run's name if nothing is swept."""
    return " ".join(flag_words(self.at)) or self.run_dir.name

  @property
  def is_done(self) -> bool:
    """Whether its run is finished."""
    return self.run_dir.is_finished


@dataclasses.dataclass(frozen=True)
class Sweep:
  """All points, what makes them, and where they are summarised.

  Attributes:
    experiment: its name.
    module: its module: `main`, and, where it has them, `arms`, `check_data` and `headline`.
    points: at least one.
    flags: that make this sweep, on any machine that has its folders.
    folder: for the summary; named by the runs that it holds, in whatever order.
    execution: where and how.
  """

  experiment: str
  module: Any
  points: tuple[Point, ...]
  flags: tuple[str, ...]
  folder: Path
  execution: Execution


def plan(
  experiment: str,
  module: Any,
  base: Any,
  given: dict[str, list[Any]],
  execution: Execution,
  preset: str | None = None,
) -> Sweep:
  """The product of the values given.

  Args:
    experiment: its name.
    module: its module.
    base: the config that the values override.
    given: by field; the first one is the outermost.
    execution: names the folder of the runs.
    preset: that `base` is from.

  Raises:
    InputError: points that cannot be, all of them, or points that are the same run.
  """
  swept = [name for name, values in given.items() if len(values) > 1]
  points: list[Point] = []
  refused: list[tuple[str, str]] = []
  for number, values in enumerate(itertools.product(*given.values())):
    fields = dict(zip(given, values, strict=True))
    at = {name: str(fields[name]) for name in swept}
    try:
      config = dataclasses.replace(base, **fields)
      if execution.mesh != "auto":
        parse_mesh(execution.mesh, getattr(config, "batch", 1))
    except InputError as error:
      refused.append((" ".join(flag_words(at)), str(error)))
      continue
    run_dir = RunFolder.of(execution.workdir, experiment, config)
    points.append(Point(number, at, config, run_dir))
  _refuse(refused, len(points) + len(refused))
  by_folder: dict[str, Point] = {}
  for point in points:
    if (other := by_folder.setdefault(point.run_dir.name, point)) is not point:
      names = " and ".join(dict.fromkeys([other.name, point.name]))
      raise InputError(f"{names} would make the same run twice; give every value once")
  flags = [f"--experiment={experiment}"] + [f"--preset={preset}"] * (preset is not None)
  flags += [
    f"--{name}={','.join(map(str, values[0] if isinstance(values[0], tuple) else values))}"
    for name, values in given.items()
  ]
  flags += [f"--{name}={value}" for name, value in changes(Execution(), execution).items()]
  runs = sorted(point.run_dir.name for point in points)
  folder = Path(execution.workdir).expanduser() / f"sweep-{digest('sweep', {'runs': runs})}"
  return Sweep(experiment, module, tuple(points), tuple(flags), folder, execution)


def share(sweep: Sweep, how: Launch) -> tuple[Point, ...]:
  """The points that this command is to run: every n-th."""
  first, step = how.turn()
  return sweep.points[first::step]


def check_data(sweep: Sweep, points: Sequence[Point]) -> None:
  """Refuses, before anything starts, points whose photographs are not there.

  Raises:
    InputError: naming all of them.
  """
  refused = []
  if hasattr(sweep.module, "check_data"):
    for point in points:
      if not point.is_done:
        try:
          sweep.module.check_data(point.config, sweep.execution)
        except InputError as error:
          refused.append((point.name, str(error)))
  _refuse(refused, len(points))


def _refuse(refused: Sequence[tuple[str, str]], count: int) -> None:
  """Raises an InputError that lists points and what is wrong with each, if there are any."""
  if count == 1 and refused:
    raise InputError(refused[0][1])
  if refused:
    listed = [f"{name}: {reason}" if name else reason for name, reason in refused]
    between = "\n  " if len(listed) > 1 else " "
    head = f"{len(listed)} of {count} points cannot be run, so none is:"
    raise InputError(between.join([head, *listed]))
