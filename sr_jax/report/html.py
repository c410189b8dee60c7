"""A report as one HTML page that needs neither network nor script."""

import base64
import re
import shlex
from collections.abc import Sequence

import jinja2

from sr_jax.report.model import Block, Figure, Section

# As "31.20", "+0.1 to +0.2", "30.12 (7 of 8)", "30.12, 1 of 2 diverged"; "-" where there is none.
NUMBER = re.compile(r"([-+\d.,e() ]|to|of|diverged|did not learn)*")
PROSE = 30  # characters of a cell that may be broken into lines
WIDTH = 88  # characters of a line of a command
CONTINUED = " \\\n  "
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def render(report: Section) -> str:
  """The whole page."""
  page = jinja2.Environment(
    loader=jinja2.PackageLoader("sr_jax", "report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  page.filters |= {"kind": _kind, "data_uri": _data_uri, "wrap": wrap, "classes": _classes}
  return page.get_template("page.html.jinja").render(report=report)


def wrap(command: str) -> str:
  """A command, quoted for a shell, on lines that the shell joins again."""
  lines: list[str] = []
  for word in map(shlex.quote, shlex.split(command)):
    if lines and len(lines[-1]) + 1 + len(word) <= WIDTH:
      lines[-1] += f" {word}"
    else:
      lines.append(word)
  return CONTINUED.join(lines)


def _kind(block: Block) -> str:
  return type(block).__name__


def _data_uri(figure: Figure) -> str:
  data = base64.b64encode(figure.path.read_bytes()).decode()
  return f"data:{MEDIA_TYPES[figure.path.suffix]};base64,{data}"


def _classes(rows: Sequence[Sequence[str]]) -> list[str]:
  """The class of every column: the first is a name, others are numbers, prose, or neither."""
  return ["", *map(_class, list(zip(*rows[1:], strict=True))[1:])]


def _class(cells: Sequence[str]) -> str:
  if all(NUMBER.fullmatch(cell) for cell in cells):
    return "number"
  return "prose" if max(map(len, cells)) > PROSE else ""
