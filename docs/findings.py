"""The blocks of README's first screen, whose sentences are chosen by the contrasts they are about.

Each finding names its contrast, the interval and the decision; nothing about a result is typed.
"""

from typing import Any

import numpy as np

from docs import convergence_blocks, representation_blocks
from docs.comparison_blocks import Kept, about, bullets, in_short, interval
from docs.kept_results import changed
from sr_jax.comparison import convergence
from sr_jax.comparison.contrasts import contrast
from sr_jax.comparison.convergence import NOTE_PAIR
from sr_jax.comparison.statistics import SESOI, paired_effect
from sr_jax.comparison.titles import titled
from sr_jax.config import as_flags
from sr_jax.report import tables, times
from sr_jax.report.markdown import table as markdown_table

SHOWN: dict[str | tuple[str, str], str] = {
  ("lr", "hr"): "the note's own pair",
  "best": "LR against the best HR network, chosen on validation photographs",
  ("lr", "lr_tied"): "LR against its own subset, the phases tied",
  ("hr_untied", "hr_learned"): "HR against its own subset: untied, equal MACs",
}


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The blocks "verdict_lines", "verdict" and "findings"."""
  return {
    "verdict_lines": _lines(kept),
    "verdict": _verdict(kept["confirmatory"]),
    "findings": _findings(kept),
  }


def _lines(kept: dict[str, Kept]) -> str:
  """The verdict in three lines: the note's pair, the best HR network, and what explains it."""
  results = kept["confirmatory"]["results"]
  best = _contrast(results, "best")["contrast"]
  note = results["arms"][best[1]]["note"]
  lengths = [each["results"] for each in convergence_blocks.runs(kept)]
  opponent = convergence.best_opponent(lengths) if lengths else best[1]
  heads = {
    NOTE_PAIR: "At exactly equal MACs, against the note's HR network",
    tuple(best): f"Against the best HR network of about equal MACs ({note})",
  }
  longer = {NOTE_PAIR: NOTE_PAIR, tuple(best): ("lr", opponent)}
  lines = [_line(head, results, pair, lengths, longer[pair]) for pair, head in heads.items()]
  return bullets([*lines, representation_blocks.explanation(kept)])


def _line(
  head: str,
  results: dict[str, Any],
  pair: tuple[str, ...],
  lengths: list[dict[str, Any]],
  longer: tuple[str, str],
) -> str:
  """A contrast in the confirmatory run and after the longest training that decides.

  Where their decisions differ, both are in the head.
  """
  first, second = pair
  test, steps = _contrast(results, (first, second))["test"], results["config"]["steps"]
  decision = test["decision"]
  parts = [f"{tables.between([first, second])} is {_with_sample(test, steps)}"]
  deciding = convergence.deciding(convergence.runs_of(lengths, *longer))
  if deciding:
    last = max(deciding)
    effect = convergence.effects(deciding, *longer)[last]
    if effect["decision"] != decision:
      after = f", after {last:,} steps" * (last != steps)
      decision = (
        f"{decision} on {test['images']} photographs, {effect['decision']} on "
        f"{effect['images']}{after}"
      )
    named = "" if longer == pair else f"{tables.between(list(longer))} "
    parts.append(f"{named}{_with_sample(effect, last)}")
  return f"**{head}: {decision}.** {'; '.join(parts)}."


def _with_sample(effect: dict[str, Any], steps: int) -> str:
  """An effect with what it was measured on."""
  return (
    f"{effect['mean']:+.3f} dB ({tables.interval(effect)}; {steps:,} steps, {effect['seeds']} "
    f"seeds, {effect['images']} photographs)"
  )


def _verdict(data: Kept) -> str:
  """The table of the confirmatory run's main contrasts, and what the networks cost."""
  results = data["results"]
  test_set, config = results["tests"][0], results["config"]
  rows = [["contrast", "what it asks", "MACs", f"on {test_set} (dB)", "95 % interval", "decision"]]
  rows[0] += ["median", "pooled"]
  notes: dict[str, str] = {}
  for key, question in SHOWN.items():
    each = _contrast(results, key)
    pair, test = each["contrast"], each["test"]
    notes |= {name: f"{titled(name)}: {results['arms'][name]['note']}" for name in pair}
    macs = " : ".join(f"{results['arms'][name]['budget']['macs']:,g}" for name in pair)
    effect = f"**{test['mean']:+.3f}**", tables.interval(test), f"**{test['decision']}**"
    others = f"{test['median']:+.3f}", f"{test['pooled']:+.3f}"
    rows.append([tables.between(pair), question, macs, *effect, *others])
  trained_on = config["data"].rpartition(":")[2]
  return (
    f"At x{config['scale']}, trained on {trained_on}, over {config['seeds']} seeds and the "
    f"{len(results['images']['test'])} photographs of {test_set}:\n\n{markdown_table(rows)}\n\n"
    f"MACs are per HR pixel. The mean of differences in dB decides; also given are their median "
    f"over photographs, and the difference with squared errors pooled before conversion to dB. "
    f"{'; '.join(notes.values())}.\n\n{times.time_sentence(data['timing'], ['lr', 'hr'])}\n\n"
    f"{about(data)}"
  )


def _findings(kept: dict[str, Kept]) -> str:
  results = kept["confirmatory"]["results"]
  findings = [_note_pair(results), _other_recipes(kept), _skip(kept), _best_opponent(results)]
  findings += [find(results, kept) for find in (_superset, _parameters, _tanh)]
  return bullets(findings)


def _contrast(results: dict[str, Any], key: str | tuple[str, str]) -> dict[str, Any]:
  """A contrast that a run reports, by its kind or its arms; computed where it does not."""
  for each in tables.contrasts(results):
    if key in (each["kind"], tuple(each["contrast"])):
      return each
  assert not isinstance(key, str)
  return contrast(results, *key)


def _effect(results: dict[str, Any], key: str | tuple[str, str], scores: str = "test") -> str:
  """A contrast as "LR - HR +0.106 (+0.084 to +0.127): supported"."""
  each = _contrast(results, key)
  return f"{tables.between(each['contrast'])} {in_short(each[scores])}"


def _note_pair(results: dict[str, Any]) -> str:
  pair = _contrast(results, ("lr", "hr"))
  sets = {results["tests"][0]: pair["test"], **pair["further_tests"]}
  listed = "; ".join(f"{name} {in_short(effect)}" for name, effect in sets.items())
  return (
    f"**The note's own pair, LR - HR: {pair['test']['decision']}.** By test set: {listed}. On "
    f"training patches {in_short(pair['training'])}."
  )


def _other_recipes(kept: dict[str, Kept]) -> str:
  """The note's pair under other recipes, by decision and by where the interval lies."""
  groups: dict[str, list[str]] = {}
  for name, data in kept.items():
    flags = changed(data["results"])[1] if name.startswith("sensitivity") else {}
    if flags and "arms" not in flags:
      effect = _contrast(data["results"], ("lr", "hr"))["test"]
      group = f"*{effect['decision']}*{_side_of_zero(effect)}"
      groups.setdefault(group, []).append(f"`{as_flags(flags)}` {interval(effect)}")
  listed = "; ".join(f"{group} with {', '.join(runs)}" for group, runs in groups.items())
  return f"**That pair by other recipes**: {listed}."


def _side_of_zero(effect: dict[str, Any]) -> str:
  """Where an undecided interval lies, in words; "" for one that is decided."""
  if effect["decision"] != "undecided":
    return ""
  if effect["low"] > 0:
    return ", but above zero,"
  return ", but below zero," if effect["high"] < 0 else ", on either side of zero,"


def _skip(kept: dict[str, Kept]) -> str:
  """What the bicubic skip is worth to LR itself, on the seeds that both runs have."""
  runs = [kept[name]["results"] for name in ("confirmatory", "sensitivity_bicubic_skip=False")]
  arms = [run["arms"]["lr"] for run in runs]
  lead, lead_without = (_contrast(run, ("lr", "hr"))["test"] for run in runs)
  psnr = [{member["seed"]: member["test"]["psnr"] for member in arm["members"]} for arm in arms]
  seeds = sorted(psnr[0].keys() & psnr[1].keys())
  scores = (np.array([by_seed[seed] for seed in seeds]) for by_seed in psnr)
  effect = vars(paired_effect(*scores))
  sense = ""
  if effect["low"] > 0 and lead["decision"] == "supported":
    sense = ", so LR's lead is reached *with* an explicit bicubic interpolation"
  elif effect["high"] < 0:
    sense = ", so LR does better without an explicit bicubic interpolation"
  rate, rate_without = (arm["learning_rate"] for arm in arms)
  return (
    f"**The skip**, which adds bicubic interpolation to each network's output, is worth "
    f"{interval(effect)} dB to LR itself, each at its best rate ({rate:g} with, {rate_without:g} "
    f"without){sense}. Without it LR - HR is {in_short(lead_without)}."
  )


def _best_opponent(results: dict[str, Any]) -> str:
  best = _contrast(results, "best")
  test = best["test"]
  lr, hr = (results["arms"][name] for name in best["contrast"])
  keys = {"mean": "mean", "median over photographs": "median", "pooled errors": "pooled"}
  above = sum(test[key] > SESOI for key in keys.values())
  listed = ", ".join(f"{estimate} {test[key]:+.3f}" for estimate, key in keys.items())
  return (
    f"**HR is a family.** The best of it on validation photographs is {hr['note']}, at "
    f"{hr['budget']['macs'] / lr['budget']['macs']:.3f} times the MACs of LR: "
    f"{tables.between(best['contrast'])} {in_short(test)}. {above} of {len(keys)} estimates "
    f"{'is' if above == 1 else 'are'} above {SESOI} dB: {listed}."
  )


def _superset(results: dict[str, Any], kept: dict[str, Kept]) -> str:
  """Contrasts of a network with itself, its phases tied."""
  pair = ("hr_untied", "hr_learned")
  untied, tied = (results["arms"][name] for name in pair)
  is_equal = untied["budget"]["macs"] == tied["budget"]["macs"]
  is_same = untied["note"].replace(", phases untied", "") == tied["note"]
  cost = "at equal MACs" if is_equal else "at unequal MACs"
  what = "the same network, its phases untied or tied" if is_same else "of two networks"
  heads = {"supported": "More power", "reversed": "Less power", "equivalent": "No more power"}
  head = heads.get(_contrast(results, pair)["test"]["decision"], "Perhaps more power")
  sentences = [f"**{head} {cost}**, {what}: {_effect(results, pair)}."]
  if representation_blocks.NESTED in kept:
    pairs = kept[representation_blocks.NESTED]["results"]["pairs"]
    (adam,) = (each["adam"] for each in pairs if tuple(each["adam"]["contrast"]) == pair)
    sentences.append(
      "Untied from the function that it computes, and trained on, the network fits its training "
      f"patches by {interval(adam['training'])} dB over itself trained on tied."
    )
  return " ".join(sentences)


def _parameters(results: dict[str, Any], kept: dict[str, Kept]) -> str:
  """Whether the number of parameters explains the scores."""
  wide = kept["confirmatory_arms=lr,hr,hr_wide,lr_narrow"]["results"]

  def sentence(run: dict[str, Any], pair: tuple[str, str]) -> str:
    sizes = [run["arms"][name]["budget"]["parameters"] for name in pair]
    side = _side_of_zero(_contrast(run, pair)["test"]).rstrip(",")
    return f"{_effect(run, pair)}{side}, at {sizes[0] / sizes[1]:.2f} times the parameters"

  equal, unequal = [("lr_narrow", "hr"), ("lr", "hr_wide")], [("lr_far", "hr"), ("hr_k4", "hr")]
  head = " and ".join(sorted({_contrast(wide, pair)["test"]["decision"] for pair in equal}))
  listed = "; ".join(sentence(wide, pair) for pair in equal)
  others = "; ".join(sentence(results, pair) for pair in unequal)
  far, four = (_contrast(results, pair) for pair in unequal)
  is_far_ahead = far["test"]["decision"] == "supported"
  is_four_level = four["test"]["low"] <= 0 <= four["test"]["high"]
  own = kept.get(representation_blocks.RECIPES)
  again, link = "", "Parameters alone do not explain this:"
  if own:
    again = f"; with recipes of their own {_effect(own['results'], ('lr_far', 'hr'))}"
    is_tuned_ahead = contrast(own["results"], "lr_far", "hr")["test"]["decision"] == "supported"
    link = "Of other networks" if is_tuned_ahead else link
  link = "Likewise" if is_far_ahead and is_four_level else link
  return (
    f"**At about equal parameters, the note's two shapes are {head}**: {listed}. {link} {others}. "
    f"(LR far - HR on training patches: {in_short(far['training'])}{again}.)"
  )


def _tanh(results: dict[str, Any], kept: dict[str, Kept]) -> str:
  """The contrasts with tanh, and how far its search got beside ReLU's."""
  sensitivity = [data["results"] for name, data in kept.items() if name.startswith("sensitivity")]
  runs = [run for run in sensitivity if run["config"]["activation"] == "tanh"]
  runs.sort(key=lambda run: run["config"]["steps"])
  listed = "; ".join(
    f"{run['config']['steps']:,} steps: {_effect(run, ('lr', 'hr'))}, "
    f"{_effect(run, ('lr', 'hr_k4'))}"
    for run in runs
  )
  shortest = runs[0]
  reached = ", ".join(
    f"{titled(name)} {_search_psnr(shortest, name):.2f} dB "
    f"({_search_psnr(results, name):.2f} with ReLU)"
    for name in shortest["arms"]
  )
  bicubic = shortest["bicubic"]["validation_psnr"]
  return (
    f"**With tanh**, the activation of the authors' own network: {listed}. The "
    f"search of {shortest['config']['search_steps']} steps ends on validation photographs at "
    f"{reached}, where bicubic interpolation has {bicubic:.2f}."
  )


def _search_psnr(results: dict[str, Any], arm: str) -> float:
  """The best validation PSNR of an arm's search over its rates, of the first seed."""
  search = [each for each in results["arms"][arm]["search"] if each["seed"] == 0]
  return max(each["validation_psnr"] for each in search if each["validation_psnr"] is not None)
