"""The section of a report on recipes that networks choose, and on the plateau that some stay on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.comparison.escape import ESCAPE
from sr_jax.comparison.titles import titled
from sr_jax.comparison.tuning_verdict import RECIPES, sentences
from sr_jax.report.model import Bullets, Figure, Json, Section, Table

Rows = list[list[str]]

PLATEAU = "escape"  # the file of the figure
WORDS = {
  "learning_rate": "peak rate",
  "first_rate": "first layer's rate",
  "last_rate": "last layer's rate",
  "gain": "gain",
  "last_gain": "last gain",
  "contrast": "contrast",
  "warmup": "warm-up",
  "clip": "clip",
  "patch": "patch",
  "batch": "batch",
}


def section(results: Json, folder: Path) -> Section:
  """What was searched, chosen and reached; empty for a run without recipes."""
  if RECIPES not in results:
    return Section("Recipes that networks choose")
  linear = results[ESCAPE]["validation_psnr"]
  return Section(
    "Recipes that networks choose",
    Bullets(sentences(results)),
    Figure(
      folder / f"{PLATEAU}.png",
      "Validation PSNR in dB against the training step, of every network, and that of the best "
      "linear filter; the table below has the steps at which networks leave it behind.",
      "Lines: the mean of seeds. Bands: from the lowest to the highest. Dashed: the best linear "
      f"filter of 9x9 LR pixels, at {linear:.2f} dB.",
    ),
    Table(plateau_rows(results)),
    Section("Recipes chosen", Table(chosen_rows(results))),
    Section(
      "Validation PSNR of every recipe in the search (dB)",
      Table(search_rows(results)),
      is_folded=True,
    ),
  )


def plateau_rows(results: Json) -> Rows:
  """How far every network is above the best linear filter, and from which step on."""
  rows = [["arm", "left the plateau", "from step", "above it on validation (dB)", "on test (dB)"]]
  for name, arm in results[ESCAPE]["arms"].items():
    members = arm["members"]
    steps = sorted(m["escape_step"] for m in members if m["escape_step"] is not None)
    span = (
      " to ".join(f"{step:,}" for step in dict.fromkeys((steps[0], steps[-1]))) if steps else "-"
    )
    above = (_mean([m[f"above_on_{split}"] for m in members]) for split in ("validation", "test"))
    rows.append([titled(name), f"{len(steps)} of {len(members)}", span, *above])
  return rows


def chosen_rows(results: Json) -> Rows:
  """The recipes that seeds were trained with, and by how many seeds of each network."""
  varied = _varied(results[RECIPES])
  rows = [["arm", "recipe", "seeds", *map(WORDS.__getitem__, varied), "test PSNR (dB)"]]
  for name, arm in results["arms"].items():
    for recipe in sorted(set(arm["chosen_recipes"])):
      members = [member for member in arm["members"] if member["recipe"] == recipe]
      values = _values(results[RECIPES][recipe], varied)
      number = f"{recipe}" + ", the best" * (recipe == arm["best_recipe"])
      psnr = [
        None if None in member["test"]["psnr"] else float(np.mean(member["test"]["psnr"]))
        for member in members
      ]
      rows.append([titled(name), number, f"{len(members)}", *values, _mean(psnr, "", 2)])
  return rows


def search_rows(results: Json) -> Rows:
  """Every recipe of the search and the mean validation PSNR that it gave every network."""
  recipes, arms = results[RECIPES], results["arms"]
  varied = _varied(recipes)
  rows = [["recipe", *map(WORDS.__getitem__, varied), *map(titled, arms)]]
  linear = f"{results[ESCAPE]['validation_psnr']:.3f}"
  rows.append(["best linear filter", *["-"] * len(varied), *[linear] * len(arms)])
  for number, recipe in enumerate(recipes):
    row = [f"{number}", *_values(recipe, varied)]
    for arm in arms.values():
      psnr = [run["validation_psnr"] for run in arm["search"] if run["recipe"] == number]
      row.append(_mean(psnr, "", 3) + ", the best" * (number == arm["best_recipe"]))
    rows.append(row)
  return rows


def _varied(recipes: Sequence[Json]) -> list[str]:
  """What is not the same in all recipes."""
  return [name for name in WORDS if len({recipe[name] for recipe in recipes}) > 1]


def _values(recipe: Json, names: Sequence[str]) -> list[str]:
  return [f"{recipe[name]:.3g}" for name in names]


def _mean(values: Sequence[Any], sign: str = "+", digits: int = 3) -> str:
  """The mean of what is finite, and how many are not."""
  finite = [value for value in values if value is not None]
  mean = f"{np.mean(finite):{sign}.{digits}f}" if finite else ""
  lost = len(values) - len(finite)
  diverged = f"{lost} of {len(values)} diverged" if lost else ""
  return ", ".join(filter(None, (mean, diverged)))
