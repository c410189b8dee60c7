"""One arm of a run: its network, members, and the parameters of one member."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from sr_jax.inspect_checkpoint import dead
from sr_jax.inspect_checkpoint.overview import header
from sr_jax.inspect_checkpoint.run import Run
from sr_jax.runtime.console import table
from sr_jax.training import metrics
from sr_jax.training.restore import FINAL, Trained


def detail(run: Run, trained: Trained) -> Iterator[str]:
  """Paragraphs on one arm and one member of it.

  Raises:
    InputError: a file of the run is damaged.
  """
  arm = trained.arm
  with run.reading("config.json"):
    about = run.arms[arm]
    yield header(run)
    cost = ", ".join(f"{name.replace('_', ' ')} {n:g}" for name, n in about["budget"].items())
    yield f"{arm}: {about['note']}\n{_describe(trained)}\nper HR pixel: {cost}"
  kept = run.stages(arm)[trained.stage]
  yield (
    f"{trained.stage}: step {trained.step} of {trained.metadata['steps']}; "
    f"checkpoints kept: {', '.join(map(str, kept))}"
  )
  with run.reading("metrics.jsonl"):
    trace = _last_metrics(run, trained)
  with run.reading("results.json"):
    yield table(_member_rows(run, trained, trace))
  seed, rate = trained.seeds[trained.member], trained.learning_rates[trained.member]
  yield f"Member {trained.member}: seed {seed}, rate {rate:g}\n" + table(_parameter_rows(trained))
  yield _dead(trained)


def _describe(trained: Trained) -> str:
  described = trained.metadata["network"]
  fields = ", ".join(f"{name}={value!r}" for name, value in described.items() if name != "kind")
  return f"network: {described['kind']}({fields})"


def _last_metrics(run: Run, trained: Trained) -> dict[str, tuple[int, list]]:
  """The last training and validation PSNR logged up to the step, with their steps."""
  found: dict[str, tuple[int, list]] = {}
  for line in metrics.read(run.folder.metrics):
    if (line["arm"], line["stage"]) == (trained.arm, trained.stage) and line[
      "step"
    ] <= trained.step:
      for name in ("training_psnr", "validation_psnr"):
        if name in line:
          found[name] = (line["step"], line[name])
  return found


def _member_rows(run: Run, trained: Trained, trace: dict[str, tuple[int, list]]) -> list[list[str]]:
  """Every member of the checkpoint: what was logged of it, and its scores where it has some."""
  columns: dict[str, list[Any]] = {
    "member": [f"{i}" for i in range(len(trained.seeds))],
    "seed": [f"{seed}" for seed in trained.seeds],
    "rate": [f"{rate:g}" for rate in trained.learning_rates],
  }
  scores = {}
  if run.results is not None and trained.stage != FINAL:
    search = run.results["arms"][trained.arm]["search"]
    scores = {"validation PSNR": _search_scores(search, trained)}
  elif run.results is not None and trained.step == run.results["config"]["steps"]:
    scores = _final_scores(run.results, trained.arm)
  for name, (step, values) in trace.items():
    if name == "training_psnr" or not scores:
      columns[f"{name.partition('_')[0]} PSNR at {step}"] = [_number(value) for value in values]
  columns |= scores
  return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _search_scores(search: list[dict[str, Any]], trained: Trained) -> list[str]:
  found = {(one["seed"], np.float32(one["learning_rate"])): one for one in search}
  return [
    _number(found[seed, rate]["validation_psnr"])
    for seed, rate in zip(trained.seeds, trained.learning_rates, strict=True)
  ]


def _final_scores(results: dict[str, Any], arm: str) -> dict[str, list[str]]:
  """Columns of what results.json says of the members of an arm."""
  members = results["arms"][arm]["members"]
  first, *further = results["tests"]
  tests = {first: [member["test"] for member in members]}
  tests |= {name: results["further_tests"][name]["arms"][arm] for name in further}
  columns = {
    "status": [member["status"] for member in members],
    "validation PSNR": [_number(member["validation_psnr"]) for member in members],
  }
  for name, scores in tests.items():
    for measure in ("psnr", "ssim"):
      columns[f"{name} {measure.upper()}"] = [_mean(one[measure]) for one in scores]
  return columns | {"patches' PSNR": [_mean(member["training"]["psnr"]) for member in members]}


def _number(value: float | None) -> str:
  return "-" if value is None else f"{value:.4f}"


def _mean(values: list[float | None]) -> str:
  return "-" if None in values else f"{np.mean(np.array(values, float)):.4f}"


def _parameter_rows(trained: Trained) -> list[list[str]]:
  rows = [["parameter", "shape", "numbers", "norm", "root mean square", "largest"]]
  total = 0
  for layer, arrays in trained.params.items():
    for name, array in sorted(arrays.items()):
      flat = array.astype(np.float64).ravel()
      norm = float(np.linalg.norm(flat))
      sizes = (norm, norm / flat.size**0.5, float(np.abs(flat).max()))
      shape = "x".join(map(str, array.shape))
      rows.append([f"{layer}/{name}", shape, f"{flat.size}", *(f"{size:.4g}" for size in sizes)])
      total += flat.size
  return [*rows, ["all", "", f"{total}", "", "", ""]]


def _dead(trained: Trained) -> str:
  probes = dead.probes()
  found = dead.dead_units(trained.network, trained.params, probes)
  total = sum(len(units) for units, _ in found.values())
  lines = [
    f"Dead units: {total}. Dead is a hidden unit whose output, after the activation, is the same "
    f"number at every pixel\nof the middle {dead.SIDE}x{dead.SIDE} of the {len(probes)} packaged "
    "photographs."
  ]
  rows = [
    [name, f"{len(units)} of {count}", ", ".join(map(str, units)) or "-"]
    for name, (units, count) in found.items()
  ]
  return "\n".join([*lines, table([["layer", "dead", "which"], *rows])])
