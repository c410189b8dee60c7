"""Describes a whole run from its JSON files and the names of its checkpoints."""

import itertools
from collections.abc import Iterator

from sr_jax.config import as_flags
from sr_jax.inspect_checkpoint.run import Run
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
  if run.results is None:
    yield "Not finished: there is no results.json yet."
  elif run.arms:
    with run.reading(run.folder.results):
      yield table(tables.score_rows(run.results))
      yield table(tables.rows_by_set(run.results))


def header(run: Run) -> str:
  """The experiment, the flags that repeat the run, and its provenance."""
  about = run.about
  return (
    f"{about['experiment']}, begun {about['began']}\n"
    f"--experiment={about['experiment']} {as_flags(about['config'])}\n"
    + ", ".join(f"{name} {value}" for name, value in about["provenance"].items())
  )


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
