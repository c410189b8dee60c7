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
- explicit upsampling *helps* if it helps in some task, and is *not needed* if it is not needed in
  every task, nor over tasks; else that is undecided.

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
       "periodicity": SUMMARY of arm less lr in dB, of the images that have one in every seed kept}}}},
   "pooled": {ARM but lr and lr_plain, and "best": {
     "share": POOLED, "effect": POOLED (of the tasks in dB), "periodicity": POOLED (dB)}},
   "sentences": [str]}

where SUMMARY is {"mean", "low", "high": float | None, "error": float | None, "seeds", "images": int,
"decision": "more" | "less" | "undecided"}, by an interval that excludes zero; and POOLED is the
fields of meta.RandomEffect (mean, count, low, high, tau, prediction_low, prediction_high) with
"tasks": [those that joined], "left_out": {task: the reason}, "decision" (of share and effect
"helps" | "hurts" | "equivalent" | "undecided", of periodicity "more" | "less" | "undecided").
"best" joins with another form in every task, that of "best" there. A task without the arm is in
neither "tasks" nor "left_out", nor is one whose "pooled" is false.
"""
