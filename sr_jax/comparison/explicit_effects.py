"""Effects of explicit forms of upsampling: in every task, and over tasks.

`explicit_forms.py` beside it has the rules by which they decide, and the form of the data.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from sr_jax.comparison.meta import random_effect
from sr_jax.comparison.shares import SHARE_SESOI, share_of_gain
from sr_jax.comparison.statistics import (
  MIN_IMAGES,
  SESOI,
  Decision,
  decision_of,
  effect,
  standard_errors,
)
from sr_jax.comparison.task_arms import FORMS, LR, PLAIN

Results = dict[str, Any]
Finding = Literal["helps", "not needed", "undecided"]
TaskDecision = Literal["helps", "not needed", "undecided", "too few images"]

BEST = "best"  # of FORMS in each task
DB = "dB"
WORDS: dict[Decision, str] = {
  "supported": "helps",
  "reversed": "hurts",
  "equivalent": "equivalent",
  "undecided": "undecided",
  "too few photographs": "too few images",
}
NO_SEED = "no seed finished in both networks"
FEW_IMAGES = f"fewer than {MIN_IMAGES} test images"


def of_task(record: Results) -> dict[str, Any]:
  """The effects of a task's arms against LR maps alone, and what they decide."""
  about = record["task"]
  measure, unit = about["measure"], about["unit"]
  without = np.array(record["no_network"]["test"][measure], float)
  members = {name: arm["members"] for name, arm in record["arms"].items()}
  reference = _table(_alive(members[LR]), measure, len(without))
  arms = {
    name: _of_arm(of_arm, members[LR], without, measure, unit)
    for name, of_arm in members.items()
    if name != LR
  }
  best = best_on_validation(members, measure)
  decision, reason = _needed(arms[best]["share"] if best else None)
  return {
    "unit": unit,
    "pooled": about["pooled"],
    "images": len(without),
    "gain": _summary(reference - without),
    "beats_no_network": {
      name: all(member["status"] == "ok" for member in of_arm) for name, of_arm in members.items()
    },
    "best": best,
    "decision": decision,
    "reason": reason,
    "arms": arms,
  }


def _alive(members: list[Results]) -> list[Results]:
  return [member for member in members if member["status"] != "diverged"]


def _diverged(pair: tuple[Results, Results]) -> bool:
  return len(_alive(list(pair))) < 2


def _table(members: list[Results], measure: str, images: int) -> Float[np.ndarray, "s i"]:
  """A measure of members on test images; NaN where an image has none."""
  rows = [member["test"][measure] for member in members]
  return np.array(rows, float).reshape(len(members), images)


def best_on_validation(members: Mapping[str, list[Results]], measure: str) -> str | None:
  """The explicit form of the highest mean validation score over members that did not diverge."""
  scores = {
    form: float(np.mean([member[f"validation_{measure}"] for member in alive]))
    for form in FORMS
    if form in members and (alive := _alive(members[form]))
  }
  return max(scores, key=lambda form: scores[form]) if scores else None


def _of_arm(
  arm: list[Results],
  reference: list[Results],
  without: Float[np.ndarray, " i"],
  measure: str,
  unit: str,
) -> dict[str, Any]:
  """An arm less the reference, of the seeds that diverged in neither."""
  pairs = list(zip(arm, reference, strict=True))
  usable = [pair for pair in pairs if not _diverged(pair)]
  images = len(without)

  def tables(key: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = (_table([pair[i] for pair in usable], key, images) for i in (0, 1))
    return first, second

  scores = tables(measure)
  difference = effect(scores[0] - scores[1])
  in_unit = dataclasses.asdict(difference)
  if unit != DB:  # SESOI is in dB
    in_unit |= dict.fromkeys(("decision", "p_supported", "p_reversed", "p_equivalent"))
  share = share_of_gain(*scores, without)
  first, second = tables("periodicity")
  periodicity = first - second
  return {
    "effect": in_unit,
    "error": _standard_error(scores[0] - scores[1]),
    "share": dataclasses.asdict(share),
    "decision": WORDS[share.decision],
    "left_out": [pair[0]["seed"] for pair in pairs if _diverged(pair)],
    "periodicity": _summary(periodicity[:, np.isfinite(periodicity).all(axis=0)]),
  }


def _standard_error(differences: Float[np.ndarray, "s i"]) -> float | None:
  """As in `shares.py`; None where there is no interval, or nothing varies."""
  if min(differences.shape) < 2:
    return None
  return float(standard_errors(differences)[0].max()) or None


def _summary(differences: Float[np.ndarray, "s i"]) -> dict[str, Any]:
  """A mean with its interval, and whether that excludes zero."""
  summary = effect(differences)
  return {
    **{name: getattr(summary, name) for name in ("mean", "low", "high")},
    "error": _standard_error(differences),
    "seeds": summary.seeds,
    "images": summary.images,
    "decision": _side_of_zero(summary.low, summary.high, summary.images),
  }


def _side_of_zero(low: float | None, high: float | None, images: int = MIN_IMAGES) -> str:
  if low is None or high is None or images < MIN_IMAGES:
    return "undecided"
  return "more" if low > 0 else "less" if high < 0 else "undecided"


def _needed(share: dict[str, Any] | None) -> tuple[TaskDecision, str]:
  """Whether explicit upsampling is needed in a task, by the share of its best form, and why not."""
  if share is None:
    return "undecided", "no explicit form finished"
  if share["mean"] is None:
    return "undecided", share["reason"] if share["seeds"] else NO_SEED
  if share["images"] < MIN_IMAGES:
    return "too few images", ""
  if share["decision"] == "supported":
    return "helps", ""
  is_below = share["high"] is not None and share["high"] < SHARE_SESOI
  return ("not needed" if is_below else "undecided"), ""


def over_tasks(tasks: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
  """The random effects over tasks, of every form and of the best form in each task."""
  members = {name: task for name, task in tasks.items() if task["pooled"]}
  names = dict.fromkeys(arm for task in members.values() for arm in task["arms"])
  by_form = {
    arm: {name: task["arms"][arm] for name, task in members.items() if arm in task["arms"]}
    for arm in names
    if arm != PLAIN
  }
  by_form[BEST] = {
    name: task["arms"][task["best"]] for name, task in members.items() if task["best"]
  }
  return {
    form: {
      "share": _pool({name: arm["share"] for name, arm in arms.items()}, SHARE_SESOI),
      "effect": _pool(
        {
          name: {**arm["effect"], "error": arm["error"]}
          for name, arm in arms.items()
          if members[name]["unit"] == DB
        },
        SESOI,
      ),
      "periodicity": _pool({name: arm["periodicity"] for name, arm in arms.items()}, None),
    }
    for form, arms in by_form.items()
  }


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
    decision = _side_of_zero(mean.low, mean.high)
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
