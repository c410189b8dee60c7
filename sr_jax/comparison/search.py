"""The search for each arm's learning rate: brief trainings, scored on validation photographs."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.comparison.run import Run
from sr_jax.comparison.train import train_population, validate
from sr_jax.comparison.tuning import members_at
from sr_jax.networks.budget import Arm
from sr_jax.runtime.console import log

MAX_ADDED = 2  # rates, to the grid

Search = list[dict[str, Any]]  # of every seed x rate: seed, learning_rate and the validation score


def search_rates(run: Run) -> tuple[dict[str, Search], tuple[float, ...]]:
  """Trains every arm briefly at every rate, and scores it on validation photographs.

  With `extend_grid`, a rate is added to the grid of all arms, at the end at which more of them have
  their best one, until all best rates are inside or `MAX_ADDED` were added.

  Returns:
    the searches by arm, empty where there is one rate only, and the grid.
  """
  recipe, measure = run.recipe, run.recipe.task.measure
  rates = recipe.learning_rate
  if len(rates) == 1:
    return {arm.name: [] for arm in run.arms}, rates
  searches = {arm.name: _search(arm, "search", rates, run) for arm in run.arms}
  for added in range(1, MAX_ADDED + 1 if recipe.extend_grid else 1):
    edges = [edge_of(choose_rate(search, rates, measure), rates) for search in searches.values()]
    if not any(edges):
      break
    if edges.count("lowest") > edges.count("highest"):
      rate = rates[0] ** 2 / rates[1]
    else:
      rate = rates[-1] ** 2 / rates[-2]
    rate = float(f"{rate:.3g}")
    log(f"A best rate is at the edge of the grid: {rate:g} is added to it for every arm")
    rates = tuple(sorted((*rates, rate)))
    for arm in run.arms:
      searches[arm.name] += _search(arm, f"search_{added}", [rate], run)
  return searches, rates


def _search(arm: Arm, stage: str, rates: Sequence[float], run: Run) -> Search:
  """The validation score of an arm at every seed and rate."""
  pairs = list(itertools.product(range(run.recipe.search_seeds), rates))
  members = members_at(run.recipe, *zip(*pairs, strict=True))
  trained = train_population(arm, stage, run.recipe.search_steps, members, run)
  scores = validate(trained, len(pairs), run)
  key = f"validation_{run.recipe.task.measure}"
  return [
    {"seed": seed, "learning_rate": rate, key: score}
    for (seed, rate), score in zip(pairs, scores, strict=True)
  ]


def edge_of(rate: float, rates: Sequence[float]) -> str | None:
  """The end of the grid at which a rate is, "lowest" or "highest"; None inside."""
  return {rates[0]: "lowest", rates[-1]: "highest"}.get(rate)


def choose_rate(search: Search, rates: Sequence[float], measure: str = "psnr") -> float:
  """The rate with the best mean validation score over seeds; a diverged seed ranks its rate last.

  `measure` is the score of the search's task that decides.
  """

  def mean(rate: float) -> float:
    scores = [entry[f"validation_{measure}"] for entry in search if entry["learning_rate"] == rate]
    return float(np.mean([-np.inf if score is None else score for score in scores]))

  return max(rates, key=mean) if search else rates[0]
