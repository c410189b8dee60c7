"""The points of a sweep: the runs that a command asks for, checked before anything starts."""

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
    at: the fields that are swept, with the values of this point as text.
    config: of the run.
    run_dir: its folder, which may not exist yet.
  """

  number: int
  at: dict[str, str]
  config: Any
  run_dir: RunFolder

  @property
  def name(self) -> str:
    """The flags that distinguish this point; the run's name if nothing is swept."""
    return " ".join(flag_words(self.at)) or self.run_dir.name

  @property
  def is_done(self) -> bool:
    """Whether its run is finished."""
    return self.run_dir.is_finished


@dataclasses.dataclass(frozen=True)
class Sweep:
  """All points of a sweep.

  Attributes:
    experiment: its name.
    module: its module with `main` and, optionally, `arms`, `check_data` and `headline`.
    points: at least one.
    flags: that repeat this sweep, on any machine with the same folders.
    folder: of the summary; its name depends on the runs, in any order.
    execution: of the runs.
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
  """Plans the product of the given values.

  Args:
    experiment: its name.
    module: its module.
    base: the config that the values override.
    given: by field; the first one is the outermost.
    execution: names the folder of the runs.
    preset: that `base` is from.

  Raises:
    InputError: some points are invalid (all are named), or are the same run.
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
    if (first := by_folder.setdefault(point.run_dir.name, point)) is not point:
      names = " and ".join(dict.fromkeys([first.name, point.name]))
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


def shard(sweep: Sweep, options: Launch) -> tuple[Point, ...]:
  """The points that this command runs: every n-th, or all without --shard."""
  first, step = options.parse_shard()
  return sweep.points[first::step]


def check_data(sweep: Sweep, points: Sequence[Point]) -> None:
  """Refuses points whose photographs are missing.

  Raises:
    InputError: names all of them.
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
  """Raises an InputError that lists the refused points with reasons, if there are any."""
  if count == 1 and refused:
    raise InputError(refused[0][1])
  if refused:
    lines = [f"{name}: {reason}" if name else reason for name, reason in refused]
    separator = "\n  " if len(lines) > 1 else " "
    head = f"{len(lines)} of {count} points cannot be run, so none is:"
    raise InputError(separator.join([head, *lines]))
