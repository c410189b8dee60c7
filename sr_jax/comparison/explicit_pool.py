"""Effects of explicit forms of upsampling over tasks; `explicit_forms.py` has the rules."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sr_jax.comparison.explicit_effects import (
  FEW_IMAGES,
  NO_SEED,
  PSNR,
  WORDS,
  is_below,
  side_of_zero,
  together,
)
from sr_jax.comparison.meta import random_effect
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.statistics import MIN_IMAGES, SESOI, decision_of
from sr_jax.comparison.task_arms import PLAIN

BEST = "best"  # of the explicit forms in each task


def over_tasks(tasks: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
  """The random effects over tasks, of every form and of the best form in each task."""
  members = {name: task for name, task in tasks.items() if task["pooled"]}
  names = dict.fromkeys(arm for task in members.values() for arm in task["arms"])
  by_form = {
    arm: {name: task["arms"][arm] for name, task in members.items() if arm in task["arms"]}
    for arm in names
    if arm != PLAIN
  }
  by_form[BEST] = _best(members)
  pooled = {}
  for form, arms in by_form.items():
    in_db = {name: arm for name, arm in arms.items() if members[name]["measure"] == PSNR}
    share = _pool({name: arm["share"] for name, arm in arms.items()}, SHARE_SESOI)
    effect = _pool(
      {name: {**arm["effect"], "error": arm["error"]} for name, arm in in_db.items()}, SESOI
    )
    pooled[form] = {
      "share": share,
      "effect": effect,
      "decision": together(
        [share["decision"], *[effect["decision"]] * (effect["low"] is not None)]
      ),
      "periodicity": _pool({name: arm["periodicity"] for name, arm in arms.items()}, None),
    }
  return pooled


def is_nowhere(pooled: dict[str, Any]) -> bool:
  """Whether the best form is shown to bring too little over tasks, and no form helps over them."""
  best = pooled[BEST]
  in_db = best["effect"]
  return (
    is_below(best["share"], SHARE_SESOI)
    and (in_db["low"] is None or is_below(in_db, SESOI))
    and all(
      "helps" not in (form["share"]["decision"], form["effect"]["decision"])
      for form in pooled.values()
    )
  )


def best_of_images(tasks: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
  """The mean share of the best form over the tasks of d = 2 alone."""
  members = {name: task for name, task in tasks.items() if task["pooled"] and task["dims"] == 2}
  return _pool({name: arm["share"] for name, arm in _best(members).items()}, SHARE_SESOI)


def _best(tasks: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
  return {name: task["arms"][task["best"]] for name, task in tasks.items() if task["best"]}


def _pool(summaries: Mapping[str, dict[str, Any]], sesoi: float | None) -> dict[str, Any]:
  """The random effect of those that have a standard error, and why others are left out.

  Without a smallest effect of interest it decides by zero.
  """
  left_out = {name: reason for name, each in summaries.items() if (reason := _unusable(each))}
  joined = {name: each for name, each in summaries.items() if name not in left_out}
  mean = random_effect(
    [each["mean"] for each in joined.values()], [each["error"] for each in joined.values()]
  )
  if sesoi is None:
    decision = side_of_zero(mean.low, mean.high)
  elif mean.low is None or mean.high is None:
    decision = "undecided"
  else:
    decision = WORDS[decision_of(mean.low, mean.high, MIN_IMAGES, sesoi)]
  return {
    **dataclasses.asdict(mean),
    "tasks": list(joined),
    "left_out": left_out,
    "decision": decision,
  }


def _unusable(summary: dict[str, Any]) -> str:
  """Why a task does not join the mean over tasks; empty where it does."""
  if not summary["seeds"]:
    return NO_SEED
  if reason := summary.get("reason"):
    return str(reason)
  if summary["images"] < MIN_IMAGES:
    return FEW_IMAGES
  if summary["low"] is None:
    return "an interval needs two seeds"
  return "" if summary["error"] else "nothing varies over seeds and images"
