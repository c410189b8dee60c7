"""What a run shows of whether channels form HR maps, from what `combining.py` measured.

Fixed before the run, where "shown" is by a 95 % interval, over seeds, or over seeds and
photographs:

- nothing is concluded unless every seed of every positive control has a tied share above
  `FULL_SHARE` in each layer, and tying changes its PSNR by less than `NO_COST` on each photograph;
- an arm forms HR maps: its share, averaged over layers, is shown to be above the mean of the null
  by more than `MIN_EXCESS`, and tying all maps is shown to cost less than tying maps of random
  channels, by more than the smallest effect of interest;
- it forms none: the excess over the null is shown to be below `MIN_EXCESS`, or what the best order
  saves to be below the smallest effect of interest;
- else undecided.

Channels that are proportional to the phases of a map, but not equal, count as tied in part.
"""

import dataclasses
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from sr_jax.comparison.combining import COMBINING, Results
from sr_jax.comparison.statistics import (
  MIN_IMAGES,
  SESOI,
  Effect,
  ci_half_width_over_seeds,
  effect,
)
from sr_jax.comparison.titles import titled

MIN_EXCESS = 0.05  # of the share over the null's
FULL_SHARE = 0.99
NO_COST = 0.01  # dB
Finding = Literal["forms HR maps", "forms none", "undecided", "not concluded"]


def decide(results: Results) -> dict[str, Any]:
  """Which controls pass, "controls", and what is shown of every arm, "arms"; JSON data."""
  combining = results[COMBINING]
  passes = {name: passes_control(record) for name, record in combining["controls"].items()}
  is_valid = bool(passes) and all(passes.values())
  arms = {name: _judge(record, is_valid) for name, record in combining["arms"].items()}
  return {"controls": passes, "arms": arms}


def passes_control(record: Results) -> bool:
  """Whether the search finds the ties of a network back, and tying changes nothing."""
  if not record["seeds"]:
    return False
  changes = psnr_difference(record, "untied", f"tied_{record['maps']}")
  is_whole = len(changes) == len(record["seeds"])
  return bool(
    np.min(record["shares"]) > FULL_SHARE and is_whole and np.abs(changes).max() < NO_COST
  )


def psnr_difference(record: Results, first: str, second: str) -> Float[np.ndarray, "s i"]:
  """PSNR of a version of an arm less that of another in dB, of seeds where both are finite."""
  differences = np.subtract(*(np.array(record["psnr"][name], float) for name in (first, second)))
  return differences[np.isfinite(differences).all(axis=1)]


def _judge(record: Results, is_valid: bool) -> dict[str, Any]:
  """What is shown of one arm."""
  if not record["seeds"]:
    return {"finding": "undecided" if is_valid else "not concluded", "seeds": 0}
  share, null = (np.mean(record[key], axis=-1) for key in ("shares", "null"))  # over layers
  excess, maps = share - null.mean(axis=1), record["maps"]
  half_width = ci_half_width_over_seeds(excess)
  effects = {
    "cost": effect(psnr_difference(record, "untied", f"tied_{maps}")),
    "cost_of_first_map": effect(psnr_difference(record, "untied", "tied_1")),
    "saved": effect(psnr_difference(record, f"tied_{maps}", f"random_{maps}")),
    "saved_of_first_map": effect(psnr_difference(record, "tied_1", "random_1")),
  }
  p_values = (1 + (null >= share[:, None]).sum(axis=1)) / (1 + null.shape[1])
  finding = _finding(float(excess.mean()), half_width, effects["saved"])
  return {
    "finding": finding if is_valid else "not concluded",
    "seeds": len(excess),
    "share": float(share.mean()),
    "null": float(null.mean()),
    "excess": float(excess.mean()),
    "excess_half_width": half_width,
    "max_p": float(p_values.max()),
    **{name: dataclasses.asdict(each) for name, each in effects.items()},
  }


def _finding(excess: float, half_width: float | None, saved: Effect) -> Finding:
  if half_width is None or saved.low is None or saved.high is None or saved.images < MIN_IMAGES:
    return "undecided"
  if excess + half_width < MIN_EXCESS or saved.high < SESOI:
    return "forms none"
  is_shown = excess - half_width > MIN_EXCESS and saved.low > SESOI
  return "forms HR maps" if is_shown else "undecided"


def sentences(results: Results) -> list[str]:
  """What a run says of HR maps in LR networks; nothing of a run that did not look for them."""
  if COMBINING not in results:
    return []
  verdict = decide(results)
  return [
    *(_of_arm(name, judged) for name, judged in verdict["arms"].items()),
    _of_controls(results[COMBINING]["controls"], verdict["controls"]),
  ]


def _of_arm(name: str, judged: dict[str, Any]) -> str:
  lead = {
    "forms HR maps": f"Channels of {titled(name)} form HR maps",
    "forms none": f"Channels of {titled(name)} do not form HR maps",
    "undecided": f"Whether channels of {titled(name)} form HR maps is undecided",
    "not concluded": f"Nothing is concluded on channels of {titled(name)}, since a positive "
    "control fails or is missing",
  }[judged["finding"]]
  if not judged["seeds"]:
    return f"{lead}: no seed finished."
  excess, half_width = judged["excess"], judged["excess_half_width"]
  ends = (
    ""
    if half_width is None
    else f" (95 % {excess - half_width:+.3f} to {excess + half_width:+.3f})"
  )
  return (
    f"{lead}: in the best order, {judged['share']:.3f} of the energy of its hidden kernels is "
    f"tied, {excess:+.3f}{ends} from kernels whose filters changed places, over "
    f"{judged['seeds']} seed{'s' * (judged['seeds'] != 1)}. Tying all maps of every state costs "
    f"{_in_words(judged['cost'])}; in random orders it costs {_in_words(judged['saved'])} more. "
    f"Tying the most tied map alone costs {_in_words(judged['cost_of_first_map'])}; a random one "
    f"costs {_in_words(judged['saved_of_first_map'])} more."
  )


def _of_controls(controls: Results, passes: dict[str, bool]) -> str:
  if not passes:
    return "There is no positive control."
  described = []
  for name, record in controls.items():
    word = "passes" if passes[name] else "fails"
    if not record["seeds"]:
      described.append(f"{titled(name)} {word} (no seed finished)")
      continue
    changes = psnr_difference(record, "untied", f"tied_{record['maps']}")
    change = f"{np.abs(changes).max():.4f} dB" if changes.size else "not known"
    described.append(
      f"{titled(name)} {word} (least tied share of a layer {np.min(record['shares']):.4f}, "
      f"greatest change of PSNR by tying {change})"
    )
  return f"Positive controls, lifted HR networks with shuffled channels: {'; '.join(described)}."


def headline(results: Results) -> dict[str, str]:
  """The finding on every LR arm as a column of a table; nothing of a run without any."""
  if COMBINING not in results:
    return {}
  judged = decide(results)["arms"]
  return {"HR maps": "; ".join(f"{titled(name)}: {arm['finding']}" for name, arm in judged.items())}


def _in_words(difference: dict[str, Any]) -> str:
  ends = ""
  if difference["low"] is not None:
    ends = f" ({difference['low']:+.3f} to {difference['high']:+.3f})"
  return (
    f"{difference['mean']:+.3f} dB{ends}" if difference["mean"] is not None else "what is unknown"
  )
