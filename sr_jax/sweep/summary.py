"""The results of a sweep so far, as a page (sweep.html) and as a table (sweep.csv)."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from sr_jax.report import figures, html, model
from sr_jax.report.effect_figures import Line, forest_plot
from sr_jax.report.model import Bullets, Command, Note, Section, Table
from sr_jax.report.tables import ABOUT_BARS, between
from sr_jax.runtime.files import replace_text

MAX_DRAWN = 200  # points: an image of more is too tall to be looked at
EFFECT = ("mean", "low", "high", "seed_low", "seed_high", "seeds", "images", "decision")
STATES = ("done", "begun", "failed", "damaged", "missing")


class Row(NamedTuple):
  """A point of a sweep.

  Attributes:
    at: what is swept, and its values here.
    run: name of its run's folder.
    state: from `STATES`.
    headline: columns of its result, where it is done.
    verdict: of its results, where it is done and its experiment has one.
    failure: why it failed; else empty.
  """

  at: dict[str, str]
  run: str
  state: str
  headline: dict[str, str]
  verdict: dict[str, Any] | None
  failure: str


def write(folder: Path, experiment: str, rows: Sequence[Row], flags: Sequence[str]) -> None:
  """Writes both files, each whole, and the figure; an OSError if the folder cannot be written."""
  picture = folder / "forest.png"
  if (figure := forest(rows)) is not None:
    fresh = folder / "forest.new.png"
    figures.save(figure, fresh)
    fresh.replace(picture)
  replace_text(folder / "sweep.csv", as_csv(rows))
  replace_text(folder / "sweep.html", html.render(page(experiment, rows, flags, picture)))


def as_csv(rows: Sequence[Row]) -> str:
  """A line a point: what is swept, how it stands, the effect in dB or the headline, what failed."""
  columns = ["contrast", *EFFECT] if any(row.verdict for row in rows) else _columns(rows)
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow([*rows[0].at, "state", "run", *columns, "failure"])
  for row in rows:
    values: dict[str, Any] = dict(row.headline)
    if row.verdict:
      values = {"contrast": between(row.verdict["contrast"]), **row.verdict["test"]}
    cells = map(values.get, columns)
    writer.writerow([*row.at.values(), row.state, row.run, *cells, row.failure])
  return buffer.getvalue()


def page(experiment: str, rows: Sequence[Row], flags: Sequence[str], picture: Path) -> Section:
  """The page; without an effect it has no picture."""
  names = list(rows[0].at)
  axes = " and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])
  about = (
    "PSNR difference on test photographs of every finished point, first network minus second. "
    f"{ABOUT_BARS} Every interval is of its own point, and nothing is adjusted for their number."
  )
  if len(rows) > MAX_DRAWN:
    about += f" Drawn are the first {MAX_DRAWN} of {len(rows)} points."
  alt = f"Forest plot of {len(rows)} points; the table has the numbers."
  effects = [model.Figure(picture, alt, about)] if any(row.verdict for row in rows) else []
  failures = [f"{_label(row.at) or row.run}: {row.failure}" for row in rows if row.failure]
  return Section(
    f"{experiment} over {axes}" if axes else experiment,
    standing(rows),
    Section("Effect at every point", *effects),
    Section("Every point", Table(table_rows(rows))),
    Section("What failed", Bullets(failures)),
    Section(
      "Reproduce",
      Command(shlex.join(["python", "launch.py", *flags])),
      Note("It runs what is missing, and writes this page again."),
    ),
  )


def standing(rows: Sequence[Row]) -> str:
  """How many points are done, and what the verdicts are."""
  states = Counter(row.state for row in rows)
  text = f"{states['done']} of {len(rows)} points are done"
  others = [f"{states[state]} {state}" for state in STATES[1:] if states[state]]
  text += f" ({', '.join(others)})." if others else "."
  decisions = Counter(row.verdict["test"]["decision"] for row in rows if row.verdict)
  counts = ", ".join(f"{count} {decision}" for decision, count in decisions.most_common())
  return f"{text} Decisions: {counts}." if counts else text


def table_rows(rows: Sequence[Row]) -> list[list[str]]:
  """The points as text cells, the header first; the name of the run's folder is last."""
  columns = _columns(rows)
  cells = [[*rows[0].at, *columns, "state", "run"]]
  for row in rows:
    results = (row.headline.get(name, "-") for name in columns)
    cells.append([*row.at.values(), *results, row.state, row.run])
  return cells


def _columns(rows: Sequence[Row]) -> list[str]:
  return list(dict.fromkeys(name for row in rows for name in row.headline))


def _label(at: dict[str, str]) -> str:
  return ", ".join(f"{name} {value}" for name, value in at.items())


def forest(rows: Sequence[Row]) -> Figure | None:
  """The effect at every point, grouped by what is swept outermost; None if there is none."""
  if not any(_effect(row) for row in rows):
    return None
  is_grouped = len(rows[0].at) > 1
  lines: list[Line] = []
  heading = ""
  for row in rows[:MAX_DRAWN]:
    outer, *inner = row.at.items() or [("", "")]
    if is_grouped and " ".join(outer) != heading:
      heading = " ".join(outer)
      lines.append(Line(heading))
    label = _label(dict(inner) if is_grouped else row.at) or row.run
    lines.append(Line(label, _effect(row) or ("no effect" if row.state == "done" else row.state)))
  contrasts = {between(row.verdict["contrast"]) for row in rows if row.verdict}
  return forest_plot(lines, f" {contrasts.pop()}" if len(contrasts) == 1 else ", first - second")


def _effect(row: Row) -> dict[str, Any] | None:
  test = row.verdict["test"] if row.verdict else {"mean": None}
  return None if test["mean"] is None else test
