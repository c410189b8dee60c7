"""The search for each arm's recipe, and the training of every seed with what its draw chose.

Recipes whose patches have the same side are one population; the parts of an arm's final training
are joined to one, which is saved as that of a run in which only rates are chosen.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from sr_jax.comparison.run import Run
from sr_jax.comparison.train import batch_of, checkpoint_metadata, train_population, validate
from sr_jax.comparison.tuning import Trial, TunedRecipe, as_json, best_of, draws
from sr_jax.comparison.tuning_verdict import RECIPES
from sr_jax.networks.budget import Arm
from sr_jax.runtime import preemption, processes
from sr_jax.runtime.console import log
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.hyperparameters import make_tuned_members
from sr_jax.training.population import Population
from sr_jax.training.restore import FINAL
from sr_jax.training.saver import Saver
from sr_jax.training.sharding import make_mesh, shard_members, without_padding

SEARCH = "search"
Parts = list[tuple[list[int], Population]]  # the places of members, and the population of these


class Tuned(NamedTuple):
  """What the search found for an arm.

  Attributes:
    search: a recipe, as JSON data, and its score, for every seed of the search and every recipe.
    best: the recipe that is best of all.
    chosen: the recipe of every seed of the final training, the best of its draw.
    trials: the recipes of the run.
  """

  search: list[dict[str, Any]]
  best: int
  chosen: list[int]
  trials: list[Trial]

  @property
  def learning_rate(self) -> float:
    """The peak rate of the best recipe."""
    return self.trials[self.best].hyperparameters.learning_rate


def search_recipes(run: Run) -> dict[str, Tuned]:
  """Trains every arm briefly with every recipe of a run, and chooses; by arm.

  A recipe's score is its mean over seeds of the validation score; where a seed diverged, it ranks
  last. Nothing is searched where a run has no recipes.
  """
  recipe = run.recipe
  if not (isinstance(recipe, TunedRecipe) and recipe.recipes):
    return {}
  tuned = {}
  for arm in run.arms:
    preemption.raise_if_requested()
    tuned[arm.name] = _search(arm, recipe, run)
    used = sorted(set(tuned[arm.name].chosen))
    log(f"{arm.name}: the seeds chose {len(used)} recipes: {', '.join(map(str, used))}")
  return tuned


def _search(arm: Arm, recipe: TunedRecipe, run: Run) -> Tuned:
  trials, measure = recipe.trials(), recipe.task.measure
  count = len(trials)
  seeds = np.arange(recipe.search_seeds).repeat(count).tolist()
  parts = _train(arm, SEARCH, recipe.search_steps, seeds, trials * recipe.search_seeds, run)
  scores: dict[int, float | None] = {}
  for places, trained in parts:
    scores |= zip(places, validate(trained, len(places), run), strict=True)
  search = [
    {
      "recipe": place % count,
      "seed": seed,
      **describe(trials[place % count], run),
      f"validation_{measure}": scores[place],
    }
    for place, seed in enumerate(seeds)
  ]

  def mean(place: int) -> float | None:
    own = [scores[seed * count + place] for seed in range(recipe.search_seeds)]
    return None if None in own else float(np.mean(np.array(own, float)))

  means = [mean(place) for place in range(count)]
  chosen = [best_of(means, draws(count, seed)) for seed in range(recipe.seeds)]
  return Tuned(search, best_of(means, range(count)), chosen, trials)


def describe(trial: Trial, run: Run) -> dict[str, Any]:
  """A recipe as JSON data, with the patches that it means in a run."""
  side = trial.side or run.recipe.patch
  return as_json(trial, side, batch_of(run.recipe, side))


def recipes(tuned: Mapping[str, Tuned], run: Run) -> dict[str, Any]:
  """What results.json says of the recipes of a run, which all arms share; nothing without any."""
  if not tuned:
    return {}
  trials = next(iter(tuned.values())).trials
  return {RECIPES: [describe(trial, run) for trial in trials]}


def about(tuned: Tuned) -> dict[str, Any]:
  """What results.json says of an arm's choice of recipes, beside its search."""
  return {
    "best_recipe": tuned.best,
    "chosen_recipes": tuned.chosen,
    "different_recipes": len(set(tuned.chosen)),
  }


def of_member(tuned: Tuned, seed: int) -> dict[str, Any]:
  """What results.json says of the recipe of a member."""
  recipe = tuned.chosen[seed]
  rate = tuned.trials[recipe].hyperparameters.learning_rate
  return {"learning_rate": rate, "recipe": recipe}


def train_with_recipes(arm: Arm, tuned: Tuned, run: Run) -> Population:
  """Trains every seed of an arm with the recipe that it chose, to the end of the schedule."""
  seeds = list(range(run.recipe.seeds))
  trials = [tuned.trials[recipe] for recipe in tuned.chosen]
  parts = _train(arm, FINAL, run.recipe.steps, seeds, trials, run)
  if trials[0].side is None:
    return parts[0][1]
  whole = _join(parts, seeds, trials, run)
  _save(arm, whole, run)
  _join_metrics(arm, parts, trials, run)
  return whole


def _train(
  arm: Arm, stage: str, steps: int, seeds: Sequence[int], trials: Sequence[Trial], run: Run
) -> Parts:
  """Trains a member of each seed and recipe, those of each side of patches in a stage of its own.

  Where all patches are those of the run, the stage has the plain name.
  """
  by_side: dict[int, list[int]] = {}
  for place, trial in enumerate(trials):
    by_side.setdefault(trial.side or 0, []).append(place)
  parts: Parts = []
  for side, places in sorted(by_side.items()):
    preemption.raise_if_requested()
    own = [trials[place].hyperparameters for place in places]
    members = make_tuned_members([seeds[place] for place in places], own)
    trained = train_population(arm, _stage(stage, side), steps, members, run, side or None)
    parts.append((places, trained))
  return parts


def _stage(stage: str, side: int) -> str:
  return f"{stage}_p{side}" if side else stage


def _join(parts: Parts, seeds: Sequence[int], trials: Sequence[Trial], run: Run) -> Population:
  """The population of all members, in their order, of populations of some of them."""
  order = np.argsort([place for places, _ in parts for place in places])
  states = [
    without_padding(processes.to_host(trained.state), len(places)) for places, trained in parts
  ]
  state = jax.tree.map(lambda *leaves: np.concatenate(leaves)[order], *states)
  mesh = make_mesh(len(seeds), run.recipe.batch, run.execution.mesh)
  members = make_tuned_members(seeds, [trial.hyperparameters for trial in trials])
  placed = shard_members(mesh, state), shard_members(mesh, members)
  return parts[0][1]._replace(state=placed[0], members=placed[1], mesh=mesh)


def _save(arm: Arm, whole: Population, run: Run) -> None:
  """Saves the joined population as the checkpoint of the arm's final training."""
  steps = run.recipe.steps
  checkpoints = Checkpoints(run.run_dir.checkpoints(arm.name, FINAL), run.recipe.seeds)
  metadata = checkpoint_metadata(arm, FINAL, steps, run)
  every, name = run.execution.checkpoint_every_seconds, f"{arm.name} {FINAL}"
  try:
    saver = Saver(checkpoints, metadata, every, run.unsaved, name)
    saver.save(steps, whole.state, whole.members, {}, wait=True)
  finally:
    checkpoints.close()


def _join_metrics(arm: Arm, parts: Parts, trials: Sequence[Trial], run: Run) -> None:
  """Logs the numbers of all members together, as those of the arm's final training."""
  steps, name = run.recipe.steps, {"arm": arm.name}
  by_part = []
  for places, _ in parts:
    stage = _stage(FINAL, trials[places[0]].side or 0)
    lines = run.metrics.rewind(steps, **name, stage=stage)
    by_part.append({(line["step"], key): line[key] for line in lines for key in _values(line)})
  joined = []
  for step, key in by_part[0]:
    if all((step, key) in part for part in by_part):
      values: list[float | None] = [None] * len(trials)
      for (places, _), part in zip(parts, by_part, strict=True):
        for place, value in zip(places, part[step, key], strict=True):
          values[place] = value
      joined.append({"step": step, **name, "stage": FINAL, key: values})
  if run.metrics.rewind(steps, **name, stage=FINAL) != joined:
    run.metrics.rewind(-1, **name, stage=FINAL)
    for line in joined:
      run.metrics.append(**line)


def _values(line: dict[str, Any]) -> list[str]:
  """The names of a line's numbers, one for each member."""
  return [key for key, value in line.items() if isinstance(value, list)]
