"""What a run shows of whether channels form HR maps, from what `combining.py` measured.

The question is whether half of the channels or more do: fewer may go unseen. Where "shown" is by a
95 % interval, over seeds, or over seeds and photographs:

- half of the channels of a network or more form HR maps: its tied share, averaged over layers, is
  shown to be above the mean of the null by more than `MIN_EXCESS`, and tying the most tied half of
  the maps is shown to cost less than tying as many maps of random channels;
- fewer than half do, if any: the excess over the null is shown to be below `MIN_EXCESS`, or what
  the best order saves to be below the smallest effect of interest;
- else undecided.

Nothing is concluded on an arm unless this rule finds half or more in both its controls, networks of
which all channels or half are phases of HR maps; and unless every seed of the control of
HR maps alone has a tied share above `FULL_SHARE` in each layer, and tying all of it changes its
PSNR by less than `NO_COST` on each photograph.
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
Finding = Literal["half or more", "fewer than half", "undecided", "not concluded"]
WORDS: dict[Finding, str] = {
  "half or more": "Half of the channels of {networks} or more form HR maps",
  "fewer than half": "Fewer than half of the channels of {networks}, if any, form HR maps",
  "undecided": "Whether half of the channels of {networks} or more form HR maps is undecided",
  "not concluded": "Nothing is concluded on HR maps in {networks}, since a positive control fails",
}
FEWER = (
  "HR maps of fewer than half of the channels may go unseen by this measure: its smallest positive "
  "control has half."
)


def control_title(arm: str, kind: str) -> str:
  """What readers call a control of an arm: "hr" has HR maps alone, "half" half the channels."""
  return f"{titled(kind)}, lifted and shuffled, of {titled(arm)}"


def decide(results: Results) -> dict[str, Any]:
  """Which controls of every arm pass, "controls", and what is shown of it, "arms"; JSON data."""
  combining = results[COMBINING]
  passes = {
    arm: {kind: passes_control(kind, record) for kind, record in controls.items()}
    for arm, controls in combining["controls"].items()
  }
  arms = {name: _judge(record) for name, record in combining["arms"].items()}
  for name, judged in arms.items():
    if not all(passes[name].values()):
      judged["finding"] = "not concluded"
  return {"controls": passes, "arms": arms}


def passes_control(kind: str, record: Results) -> bool:
  """Whether a control's HR maps are seen, and in "hr" all of them, tying which changes nothing."""
  if _judge(record)["finding"] != "half or more":
    return False
  is_whole = np.min(record["shares"]) > FULL_SHARE and greatest_change(record) < NO_COST
  return kind != "hr" or bool(is_whole)


def greatest_change(record: Results) -> float:
  """The greatest change of PSNR in dB, of a seed and a photograph, by tying all maps."""
  return float(np.abs(_difference(record, "untied", "tied")).max())


def _difference(record: Results, first: str, second: str) -> Float[np.ndarray, "s i"]:
  """PSNR of a version of a network less that of another in dB."""
  return np.subtract(*(np.array(record["psnr"][name]) for name in (first, second)))


def _judge(record: Results) -> dict[str, Any]:
  """What is shown of one network."""
  if not record["seeds"]:
    return {"finding": "undecided", "seeds": 0}
  share, null = (np.mean(record[key], axis=-1) for key in ("shares", "null"))  # over layers
  excess = share - null.mean(axis=1)
  half_width = ci_half_width_over_seeds(excess)
  saved = effect(_difference(record, "half_tied", "half_random"))
  effects = {
    "cost": effect(_difference(record, "untied", "tied")),
    "cost_of_half": effect(_difference(record, "untied", "half_tied")),
    "saved_of_half": saved,
  }
  return {
    "finding": _finding(float(excess.mean()), half_width, saved),
    "seeds": len(excess),
    "share": float(share.mean()),
    "null": float(null.mean()),
    "excess": float(excess.mean()),
    "excess_half_width": half_width,
    **{name: dataclasses.asdict(each) for name, each in effects.items()},
  }


def _finding(excess: float, half_width: float | None, saved: Effect) -> Finding:
  """The rule, but for controls."""
  if half_width is None or saved.low is None or saved.high is None or saved.images < MIN_IMAGES:
    return "undecided"
  if excess + half_width < MIN_EXCESS or saved.high < SESOI:
    return "fewer than half"
  is_shown = excess - half_width > MIN_EXCESS and saved.low > 0
  return "half or more" if is_shown else "undecided"


def sentences(results: Results) -> list[str]:
  """What a run says of HR maps in LR networks; nothing of a run that did not look for them."""
  if COMBINING not in results:
    return []
  verdict = decide(results)
  combining = results[COMBINING]
  of_arms = [
    _of_arm(name, judged, combining["arms"][name]) for name, judged in verdict["arms"].items()
  ]
  return [*of_arms, *_of_controls(combining["controls"], verdict["controls"])]


def _of_arm(name: str, judged: dict[str, Any], record: Results) -> str:
  lead = WORDS[judged["finding"]].format(networks=titled(name))
  if not judged["seeds"]:
    return f"{lead}: no seed finished."
  return (
    f"{lead}: {_excess(judged, record)}. Tying the most tied half of the maps of every state costs "
    f"{_in_words(judged['cost_of_half'])}; in random orders it costs "
    f"{_in_words(judged['saved_of_half'])} more. Tying all of them costs "
    f"{_in_words(judged['cost'])}."
  )


def _excess(judged: dict[str, Any], record: Results) -> str:
  """The tied share against the null, and the seeds that it is of."""
  excess, half_width = judged["excess"], judged["excess_half_width"]
  ends = (
    ""
    if half_width is None
    else f" (95 % {excess - half_width:+.3f} to {excess + half_width:+.3f})"
  )
  used, seeds = judged["seeds"], record["of_seeds"]
  over = f"{used} seed{'s' * (used != 1)}" if used == seeds else f"{used} of {seeds} seeds"
  return (
    f"in the best order, {judged['share']:.3f} of the energy of hidden kernels is tied, "
    f"{excess:+.3f}{ends} from kernels whose filters changed places, over {over}"
  )


def _of_controls(controls: Results, passes: dict[str, dict[str, bool]]) -> list[str]:
  """A sentence on every control, and what they say of fewer HR maps."""
  described = []
  for arm, by_kind in controls.items():
    for kind, record in by_kind.items():
      lead = f"{control_title(arm, kind)}, {'passes' if passes[arm][kind] else 'fails'}"
      if not record["seeds"]:
        described.append(f"{lead}: no seed finished.")
        continue
      judged = _judge(record)
      described.append(
        f"{lead}: {_excess(judged, record)}, at least {np.min(record['shares']):.4f} in every "
        f"layer. Random orders of half of the maps cost {_in_words(judged['saved_of_half'])} more; "
        f"tying all maps changes PSNR by up to {greatest_change(record):.4f} dB."
      )
  return [*described, FEWER] if described else []


def headline(results: Results) -> dict[str, str]:
  """The finding on every LR arm as a column of a table; nothing of a run without any."""
  if COMBINING not in results:
    return {}
  judged = decide(results)["arms"]
  findings = "; ".join(f"{titled(name)}: {arm['finding']}" for name, arm in judged.items())
  return {"channels that form HR maps": findings}


def _in_words(difference: dict[str, Any]) -> str:
  ends = ""
  if difference["low"] is not None:
    ends = f" ({difference['low']:+.3f} to {difference['high']:+.3f})"
  return f"{difference['mean']:+.3f} dB{ends}"
