"""Tables of a comparison of explicit upsampling over tasks: text cells, the header first."""

from typing import Any

import numpy as np

from sr_jax.comparison.explicit_effects import Results
from sr_jax.comparison.explicit_sentences import LIMIT, form_title
from sr_jax.comparison.phrases import in_unit, percent, percent_ends
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import task_title, titled
from sr_jax.report.tables import Rows, alive, cost_text
from sr_jax.report.times import fastest

FURTHER = {  # measures beside those that decide, by what they are called
  "epe": "end-point error (HR pixels, less is better)",
  "accuracy": "accuracy",
}


def rows_of_tasks(results: Results) -> Rows:
  """Of every task: what LR maps gain over no network, the best explicit form, the decision."""
  rows = [["task", "no network", f"{titled(LR)} gains", "best explicit form"]]
  rows[0].insert(3, f"{LIMIT} of that")
  rows[0] += [f"less {titled(LR)}, share of the gain", "explicit upsampling"]
  for name, task in results["verdict"]["tasks"].items():
    best, record = task["best"], results["tasks"][name]
    share = percent(task["arms"][best]["share"]) if best else "-"
    rows.append(
      [
        task_title(name),
        record["task"]["no_network"],
        in_unit(task["gain"], task["unit"]),
        _smallest(task),
        titled(best) if best else "-",
        share,
        task["decision"],
      ]
    )
  return rows


def _smallest(task: dict[str, Any]) -> str:
  """The smallest share of interest in the task's unit; "-" where there is no gain."""
  gain = task["gain"]["mean"]
  if gain is None or gain <= 0:
    return "-"
  return f"{SHARE_SESOI * gain:.3f} {task['unit']}".rstrip()


def rows_of_effects(results: Results) -> Rows:
  """The effect of every arm in every task, less LR maps alone."""
  rows = [["task", "arm", "share of the gain", "in the task's unit", "decision"]]
  rows[0].append("seeds left out")
  for name, task in results["verdict"]["tasks"].items():
    for arm, record in task["arms"].items():
      decision = record["decision"]
      if reason := record["share"]["reason"]:
        decision += f": {reason}"
      rows.append(
        [
          task_title(name),
          titled(arm),
          percent(record["share"]),
          in_unit(record["effect"], task["unit"]),
          decision,
          ", ".join(map(str, record["left_out"])) or "-",
        ]
      )
  return rows


def rows_of_pooled(results: Results) -> Rows:
  """The mean effect of every form over tasks."""
  rows = [["form", "tasks", "mean share of the gain", "tau"]]
  rows[0] += ["a new task, if drawn like these", "by the share", "tasks scored by PSNR"]
  rows[0] += ["mean effect (dB)", "by the effect", "decision"]
  for form, pooled in results["verdict"]["pooled"].items():
    share, in_db = pooled["share"], pooled["effect"]
    rows.append(
      [
        form_title(form),
        str(share["count"]),
        percent(share),
        "-" if share["tau"] is None else f"{100 * share['tau']:.1f} %",
        percent_ends(share, "prediction_") or "-",
        share["decision"],
        str(in_db["count"]),
        in_unit(in_db, ""),
        in_db["decision"],
        pooled["decision"],
      ]
    )
  return rows


def rows_of_scores(results: Results) -> Rows:
  """Mean scores over seeds and test images of no network and of every arm.

  A row for each task, and for each of its `FURTHER` measures that the results hold.
  """
  arms = _arms(results)
  rows = [["task", "score", "no network", *map(titled, arms)]]
  for name, record in results["tasks"].items():
    measure, unit = record["task"]["measure"], record["task"]["unit"]
    scored = {measure: f"{measure} ({unit})" if unit else measure} | FURTHER
    for key, title in scored.items():
      if key in record["no_network"]["test"]:
        digits = 2 if "dB" in title else 4
        cells = [_mean([record["no_network"]["test"][key]], digits)]
        cells += [_mean_of_arm(record, arm, key, digits) for arm in arms]
        rows.append([task_title(name), title, *cells])
  return rows


def rows_of_periodicity(results: Results) -> Rows:
  """Mean phase periodicity in dB of every arm's error, a row a task; differences over tasks."""
  arms = _arms(results)
  rows = [["task", "no network", *map(titled, arms)]]
  for name, record in results["tasks"].items():
    without = _mean([record["no_network"]["test"]["periodicity"]], 2)
    cells = [_mean_of_arm(record, arm, "periodicity", 2) for arm in arms]
    rows.append([task_title(name), without, *cells])
  pooled = results["verdict"]["pooled"]
  means = [in_unit(pooled[a]["periodicity"], "", 2) if a in pooled else "-" for a in arms]
  rows.append([f"less {titled(LR)}, over tasks", "-", *means])
  return rows


def rows_of_costs(results: Results, timing: dict[str, Any]) -> Rows:
  """What every arm of every task costs a HR pixel, and the time of its training step."""
  rows = [["task", "arm", "network", "MACs / HR px", "executed MACs / HR px", "parameters"]]
  rows[0] += ["activations / HR px", "receptive field (HR px)", "shift (HR px)", "step (ms)"]
  for name, record in results["tasks"].items():
    seconds = fastest(timing["tasks"][name]) if name in timing["tasks"] else {}
    for arm, about in record["arms"].items():
      cost = about["budget"]
      macs = [f"{cost[key]:,g}" for key in ("macs", "executed_macs")]
      keys = ("activations", "receptive_field", "shift")
      sizes = f"{cost['parameters']:,}", *(cost_text(key, cost[key]) for key in keys)
      step = f"{1e3 * seconds[arm]:.2f}" if arm in seconds else "-"
      rows.append([task_title(name), titled(arm), about["note"], *macs, *sizes, step])
  return rows


def _arms(results: Results) -> list[str]:
  """The arms of all tasks, in the order in which they first occur."""
  return list(dict.fromkeys(arm for task in results["tasks"].values() for arm in task["arms"]))


def _mean_of_arm(record: Results, arm: str, measure: str, digits: int) -> str:
  """The mean of a measure over members that did not diverge; how many they are, if not all."""
  if arm not in record["arms"]:
    return "-"
  members = alive(record["arms"][arm])
  mean = _mean([member["test"][measure] for member in members], digits)
  of_all = len(record["arms"][arm]["members"])
  return mean if len(members) == of_all else f"{mean} ({len(members)} of {of_all})"


def _mean(scores: list[list[float | None]], digits: int) -> str:
  """The mean over all that have a value; "-" where none has."""
  values = [value for row in scores for value in row if value is not None]
  return f"{np.mean(values):.{digits}f}" if values else "-"
