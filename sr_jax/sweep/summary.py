"""What a sweep found so far: sweep.html, one page without network or script, and sweep.csv."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from sr_jax.comparison.statistics import SESOI
from sr_jax.report import figures
from sr_jax.report import html_parts as parts
from sr_jax.report.effect_figures import band, draw
from sr_jax.report.figures import COLOURS, STYLE, WIDTH
from sr_jax.report.tables import between
from sr_jax.runtime.files import replace_text

MOST_DRAWN = 200  # points: an image of more is too tall to be looked at
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
    said: why it failed.
  """

  at: dict[str, str]
  run: str
  state: str
  headline: dict[str, str]
  verdict: dict[str, Any] | None
  said: str


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
  replace_text(folder / "sweep.html", page(experiment, rows, flags, picture))


def as_csv(rows: Sequence[Row]) -> str:
  """A line a point: what is swept, how it stands, the effect in dB or the headline, what failed."""
  columns = list(dict.fromkeys(name for row in rows for name in row.headline))
  if any(row.verdict for row in rows):
    columns = ["contrast", *EFFECT]
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow([*rows[0].at, "state", "run", *columns, "failure"])
  for row in rows:
    found: dict[str, Any] = dict(row.headline)
    if row.verdict:
      found = {"contrast": between(row.verdict["contrast"]), **row.verdict["test"]}
    cells = [found.get(name) for name in columns]
    writer.writerow([*row.at.values(), row.state, row.run, *cells, row.said])
  return buffer.getvalue()


def page(experiment: str, rows: Sequence[Row], flags: Sequence[str], picture: Path) -> str:
  """The page; the picture is left out if it is not there."""
  names = list(rows[0].at)
  axes = " and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])
  title = f"{experiment} over {axes}" if axes else experiment
  effects = any(row.verdict for row in rows)
  about = (
    "PSNR difference on test photographs of every finished point, first network minus second. Thin "
    "bars: 95 % intervals over seeds and photographs; thick: over seeds alone. Grey: within "
    f"{SESOI} dB of nothing. Every interval is of its own point, and nothing is adjusted for their "
    "number."
  )
  if len(rows) > MOST_DRAWN:
    about += f" Drawn are the first {MOST_DRAWN} of {len(rows)} points."
  failed = [f"{_label(row.at) or row.run}: {row.said}" for row in rows if row.said]
  return parts.page(
    title,
    parts.say(standing(rows)),
    parts.section(
      "Effect at every point",
      parts.figure(picture, f"Forest plot of {len(rows)} points; the table has the numbers.", about)
      if effects
      else "",
    )
    + parts.section("Every point", parts.table(table_rows(rows)))
    + parts.section("What failed", parts.bullets(failed))
    + parts.section(
      "Reproduce",
      parts.command(shlex.join(["python", "launch.py", *flags])),
      parts.say("It does what is missing, and writes this page again.", "what"),
    ),
  )


def standing(rows: Sequence[Row]) -> str:
  """How many points are done, and what the verdicts are."""
  states = Counter(row.state for row in rows)
  said = f"{states['done']} of {len(rows)} points are done"
  others = [f"{states[state]} {state}" for state in STATES[1:] if states[state]]
  said += f" ({', '.join(others)})." if others else "."
  decisions = Counter(row.verdict["test"]["decision"] for row in rows if row.verdict)
  if decisions:
    counts = ", ".join(f"{count} {decision}" for decision, count in decisions.most_common())
    said += f" Decisions: {counts}."
  return said


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
  shown = rows[:MOST_DRAWN]
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
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    for heading in headings:
      axes.get_yticklabels()[heading].set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    figure.set_size_inches(WIDTH, 1 + 0.26 * len(labels))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
  return figure


def _drawable(row: Row) -> bool:
  return row.verdict is not None and row.verdict["test"]["mean"] is not None


def _say_why(axes: Any, text: str, row: int) -> None:
  """A word where an effect would be."""
  place = axes.get_yaxis_transform()
  axes.text(
    0.98, row, text, transform=place, ha="right", va="center", color="0.45", style="italic", size=9
  )
