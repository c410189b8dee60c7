"""Trains and scores arms: budget, data, training, scores; of a comparison also its report."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from sr_jax.comparison import verdict
from sr_jax.comparison.arm_run import (
  Bench,
  Recipe,
  Trained,
  eval_params,
  score_arm,
  score_bicubic,
  score_further,
  search_rates,
  train_arm,
)
from sr_jax.comparison.contrasts import Comparison
from sr_jax.config import Execution, InputError, to_dict
from sr_jax.data import patches, sources
from sr_jax.data.images import Photo
from sr_jax.data.sources import Photos
from sr_jax.evaluation import scoring
from sr_jax.networks import budget
from sr_jax.networks.budget import Arm, Budget
from sr_jax.report import report, tables, tensorboard
from sr_jax.runtime import lock, preemption, processes
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import Unsaved, read_json, write_json
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder, await_config, open_run, record
from sr_jax.training.choices import Choices, Stopwatch
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.sharding import make_mesh, one_by_one
from sr_jax.training.timing import Timed, in_both_executions, step_seconds


class Outcome(NamedTuple):
  """What training and scoring the arms of a run gives.

  Attributes:
    results: for results.json, without a verdict.
    arms: what was trained.
    trained: the populations, by arm.
    bench: what the arms shared.
    seconds: wall time of each phase.
  """

  results: dict[str, Any]
  arms: Sequence[Arm]
  trained: dict[str, Trained]
  bench: Bench
  seconds: dict[str, float]


def compare(
  experiment: str,
  plan: Callable[[Choices], Sequence[Arm]],
  comparison: Comparison,
  recipe: Recipe,
  execution: Execution,
  run_dir: RunFolder,
) -> dict[str, str]:
  """Runs a comparison, from whatever is done of it to its report.

  Args:
    experiment: name of the experiment, kept in the run's folder.
    plan: gives two or more arms, when it is known what their shapes do not say: which execution of
      a network is faster here, and which widths match in time.
    comparison: which of them are compared with which.
    recipe: how they are trained and on what.
    execution: where and how.
    run_dir: the run's folder.

  Returns:
    the headline, as columns of a sweep's table.

  Raises:
    InputError: the config, the images or the folder are wrong; said before anything compiles.
    Interrupted: a signal asked to stop; the same command continues.
    NotSavedError: something could not be written; the same command continues.
  """
  done = train_and_score(experiment, plan, recipe, execution, run_dir)
  if isinstance(done, Photos):
    return processes.broadcast_from_primary(lambda: _tell_again(run_dir, done))
  results, arms, trained, bench, seconds = done
  results["verdict"] = verdict.decide(results, comparison)

  began = time.monotonic()
  timing: dict[str, Any] = {
    "device": describe_devices(),
    **_time_steps(arms, trained, bench),
    "phase_seconds": seconds,
  }
  seconds["time steps"] = time.monotonic() - began
  began = time.monotonic()
  test = bench.photos.test
  shown = tables.main_arms(results)
  upscaled = _upscale(test[report.typical(results)], arms, trained, shown, recipe.seeds)

  def finish() -> dict[str, str]:
    report.draw_photographs(results, test, upscaled, run_dir)
    seconds["draw photographs"] = time.monotonic() - began
    preemption.raise_if_requested()
    lock.check(run_dir.path)
    write_json(run_dir.timing, timing)
    write_json(run_dir.results, results)  # last: it says that the run is finished
    return _tell(run_dir)

  return processes.broadcast_from_primary(finish)


def train_and_score(
  experiment: str,
  plan: Callable[[Choices], Sequence[Arm]],
  recipe: Recipe,
  execution: Execution,
  run_dir: RunFolder,
) -> Outcome | Photos:
  """Trains and scores any number of arms, from whatever is done of it.

  Arguments and errors are those of `compare`.

  Returns:
    the outcome; the photographs alone if the run is finished, that is has its results.json.
  """
  mesh = make_mesh(recipe.seeds, recipe.batch, execution.mesh)  # refuses before all else happens
  began = time.monotonic()
  photos = sources.load(
    recipe.data, recipe.scale, recipe.patch, recipe.validation_data, recipe.test_data, execution
  )
  photos = sources.select(photos, recipe.distinct, recipe.data_fraction, recipe.validation_images)
  store = patches.make_store(photos.train, recipe.patch)
  there = patches.device_memory(jax.local_devices()[0])
  processes.all_gather(lambda: patches.check_memory(store, there))
  pixels = {"pixels": photos.fingerprint()}
  about, changes = processes.broadcast_from_primary(
    lambda: open_run(run_dir, experiment, recipe, pixels)
  )
  for change in changes:
    log(f"WARNING: since this run was begun, {change}; its bits may differ")
  processes.all_gather(lambda: await_config(run_dir))
  seconds = {"load": time.monotonic() - began}
  began = time.monotonic()
  stopwatch = Stopwatch(recipe.batch, recipe.patch, recipe.seeds, recipe.precision, mesh, store)
  given = recipe.given_choices()
  if one_by_one(mesh) and (forms := [name for name in given if "/" in name]):
    raise InputError(f"--measured={forms[0]}:{given[forms[0]]}: on CPU no form is chosen")
  choices = Choices(run_dir, given, stopwatch)
  arms, described = _settle(plan, choices, run_dir, about)
  seconds["choose by time"] = time.monotonic() - began
  if processes.broadcast_from_primary(lambda: run_dir.is_finished):
    log(f"\nThis run is finished; nothing is trained again. {run_dir}")
    return photos
  log("\n" + "\n".join([_describe_photos(photos), *photos.notes, f"Run folder: {run_dir}\n"]))
  unsaved = Unsaved()
  metrics = MetricsLog(run_dir.metrics, unsaved)
  bench = Bench(recipe, execution, run_dir, photos, store, metrics, unsaved, choices)

  trained: dict[str, Trained] = {}
  with unsaved.ending():
    began = time.monotonic()
    searches, rates = search_rates(arms, bench)
    seconds["search rates"] = time.monotonic() - began
    _show(bench)
    for arm in arms:
      preemption.raise_if_requested()
      began = time.monotonic()
      trained[arm.name] = train_arm(arm, searches[arm.name], rates, bench)
      seconds[f"train {arm.name}"] = time.monotonic() - began
      _show(bench)

  began = time.monotonic()
  log("Scoring the test photographs")
  margin = max(arm.network.margin for arm in arms)
  results: dict[str, Any] = {
    "experiment": experiment,
    "config": to_dict(recipe),
    "images": {split: [photo.name for photo in getattr(photos, split)] for split in sources.SPLITS},
    "learning_rates": list(rates),
    "bicubic": score_bicubic(bench, margin),
    "arms": {},
    "tests": list(photos.tests),
    "further_tests": {
      name: {
        "images": [photo.name for photo in some],
        "bicubic": scoring.score_bicubic(some, recipe.scale),
        "arms": {},
      }
      for name, some in photos.further_tests.items()
    },
    "notes": photos.notes,
  }
  for arm in arms:
    preemption.raise_if_requested()
    one = trained[arm.name]
    further = score_further(arm, one, bench)
    members = score_arm(arm, one, bench, results["bicubic"], margin, further)
    results["arms"][arm.name] = {**described[arm.name], **one.chosen, "members": members}
    for name, scores in further.items():
      results["further_tests"][name]["arms"][arm.name] = scores
  seconds["evaluate"] = time.monotonic() - began
  processes.broadcast_from_primary(unsaved.check)
  results["choices"] = choices.taken
  return Outcome(results, arms, trained, bench, seconds)


def _settle(
  plan: Callable[[Choices], Sequence[Arm]],
  choices: Choices,
  run_dir: RunFolder,
  about: dict[str, Any],
) -> tuple[Sequence[Arm], dict[str, Any]]:
  """The arms of a run, and what its config.json now says of them."""
  arms = plan(choices)
  budgets = budget.check_budgets(arms)
  log(table(budget.rows(arms, budgets)))
  described = _describe(arms, budgets)
  processes.broadcast_from_primary(lambda: record(run_dir, about, {"arms": described}))
  return arms, described


def _show(bench: Bench) -> None:
  """Shows TensorBoard what was trained so far, if that is asked for."""
  if bench.execution.tensorboard and processes.is_primary():
    with bench.unsaved.noting("events for TensorBoard"):
      tensorboard.write(bench.run_dir)


def _time_steps(
  arms: Sequence[Arm], trained: dict[str, Trained], bench: Bench
) -> dict[str, dict[str, float]]:
  """Measured time of a step, and the MACs it executes, HR networks in both executions."""
  timed = in_both_executions(
    {
      name: Timed(arm.network, one.state, one.members, one.mesh, one.computation)
      for (name, one), arm in zip(trained.items(), arms, strict=True)
    }
  )
  recipe = bench.recipe
  return {
    "step_seconds": step_seconds(timed, bench.store, recipe.batch, recipe.patch),
    "executed_macs": {
      name: float(budget.budget(one.network).executed_macs) for name, one in timed.items()
    },
  }


def _describe(arms: Sequence[Arm], budgets: dict[str, Budget]) -> dict[str, Any]:
  return {arm.name: {"note": arm.note, "budget": budget.as_json(budgets[arm.name])} for arm in arms}


def _describe_photos(photos: Photos) -> str:
  sets = {"train": photos.train, "validation": photos.validation, **photos.tests}
  return ", ".join(f"{len(some)} {name}" for name, some in sets.items()) + " photographs"


def _upscale(
  photo: Photo, arms: Sequence[Arm], trained: dict[str, Trained], shown: Sequence[str], seeds: int
) -> dict[str, np.ndarray]:
  """A photograph through the first finite seed of each arm shown that has one."""
  pictures = {}
  for arm in arms:
    if arm.name in shown:
      params, mesh = eval_params(trained[arm.name].state, seeds)
      members = processes.to_host(scoring.make_upscale(arm.network, mesh)(params, photo.lr))
      finite = next((sr for sr in members if np.isfinite(sr).all()), None)
      if finite is not None:
        pictures[arm.name] = scoring.to_uint8(finite)
  return pictures


def _tell_again(run_dir: RunFolder, photos: Photos) -> dict[str, str]:
  """What is told of a run that had been finished.

  Raises:
    InputError: its results are damaged.
  """
  try:
    report.draw_photographs(read_json(run_dir.results), photos.test, None, run_dir)
    return _tell(run_dir)
  except (KeyError, TypeError, IndexError, AttributeError) as error:
    raise InputError(
      f"{run_dir.results} or timing.json is damaged or of another version of sr_jax "
      f"({type(error).__name__}); without results.json the run makes both again"
    ) from error


def _tell(run_dir: RunFolder) -> dict[str, str]:
  """Writes the report, prints the scores and the verdict, and returns the headline."""
  results, timing = read_json(run_dir.results), read_json(run_dir.timing)
  report.write(run_dir)
  log()
  log(table(tables.score_rows(results)))
  log()
  if results["further_tests"]:
    log(table(tables.rows_by_set(results)) + "\n")
  spoken = verdict.time_sentence(timing, results["verdict"]["contrast"])
  for sentence in [*results["verdict"]["sentences"], spoken]:
    log(sentence)
  log(f"\nReport: {run_dir.report}, and report.md beside it")
  return verdict.headline(results)
