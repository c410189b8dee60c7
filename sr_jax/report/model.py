"""A report as data, which `html` and `markdown` render: sections of blocks.

A block is a paragraph (a string) or of a kind below. Blocks without content are left out.
"""

from pathlib import Path
from typing import Any, NamedTuple, Union

Json = dict[str, Any]  # what a file of a run holds


class Note(str):
  """A paragraph that is set smaller."""


class Command(str):
  """A command for a shell."""


class Bullets(list[str]):
  """A list of sentences."""


class Table(list[list[str]]):
  """Rows of text cells, the header first."""

  def __bool__(self) -> bool:
    return len(self) > 1


class Figure(NamedTuple):
  """A picture, what it shows in words, and what stands below it."""

  path: Path
  alt: str
  caption: str = ""

  def __bool__(self) -> bool:
    return self.path.exists()


class Gallery:
  """Figures side by side, two of them or as thumbnails."""

  def __init__(self, layout: str, *figures: Figure) -> None:
    self.layout, self.figures = layout, list(filter(None, figures))

  def __bool__(self) -> bool:
    return bool(self.figures)


class Answer(NamedTuple):
  """A decision as a badge, its effect in large letters, if it has one, and sentences on it."""

  decision: str
  effect: str
  interval: str
  sentences: list[str]


class Section:
  """A title and its blocks; a folded section opens on a click. A whole report is a section, too."""

  def __init__(self, title: str, *blocks: "Block", is_folded: bool = False) -> None:
    self.title, self.is_folded = title, is_folded
    self.blocks: list[Block] = [block for block in blocks if block]

  def __bool__(self) -> bool:
    return bool(self.blocks)


Block = Union[str, Bullets, Table, Figure, Gallery, Answer, Section]  # noqa: UP007
