"""Which arms are compared with which, and the paired effect of each comparison."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.comparison import statistics
from sr_jax.comparison.combinations import Best, Combination
from sr_jax.comparison.statistics import Effect, holm, paired_effect
from sr_jax.comparison.titles import titled

Results = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Contrast:
  """A comparison of two arms, by their names: the first minus the second."""

  first: str
  second: str | Best  # the best of several in a primary contrast alone
  question: str  # that their difference answers


@dataclasses.dataclass(frozen=True)
class Comparison:
  """What a run is to decide, fixed before it starts.

  The p-values of all `mechanisms` are adjusted together (Holm), whether or not a run has the arms
  of each.
  """

  primary: Contrast  # of the verdict
  opponents: tuple[str, ...] = ()  # of the same cost: the best on validation meets the first arm
  subset: str | None = None  # of the first arm, which also meets it
  mechanisms: tuple[Contrast, ...] = ()  # that take the verdict apart
  combinations: tuple[Combination, ...] = ()  # effects that more than two arms show


def all_contrasts(results: Results, comparison: Comparison) -> list[dict[str, Any]]:
  """The effects of a run, the primary one first, then by what they are for.

  Contrasts of arms that are not in the run are left out. The first arm is compared with every arm
  that it has not met yet under the kind "exploratory", which no adjustment covers.
  """
  arms, first = results["arms"], comparison.primary.first
  primary = dataclasses.replace(comparison.primary, second=_arm(results, comparison.primary.second))
  planned = [("primary", primary)]
  if len(family := [name for name in comparison.opponents if name in arms]) > 1:
    best = best_of(results, family)
    planned.append(("best", Contrast(first, best, "against the best HR network of the family")))
  if comparison.subset is not None and comparison.subset in arms:
    planned.append(("subset", Contrast(first, comparison.subset, "against its own tied subset")))
  planned += [("mechanism", c) for c in comparison.mechanisms if {c.first, c.second} <= arms.keys()]
  met = {frozenset((c.first, c.second)) for _, c in planned}
  planned += [
    ("exploratory", Contrast(first, name, "the rest"))
    for name in arms
    if name != first and frozenset((first, name)) not in met
  ]
  effects = [
    {"kind": kind, "question": c.question, **contrast(results, c.first, str(c.second))}
    for kind, c in planned
  ]
  mechanisms = [effect for effect in effects if effect["kind"] == "mechanism"]
  tested = [effect for effect in mechanisms if effect["test"]["p_supported"] is not None]
  adjusted = holm([smallest_p(effect["test"]) for effect in tested], len(comparison.mechanisms))
  for effect, p in zip(tested, adjusted, strict=True):
    effect["p_holm"] = p
  return effects


def _arm(results: Results, arm: str | Best) -> str:
  """The name of an arm, of itself or of the best of several."""
  return best_of(results, arm.arms) if isinstance(arm, Best) else arm


def smallest_p(test: dict[str, Any]) -> float:
  """Twice the smallest of the one-sided p-values of the three hypotheses that decide."""
  return min(1.0, 2 * min(test[f"p_{name}"] for name in ("supported", "reversed", "equivalent")))


def best_of(results: Results, names: Sequence[str]) -> str:
  """The arm with the best mean validation PSNR over its members that did not diverge."""

  def mean(name: str) -> float:
    members = results["arms"][name]["members"]
    alive = [m["validation_psnr"] for m in members if m["status"] != "diverged"]
    return float(np.mean(alive)) if alive else -np.inf

  return max(names, key=mean)


def contrast(results: Results, first: str, second: str) -> dict[str, Any]:
  """The paired effect, first arm minus second, on test photographs and on training patches.

  Seeds on which a member of either arm diverged cannot be paired; they are left out and listed.
  """
  members = [results["arms"][name]["members"] for name in (first, second)]
  pairs = list(zip(*members, strict=True))
  usable = [pair for pair in pairs if not _diverged(pair)]

  def psnr(scores: str) -> list[np.ndarray]:
    shape = len(usable), len(members[0][0][scores]["psnr"])
    columns = ([pair[i][scores]["psnr"] for pair in usable] for i in (0, 1))
    return [np.array(column, float).reshape(shape) for column in columns]

  first_psnr, second_psnr = psnr("test")
  seeds = [pair[0]["seed"] for pair in usable]
  return {
    "contrast": [first, second],
    "left_out_seeds": [pair[0]["seed"] for pair in pairs if _diverged(pair)],
    "test": dataclasses.asdict(paired_effect(first_psnr, second_psnr)),
    "training": dataclasses.asdict(paired_effect(*psnr("training"))),
    "test_difference_by_image": (first_psnr - second_psnr).mean(axis=0).tolist() if seeds else [],
    "further_tests": {
      name: dataclasses.asdict(_effect_on(scores, first, second, seeds))
      for name, scores in results.get("further_tests", {}).items()
    },
  }


def all_combinations(results: Results, combinations: Sequence[Combination]) -> list[dict[str, Any]]:
  """The effects of linear contrasts; p-values of each group are adjusted together (Holm)."""
  effects = [combine(results, combination) for combination in combinations]
  for group in dict.fromkeys(effect["group"] for effect in effects):
    family = [effect for effect in effects if effect["group"] == group]
    tested = [effect for effect in family if effect["test"]["p_supported"] is not None]
    adjusted = holm([smallest_p(effect["test"]) for effect in tested], len(family))
    for each, p in zip(tested, adjusted, strict=True):
      each["p_holm"] = p
  return effects


def combine(results: Results, combination: Combination) -> dict[str, Any]:
  """The effect of a linear contrast on test photographs and on training patches.

  Seeds on which a member of any of its arms diverged are left out and listed; members that did not
  learn count.
  """
  weights: dict[str, float] = {}
  chosen = []
  for arm, weight in combination.weights.items():
    name = _arm(results, arm)
    weights[name] = weights.get(name, 0.0) + weight
    chosen += [titled(name)] * isinstance(arm, Best)
  question = combination.question + f" (the best: {', '.join(chosen)})" * bool(chosen)
  columns = {name: results["arms"][name]["members"] for name in weights}
  rows = list(zip(*columns.values(), strict=True))
  usable = [i for i, row in enumerate(rows) if not _diverged(row)]

  def effect_of(scores: dict[str, list[dict[str, Any]]], images: int) -> dict[str, Any]:
    table = np.zeros((len(usable), images))
    for name, weight in weights.items():
      psnr = [scores[name][i]["psnr"] for i in usable]
      table += weight * np.array(psnr, float).reshape(table.shape)
    return dataclasses.asdict(statistics.effect(table))

  def of_members(split: str) -> dict[str, Any]:
    scores = {name: [member[split] for member in column] for name, column in columns.items()}
    return effect_of(scores, len(rows[0][0][split]["psnr"]))

  return {
    **dataclasses.asdict(dataclasses.replace(combination, weights=weights, question=question)),
    "left_out_seeds": [row[0]["seed"] for row in rows if _diverged(row)],
    "test": of_members("test"),
    "training": of_members("training"),
    "further_tests": {
      name: effect_of(test_set["arms"], len(test_set["images"]))
      for name, test_set in results.get("further_tests", {}).items()
    },
  }


def _effect_on(test_set: dict[str, Any], first: str, second: str, seeds: Sequence[int]) -> Effect:
  """The paired effect on a test set after the first."""
  shape = len(seeds), len(test_set["images"])
  tables = ([test_set["arms"][name][seed]["psnr"] for seed in seeds] for name in (first, second))
  return paired_effect(*(np.array(table, float).reshape(shape) for table in tables))


def _diverged(members: Sequence[dict[str, Any]]) -> bool:
  return any(member["status"] == "diverged" for member in members)
