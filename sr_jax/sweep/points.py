"""The points of a sweep: the runs that a command asks for, checked before anything starts."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.config import Execution, InputError, changes, digest, flag_words
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.sweep.options import Launch
from sr_jax.training.sharding import parse_mesh


class Point(NamedTuple):
  """One run of a sweep.

  `number` counts from 0 in the whole sweep, `at` holds the values of the swept fields as text.
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
  """All points of a sweep, at least one.

  Attributes:
    module: the experiment, with `main` and, optionally, `arms`, `check_data` and `headline`.
    flags: that repeat this sweep, on any machine with the same folders.
    folder: of the summary; its name depends on the runs, in any order.
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
  """Plans the product of the values `given` by field, the first field outermost.

  They override those of `base`, which is from `preset`. Raises an InputError if points are invalid
  (all are named), or are the same run.
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
    points.append(Point(number, at, config, RunFolder.of(execution.workdir, experiment, config)))
  _refuse(refused, len(points) + len(refused))
  by_folder: dict[str, Point] = {}
  for point in points:
    if (first := by_folder.setdefault(point.run_dir.name, point)) is not point:
      names = " and ".join(dict.fromkeys([first.name, point.name]))
      raise InputError(f"{names} would make the same run twice; give every value once")
  flags: dict[str, Any] = {"experiment": experiment}
  flags |= {"preset": preset} if preset is not None else {}
  flags |= {name: v[0] if isinstance(v[0], tuple) else v for name, v in given.items()}
  flags |= changes(Execution(), execution)
  runs = sorted(point.run_dir.name for point in points)
  folder = Path(execution.workdir).expanduser() / f"sweep-{digest('sweep', {'runs': runs})}"
  return Sweep(experiment, module, tuple(points), tuple(flag_words(flags)), folder, execution)


def shard(sweep: Sweep, options: Launch) -> tuple[Point, ...]:
  """The points that this command runs: every n-th, or all without --shard."""
  first, step = options.parse_shard()
  return sweep.points[first::step]


def check_data(sweep: Sweep, points: Sequence[Point]) -> None:
  """Raises an InputError that names all points whose photographs are missing, if any are."""
  refused = []
  for point in points if hasattr(sweep.module, "check_data") else ():
    if not point.is_done:
      try:
        sweep.module.check_data(point.config, sweep.execution)
      except InputError as error:
        refused.append((point.name, str(error)))
  _refuse(refused, len(points))


def _refuse(refused: Sequence[tuple[str, str]], count: int) -> None:
  """Raises an InputError that lists the refused points with reasons, if there are any."""
  if refused and count == 1:
    raise InputError(refused[0][1])
  if refused:
    head = f"{len(refused)} of {count} points cannot be run, so none is:"
    separator = "\n  " if len(refused) > 1 else " "
    raise InputError(separator.join([head, *(f"{name}: {reason}" for name, reason in refused)]))
