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
from sr_jax.config import as_flags, flag_words, to_dict
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
  if not preset:
    return None
  added = " ".join(flag_words(flags)).replace("--", "").replace("/", "-")
  return "_".join([preset, *added.split()])


def command(name: str, results: dict[str, Any]) -> str:
  """What makes the run again, of sets that lie in the folder SETS."""
  if name == "capacity":
    data = as_flags({field: results["config"][field] for field in ("data", "test_data")})
    return f"python launch.py --experiment=capacity --manual_dir=SETS {data}"
  preset, flags = changed(results)
  start = f"python launch.py --experiment=matched_flops --preset={preset} --manual_dir=SETS"
  return f"{start} {as_flags(flags)}".strip()


def blocks() -> dict[str, str]:
  """The text of every block that what is kept fills, by the name of its marks."""
  found: dict[str, str] = {}
  kept = {path.stem: read_json(path) for path in sorted(KEPT.glob("*.json"))}
  if confirmatory := kept.get("confirmatory"):
    found |= _confirmatory(confirmatory)
  if capacity := kept.get("capacity"):
    found["capacity"] = _capacity(capacity)
  one_change = {k: v for k, v in kept.items() if k.startswith("sensitivity") and "arms=" not in k}
  if confirmatory and one_change:
    found["sensitivity"] = _sensitivity([confirmatory, *one_change.values()])
  if controls := [v for k, v in kept.items() if "_arms=" in k]:
    found["controls"] = _controls(controls)
  return found


def _about(kept: dict[str, Any]) -> str:
  """How long a run took, on what, by which revision."""
  minutes = sum(kept["timing"]["phase_seconds"].values()) / 60
  revision, *changes = kept["provenance"]["revision"].split(maxsplit=1)
  which = " ".join([revision[:10], *changes])
  return f"({minutes:.0f} minutes on {kept['timing']['device']}, revision {which}.)"


def _confirmatory(kept: dict[str, Any]) -> dict[str, str]:
  results = kept["results"]
  called = {
    "primary": "the note's own pair",
    "best": "the best HR convolutions",
    "subset": "LR, tied",
  }
  first, where = verdict.titled(results["verdict"]["contrast"][0]), results["tests"][0]
  header = ["LR against", "what it is", "MACs", f"{first} - it on {where} (dB)"]
  header += ["95 % interval", "decision"]
  rows = [header]
  for one in tables.contrasts(results):
    if one["kind"] in called:
      second, test = one["contrast"][1], one["test"]
      interval = f"{test['low']:+.3f} to {test['high']:+.3f}"
      arm = results["arms"][second]
      mean = f"**{test['mean']:+.3f}**"
      ours, theirs = (results["arms"][name]["budget"] for name in ("lr", second))
      macs = f"{theirs['macs']:,g}"
      if theirs["macs"] < ours["macs"]:
        macs += f" ({theirs['executed_macs']:,g} in LR space)"
      row = [called[one["kind"]], arm["note"], macs, mean, interval, f"**{test['decision']}**"]
      rows.append(row)
  deviations = [
    np.std([np.mean(member["test"]["psnr"]) for member in tables.alive(arm)], ddof=1)
    for arm in results["arms"].values()
  ]
  spread = (
    f"Seeds differ by a standard deviation of {min(deviations):.3f} to {max(deviations):.3f} dB."
  )
  said = verdict.sentences(results)
  budget = results["arms"]["lr"]["budget"]
  cost = f"LR costs {budget['macs']:,g} MACs a HR pixel. "
  cost += verdict.time_sentence(kept["timing"], ["lr", "hr"])
  return {
    "verdict": f"{markdown_table(rows)}\n\n{cost}\n\n{_about(kept)}",
    "confirmatory": "\n".join(f"- {sentence}" for sentence in [*said, spread])
    + f"\n\n```sh\n{kept['command']}\n```\n\n{_about(kept)}",
    "confirmatory_arms": markdown_table(tables.score_rows(results)),
    "confirmatory_sets": markdown_table(tables.rows_by_set(results)),
    "confirmatory_budget": markdown_table(tables.budget_rows(results, kept["timing"])),
    "confirmatory_contrasts": f"{markdown_table(tables.contrast_rows(results))}\n\n"
    f"{tables.ABOUT_CONTRASTS}",
    "confirmatory_rates": markdown_table(tables.search_rows(results)),
    "confirmatory_status": markdown_table(tables.status_rows(results)),
    "confirmatory_time": "\n".join(
      f"- {said}" for said in verdict.at_equal_time(results, kept["timing"])
    ),
  }


def _sensitivity(kept: list[dict[str, Any]]) -> str:
  """One row a run, the confirmatory one first: what was changed, and the effects under it."""
  header = ["changed", "LR - HR (dB)", "decision", "on training patches"]
  rows = [[*header, "LR - HR k4 (dB)", "decision", "largest sd of seeds"]]
  named = [(changed(one["results"])[1], one) for one in kept]
  for flags, one in sorted(named, key=lambda pair: (list(pair[0]), list(pair[0].values()))):
    results = one["results"]
    said = {tuple(c["contrast"]): c for c in tables.contrasts(results)}
    pair, other = said["lr", "hr"], said["lr", "hr_k4"]
    deviation = max(
      np.std([np.mean(member["test"]["psnr"]) for member in tables.alive(arm)], ddof=1)
      for arm in results["arms"].values()
    )
    rows.append(
      [
        f"`{as_flags(flags)}`" if flags else "nothing (confirmatory)",
        _effect(pair["test"]),
        pair["test"]["decision"],
        _effect(pair["training"]),
        _effect(other["test"]),
        other["test"]["decision"],
        f"{deviation:.3f}",
      ]
    )
  minutes = sum(sum(one["timing"]["phase_seconds"].values()) for one in kept[1:]) / 60
  device = kept[0]["timing"]["device"]
  return f"{markdown_table(rows)}\n\n({minutes:.0f} minutes for the changed runs on {device}.)"


def _controls(kept: list[dict[str, Any]]) -> str:
  """The contrasts of runs with networks of their own choice."""
  header = ["run", "contrast", "on BSD100 (dB)", "decision", "on training patches (dB)"]
  rows = [[*header, "MACs", "parameters"]]
  for one in kept:
    results = one["results"]
    preset, flags = changed(results)
    shown = f"`--preset={preset} {as_flags(flags)}`"
    for said in tables.contrasts(results):
      costs = [results["arms"][name]["budget"] for name in said["contrast"]]
      pairs = [" : ".join(f"{cost[key]:,g}" for cost in costs) for key in ("macs", "parameters")]
      effects = _effect(said["test"]), said["test"]["decision"], _effect(said["training"])
      rows.append([shown, tables.between(said["contrast"]), *effects, *pairs])
      shown = ""
  return markdown_table(rows)


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
