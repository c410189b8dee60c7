"""What two runs differ in: configuration, provenance, budgets, scores and parameters."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from sr_jax.inspect_checkpoint.run import Run
from sr_jax.report.reproduction import mean, scores_on
from sr_jax.runtime.console import table
from sr_jax.training import checkpoints
from sr_jax.training.restore import FINAL

ABSENT = "absent"  # what a run has in place of a field of the other's


def diff(a: Run, b: Run) -> Iterator[str]:
  """Paragraphs on what differs, A being the first run.

  Raises:
    InputError: a file of either run is damaged.
  """
  yield f"A: {a.folder}\nB: {b.folder}"
  for title, key in (("Configuration", "config"), ("Provenance", "provenance")):
    with a.reading("config.json"), b.reading("config.json"):
      yield _fields(title, a.about[key], b.about[key])
  with a.reading("config.json"), b.reading("config.json"):
    yield _fields("Experiment and photographs", *(_identity(run) for run in (a, b)))
    yield _fields("Arms", *(_costs(one, other) for one, other in ((a, b), (b, a))))
  if a.results is None or b.results is None:
    names = " and ".join(name for name, run in (("A", a), ("B", b)) if run.results is None)
    yield f"Scores: {names} not finished."
  elif common := [arm for arm in a.arms if arm in b.arms]:
    with a.reading("results.json"), b.reading("results.json"):
      yield from _scores(a.results, b.results, common)
  yield from _parameters(a, b)


def _identity(run: Run) -> dict[str, Any]:
  pixels = run.about.get("pixels", {})
  return {"experiment": run.about["experiment"], **{f"pixels {k}": v for k, v in pixels.items()}}


def _costs(run: Run, other: Run) -> dict[str, Any]:
  """The note of every arm, and the budget of those that the other run has, too."""
  found: dict[str, Any] = {name: arm["note"] for name, arm in run.arms.items()}
  for name in run.arms.keys() & other.arms.keys():
    found |= {f"{name} {field}": value for field, value in run.arms[name]["budget"].items()}
  return found


def _fields(title: str, a: dict[str, Any], b: dict[str, Any]) -> str:
  """The fields of flat data that differ."""
  sides = {name: (a.get(name, ABSENT), b.get(name, ABSENT)) for name in dict.fromkeys((*a, *b))}
  rows = [
    [name, _shown(one, other), _shown(other, one)]
    for name, (one, other) in sides.items()
    if one != other
  ]
  if not rows:
    return f"{title}: no difference."
  return f"{title}\n" + table([["", "A", "B"], *rows])


def _shown(value: Any, other: Any) -> str:
  """A value as text; of a list, what the other one lacks."""
  if isinstance(value, list) and isinstance(other, list) and set(value) != set(other):
    return ", ".join(str(one) for one in value if one not in other) or "nothing else"
  return value if isinstance(value, str) else json.dumps(value)


def _scores(a: dict[str, Any], b: dict[str, Any], arms: list[str]) -> Iterator[str]:
  """Mean PSNR of arms in both runs on the test sets of both, and of bicubic."""
  for test in a["tests"]:
    if test not in b["tests"]:
      continue
    if _images(a, test) != _images(b, test):
      yield f"Scores on {test}: not comparable, being of other photographs."
      continue
    rows = [["", "A", "B", "B - A"]]
    sides = [scores_on(results, test) for results in (a, b)]
    for arm in ("bicubic", *arms):
      means = [mean(scores[arm], "psnr") for scores in sides]
      change = "-"
      if means[0].value is not None and means[1].value is not None:
        change = f"{means[1].value - means[0].value:+.4f}"
      rows.append([arm, *(one.text(4) for one in means), change])
    yield f"Mean PSNR on {test} (dB), +- the 95 % interval over seeds\n" + table(rows)
  if not set(a["tests"]) & set(b["tests"]):
    yield f"Scores: no common test set ({', '.join(a['tests'])}; {', '.join(b['tests'])})."


def _images(results: dict[str, Any], test: str) -> list[str]:
  if test == results["tests"][0]:
    first: list[str] = results["images"]["test"]
    return first
  images: list[str] = results["further_tests"][test]["images"]
  return images


def _parameters(a: Run, b: Run) -> Iterator[str]:
  """The largest difference of the newest final parameters, arm by arm, over common seeds."""
  rows = [["arm", "steps", "largest difference", "in", "seed"]]
  for arm in a.arms:
    steps = [run.stages(arm).get(FINAL, []) for run in (a, b)]
    if arm not in b.arms or not all(steps):
      continue
    at = [kept[-1] for kept in steps]
    sides = [
      _by_seed(checkpoints.load_arrays(run.checkpoints(arm, FINAL), step, ("params", "members"))[1])
      for run, step in zip((a, b), at, strict=True)
    ]
    rows.append([arm, f"{at[0]}, {at[1]}", *_largest(*sides)])
  if len(rows) > 1:
    yield "Final parameters\n" + table(rows)


def _by_seed(tree: dict[str, Any]) -> dict[int, dict[str, np.ndarray]]:
  layers = tree["params"].items()
  flat = {f"{layer}/{name}": x for layer, arrays in layers for name, x in arrays.items()}
  return {
    int(seed): {name: array[i] for name, array in flat.items()}
    for i, seed in enumerate(tree["members"]["seed"])
  }


def _largest(
  a: dict[int, dict[str, np.ndarray]], b: dict[int, dict[str, np.ndarray]]
) -> tuple[str, str, str]:
  """The largest difference of the parameters of common seeds, the array it is in, and the seed."""
  most, where, whose = 0.0, "-", "-"
  common = [seed for seed in a if seed in b]
  if not common:
    return "no common seed", where, whose
  for seed in common:
    if {k: x.shape for k, x in a[seed].items()} != {k: x.shape for k, x in b[seed].items()}:
      return "networks of other shapes", where, whose
    for name, array in a[seed].items():
      off = float(np.abs(array.astype(np.float64) - b[seed][name]).max())
      if not off <= most:  # NaN is a difference, too
        most, where, whose = off, name, str(seed)
  return f"{most:.3g}" if most else "0, equal to the bit", where, whose
