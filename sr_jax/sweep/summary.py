"""The results of a sweep so far, as a page (sweep.html) and as a table (sweep.csv)."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from sr_jax.report import figures, html, model
from sr_jax.report.effect_figures import band, draw, label_rows
from sr_jax.report.figures import COLOURS, STYLE, WIDTH
from sr_jax.report.model import Bullets, Command, Section, Table, Text
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
    state: one of `STATES`.
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
  """Writes both files, each whole, and the figure that the page holds.

  Raises:
    OSError: the folder cannot be written.
  """
  picture = folder / "forest.png"
  if (figure := forest(rows)) is not None:
    fresh = folder / "forest.new.png"
    figures.save(figure, fresh)
    fresh.replace(picture)
  replace_text(folder / "sweep.csv", as_csv(rows))
  replace_text(folder / "sweep.html", html.render(page(experiment, rows, flags, picture)))


def as_csv(rows: Sequence[Row]) -> str:
  """A line a point: what is swept, how it stands, the effect in dB or the headline, what failed."""
  columns = list(dict.fromkeys(name for row in rows for name in row.headline))
  if any(row.verdict for row in rows):
    columns = ["contrast", *EFFECT]
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow([*rows[0].at, "state", "run", *columns, "failure"])
  for row in rows:
    values: dict[str, Any] = dict(row.headline)
    if row.verdict:
      values = {"contrast": between(row.verdict["contrast"]), **row.verdict["test"]}
    cells = [values.get(name) for name in columns]
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
  effects = model.Figure(
    picture, f"Forest plot of {len(rows)} points; the table has the numbers.", about
  )
  failures = [f"{_label(row.at) or row.run}: {row.failure}" for row in rows if row.failure]
  return Section(
    f"{experiment} over {axes}" if axes else experiment,
    [
      Text(standing(rows)),
      Section("Effect at every point", [effects] if any(row.verdict for row in rows) else []),
      Section("Every point", [Table(table_rows(rows))]),
      Section("What failed", [Bullets(failures)]),
      Section(
        "Reproduce",
        [
          Command(shlex.join(["python", "launch.py", *flags])),
          Text("It runs what is missing, and writes this page again.", is_note=True),
        ],
      ),
    ],
  )


def standing(rows: Sequence[Row]) -> str:
  """How many points are done, and what the verdicts are."""
  states = Counter(row.state for row in rows)
  text = f"{states['done']} of {len(rows)} points are done"
  others = [f"{states[state]} {state}" for state in STATES[1:] if states[state]]
  text += f" ({', '.join(others)})." if others else "."
  decisions = Counter(row.verdict["test"]["decision"] for row in rows if row.verdict)
  if decisions:
    counts = ", ".join(f"{count} {decision}" for decision, count in decisions.most_common())
    text += f" Decisions: {counts}."
  return text


def table_rows(rows: Sequence[Row]) -> list[list[str]]:
  """The points as text cells, the header first; the name of the run's folder is last."""
  columns = list(dict.fromkeys(name for row in rows for name in row.headline))
  header = [*rows[0].at, *columns, "state", "run"]
  return [
    header,
    *(
      [*row.at.values(), *(row.headline.get(name, "-") for name in columns), row.state, row.run]
      for row in rows
    ),
  ]


def _label(at: dict[str, str]) -> str:
  return ", ".join(f"{name} {value}" for name, value in at.items())


def forest(rows: Sequence[Row]) -> Figure | None:
  """The effect at every point, grouped by what is swept outermost; None if there is none."""
  if not any(_drawable(row) for row in rows):
    return None
  shown = rows[:MAX_DRAWN]
  grouped = len(shown[0].at) > 1
  labels: list[str] = []
  headings = []
  group = None
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(WIDTH, 1), layout="constrained")
    axes = figure.subplots()
    contrasts = {between(row.verdict["contrast"]) for row in rows if row.verdict}
    band(axes, f" {contrasts.pop()}" if len(contrasts) == 1 else ", first - second")
    for row in shown:
      (outer, value), *inner = row.at.items() or [("", "")]
      if grouped and value != group:
        group = value
        headings.append(len(labels))
        labels.append(f"{outer} {value}")
      if _drawable(row) and row.verdict:
        draw(axes, row.verdict["test"], len(labels), COLOURS[0], "o")
      else:
        _say_why(axes, "no effect" if row.state == "done" else row.state, len(labels))
      labels.append(_label(dict(inner) if grouped else row.at) or row.run)
    label_rows(axes, labels, headings)
  return figure


def _drawable(row: Row) -> bool:
  return row.verdict is not None and row.verdict["test"]["mean"] is not None


def _say_why(axes: Any, text: str, row: int) -> None:
  """A word where an effect would be."""
  place = axes.get_yaxis_transform()
  axes.text(
    0.98, row, text, transform=place, ha="right", va="center", color="0.45", style="italic", size=9
  )
