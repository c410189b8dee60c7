"""What a run whose arms have recipes of their own may say: its control, and who left the plateau.

Two rules, fixed before the runs. LR far contains LR, so that it can only represent more: that it is
not worse than LR by more than the smallest effect of interest is the positive control, and where
the interval of LR far - LR reaches below that, training, not representation, is what arms differ
in. And where networks can stay on the plateau of a linear filter, the verdict counts only if every
member of every arm has left it (`escape`).
"""

from typing import Any

from sr_jax.comparison.contrasts import Results, contrast
from sr_jax.comparison.escape import ESCAPE
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.titles import titled

TUNING = "tuning"  # of a verdict
RECIPES = "recipes"  # of results: those that every arm was trained with in the search
CONTROL = ("lr_far", "lr")  # the first contains the second
ON = {"test": "test photographs", "training": "training patches"}


def decide(results: Results) -> dict[str, Any]:
  """The control and the plateau.

  Returns:
    "control", the contrast of `CONTROL` with "holds" on test photographs and on training patches,
    None where there is no interval; it is itself None without these arms. "escaped", for every arm
    the number of its members that left the plateau, and "all_escaped".
  """
  control = None
  if {*CONTROL} <= results["arms"].keys():
    effect = contrast(results, *CONTROL)
    lows = {split: effect[split]["low"] for split in ON}
    holds = {split: None if low is None else low > -SESOI for split, low in lows.items()}
    control = {**effect, "holds": holds}
  members = {name: arm["members"] for name, arm in results[ESCAPE]["arms"].items()}
  escaped = {
    name: sum(member["escape_step"] is not None for member in own) for name, own in members.items()
  }
  all_escaped = all(escaped[name] == len(own) for name, own in members.items())
  return {"control": control, "escaped": escaped, "all_escaped": all_escaped}


def sentences(results: Results) -> list[str]:
  """What was searched, and what control and plateau say; none of a run without recipes."""
  tuning = results["verdict"].get(TUNING)
  if tuning is None:
    return []
  return [_search(results), *_control(tuning["control"]), _plateau(results, tuning)]


def _search(results: Results) -> str:
  counts = [f"{titled(name)} {arm['different_recipes']}" for name, arm in results["arms"].items()]
  return (
    f"Every arm was trained with the same {len(results[RECIPES])} recipes for "
    f"{results['config']['search_steps']:,} steps, and every seed with the best of as many drawn "
    "from these with replacement, so that the intervals include which recipes were drawn, but "
    "not the noise of their scores. The number of different recipes that the seeds chose: "
    f"{', '.join(counts)}."
  )


def _control(control: dict[str, Any] | None) -> list[str]:
  """What the positive control says, on test photographs and on training patches."""
  if control is None:
    return []
  first, second = map(titled, CONTROL)
  phrases = []
  for split, where in ON.items():
    effect, holds = control[split], control["holds"][split]
    if holds is None:
      phrases.append(f"cannot be decided on {where}, where there is no interval")
      continue
    ends = f"{effect['mean']:+.3f} dB, {effect['low']:+.3f} to {effect['high']:+.3f}"
    fails = effect["high"] < -SESOI
    word = "holds" if holds else "fails" if fails else "is not shown to hold"
    phrases.append(f"{word} on {where} ({ends})")
  start = (
    f"The positive control, that {first}, which contains {second}, is not more than {SESOI} dB "
    f"worse, {' and '.join(phrases)}"
  )
  if all(control["holds"].values()):
    return [f"{start}: under these recipes what can represent more is not trained worse."]
  return [
    f"{start}: this run cannot speak of representation, only of networks as they are trained."
  ]


def _plateau(results: Results, tuning: dict[str, Any]) -> str:
  """How many members do better than the linear filter, and from which step on."""
  arms = results[ESCAPE]["arms"]
  phrases = []
  for name, arm in arms.items():
    steps = [m["escape_step"] for m in arm["members"] if m["escape_step"] is not None]
    text = f"{titled(name)} {len(steps)} of {len(arm['members'])}"
    phrases.append(text + (f" (by step {max(steps):,})" if steps else ""))
  counted = (
    f"Members that left the plateau of the best linear filter, more than "
    f"{results[ESCAPE]['margin']} dB above it on validation photographs: {', '.join(phrases)}"
  )
  if tuning["all_escaped"]:
    return f"{counted}. All did, so that the verdict compares what they learned beyond it."
  return (
    f"{counted}. Not all did, so that by the rule of this run its verdict does not count: it "
    "compares when networks leave the plateau."
  )
