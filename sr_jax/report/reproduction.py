"""What networks reach, beside the numbers that their papers print: tables, sentences, report."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sr_jax.comparison.statistics import ci_half_width_over_seeds
from sr_jax.report import pages, tables
from sr_jax.report.model import Bullets, Note, Section, Table
from sr_jax.report.tables import scores_on
from sr_jax.runtime.run_folder import RunFolder


class Mean(NamedTuple):
  """The mean over images of an arm's score on a test set, over its members not diverged.

  Attributes:
    value: the mean over members; None if all diverged.
    ci_half_width: half its 95 % t interval over seeds; None for less than two members.
    members: how many, of how many.
  """

  value: float | None
  ci_half_width: float | None
  members: tuple[int, int]

  def text(self, digits: int) -> str:
    """The mean and its interval, and the members if some diverged."""
    alive, total = self.members
    if self.value is None:
      return "diverged"
    interval = "" if self.ci_half_width is None else f" +- {self.ci_half_width:.{digits}f}"
    return f"{self.value:.{digits}f}{interval}" + (
      f" ({alive} of {total})" if alive < total else ""
    )


def mean(scores: list[dict[str, Any]], measure: str) -> Mean:
  """The mean of "psnr" or "ssim", `scores` being those of each member."""
  finite = [np.mean(score[measure]) for score in scores if None not in score[measure]]
  count = (len(finite), len(scores))
  if not finite:
    return Mean(None, None, count)
  return Mean(float(np.mean(finite)), ci_half_width_over_seeds(np.array(finite)), count)


def rows(results: dict[str, Any], measure: str = "psnr") -> list[list[str]]:
  """One row an arm, for each test set the mean and (of PSNR) the paper's; the header first."""
  digits, unit = (2, " (dB)") if measure == "psnr" else (4, "")
  sets = {name: scores_on(results, name) for name in results["tests"]}
  paper = results["paper"] if measure == "psnr" else {}
  header = [""]
  for name in sets:
    header += [name + unit, *(["paper"] if paper else [])]
  table = [header]
  for arm in ("bicubic", *results["arms"]):
    row = [arm if arm == "bicubic" else results["arms"][arm]["note"]]
    for name, scores in sets.items():
      row.append(mean(scores[arm], measure).text(digits))
      if paper:
        row.append(f"{paper[arm][name]:.2f}" if name in paper.get(arm, {}) else "-")
    table.append(row)
  return table


def sentences(results: dict[str, Any]) -> Iterator[str]:
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
      value = f"{reached.value:.2f} dB, {interval}"
      yield f"{note} on {name}: {value}; {side} the paper's {number:.2f}."
  for arm in results["arms"].values():
    if arm["rate_at_edge"]:
      yield (
        f"The best learning rate of {arm['note']}, {arm['learning_rate']:g}, is the "
        f"{arm['rate_at_edge']} of the grid: a wider --learning_rate may change its scores."
      )


def write(
  run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]
) -> None:
  """Writes the report of a run from what its results.json, timing.json and config.json hold."""
  arms = results["arms"].values()
  budgets = [["", *next(iter(arms))["budget"]]]
  budgets += [[arm["note"], *(f"{value:g}" for value in arm["budget"].values())] for arm in arms]
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
