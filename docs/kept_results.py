"""Keeps results of long runs in results/, and makes the blocks of the pages from what is there.

What is kept of a run is its results.json, each member's scores rounded, beside its times, its
configuration's provenance and its command: enough to compute every statistic again.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from experiments.matched_flops import PRESETS, Config
from sr_jax.analysis import capacity_report, tables, verdict
from sr_jax.config import to_dict
from sr_jax.console import markdown_table
from sr_jax.run_folder import read_json

ROOT = Path(__file__).parents[1]
KEPT, FIGURES = ROOT / "results", ROOT / "docs" / "figures"
DRAWN = {
  "confirmatory": ("forest", "arms", "rates", "differences_by_image"),
  "capacity": ("capacity",),
}
DIGITS = 4  # of scores in dB, whose seeds differ in the second


def keep(run_dir: Path) -> Path | None:
  """Copies a finished run's results and figures; None for a run of no preset.

  Returns:
    the file in results/.
  """
  results = read_json(run_dir / "results.json")
  name = name_of(results)
  if name is None:
    return None
  about = read_json(run_dir / "config.json")
  kept = {
    "command": command(name, results),
    "provenance": about["provenance"],
    "timing": read_json(run_dir / "timing.json"),
    "results": {**results, **{key: _rounded(results[key]) for key in ROUNDED if key in results}},
  }
  KEPT.mkdir(exist_ok=True)
  path = KEPT / f"{name}.json"
  path.write_text(json.dumps(kept, separators=(",", ":"), allow_nan=False) + "\n")
  for figure in DRAWN.get(name, ()):
    shutil.copy(run_dir / "figures" / f"{figure}.png", FIGURES / f"{name}_{figure}.png")
  return path


ROUNDED = ("arms", "bicubic", "further_tests")


def _rounded(tree: Any) -> Any:
  """Lists of scores with `DIGITS` digits; all else as it is."""
  if isinstance(tree, dict):
    return {key: _rounded(value) for key, value in tree.items()}
  if isinstance(tree, list):
    return [round(one, DIGITS) if isinstance(one, float) else _rounded(one) for one in tree]
  return tree


def changed(results: dict[str, Any]) -> tuple[str, dict[str, Any]]:
  """The preset that a comparison is nearest to ("" for the defaults), and what differs from it."""
  found: dict[str, dict[str, Any]] = {}
  for preset, config in {"": Config(), **PRESETS}.items():
    plain = to_dict(config)
    found[preset] = {k: v for k, v in results["config"].items() if v != plain.get(k)}
  preset = min(found, key=lambda preset: len(found[preset]))
  return preset, found[preset]


def name_of(results: dict[str, Any]) -> str | None:
  """What a run is kept as: its experiment or preset, and the flags that were added to it."""
  if results["experiment"] == "capacity":
    return "capacity"
  if results["experiment"] != "matched_flops":
    return None
  preset, flags = changed(results)
  return "_".join([preset, *(f"{k}={v}" for k, v in flags.items())]) if preset else None


def command(name: str, results: dict[str, Any]) -> str:
  """What makes the run again, of sets that lie in the folder SETS."""
  if name == "capacity":
    data = (
      f"--data={results['config']['data']} --test_data={','.join(results['config']['test_data'])}"
    )
    return f"python launch.py --experiment=capacity --manual_dir=SETS {data}"
  preset, flags = changed(results)
  added = "".join(f" --{k}={v}" for k, v in flags.items())
  return f"python launch.py --experiment=matched_flops --preset={preset} --manual_dir=SETS{added}"


def blocks() -> dict[str, str]:
  """The text of every block that what is kept fills, by the name of its marks."""
  found: dict[str, str] = {}
  kept = {path.stem: read_json(path) for path in sorted(KEPT.glob("*.json"))}
  if confirmatory := kept.get("confirmatory"):
    found |= _confirmatory(confirmatory)
  if capacity := kept.get("capacity"):
    found["capacity"] = _capacity(capacity)
  if sensitivity := {k: v for k, v in kept.items() if k.startswith("sensitivity")}:
    found["sensitivity"] = _sensitivity(sensitivity)
  return found


def _about(kept: dict[str, Any]) -> str:
  """How long a run took, on what, by which revision."""
  minutes = sum(kept["timing"]["phase_seconds"].values()) / 60
  revision = kept["provenance"]["revision"][:10]
  return f"({minutes:.0f} minutes on {kept['timing']['device']}, revision {revision}.)"


def _confirmatory(kept: dict[str, Any]) -> dict[str, str]:
  results = kept["results"]
  called = {"primary": "the note's own pair", "best": "the best HR network", "subset": "LR, tied"}
  first, where = verdict.titled(results["verdict"]["contrast"][0]), results["tests"][0]
  header = [
    "LR against",
    "what it is",
    f"{first} - it on {where} (dB)",
    "95 % interval",
    "decision",
  ]
  rows = [header]
  for one in tables.contrasts(results):
    if one["kind"] in called:
      second, test = one["contrast"][1], one["test"]
      interval = f"{test['low']:+.3f} to {test['high']:+.3f}"
      note = results["arms"][second]["note"]
      mean = f"**{test['mean']:+.3f}**"
      rows.append([called[one["kind"]], note, mean, interval, f"**{test['decision']}**"])
  deviations = [
    np.std([np.mean(member["test"]["psnr"]) for member in tables.alive(arm)], ddof=1)
    for arm in results["arms"].values()
  ]
  spread = (
    f"Seeds differ by a standard deviation of {min(deviations):.3f} to {max(deviations):.3f} dB."
  )
  said = results["verdict"]["sentences"]
  return {
    "verdict": f"{markdown_table(rows)}\n\n{_about(kept)}",
    "confirmatory": "\n".join(f"- {sentence}" for sentence in [*said, spread])
    + f"\n\n```sh\n{kept['command']}\n```\n\n{_about(kept)}",
    "confirmatory_arms": markdown_table(tables.score_rows(results)),
    "confirmatory_sets": markdown_table(tables.rows_by_set(results)),
    "confirmatory_budget": markdown_table(tables.budget_rows(results, kept["timing"])),
    "confirmatory_contrasts": f"{markdown_table(tables.contrast_rows(results))}\n\n"
    f"{tables.ABOUT_CONTRASTS}",
    "confirmatory_rates": markdown_table(tables.search_rows(results)),
    "confirmatory_fates": markdown_table(tables.fate_rows(results)),
    "confirmatory_time": "\n".join(f"- {said}" for said in verdict.at_equal_time(results)),
  }


def _sensitivity(kept: dict[str, dict[str, Any]]) -> str:
  """One row a run: what was changed, and the three effects under it."""
  rows = [["changed", "LR - HR (dB)", "decision", "on training patches", "LR - HR k4 (dB)", "sd"]]
  for one in kept.values():
    results = one["results"]
    _, flags = changed(results)
    shown = " ".join(f"--{k}={v}" for k, v in flags.items()) or "nothing"
    said = {tuple(c["contrast"]): c for c in tables.contrasts(results)}
    pair, other = said["lr", "hr"], said["lr", "hr_k4"]
    deviation = max(
      np.std([np.mean(member["test"]["psnr"]) for member in tables.alive(arm)], ddof=1)
      for arm in results["arms"].values()
    )
    rows.append(
      [
        f"`{shown}`",
        _effect(pair["test"]),
        pair["test"]["decision"],
        _effect(pair["training"]),
        _effect(other["test"]),
        f"{deviation:.3f}",
      ]
    )
  minutes = sum(sum(one["timing"]["phase_seconds"].values()) for one in kept.values()) / 60
  device = next(iter(kept.values()))["timing"]["device"]
  return f"{markdown_table(rows)}\n\n({minutes:.0f} minutes in all on {device}.)"


def _effect(test: dict[str, Any]) -> str:
  if test["low"] is None:
    return "-"
  return f"{test['mean']:+.3f} ({test['low']:+.3f} to {test['high']:+.3f})"


def _capacity(kept: dict[str, Any]) -> str:
  results = kept["results"]
  parts = []
  for part, rows in capacity_report.tables(results).items():
    parts += [f"### {capacity_report.TITLES[part]}", markdown_table(rows)]
    parts.append(capacity_report.sentence(part, results))
  return "\n\n".join([*parts, f"```sh\n{kept['command']}\n```", _about(kept)])
