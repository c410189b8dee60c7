"""A report as data: a tree of sections and blocks, which `html` and `markdown` render.

A block without content is false, and is left out.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Text:
  """A paragraph; a note is set smaller."""

  text: str
  is_note: bool = False

  def __bool__(self) -> bool:
    return bool(self.text)


@dataclasses.dataclass(frozen=True)
class Bullets:
  """A list of sentences."""

  texts: Sequence[str]

  def __bool__(self) -> bool:
    return bool(self.texts)


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of text cells, the header first."""

  rows: Sequence[Sequence[str]]

  def __bool__(self) -> bool:
    return len(self.rows) > 1


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture, what it shows in words, and what stands below it."""

  path: Path
  alt: str
  caption: str = ""

  def __bool__(self) -> bool:
    return self.path.exists()


@dataclasses.dataclass(frozen=True)
class Gallery:
  """Figures side by side, "pair" or "thumbnails"."""

  figures: Sequence[Figure]
  layout: str

  def __bool__(self) -> bool:
    return any(self.figures)


@dataclasses.dataclass(frozen=True)
class Command:
  """A command for a shell."""

  text: str


@dataclasses.dataclass(frozen=True)
class Answer:
  """A decision as a badge, its effect in large letters, and sentences on it.

  Attributes:
    decision: in a few words, of which there is a style.
    effect: with its unit; empty if there is none.
    interval: of the effect.
    texts: the sentences.
  """

  decision: str
  effect: str
  interval: str
  texts: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Section:
  """A title and its blocks; a folded section opens on a click. A report is a section, too."""

  title: str
  blocks: "Sequence[Block]"
  is_folded: bool = False

  def __bool__(self) -> bool:
    return any(self.blocks)


Block = Text | Bullets | Table | Figure | Gallery | Command | Answer | Section
