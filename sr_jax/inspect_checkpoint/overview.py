"""Describes a whole run from its JSON files and the names of its checkpoints."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from sr_jax.config import as_flags
from sr_jax.inspect_checkpoint.run import Run, in_words
from sr_jax.report import tables
from sr_jax.runtime.console import table
from sr_jax.training.restore import FINAL


def describe_run(run: Run) -> Iterator[str]:
  """Yields paragraphs on configuration, provenance, budgets, checkpoints and scores.

  Raises an InputError if a file of the run is damaged.
  """
  with run.reading(run.folder.config):
    yield header(run)
    if run.arms:
      rows = [
        [name, arm["note"], *itertools.starmap(tables.cost_text, arm["budget"].items())]
        for name, arm in run.arms.items()
      ]
      costs = [name.replace("_", " ") for name in next(iter(run.arms.values()))["budget"]]
      yield "Arms and their cost per HR pixel\n" + table([["arm", "note", *costs], *rows])
      yield _checkpoints(run)
  if run.folder.tasks:
    yield _tasks(run)
  if run.results is None:
    yield "Not finished: there is no results.json yet."
  elif run.arms:
    with run.reading(run.folder.results):
      if "bicubic" in run.results:
        yield table(tables.score_rows(run.results))
        yield table(tables.rows_by_set(run.results))
      else:
        yield "Mean scores on test data\n" + table(score_rows_of_task(run.results))


def header(run: Run) -> str:
  """The experiment, the flags that repeat the run, and its provenance."""
  about = run.about
  how = f"--experiment={about['experiment']} {as_flags(about['config'])}"
  if "task" in about["config"]:
    fields = {name: value for name, value in about["config"].items() if name != "task"}
    how = f"a task of a run, which begins it, with {as_flags(fields)}"
  return f"{about['experiment']}, begun {about['began']}\n{how}\n" + ", ".join(
    f"{name} {value}" for name, value in about["provenance"].items()
  )


def _tasks(run: Run) -> str:
  """How the runs of tasks stand that are in the folder of a run."""
  rows = [["task", "state", "folder"]]
  for folder in run.folder.tasks:
    rows.append([folder.name, "finished" if folder.is_finished else "begun", str(folder)])
  return "Tasks that are begun, each a run to inspect by itself\n" + table(rows)


def score_rows_of_task(results: dict[str, Any]) -> list[list[str]]:
  """The mean over test data of every score, of no network and of every arm's members in a run."""
  rows = [["", "learning rate", "members"], ["no network", "-", "-"]]
  rows += [[name, f"{arm['learning_rate']:g}"] for name, arm in results["arms"].items()]
  for row, arm in zip(rows[2:], results["arms"].values(), strict=True):
    row.append(f"{len(tables.alive(arm))} of {len(arm['members'])}")
  for test_set in results["tests"]:
    without, by_arm = scores_of_task(results, test_set)
    for measure in without:
      rows[0].append(f"{test_set} {in_words(measure)}")
      rows[1].append(_mean([without[measure]]))
      for row, name in zip(rows[2:], results["arms"], strict=True):
        row.append(_mean([scores[measure] for scores in by_arm[name]]))
  return rows


def scores_of_task(results: dict[str, Any], test_set: str) -> tuple[dict, dict[str, list]]:
  """The scores of no network on a test set, and those of each arm's members not diverged."""
  further = results["further_tests"].get(test_set)
  without = further["no_network"] if further else results["no_network"]["test"]
  by_arm = {}
  for name, arm in results["arms"].items():
    tested = further["arms"][name] if further else [each["test"] for each in arm["members"]]
    pairs = zip(arm["members"], tested, strict=True)
    by_arm[name] = [scores for member, scores in pairs if member["status"] != "diverged"]
  return without, by_arm


def _mean(scores: list[list[float | None]]) -> str:
  """The mean over images and members; of errors without a periodicity there is none."""
  values = [value for row in scores for value in row if value is not None]
  return f"{np.mean(values):.4f}" if values else "-"


def _checkpoints(run: Run) -> str:
  by_arm = {arm: run.stages(arm) for arm in run.arms}
  stages = {stage for steps in by_arm.values() for stage in steps}
  if not stages:
    return "No checkpoint is complete yet."
  rows = [["arm", *sorted(stages, key=lambda stage: (stage == FINAL, stage))]]
  for arm, steps in by_arm.items():
    kept = (", ".join(map(str, steps.get(stage, []))) or "-" for stage in rows[0][1:])
    rows.append([arm, *kept])
  return "Steps of the checkpoints kept, by stage\n" + table(rows)
