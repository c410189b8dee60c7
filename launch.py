"""Runs an experiment: `python launch.py --experiment=matched_flops`.

The experiment is a file under experiments/, found by its name. Every field of its `Config` is a
flag; a scalar field's flag takes a comma list and then sweeps the product of all lists, one run
folder a point: see sr_jax/sweep/points.py. `--preset` starts from a config that the file names, and
flags override it.
"""

import ast
import difflib
import importlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from absl import flags

from sr_jax.config import Execution, InputError, NotSavedError, to_dict
from sr_jax.flags import help_text, parse, preset
from sr_jax.runtime import console, lock, preemption
from sr_jax.runtime.console import log, table, warn

if TYPE_CHECKING:
  from sr_jax.runtime.profiling import CompileClock
  from sr_jax.sweep.points import Point, Sweep

START = time.monotonic()
EXPERIMENTS = Path(__file__).parent / "experiments"


def main(argv: Sequence[str]) -> int:
  """Runs what the command line asks for and returns the exit code."""
  # After what is installed: a network of the user's own may lie in the folder that they start from.
  sys.path.append(str(Path.cwd()))
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
    from sr_jax.runtime.processes import is_for_user, is_reported  # noqa: PLC0415
    from sr_jax.sweep.run import as_failure  # noqa: PLC0415

    if not is_for_user(error):
      raise
    failure = as_failure(error)
    if not is_reported(error):
      console.error(f"launch.py: {failure.message}")
    return failure.code


def _launch(argv: Sequence[str]) -> int:
  own = flags.FlagValues()
  flags.DEFINE_string("experiment", None, "name of a file in experiments/", own)
  flags.DEFINE_string("preset", None, "name of a config in the experiment's PRESETS", own)
  flags.DEFINE_boolean("list", False, "list the experiments", own)
  flags.DEFINE_boolean("help", False, "explain the flags of the experiment", own, short_name="h")
  rest = own(list(argv), known_only=True)
  if own.list or not own.experiment:
    log("\n".join(_list_experiments()))
    return 0 if own.list or own.help else 2

  experiment = _import(own.experiment)
  if own.help:
    log(help_text(own.experiment, experiment))
    return 0
  line = parse(rest, own.experiment, experiment)
  base = preset(own.preset, experiment)
  from sr_jax.report import tensorboard  # noqa: PLC0415
  from sr_jax.sweep import dry_run, points, submit  # noqa: PLC0415

  sweep = points.plan(own.experiment, experiment, base, line.values, line.execution, own.preset)
  selected = points.shard(sweep, line.launch)
  if line.execution.tensorboard:
    tensorboard.check_installed()
  if line.launch.dry_run:
    rows, below = dry_run.describe(sweep, selected)
    log(f"{table(rows)}\n\n{below}")
    return 0
  if len(sweep.points) > 1 or line.launch.launcher != "here":
    points.check_data(sweep, selected)
  if line.launch.launcher != "here":
    return submit.launch(sweep, selected, line.launch)
  return _run(sweep, selected, alone=len(sweep.points) == 1 and not line.launch.shard)


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


def _run(sweep: "Sweep", points: Sequence["Point"], alone: bool) -> int:
  """Runs points in this process; one alone, not of a sweep, fails by itself."""
  from sr_jax.runtime import processes, profiling, watchdog  # noqa: PLC0415
  from sr_jax.sweep.run import run_points  # noqa: PLC0415

  try:
    with preemption.deferred():  # an exception in the middle of JAX's start aborts the process
      _start_jax(sweep.execution)
    _check_processes(sweep, points)
    clock = profiling.CompileClock()
    if not alone:
      return run_points(sweep, points, lambda point: _run_point(sweep, point, clock))
    _run_point(sweep, points[0], clock)
    processes.all_gather(lambda: None)  # none leaves while another is at work
  except BaseException as error:
    if not (processes.is_for_user(error) or isinstance(error, preemption.Interrupted)):
      processes.abort(error)
    raise
  finally:
    watchdog.stop()
    for point in points:
      lock.release(point.run_dir.path)
  return 0


def _check_processes(sweep: "Sweep", points: Sequence["Point"]) -> None:
  """Refuses processes that differ, or an experiment that runs in one process only."""
  from sr_jax.comparison.own_arms import sources  # noqa: PLC0415
  from sr_jax.networks.own_source import code_of  # noqa: PLC0415
  from sr_jax.runtime import processes  # noqa: PLC0415
  from sr_jax.runtime.provenance import provenance  # noqa: PLC0415

  if processes.is_multiprocess() and getattr(sweep.module, "ONE_PROCESS", False):
    raise InputError(f"--experiment={sweep.experiment} runs in one process; use --distributed=off")
  command = [sweep.experiment, sweep.execution.mesh, [point.run_dir.name for point in points]]
  configs = [point.config for point in points]
  own = {entry for config in configs for entry in sources(type(config), to_dict(config))}
  codes = processes.all_gather(lambda: {source: code_of(source) for source in sorted(own)})
  processes.assert_equal_across_processes(
    [command, provenance(), codes[processes.index()]],
    "the processes were not started by the same command, code and versions, also of networks of "
    "your own; where each is to run a --shard of its own, use --distributed=off",
  )


def _run_point(sweep: "Sweep", point: "Point", clock: "CompileClock") -> None:
  """Runs a point and, with --profile, writes where the time went."""
  from sr_jax.runtime import processes, profiling  # noqa: PLC0415
  from sr_jax.runtime.files import write_json  # noqa: PLC0415

  began, compiled = time.monotonic(), (clock.seconds, clock.programs)
  phases = sweep.module.main(point.config, sweep.execution, point.run_dir)
  if sweep.execution.profile and phases and processes.is_primary():
    profile = {
      "seconds": {
        "start and import": began - START if point.number == 0 else 0.0,
        **phases,
        "other": time.monotonic() - began - sum(phases.values()),
      },
      "compile_seconds": clock.seconds - compiled[0],
      "programs": clock.programs - compiled[1],
    }
    write_json(point.run_dir.profile, profile)
    log("\n" + table(profiling.rows(profile)))


def _start_jax(execution: Execution) -> None:
  """Sets the compile cache up and says what JAX runs on."""
  import jax  # noqa: PLC0415

  from sr_jax.runtime import processes  # noqa: PLC0415
  from sr_jax.runtime.devices import use_all_cores  # noqa: PLC0415
  from sr_jax.runtime.provenance import PACKAGES, provenance  # noqa: PLC0415
  from sr_jax.training.checkpoints import silence_orbax  # noqa: PLC0415

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
