"""What networks reach, beside the numbers that their papers print: tables, sentences, report."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sr_jax.comparison.statistics import ci_half_width_over_seeds
from sr_jax.report import pages, tables
from sr_jax.report.model import Bullets, Json, Note, Section, Table
from sr_jax.report.tables import plus_minus, scores_on
from sr_jax.runtime.run_folder import RunFolder


class Mean(NamedTuple):
  """The mean over images of an arm's score on a test set, over its members not diverged.

  The value is None if all diverged; `ci_half_width`, half its 95 % t interval over seeds, is None
  for less than two members; `members` is how many of how many.
  """

  value: float | None
  ci_half_width: float | None
  members: tuple[int, int]

  def text(self, digits: int) -> str:
    """The mean and its interval, and the members if some diverged."""
    alive, total = self.members
    if self.value is None:
      return "diverged"
    count = f" ({alive} of {total})" if alive < total else ""
    return plus_minus(self.value, self.ci_half_width, digits) + count


def mean(scores: list[Json], measure: str) -> Mean:
  """The mean of "psnr" or "ssim", `scores` being those of each member."""
  finite = [np.mean(score[measure]) for score in scores if None not in score[measure]]
  value = float(np.mean(finite)) if finite else None
  return Mean(value, ci_half_width_over_seeds(np.array(finite)), (len(finite), len(scores)))


def rows(results: Json, measure: str = "psnr") -> list[list[str]]:
  """One row an arm, for each test set the mean and (of PSNR) the paper's; the header first."""
  digits, unit = (2, " (dB)") if measure == "psnr" else (4, "")
  sets = {name: scores_on(results, name) for name in results["tests"]}
  paper = results["paper"] if measure == "psnr" else {}
  columns = [(name + unit, "paper") if paper else (name + unit,) for name in sets]
  table = [["", *itertools.chain(*columns)]]
  for arm in ("bicubic", *results["arms"]):
    row = [arm if arm == "bicubic" else results["arms"][arm]["note"]]
    for name, scores in sets.items():
      row.append(mean(scores[arm], measure).text(digits))
      if paper:
        row.append(f"{paper[arm][name]:.2f}" if name in paper.get(arm, {}) else "-")
    table.append(row)
  return table


def sentences(results: Json) -> Iterator[str]:
  """For each number that a paper prints, by how much its network is above or below it here."""
  for arm, printed in results["paper"].items():
    note = results["arms"][arm]["note"]
    for name, number in printed.items():
      reached = mean(scores_on(results, name)[arm], "psnr")
      if reached.value is None:
        yield f"{note} on {name}: diverged."
        continue
      interval = "one seed"
      if reached.ci_half_width is not None:
        low, high = reached.value - reached.ci_half_width, reached.value + reached.ci_half_width
        interval = f"95 % interval over {reached.members[0]} seeds {low:.2f} to {high:.2f}"
      off = round(reached.value, 2) - number
      side = "as" if abs(off) < 0.005 else f"{abs(off):.2f} dB {'above' if off > 0 else 'below'}"
      place = f"{side} the paper's {number:.2f}"
      yield f"{note} on {name}: {reached.value:.2f} dB, {interval}; {place}."
  for arm in results["arms"].values():
    if arm["rate_at_edge"]:
      yield (
        f"The best learning rate of {arm['note']}, {arm['learning_rate']:g}, is the "
        f"{arm['rate_at_edge']} of the grid: a wider --learning_rate may change its scores."
      )


def write(run_dir: RunFolder, results: Json, timing: Json, about: Json) -> None:
  """Writes the report of a run from what its results.json, timing.json and config.json hold."""
  arms = results["arms"].values()
  budgets = [["", *next(iter(arms))["budget"]]]
  budgets += [
    [arm["note"], *itertools.starmap(tables.cost_text, arm["budget"].items())] for arm in arms
  ]
  report = Section(
    "What published networks reach here, beside the numbers of their papers",
    Bullets(sentences(results)),
    Table(rows(results)),
    Note(
      "Means over images and seeds, +- half the 95 % interval over seeds (what another set of "
      "seeds would give on these images, not what other images would)."
    ),
    Table(rows(results, "ssim")),
    Bullets(results["notes"]),
    Section("Budget (per HR pixel where it applies)", Table(budgets)),
    Section(tables.SEARCH, Table(tables.search_rows(results))),
    pages.reproduce(results, timing, about),
  )
  pages.write(run_dir, report)
