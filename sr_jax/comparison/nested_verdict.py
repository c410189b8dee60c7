"""What pairs of a tied network and its untied self say; the rules were fixed before the run.

- The claim, of each pair: the untied network fits training patches better by more than 0.05 dB.
- By Adam: on the fixed patches of every training photograph, with the two-way interval over seeds
  and photographs. By L-BFGS: on the patches that it minimises, with the t interval over seeds.
- Each is supported where its interval is above 0.05 dB and its p-value, which Holm's procedure
  adjusts for the three pairs, below 0.05. "More representation power is used" if both are.
- The untied network may also just be ahead on the way: with more weights it goes down faster. So at
  the pace of its last iterations of L-BFGS, the tied network must need more iterations to catch up
  than it was given: in the last tenth it gained at most a tenth of the lead. Else the finding is
  that its tied self still gains.
- Seeds on which a member of either network diverged are left out of both, and listed.
- Test photographs say whether what is fitted better is of use there; they decide nothing here.

The untied network contains the tied one: at the optimum of the loss it cannot fit worse. Where it
does, optimisation has fallen short, and its result says nothing of representation.
"""

import dataclasses
import math

import numpy as np
from scipy.special import stdtr

from sr_jax.comparison.contrasts import contrast, smallest_p
from sr_jax.comparison.nested import PAIRS, Pair, Results
from sr_jax.comparison.statistics import (
  MIN_IMAGES,
  SESOI,
  ci_half_width_over_seeds,
  decision_of,
  holm,
  paired_effect,
)
from sr_jax.comparison.titles import titled

ALPHA = 0.05  # of all pairs together

USED = "more representation power is used"
STILL_GAINS = "fits better, but its tied self still gains"
BY_ADAM = "used by Adam alone"
BY_LBFGS = "used by L-BFGS alone"
UNUSED = f"less than {SESOI:g} dB is used"
NOT_SHOWN = "not shown"


def decide(results: Results) -> Results:
  """The effects of all pairs, and the verdict: findings by pair and sentences."""
  pairs = [_effects(pair, results) for pair in PAIRS]
  for optimiser, split in (("adam", "training"), ("adam", "test"), ("lbfgs", "patches")):
    effects = [pair[optimiser][split] for pair in pairs]
    tested = [effect for effect in effects if effect["p_supported"] is not None]
    adjusted = holm([smallest_p(effect) for effect in tested], len(PAIRS))
    for effect, p in zip(tested, adjusted, strict=True):
      effect["p_holm"] = p
  findings = {f"{pair['tied']} to {pair['untied']}": finding_of(pair) for pair in pairs}
  return {
    "pairs": pairs,
    "verdict": {
      "findings": findings,
      "sentences": [summary(pairs), *(sentence_of(pair, results) for pair in pairs)],
    },
  }


def _effects(pair: Pair, results: Results) -> Results:
  """Untied less tied, after Adam and after L-BFGS."""
  tied, untied = (results["arms"][name]["lbfgs"]["members"] for name in (pair.tied, pair.untied))
  both = [
    members
    for members in zip(untied, tied, strict=True)
    if all(each["psnr"] is not None and None not in each["test"]["psnr"] for each in members)
  ]

  def column(i: int) -> np.ndarray:
    images = len(results["images"]["test"])
    return np.array([pair[i]["test"]["psnr"] for pair in both], float).reshape(len(both), images)

  gains = [first["psnr"] - second["psnr"] for first, second in both]
  starts = [abs(first["start_psnr"] - second["start_psnr"]) for first, second in both]
  return {
    "tied": pair.tied,
    "untied": pair.untied,
    "question": pair.question,
    "start_difference": max(starts, default=None),  # dB, of the same function: rounding
    "adam": contrast(results, pair.untied, pair.tied),
    "lbfgs": {
      "left_out_seeds": [
        member["seed"] for member in tied if member["seed"] not in {b["seed"] for _, b in both}
      ],
      "patches": over_seeds(gains),
      "tied_gain": gain_of_last_tenth(pair.tied, results),
      "test": dataclasses.asdict(paired_effect(column(0), column(1))),
    },
  }


def over_seeds(gains: list[float]) -> Results:
  """The mean of a gain in dB with its t interval over seeds, and what that decides.

  The fields are those of `statistics.Effect` that there are for seeds alone.
  """
  values = np.array(gains, float)
  seeds = len(values)
  effect: Results = {"values": gains, "seeds": seeds, "mean": None, "low": None, "high": None}
  none = dict.fromkeys(("p_supported", "p_reversed", "p_equivalent"))
  if seeds < 2:
    mean = gains[0] if gains else None
    return {**effect, "mean": mean, **none, "decision": "undecided"}
  mean, half_width = float(values.mean()), ci_half_width_over_seeds(values) or 0.0
  error = float(values.std(ddof=1)) / math.sqrt(seeds)

  def p_value(excess: float) -> float:
    t = excess / error if error else math.copysign(math.inf, excess)
    return float(stdtr(seeds - 1, -t))

  low, high = mean - half_width, mean + half_width
  return {
    **effect,
    "mean": mean,
    "low": low,
    "high": high,
    "p_supported": p_value(mean - SESOI),
    "p_reversed": p_value(-mean - SESOI),
    "p_equivalent": max(p_value(SESOI - mean), p_value(SESOI + mean)),
    "decision": decision_of(low, high, MIN_IMAGES),
  }


def decided(effect: Results) -> str:
  """The decision of an effect among all pairs."""
  is_adjusted = effect.get("p_holm") is not None and effect["p_holm"] < ALPHA
  return effect["decision"] if is_adjusted else "undecided"


def finding_of(pair: Results) -> str:
  """What a pair says, by the rules of this module."""
  adam, by_lbfgs = decided(pair["adam"]["training"]), decided(pair["lbfgs"]["patches"])
  if adam == by_lbfgs == "equivalent":
    return UNUSED
  used = adam == "supported", by_lbfgs == "supported"
  if all(used) and not _is_settled(pair["lbfgs"]):
    return STILL_GAINS
  return {(True, True): USED, (True, False): BY_ADAM, (False, True): BY_LBFGS}.get(used, NOT_SHOWN)


def _is_settled(lbfgs: Results) -> bool:
  """Whether the tied network gains too little in the end to catch up in as many iterations."""
  gain = lbfgs["tied_gain"]
  return gain is not None and lbfgs["patches"]["mean"] > 10 * gain


def gain_of_last_tenth(arm: str, results: Results) -> float | None:
  """What a tenth of all iterations brought at the end, in dB on its patches, the mean over seeds.

  None where there is no earlier entry to compare with, or all members diverged.
  """
  since, gains = _late_gains(arm, results)
  return (
    float(np.mean(gains)) * results["config"]["lbfgs_iterations"] / (10 * since) if gains else None
  )


def _late_gains(arm: str, results: Results) -> tuple[int, list[float]]:
  """The last iterations of L-BFGS, a tenth or somewhat more, and what they brought members in dB.

  The curve is of the mean loss since the entry before, which overstates what is gained.
  """
  iterations, fixed = results["config"]["lbfgs_iterations"], results["arms"][arm]["lbfgs"]
  curve = fixed["patches_psnr"]
  before = [i for i, step in enumerate(curve["steps"]) if step <= 0.9 * iterations]
  if not before:
    return 0, []
  pairs = zip(fixed["members"], curve["members"][before[-1]], strict=True)
  gains = [member["psnr"] - psnr for member, psnr in pairs if None not in (member["psnr"], psnr)]
  return iterations - curve["steps"][before[-1]], gains


def pair_title(pair: Results) -> str:
  """What readers call a pair: "LR tied to LR"."""
  return f"{titled(pair['tied'])} to {titled(pair['untied'])}"


def summary(pairs: list[Results]) -> str:
  """In how many pairs more representation power is used."""
  count = sum(finding_of(pair) == USED for pair in pairs)
  return (
    f"In {count} of {len(pairs)} pairs the untied network, from the same function, comes to fit "
    f"training patches better than its tied self by more than {SESOI:g} dB, both by Adam and by "
    "L-BFGS, and its tied self gains too little in the end to catch up."
  )


def sentence_of(pair: Results, results: Results) -> str:
  """What a pair says, with its numbers."""
  config, (adam, by_lbfgs) = results["config"], (pair["adam"], pair["lbfgs"])
  short = [
    name
    for name, effect in (("Adam", adam["training"]), ("L-BFGS", by_lbfgs["patches"]))
    if decided(effect) == "reversed"
  ]
  falls_short = (
    f" {' and '.join(short)} fell short: at the optimum the untied network fits no worse."
    if short
    else ""
  )
  return (
    f"{pair_title(pair)} ({pair['question']}): {finding_of(pair)}. Untied less tied, the fit of "
    f"training patches is {_decibels(adam['training'])} after {config['steps']:,} more steps of "
    f"Adam ({decided(adam['training'])}), and that of {config['lbfgs_patches']:,} fixed ones "
    f"{_decibels(by_lbfgs['patches'])} after {config['lbfgs_iterations']:,} iterations of L-BFGS "
    f"({decided(by_lbfgs['patches'])}){_pace(by_lbfgs)}; test photographs: "
    f"{_decibels(adam['test'])} by Adam ({decided(adam['test'])}), {_decibels(by_lbfgs['test'])} "
    f"by L-BFGS.{falls_short}"
  )


def _pace(lbfgs: Results) -> str:
  """What the tied network gained in the end, as a clause."""
  gain = lbfgs["tied_gain"]
  return "" if gain is None else f", of which the last tenth brought the tied one {gain:.3f} dB"


def convergence_sentence(results: Results) -> str:
  """What the last tenth of L-BFGS still gained on its patches, and what that says of it."""
  iterations = results["config"]["lbfgs_iterations"]
  arms = [name for pair in results["pairs"] for name in (pair["tied"], pair["untied"])]
  late = [_late_gains(name, results) for name in arms]
  gains, since = [gain for _, own in late for gain in own], max(count for count, _ in late)
  if not gains:
    return ""
  least, most = min(gains), max(gains)
  converged = (
    "L-BFGS is near an optimum" if most < SESOI else "L-BFGS is not at an optimum when it stops"
  )
  return (
    f"{converged}: in its last {since:,} of {iterations:,} iterations it gained {least:.3f} to "
    f"{most:.3f} dB on its patches, whichever the network and the start. Before the first one, a "
    f"network and its untied self fit them alike, to within {_largest_start(results):.1g} dB."
  )


def _largest_start(results: Results) -> float:
  """The largest difference in dB of what is the same function."""
  starts = [pair["start_difference"] for pair in results["pairs"]]
  return max((start for start in starts if start is not None), default=0.0)


def _decibels(effect: Results) -> str:
  """A mean effect with its interval."""
  if effect["mean"] is None:
    return "not known"
  if effect["low"] is None:
    return f"{effect['mean']:+.3f} dB"
  return f"{effect['mean']:+.3f} dB [{effect['low']:+.3f}, {effect['high']:+.3f}]"
