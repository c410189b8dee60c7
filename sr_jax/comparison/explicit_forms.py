"""Whether explicit upsampling is necessary in any task, from what `other_tasks` measured.

Every explicit form of upsampling is compared with `lr`, LR maps alone and a shuffle at the end, at
the same MACs. Scores have the units of their tasks; the share of what lr gains over no network
(`shares.py`) has none. By the 95 % interval of this share, over seeds and images:

- a form *helps* where the share is shown to be above `SHARE_SESOI`, *hurts* where it is shown to be
  below -`SHARE_SESOI`, and is *equivalent* where it is shown to be between; else it is *undecided*,
  and with fewer than `MIN_IMAGES` test images there are *too few images*;
- the best of `FORMS` in a task is that of the highest mean score on validation images. Explicit
  upsampling *helps* in the task if its best form does, and is *not needed* if the share of its best
  form is shown to be below `SHARE_SESOI`, however far: lr is then no more than that behind;
- over tasks, the mean share of a random effect decides on a form, and on the best form, likewise;
  tasks of fewer than `MIN_IMAGES` test images do not join it, nor those without a standard error;
- explicit upsampling *helps* if it does in some task, or its best form over tasks. It is *not
  needed* if it is not needed in any task, and the mean share of the best form over two tasks or
  more is shown to be below `SHARE_SESOI`; else that is undecided.

Nothing is adjusted for the number of forms and tasks. That explicit upsampling is not needed
anywhere needs no adjustment, since each of the intervals has to say it; that it helps in one of
many tasks is less sure than an interval says.

The verdict, JSON data, by the names of tasks and arms (None is null):

  {"sesoi": {"share": 0.05, "dB": 0.05},
   "decision": "helps" | "not needed" | "undecided",
   "tasks": {TASK: {
     "unit": str, "pooled": bool (whether it may join the random effect),
     "images": int (of the test),
     "gain": SUMMARY of lr less no network in the task's unit,
     "beats_no_network": {ARM, also lr: bool, whether all its members ended "ok"},
     "best": the best of FORMS on validation images, or None,
     "decision": "helps" | "not needed" | "undecided" | "too few images",
     "reason": why there is no share of the best; else "",
     "arms": {ARM but lr: {
       "effect": the fields of statistics.Effect, arm less lr in the task's unit; without decision
         and p-values (None) where that is not dB,
       "error": the standard error of its mean (the largest of standard_errors) | None,
       "share": the fields of shares.Share,
       "decision": "helps" | "hurts" | "equivalent" | "undecided" | "too few images",
       "left_out": [seeds that diverged in the arm or in lr],
       "periodicity": SUMMARY of arm less lr in dB, of images that have one in every seed kept}}}},
   "pooled": {ARM but lr and lr_plain, and "best": {
     "share": POOLED, "effect": POOLED (of the tasks in dB), "periodicity": POOLED (dB)}},
   "sentences": [str]}

where SUMMARY is {"mean", "low", "high": float | None, "error": float | None, "seeds": int,
"images": int, "decision": "more" | "less" | "undecided"}, by an interval that excludes zero, and
POOLED is the fields of meta.RandomEffect (mean, count, low, high, tau, prediction_low,
prediction_high) with "tasks": [those that joined], "left_out": {task: the reason}, "decision": of
share and effect "helps" | "hurts" | "equivalent" | "undecided", of periodicity as of SUMMARY.
"best" joins with the form that is "best" in each task. A task without the arm is in neither "tasks"
nor "left_out", nor is one whose "pooled" is false.
"""

from typing import Any

from sr_jax.comparison.explicit_effects import (
  BEST,
  DB,
  Finding,
  Results,
  of_task,
  over_tasks,
)
from sr_jax.comparison.explicit_sentences import percent, sentences
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import titled


def decide(results: Results) -> dict[str, Any]:
  """The verdict of a run, as above."""
  tasks = {name: of_task(record) for name, record in results["tasks"].items()}
  pooled = over_tasks(tasks)
  verdict: dict[str, Any] = {
    "sesoi": {"share": SHARE_SESOI, DB: SESOI},
    "decision": _overall(tasks, pooled[BEST]["share"]),
    "tasks": tasks,
    "pooled": pooled,
  }
  return {**verdict, "sentences": sentences({**results, "verdict": verdict})}


def _overall(tasks: dict[str, Any], best: dict[str, Any]) -> Finding:
  decisions = {task["decision"] for task in tasks.values()}
  if "helps" in (*decisions, best["decision"]):
    return "helps"
  is_below = best["high"] is not None and best["high"] < SHARE_SESOI
  return "not needed" if decisions == {"not needed"} and is_below else "undecided"


def headline(results: Results) -> dict[str, str]:
  """What a run says as the columns of a table."""
  verdict = results["verdict"]
  best = verdict["pooled"][BEST]["share"]
  return {
    "explicit upsampling": verdict["decision"],
    f"best explicit form - {titled(LR)} (share of gain)": percent(best),
    "tasks": str(best["count"]),
  }
