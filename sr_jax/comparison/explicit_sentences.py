"""What a comparison of explicit upsampling says in sentences, chosen by `explicit_forms.py`."""

from collections.abc import Callable, Iterable
from typing import Any

from sr_jax.comparison.explicit_effects import BEST, DB, FEW_IMAGES, Finding, Results
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.statistics import MIN_IMAGES
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import task_title, titled
from sr_jax.data.volumes import MNI152

LIMIT = f"{100 * SHARE_SESOI:g} %"
MEANING = {
  "helps": f"helps, by more than {LIMIT}",
  "hurts": f"hurts, by more than {LIMIT}",
  "equivalent": f"equivalent, within {LIMIT}",
  "undecided": "undecided",
}
LISTED = {
  "helps": "",  # which ends the start of the sentence
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
    f"The best explicit form of a task is chosen on validation images; it helps if the 95 % "
    f"interval of what it brings, as a share of what {titled(LR)} gains over no network, "
    f"lies above {LIMIT}, and is not needed if that lies below. Nothing adjusts for the number of "
    f"tasks and forms.",
    *(_over_tasks(form, pooled) for form, pooled in verdict["pooled"].items()),
    *_by_task(verdict),
    *_on_periodicity(verdict),
    *_left_out(verdict),
    *_cautions(results),
    _not_shown(results),
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
  """The best form of a task and its share, in brackets."""
  if not task["best"] or task["arms"][task["best"]]["share"]["mean"] is None:
    return f" ({task['reason']})"
  share = task["arms"][task["best"]]["share"]
  parts = f"{titled(task['best'])} {100 * share['mean']:+.1f} %", _percent_ends(share)
  return f" ({', '.join(filter(None, parts))})"


def percent(summary: dict[str, Any]) -> str:
  """A share and its interval, as text: "+3.1 % (+1.2 to +5.0 %)"; "-" where there is none."""
  if summary["mean"] is None:
    return "-"
  ends = _percent_ends(summary)
  return f"{100 * summary['mean']:+.1f} %" + (f" ({ends})" if ends else "")


def _percent_ends(summary: dict[str, Any]) -> str:
  """The ends of the interval of a share; empty where it has none."""
  if summary["low"] is None:
    return ""
  return f"{100 * summary['low']:+.1f} to {100 * summary['high']:+.1f} %"


def in_unit(summary: dict[str, Any], unit: str, digits: int = 3) -> str:
  """An effect and its interval in a unit, as text; "-" where there is none."""
  if summary["mean"] is None:
    return "-"
  ends = ""
  if summary["low"] is not None:
    ends = f" ({summary['low']:+.{digits}f} to {summary['high']:+.{digits}f})"
  return f"{summary['mean']:+.{digits}f} {unit}".rstrip() + ends


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
    ends = f"{100 * share['prediction_low']:+.1f} to {100 * share['prediction_high']:+.1f} %"
    spread += f", a new task {ends}"
  decibels = ""
  if in_db["count"] > 1:
    decibels = f" In dB, over {in_db['count']} tasks, it brings {in_unit(in_db, DB)}."
  return (
    f"Over {share['count']} tasks, {name} brings {percent(share)} of the gain; {spread}: "
    f"{MEANING[share['decision']]}.{decibels}"
  )


def _by_task(verdict: dict[str, Any]) -> list[str]:
  """Where every form is shown to help, or to hurt."""
  written = []
  for form in verdict["pooled"]:
    phrases = []
    for decision in ("helps", "hurts"):
      names = [
        f"{task_title(name)} {percent(task['arms'][form]['share'])}"
        for name, task in verdict["tasks"].items()
        if form in task["arms"] and task["arms"][form]["decision"] == decision
      ]
      phrases += [f"{decision} in {', '.join(names)}"] * bool(names)
    if phrases:
      written.append(f"{titled(form)} {'; it '.join(phrases)}.")
  return written


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


def _cautions(results: Results) -> list[str]:
  """What weakens the verdict: members that failed, rates at the edge, few images, unsure gains."""

  def members(is_meant: Callable[[str], bool]) -> list[str]:
    return [
      f"{task_title(task)}, {titled(name)}: seeds {seeds}"
      for task, record in results["tasks"].items()
      for name, arm in record["arms"].items()
      if (seeds := [m["seed"] for m in arm["members"] if is_meant(m["status"])])
    ]

  at_edge = [
    f"{task_title(task)}, {titled(name)}: {arm['learning_rate']:g}"
    for task, record in results["tasks"].items()
    for name, arm in record["arms"].items()
    if arm["rate_at_edge"]
  ]
  tasks = results["verdict"]["tasks"]
  few = [task_title(name) for name, task in tasks.items() if task["images"] < MIN_IMAGES]
  unsure = [
    f"{task_title(name)} {in_unit(task['gain'], task['unit'])}"
    for name, task in tasks.items()
    if task["gain"]["low"] is None or task["gain"]["low"] <= 0
  ]
  listed = {
    "Diverged, and left out with the same seeds of the other network": members(
      lambda status: status == "diverged"
    ),
    "Did not beat no network, and stay in the comparison": members(
      lambda status: status not in ("ok", "diverged")
    ),
    "The best learning rate is at the edge of the grid, so that a wider --learning_rate may change "
    "the result": at_edge,
    f"Too few images for a decision, {FEW_IMAGES}": few,
    f"What {titled(LR)} gains over no network is not shown to be above zero": unsure,
  }
  return [f"{lead}: {'; '.join(names)}." for lead, names in listed.items() if names]


def _not_shown(results: Results) -> str:
  """What the run cannot say."""
  tasks = results["tasks"].values()
  steps = _range(record["config"]["steps"] for record in tasks)
  images = _range(len(record["images"]["test"]) for record in tasks)
  head = ""
  if "volume" in results["tasks"] and results["config"].get("volume") == MNI152:
    head = "; heads other than one, whose slabs the volume's images are"
  return (
    f"Not shown: training beyond {steps} steps; other data than these, with {images} test images a "
    f"task{head}; other widths, depths and scales; and the intervals take the learning rates, from "
    f"a short search, as given."
  )


def _range(values: Iterable[int]) -> str:
  ordered = sorted(values)
  low, high = ordered[0], ordered[-1]
  return f"{low:,}" if low == high else f"{low:,} to {high:,}"
