"""What a comparison of two arms says, as data and as sentences that a person understands."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.analysis.statistics import SESOI, Effect, effect

Results = dict[str, Any]

MEANING = {
  "supported": f"better by more than {SESOI} dB, as claimed",
  "reversed": f"worse by more than {SESOI} dB, against the claim",
  "equivalent": f"equivalent, within {SESOI} dB",
  "undecided": f"undecided, since the interval crosses +{SESOI} or -{SESOI} dB",
}


def compare_arms(results: Results) -> dict[str, Any]:
  """The paired effect, first arm minus second, on test photographs and on training patches.

  Seeds on which a member of either arm diverged cannot be paired; they are left out and listed.
  """
  first, second = results["arms"].values()
  pairs = list(zip(first["members"], second["members"], strict=True))
  usable = [pair for pair in pairs if not _diverged(pair)]

  def differences(scores: str) -> np.ndarray:
    table = [np.subtract(a[scores]["psnr"], b[scores]["psnr"]) for a, b in usable]
    return np.array(table, float).reshape(len(usable), len(first["members"][0][scores]["psnr"]))

  test = differences("test")
  further = results.get("further_tests", {})
  return {
    "contrast": list(results["arms"]),
    "sesoi": SESOI,
    "left_out_seeds": [pair[0]["seed"] for pair in pairs if _diverged(pair)],
    "test": dataclasses.asdict(effect(test)),
    "training": dataclasses.asdict(effect(differences("training"))),
    "test_difference_by_image": test.mean(axis=0).tolist() if len(test) else [],
    "further_tests": {
      name: dataclasses.asdict(_effect_on(one, [pair[0]["seed"] for pair in usable]))
      for name, one in further.items()
    },
  }


def _effect_on(test_set: dict[str, Any], seeds: Sequence[int]) -> Effect:
  """The paired effect on a test set after the first; a seed without a finite score is left out."""
  first, second = ([member["psnr"] for member in arm] for arm in test_set["arms"].values())
  rows = [
    np.subtract(first[seed], second[seed])
    for seed in seeds
    if None not in first[seed] + second[seed]
  ]
  return effect(np.array(rows, float).reshape(len(rows), len(test_set["images"])))


def _diverged(members: Sequence[dict[str, Any]]) -> bool:
  return any(member["status"] == "diverged" for member in members)


def sentences(results: Results) -> list[str]:
  """The verdict: test photographs, training patches, then what weakens or limits it."""
  verdict, config = results["verdict"], results["config"]
  first, second = (name.upper() for name in verdict["contrast"])
  test_set = results.get("tests", ["test"])[0]
  said = [
    f"On {'test photographs' if test_set == 'test' else test_set}, {first} "
    f"{describe(verdict['test'], second)}.",
    *(
      f"On {name}, {first} {describe(one, second)}."
      for name, one in verdict["further_tests"].items()
    ),
    f"On the patches it was trained on, {first} {describe(verdict['training'], second)}.",
  ]
  for name, arm in results["arms"].items():
    seeds = {
      status: [m["seed"] for m in arm["members"] if m["status"] == status]
      for status in ("diverged", "below bicubic")
    }
    if seeds["diverged"]:
      said.append(
        f"{name.upper()} diverged for seeds {seeds['diverged']}, which are left out of the "
        "comparison for both networks."
      )
    if seeds["below bicubic"]:
      said.append(
        f"{name.upper()} ends below bicubic on the test photographs for seeds "
        f"{seeds['below bicubic']}."
      )
    if arm["search"] and all(one["validation_psnr"] is None for one in arm["search"]):
      said.append(f"Every learning rate of {name.upper()} diverged in the search.")
    elif arm["rate_at_edge"]:
      said.append(
        f"The best learning rate of {name.upper()}, {arm['learning_rate']:g}, is the "
        f"{arm['rate_at_edge']} of the grid: a wider --learning_rate may change the result."
      )
  said.append(
    f"Not shown: other data, depths, widths or scales, training beyond {config['steps']} steps, or "
    f"{second} networks of other shapes at the same MACs; and the interval takes the learning "
    "rates as given."
  )
  return said


def describe(data: dict[str, Any], other: str) -> str:
  """One effect in words, as what is said of the first arm."""
  one: Effect = Effect(**data)
  if one.mean is None:
    return f"cannot be compared with {other}: no seed finished in both"
  sample = f"{one.seeds} seed{'s' * (one.seeds != 1)} x {one.images} images"
  lead = f"is {abs(one.mean):.3f} dB {'better' if one.mean >= 0 else 'worse'} than {other}"
  if one.low is None:
    return f"{lead} ({sample}): undecided, since an interval needs two of each"
  interval = f"95 % interval of the difference {one.low:+.3f} to {one.high:+.3f} dB"
  return f"{lead} ({interval}, {sample}): {MEANING[one.decision]}"


def time_sentence(timing: dict[str, Any]) -> str:
  """What the arms cost in measured time, each form at the MACs that it executes."""
  (first, base), *others = timing["step_seconds"].items()
  macs = timing["executed_macs"]
  said = [
    f"{seconds / base:.2f} times as long for {_titled(name)} ({1e3 * seconds:.2f} ms), at "
    f"{macs[name] / macs[first]:.2f} times the MACs"
    for name, seconds in others
  ]
  return (
    f"A training step takes {1e3 * base:.2f} ms for {_titled(first)} on {timing['device']}, "
    f"{'; '.join(said)}."
  )


def _titled(name: str) -> str:
  """An arm's name with its execution: "hr (lr_space)" is HR computed in LR space."""
  arm, _, execution = name.partition(" ")
  return arm.upper() + {"": "", "(hr_space)": "", "(lr_space)": " computed in LR space"}[execution]


def headline(results: Results) -> dict[str, str]:
  """The effect on test photographs as the columns of a table."""
  test = results["verdict"]["test"]
  first, second = (name.upper() for name in results["verdict"]["contrast"])
  interval = "-" if test["low"] is None else f"{test['low']:+.3f} to {test['high']:+.3f}"
  return {
    f"{first} - {second} (dB)": "-" if test["mean"] is None else f"{test['mean']:+.3f}",
    "95 % interval": interval,
    "decision": test["decision"],
  }
