"""The report of networks that are untied from the very function that they compute."""

from typing import Any

import numpy as np

from sr_jax.comparison.nested_verdict import (
  NOT_SHOWN,
  UNUSED,
  USED,
  convergence_sentence,
  pair_title,
)
from sr_jax.comparison.phrases import in_unit
from sr_jax.comparison.titles import titled
from sr_jax.report import model, nested_figures, pages, tables
from sr_jax.report.figures import save
from sr_jax.report.model import Answer, Bullets, Json, Section, Table
from sr_jax.report.tables import Rows
from sr_jax.runtime.run_folder import RunFolder

ABOUT_PAIRS = (
  "Effects are mean paired differences of PSNR in dB, untied less tied, with 95 % intervals: over "
  "seeds and photographs, of L-BFGS on its patches over seeds alone. The p-values are Holm's, for "
  "the three pairs; the finding needs that of training patches to be below 0.05 by Adam and by "
  "L-BFGS."
)
ABOUT_LEVELS = (
  "Means over seeds. The start is of the tied network; the untied one computes the same. Training "
  "patches are those of all training photographs; the fixed patches are those of L-BFGS."
)


def rows(results: Json) -> Rows:
  """Every pair as text cells, the header first: what untying brings, and what is found."""
  config = results["config"]
  header = ["pair", "MACs", "parameters", f"Adam, {config['steps']:,} steps: training", "p"]
  by_lbfgs = f"L-BFGS, {config['lbfgs_iterations']:,} iterations: its patches"
  table = [[*header, "test", by_lbfgs, "p", "test", "finding"]]
  findings = results["verdict"]["findings"].values()
  for pair, finding in zip(results["pairs"], findings, strict=True):
    tied, untied = (results["arms"][pair[name]]["budget"] for name in ("tied", "untied"))
    costs = [f"x {untied[key] / tied[key]:.2f}" for key in ("macs", "parameters")]
    adam, lbfgs = pair["adam"], pair["lbfgs"]
    cells = [in_unit(adam["training"], ""), _p_value(adam["training"]), in_unit(adam["test"], "")]
    cells += [in_unit(lbfgs["patches"], ""), _p_value(lbfgs["patches"]), in_unit(lbfgs["test"], "")]
    table.append([pair_title(pair), *costs, *cells, finding])
  return table


def level_rows(results: Json) -> Rows:
  """What every network reached, in dB: at the start, after Adam and after L-BFGS."""
  header = ["network", "rate", "training, start", "after Adam", "test, start", "after Adam"]
  table = [[*header, "fixed patches, start", "after L-BFGS", "test after L-BFGS"]]
  for pair in results["pairs"]:
    start = results["arms"][pair["tied"]]["tied_members"]
    for name in (pair["tied"], pair["untied"]):
      arm = results["arms"][name]
      fixed = arm["lbfgs"]["members"]
      by_split = [
        _mean(member[split]["psnr"] for member in members)
        for split in ("training", "test")
        for members in (start, arm["members"])
      ]
      on_patches = [_mean(member[key] for member in fixed) for key in ("start_psnr", "psnr")]
      test = _mean(member["test"]["psnr"] for member in fixed)
      table.append([titled(name), f"{arm['learning_rate']:g}", *by_split, *on_patches, test])
  return table


def _mean(values: Any) -> str:
  """A mean in dB, of values that are all finite; else they diverged."""
  array = np.array(list(values), float)
  return f"{array.mean():.3f}" if np.isfinite(array).all() else "diverged"


def _p_value(effect: Json) -> str:
  p = effect.get("p_holm")
  return "-" if p is None else f"{p:.2g}"


def write(run_dir: RunFolder, results: Json, timing: Json, about: Json) -> None:
  """Writes the report of a run from what its results.json, timing.json and config.json hold."""
  run_dir.figures.mkdir(exist_ok=True)
  effects, curves = run_dir.figures / "untied.png", run_dir.figures / "untied_curves.png"
  save(nested_figures.effects(results), effects)
  save(nested_figures.curves(results), curves)
  findings = list(results["verdict"]["findings"].values())
  count = findings.count(USED)
  report = Section(
    "Is it representation, or is it training? Networks untied from the very function they compute",
    Answer(
      _badge(findings), f"{count} of {len(findings)} pairs", "", results["verdict"]["sentences"]
    ),
    Section(
      "What untying brings",
      model.Figure(
        effects,
        "PSNR of the untied less that of the tied network of every pair; the table below has the "
        "numbers.",
        nested_figures.ABOUT_EFFECTS,
      ),
      Table(rows(results)),
      model.Note(ABOUT_PAIRS),
    ),
    Section(
      "How near the optimum",
      convergence_sentence(results),
      model.Figure(
        curves,
        "The PSNR difference of every pair against the steps of Adam, and against the iterations "
        "of L-BFGS.",
        nested_figures.ABOUT_CURVES,
      ),
      Table(level_rows(results)),
      model.Note(ABOUT_LEVELS),
    ),
    Section(
      "Control",
      Section("What every network costs", Table(tables.budget_rows(results["arms"]))),
      Section("How the training of every seed ended", Table(tables.status_rows(results))),
      Section("Mean validation PSNR (dB) after Adam", Table(tables.search_rows(results))),
    ),
    Section("Notes on the data", Bullets(results["notes"])),
    pages.reproduce(results, timing, about),
  )
  pages.write(run_dir, report)


def _badge(findings: list[str]) -> str:
  """The decision on all pairs: supported, equivalent or undecided where they agree, else mixed."""
  badges = {USED: "supported", UNUSED: "equivalent", NOT_SHOWN: "undecided"}
  return badges.get(findings[0], "mixed") if len(set(findings)) == 1 else "mixed"
