"""Writes measured results into README.md: `python docs/update_readme.py RUN_OR_JSON...`.

Takes folders of finished `matched_flops` and `equivalence` runs and JSON files of
`benchmarks/upsampling.py`, replaces what stands between the marks of that name, and copies figures
to docs/figures, so that no number in the README is written by hand.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from sr_jax.analysis import report, verdict
from sr_jax.console import markdown_table
from sr_jax.run_folder import read_json

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
FIGURES = {
  "matched_flops": ("example", "differences_by_image"),
  "equivalence": ("trained_layer",),
}


def matched_flops(results: dict[str, Any], timing: dict[str, Any]) -> str:
  """Scores, verdict and time."""
  sentences = [*results["verdict"]["sentences"], verdict.time_sentence(timing)]
  minutes = sum(timing["phase_seconds"].values()) / 60
  listed = "\n".join(f"- {sentence}" for sentence in sentences)
  device = timing["device"]
  return (
    f"{markdown_table(report.score_rows(results))}\n\n{listed}\n\n"
    f"(Written by this command in {minutes:.1f} minutes on {device}.)"
  )


def equivalence(results: dict[str, Any], timing: dict[str, Any]) -> str:
  """The sentences of the note with their verdicts."""
  rows = [["the note says", "it is", "because"]]
  for finding in [*results["sentences"], timing["speed"]]:
    rows.append([finding["sentence"], f"**{finding['verdict']}**", finding["evidence"]])
  return markdown_table(rows)


def upsampling(data: dict[str, Any]) -> str:
  """Time of each form over that of the sub-pixel convolution."""
  forms = list(dict.fromkeys(row["form"] for row in data["rows"]))
  rows = [["r", "dtype", *forms]]
  for scale, dtype in dict.fromkeys((row["scale"], row["dtype"]) for row in data["rows"]):
    here = {
      row["form"]: row["seconds"]
      for row in data["rows"]
      if (row["scale"], row["dtype"]) == (scale, dtype)
    }
    base = here["sub-pixel (JAX)"]
    cells = [f"{here[form] / base:.1f}" if form in here else "-" for form in forms]
    rows.append([str(scale), dtype, f"{1e3 * base:.3g} ms = 1", *cells[1:]])
  return f"{markdown_table(rows)}\n\n({data['device']}.)"


def main(sources: list[Path]) -> None:
  """Renders each source's block and swaps it in."""
  text = README.read_text()
  for source in sources:
    if source.is_dir():
      results, timing = read_json(source / "results.json"), read_json(source / "timing.json")
      name = results["experiment"]
      block = {"matched_flops": matched_flops, "equivalence": equivalence}[name](results, timing)
      for figure in FIGURES[name]:
        shutil.copy(source / "figures" / f"{figure}.png", DOCS / "figures" / f"{figure}.png")
    else:
      name, block = "upsampling", upsampling(read_json(source))
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
      raise ValueError(f"README.md has no marks {marks[0]} ... {marks[1]}")
    text = f"{before}{begin}\n{block}\n{end}{after}"
  README.write_text(text)


if __name__ == "__main__":
  main([Path(argument) for argument in sys.argv[1:]])
