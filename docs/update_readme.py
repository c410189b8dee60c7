"""Writes the result of a run into README.md: `python docs/update_readme.py RUN`.

Replaces what stands between the two `matched_flops` marks and copies two figures of the run to
docs/figures, so that no number in the README is written by hand.
"""

import re
import shutil
import sys
from pathlib import Path

from sr_jax.analysis import report, verdict
from sr_jax.console import markdown_table
from sr_jax.run_folder import read_json

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
FIGURES = ("example", "differences_by_image")


def main(run_dir: Path) -> None:
  """Renders the block and swaps it in."""
  results, timing = read_json(run_dir / "results.json"), read_json(run_dir / "timing.json")
  for name in FIGURES:
    shutil.copy(run_dir / "figures" / f"{name}.png", DOCS / "figures" / f"{name}.png")
  sentences = [*results["verdict"]["sentences"], verdict.time_sentence(timing)]
  minutes = sum(timing["phase_seconds"].values()) / 60
  block = "\n\n".join(
    [
      markdown_table(report.score_rows(results)),
      "\n".join(f"- {sentence}" for sentence in sentences),
      f"Written by the command above in {minutes:.1f} minutes on {timing['device']}.",
    ]
  )
  text = README.read_text()
  marks = ("<!-- matched_flops -->", "<!-- end of matched_flops -->")
  pattern = re.compile(f"{marks[0]}.*?{marks[1]}", re.DOTALL)
  README.write_text(pattern.sub(lambda _: f"{marks[0]}\n{block}\n{marks[1]}", text))


if __name__ == "__main__":
  main(Path(sys.argv[1]))
