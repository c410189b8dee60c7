"""report.md and report.html of a run, written from the files in its folder and from nothing else.

So they can be written again when this code has improved, without training again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.comparison import verdict
from sr_jax.data.images import Photo
from sr_jax.report import html_report, tables
from sr_jax.runtime.console import markdown_table
from sr_jax.runtime.run_folder import RunFolder


def draw_photographs(
  results: dict[str, Any],
  test: Sequence[Photo],
  upscaled: dict[str, np.ndarray] | None,
  run_dir: RunFolder,
) -> None:
  """Saves the pictures of a report that need the photographs; those there already stay.

  Args:
    results: with a verdict.
    test: photographs of the first test set.
    upscaled: the `typical` one by arm, 8-bit HR luminance; None for no picture of it.
    run_dir: the run's folder.
  """
  from sr_jax.report import figures, pictures  # noqa: PLC0415  # Matplotlib takes seconds

  folder = run_dir.figures
  folder.mkdir(exist_ok=True)
  pictures.save_thumbnails(results, test, folder)
  if upscaled is not None:
    photo = test[typical(results)]
    figure = pictures.example(photo, upscaled, results["config"]["scale"])
    figures.save(figure, folder / "example.png")


def typical(results: dict[str, Any]) -> int:
  """Place of the test photograph whose difference lies closest to the mean difference."""
  by_image = results["verdict"]["test_difference_by_image"]
  if not by_image:
    return 0
  return int(np.argmin(np.abs(np.array(by_image) - results["verdict"]["test"]["mean"])))


def write(
  run_dir: RunFolder,
  results: dict[str, Any],
  timing: dict[str, Any],
  about: dict[str, Any],
  lines: Sequence[dict[str, Any]],
) -> None:
  """Draws the figures of a finished run and writes report.md and report.html."""
  from sr_jax.report import effect_figures, figures  # noqa: PLC0415  # Matplotlib takes seconds

  folder = run_dir.figures
  folder.mkdir(exist_ok=True)
  drawn = {
    "effects": effect_figures.effects(results),
    "forest": effect_figures.forest(results),
    "arms": figures.arms(results),
    "differences_by_image": effect_figures.differences_by_image(results),
    "equal_flops": figures.equal_flops(results),
    "equal_time": figures.equal_time(results, timing),
    "learning_curves": figures.learning_curves(lines, results),
    "rates": figures.rates(results),
  }
  for name, figure in drawn.items():
    if figure is not None:
      figures.save(figure, folder / f"{name}.png")
  _write(run_dir.markdown_report, markdown(results, timing, about, folder))
  _write(run_dir.report, html_report.page(results, timing, about, folder))


def _write(path: Path, text: str) -> None:
  """Writes a file unless it says the same already."""
  if not path.exists() or path.read_text(encoding="utf-8") != text:
    path.write_text(text, encoding="utf-8")


def markdown(
  results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any], folder: Path
) -> str:
  """The text of report.md; figures that are not in the folder are left out."""
  said = results["verdict"]
  bootstrap = "; ".join(
    f"{where} {said[key]['bootstrap_low']:+.3f} to {said[key]['bootstrap_high']:+.3f} dB"
    for key, where in (("test", "test photographs"), ("training", "training patches"))
    if said[key]["bootstrap_low"] is not None
  )
  searches = tables.search_rows(results)

  def figure(name: str, title: str) -> str:
    return f"![{title}](figures/{name}.png)" if (folder / f"{name}.png").exists() else ""

  example = figure("example", "One photograph")
  parts = [
    f"# {results['experiment']}",
    "\n\n".join([*said["sentences"], verdict.time_sentence(timing, said["contrast"])]),
    markdown_table(tables.score_rows(results)),
    markdown_table(tables.rows_by_set(results)) if results["further_tests"] else "",
    "\n\n".join(results["notes"]),
    "## Contrasts",
    markdown_table(tables.contrast_rows(results)),
    tables.ABOUT_CONTRASTS,
    figure("forest", "All contrasts"),
    figure("arms", "All arms"),
    figure("differences_by_image", "Differences by image"),
    f"Crossed bootstrap, for comparison (too narrow with few seeds or photographs): {bootstrap}."
    if bootstrap
    else "",
    figure("learning_curves", "Learning curves"),
    example,
    tables.ABOUT_EXAMPLE if example else "",
    "## Budget",
    markdown_table(tables.budget_rows(results, timing)),
    "\n\n".join(verdict.at_equal_time(results, timing)),
    "## Mean PSNR (dB) by photograph",
    markdown_table(tables.photograph_rows(results)),
    "## Search for a learning rate: mean validation PSNR (dB)" if searches else "",
    markdown_table(searches) if searches else "",
    "## How the final training of every seed ended",
    markdown_table(tables.status_rows(results)),
    "## Wall time of the session that finished the run",
    markdown_table(tables.time_rows(timing)),
    "## To reproduce",
    f"```\n{tables.command(results)}\n```",
    markdown_table(tables.version_rows(about)),
  ]
  return "\n\n".join(part for part in parts if part) + "\n"
