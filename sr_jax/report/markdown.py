"""A report as Markdown, beside the pictures that it shows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sr_jax.report.model import Answer, Block, Bullets, Command, Figure, Gallery, Section, Table


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
    case Section():
      yield f"{'#' * level} {escape(block.title)}"
      for inner in block.blocks:
        yield from _paragraphs(inner, folder, level + 1)
    case Gallery():
      for figure in block.figures:
        yield from _paragraphs(figure, folder, level)
    case Figure():
      yield f"![{escape(block.alt)}]({block.path.relative_to(folder).as_posix()})"
      if block.caption:
        yield escape(block.caption)
    case Answer():
      yield " ".join(filter(None, [f"**{block.decision}**", block.effect, block.interval]))
      yield from map(escape, block.sentences)
    case Command():
      yield f"```\n{block}\n```"
    case Bullets():
      yield "\n".join(f"- {escape(text)}" for text in block)
    case Table():
      yield table(block)
    case str():
      yield escape(block)
