"""Writes measured results into the pages: `python -m docs.update_readme [RUN_OR_JSON...]`.

Takes folders of finished runs and JSON files of benchmarks, keeps them in results/, and writes what
stands between the marks of blocks in README.md and docs/ again from all that is kept there, so that
no number and no finding is written by hand.
"""

import dataclasses
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import chaos, conv_transpose, coverage, growth, scaling, startup, train, upsampling
from docs import (
  comparison_blocks,
  convergence_blocks,
  findings,
  kept_results,
  objections,
  question_blocks,
  representation_blocks,
  residual_blocks,
  run_blocks,
  task_blocks,
)
from sr_jax.report import (
  combining_figures,
  convergence_figures,
  dose_figures,
  nested_figures,
  task_figures,
  tuning_figures,
)
from sr_jax.report.effect_figures import differences_by_image, forest
from sr_jax.report.figures import arms, rates, save
from sr_jax.report.gate_figures import gates
from sr_jax.report.lattice_figures import combinations, lattice, shares
from sr_jax.runtime import command_line

DOCS = Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
BENCHMARKS = (chaos, conv_transpose, coverage, growth, scaling, startup, train, upsampling)
DRAWN: dict[str, tuple[Callable[[Any], Any], ...]] = {  # of kept runs, by their names
  "confirmatory": (forest, arms, rates, differences_by_image),
  "when_to_upscale_confirmatory": (lattice, combinations),
  "when_to_upscale_learn": (gates, combinations),
  "what_share_confirmatory": (shares, combinations),
  "what_share_learn": (shares, combinations, gates),
  "what_share_curve": (shares,),
  "residual_confirmatory": (combinations, combining_figures.shares, combining_figures.pictures),
  "other_tasks_confirmatory": (task_figures.forest, task_figures.periodicity),
  "dose_confirmatory": (dose_figures.dose,),
  "nested_confirmatory": (nested_figures.effects,),
  "recipes": (tuning_figures.plateau,),
  "tanh": (tuning_figures.plateau,),
}


@dataclasses.dataclass(frozen=True)
class Arguments:
  """The command line."""

  sources: tuple[str, ...] = command_line.words("folders of finished runs, JSON of benchmarks")


def blocks() -> dict[str, str]:
  """The text of every block, by the name of its marks, from what is kept."""
  kept = kept_results.everything()
  texts = findings.blocks(kept) | comparison_blocks.blocks(kept)
  texts |= question_blocks.blocks(kept) | residual_blocks.blocks(kept) | task_blocks.blocks(kept)
  texts |= run_blocks.blocks(kept) | convergence_blocks.blocks(kept)
  texts |= representation_blocks.blocks(kept) | objections.blocks(kept)
  for benchmark in BENCHMARKS:
    if data := kept.get(benchmark.__name__.rpartition(".")[2]):
      texts |= benchmark.blocks(data)
  return texts


def rewritten(texts: dict[Path, str]) -> dict[Path, str]:
  """The pages with every block written again; a ValueError if a block and a place do not match."""
  texts, written = dict(texts), blocks()
  marked = {name for text in texts.values() for name in re.findall(r"<!-- end of (\w+) -->", text)}
  if missing := marked - written.keys():
    raise ValueError(f"results/ holds nothing for {', '.join(sorted(missing))}")
  for name, block in written.items():
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    page = next((page for page, text in texts.items() if all(mark in text for mark in marks)), None)
    if page is None:
      raise ValueError(f"no page has the marks {marks[0]} ... {marks[1]}")
    before, _, rest = texts[page].partition(marks[0])
    _, _, after = rest.partition(marks[1])
    texts[page] = f"{before}{marks[0]}\n{block}\n{marks[1]}{after}"
  return texts


def draw() -> None:
  """Draws the figures that need kept results alone, no photographs."""
  kept = kept_results.everything()
  for name in DRAWN.keys() & kept.keys():
    for draw_figure in DRAWN[name]:
      if figure := draw_figure(kept[name]["results"]):
        save(figure, kept_results.FIGURES / f"{name}_{draw_figure.__name__}.png")
  lengths = [data["results"] for data in convergence_blocks.runs(kept)]
  if figure := convergence_figures.curve(lengths):
    save(figure, kept_results.FIGURES / "convergence_curve.png")


def main(arguments: Arguments) -> None:
  """Keeps each source, draws, and writes all blocks again."""
  for source in arguments.sources:
    kept_results.keep(Path(source).expanduser())
  draw()
  for page, text in rewritten({page: page.read_text() for page in PAGES}).items():
    page.write_text(text)


if __name__ == "__main__":
  sys.exit(command_line.run(main, Arguments))
