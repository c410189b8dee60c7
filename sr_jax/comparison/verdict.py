"""What a comparison says, as data and as sentences that a person understands."""

from typing import Any

from sr_jax.comparison import combining_verdict, findings, learning, tuning_verdict
from sr_jax.comparison.contrasts import Comparison, Results, all_combinations, all_contrasts
from sr_jax.comparison.statistics import SESOI, Effect
from sr_jax.comparison.titles import titled

MEANING = {
  "supported": f"better by more than {SESOI} dB",
  "reversed": f"worse by more than {SESOI} dB",
  "equivalent": f"equivalent, within {SESOI} dB",
  "undecided": f"undecided, since the interval crosses +{SESOI} or -{SESOI} dB",
  "too few photographs": "too few photographs to decide",
}
ALIKE = 0.025  # relative difference of MACs
ALSO = {"best": "the best opponent on validation photographs", "subset": "its subset"}


def decide(results: Results, comparison: Comparison) -> dict[str, Any]:
  """The verdict of a run: its primary contrast, all other effects, and what they say."""
  contrasts = all_contrasts(results, comparison)
  verdict = {"sesoi": SESOI, **contrasts[0], "contrasts": contrasts[1:]}
  if comparison.combinations:
    verdict["combinations"] = all_combinations(results, comparison.combinations)
  if learning.LEARNING in results:
    verdict[learning.LEARNING] = learning.decide(results)
  if tuning_verdict.RECIPES in results:
    verdict[tuning_verdict.TUNING] = tuning_verdict.decide(results)
  return {**verdict, "sentences": sentences({**results, "verdict": verdict})}


def sentences(results: Results) -> list[str]:
  """The verdict: test photographs, training patches, then what weakens or limits it."""
  first, *further = answers(results)
  return [
    first,
    *other_estimates(results),
    *further,
    *(also(c, results) for c in results["verdict"]["contrasts"] if c["kind"] in ALSO),
    *tuning_verdict.sentences(results),
    *learning.sentences(results),
    *findings.sentences(results),
    *combining_verdict.sentences(results),
    *cautions(results),
    not_shown(results),
  ]


def answers(results: Results) -> list[str]:
  """What the primary contrast says on every test set, and on the patches of the training."""
  verdict = results["verdict"]
  first, second = (titled(name) for name in verdict["contrast"])
  test_set = results.get("tests", ["test"])[0]
  return [
    f"On {'test photographs' if test_set == 'test' else test_set}, {first} "
    f"{describe(verdict['test'], second)}.",
    *(
      f"On {name}, {first} {describe(effect, second)}."
      for name, effect in verdict["further_tests"].items()
    ),
    f"On the patches it was trained on, {first} {describe(verdict['training'], second)}.",
  ]


def other_estimates(results: Results) -> list[str]:
  """Two more estimates of the verdict's effect, beside the mean of differences in dB."""
  test = results["verdict"]["test"]
  if test["mean"] is None:
    return []
  return [
    f"The mean of differences in dB, which was fixed to decide, is {test['mean']:+.3f}; their "
    f"median over photographs is {test['median']:+.3f} dB, and with squared errors pooled "
    f"over photographs before they become dB the difference is {test['pooled']:+.3f} dB."
  ]


def also(contrast: dict[str, Any], results: Results) -> str:
  """The sentence on the effect against the best opponent or the tied subset."""
  first, second = contrast["contrast"]
  note = results["arms"][second]["note"]
  opponent = f"{titled(second)}, {ALSO[contrast['kind']]} ({note})"
  return f"{titled(first)} {describe(contrast['test'], opponent)}."


def cautions(results: Results) -> list[str]:
  """What weakens the verdict: members that failed, and rates at the edge of the grid."""
  sentences = []
  for name, arm in results["arms"].items():
    seeds = {
      status: [m["seed"] for m in arm["members"] if m["status"] == status]
      for status in ("diverged", "did not learn", "below bicubic")
    }
    if seeds["diverged"]:
      sentences.append(
        f"{titled(name)} diverged for seeds {seeds['diverged']}, which are left out of the "
        "comparison for both networks."
      )
    if seeds["did not learn"]:
      sentences.append(
        f"{titled(name)} did not learn for seeds {seeds['did not learn']}: these fit their "
        "training patches no better than bicubic interpolation does, and stay in the comparison."
      )
    if seeds["below bicubic"]:
      sentences.append(
        f"{titled(name)} ends below bicubic on the test photographs for seeds "
        f"{seeds['below bicubic']}."
      )
    if arm["search"] and all(entry["validation_psnr"] is None for entry in arm["search"]):
      sentences.append(f"Every learning rate of {titled(name)} diverged in the search.")
    elif arm["rate_at_edge"]:
      sentences.append(
        f"The best learning rate of {titled(name)}, {arm['learning_rate']:g}, is the "
        f"{arm['rate_at_edge']} of the grid: a wider --learning_rate may change the result."
      )
  return sentences


def not_shown(results: Results) -> str:
  """What the run cannot say."""
  second = titled(results["verdict"]["contrast"][1])
  contrasts = results["verdict"]["contrasts"]
  shapes = "combinations" in results["verdict"] or any(c["kind"] == "best" for c in contrasts)
  at_macs = " at the same MACs" * _cost_alike(results)
  as_given = (
    ""
    if tuning_verdict.RECIPES in results
    else ("; and the interval takes the learning rates as given")
  )
  others = "" if shapes else f", or {second} networks of other shapes{at_macs}"
  return (
    "Not shown: other data, depths, widths or scales, training beyond "
    f"{results['config']['steps']} steps{others}{as_given}."
  )


def _cost_alike(results: Results) -> bool:
  """Whether the arms of the verdict have the same MACs, but for those that rounding brings.

  An own network need not cost what its opponent does.
  """
  arms = [results["arms"][name] for name in results["verdict"]["contrast"]]
  if not any("code" in arm for arm in arms):
    return True
  low, high = sorted(arm["budget"]["macs"] for arm in arms)
  return bool(high <= (1 + ALIKE) * low)


def describe(data: dict[str, Any], other: str) -> str:
  """One effect in words, as what is said of the first arm."""
  effect = Effect(**data)
  if effect.mean is None:
    return f"cannot be compared with {other}: no seed finished in both"
  sample = f"{effect.seeds} seed{'s' * (effect.seeds != 1)} x {effect.images} images"
  lead = f"is {abs(effect.mean):.3f} dB {'better' if effect.mean >= 0 else 'worse'} than {other}"
  if effect.low is None and effect.decision == "too few photographs":
    return f"{lead} ({sample}): {MEANING[effect.decision]}"
  if effect.low is None:
    return f"{lead} ({sample}): undecided, since an interval needs two of each"
  interval = f"95 % interval of the difference {effect.low:+.3f} to {effect.high:+.3f} dB"
  return f"{lead} ({interval}, {sample}): {MEANING[effect.decision]}"


def headline(results: Results) -> dict[str, str]:
  """The effect on test photographs as the columns of a table."""
  test = results["verdict"]["test"]
  first, second = (titled(name) for name in results["verdict"]["contrast"])
  interval = "-" if test["low"] is None else f"{test['low']:+.3f} to {test['high']:+.3f}"
  return {
    f"{first} - {second} (dB)": "-" if test["mean"] is None else f"{test['mean']:+.3f}",
    "95 % interval": interval,
    "decision": test["decision"],
  }
