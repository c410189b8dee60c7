"""Differences of two runs: configuration, provenance, budgets, scores and parameters."""

import json
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from sr_jax.inspect_checkpoint.run import Run, in_words, key_of
from sr_jax.report.reproduction import mean, scores_on
from sr_jax.runtime.console import table
from sr_jax.training import checkpoints
from sr_jax.training.restore import FINAL

ABSENT = "absent"  # a field that only one of the runs has


def compare_runs(a: Run, b: Run) -> Iterator[str]:
  """Yields paragraphs on the differences of two runs.

  Raises an InputError if a file of either run is damaged.
  """
  yield f"A: {a.folder}\nB: {b.folder}"
  with a.reading(a.folder.config), b.reading(b.folder.config):
    for title, key in (("Configuration", "config"), ("Provenance", "provenance")):
      yield _fields(title, a.about[key], b.about[key])
    yield _fields("Experiment and photographs", _identity(a), _identity(b))
    yield _fields("Arms", _costs(a, b), _costs(b, a))
  if a.results is None or b.results is None:
    names = " and ".join(name for name, run in (("A", a), ("B", b)) if run.results is None)
    yield f"Scores: {names} not finished."
  elif common := [arm for arm in a.arms if arm in b.arms]:
    with a.reading(a.folder.results), b.reading(b.folder.results):
      yield from _scores(a.results, b.results, common)
  yield from _parameters(a, b)


def _identity(run: Run) -> dict[str, Any]:
  pixels = run.about.get("pixels", {})
  return {"experiment": run.about["experiment"], **{f"pixels {k}": v for k, v in pixels.items()}}


def _costs(run: Run, reference: Run) -> dict[str, Any]:
  """The note of every arm, and the budget of arms that the reference has, too."""
  costs: dict[str, Any] = {name: arm["note"] for name, arm in run.arms.items()}
  for name in [name for name in run.arms if name in reference.arms]:
    costs |= {f"{name} {field}": value for field, value in run.arms[name]["budget"].items()}
  return costs


def _fields(title: str, a: dict[str, Any], b: dict[str, Any]) -> str:
  """The fields of flat data that differ."""
  sides = {name: (a.get(name, ABSENT), b.get(name, ABSENT)) for name in dict.fromkeys((*a, *b))}
  rows = [
    [name, _as_text(in_a, in_b), _as_text(in_b, in_a)]
    for name, (in_a, in_b) in sides.items()
    if in_a != in_b
  ]
  return f"{title}\n" + table([["", "A", "B"], *rows]) if rows else f"{title}: no difference."


def _as_text(value: Any, reference: Any) -> str:
  """A value as text; of a list, the entries that the reference lacks."""
  if isinstance(value, list) and isinstance(reference, list) and set(value) != set(reference):
    return ", ".join(str(entry) for entry in value if entry not in reference) or "nothing else"
  return value if isinstance(value, str) else json.dumps(value)


def _scores(a: dict[str, Any], b: dict[str, Any], arms: list[str]) -> Iterator[str]:
  """Yields the mean score of common arms, and of no network, on the test sets of both runs."""
  for test in a["tests"]:
    if test not in b["tests"]:
      continue
    if _images(a, test) != _images(b, test):
      yield f"Scores on {test}: not comparable, because the photographs differ."
      continue
    rows = [["", "A", "B", "B - A"]]
    sides = [_scores_on(results, test) for results in (a, b)]
    (without, measure), other = ((next(iter(scores)), measure) for scores, measure in sides)
    if (without, measure) != other:
      yield f"Scores on {test}: not comparable, because they are of different tasks."
      continue
    for arm in (without, *arms):
      means = [mean(scores[arm], measure) for scores, _ in sides]
      change = "-"
      if means[0].value is not None and means[1].value is not None:
        change = f"{means[1].value - means[0].value:+.4f}"
      rows.append([arm, *(value.text(4) for value in means), change])
    yield f"Mean {in_words(measure)} on {test}, +- the 95 % interval over seeds\n{table(rows)}"
  if not set(a["tests"]) & set(b["tests"]):
    yield f"Scores: no common test set ({', '.join(a['tests'])}; {', '.join(b['tests'])})."


def _scores_on(results: dict[str, Any], test: str) -> tuple[dict[str, list], str]:
  """The scores on a test set of no network and of every arm, and the key of the one that decides.

  Those of a member that diverged have a None.
  """
  if "bicubic" in results:
    return scores_on(results, test), "psnr"
  key = key_of(next(iter(results["arms"].values()))["members"][0], "validation")
  further = results["further_tests"].get(test)
  by_arm = {"no network": [further["no_network"] if further else results["no_network"]["test"]]}
  for name, arm in results["arms"].items():
    by_arm[name] = further["arms"][name] if further else [each["test"] for each in arm["members"]]
  return by_arm, key.removeprefix("validation_")


def _images(results: dict[str, Any], test: str) -> list[str]:
  is_first = test == results["tests"][0]
  return results["images"]["test"] if is_first else results["further_tests"][test]["images"]


def _parameters(a: Run, b: Run) -> Iterator[str]:
  """Yields a table of the largest difference of the newest final parameters over common seeds."""
  rows = [["arm", "steps", "largest difference", "in", "seed"]]
  for arm in a.arms:
    steps = [run.stages(arm).get(FINAL, []) for run in (a, b)]
    if arm not in b.arms or not all(steps):
      continue
    in_a, in_b = (complete[-1] for complete in steps)
    difference = _largest_difference(_by_seed(a, arm, in_a), _by_seed(b, arm, in_b))
    rows.append([arm, f"{in_a}, {in_b}", *difference])
  if len(rows) > 1:
    yield "Final parameters\n" + table(rows)


def _by_seed(run: Run, arm: str, step: int) -> dict[int, dict[str, np.ndarray]]:
  folder = run.folder.checkpoints(arm, FINAL)
  _, tree, _ = checkpoints.load_arrays(folder, step, ("params", "members"))
  flat = flatten_dict(tree["params"], sep="/")
  return {
    int(seed): {name: array[i] for name, array in flat.items()}
    for i, seed in enumerate(tree["members"]["seed"])
  }


def _largest_difference(
  a: dict[int, dict[str, np.ndarray]], b: dict[int, dict[str, np.ndarray]]
) -> tuple[str, str, str]:
  """The largest difference of the parameters of common seeds, the array it is in, and the seed."""
  common = [(seed, name) for seed in a if seed in b for name in a[seed]]
  if not common:
    return "no common seed", "-", "-"
  if any(jax.tree.map(np.shape, a[seed]) != jax.tree.map(np.shape, b[seed]) for seed, _ in common):
    return "networks of other shapes", "-", "-"
  sides = [(a[seed][name].astype(np.float64), b[seed][name]) for seed, name in common]
  differences = [float(np.abs(in_a - in_b).max()) for in_a, in_b in sides]
  largest = int(np.argmax(differences))  # of the first NaN, if there is any
  if differences[largest] == 0:
    return "0, equal to the bit", "-", "-"
  seed, name = common[largest]
  return f"{differences[largest]:.3g}", name, str(seed)
