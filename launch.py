"""Runs an experiment: `python launch.py --experiment=matched_flops`.

The experiment is a file under experiments/, found by its name. Every field of its `Config` is a
flag; a scalar field's flag takes a comma list and then sweeps the product of all lists, one run
folder a point: see sr_jax/points.py. `--preset` starts from a config that the file names, and flags
override it.
"""

import ast
import dataclasses
import difflib
import importlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from absl import flags

from sr_jax.config import (
  Execution,
  InputError,
  Launch,
  NotSavedError,
  accepts,
  as_flags,
  changes,
  check,
  is_tuple,
  scalar_type,
)
from sr_jax.runtime import console, lock, preemption
from sr_jax.runtime.console import log, table, warn

if TYPE_CHECKING:
  from sr_jax.runtime.profiling import CompileClock
  from sr_jax.sweep.points import Point, Sweep

BEGAN = time.monotonic()
EXPERIMENTS = Path(__file__).parent / "experiments"
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ValuesOf(flags.ArgumentParser):
  """Parses "1,2,3" as the values of a config field."""

  def __init__(self, kind: type, is_list: bool) -> None:
    self.kind, self.is_list = kind, is_list

  def parse(self, argument: str) -> list[Any]:
    """All values in the list; one for a plain value."""
    texts = argument.split(",") if self.is_list else [argument]
    if len(texts) > 1 and not all(text.strip() for text in texts):
      raise ValueError(f"{argument!r} has an empty value")
    return [self._parse_one(text.strip()) for text in texts]

  def _parse_one(self, text: str) -> Any:
    try:
      if self.kind is bool:
        return WORDS[text.lower()]
      return self.kind(text)
    except (ValueError, KeyError) as error:
      raise ValueError(f"{text!r} is not {KINDS[self.kind]}") from error


def main(argv: Sequence[str]) -> int:
  """Runs what the command line asks for and returns the exit code."""
  try:
    with preemption.installed():
      return _launch(argv)
  except preemption.Interrupted as stop:
    warn("\nStopped; the same command goes on from here.")
    return stop.exit_code
  except flags.Error as error:
    warn(f"launch.py: {' '.join(str(error).split())}")
    return 2
  except (InputError, NotSavedError, OSError) as error:
    from sr_jax.runtime.processes import is_reported  # noqa: PLC0415
    from sr_jax.sweep.run import explained  # noqa: PLC0415

    failure = explained(error)
    if not is_reported(error):
      console.error(f"launch.py: {failure.said}")
    return failure.code


def _launch(argv: Sequence[str]) -> int:
  asked = flags.FlagValues()
  flags.DEFINE_string("experiment", None, "name of a file in experiments/", asked)
  flags.DEFINE_string("preset", None, "name of a config in the experiment's PRESETS", asked)
  flags.DEFINE_boolean("list", False, "list the experiments", asked)
  flags.DEFINE_boolean("help", False, "explain the flags of the experiment", asked, short_name="h")
  rest = asked(list(argv), known_only=True)
  if asked.list or not asked.experiment:
    log("\n".join(_list_experiments()))
    return 0 if asked.list or asked.help else 2

  experiment = _import(asked.experiment)
  if asked.help:
    log(_help(asked.experiment, experiment))
    return 0
  given = _parse(rest, experiment)
  _refuse_unused(asked.experiment, experiment, given)
  execution, how = _take(Execution, given), _take(Launch, given)
  check(execution)
  from sr_jax.report import tensorboard  # noqa: PLC0415
  from sr_jax.sweep import dry_run, points, submit  # noqa: PLC0415

  base = _preset(asked, experiment)
  runs = points.plan(asked.experiment, experiment, base, given, execution, asked.preset)
  mine = points.share(runs, how)
  if execution.tensorboard:
    tensorboard.check_installed()
  if how.dry_run:
    rows, below = dry_run.lines(runs, mine)
    log(f"{table(rows)}\n\n{below}")
    return 0
  if len(runs.points) > 1 or how.launcher != "here":
    points.check_data(runs, mine)
  if how.launcher != "here":
    return submit.launch(runs, mine, how)
  return _run(runs, mine, alone=len(runs.points) == 1 and not how.shard)


def _list_experiments() -> Iterator[str]:
  yield "usage: python launch.py --experiment=NAME [--help] [--field=value[,value...]]\n"
  for path in sorted(EXPERIMENTS.glob("[!_]*.py")):
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    yield f"  {path.stem:<16}{text.splitlines()[0] if text else ''}"


def _import(name: str) -> ModuleType:
  names = [path.stem for path in EXPERIMENTS.glob("[!_]*.py")]
  if name not in names:
    near = difflib.get_close_matches(name, names, cutoff=0.3) or sorted(names)
    raise InputError(f"there is no experiment {name!r}; did you mean {' or '.join(near)}?")
  with preemption.deferred():  # an exception in the middle of JAX's import aborts the process
    return importlib.import_module(f"experiments.{name}")


def _names(cls: type) -> list[str]:
  return [field.name for field in dataclasses.fields(cls)]


def _used(experiment: ModuleType) -> tuple[str, ...]:
  """The fields of Execution that an experiment uses: all, unless it names them."""
  return getattr(experiment, "EXECUTION", tuple(_names(Execution)))


def _refuse_unused(name: str, experiment: ModuleType, given: dict[str, list[Any]]) -> None:
  """Refuses flags that would be ignored, whatever their values."""
  used = _used(experiment)
  unused = sorted(f"--{flag}" for flag in given if flag in _names(Execution) and flag not in used)
  if unused:
    them = "it" if len(unused) == 1 else "them"
    raise InputError(f"--experiment={name} does not use {' and '.join(unused)}; leave {them} out")


def _take(cls: Any, given: dict[str, list[Any]]) -> Any:
  """An Execution or a Launch of the values given, which are taken out."""
  return cls(**{name: given.pop(name)[0] for name in _names(cls) if name in given})


def _parse(argv: Sequence[str], experiment: ModuleType) -> dict[str, list[Any]]:
  """The values of every flag, in the order of the command line; a tuple field's are one value."""
  values = flags.FlagValues()
  fields = {
    field.name: field
    for cls in (Execution, Launch, experiment.Config)
    for field in dataclasses.fields(cls)
  }
  single = (*_names(Execution), *_names(Launch))
  for name, field in fields.items():
    kind = scalar_type(field)
    text = accepts(experiment.Config, name)["help"]
    parser = ValuesOf(kind, is_list=name not in single)
    flags.DEFINE_flag(flags.Flag(parser, None, name, None, text, boolean=kind is bool), values)
  try:
    extra = values(list(argv))[1:]
  except ValueError as error:  # how absl says that --noFLAG takes no value
    raise InputError(str(error)) from error
  if extra:
    raise InputError(f"flags look like --name=value; found {' '.join(extra)!r}")
  words = [word.lstrip("-").partition("=")[0] for word in argv]
  order = sorted(fields, key=lambda name: words.index(name) if name in words else len(words))
  given: dict[str, list[Any]] = {
    name: list(values[name].value or ()) for name in order if values[name].present
  }
  return {
    name: [tuple(found)] if is_tuple(fields[name]) else found for name, found in given.items()
  }


def _preset(asked: flags.FlagValues, experiment: ModuleType) -> Any:
  """The config that flags override: the preset's, or the experiment's defaults."""
  presets = getattr(experiment, "PRESETS", {})
  if asked.preset is None:
    return experiment.Config()
  if asked.preset not in presets:
    known = f"choose from {', '.join(presets)}" if presets else "this experiment has none"
    raise InputError(f"--preset={asked.preset} is not known; {known}")
  return presets[asked.preset]


def _help(name: str, experiment: ModuleType) -> str:
  lines = [f"python launch.py --experiment={name} [flags]\n", experiment.__doc__ or ""]
  for title, cls in (
    ("Flags", experiment.Config),
    ("Flags that change no result", Execution),
    ("Flags that say which points of a sweep are run, and where", Launch),
  ):
    lines.append(f"{title}:")
    for field in dataclasses.fields(cls):
      if cls is Execution and field.name not in _used(experiment):
        continue
      default = getattr(cls(), field.name)
      shown = ",".join(map(str, default)) if is_tuple(field) else str(default)
      limits = accepts(cls, field.name)
      choices = f" ({', '.join(map(str, limits['choices']))})" if limits["choices"] else ""
      lines.append(f"  --{field.name}={shown}\n      {limits['help']}{choices}")
  for preset, config in getattr(experiment, "PRESETS", {}).items():
    lines.append(f"--preset={preset} is {as_flags(changes(experiment.Config(), config))}")
  lines.append("A flag of a scalar field takes a comma list: the product of all lists is run.")
  return "\n".join(lines)


def _run(runs: "Sweep", points: Sequence["Point"], alone: bool) -> int:
  """Runs points in this process; one alone, not of a sweep, fails by itself."""
  from sr_jax.runtime import processes, profiling, watchdog  # noqa: PLC0415
  from sr_jax.sweep import run as sweep  # noqa: PLC0415

  try:
    with preemption.deferred():  # an exception in the middle of JAX's start aborts the process
      _start_jax(runs.execution)
    _check_processes(runs, points)
    clock = profiling.CompileClock()
    if not alone:
      return sweep.run(runs, points, lambda point: _run_one(runs, point, clock))
    _run_one(runs, points[0], clock)
    processes.all_gather(lambda: None)  # none leaves while another is at work
  except (*processes.USER_ERRORS, preemption.Interrupted):
    raise
  except BaseException as error:
    processes.abort(error)
    raise
  finally:
    watchdog.stop()
    for point in points:
      lock.release(point.run_dir.path)
  return 0


def _check_processes(runs: "Sweep", points: Sequence["Point"]) -> None:
  """Refuses several processes that are not alike, or an experiment that is not made for them."""
  from sr_jax.runtime import processes  # noqa: PLC0415
  from sr_jax.runtime.provenance import provenance  # noqa: PLC0415

  if processes.is_multiprocess() and getattr(runs.module, "ONE_PROCESS", False):
    raise InputError(f"--experiment={runs.experiment} runs in one process; use --distributed=off")
  asked = [runs.experiment, runs.execution.mesh, [point.run_dir.name for point in points]]
  processes.assert_equal_across_processes(
    [asked, provenance()],
    "the processes were not started by the same command, code and versions; where each is to run a "
    "--shard of its own, use --distributed=off",
  )


def _run_one(runs: "Sweep", point: "Point", clock: "CompileClock") -> None:
  """Runs a point and says where the time went, if that is asked for."""
  from sr_jax.report import tensorboard  # noqa: PLC0415
  from sr_jax.runtime import (  # noqa: PLC0415
    processes,
    profiling,
  )
  from sr_jax.runtime.files import read_json, write_json  # noqa: PLC0415

  execution, run_dir = runs.execution, point.run_dir
  finished = processes.broadcast_from_primary(lambda: point.is_done)
  began, compiled = time.monotonic(), (clock.seconds, clock.programs)
  runs.module.main(point.config, execution, run_dir)
  if not processes.is_primary():
    return
  if execution.tensorboard:
    tensorboard.write(run_dir)
  if execution.profile and not finished:
    timing = read_json(run_dir.timing)
    phases = timing.get("phase_seconds", {})
    whole = time.monotonic() - began
    profile = {
      "seconds": {
        "start and import": began - BEGAN if point.number == 0 else 0.0,
        **phases,
        "other": whole - sum(phases.values()),
      },
      "compile_seconds": clock.seconds - compiled[0],
      "programs": clock.programs - compiled[1],
    }
    write_json(run_dir.profile, profile)
    log("\n" + table(profiling.rows(profile)))


def _start_jax(execution: Execution) -> None:
  """Sets the compile cache up and says what JAX runs on."""
  import jax  # noqa: PLC0415

  from sr_jax.runtime import processes  # noqa: PLC0415
  from sr_jax.runtime.provenance import PACKAGES, provenance  # noqa: PLC0415
  from sr_jax.training.checkpoints import silence_orbax  # noqa: PLC0415
  from sr_jax.training.sharding import use_all_cores  # noqa: PLC0415

  use_all_cores()
  processes.start(execution.distributed, execution.heartbeat_seconds)
  silence_orbax()

  if execution.compile_cache:
    try:
      folder = Path(execution.compile_cache).expanduser()
      folder.mkdir(parents=True, exist_ok=True)
      jax.config.update("jax_compilation_cache_dir", str(folder))
      jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    except OSError as error:
      log(f"WARNING: no compile cache, {execution.compile_cache} cannot be written ({error})")
  now = provenance()
  versions = ", ".join(f"{name} {now[name]}" for name in ("python", *PACKAGES))
  log(f"{now['device']}\n{versions}, revision {now['revision']}")
  if execution.require_accelerator and jax.default_backend() == "cpu":
    raise InputError("--require_accelerator: JAX found no GPU or TPU; install jax[cuda13] or so")


if __name__ == "__main__":
  code = main(sys.argv)
  for number in preemption.SIGNALS:  # all is done and saved: Python's own end is not a run's
    signal.signal(number, signal.SIG_IGN)
  sys.exit(code)
