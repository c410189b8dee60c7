"""A report as Markdown, beside the pictures that it shows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sr_jax.report.model import (
  Answer,
  Block,
  Bullets,
  Command,
  Figure,
  Gallery,
  Section,
  Table,
  Text,
)


def render(report: Section, folder: Path) -> str:
  """The whole text, as a file in the folder."""
  return "\n\n".join(_paragraphs(report, folder, 1)) + "\n"


def table(rows: Sequence[Sequence[str]]) -> str:
  """Rows of text cells, the header first, as a Markdown table."""
  lines = [f"| {' | '.join(map(escape, row))} |" for row in rows]
  return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def escape(text: str) -> str:
  """A text that neither ends a cell nor begins an HTML element."""
  return text.replace("|", "\\|").replace("<", "\\<")


def _paragraphs(block: Block, folder: Path, level: int) -> Iterator[str]:
  match block:
    case Section(title, blocks):
      yield f"{'#' * level} {escape(title)}"
      for inner in filter(None, blocks):
        yield from _paragraphs(inner, folder, level + 1)
    case Text(text):
      yield escape(text)
    case Bullets(texts):
      yield "\n".join(f"- {escape(text)}" for text in texts)
    case Table(rows):
      yield table(rows)
    case Figure(path, alt, caption):
      yield f"![{escape(alt)}]({path.relative_to(folder).as_posix()})"
      if caption:
        yield escape(caption)
    case Gallery(figures):
      for figure in filter(None, figures):
        yield from _paragraphs(figure, folder, level)
    case Command(text):
      yield f"```\n{text}\n```"
    case Answer(decision, effect, interval, texts):
      yield " ".join(filter(None, [f"**{decision}**", effect, interval]))
      yield from map(escape, texts)
