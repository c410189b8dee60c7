"""Scores the members of an arm, and what no network gives in the same way."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.comparison.run import Run
from sr_jax.comparison.train import eval_form, eval_params
from sr_jax.data import patches
from sr_jax.data.patches import Crops
from sr_jax.evaluation.scoring import Scores
from sr_jax.networks.budget import Arm
from sr_jax.training.population import Population

LEARNED_MARGIN = 0.01  # dB over bicubic interpolation, which a network that has learned is above
PATCHES_PER_IMAGE = 32  # on which training PSNR is measured


def score_arm(
  arm: Arm,
  trained: Population,
  run: Run,
  learning_rate: float,
  baseline: dict[str, Any],
  margin: int,
) -> tuple[list[dict[str, Any]], dict[str, list[Scores]]]:
  """Scores every member on validation and test photographs and, of some tasks, on training patches.

  `margin` LR pixels are left out around training patches, the largest margin of the run's networks.

  Returns:
    the members, each with its status and its scores, and their scores on the test sets after the
    first, by set.
  """
  recipe, photos, task = run.recipe, run.photos, run.recipe.task
  seeds, measure = recipe.seeds, task.measure
  (params, mesh), form = eval_params(trained.state, seeds), eval_form(trained)
  further = {
    name: task.score_members(arm.network, params, test_set, mesh, form)[:seeds]
    for name, test_set in photos.further_tests.items()
  }
  test = task.score_members(arm.network, params, photos.test, mesh, form)
  validation = task.validate_members(arm.network, params, photos.validation, mesh, form)
  how = run.store, _crops(run), recipe.patch, mesh, margin, form
  training = task.score_training(arm.network, params, *how)
  members = []
  for seed in range(seeds):
    elsewhere = [value for scores in further.values() for value in scores[seed][measure]]
    fit = training[seed] if training else None
    scores = test[seed][measure], fit, [validation[seed], *elsewhere]
    members.append(
      {
        "seed": seed,
        "learning_rate": learning_rate,
        "status": status(*scores, baseline, task.baseline, measure),
        f"validation_{measure}": validation[seed],
        "test": test[seed],
        **({} if fit is None else {"training": {measure: fit}}),
      }
    )
  return members, further


def status(
  test: Sequence[float | None],
  training: Sequence[float | None] | None,
  elsewhere: Sequence[float | None],
  baseline: dict[str, Any],
  name: str = "bicubic",
  measure: str = "psnr",
) -> str:
  """The status of a member, by its score on test photographs, training patches and elsewhere.

  "diverged" where a score is not finite; "did not learn" where the training patches are fitted no
  better than by the baseline, bicubic interpolation; "below bicubic" on the test photographs, by
  the baseline's `name`, a space for each underscore; else "ok". Only what diverged cannot be
  compared: to leave out what learned badly would be to choose by outcome.
  """
  if None in (*test, *(training or ()), *elsewhere):
    return "diverged"
  if training is not None:
    fit = np.mean(np.array(training, float))
    if fit < np.mean(baseline["training"][measure]) + LEARNED_MARGIN:
      return "did not learn"
  is_below = np.mean(np.array(test, float)) < np.mean(baseline["test"][measure])
  return f"below {name.replace('_', ' ')}" if is_below else "ok"


def score_baseline(run: Run, margin: int) -> dict[str, Any]:
  """Scores what no network gives, as members are scored: of photographs bicubic interpolation."""
  recipe, photos, task = run.recipe, run.photos, run.recipe.task
  fit = task.score_training_baseline(run.store, _crops(run), recipe.patch, margin)
  return {
    "test": task.score_baseline(photos.test),
    f"validation_{task.measure}": task.validate_baseline(photos.validation),
    **({"training": {task.measure: fit}} if fit else {}),
  }


def _crops(run: Run) -> Crops:
  """The training patches that are scored."""
  recipe = run.recipe
  layout = recipe.task.layout
  return patches.fixed_crops(run.photos.train, recipe.patch, PATCHES_PER_IMAGE, layout)
