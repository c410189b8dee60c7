"""One arm of a run: its network, members, and the parameters of one member."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from sr_jax.comparison.projection import balanced, kernels_of
from sr_jax.comparison.tie_search import permuted, search
from sr_jax.comparison.ties import shares, structure_of
from sr_jax.inspect_checkpoint import dead
from sr_jax.inspect_checkpoint.overview import header
from sr_jax.inspect_checkpoint.run import Run, in_words, key_of
from sr_jax.networks import Network, describe
from sr_jax.report import tables
from sr_jax.runtime.console import table
from sr_jax.training import metrics
from sr_jax.training.restore import FINAL, Trained

NULL_DRAWS = 5  # of permuted kernels
MAX_PHASES = 9  # of HR maps in LR networks: to search the orders of more takes minutes


def describe_arm(run: Run, trained: Trained) -> Iterator[str]:
  """Yields paragraphs on an arm and one of its members.

  Raises an InputError if a file of the run is damaged.
  """
  arm, stage, member = trained.arm, trained.stage, trained.member
  fields = [f"{k}={v!r}" for k, v in describe(trained.network).items() if k != "layers"]
  with run.reading(run.folder.config):
    about = run.arms[arm]
    yield header(run)
    costs = {name: tables.cost_text(name, cost) for name, cost in about["budget"].items()}
    cost = ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in costs.items())
    yield f"{arm}: {about['note']}\nnetwork: {', '.join(fields)}\nper HR pixel: {cost}"
    if isinstance(trained.network, Network):
      yield table(_layer_rows(trained.network))
  kept = ", ".join(map(str, run.stages(arm)[stage]))
  yield f"{stage}: step {trained.step} of {trained.metadata['steps']}; checkpoints kept: {kept}"
  with run.reading(run.folder.metrics):
    logged = _last_metrics(run, trained)
  with run.reading(run.folder.results):
    yield table(_member_rows(run, trained, logged))
  rate = f"{trained.learning_rates[member]:g}"
  yield f"Member {member}: seed {trained.seed}, rate {rate}\n" + table(_parameter_rows(trained))
  yield _describe_dead_units(trained)
  if ties := _tied_rows(trained):
    yield (
      "The share of the energy of hidden kernels that HR maps would have, in the best order of "
      f"channels,\nand the mean of {NULL_DRAWS} kernels whose filters changed places at random:\n"
      f"{table(ties)}"
    )


def _layer_rows(network: Network) -> list[list[str]]:
  """A table of a network's layers: the maps that they read and write, and their kernels."""
  rows = [["layer", "reads", "writes", "kernel", "activation", "adds"]]
  for place, layer in enumerate(network.layers):
    pixels = f"HR, after a {layer.resize} resize" if layer.resize else "LR"
    sizes = {pixels: layer.kernel_size, "HR": layer.hr_kernel_size}
    sizes["HR, transposed"] = layer.transposed_size
    kernels = [
      f"{'x'.join([str(size)] * network.dims)} {kind}" for kind, size in sizes.items() if size
    ]
    maps = [
      " + ".join(f"{count} {kind}" for kind, count in dataclasses.asdict(state).items() if count)
      for state in (layer.inputs, layer.outputs)
    ]
    kinds = ", phases untied" * (not layer.tied) + ", in two streams" * (not layer.crosses)
    adds = f"what {network.layers[place + 1 - layer.adds].name} reads" if layer.adds else "-"
    adds += f", to {layer.residual_scale:g} times its own" * (layer.residual_scale != 1)
    cells = *maps, ", ".join(kernels) + kinds, layer.activation or "-", adds
    rows.append([layer.name, *cells])
  return rows


def _last_metrics(run: Run, trained: Trained) -> dict[str, tuple[int, list]]:
  """The last training and validation score logged up to the step, each with its step."""
  training = (trained.arm, trained.stage)
  return {
    name: (line["step"], line[name])
    for line in metrics.read(run.folder.metrics)
    if (line["arm"], line["stage"]) == training and line["step"] <= trained.step
    for name in line
    if name.startswith(("training_", "validation_"))
  }


def _member_rows(
  run: Run, trained: Trained, logged: dict[str, tuple[int, list]]
) -> list[list[str]]:
  """A table of the checkpoint's members: logged metrics, and scores if the run has them."""
  columns: dict[str, list[Any]] = {
    "member": [f"{i}" for i in range(len(trained.seeds))],
    "seed": [f"{seed}" for seed in trained.seeds],
    "rate": [f"{rate:g}" for rate in trained.learning_rates],
  }
  scores = {}
  if run.results is not None and trained.stage != FINAL:
    scores = _search_scores(run.results["arms"][trained.arm], trained)
  elif run.results is not None and trained.step == run.results["config"]["steps"]:
    scores = _final_scores(run.results, trained.arm)
  for name, (step, values) in logged.items():
    if name.startswith("training_") or not scores:
      columns[f"{in_words(name)} at {step}"] = [_number(value) for value in values]
  columns |= scores
  return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _search_scores(arm: dict[str, Any], trained: Trained) -> dict[str, list[str]]:
  """The column of the validation scores of an arm's search."""
  key = key_of(arm["search"][0], "validation")
  scores = {
    (trial["seed"], np.float32(trial["learning_rate"])): _number(trial[key])
    for trial in arm["search"]
  }
  members = zip(trained.seeds, trained.learning_rates, strict=True)
  return {in_words(key): [scores[member] for member in members]}


def _final_scores(results: dict[str, Any], arm: str) -> dict[str, list[str]]:
  """Columns of the scores in results.json of an arm's members."""
  members = results["arms"][arm]["members"]
  first, *further = results["tests"]
  tests = {first: [member["test"] for member in members]}
  tests |= {name: results["further_tests"][name]["arms"][arm] for name in further}
  key = key_of(members[0], "validation")
  columns = {
    "status": [member["status"] for member in members],
    in_words(key): [_number(member[key]) for member in members],
  }
  for name, scores in tests.items():
    for measure in scores[0]:
      columns[f"{name} {in_words(measure)}"] = [_mean(member[measure]) for member in scores]
  if "training" in members[0]:
    columns["patches' PSNR"] = [_mean(member["training"]["psnr"]) for member in members]
  return columns


def _number(value: float | None) -> str:
  return "-" if value is None else f"{value:.4f}"


def _mean(values: list[float | None]) -> str:
  return "-" if None in values else f"{np.mean(np.array(values, float)):.4f}"


def _parameter_rows(trained: Trained) -> list[list[str]]:
  rows = [["parameter", "shape", "numbers", "norm", "root mean square", "largest"]]
  order = list(trained.params)
  arrays = flatten_dict(trained.params)
  for path in sorted(arrays, key=lambda path: (order.index(path[0]), path)):
    flat = arrays[path].astype(np.float64).ravel()
    norm = float(np.linalg.norm(flat))
    sizes = (norm, norm / flat.size**0.5, float(np.abs(flat).max()))
    shape = "x".join(map(str, arrays[path].shape))
    rows.append(["/".join(path), shape, f"{flat.size}", *(f"{size:.4g}" for size in sizes)])
  total = sum(int(row[2]) for row in rows[1:])
  return [*rows, ["all", "", f"{total}", "", "", ""]]


def _describe_dead_units(trained: Trained) -> str:
  if not isinstance(trained.network, Network):
    return "Dead units are looked for in networks of this package alone, whose layers are known."
  maps = trained.network.image_maps
  if trained.network.dims != 2 or maps.lr + maps.hr != 1:
    return "Dead units are looked for on luminance alone, which this network does not read."
  crops = dead.sample_crops()
  by_layer = dead.dead_units(trained.network, trained.params, crops)
  total = sum(len(units) for units, _ in by_layer.values())
  rows = [["layer", "dead", "which"]]
  for name, (units, count) in by_layer.items():
    rows.append([name, f"{len(units)} of {count}", ", ".join(map(str, units)) or "-"])
  return (
    f"Dead units: {total}. Dead is a hidden unit whose output, after the activation, is the same "
    f"number at every pixel\nof the middle {dead.SIDE}x{dead.SIDE} of the {len(crops)} packaged "
    f"photographs.\n{table(rows)}"
  )


def _tied_rows(trained: Trained) -> list[list[str]]:
  """How far the channels of an LR network form HR maps.

  Nothing of other networks, of those of many phases, and of lost members.
  """
  network = trained.network
  is_finite = all(np.isfinite(array).all() for array in jax.tree.leaves(trained.params))
  if not isinstance(network, Network) or not is_finite or network.phases > MAX_PHASES:
    return []
  try:
    structure = structure_of(network)
  except ValueError:
    return []
  params = balanced(network, jax.tree.map(lambda array: array[None], trained.params))
  (own,) = kernels_of(network, params)
  rng = np.random.default_rng(trained.seed)
  draws = np.stack([own, *(permuted(own, structure.dims, rng) for _ in range(NULL_DRAWS))])
  tied_shares = shares(draws, search(draws, structure, trained.seed), structure)
  rows = [["layer", "tied share", "permuted"]]
  for layer, (share, *null) in zip(network.layers[1:-1], tied_shares.T, strict=True):
    rows.append([layer.name, f"{share:.3f}", f"{np.mean(null):.3f}"])
  return rows
