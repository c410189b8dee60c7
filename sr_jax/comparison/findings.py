"""What groups of linear contrasts say, in sentences chosen by their decisions.

An effect beyond the smallest of interest counts where its interval says so and its p-value,
adjusted within its group, is below 0.05. That all effects of a group are equivalent needs no
adjustment, since each of them has to be.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

from sr_jax.comparison import residual, schedules, skip
from sr_jax.comparison.combinations import Combination, WeightCurve
from sr_jax.comparison.statistics import SESOI

Results = dict[str, Any]
Effects = list[dict[str, Any]]
Finding = Literal["all equivalent", "better", "worse", "both", "undecided", "too few photographs"]

# Groups of linear contrasts.
POSITIONS = "positions"
BLOCKS = "blocks"
AGAINST_LR = "against LR"
CONTROLS = "controls"
SHARES = "shares"
CURVE = "curve"
FORM = "form of the curve"

LEVEL = 0.05
LEADS = {
  BLOCKS: "When to upscale, in early, middle or late states",
  POSITIONS: "Which positions are in HR, alone and with their neighbour",
  AGAINST_LR: "Upscaling, compared with LR",
}
LISTED = {
  "supported": f"above {SESOI} dB",
  "reversed": f"below -{SESOI} dB",
  "equivalent": f"within {SESOI} dB of nothing",
  "undecided": "undecided",
  "too few photographs": "too few photographs to decide",
}
FORMS = {
  "all equivalent": "PSNR of LR is a line in the logarithm of its parameters",
  "better": "PSNR of LR is no line in the logarithm of its parameters: effects less what the "
  "number of weights predicts are biased",
  "undecided": "Whether PSNR of LR is a line in the logarithm of its parameters is undecided",
}


def of_curve(curve: WeightCurve) -> Combination:
  """The effect of twice the parameters on LR networks."""
  question = "what twice the parameters of LR bring"
  return Combination(CURVE, "twice the parameters", question, curve.slope())


def group_of(results: Results, group: str) -> Effects:
  """The effects of a group, in the order in which they were planned."""
  effects = results["verdict"].get("combinations", [])
  return [effect for effect in effects if effect["group"] == group]


def finding(effects: Effects) -> Finding:
  """What a group of effects says together."""
  decisions = {effect["test"]["decision"] for effect in effects}
  if "too few photographs" in decisions:
    return "too few photographs"
  if decisions == {"equivalent"}:
    return "all equivalent"
  better, worse = (_shown(effects, decision) for decision in ("supported", "reversed"))
  if better and worse:
    return "both"
  return "better" if better else "worse" if worse else "undecided"


def _shown(effects: Effects, decision: str) -> list[str]:
  """The names of the effects that are decided so, also with all of the group adjusted."""
  decided = (effect for effect in effects if effect["test"]["decision"] == decision)
  return [effect["name"] for effect in decided if effect["p_holm"] < LEVEL]


def share_finding(results: Results) -> str:
  """What the shares of HR maps say, in a word or two for a table; "-" without any."""
  effects = group_of(results, SHARES)
  say = finding(effects)
  return {"all equivalent": "the weights"}.get(say, say) if effects else "-"


def mixture_finding(results: Results) -> str:
  """Whether residual networks need an explicit combination, for a table; "-" without any."""
  words = {"all equivalent": "not needed", "better": "hurts", "worse": "helps"}
  effects = group_of(results, residual.MIXTURES)
  say = finding(effects)
  return words.get(say, say) if effects else "-"


def sentences(results: Results) -> list[str]:
  """What the groups of linear contrasts of a run say; nothing of a run without any."""
  if "combinations" not in results["verdict"]:
    return []
  names = (*LEADS, *residual.CLAIMS, *skip.CLAIMS, SHARES, FORM)
  groups = {group: group_of(results, group) for group in names}
  written = [
    f"{claim(results, group)} ({listing(effects)})." for group, effects in groups.items() if effects
  ]
  further = _on_controls(results), _on_weights(results), _on_lattice(results)
  of_some = *skip.sentences(results), *written, *residual.on_training(results)
  return [*of_some, *itertools.chain(*further)]


def claim(results: Results, group: str) -> str:
  """What a group of effects says together, without their numbers: the start of a sentence."""
  effects = group_of(results, group)
  say = finding(effects)
  if group == FORM:
    return FORMS.get("better" if say in ("worse", "both") else say, FORMS["undecided"])
  better, worse = (", ".join(_shown(effects, each)) for each in ("supported", "reversed"))
  if group == SHARES:
    return _share_claim(results, say, better, worse)
  if group in residual.CLAIMS or group in skip.CLAIMS:
    if say == "all equivalent" and _did_not_learn(results, effects):
      say = "undecided"  # networks that return bicubic interpolation are equivalent to each other
    # Their names have commas.
    better, worse = ("; ".join(_shown(effects, each)) for each in ("supported", "reversed"))
    if group in residual.CLAIMS:
      return residual.claim(group, say, better, worse)
    texts = skip.CLAIMS[group]
    return texts.get(say, texts["undecided"]).format(better=better, worse=worse)
  verbs = {"all equivalent": "does not matter", "undecided": "is undecided"}
  verb = verbs.get(say.replace("too few photographs", "undecided"), "matters")
  if group == AGAINST_LR and (better or worse):  # whose sign has a meaning
    parts = [f"helps ({better})"] * bool(better) + [f"hurts ({worse})"] * bool(worse)
    verb = " and ".join(parts)
  beyond = any(effect["is_less_curve"] for effect in effects)
  weights = ", beyond what the number of weights predicts" * beyond
  return f"{LEADS[group]}, {verb}{weights}"


def _did_not_learn(results: Results, effects: Effects) -> bool:
  """Whether no member of some arm of these effects has learned."""
  members = [results["arms"][name]["members"] for effect in effects for name in effect["weights"]]
  return any(all(m["status"] == "did not learn" for m in of_arm) for of_arm in members)


def _share_claim(results: Results, say: Finding, better: str, worse: str) -> str:
  """What the shares say, under the condition that the line of the weights is one."""
  form = group_of(results, FORM)
  known = {"all equivalent": "", "better": ", which it is not", "worse": ", which it is not"}
  known |= {"both": ", which it is not"}
  doubt = known.get(finding(form), ", which is undecided") if form else ", which was not checked"
  condition = f" (if PSNR of LR is a line in the logarithm of its parameters{doubt})" * bool(doubt)
  if say == "all equivalent":
    says = "it is the number of weights: beyond what that predicts, no share matters"
  elif better or worse:
    parts = [f"better than the number of weights predicts: {better}"] * bool(better)
    parts += [f"worse than it predicts: {worse}"] * bool(worse)
    says = "; ".join(parts)
  else:
    says = "undecided, less what the number of weights predicts"
  return f"What share of the maps to upscale: {says}{condition}"


def listing(effects: Sequence[dict[str, Any]]) -> str:
  """Effects by decision: "above 0.05 dB: late - early +0.080; undecided: middle - early +0.040"."""
  lines = []
  for decision, words in LISTED.items():
    named = [f"{e['name']} {_mean(e)}" for e in effects if e["test"]["decision"] == decision]
    if named:
      lines.append(f"{words}: {', '.join(named)}")
  return "; ".join(lines)


def _mean(effect: dict[str, Any]) -> str:
  mean = effect["test"]["mean"]
  return "without a seed that finished in all its networks" if mean is None else f"{mean:+.3f} dB"


def _on_controls(results: Results) -> list[str]:
  controls = group_of(results, CONTROLS)
  if not controls:
    return []
  if finding(controls) == "all equivalent":
    return [
      f"The controls, LR but for tied biases, are equivalent to it, as they must be "
      f"({listing(controls)})."
    ]
  return [
    f"The controls, LR but for tied biases, are not shown to be equivalent to it "
    f"({listing(controls)}): other effects of that size are not to be trusted."
  ]


def _on_weights(results: Results) -> list[str]:
  """How much the number of weights explains, and where it was not subtracted."""
  if group_of(results, skip.WITHOUT):  # in which the number of weights is the same
    return []
  if not (slope := group_of(results, CURVE)):
    return [
      "The run has no narrower LR networks, so its effects are as they are: part of them may be "
      "the number of weights."
    ]
  test = slope[0]["test"]
  if test["mean"] is None:
    return []
  interval = (
    "" if test["low"] is None else f" (95 % interval {test['low']:+.3f} to {test['high']:+.3f} dB)"
  )
  bring = f"Twice the parameters bring LR networks {test['mean']:+.3f} dB{interval}."
  return [bring, *_beyond_the_line(results, slope[0])]


def _beyond_the_line(results: Results, slope: dict[str, Any]) -> list[str]:
  """Which networks have fewer parameters than any through which the line goes."""
  parameters = {name: arm["budget"]["parameters"] for name, arm in results["arms"].items()}
  least = min(parameters[name] for name in slope["weights"])
  corrected = [e for e in results["verdict"]["combinations"] if e["is_less_curve"]]
  names = dict.fromkeys(name for effect in corrected for name in effect["weights"])
  beyond = [name for name in names if parameters[name] < least]
  if not beyond:
    return []
  return [
    f"{', '.join(beyond)}: fewer parameters than the narrowest LR network has, so that the line is "
    "extended to them."
  ]


def _on_lattice(results: Results) -> list[str]:
  """Of how many schedules a run without effects of positions is."""
  known = {name: schedule for name in results["arms"] if (schedule := schedules.parse(name))}
  if not known or group_of(results, POSITIONS):
    return []
  maps = max(max(schedule) for schedule in known.values())
  positions = len(next(iter(known.values())))
  everything = schedules.lattice(positions, maps)
  count = len(set(everything) & set(known.values()))
  needed = "half or all" if positions >= schedules.MIN_POSITIONS_OF_HALF else "all"
  return [
    f"A reduced lattice: {count} of the {len(everything)} schedules of 0 or {maps} HR maps, too "
    f"few for the effects of positions, for which --schedules={needed} is needed."
  ]
