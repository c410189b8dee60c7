"""Compares arms in each of several tasks, or on each of several grids, in folders of their own.

What an experiment of this kind does with its folder, tasks, results and report.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.run import Run
from sr_jax.comparison.several import SeveralRecipes
from sr_jax.config import Execution, InputError, to_dict
from sr_jax.networks.budget import Arm
from sr_jax.runner import explaining_damage, save, start, time_steps, train_and_score
from sr_jax.runtime import lock, preemption
from sr_jax.runtime.console import log
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.runtime.profiling import PhaseClock
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder, open_run, record
from sr_jax.training import autotune
from sr_jax.training.population import Population
from sr_jax.training.sharding import make_mesh

Json = dict[str, Any]
Show = Callable[[Run, Json, dict[str, Population]], Callable[[], None]]
LEFT_OUT = "left_out"  # in config.json: sentences on the tasks that are not in the run


class Part(NamedTuple):
  """A task of a run.

  Attributes:
    name: in results.json, and of the task's folder.
    title: what the log calls it.
    recipe: how its arms are trained, and on what.
    arms: its networks.
    about: what joins its results.
    show: as of `run_task`.
  """

  name: str
  title: str
  recipe: Recipe
  arms: Sequence[Arm]
  about: Json
  show: Show | None = None


class Plan(NamedTuple):
  """An experiment over several tasks.

  Attributes:
    kind: the field of the config that lists the tasks, and their key in the files of a run.
    present: returns those of them whose data can be had here, and sentences on the others.
    part: makes a task of its name in the list.
    decide: makes the verdict of results without one.
    report: writes the report from results.json, timing.json and config.json, and logs its tables.
  """

  kind: str
  present: Callable[[], tuple[list[str], list[str]]]
  part: Callable[[str], Part]
  decide: Callable[[Json], Json]
  report: Callable[[RunFolder, Json, Json, Json], None]


def run_tasks(
  experiment: str,
  plan: Plan,
  config: SeveralRecipes,
  execution: Execution,
  run_dir: RunFolder,
) -> dict[str, float]:
  """Trains and scores every task from where the run stands, then decides and reports.

  A run keeps the tasks that it was begun with, whatever data are there when it goes on. One that is
  finished is reported again as it is, for which no data have to be there.

  Returns:
    the wall time of each task in seconds; nothing if the run was finished before.

  Raises:
    InputError: the config, the data of any task or the folder are wrong; of a new run it is raised
      before there is a folder.
    Interrupted: a signal asked to stop; the same command continues.
    NotSavedError: something could not be written; the same command continues.
  """
  is_begun, is_finished = broadcast_from_primary(lambda: (run_dir.is_begun, run_dir.is_finished))
  present = None if is_begun else _checked(plan, config, execution)
  about, _ = broadcast_from_primary(lambda: open_run(run_dir, experiment, config, {}))
  if is_finished:
    log(f"\nThis run is finished; nothing is trained again. {run_dir}")
    broadcast_from_primary(lambda: _report_again(plan, about, run_dir))
    return {}
  names, notes = present or _kept_or_present(plan, about, config, run_dir)
  kept = {plan.kind: names, LEFT_OUT: notes}
  about = broadcast_from_primary(lambda: record(run_dir, about, kept))
  clock = PhaseClock()
  parts: Json = {}
  times: Json = {}
  is_read = False  # whether an earlier session wrote the results of a task
  for place, name in enumerate(names, start=1):
    preemption.raise_if_requested()
    part = plan.part(name)
    log(f"\n{part.title} ({place} of {len(names)})")
    folder = run_dir.task(part.name)
    is_read = is_read or folder.is_finished
    with clock.phase(part.name):
      results, times[part.name] = run_task(
        f"{experiment}_{part.name}", part.arms, part.recipe, execution, folder, part.show
      )
    parts[part.name] = {**results, **part.about}

  def finish() -> None:
    files = f"results.json or timing.json of a task in {run_dir.path / 'tasks'}"
    with explaining_damage(files, "the task") if is_read else contextlib.nullcontext():
      seconds = {name: sum(own["phase_seconds"].values()) for name, own in times.items()}
      choices = {
        f"{name}/{choice}": chosen
        for name, part in parts.items()
        for choice, chosen in part["choices"].items()
      }
      results = {"experiment": experiment, "config": to_dict(config), plan.kind: parts}
      results |= {"choices": choices, "notes": notes}
      results["verdict"] = plan.decide(results)
    timing = {"device": describe_devices(), plan.kind: times, "phase_seconds": seconds}
    preemption.raise_if_requested()
    lock.check(run_dir.path)
    write_json(run_dir.timing, timing)
    write_json(run_dir.results, results)
    _report(plan, results, timing, about, run_dir)

  broadcast_from_primary(finish)
  return clock.seconds


def run_task(
  experiment: str,
  arms: Sequence[Arm],
  recipe: Recipe,
  execution: Execution,
  folder: RunFolder,
  show: Show | None = None,
) -> tuple[Json, Json]:
  """Trains and scores one of several tasks in a folder of its own, from where it stands.

  `show` computes, on every process, what to draw, and returns what draws it on the first.

  Returns:
    the contents of its results.json and of its timing.json.

  Raises:
    InputError, Interrupted, NotSavedError: as `run_tasks`.
  """
  try:
    run = start(experiment, lambda _: arms, recipe, execution, folder)
    if run.is_finished:
      return broadcast_from_primary(lambda: (read_json(folder.results), read_json(folder.timing)))
    results, trained = train_and_score(run)
    with run.clock.phase("time steps"):
      timing = {"device": describe_devices(), **time_steps(trained, run)}
    timing["phase_seconds"] = run.clock.seconds
    draw = show(run, results, trained) if show else None

    def finish() -> None:
      if draw:
        draw()
      save(run, results, timing)

    broadcast_from_primary(finish)
  finally:
    lock.release(folder.path)
  return results, timing


def _checked(
  plan: Plan, config: SeveralRecipes, execution: Execution
) -> tuple[list[str], list[str]]:
  """The tasks of a new run, as `Plan.present`, of which nothing is wrong with the last one either.

  All data are read, and again when each task begins: those of all together may need more memory
  than there is.
  """
  names, notes = broadcast_from_primary(plan.present)
  mesh = make_mesh(config.seeds, config.batch, execution.mesh)
  autotune.forms_of(config.convolution, config.precision, mesh)
  for part in [plan.part(name) for name in names]:
    part.recipe.load(execution)
  return names, notes


def _kept_or_present(
  plan: Plan, about: Json, config: SeveralRecipes, run_dir: RunFolder
) -> tuple[list[str], list[str]]:
  """The tasks that a run was begun with, as `Plan.present`.

  Raises:
    InputError: its config.json holds others than the config lists.
  """
  if plan.kind not in about:  # it was stopped before they were written
    return broadcast_from_primary(plan.present)
  names, listed = about[plan.kind], getattr(config, plan.kind)
  if not names or names != [name for name in listed if name in names]:
    raise InputError(
      f"{run_dir.config} was changed: its {plan.kind} are not those of this run; restore the file "
      "or move the folder away"
    )
  return names, about.get(LEFT_OUT, [])


def _report_again(plan: Plan, about: Json, run_dir: RunFolder) -> None:
  """Reports a run that was finished before.

  Raises:
    InputError: its results are damaged.
  """
  with explaining_damage(f"{run_dir.results} or {run_dir.timing.name}", "the run"):
    _report(plan, read_json(run_dir.results), read_json(run_dir.timing), about, run_dir)


def _report(plan: Plan, results: Json, timing: Json, about: Json, run_dir: RunFolder) -> None:
  """Writes the report, and prints tables and verdict."""
  plan.report(run_dir, results, timing, about)
  log("\n".join(["", *results["verdict"]["sentences"], *results["notes"]]))
  log(f"\nReport: {run_dir.report}, and report.md beside it")
