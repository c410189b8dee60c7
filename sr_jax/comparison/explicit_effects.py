"""Effects of explicit forms of upsampling in every task; `explicit_pool.py` has them over tasks.

`explicit_forms.py` beside it has the rules by which they decide, and the form of the data.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from sr_jax.comparison.shares import SHARE_SESOI, share_of_gain
from sr_jax.comparison.statistics import (
  MIN_IMAGES,
  SESOI,
  Decision,
  effect,
  holm,
  interval,
  largest_error,
)
from sr_jax.comparison.task_arms import FORMS, LR
from sr_jax.comparison.titles import titled

Results = dict[str, Any]
Finding = Literal["helps", "not needed", "undecided"]
ArmDecision = Literal["helps", "hurts", "equivalent", "undecided", "too few images"]
TaskDecision = Literal["helps", "helps, unadjusted", "not needed", "undecided", "too few images"]

PSNR = "psnr"  # the measure for which SESOI is meant, beside the share
DB = "dB"
MAX_P = 0.025  # one-sided, as a 95 % interval excludes a bound
WORDS: dict[Decision, ArmDecision] = {
  "supported": "helps",
  "reversed": "hurts",
  "equivalent": "equivalent",
  "undecided": "undecided",
  "too few photographs": "too few images",
}
NO_SEED = "no seed finished in both networks"
NO_FORM = "no explicit form was trained"
FEW_IMAGES = f"fewer than {MIN_IMAGES} test images"


def of_tasks(records: Mapping[str, Results]) -> dict[str, dict[str, Any]]:
  """The effects and decisions of tasks, those that help adjusted for the number of tasks."""
  tasks = {name: _of_task(record) for name, record in records.items()}
  p_values = [1.0 if task["p_helps"] is None else task["p_helps"] for task in tasks.values()]
  for task, adjusted in zip(tasks.values(), holm(p_values, len(p_values)), strict=True):
    task["adjusted_p_helps"] = None if task["p_helps"] is None else adjusted
    if task["decision"] == "helps" and adjusted >= MAX_P:
      task["decision"] = "helps, unadjusted"
  return tasks


def _of_task(record: Results) -> dict[str, Any]:
  """The effects of a task's arms against LR maps alone, and what they decide."""
  about = record["task"]
  measure = about["measure"]
  without = np.array(record["no_network"]["test"][measure], float)
  members = {name: arm["members"] for name, arm in record["arms"].items()}
  reference = table_of(_alive(members[LR]), measure, len(without))
  arms = {
    name: _of_arm(of_arm, members[LR], without, measure)
    for name, of_arm in members.items()
    if name != LR
  }
  best = best_on_validation(members, measure)
  decision, reason = _needed(arms, best)
  return {
    "measure": measure,
    "unit": about["unit"],
    "dims": about["dims"],
    "pooled": about["pooled"],
    "images": len(without),
    "gain": _summary(reference - without),
    "best": best,
    "p_helps": _p_helps(arms[best]) if best else None,
    "decision": decision,
    "reason": reason,
    "arms": arms,
  }


def _alive(members: list[Results]) -> list[Results]:
  return [member for member in members if member["status"] != "diverged"]


def _diverged(pair: tuple[Results, Results]) -> bool:
  return len(_alive(list(pair))) < 2


def table_of(members: list[Results], measure: str, images: int) -> Float[np.ndarray, "s i"]:
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
  arm: list[Results], reference: list[Results], without: Float[np.ndarray, " i"], measure: str
) -> dict[str, Any]:
  """An arm less the reference, of the seeds that diverged in neither."""
  pairs = list(zip(arm, reference, strict=True))
  usable = [pair for pair in pairs if not _diverged(pair)]
  images = len(without)

  def tables(key: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = (table_of([pair[i] for pair in usable], key, images) for i in (0, 1))
    return first, second

  scores = tables(measure)
  difference = effect(scores[0] - scores[1])
  in_unit = dataclasses.asdict(difference)
  decisions: list[Decision] = []
  if measure == PSNR:
    decisions.append(difference.decision)
  else:  # SESOI is in dB of PSNR
    in_unit |= dict.fromkeys(("decision", "p_supported", "p_reversed", "p_equivalent"))
  share = share_of_gain(*scores, without)
  over_lr, gain = effect(scores[0] - scores[1], 0.0), _summary(scores[0] - without)
  learns_alone = share.mean is None and gain["decision"] == "more"
  if learns_alone and over_lr.decision == "supported":
    decisions.append("supported")  # more than nothing, and than LR, which is not shown to gain
  else:
    decisions.append("too few photographs" if images < MIN_IMAGES else share.decision)
  first, second = tables("periodicity")
  periodicity = first - second
  return {
    "effect": in_unit,
    "error": largest_error(scores[0] - scores[1]),
    "share": dataclasses.asdict(share),
    "gain": gain,
    "p_over_lr": over_lr.p_supported if learns_alone else None,
    "decision": together([WORDS[decision] for decision in decisions]),
    "left_out": [pair[0]["seed"] for pair in pairs if _diverged(pair)],
    "periodicity": _summary(periodicity[:, np.isfinite(periodicity).all(axis=0)]),
  }


def together(decisions: list[ArmDecision]) -> ArmDecision:
  """What the share and, if it is asked, the effect in dB say: a side if either does, else both."""
  kinds = {*decisions}
  sides = kinds & {"helps", "hurts"}
  if len(sides) == 1:
    return sides.pop()
  return kinds.pop() if len(kinds) == 1 else "undecided"


def _summary(differences: Float[np.ndarray, "s i"]) -> dict[str, Any]:
  """A mean with its interval, and whether that excludes zero."""
  ends = interval(differences)
  seeds, images = differences.shape
  return {
    **ends,
    "error": largest_error(differences),
    "seeds": seeds,
    "images": images,
    "decision": side_of_zero(ends["low"], ends["high"], images),
  }


def side_of_zero(low: float | None, high: float | None, images: int = MIN_IMAGES) -> str:
  """Whether an interval is above zero, "more", or below, "less"."""
  if low is None or high is None or images < MIN_IMAGES:
    return "undecided"
  return "more" if low > 0 else "less" if high < 0 else "undecided"


def is_below(summary: dict[str, Any], bound: float) -> bool:
  """Whether an interval is shown to be below a bound."""
  return summary["high"] is not None and summary["high"] < bound


def _needed(arms: dict[str, dict[str, Any]], best: str | None) -> tuple[TaskDecision, str]:
  """Whether explicit upsampling is needed in a task, and why that is not decided."""
  if best is None:
    return "undecided", "no explicit form finished" if {*FORMS} & {*arms} else NO_FORM
  share, in_unit, decision = (arms[best][key] for key in ("share", "effect", "decision"))
  if decision == "helps":
    return "helps", ""
  if share["mean"] is None:
    return "undecided", share["reason"] if share["seeds"] else NO_SEED
  if share["images"] < MIN_IMAGES:
    return "too few images", ""
  if others := [form for form in FORMS if form in arms and arms[form]["decision"] == "helps"]:
    return "undecided", f"{titled(others[0])} helps, but is not the best on validation images"
  in_db = in_unit["decision"] is not None
  is_not = is_below(share, SHARE_SESOI) and (not in_db or is_below(in_unit, SESOI))
  return ("not needed" if is_not else "undecided"), ""


def _p_helps(arm: dict[str, Any]) -> float | None:
  """One-sided p-value of "an arm does not help"; of two, by share and in dB, Bonferroni's."""
  of_share = arm["share"]["p_supported"] if arm["p_over_lr"] is None else arm["p_over_lr"]
  p_values = [p for p in (of_share, arm["effect"]["p_supported"]) if p is not None]
  looks = 1 if arm["effect"]["decision"] is None else 2
  return min(1.0, looks * min(p_values)) if p_values else None
