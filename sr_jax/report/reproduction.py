"""What networks reach, beside the numbers that their papers print: table, sentences, report.md."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sr_jax.comparison.statistics import ci_half_width_over_seeds
from sr_jax.config import as_flags
from sr_jax.runtime.console import markdown_table
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import reproducing


class Mean(NamedTuple):
  """The mean over images of an arm's score on a test set, over its members not diverged.

  Attributes:
    value: the mean over members; None if all diverged.
    reach: half its 95 % t interval over seeds; None for less than two members.
    members: how many, of how many.
  """

  value: float | None
  reach: float | None
  members: tuple[int, int]

  def text(self, digits: int) -> str:
    """The mean and its interval, and the members if some diverged."""
    alive, of = self.members
    if self.value is None:
      return "diverged"
    interval = "" if self.reach is None else f" +- {self.reach:.{digits}f}"
    return f"{self.value:.{digits}f}{interval}" + (f" ({alive} of {of})" if alive < of else "")


def mean(scores: list[dict[str, Any]], measure: str) -> Mean:
  """The mean of "psnr" or "ssim", `scores` being those of each member."""
  finite = [np.mean(one[measure]) for one in scores if None not in one[measure]]
  count = (len(finite), len(scores))
  if not finite:
    return Mean(None, None, count)
  return Mean(float(np.mean(finite)), ci_half_width_over_seeds(np.array(finite)), count)


def scores_on(results: dict[str, Any], test_set: str) -> dict[str, list[dict[str, Any]]]:
  """Every arm's scores on a test set, one a member (no values if diverged); bicubic's first."""
  if test_set == results["tests"][0]:
    bicubic = results["bicubic"]["test"]
    arms = {
      name: [member["test"] for member in arm["members"]] for name, arm in results["arms"].items()
    }
  else:
    bicubic, arms = (results["further_tests"][test_set][key] for key in ("bicubic", "arms"))
  nothing = {"psnr": [None], "ssim": [None]}
  alive = {
    name: [
      nothing if member["status"] == "diverged" else one
      for member, one in zip(results["arms"][name]["members"], scores, strict=True)
    ]
    for name, scores in arms.items()
  }
  return {"bicubic": [bicubic], **alive}


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
      found = mean(scores_on(results, name)[arm], "psnr")
      if found.value is None:
        yield f"{note} on {name}: diverged."
        continue
      interval = "one seed"
      if found.reach is not None:
        low, high = found.value - found.reach, found.value + found.reach
        interval = f"95 % interval over {found.members[0]} seeds {low:.2f} to {high:.2f}"
      off = round(found.value, 2) - number
      side = "as" if abs(off) < 0.005 else f"{abs(off):.2f} dB {'above' if off > 0 else 'below'}"
      yield f"{note} on {name}: {found.value:.2f} dB, {interval}; {side} the paper's {number:.2f}."
  for arm in results["arms"].values():
    if arm["rate_at_edge"]:
      yield (
        f"The best learning rate of {arm['note']}, {arm['learning_rate']:g}, is the "
        f"{arm['rate_at_edge']} of the grid: a wider --learning_rate may change its scores."
      )


def markdown(results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]) -> str:
  """The text of report.md."""
  budgets = [["", *next(iter(results["arms"].values()))["budget"]]]
  budgets += [
    [arm["note"], *(f"{value:g}" for value in arm["budget"].values())]
    for arm in results["arms"].values()
  ]
  searches = [["", "learning rate", "seed", "validation PSNR (dB)"]]
  for arm in results["arms"].values():
    for one in arm["search"]:
      psnr = one["validation_psnr"]
      shown = "diverged" if psnr is None else f"{psnr:.3f}"
      searches.append([arm["note"], f"{one['learning_rate']:g}", str(one["seed"]), shown])
  command = (
    f"python launch.py --experiment={results['experiment']} {as_flags(reproducing(results))}"
  )
  seconds = timing["phase_seconds"]
  parts = [
    f"# {results['experiment']}",
    "\n".join(f"- {sentence}" for sentence in sentences(results)),
    markdown_table(rows(results)),
    "Means over images and seeds, +- half the 95 % interval over seeds (what another set of seeds "
    "would give on these images, not what other images would).",
    markdown_table(rows(results, "ssim")),
    "\n\n".join(results["notes"]),
    "## Budget (per HR pixel where it applies)",
    markdown_table(budgets),
    "## Search for a learning rate" if len(searches) > 1 else "",
    markdown_table(searches) if len(searches) > 1 else "",
    f"## Wall time of the session that finished the run ({timing['device']})",
    markdown_table([["phase", "seconds"], *([k, f"{v:.1f}"] for k, v in seconds.items())]),
    "## To reproduce",
    f"```\n{command}\n```",
    markdown_table([["", "version"], *([k, str(v)] for k, v in about["provenance"].items())]),
  ]
  return "\n\n".join(part for part in parts if part) + "\n"


def write(
  run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]
) -> None:
  """Writes report.md."""
  run_dir.markdown_report.write_text(markdown(results, timing, about))
