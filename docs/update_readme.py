"""Writes measured results into the pages: `python -m docs.update_readme [RUN_OR_JSON...]`.

Takes folders of finished runs and JSON files of benchmarks, keeps them in results/, and writes what
stands between the marks of blocks in README.md and docs/ again from all that is kept there, so that
no number and no finding is written by hand.
"""

import re
import sys
from pathlib import Path
from typing import Any

from docs import benchmark_blocks, comparison_blocks, findings, kept_results, run_blocks
from sr_jax.report import effect_figures, figures

DOCS = Path(__file__).parent
PAGES = (
  DOCS.parent / "README.md",
  *(
    DOCS / f"{name}.md"
    for name in (
      "RESULTS",
      "STATISTICS",
      "PERFORMANCE",
      "SCALING",
      "PROTOCOL",
      "IDENTITIES",
      "RUN_FOLDER",
    )
  ),
)
DRAWN = {
  "confirmatory": {
    "forest": effect_figures.forest,
    "arms": figures.arms,
    "rates": figures.rates,
    "differences_by_image": effect_figures.differences_by_image,
  }
}


def blocks() -> dict[str, str]:
  """The text of every block, by the name of its marks, from what is kept."""
  kept = kept_results.everything()
  return {
    **findings.blocks(kept),
    **comparison_blocks.blocks(kept),
    **run_blocks.blocks(kept),
    **benchmark_blocks.blocks(kept),
  }


def rewritten(texts: dict[Path, str]) -> dict[Path, str]:
  """The pages with every block written again.

  Raises:
    ValueError: a block has no place, or a place no block.
  """
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
  """Draws the figures that follow from kept results alone, without photographs."""
  for name, drawn in DRAWN.items():
    results = kept_results.everything()[name]["results"]
    for name_of_figure, function in drawn.items():
      figure: Any = function(results)
      figures.save(figure, kept_results.FIGURES / f"{name}_{name_of_figure}.png")


def main(sources: list[Path]) -> None:
  """Keeps each source, draws, and swaps all blocks in."""
  for source in sources:
    kept_results.keep(source)
  draw()
  for page, text in rewritten({page: page.read_text() for page in PAGES}).items():
    page.write_text(text)


if __name__ == "__main__":
  main([Path(argument) for argument in sys.argv[1:]])
