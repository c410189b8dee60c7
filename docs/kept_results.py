"""Keeps what long runs and benchmarks measured in results/, and reads it.

What is kept of a run is its results.json, each member's scores rounded, beside its times, its
configuration's provenance and its command: enough to compute every statistic again. Of a run of
several parts, tasks or grids, measures that no verdict reads are left out. A benchmark's JSON is
kept as it is.
"""

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import (
  dose,
  espcn,
  explicit_skip,
  matched_flops,
  nested,
  other_tasks,
  residual,
  what_share,
  when_to_upscale,
)
from sr_jax.comparison import dose as dose_verdict
from sr_jax.comparison import explicit_forms, nested_verdict, verdict
from sr_jax.config import InputError, as_flags, flag_words, to_dict
from sr_jax.networks.network import EXECUTIONS
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
KEPT, FIGURES = ROOT / "results", ROOT / "docs" / "figures"
COPIED = {  # of a run's figures, and what they are called in docs/figures
  "capacity": {"capacity": "capacity_capacity"},
  "matched_flops": {"example": "example", "differences_by_image": "differences_by_image"},
  "equivalence": {"trained_layer": "trained_layer"},
}
PRESETS: dict[str, Any] = {  # experiments whose runs are kept by the preset that is nearest
  "matched_flops": matched_flops,
  "when_to_upscale": when_to_upscale,
  "what_share": what_share,
  "residual": residual,
  "explicit_skip": explicit_skip,
  "other_tasks": other_tasks,
  "dose": dose,
  "nested": nested,
}
PARTS = {"other_tasks": "tasks", "dose": "grids"}  # of experiments with runs in their runs
DECIDED: dict[str, Callable[[Any], Any]] = {  # of what is no comparison of a pair
  "other_tasks": lambda results: {"verdict": explicit_forms.decide(results)},
  "dose": lambda results: {"verdict": dose_verdict.decide(results)},
  "nested": nested_verdict.decide,
}
PICTURED = "other_tasks_confirmatory"  # whose tasks have a picture each
ROUNDING = {"convolution", "hr_execution"}  # settings that change rounding alone, and no name
DIGITS = 4  # of scores in dB, whose seeds differ in the second
PERIODICITY, PERIODICITY_DIGITS = "periodicity", 3  # in dB, shown with two
ROUNDED = ("arms", "bicubic", "no_network", "further_tests")


def keep(source: Path) -> Path:
  """Copies a finished run's results and figures, or a benchmark's JSON, into results/.

  Returns the file there; a run's profile is kept in a file of its own beside it. Raises an
  InputError if no page shows a run of this kind.
  """
  KEPT.mkdir(exist_ok=True)
  if source.is_file():
    data = read_json(source)
    return _write(data["benchmark"], data)
  run_dir = RunFolder(source)
  results, timing = read_json(run_dir.results), read_json(run_dir.timing)
  name = name_of(results)
  if name is None:
    raise InputError(f"{source} is a run of no preset; no page shows it")
  if run_dir.profile.exists():
    _write("profile", {"profile": read_json(run_dir.profile), "device": timing["device"]})
  copied = COPIED.get(name, {})
  if name == PICTURED:
    copied = {task: f"{name}_{task}" for task in results["tasks"]}
  for figure, copy in copied.items():
    shutil.copy(run_dir.figures / f"{figure}.png", FIGURES / f"{copy}.png")
  start = command(results)
  provenance = read_json(run_dir.config)["provenance"]
  shortened = _shortened(results)
  data = {"command": start, "provenance": provenance, "timing": timing, "results": shortened}
  return _write(name, data)


def _write(name: str, data: dict[str, Any]) -> Path:
  path = KEPT / f"{name}.json"
  path.write_text(json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n")
  return path


def _shortened(results: dict[str, Any]) -> dict[str, Any]:
  """The results with rounded scores and, of tasks and grids, only those that a verdict reads."""
  parts = PARTS.get(results["experiment"])
  if parts is None:
    return _with_rounded_scores(results)
  short = {name: _with_rounded_scores(_of_part(part)) for name, part in results[parts].items()}
  return {**results, parts: short}


def _with_rounded_scores(results: dict[str, Any]) -> dict[str, Any]:
  return {key: _rounded(value) if key in ROUNDED else value for key, value in results.items()}


def _of_part(part: dict[str, Any]) -> dict[str, Any]:
  """A task or grid without the measures of test images that decide nothing."""
  read = (part["task"]["measure"], PERIODICITY) if "task" in part else ("psnr",)

  def short(scored: dict[str, Any]) -> dict[str, Any]:
    return {**scored, "test": {measure: scored["test"][measure] for measure in read}}

  arms = {
    name: {**arm, "members": [short(member) for member in arm["members"]]}
    for name, arm in part["arms"].items()
  }
  return {**part, "no_network": short(part["no_network"]), "arms": arms}


def _rounded(tree: Any, digits: int = DIGITS) -> Any:
  """The tree with the numbers of its lists rounded to so many digits, periodicities to fewer."""
  if isinstance(tree, dict):
    fewer = {PERIODICITY: PERIODICITY_DIGITS}
    return {key: _rounded(value, fewer.get(key, digits)) for key, value in tree.items()}
  if isinstance(tree, list):
    return [
      round(leaf, digits) if isinstance(leaf, float) else _rounded(leaf, digits) for leaf in tree
    ]
  return tree


def changed(results: dict[str, Any]) -> tuple[str, dict[str, Any]]:
  """The preset nearest to a comparison ("" for the defaults), and the settings that differ.

  Settings that change results by rounding alone are left out.
  """
  preset, differing = _nearest(results)
  return preset, {name: differing[name] for name in differing if not _only_rounds(name, differing)}


def _only_rounds(name: str, settings: dict[str, Any]) -> bool:
  """Whether a setting changes results by rounding alone, as where HR networks are computed."""
  executes = name == "measured" and all(
    choice.rpartition(":")[2] in EXECUTIONS for choice in settings[name]
  )
  return name in ROUNDING or executes


def _nearest(results: dict[str, Any]) -> tuple[str, dict[str, Any]]:
  """The preset nearest to a comparison, and all settings that differ, also those of rounding."""
  experiment = PRESETS[results["experiment"]]
  presets = {"": experiment.Config(), **experiment.PRESETS}
  differing = {preset: _differing(results, config) for preset, config in presets.items()}

  def distance(named: tuple[str, dict[str, Any]]) -> int:
    return sum(not _only_rounds(name, named[1]) for name in named[1])

  return min(differing.items(), key=distance)


def _differing(results: dict[str, Any], config: Any) -> dict[str, Any]:
  """The settings of a run that are not those of a config; those it lacks are the defaults."""
  plain, defaults = to_dict(config), to_dict(type(config)())
  return {k: v for k, v in {**defaults, **results["config"]}.items() if v != plain.get(k)}


def name_of(results: dict[str, Any]) -> str | None:
  """The name that a run is kept under: its experiment, its preset, and the flags added to it.

  Presets of matched_flops stand for themselves, as "confirmatory".
  """
  experiment = results["experiment"]
  if experiment == "espcn":
    scale = results["config"]["scale"]
    return "espcn" if scale == 3 else f"espcn_x{scale}"
  if experiment == "equivalence":
    return str(experiment)
  if experiment == "capacity":
    return "certificate" if results["config"]["parts"] == ["certificate"] else "capacity"
  if experiment not in PRESETS:
    return None
  preset, flags = changed(results)
  if not preset:
    return None if flags else str(experiment)
  added = " ".join(flag_words(flags)).replace("--", "").replace("/", "-")
  start = [] if experiment == "matched_flops" else [experiment]
  return "_".join([*start, preset, *added.split()])


def command(results: dict[str, Any]) -> str:
  """The command that repeats a run, with the photograph sets in the folder SETS."""
  experiment = results["experiment"]
  words = ["python launch.py", f"--experiment={experiment}"]
  if experiment == "equivalence":  # whose results do not hold its config
    return " ".join(words)
  preset, config = "", results["config"]
  if experiment == "capacity" and name_of(results) == "certificate":
    preset = "certificate"
    flags: dict[str, Any] = {}
  elif experiment == "capacity":
    flags = {field: config[field] for field in ("data", "test_data")}
  elif experiment == "espcn":
    flags = _differing(results, espcn.Config())
  else:
    preset, flags = _nearest(results)
  words += [f"--preset={preset}"] * bool(preset)
  if config["data"] != "sample_photos":
    words.append("--manual_dir=SETS")
  return " ".join([*words, as_flags(flags)]).strip()


@functools.cache
def everything() -> dict[str, dict[str, Any]]:
  """All that is kept, by name, with verdicts, and the effects beside them, by today's rules.

  The verdict that the run wrote, by the rule of its revision, is kept as "verdict_then".
  """
  kept = {path.stem: read_json(path) for path in sorted(KEPT.glob("*.json"))}
  return {name: _decided(data) for name, data in kept.items()}


def _decided(data: dict[str, Any]) -> dict[str, Any]:
  results = data.get("results", {})
  if "verdict" not in results:
    return data
  if decide := DECIDED.get(results["experiment"]):
    today = decide(results)
  else:
    config, experiment = results["config"].items(), PRESETS[results["experiment"]]
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config}
    comparison = experiment.comparison(experiment.Config(**fields))
    today = {"verdict": verdict.decide(results, comparison)}
  return {**data, "results": {**results, **today}, "verdict_then": results["verdict"]}
