"""What a comparison of explicit upsampling says in sentences, chosen by `explicit_forms.py`."""

from typing import Any

from sr_jax.comparison.explicit_effects import DB, MAX_P, PSNR, Finding, Results
from sr_jax.comparison.explicit_limits import cautions, not_shown
from sr_jax.comparison.explicit_pool import BEST
from sr_jax.comparison.phrases import in_unit, percent, percent_ends
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import task_title, titled

LIMIT = f"{100 * SHARE_SESOI:g} %"
LIMIT_DB = f"{SESOI:g} {DB}"
MEANING = {
  "helps": "helps, by more than {}",
  "hurts": "hurts, by more than {}",
  "equivalent": "equivalent, within {}",
  "undecided": "undecided",
}
LISTED = {
  "helps": "",  # which ends the start of the sentence
  "helps, unadjusted": "shown to help by its own interval, but not adjusted for the number of "
  "tasks, in ",
  "not needed": "it is not needed in ",
  "undecided": "undecided in ",
  "too few images": "too few test images in ",
}
THE_BEST = "the best explicit form of each task"


def sentences(results: Results) -> list[str]:
  """What a run says on the question, then on every form, then what weakens or limits it."""
  verdict = results["verdict"]
  return [
    _answer(verdict),
    *_rules(verdict),
    *(_over_tasks(form, pooled) for form, pooled in verdict["pooled"].items()),
    *_of_images(verdict),
    *_by_task(verdict),
    *_on_periodicity(verdict),
    *_left_out(verdict),
    *cautions(results),
    not_shown(results),
  ]


def _rules(verdict: dict[str, Any]) -> list[str]:
  """By which rules it is decided."""
  return [
    f"The best explicit form of a task is chosen on validation images. By 95 % intervals, a form "
    f"helps or hurts if that is shown by more than {LIMIT} of what {titled(LR)} gains over no "
    f"network or, where PSNR is the score, by more than {LIMIT_DB}; it is equivalent, and explicit "
    f"upsampling not needed, only if both say so. Where PSNR is not the score, the share decides "
    f"alone.",
    f"That a task helps is adjusted for the {len(verdict['tasks'])} tasks of the run by Holm's "
    f"method (one-sided, at {MAX_P:g}; p-values of two scales are doubled). What is said of single "
    f"forms is not adjusted for their number.",
  ]


def _answer(verdict: dict[str, Any]) -> str:
  """The answer to the question, with the tasks of every decision."""
  tasks = verdict["tasks"]
  count = f"{len(tasks)} task{'s' * (len(tasks) != 1)} tested"
  helped = sum(task["decision"] == "helps" for task in tasks.values())
  where = f" in {helped} of the {count}" if helped else " on average over tasks"
  leads: dict[Finding, str] = {
    "helps": f"Explicit upsampling helps{where}",
    "not needed": f"Explicit upsampling is necessary in none of the {count}",
    "undecided": f"Whether explicit upsampling is necessary in any of the {count} is undecided",
  }
  listed = []
  for decision, words in LISTED.items():
    names = [
      f"{task_title(name)}{_best_of(task)}"
      for name, task in tasks.items()
      if task["decision"] == decision
    ]
    listed += [f"{words}{', '.join(names)}"] * bool(names)
  return f"{leads[verdict['decision']]}: {'; '.join(listed)}."


def _best_of(task: dict[str, Any]) -> str:
  """In brackets, the best form of a task, its effect where that helps, and what is not decided."""
  parts = [titled(task["best"])] if task["best"] else []
  if task["best"] and task["decision"].startswith("helps"):
    parts = [f"{parts[0]} {_effect_of(task['arms'][task['best']], task)}"]
  parts += [task["reason"]] * bool(task["reason"])
  return f" ({'; '.join(parts)})" * bool(parts)


def form_title(form: str) -> str:
  """What readers call an arm, or the best form of each task."""
  return THE_BEST if form == BEST else titled(form)


def _over_tasks(form: str, pooled: dict[str, Any]) -> str:
  """What a form brings on average over tasks."""
  share, in_db = pooled["share"], pooled["effect"]
  name = form_title(form)
  if not share["count"]:
    return f"Over tasks, nothing is known of {name}: no task has a share with a standard error."
  if share["count"] == 1:
    return (
      f"Over tasks, nothing is known of {name}: only {task_title(share['tasks'][0])} has a share "
      f"with a standard error, and an interval needs two tasks."
    )
  spread = f"tau {100 * share['tau']:.1f} %"
  if share["prediction_low"] is not None:
    ends = percent_ends(share, "prediction_")
    spread += f", a new task {ends} if tasks were drawn like these"
  decibels = ""
  if in_db["count"] > 1:
    meaning = MEANING[in_db["decision"]].format(LIMIT_DB)
    decibels = (
      f" In dB, over {in_db['count']} tasks scored by PSNR, it brings {in_unit(in_db, DB)}: "
      f"{meaning}."
    )
  return (
    f"Over {share['count']} tasks, {name} brings {percent(share)} of the gain; {spread}: "
    f"{MEANING[share['decision']].format(LIMIT)}.{decibels}"
  )


def _of_images(verdict: dict[str, Any]) -> list[str]:
  """What the best form brings over tasks on images alone, if others join the mean."""
  share, of_all = verdict["images"], verdict["pooled"][BEST]["share"]
  if share["count"] < 2 or share["count"] == of_all["count"]:
    return []
  return [
    f"With tasks of d = 1 and 3 left out, over {share['count']} tasks, {THE_BEST} brings "
    f"{percent(share)} of the gain."
  ]


def _by_task(verdict: dict[str, Any]) -> list[str]:
  """Where every form is shown to help, or to hurt."""
  written = []
  for form in verdict["pooled"]:
    phrases = []
    for decision in ("helps", "hurts"):
      names = [
        f"{task_title(name)} {_effect_of(task['arms'][form], task)}"
        for name, task in verdict["tasks"].items()
        if form in task["arms"] and task["arms"][form]["decision"] == decision
      ]
      phrases += [f"{decision} in {', '.join(names)}"] * bool(names)
    if phrases:
      written.append(f"{titled(form)} {'; it '.join(phrases)}.")
  return written


def _effect_of(arm: dict[str, Any], task: dict[str, Any]) -> str:
  """An arm's share of the gain, and its effect where PSNR is the score or there is no share."""
  has_share = arm["share"]["mean"] is not None
  parts = [percent(arm["share"])] * has_share
  if task["measure"] == PSNR or not has_share:
    parts.append(in_unit(arm["effect"], task["unit"]))
  return ", ".join(parts)


def _on_periodicity(verdict: dict[str, Any]) -> list[str]:
  """Whether errors repeat with the phases more than those of LR maps alone, over tasks."""
  reference = titled(LR)
  words = {
    "more": f"shown to repeat more with the phases than those of {reference}",
    "less": f"shown to repeat less with the phases than those of {reference}",
    "undecided": "not shown to repeat more or less with the phases",
  }
  phrases = []
  for decision, repeat in words.items():
    names = [
      f"{titled(form)} {in_unit(pooled['periodicity'], DB, 2)}"
      for form, pooled in verdict["pooled"].items()
      if form != BEST
      and pooled["periodicity"]["count"] > 1
      and pooled["periodicity"]["decision"] == decision
    ]
    phrases += [f"{repeat}: {', '.join(names)}"] * bool(names)
  return [f"Over tasks, errors are {'; '.join(phrases)}."] if phrases else []


def _left_out(verdict: dict[str, Any]) -> list[str]:
  """Which tasks do not join the mean share, and why."""
  forms: dict[tuple[str, str], list[str]] = {}
  for form, pooled in verdict["pooled"].items():
    for name, reason in pooled["share"]["left_out"].items():
      forms.setdefault((name, reason), []).append(form_title(form))
  if not forms:
    return []
  phrases = [
    f"{task_title(name)} of {', '.join(names)}: {reason}" for (name, reason), names in forms.items()
  ]
  return [f"Left out of the mean share over tasks: {'; '.join(phrases)}."]
