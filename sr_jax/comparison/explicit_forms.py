"""Whether explicit upsampling is necessary in any task, from what `other_tasks` measured.

Every explicit form of upsampling is compared with `lr`, LR maps alone and a shuffle at the end, at
the same MACs. Scores have the units of their tasks; the share of what lr gains over no network
(`shares.py`) has none. `FORMS` (`task_arms.py`) has the explicit forms, the skip among them, which
lr_plain is not. By 95 % intervals over seeds and images:

- a form *helps* where its share is shown to be above `SHARE_SESOI` or, in a task scored by PSNR,
  its effect in dB to be above `SESOI`; it *hurts* where either is shown to be below the negative of
  that; it is *equivalent* where the share and, of PSNR, the effect are both shown to be between;
  else it is *undecided*, and with fewer than `MIN_IMAGES` test images there are *too few images*.
  In other units than dB of PSNR the share decides alone. Where lr is not shown to gain over no
  network there is no share: a form that is shown to gain, and to be better than lr, helps;
- the best of `FORMS` in a task is that of the highest mean score on validation images. Explicit
  upsampling *helps* in the task if its best form does. It is *not needed* if the share of its best
  form is shown to be below `SHARE_SESOI` and, of PSNR, the effect to be below `SESOI`, however far
  (lr is then no more than that behind), and no other form helps either;
- a task that helps by its own interval has to do so among all tasks of the run: its one-sided p,
  for PSNR twice the smaller of those of the share and of the effect (Bonferroni), is adjusted by
  Holm's method for their number, and below 0.025; else it *helps, unadjusted*;
- over tasks, the mean share of a random effect, and the mean effect of the tasks scored by PSNR if
  they are two or more, decide on a form, and on the best form, in the same way (where one is above
  and the other below, it is undecided); tasks of fewer than `MIN_IMAGES` test images do not join
  them, nor those without a standard error;
- explicit upsampling *helps* if it does in some task, adjusted, or its best form over tasks. It is
  *not needed* if it is not needed in any task, the mean share of the best form over two tasks or
  more is shown to be below `SHARE_SESOI` and its mean effect below `SESOI`, and no form helps over
  tasks; else that is undecided.

That it is not needed anywhere needs no adjustment, since each of the intervals has to say it. What
is said of single forms is not adjusted for their number.

The verdict, JSON data, by the names of tasks and arms (None is null):

  {"sesoi": {"share": 0.05, "dB": 0.05},
   "decision": "helps" | "not needed" | "undecided",
   "tasks": {TASK: {
     "measure", "unit": str, "dims": int, "pooled": bool (whether it may join the random effect),
     "images": int (of the test),
     "gain": SUMMARY of lr less no network in the task's unit,
     "best": the best of FORMS on validation images, or None,
     "p_helps", "adjusted_p_helps": of the best, None where there is none,
     "decision": "helps" | "helps, unadjusted" | "not needed" | "undecided" | "too few images",
     "reason": why that is not decided, if not by an interval; else "",
     "arms": {ARM but lr: {
       "effect": the fields of statistics.Effect, arm less lr in the task's unit; without decision
         and p-values (None) where the measure is not PSNR,
       "error": the standard error of its mean (the largest of standard_errors) | None,
       "share": the fields of shares.Share,
       "gain": SUMMARY of the arm less no network,
       "p_over_lr": one-sided, that the arm is no better than lr, where it gains and lr does not,
       "decision": "helps" | "hurts" | "equivalent" | "undecided" | "too few images",
       "left_out": [seeds that diverged in the arm or in lr],
       "periodicity": SUMMARY of arm less lr in dB, of images that have one in every seed kept}}}},
   "pooled": {ARM but lr and lr_plain, and "best": {
     "share": POOLED, "effect": POOLED (of the tasks scored by PSNR), "periodicity": POOLED (dB),
     "decision": "helps" | "hurts" | "equivalent" | "undecided", of share and effect together}},
   "images": POOLED share of "best" over the tasks of d = 2 alone,
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

from sr_jax.comparison.explicit_effects import DB, Finding, Results, of_tasks
from sr_jax.comparison.explicit_pool import BEST, best_of_images, is_nowhere, over_tasks
from sr_jax.comparison.explicit_sentences import sentences
from sr_jax.comparison.phrases import percent
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import titled


def decide(results: Results) -> dict[str, Any]:
  """The verdict of a run, as above."""
  tasks = of_tasks(results["tasks"])
  pooled = over_tasks(tasks)
  verdict: dict[str, Any] = {
    "sesoi": {"share": SHARE_SESOI, DB: SESOI},
    "decision": _overall(tasks, pooled),
    "tasks": tasks,
    "pooled": pooled,
    "images": best_of_images(tasks),
  }
  return {**verdict, "sentences": sentences({**results, "verdict": verdict})}


def _overall(tasks: dict[str, Any], pooled: dict[str, Any]) -> Finding:
  decisions = {task["decision"] for task in tasks.values()}
  if "helps" in (*decisions, pooled[BEST]["decision"]):
    return "helps"
  return "not needed" if decisions == {"not needed"} and is_nowhere(pooled) else "undecided"


def headline(results: Results) -> dict[str, str]:
  """What a run says as the columns of a table."""
  verdict = results["verdict"]
  best = verdict["pooled"][BEST]["share"]
  return {
    "explicit upsampling": verdict["decision"],
    f"best explicit form - {titled(LR)} (share of gain)": percent(best),
    "tasks": str(best["count"]),
  }
