"""What training time does to the difference between two networks.

Fixed before the runs of the preset `convergence` of `matched_flops` (3,000, 12,000 and 48,000
steps; rates searched again for each length, over 3,000, 6,000 and 12,000):

- Two contrasts: the note's own pair, and LR against the best HR network on validation photographs
  at the longest length that decides.
- A length decides with at least `MIN_SEEDS` seeds, by its interval on the 302 photographs that
  training and validation do not use; of several runs of a length the one with the most seeds
  counts. Longer ones of fewer seeds describe.
- With the same decision after the fewest and the most steps that decide, that holds over these
  lengths. Two different decisions of supported, equivalent and reversed are a matter of training
  time. Otherwise it is undecided.
- How the difference changes between these two is paired by seed and photograph, and has an interval
  of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from sr_jax.comparison import statistics
from sr_jax.comparison.contrasts import Results, contrast
from sr_jax.comparison.statistics import Decision, Effect
from sr_jax.comparison.titles import titled

MIN_SEEDS = 4  # of a length that decides
NOTE_PAIR = "lr", "hr"
SPLITS = {"test": "test", "training": "train"}  # scores of members, and lists of photographs

Runs = Mapping[int, Results]  # the run of one contrast by its steps
Finding = Decision | Literal["a matter of training time"]
DECIDED = {"supported", "equivalent", "reversed"}


def runs_of(results: Iterable[Results], first: str, second: str) -> dict[int, Results]:
  """By steps, the shortest first, the run with most seeds among those that have both networks."""
  runs: dict[int, Results] = {}
  for run in sorted(results, key=lambda run: (run["config"]["steps"], run["config"]["seeds"])):
    if {first, second} <= run["arms"].keys():
      runs[run["config"]["steps"]] = run
  return runs


def best_opponent(results: Sequence[Results], first: str = "lr") -> str:
  """The HR network with the best mean validation PSNR after the most steps that decide.

  Of the networks of all runs of that length, on the seeds that each of them has.

  Raises:
    ValueError: no run decides, or none of them has an HR network.
  """
  deciding = [run for run in results if run["config"]["seeds"] >= MIN_SEEDS]
  longest = max((run["config"]["steps"] for run in deciding), default=0)
  of_length = [run for run in deciding if run["config"]["steps"] == longest]
  seeds = min((run["config"]["seeds"] for run in of_length), default=0)
  means: dict[str, float] = {}
  for run in of_length:
    for name, arm in run["arms"].items():
      if name.startswith("hr") and first in run["arms"]:
        psnr = [m["validation_psnr"] for m in arm["members"][:seeds] if m["status"] != "diverged"]
        means[name] = max(means.get(name, -np.inf), float(np.mean(psnr)) if psnr else -np.inf)
  if not means:
    raise ValueError("no run of at least four seeds has an HR network beside LR")
  return max(means, key=means.__getitem__)


def effects(runs: Runs, first: str, second: str, split: str = "test") -> dict[int, dict[str, Any]]:
  """The effect, first less second, after each number of steps."""
  return {steps: contrast(run, first, second)[split] for steps, run in runs.items()}


def deciding(runs: Runs) -> dict[int, Results]:
  """The runs whose lengths decide."""
  return {steps: run for steps, run in runs.items() if run["config"]["seeds"] >= MIN_SEEDS}


def finding(runs: Runs, first: str, second: str) -> Finding:
  """What the fewest and the most steps that decide say together.

  Raises:
    ValueError: fewer than two lengths decide.
  """
  by_steps = effects(deciding(runs), first, second)
  before, after = (by_steps[steps]["decision"] for steps in ends(by_steps))
  if before == after:
    return before
  return "a matter of training time" if {before, after} <= DECIDED else "undecided"


def change(runs: Runs, first: str, second: str, split: str = "test") -> Effect:
  """The difference after the most steps less that after the fewest, paired by seed and photograph.

  The `split` is "test", or "training" for patches of training photographs. Seeds that one of the
  runs does not have, or on which a member diverged, are left out.

  Raises:
    ValueError: there are fewer than two lengths, or the runs are tested on other photographs.
  """
  shortest, longest = (runs[steps] for steps in ends(runs))
  if shortest["images"][SPLITS[split]] != longest["images"][SPLITS[split]]:
    raise ValueError(f"runs of several lengths need the same {split} photographs")
  before, after = (differences(run, first, second, split) for run in (shortest, longest))
  seeds = sorted(before.keys() & after.keys())
  table = np.array([np.subtract(after[seed], before[seed]) for seed in seeds], float)
  photos = len(shortest["images"][SPLITS[split]])
  return statistics.effect(table.reshape(len(seeds), photos))


def differences(
  results: Results, first: str, second: str, split: str = "test"
) -> dict[int, np.ndarray]:
  """The differences in dB on every photograph, first less second, by seed."""
  members = (results["arms"][name]["members"] for name in (first, second))
  return {
    minuend["seed"]: np.subtract(minuend[split]["psnr"], subtrahend[split]["psnr"])
    for minuend, subtrahend in zip(*members, strict=True)
    if "diverged" not in (minuend["status"], subtrahend["status"])
  }


def ends(runs: Mapping[int, Any]) -> tuple[int, int]:
  """The fewest and the most steps.

  Raises:
    ValueError: there are fewer than two lengths.
  """
  if len(runs) < 2:
    raise ValueError(f"what is said over lengths needs two of them, not {len(runs)}")
  return min(runs), max(runs)


LEADS: dict[str, str] = {
  "supported": "{pair} is above 0.05 dB after {first:,} steps as after {last:,}",
  "reversed": "{pair} is below -0.05 dB after {first:,} steps as after {last:,}",
  "equivalent": "{pair} is within 0.05 dB of zero after {first:,} steps as after {last:,}",
  "a matter of training time": "{pair} is a matter of training time between {first:,} and {last:,} "
  "steps",
  "undecided": "{pair} is undecided over lengths of {first:,} to {last:,} steps",
  "too few photographs": "{pair} is tested on too few photographs",
}


def sentences(runs: Runs, first: str, second: str) -> list[str]:
  """What training time does to a difference: the finding, every effect, and the change.

  Raises:
    ValueError: fewer than two lengths decide.
  """
  decide = deciding(runs)
  fewest, most = ends(decide)
  pair = f"{titled(first)} - {titled(second)}"
  lead = LEADS[finding(runs, first, second)].format(pair=pair, first=fewest, last=most)
  points = "; ".join(
    f"{in_short(effect)} after {steps:,} ({effect['seeds']} seeds"
    + (f", {effect['decision']})" if steps in decide else ", descriptive only)")
    for steps, effect in effects(runs, first, second).items()
  )
  changed = in_short(vars(change(decide, first, second)))
  return [f"{lead}: {points}.", f"From {fewest:,} to {most:,} steps it changes by {changed}."]


def in_short(effect: Mapping[str, Any]) -> str:
  """An effect with its interval: "-0.276 dB (95 % interval -0.321 to -0.230 dB)"."""
  if effect["mean"] is None:
    return "without a seed that finished in both"
  if effect["low"] is None:
    return f"{effect['mean']:+.3f} dB (no interval)"
  interval = f"95 % interval {effect['low']:+.3f} to {effect['high']:+.3f} dB"
  return f"{effect['mean']:+.3f} dB ({interval})"
