"""The report of a comparison over grids: the advantage of LR maps against log R."""

from sr_jax.comparison.dose_sentences import HR, grid_title
from sr_jax.comparison.phrases import in_unit, percent
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import titled
from sr_jax.report import dose_figures, model, pages
from sr_jax.report.figures import save
from sr_jax.report.model import Answer, Bullets, Json, Section, Table
from sr_jax.report.tables import Rows, budget_rows
from sr_jax.runtime.run_folder import RunFolder

ABOUT_ROWS = (
  "Advantage: LR - HR learned as a share of what LR gains over interpolation. Line: the fit at "
  "this R. Effects are mean paired differences, with 95 % intervals over seeds and images."
)
BADGES = {
  "one line": "supported",
  "grows": "supported",
  "does not grow": "reversed",
  "undecided": "undecided",
}


def rows(results: Json) -> Rows:
  """Every grid as text cells, the header first."""
  header = ["grid", "R", "parameters LR / HR", "LR's gain (dB)", "LR - HR learned (dB)"]
  table = [[*header, "advantage", "line", "weight", "images"]]
  for grid in results["verdict"]["grids"].values():
    ratio = grid["parameters"][LR] / grid["parameters"][HR]
    cells = [
      str(grid["phases"]),
      f"{ratio:.1f}",
      in_unit(grid["gain"], "", 2),
      in_unit(grid["effect"], ""),
    ]
    is_fitted = grid["line"] is not None
    line = f"{100 * grid['line']:+.1f} %" if is_fitted else "-"
    weight = f"{100 * grid['weight']:.0f} %" if is_fitted else "-"
    table.append(
      [grid_title(grid), *cells, percent(grid["advantage"]), line, weight, str(grid["images"])]
    )
  return table


def _member_rows(record: Json) -> Rows:
  """The rate of every network, and how the training of its seeds ended."""
  table = [["network", "learning rate", "of", "at an end of these", "seeds that ended"]]
  rates = ", ".join(f"{rate:g}" for rate in record["learning_rates"])
  for name, arm in record["arms"].items():
    statuses = [member["status"] for member in arm["members"]]
    ended = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    edge = arm["rate_at_edge"] or "-"
    table.append([titled(name), f"{arm['learning_rate']:g}", rates, edge, ended])
  return table


def write(run_dir: RunFolder, results: Json, timing: Json, about: Json) -> None:
  """Writes the report of a run from what its results.json, timing.json and config.json hold."""
  verdict, line = results["verdict"], results["verdict"]["line"]
  path = run_dir.figures / "dose.png"
  run_dir.figures.mkdir(exist_ok=True)
  if (drawn := dose_figures.dose(results)) is not None:
    save(drawn, path)
  grids = results["grids"]
  costs = [
    Section(
      grid_title(verdict["grids"][name]),
      Table(budget_rows(record["arms"], timing["grids"][name])),
      Table(_member_rows(record)),
      Bullets(record["notes"]),
    )
    for name, record in grids.items()
  ]
  interval = line and f"{100 * line['slope']['low']:+.1f} to {100 * line['slope']['high']:+.1f} %"
  report = Section(
    "Does the advantage of LR maps grow with the parameters that they have more?",
    Answer(
      BADGES[verdict["decision"]],
      f"{100 * line['slope']['mean']:+.1f} % a doubling of R" if line else "",
      interval or "",
      verdict["sentences"],
    ),
    Section(
      "The advantage against log R",
      model.Figure(
        path,
        "The advantage of LR on every grid against log R, and the line through it; the table below "
        "has the numbers.",
        dose_figures.ABOUT,
      ),
      Table(rows(results)),
      model.Note(ABOUT_ROWS),
    ),
    Section("What every network costs, rates and notes", *costs, is_folded=True),
    Section("Notes on the data", Bullets(results["notes"])),
    pages.reproduce(results, timing, about),
  )
  pages.write(run_dir, report)
