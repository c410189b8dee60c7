"""A report as one HTML page that needs neither network nor script."""

import base64
import re
import shlex

import jinja2

from sr_jax.report.model import Block, Figure, Section, Table

# As "31.20", "+0.1 to +0.2", "30.12 (7 of 8)", "30.12, 1 of 2 diverged"; "-" where there is none.
NUMBER = re.compile(r"([-+\d.,e() ]|to|of|diverged|did not learn)*")
WIDTH = 88  # characters of a line of a command
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def render(report: Section) -> str:
  """The whole page."""
  loader = jinja2.PackageLoader("sr_jax", "report")
  page = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
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
  return " \\\n  ".join(lines)


def _kind(block: Block) -> str:
  return type(block).__name__


def _data_uri(figure: Figure) -> str:
  data = base64.b64encode(figure.path.read_bytes()).decode()
  return f"data:{MEDIA_TYPES[figure.path.suffix]};base64,{data}"


def _classes(rows: Table) -> list[str]:
  """The class of every column: the first is a name, others are numbers, prose, or neither."""
  classes = []
  for cells in list(zip(*rows[1:], strict=True))[1:]:
    is_number = all(NUMBER.fullmatch(cell) for cell in cells)
    classes.append("number" if is_number else "prose" if max(map(len, cells)) > 30 else "")
  return ["", *classes]
