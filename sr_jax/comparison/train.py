"""Trains one population of an arm, from its latest checkpoint if there is one."""

import errno
import os
from typing import Any

import numpy as np
from jax.sharding import Mesh

from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.run import Run
from sr_jax.comparison.tuning import members_at
from sr_jax.config import to_dict
from sr_jax.data import patches
from sr_jax.data.patches import Store
from sr_jax.networks import describe
from sr_jax.networks.budget import Arm
from sr_jax.operators.conv import DEFAULT, Computation
from sr_jax.runtime import processes
from sr_jax.runtime.provenance import provenance
from sr_jax.training import autotune, lbfgs, population
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.choices import fastest
from sr_jax.training.lbfgs import Patches
from sr_jax.training.loop import train
from sr_jax.training.losses import Training
from sr_jax.training.population import AnyMembers, Population, State
from sr_jax.training.restore import FINAL
from sr_jax.training.saver import Saver
from sr_jax.training.sharding import (
  local_view,
  make_mesh,
  on_mesh,
  shard_members,
  upload,
  without_padding,
)

LBFGS = "lbfgs"  # the stage of a training on fixed patches
LBFGS_VALIDATIONS = 10


def train_seeds(arm: Arm, learning_rate: float, run: Run) -> Population:
  """Trains every seed of an arm to the end of the schedule."""
  members = members_at(run.recipe, range(run.recipe.seeds), [learning_rate] * run.recipe.seeds)
  return train_population(arm, FINAL, run.recipe.steps, members, run)


def train_population(
  arm: Arm,
  stage: str,
  steps: int,
  members: AnyMembers,
  run: Run,
  side: int | None = None,
  params: Any = None,
  fixed: Patches | None = None,
) -> Population:
  """Trains members (NumPy arrays) of an arm, from their latest checkpoint if there is one.

  The stage begins with "final", or is one before or beside it; `steps` is the length of the
  schedule. With the `side` of a patch in LR pixels, training patches are as large as that, and a
  batch has about as many pixels as those of the recipe. Members start from `params`, if they are
  given. On `fixed` patches, uploaded, they are trained by L-BFGS, from parameters that are given,
  in as many iterations.
  """
  recipe, count, task = run.recipe, len(members.seed), run.recipe.task
  patch, batch = side or recipe.patch, batch_of(recipe, side or recipe.patch)
  mesh = make_mesh(count, batch, run.execution.mesh)
  members = shard_members(mesh, members)
  if params is None:
    state = population.initialise(arm.network, arm.name, members, mesh)
  elif fixed is None:
    state = population.start_from(arm.network, params, mesh)
  else:
    state = lbfgs.start_from(params, mesh)
  fresh = Population(arm.network, state, members, mesh, Computation(precision=recipe.precision))
  population_name = f"{arm.name}/p{side}" if side else f"{arm.name}/{count}"
  computation = _computation(population_name, fresh, batch, patch, run)
  validations = recipe.validations if stage.startswith(FINAL) else 0
  validations = LBFGS_VALIDATIONS if stage == LBFGS else validations
  validate_at = frozenset(steps * i // validations for i in range(1, validations + 1))
  processes.broadcast_from_primary(lambda: _check_still_there(run))
  checkpoints = Checkpoints(run.run_dir.checkpoints(arm.name, stage), count)
  about = checkpoint_metadata(arm, stage, steps, run)
  every = run.execution.checkpoint_every_seconds
  if fixed is None:
    train_steps = population.make_train_steps(arm.network, batch, patch, mesh, computation, task)
  else:
    train_steps = lbfgs.make_train_steps(arm.network, mesh, computation, task)
  is_traced = run.execution.profile and stage == FINAL and processes.is_primary()
  try:
    state = train(
      Training(arm.name, stage, count, steps, validate_at, task.measure, task.trains_on_psnr),
      train_steps,
      fresh,
      on_mesh(mesh, _store_of(run, side) if fixed is None else fixed),
      lambda state: validate(fresh._replace(state=state, computation=computation), count, run),
      Saver(checkpoints, about, every, run.unsaved, f"{arm.name} {stage}"),
      run.metrics,
      run.execution.on_corrupt,
      run.run_dir.trace(arm.name) if is_traced else None,
    )
  except Exception as error:
    if not processes.is_for_user(error):
      processes.abort(error)  # rather than wait for the others, to close the checkpoints with them
    raise
  finally:
    checkpoints.close()
  return fresh._replace(state=state, computation=computation)


def batch_of(recipe: Recipe, side: int) -> int:
  """Patches of this side in a batch of about as many pixels as those of a recipe have."""
  return max(1, round(recipe.batch * (recipe.patch / side) ** recipe.task.layout.dims))


def checkpoint_metadata(arm: Arm, stage: str, steps: int, run: Run) -> dict[str, Any]:
  """What is saved with the checkpoints of a training."""
  return {
    "arm": arm.name,
    "stage": stage,
    "steps": steps,
    "network": describe(arm.network),
    "config": to_dict(run.recipe),
    "provenance": provenance(),
  }


def _store_of(run: Run, side: int | None) -> Store:
  """The training images of a run, of which patches of this side are drawn."""
  if side is None:
    return run.store
  positions = patches.positions_of(np.asarray(local_view(run.store.shape)), side)
  return Store(*run.store[:-2], *upload(positions))


def _computation(name: str, fresh: Population, batch: int, patch: int, run: Run) -> Computation:
  """How a population's convolutions are computed: measured where there is a choice."""
  forms = run.choices.forms
  how = batch, patch, forms, run.recipe.task
  form = forms[0]
  if len(forms) > 1:
    form = run.choices.choose(
      name, lambda: autotune.form_seconds({name: fresh}, *how)[name], fastest
    )
  return fresh.computation._replace(form=form)


def _check_still_there(run: Run) -> None:
  """Refuses to make the folder of a run again that was moved away."""
  if not run.run_dir.path.is_dir():
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(run.run_dir))


def validate(trained: Population, count: int, run: Run) -> list[float | None]:
  """The score of every member on validation photographs, by which rates are chosen."""
  params, mesh = eval_params(trained.state, count)
  photos, form = run.photos.validation, eval_form(trained)
  task = run.recipe.task
  return task.validate_members(trained.network, params, photos, mesh, form)[:count]


def eval_form(trained: Population) -> str:
  """The form of convolution that scores a population: not those of batched patches."""
  form = trained.computation.form
  return form if form in autotune.CPU_FORMS.values() else DEFAULT.form


def eval_params(state: State, count: int) -> tuple[Any, Mesh]:
  """Parameters of `count` members, and their mesh, on which members alone share the devices."""
  mesh = make_mesh(count, batch=1)
  params = processes.to_host(state.params) if processes.is_multiprocess() else state.params
  return shard_members(mesh, without_padding(params, count)), mesh
