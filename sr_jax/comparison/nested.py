"""Trains networks with and without their ties, both from the very same function, and scores them.

Tied, a network is a strict subset of what it is untied: what the untied one fits better, it owes to
its free weights, since both start from the same parameters and see the same patches.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.run import Run
from sr_jax.comparison.score import score_arm, score_baseline
from sr_jax.comparison.search import choose_rate
from sr_jax.comparison.train import LBFGS, eval_form, eval_params, train_population, validate
from sr_jax.config import InputError, setting, to_dict
from sr_jax.data import sources
from sr_jax.evaluation.metrics import to_db
from sr_jax.networks import Network
from sr_jax.networks.budget import Arm
from sr_jax.networks.pair import lift_network, untie_network
from sr_jax.operators.conv import Computation
from sr_jax.runtime import preemption, processes
from sr_jax.training import lbfgs, population
from sr_jax.training.lbfgs import Patches
from sr_jax.training.population import Population
from sr_jax.training.restore import FINAL
from sr_jax.training.sharding import local_view, upload, without_padding

Results = dict[str, Any]

TIED = "tied"  # the stage of the training that both networks of a pair start from
UNREAD = ("search_steps", "search_seeds", "extend_grid")  # fields of other recipes


@dataclasses.dataclass(frozen=True)
class Pair:
  """A network and what it is without its ties, by the names of their arms."""

  tied: str
  untied: str
  free: Callable[[Network, Any], tuple[Network, Any]]  # the untied network with its parameters
  question: str  # that their difference answers


PAIRS = (
  Pair("hr_learned", "hr_untied", untie_network, "kernels for each phase, at the same MACs"),
  Pair("lr_tied", "lr", lift_network, "kernels for each phase, of LR's windows"),
  Pair(
    "hr", "hr_lifted", lift_network, "the note's HR network, lifted into LR space, at more MACs"
  ),
)


@dataclasses.dataclass(frozen=True)
class NestedRecipe(Recipe):
  """How networks are trained tied, and then on, with and without their ties."""

  steps: int = setting(400, "training steps before, and after untying", at_least=1)
  seeds: int = setting(2, "how many starts, shared by the networks of a pair", at_least=2)
  learning_rate: tuple[float, ...] = setting(
    (2e-3, 4e-3), "peak rates after untying, chosen from on validation photographs", above=0
  )
  tied_learning_rate: float = setting(4e-3, "peak rate of tied networks from scratch", above=0)
  lbfgs_seeds: int = setting(2, "of the starts, how many L-BFGS starts from, too", at_least=2)
  lbfgs_iterations: int = setting(30, "of L-BFGS", at_least=1)
  lbfgs_patches: int = setting(128, "fixed training patches of L-BFGS", at_least=1)

  def __post_init__(self) -> None:
    """Checks every field.

    Raises:
      InputError: one of them is refused, or not used here.
    """
    super().__post_init__()
    for name in UNREAD:
      if getattr(self, name) != getattr(Recipe, name):
        raise InputError(
          f"--{name} is not used here: rates are chosen after all steps; leave it out"
        )
    if self.lbfgs_seeds > self.seeds:
      raise InputError(
        f"--lbfgs_seeds={self.lbfgs_seeds} are more than there are starts, --seeds={self.seeds}"
      )
    if self.lbfgs_patches % self.batch:
      raise InputError(
        f"--lbfgs_patches={self.lbfgs_patches} must be a multiple of --batch={self.batch}, since "
        "their gradients are computed in batches"
      )

  def sizes(self) -> tuple[int, ...]:
    """How many members its populations have."""
    return tuple(
      dict.fromkeys((self.seeds, self.seeds * len(self.learning_rate), self.lbfgs_seeds))
    )


@dataclasses.dataclass(frozen=True)
class Trained:
  """The populations of an arm.

  Attributes:
    final: after Adam, the members of the rate that was chosen.
    search: the validation score of every seed and rate after Adam.
    rate: that was chosen.
    fixed: after L-BFGS.
    start: the parameters before both, of every seed.
    tied: of a tied arm, the population that was trained from scratch.
  """

  final: Population
  search: list[dict[str, Any]]
  rate: float
  fixed: Population
  start: Any
  tied: Population | None


def draw_fixed_patches(recipe: NestedRecipe, run: Run) -> Patches:
  """The patches of L-BFGS, uploaded."""
  count, batch = recipe.lbfgs_patches, recipe.batch
  images = local_view(run.store)
  drawn = lbfgs.draw_patches(images, count, batch, recipe.patch, recipe.task)
  return Patches(*upload(jax.tree.map(np.asarray, drawn)))


def train_pair(
  pair: Pair, recipe: NestedRecipe, patches: Patches, run: Run
) -> tuple[Trained, Trained]:
  """Trains the tied network from scratch, and both from there; the tied one is first."""
  arms = {arm.name: arm for arm in run.arms}
  tied, untied = arms[pair.tied], arms[pair.untied]
  network: Any = tied.network
  members = population.make_members(range(recipe.seeds), [recipe.tied_learning_rate])
  begun = train_population(tied, TIED, recipe.steps, members, run)
  params = without_padding(processes.to_host(begun.state.params), recipe.seeds)
  untie = jax.jit(jax.vmap(lambda params: pair.free(network, params)[1]))
  freed = jax.tree.map(np.asarray, untie(params))
  first = _train_on(tied, params, begun, recipe, patches, run)
  return first, _train_on(untied, freed, None, recipe, patches, run)


def _train_on(
  arm: Arm, start: Any, tied: Population | None, recipe: NestedRecipe, patches: Patches, run: Run
) -> Trained:
  """Trains a network further, by Adam on new batches and by L-BFGS on fixed patches."""
  rates, seeds = recipe.learning_rate, range(recipe.seeds)
  # The seeds of batches that no tied training has seen.
  members = population.make_members([recipe.seeds + seed for seed in seeds], rates)
  repeated = jax.tree.map(lambda leaf: np.repeat(leaf, len(rates), axis=0), start)
  trained = train_population(arm, FINAL, recipe.steps, members, run, params=repeated)
  scores = iter(validate(trained, len(members.seed), run))
  search = [
    {"seed": seed, "learning_rate": rate, "validation_psnr": next(scores)}
    for seed in seeds
    for rate in rates
  ]
  rate = choose_rate(search, rates)
  best = np.arange(rates.index(rate), len(members.seed), len(rates))
  params, opt_state = jax.tree.map(lambda leaf: leaf[best], processes.to_host(trained.state))
  chosen = jax.tree.map(lambda leaf: leaf[best], members)
  final = trained._replace(state=population.State(params, opt_state), members=chosen)
  few = jax.tree.map(lambda leaf: leaf[: recipe.lbfgs_seeds], start)
  members = population.make_members(seeds[: recipe.lbfgs_seeds], [lbfgs.FIRST_STEP])
  fixed = train_population(
    arm, LBFGS, recipe.lbfgs_iterations, members, run, params=few, fixed=patches
  )
  return Trained(final, search, rate, fixed, few, tied)


def score(
  trained: Mapping[str, Trained], recipe: NestedRecipe, patches: Patches, run: Run
) -> Results:
  """The contents of results.json, without what the pairs say."""
  photos, arms = run.photos, {arm.name: arm for arm in run.arms}
  margin = max(arm.network.margin for arm in run.arms)
  baseline = score_baseline(run, margin)
  further: dict[str, Any] = {
    name: {"images": [photo.name for photo in test_set], "arms": {}}
    for name, test_set in photos.further_tests.items()
  }
  scored = {}
  for name, each in trained.items():
    preemption.raise_if_requested()
    how = run, each.rate, baseline, margin
    members, elsewhere = score_arm(arms[name], each.final, *how)
    for test_set, scores in elsewhere.items():
      further[test_set]["arms"][name] = scores
    scored[name] = {
      **run.about["arms"][name],
      "learning_rate": each.rate,
      "search": each.search,
      "members": members,
      "curve": _adam_curve(name, each.rate, recipe, run),
      "lbfgs": _score_fixed(arms[name], each, patches, run),
    }
    if each.tied is not None:
      how = run, recipe.tied_learning_rate, baseline, margin
      scored[name]["tied_members"] = score_arm(arms[name], each.tied, *how)[0]
  return {
    "experiment": run.about["experiment"],
    "config": to_dict(recipe),
    "images": {split: [photo.name for photo in getattr(photos, split)] for split in sources.SPLITS},
    "bicubic": baseline,
    "arms": scored,
    "tests": list(photos.tests),
    "further_tests": further,
    "notes": photos.notes,
    "choices": run.choices.taken,
  }


def _score_fixed(arm: Arm, trained: Trained, patches: Patches, run: Run) -> Results:
  """What L-BFGS reached: PSNR in dB on its patches before and after, on the way, and elsewhere."""
  task, fixed = run.recipe.task, trained.fixed
  count = len(fixed.members.seed)
  (params, mesh), form = eval_params(fixed.state, count), eval_form(fixed)
  how = patches, mesh, Computation(form), task
  before = lbfgs.losses(arm.network, trained.start, *how)
  after = lbfgs.losses(arm.network, params, *how)
  test = task.score_members(arm.network, params, run.photos.test, mesh, form)
  members = [
    {
      "seed": int(fixed.members.seed[i]),
      "start_psnr": _psnr(before[i]),
      "psnr": _psnr(after[i]),
      "test": test[i],
    }
    for i in range(count)
  ]
  return {
    "members": members,
    "patches_psnr": _curve(arm.name, LBFGS, "training_psnr", run),  # since the iteration before
    "validation_psnr": _curve(arm.name, LBFGS, "validation_psnr", run),
  }


def _adam_curve(arm: str, rate: float, recipe: NestedRecipe, run: Run) -> Results:
  """PSNR in dB on batches, by tenths of the training, and on validation photographs, by seed.

  Networks of a pair, which see the same batches, can be compared on these as well.
  """
  first, step = recipe.learning_rate.index(rate), len(recipe.learning_rate)
  batches, validation = (
    _curve(arm, FINAL, key, run) for key in ("training_psnr", "validation_psnr")
  )
  tenths = -(-10 * np.array(batches["steps"]) // recipe.steps)
  losses = 10 ** (-np.array(batches["members"], float)[:, first::step] / 10)
  means = [losses[tenths == tenth].mean(axis=0) for tenth in dict.fromkeys(tenths)]
  return {
    "batches_psnr": {
      "steps": [recipe.steps * int(tenth) // 10 for tenth in dict.fromkeys(tenths)],
      "members": [[_psnr(loss) for loss in mean] for mean in means],
    },
    "validation_psnr": {
      "steps": validation["steps"],
      "members": [values[first::step] for values in validation["members"]],
    },
  }


def _curve(arm: str, stage: str, key: str, run: Run) -> Results:
  """What was logged of a training under a key: steps, and at each of them a number per member."""
  training = {"arm": arm, "stage": stage}.items()
  lines = [line for line in run.metrics.lines if training <= line.items() and key in line]
  return {"steps": [line["step"] for line in lines], "members": [line[key] for line in lines]}


def _psnr(loss: float) -> float | None:
  """A mean squared error of values in 0..1 as dB; None where it is not finite."""
  return to_db(float(loss), peak=1.0) if np.isfinite(loss) else None
