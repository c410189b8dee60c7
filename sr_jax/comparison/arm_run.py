"""What a comparison does with one arm: choose its rate, train every seed, score."""

import dataclasses
import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from sr_jax.config import Execution, InputError, check, setting, to_dict
from sr_jax.data import patches
from sr_jax.data.patches import Store
from sr_jax.data.sources import Photos
from sr_jax.evaluation import scoring
from sr_jax.networks import Network, describe
from sr_jax.networks.budget import Arm
from sr_jax.operators.conv import PRECISIONS, Computation
from sr_jax.runtime import processes
from sr_jax.runtime.console import log
from sr_jax.runtime.files import Unsaved
from sr_jax.runtime.provenance import provenance
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import autotune, population
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.choices import MEASURE, Choices, fastest, parse
from sr_jax.training.loop import Saver, Training, train
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Members, State
from sr_jax.training.sharding import make_mesh, members_of, one_by_one, replicate, shard_members

DEAD = 0.01  # dB over bicubic interpolation, which a network that has learned is above
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
  distinct: bool = setting(False, "train on one of each photograph that --data holds twice")
  data_fraction: float = setting(1.0, "of the training photographs to use, by their names", above=0)
  validation_images: int = setting(
    0, "validation photographs to use at most, by their names; 0: all", at_least=0
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
  extend_grid: bool = setting(
    False, "while an arm's best rate is the lowest or highest, try one more, at most two, on all"
  )
  precision: str = setting(
    "float32", "of products in training; scores are always float32", choices=PRECISIONS
  )
  measured: tuple[str, ...] = setting(
    (MEASURE,),
    "what is chosen by measuring time; auto: it is measured; or as it was, to make a run's bits "
    "again: hr:lr_space,lr_timed:36",
  )

  def __post_init__(self) -> None:
    """Checks every field; the order of the rates means nothing, and names no other run."""
    check(self)
    if self.data_fraction > 1:
      raise InputError(f"--data_fraction={self.data_fraction:g} must be at most 1")
    if self.extend_grid and len(self.learning_rate) < 2:
      raise InputError("--extend_grid needs at least two rates in --learning_rate to go on from")
    object.__setattr__(self, "learning_rate", tuple(sorted(self.learning_rate)))
    self.given_choices()

  def arm_names(self) -> tuple[str, ...]:
    """The networks of a run, as far as its config names them."""
    return ()

  def choices(self) -> dict[str, tuple[str, ...]]:
    """What is chosen by measuring, by name: on accelerators the form of each population."""
    sizes = dict.fromkeys(
      (self.seeds, self.search_seeds * len(self.learning_rate), self.search_seeds)
    )
    return {f"{arm}/{size}": autotune.BATCHED_FORMS for arm in self.arm_names() for size in sizes}

  def given_choices(self) -> dict[str, str]:
    """The choices that `measured` gives.

    Raises:
      InputError: one of them is not understood, or not made in this run.
    """
    return parse(self.measured, self.choices())


@dataclasses.dataclass(frozen=True)
class Bench:
  """What all arms of a run share: recipe, images, the run's folder, what is not in it, choices."""

  recipe: Recipe
  execution: Execution
  run_dir: RunFolder
  photos: Photos
  store: Store
  metrics: MetricsLog
  unsaved: Unsaved
  choices: Choices


@dataclasses.dataclass(frozen=True)
class Trained:
  """An arm's final population.

  Attributes:
    state: one member a seed, and those that the mesh added.
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


Search = list[dict[str, Any]]  # of every seed x rate: seed, learning_rate, validation_psnr
MOST_ADDED = 2  # rates, to the grid


def search_rates(arms: Sequence[Arm], bench: Bench) -> tuple[dict[str, Search], tuple[float, ...]]:
  """Trains every arm briefly at every rate, and scores it on validation photographs.

  With `extend_grid`, one rate is added to the grid of all arms, next to the end at which most of
  the arms that want to go on are, until none is or `MOST_ADDED` rates were.

  Returns:
    the searches by arm, empty where there is one rate only, and the grid.
  """
  recipe = bench.recipe
  rates = recipe.learning_rate
  if len(rates) == 1:
    return {arm.name: [] for arm in arms}, rates
  searches = {arm.name: _search(arm, "search", rates, bench) for arm in arms}
  for added in range(1, MOST_ADDED + 1 if recipe.extend_grid else 1):
    edges = [edge_of(choose_rate(search, rates), rates) for search in searches.values()]
    if not any(edges):
      break
    if edges.count("lowest") > edges.count("highest"):
      rate = rates[0] ** 2 / rates[1]
    else:
      rate = rates[-1] ** 2 / rates[-2]
    rate = float(f"{rate:.3g}")
    log(f"A best rate is at the edge of the grid: {rate:g} is added to it for every arm")
    rates = tuple(sorted((*rates, rate)))
    for arm in arms:
      searches[arm.name] += _search(arm, f"search_{added}", [rate], bench)
  return searches, rates


def edge_of(rate: float, rates: Sequence[float]) -> str | None:
  """At which end of the grid a rate is, "lowest" or "highest"; None inside."""
  return {rates[0]: "lowest", rates[-1]: "highest"}.get(rate)


def _search(arm: Arm, stage: str, rates: Sequence[float], bench: Bench) -> Search:
  seeds = range(bench.recipe.search_seeds)
  who = population.make_members(seeds, rates)
  state, *_ = _train_population(arm, stage, bench.recipe.search_steps, who, bench)
  runs = [(seed, rate) for seed in seeds for rate in rates]
  return [
    {"seed": seed, "learning_rate": rate, "validation_psnr": psnr}
    for (seed, rate), psnr in zip(runs, _validate(arm, state, len(runs), bench), strict=True)
  ]


def train_arm(arm: Arm, search: Search, rates: Sequence[float], bench: Bench) -> Trained:
  """Trains every seed at the rate that was best in the search."""
  best = choose_rate(search, rates)
  who = population.make_members(range(bench.recipe.seeds), [best])
  final = _train_population(arm, "final", bench.recipe.steps, who, bench)
  chosen = {
    "learning_rate": best,
    "rate_at_edge": edge_of(best, rates) if search else None,
    "search": search,
  }
  return Trained(*final, chosen)


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
  population_size = len(who.seed)
  mesh = make_mesh(population_size, recipe.batch, bench.execution.mesh)
  members = shard_members(mesh, who)
  count = VALIDATIONS if stage == "final" else 0
  training = Training(
    arm.name,
    stage,
    population_size,
    steps,
    frozenset(steps * i // count for i in range(1, count + 1)),
  )
  state = population.initialise(arm.network, arm.name, members, mesh)
  store = replicate(mesh, bench.store)
  shape = arm.network, recipe.batch, recipe.patch
  computation = _computation(arm.name, shape, state, members, store, mesh, bench)
  processes.broadcast_from_primary(lambda: _check_there(bench.run_dir))
  folder = bench.run_dir.checkpoints(arm.name, stage)
  checkpoints = Checkpoints(folder, population_size)
  about = {"arm": arm.name, "stage": stage, "steps": steps, "network": describe(arm.network)}
  about |= {"config": to_dict(recipe), "provenance": provenance()}
  traced = bench.execution.profile and count and processes.is_primary()
  every, what = bench.execution.checkpoint_every_seconds, f"{arm.name} {stage}"
  try:
    state = train(
      training,
      population.make_train_steps(*shape, mesh, computation),
      state,
      members,
      store,
      lambda state: _validate(arm, state, population_size, bench),
      Saver(checkpoints, about, every, bench.unsaved, what),
      bench.metrics,
      bench.execution.on_corrupt,
      bench.run_dir.trace(arm.name) if traced else None,
    )
  except processes.USER_ERRORS:
    raise
  except Exception as error:
    processes.abort(error)  # rather than wait for the others, to close the checkpoints with them
    raise
  finally:
    checkpoints.close()
  return state, members, mesh, computation


def _computation(
  arm: str,
  shape: tuple[Network, int, int],
  state: State,
  members: Members,
  store: Store,
  mesh: Mesh,
  bench: Bench,
) -> Computation:
  """How a population's convolutions are computed: measured where there is something to choose."""
  precision = bench.recipe.precision
  if one_by_one(mesh):
    return Computation("canonical", precision)
  form = bench.choices.choose(
    f"{arm}/{len(members.seed)}",
    lambda: autotune.form_seconds(precision, *shape, state, members, store, mesh),
    fastest,
  )
  return Computation(form, precision)


def _check_there(run_dir: RunFolder) -> None:
  """Refuses to make the folder of a run again that was there."""
  if not run_dir.path.is_dir():
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(run_dir))


def _validate(arm: Arm, state: State, count: int, bench: Bench) -> list[float | None]:
  params, mesh = eval_params(state, count)
  return scoring.pooled_psnr(arm.network, params, bench.photos.validation, mesh)[:count]


def eval_params(state: State, count: int) -> tuple[Any, Mesh]:
  """Parameters of `count` members on a mesh for whole images, shared by members, not by patches."""
  mesh = make_mesh(count, batch=1)
  return shard_members(mesh, members_of(processes.to_host(state.params), count)), mesh


def score_arm(
  arm: Arm,
  trained: Trained,
  bench: Bench,
  bicubic: dict[str, Any],
  margin: int,
  further: Mapping[str, list[scoring.Scores]],
) -> list[dict[str, Any]]:
  """Every member's status, and its scores on validation, test and training images.

  Args:
    arm: whose members they are.
    trained: the members.
    bench: what the arms share.
    bicubic: from `score_bicubic`, with the same margin.
    margin: LR pixels left out around training patches, the largest of the run's networks.
    further: from `score_further`.
  """
  recipe, photos = bench.recipe, bench.photos
  params, mesh = eval_params(trained.state, recipe.seeds)
  crops = patches.fixed_crops(photos.train, recipe.patch, PATCHES_PER_IMAGE)
  test = scoring.score(arm.network, params, photos.test, mesh)
  validation = scoring.pooled_psnr(arm.network, params, photos.validation, mesh)
  training = scoring.fit(
    arm.network, params, replicate(mesh, bench.store), crops, recipe.patch, mesh, margin
  )
  return [
    {
      "seed": seed,
      "learning_rate": trained.chosen["learning_rate"],
      "status": _status(
        test[seed]["psnr"],
        training[seed],
        [validation[seed], *(psnr for scores in further.values() for psnr in scores[seed]["psnr"])],
        bicubic,
      ),
      "validation_psnr": validation[seed],
      "test": test[seed],
      "training": {"psnr": training[seed]},
    }
    for seed in range(recipe.seeds)
  ]


def score_further(arm: Arm, trained: Trained, bench: Bench) -> dict[str, list[scoring.Scores]]:
  """Every member's scores on the test sets after the first, by set."""
  seeds = bench.recipe.seeds
  params, mesh = eval_params(trained.state, seeds)
  return {
    name: scoring.score(arm.network, params, photos, mesh)[:seeds]
    for name, photos in bench.photos.further_tests.items()
  }


def _status(test: Sequence, training: Sequence, others: Sequence, bicubic: dict[str, Any]) -> str:
  """What became of a member, by its PSNR on test photographs, training patches and elsewhere.

  "diverged" where a score is not finite; "did not learn" where the training patches are fitted no
  better than by bicubic interpolation; "below bicubic" on the test photographs; else "ok". Only
  what diverged cannot be compared: to leave out what learned badly would be to choose by outcome.
  """
  if None in (*test, *training, *others):
    return "diverged"
  if np.mean(training) < np.mean(bicubic["training"]["psnr"]) + DEAD:
    return "did not learn"
  return "below bicubic" if np.mean(test) < np.mean(bicubic["test"]["psnr"]) else "ok"


def score_bicubic(bench: Bench, margin: int) -> dict[str, Any]:
  """What bicubic interpolation reaches, measured as the members are."""
  recipe, photos = bench.recipe, bench.photos
  crops = patches.fixed_crops(photos.train, recipe.patch, PATCHES_PER_IMAGE)
  return {
    "test": scoring.score_bicubic(photos.test, recipe.scale),
    "validation_psnr": scoring.pooled_psnr_of_bicubic(photos.validation, recipe.scale),
    "training": {
      "psnr": scoring.fit_bicubic(bench.store, crops, recipe.patch, recipe.scale, margin)
    },
  }
