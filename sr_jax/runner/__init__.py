"""Compares arms: budget, data, search, training, scores, verdict, report.

This orchestrates; what is computed is in the packages that it calls.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from sr_jax.comparison import recipe_search, verdict
from sr_jax.comparison.containment import CONTAINS
from sr_jax.comparison.contrasts import Comparison
from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.recipe_search import search_recipes, train_with_recipes
from sr_jax.comparison.run import Run
from sr_jax.comparison.score import score_arm, score_baseline
from sr_jax.comparison.search import choose_rate, edge_of, search_rates
from sr_jax.comparison.train import eval_form, eval_params, train_seeds
from sr_jax.config import Execution, InputError, to_dict
from sr_jax.data import patches, sources
from sr_jax.data.pairs import Pair, values_of
from sr_jax.evaluation import scoring
from sr_jax.networks import OwnNetwork, budget
from sr_jax.networks.budget import Arm
from sr_jax.networks.containment import containing_pairs
from sr_jax.operators.conv import FORMS
from sr_jax.report import comparison as report
from sr_jax.report import tables, tensorboard, times
from sr_jax.runtime import devices, lock, preemption, processes
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import Unsaved, read_json, write_json
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.runtime.profiling import PhaseClock
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder, await_config, open_run, record
from sr_jax.training import autotune
from sr_jax.training.choices import Choices, Stopwatch
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Population
from sr_jax.training.sharding import make_mesh, upload
from sr_jax.training.timing import in_both_executions, step_seconds

Plan = Callable[[Choices], Sequence[Arm]]
Measure = Callable[[Run, dict[str, Any], dict[str, Population]], dict[str, Any]]
EVENTS = "events for TensorBoard"


def compare(
  experiment: str,
  plan: Plan,
  comparison: Comparison,
  recipe: Recipe,
  execution: Execution,
  run_dir: RunFolder,
  measure: Measure | None = None,
) -> dict[str, float]:
  """Runs a comparison from where it stands to its report.

  `plan` gives two or more arms once it can measure what their shapes do not say: which execution of
  a network is faster here, and which widths match in time. `comparison` says which of them are
  compared with which. The experiment's name is kept in the run's folder. `measure` is what else an
  experiment does with a run and its trained populations; what it returns joins the results.

  Returns:
    the wall time of each phase in seconds; nothing if the run was finished before.

  Raises:
    InputError: the config, the images or the folder are wrong; raised before any arm is trained.
    Interrupted: a signal asked to stop; the same command continues.
    NotSavedError: something could not be written; the same command continues.
  """
  run = start(experiment, plan, recipe, execution, run_dir)
  if run.is_finished:
    broadcast_from_primary(lambda: _report_again(run))
    return {}
  results, trained = train_and_score(run)
  if measure is not None:
    with run.clock.phase("measure"):
      results |= measure(run, results, trained)
  results["verdict"] = verdict.decide(results, comparison)
  with run.clock.phase("time steps"):
    steps = time_steps(in_both_executions(trained), run)
    timing = {"device": describe_devices(), **steps, "phase_seconds": run.clock.seconds}
  with run.clock.phase("draw photographs"):
    upscaled = _upscale_example(results, trained, run)
    test = run.photos.test
    broadcast_from_primary(lambda: report.draw_photographs(results, test, upscaled, run_dir))

  def finish() -> None:
    save(run, results, timing)
    _report(run, results, timing)

  broadcast_from_primary(finish)
  return run.clock.seconds


def start(
  experiment: str, plan: Plan, recipe: Recipe, execution: Execution, run_dir: RunFolder
) -> Run:
  """Opens a run: photographs, folder, arms. No arm is trained, though candidates may be timed.

  Arguments and errors are those of `compare`.
  """
  mesh = make_mesh(recipe.seeds, recipe.batch, execution.mesh)  # refuses before all else happens
  clock = PhaseClock()
  is_finished = broadcast_from_primary(lambda: run_dir.is_finished)
  # A finished run is only reported again, for which no convolution has to be available.
  forms = FORMS if is_finished else autotune.forms_of(recipe.convolution, recipe.precision, mesh)
  with clock.phase("load"):
    photos = recipe.load(execution)
    images = patches.make_store(photos.train, recipe.patch, recipe.task.layout)
    memory = devices.device_memory(jax.local_devices()[0])
    processes.all_gather(lambda: patches.check_memory(images, memory))
    about, changes = broadcast_from_primary(
      lambda: open_run(run_dir, experiment, recipe, {"pixels": photos.fingerprint()})
    )
    for change in changes:
      log(f"WARNING: since this run was begun, {change}; its bits may differ")
    processes.all_gather(lambda: await_config(run_dir))
    store = upload(images)
  with clock.phase("choose by time"):
    given = recipe.given_choices()
    shape = recipe.batch, recipe.patch, recipe.seeds
    stopwatch = Stopwatch(*shape, recipe.precision, mesh, store, forms, recipe.task)
    choices = Choices(run_dir, given, stopwatch)
    if recipe.convolution == "auto":
      choices.keep_only_form()
    arms = plan(choices)
    described = broadcast_from_primary(
      lambda: {arm.name: _describe(arm, about, is_finished) for arm in arms}
    )
    log(table(tables.budget_rows(described)))
    about = broadcast_from_primary(lambda: record(run_dir, about, {"arms": described}))
  if is_finished:
    log(f"\nThis run is finished; nothing is trained again. {run_dir}")
  else:
    sets = {"train": photos.train, "validation": photos.validation, **photos.tests}
    counts = ", ".join(f"{len(photographs)} {name}" for name, photographs in sets.items())
    kind = {1: "signals", 3: "volumes"}.get(recipe.task.layout.dims, "photographs")
    log("\n".join(["", f"{counts} {kind}", *photos.notes, f"Run folder: {run_dir}\n"]))
  unsaved = Unsaved()
  with unsaved.ending():
    metrics = MetricsLog(run_dir.metrics, unsaved)
  shared = (about, arms, photos, store, metrics, unsaved, choices, clock, is_finished)
  return Run(recipe, execution, run_dir, *shared)


def _describe(arm: Arm, about: dict[str, Any], is_finished: bool) -> dict[str, Any]:
  """What config.json says of an arm.

  Raises:
    InputError: the module of a user's own network was changed since the run was begun; of a
      finished run, which is only reported again, a warning says it.
  """
  described = {"note": arm.note, "budget": budget.as_json(arm.budget)}
  if not isinstance(arm.network, OwnNetwork):
    return described
  code = arm.network.code
  before = about.get("arms", {}).get(arm.name, {})
  if before.get("code", code) == code:
    return {**described, "code": code}
  changed = f"the module of {arm.network.source} was changed since this run was begun"
  if not is_finished:
    raise InputError(
      f"{changed}; move the run's folder away to train it as it is now, or restore the module"
    )
  log(f"WARNING: {changed}; what is reported is of the network as it was")
  return dict(before)


def train_and_score(run: Run) -> tuple[dict[str, Any], dict[str, Population]]:
  """Trains and scores the arms of a run, from its latest checkpoints.

  Returns:
    the contents of results.json without a verdict, and the trained populations by arm.

  Raises:
    Interrupted, NotSavedError: as `compare`.
  """
  recipe, photos, clock, task = run.recipe, run.photos, run.clock, run.recipe.task
  trained: dict[str, Population] = {}
  with run.unsaved.ending():
    with clock.phase("search rates"):
      tuned = search_recipes(run)
      searches = {name: each.search for name, each in tuned.items()}
      chosen = {name: each.learning_rate for name, each in tuned.items()}
      rates = recipe.learning_rate
      if not tuned:
        searches, rates = search_rates(run)
        chosen = {arm: choose_rate(s, rates, task.measure) for arm, s in searches.items()}
    show_on_tensorboard(run)
    for arm in run.arms:
      preemption.raise_if_requested()
      with clock.phase(f"train {arm.name}"):
        if tuned:
          trained[arm.name] = train_with_recipes(arm, tuned[arm.name], run)
        else:
          trained[arm.name] = train_seeds(arm, chosen[arm.name], run)
      show_on_tensorboard(run)

  log("Scoring the test photographs")
  with clock.phase("evaluate"):
    margin = max(arm.network.margin for arm in run.arms)
    baseline = score_baseline(run, margin)
    further: dict[str, dict[str, Any]] = {
      name: {
        "images": [photo.name for photo in test_set],
        task.baseline: task.score_baseline(test_set),
        "arms": {},
      }
      for name, test_set in photos.further_tests.items()
    }
    arms: dict[str, Any] = {}
    for arm in run.arms:
      preemption.raise_if_requested()
      rate, search = chosen[arm.name], searches[arm.name]
      members, scores = score_arm(arm, trained[arm.name], run, rate, baseline, margin)
      arms[arm.name] = {
        **run.about["arms"][arm.name],
        "learning_rate": rate,
        "rate_at_edge": edge_of(rate, rates) if search and not tuned else None,
        "search": search,
        "members": members,
      }
      if tuned:
        arms[arm.name] |= recipe_search.about(tuned[arm.name])
        for member in members:
          member.update(recipe_search.of_member(tuned[arm.name], member["seed"]))
      for name in further:
        further[name]["arms"][arm.name] = scores[name]
  broadcast_from_primary(run.unsaved.check)
  images = {split: [photo.name for photo in getattr(photos, split)] for split in sources.SPLITS}
  results = {
    "experiment": run.about["experiment"],
    "config": to_dict(recipe),
    "images": images,
    "learning_rates": list(rates),
    CONTAINS: containing_pairs({arm.name: arm.network for arm in run.arms}),
    task.baseline: baseline,
    "arms": arms,
    "tests": list(photos.tests),
    "further_tests": further,
    "notes": photos.notes,
    "choices": run.choices.taken,
  }
  return results | recipe_search.recipes(tuned, run), trained


def save(run: Run, results: dict[str, Any], timing: dict[str, Any]) -> None:
  """Writes what a run found; its results last, since they say that it is finished."""
  preemption.raise_if_requested()
  lock.check(run.run_dir.path)
  write_json(run.run_dir.timing, timing)
  write_json(run.run_dir.results, results)
  show_on_tensorboard(run, results)


def show_on_tensorboard(run: Run, results: dict[str, Any] | None = None) -> None:
  """Writes for TensorBoard what was measured so far, with --tensorboard."""
  if run.execution.tensorboard and processes.is_primary():
    with run.unsaved.noting(EVENTS):
      tensorboard.write(run.run_dir, run.about, run.metrics.lines, results)
      run.unsaved.saved(EVENTS)  # also what failed before: all is written every time


def time_steps(trained: dict[str, Population], run: Run) -> dict[str, dict[str, float]]:
  """Measured seconds of a step, and the MACs it executes."""
  recipe = run.recipe
  how = recipe.batch, recipe.patch, recipe.task
  return {
    "step_seconds": step_seconds(trained, run.store, *how),
    "executed_macs": {
      name: float(budget.budget(population.network).executed_macs)
      for name, population in trained.items()
    },
  }


def _upscale_example(
  results: dict[str, Any], trained: dict[str, Population], run: Run
) -> dict[str, np.ndarray]:
  """The typical photograph through the main arms."""
  photo = run.photos.test[report.typical(results)]
  outputs = outputs_of(photo, tables.main_arms(results), trained, run)
  return {name: scoring.to_uint8(output[..., 0]) for name, output in outputs.items()}


def outputs_of(
  pair: Pair, names: Collection[str], trained: dict[str, Population], run: Run
) -> dict[str, np.ndarray]:
  """What the first finite seed of each of these arms writes, `(*space, maps)`, where it has one."""
  outputs = {}
  for arm in run.arms:
    if arm.name in names:
      params, mesh = eval_params(trained[arm.name].state, run.recipe.seeds)
      upscale = scoring.make_upscale(arm.network, mesh, eval_form(trained[arm.name]))
      values = values_of(pair.input, run.recipe.task.layout.dims)
      members = processes.to_host(upscale(params, values))
      finite = next((output for output in members if np.isfinite(output).all()), None)
      if finite is not None:
        outputs[arm.name] = finite
  return outputs


def _report_again(run: Run) -> None:
  """Reports a run that was finished before.

  Raises:
    InputError: its results are damaged.
  """
  run_dir = run.run_dir
  with explaining_damage(f"{run_dir.results} or {run_dir.timing.name}", "the run"):
    results, timing = read_json(run_dir.results), read_json(run_dir.timing)
    show_on_tensorboard(run, results)
    report.draw_photographs(results, run.photos.test, None, run_dir)
    _report(run, results, timing)


@contextlib.contextmanager
def explaining_damage(files: str, maker: str) -> Iterator[None]:
  """Within it what goes wrong with what `files` hold is an InputError: they are damaged.

  Without results.json, `maker` makes them again.
  """
  try:
    yield
  except (KeyError, TypeError, IndexError, AttributeError) as error:
    raise InputError(
      f"{files} is damaged or of another version of sr_jax ({type(error).__name__}); without "
      f"results.json {maker} makes both again"
    ) from error


def _report(run: Run, results: dict[str, Any], timing: dict[str, Any]) -> None:
  """Writes the report, and prints the scores and the verdict; NotSavedError if events are not."""
  report.write(run.run_dir, results, timing, run.about, run.metrics.lines)
  log("\n" + table(tables.score_rows(results)) + "\n")
  if results["further_tests"]:
    log(table(tables.rows_by_set(results)) + "\n")
  for sentence in results["verdict"]["sentences"]:
    log(sentence)
  log(times.time_sentence(timing, results["verdict"]["contrast"]))
  log(f"\nReport: {run.run_dir.report}, and report.md beside it")
  run.unsaved.check()
