"""What a comparison does with one arm: choose its rate, train every seed, score."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sr_jax.budget import Arm
from sr_jax.config import Execution, check, setting, to_dict
from sr_jax.data import patches
from sr_jax.data.patches import Store
from sr_jax.data.sources import Photos
from sr_jax.evaluation import scoring
from sr_jax.operators.conv import PRECISIONS, Computation
from sr_jax.training import autotune, population
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.loop import Training, train
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Members, State
from sr_jax.training.sharding import make_mesh, replicate, shard_members

PATCHES_PER_IMAGE = 32  # on which training PSNR is measured
VALIDATIONS = 5  # over the final training, for the learning curve


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How the arms of a comparison are trained, and on what: the same for every arm."""

  scale: int = setting(2, "upscaling factor r", choices=(2, 3, 4))
  data: str = setting("sample_photos", "photographs: sample_photos, folder:PATH or tfds:NAME")
  validation_data: str = setting(
    "held_out", "held_out (of --data, a tenth if it is undivided), or others to choose rates by"
  )
  test_data: tuple[str, ...] = setting(
    ("held_out",), "held_out likewise, or sets, as Set5,Set14 (each tfds:NAME); the first decides"
  )
  patch: int = setting(17, "side of a training patch in LR pixels", at_least=4)
  batch: int = setting(16, "patches in a batch", at_least=1)
  steps: int = setting(1500, "training steps of every member", at_least=1)
  seeds: int = setting(3, "how many seeds, paired over the arms", at_least=1)
  learning_rate: tuple[float, ...] = setting(
    (1e-3, 4e-3, 1.6e-2), "peak rates to choose from, on validation photographs", above=0
  )
  search_steps: int = setting(600, "steps of each run in the search for a rate", at_least=1)
  search_seeds: int = setting(1, "seeds in the search for a rate", at_least=1)
  precision: str = setting(
    "float32", "of products in training; scores are always float32", choices=PRECISIONS
  )

  def __post_init__(self) -> None:
    """Checks every field; the order of the rates means nothing, and names no other run."""
    check(self)
    object.__setattr__(self, "learning_rate", tuple(sorted(self.learning_rate)))


@dataclasses.dataclass(frozen=True)
class Bench:
  """What all arms of a run share: the recipe, the images, and the run's folder."""

  recipe: Recipe
  execution: Execution
  run_dir: Path
  photos: Photos
  store: Store
  metrics: MetricsLog


@dataclasses.dataclass(frozen=True)
class Trained:
  """An arm's final population.

  Attributes:
    state: one member a seed.
    members: who they are.
    mesh: where they are.
    computation: how their convolutions were computed.
    chosen: the learning rate, and how it was chosen, for results.json.
  """

  state: State
  members: Members
  mesh: Mesh
  computation: Computation
  chosen: dict[str, Any]


def train_arm(arm: Arm, bench: Bench) -> Trained:
  """Chooses a learning rate on the validation photographs, then trains every seed at it."""
  recipe = bench.recipe
  rates = recipe.learning_rate
  search: list[dict[str, Any]] = []
  if len(rates) > 1:
    who = population.make_members(range(recipe.search_seeds), rates)
    found = _train_population(arm, "search", recipe.search_steps, who, bench)
    scores = _validate(arm, found[0], bench)
    runs = [(seed, rate) for seed in range(recipe.search_seeds) for rate in rates]
    search = [
      {"seed": seed, "learning_rate": rate, "validation_psnr": psnr}
      for (seed, rate), psnr in zip(runs, scores, strict=True)
    ]
  best = choose_rate(search, rates)
  edge = {rates[0]: "lowest", rates[-1]: "highest"}.get(best) if search else None
  who = population.make_members(range(recipe.seeds), [best])
  state, members, mesh, computation = _train_population(arm, "final", recipe.steps, who, bench)
  chosen = {"learning_rate": best, "rate_at_edge": edge, "search": search}
  return Trained(state, members, mesh, computation, chosen)


def choose_rate(search: Sequence[dict[str, Any]], rates: Sequence[float]) -> float:
  """The rate with the best mean validation PSNR over seeds; a diverged seed ranks its rate last."""

  def mean(rate: float) -> float:
    found = [one["validation_psnr"] for one in search if one["learning_rate"] == rate]
    return float(np.mean([-np.inf if psnr is None else psnr for psnr in found]))

  return max(rates, key=mean) if search else rates[0]


def _train_population(
  arm: Arm, stage: str, steps: int, who: Members, bench: Bench
) -> tuple[State, Members, Mesh, Computation]:
  """Trains one population, from its latest checkpoint if there is one."""
  recipe = bench.recipe
  mesh = make_mesh(len(who.seed), recipe.batch)
  members = shard_members(mesh, who)
  count = VALIDATIONS if stage == "final" else 0
  training = Training(
    arm.name, stage, steps, frozenset(steps * i // count for i in range(1, count + 1))
  )
  state = population.initialise(arm.network, arm.name, members, mesh)
  store = replicate(mesh, bench.store)
  shape = arm.network, recipe.batch, recipe.patch
  computation = autotune.choose(
    bench.run_dir, arm.name, recipe.precision, *shape, state, members, store, mesh
  )
  checkpoints = Checkpoints(bench.run_dir / "checkpoints" / arm.name / stage)
  try:
    state = train(
      training,
      population.make_train_steps(*shape, mesh, computation),
      state,
      members,
      store,
      lambda state: _validate(arm, state, bench),
      checkpoints,
      bench.metrics,
      {"arm": arm.name, "stage": stage, "steps": steps, "config": to_dict(recipe)},
      bench.execution.checkpoint_every_seconds,
      bench.run_dir / "profile" / arm.name if bench.execution.profile and count else None,
    )
  finally:
    checkpoints.close()
  return state, members, mesh, computation


def _validate(arm: Arm, state: State, bench: Bench) -> list[float | None]:
  params, mesh = to_score(state)
  return scoring.pooled_psnr(arm.network, params, bench.photos.validation, mesh)


def to_score(state: State) -> tuple[Any, Mesh]:
  """Parameters on a mesh for whole images, whose devices share members, not patches."""
  members = len(jax.tree.leaves(state.params)[0])
  mesh = make_mesh(members, batch=1)
  return shard_members(mesh, state.params), mesh


def score_arm(
  arm: Arm, trained: Trained, bench: Bench, bicubic: dict[str, Any]
) -> list[dict[str, Any]]:
  """Every member's status, and its scores on validation, test and training images."""
  recipe, photos = bench.recipe, bench.photos
  params, mesh = to_score(trained.state)
  crops = patches.fixed_crops(photos.train, recipe.patch, PATCHES_PER_IMAGE)
  test = scoring.score(arm.network, params, photos.test, mesh)
  validation = scoring.pooled_psnr(arm.network, params, photos.validation, mesh)
  training = scoring.fit(
    arm.network, params, replicate(mesh, bench.store), crops, recipe.patch, mesh
  )
  return [
    {
      "seed": seed,
      "learning_rate": trained.chosen["learning_rate"],
      "status": _status(test[seed]["psnr"], training[seed], bicubic),
      "validation_psnr": validation[seed],
      "test": test[seed],
      "training": {"psnr": training[seed]},
    }
    for seed in range(recipe.seeds)
  ]


def score_further(arm: Arm, trained: Trained, bench: Bench) -> dict[str, list[scoring.Scores]]:
  """Every member's scores on the test sets after the first, by set."""
  params, mesh = to_score(trained.state)
  return {
    name: scoring.score(arm.network, params, photos, mesh)
    for name, photos in bench.photos.further_tests.items()
  }


def _status(test: Sequence, training: Sequence, bicubic: dict[str, Any]) -> str:
  """What became of a member, by its PSNR on test photographs and on training patches.

  "diverged" where a score is not finite or the training patches are fitted 3 dB worse than by
  bicubic; "below bicubic" on the test photographs; else "ok".
  """
  if None in (*test, *training):
    return "diverged"
  if np.mean(training) < np.mean(bicubic["training"]["psnr"]) - 3:
    return "diverged"
  return "below bicubic" if np.mean(test) < np.mean(bicubic["test"]["psnr"]) else "ok"


def score_bicubic(bench: Bench) -> dict[str, Any]:
  """What bicubic interpolation reaches, measured as the members are."""
  recipe, photos = bench.recipe, bench.photos
  crops = patches.fixed_crops(photos.train, recipe.patch, PATCHES_PER_IMAGE)
  return {
    "test": scoring.score_bicubic(photos.test, recipe.scale),
    "training": {"psnr": scoring.fit_bicubic(bench.store, crops, recipe.patch, recipe.scale)},
  }
