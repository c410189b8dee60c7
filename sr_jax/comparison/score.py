"""Scores the members of an arm, and bicubic interpolation in the same way."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.comparison.run import Run
from sr_jax.comparison.train import eval_form, eval_params
from sr_jax.data import patches
from sr_jax.evaluation import scoring
from sr_jax.networks.budget import Arm
from sr_jax.training.population import Population
from sr_jax.training.sharding import local_view, on_mesh

LEARNED_MARGIN = 0.01  # dB over bicubic interpolation, which a network that has learned is above
PATCHES_PER_IMAGE = 32  # on which training PSNR is measured


def score_arm(
  arm: Arm,
  trained: Population,
  run: Run,
  learning_rate: float,
  bicubic: dict[str, Any],
  margin: int,
) -> tuple[list[dict[str, Any]], dict[str, list[scoring.Scores]]]:
  """Scores every member on validation and test photographs and on training patches.

  `margin` LR pixels are left out around training patches, the largest margin of the run's networks.

  Returns:
    the members, each with its status and its scores, and their scores on the test sets after the
    first, by set.
  """
  recipe, photos = run.recipe, run.photos
  network, seeds = arm.network, recipe.seeds
  (params, mesh), form = eval_params(trained.state, seeds), eval_form(trained)
  further = {
    name: scoring.score(network, params, test_set, mesh, form)[:seeds]
    for name, test_set in photos.further_tests.items()
  }
  crops = patches.fixed_crops(photos.train, recipe.patch, PATCHES_PER_IMAGE)
  test = scoring.score(network, params, photos.test, mesh, form)
  validation = scoring.pooled_psnr(network, params, photos.validation, mesh, form)
  store = on_mesh(mesh, run.store)
  training = scoring.training_psnr(network, params, store, crops, recipe.patch, mesh, margin, form)
  members = []
  for seed in range(seeds):
    elsewhere = [psnr for scores in further.values() for psnr in scores[seed]["psnr"]]
    psnr = test[seed]["psnr"], training[seed], [validation[seed], *elsewhere]
    members.append(
      {
        "seed": seed,
        "learning_rate": learning_rate,
        "status": status(*psnr, bicubic),
        "validation_psnr": validation[seed],
        "test": test[seed],
        "training": {"psnr": training[seed]},
      }
    )
  return members, further


def status(
  test: Sequence[float | None],
  training: Sequence[float | None],
  elsewhere: Sequence[float | None],
  bicubic: dict[str, Any],
) -> str:
  """The status of a member, by its PSNR on test photographs, training patches and elsewhere.

  "diverged" where a score is not finite; "did not learn" where the training patches are fitted no
  better than by bicubic interpolation; "below bicubic" on the test photographs; else "ok". Only
  what diverged cannot be compared: to leave out what learned badly would be to choose by outcome.
  """
  if None in (*test, *training, *elsewhere):
    return "diverged"
  if np.mean(np.array(training, float)) < np.mean(bicubic["training"]["psnr"]) + LEARNED_MARGIN:
    return "did not learn"
  is_below = np.mean(np.array(test, float)) < np.mean(bicubic["test"]["psnr"])
  return "below bicubic" if is_below else "ok"


def score_bicubic(run: Run, margin: int) -> dict[str, Any]:
  """Scores bicubic interpolation as members are scored."""
  recipe, photos = run.recipe, run.photos
  crops = patches.fixed_crops(photos.train, recipe.patch, PATCHES_PER_IMAGE)
  fit = scoring.training_psnr_of_bicubic(
    local_view(run.store), crops, recipe.patch, recipe.scale, margin
  )
  return {
    "test": scoring.score_bicubic(photos.test, recipe.scale),
    "validation_psnr": scoring.pooled_psnr_of_bicubic(photos.validation, recipe.scale),
    "training": {"psnr": fit},
  }
