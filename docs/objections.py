"""Objections to the verdict, and what the kept runs answer: docs/OBJECTIONS.md.

Every answer is chosen by code from the run that it is about, and names the command of that run.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from docs import convergence_blocks
from docs.comparison_blocks import Kept, in_short, interval
from docs.representation_blocks import NESTED, RECIPES, TANH
from experiments.matched_flops import FAMILY
from sr_jax.comparison.contrasts import contrast
from sr_jax.comparison.convergence import NOTE_PAIR
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.titles import titled
from sr_jax.comparison.tuning_verdict import ON, TUNING
from sr_jax.report import tables

Results = dict[str, Any]
CONFIRMATORY, WIDE = "confirmatory", "confirmatory_arms=lr,hr,hr_wide,lr_narrow"


class Objection(NamedTuple):
  """An objection, the kept runs without which it has no answer, and what makes the answer."""

  text: str
  runs: tuple[str, ...]
  answer: Callable[[dict[str, Kept]], str]


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The block "objections"."""
  return {"objections": "\n\n".join(_paragraph(each, kept) for each in OBJECTIONS)}


def _paragraph(objection: Objection, kept: dict[str, Kept]) -> str:
  absent = [name for name in objection.runs if name not in kept]
  answer = f"Open: results/ lacks {', '.join(absent)}." if absent else objection.answer(kept)
  commands = [f"`{kept[name]['command']}`" for name in objection.runs if name in kept]
  source = f" ({', '.join(commands)})" if commands else ""
  return f"### {objection.text}\n\n{answer}{source}"


def _pair(results: Results, first: str, second: str, split: str = "test") -> str:
  """A contrast in short: "LR - HR +0.106 (+0.084 to +0.127): supported"."""
  effect = contrast(results, first, second)[split]
  return f"{titled(first)} - {titled(second)} {in_short(effect)}"


def _shapes(kept: dict[str, Kept]) -> str:
  results = kept[CONFIRMATORY]["results"]
  opponents = [name for name in FAMILY if name in results["arms"]]
  effects = {name: contrast(results, "lr", name)["test"] for name in opponents}
  worst = min(effects, key=lambda name: effects[name]["mean"])
  ahead = sum(effect["decision"] == "supported" for effect in effects.values())
  best = next(each for each in tables.contrasts(results) if each["kind"] == "best")
  return (
    f"LR is ahead of {ahead} of {len(effects)} HR networks by more than {SESOI} dB; the smallest "
    f"difference is {_pair(results, 'lr', worst)}. The opponent that counts is the best on "
    f"validation photographs: {tables.between(best['contrast'])} {in_short(best['test'])}."
  )


def _deep(kept: dict[str, Kept]) -> str:
  results = kept["convergence"]["results"]
  deep = [name for name in results["arms"] if re.match(r"hr_d\d", name)]
  listed = "; ".join(
    f"{_pair(results, 'lr', name)} ({results['arms'][name]['note']})" for name in deep
  )
  return f"Networks of more layers and smaller kernels, at about the MACs of LR: {listed}."


def _rates(kept: dict[str, Kept]) -> str:
  results = kept["convergence"]["results"]
  config = results["config"]
  whole = config["search_steps"] == config["steps"]
  length = "as long as the training" if whole else f"of {config['search_steps']:,} steps"
  return (
    f"Chosen again by searches {length}, over {config['search_seeds']} seeds and "
    f"{len(results['learning_rates'])} rates: {_pair(results, *NOTE_PAIR)}."
  )


def _converged(kept: dict[str, Kept]) -> str:
  lengths = convergence_blocks.runs(kept)
  sentences = " ".join(convergence_blocks.sentences(lengths))
  commands = ", ".join(f"`{data['command']}`" for data in lengths[1:])
  return f"{sentences} ({commands})" if sentences else "Open: results/ holds no two lengths."


def _patches(kept: dict[str, Kept]) -> str:
  large = [data for settings, data in convergence_blocks.others(kept) if set(settings) == {"patch"}]
  if not large:
    return "Open: no run that differs in its patches is in results/."
  same = kept["convergence"]["results"]
  config, other = same["config"], large[0]["results"]
  side, other_side = (run["config"]["scale"] * run["config"]["patch"] for run in (same, other))
  return (
    f"With training patches of {other_side} HR pixels, {_pair(other, *NOTE_PAIR)} "
    f"(`{large[0]['command']}`); with those of {side}, after {config['steps']:,} steps, "
    f"{_pair(same, *NOTE_PAIR)}."
  )


def _tuning(kept: dict[str, Kept]) -> str:
  results = kept[RECIPES]["results"]
  config = results["config"]
  return (
    f"With a recipe of its own for each network, the best of {config['recipes']} drawn again for "
    f"every seed, so that the interval includes which were drawn: {_pair(results, *NOTE_PAIR)}; "
    f"{_pair(results, 'lr', 'hr_k4')}. On training patches "
    f"{_pair(results, *NOTE_PAIR, split='training')}."
  )


def _optimisation(kept: dict[str, Kept]) -> str:
  control = kept[RECIPES]["results"]["verdict"][TUNING]["control"]
  holds = all(control["holds"].values())
  ends = "; ".join(f"on {where} {in_short(control[split])}" for split, where in ON.items())
  sense = (
    "so that training does not hide what these networks can represent"
    if holds
    else "so that the run cannot speak of representation"
  )
  return (
    f"LR far contains LR. With recipes of their own LR far - LR is, {ends}: the positive control "
    f"{'holds' if holds else 'is not shown to hold'}, {sense}."
  )


def _nested(kept: dict[str, Kept]) -> str:
  return " ".join(kept[NESTED]["results"]["verdict"]["sentences"])


def _tanh(kept: dict[str, Kept]) -> str:
  results = kept[TANH]["results"]
  tuning = results["verdict"][TUNING]
  escaped = ", ".join(f"{titled(name)} {count}" for name, count in tuning["escaped"].items())
  verdict = f"{_pair(results, *NOTE_PAIR)}; {_pair(results, 'lr', 'hr_k4')}"
  if tuning["all_escaped"]:
    return f"With recipes under which every member leaves the linear plateau, {verdict}."
  return (
    f"Not every member leaves the linear plateau ({escaped} do), so that the verdict with tanh "
    f"does not count: {verdict}."
  )


def _parameters(kept: dict[str, Kept]) -> str:
  results = kept[WIDE]["results"]
  return (
    f"They may well: at about equal parameters {_pair(results, 'lr_narrow', 'hr')}, and "
    f"{_pair(results, 'lr', 'hr_wide')}. The note's claim is at equal MACs, where LR has four "
    "times the parameters."
  )


def _time(kept: dict[str, Kept]) -> str:
  results = kept[CONFIRMATORY]["results"]
  return (
    f"At equal measured time {_pair(results, 'lr', 'hr_timed')} and "
    f"{_pair(results, 'lr_timed', 'hr')}, with XLA's convolution on two CPU cores; widths are "
    "matched anew on every machine."
  )


def _estimands(kept: dict[str, Kept]) -> str:
  results = kept["convergence"]["results"]
  test = contrast(results, *NOTE_PAIR)["test"]
  return (
    f"On {test['images']} photographs ({results['tests'][0]}), the mean of LR - HR is "
    f"{interval(test)}, the median over photographs {test['median']:+.3f}, with squared errors "
    f"pooled over photographs {test['pooled']:+.3f} dB. The mean was fixed to decide."
  )


def _small(kept: dict[str, Kept]) -> str:
  test = contrast(kept["convergence"]["results"], *NOTE_PAIR)["test"]
  above = test["low"] is not None and test["low"] > 0
  return (
    f"Perhaps: {SESOI} dB is a convention, about what papers report as progress. The interval is "
    "given with every effect, so that any other bound can be applied: LR - HR is "
    f"{interval(test)}, which {'excludes' if above else 'does not exclude'} zero."
  )


def _data(kept: dict[str, Kept]) -> str:
  trained = [data for settings, data in convergence_blocks.others(kept) if "data" in settings]
  if not trained:
    return "Open: no run on other photographs is in results/."
  results = trained[0]["results"]
  return (
    f"Trained on {len(results['images']['train'])} photographs of "
    f"{results['config']['data'].rpartition(':')[2]}, {_pair(results, *NOTE_PAIR)} "
    f"(`{trained[0]['command']}`). `--data=tfds:DIV2K` trains on a larger set."
  )


OBJECTIONS = (
  Objection("The best HR network has another shape", (CONFIRMATORY,), _shapes),
  Objection("HR networks could be deeper", ("convergence",), _deep),
  Objection("Rates were chosen by a search shorter than the training", ("convergence",), _rates),
  Objection("The networks had not converged", ("convergence",), _converged),
  Objection("HR sees beyond its training patches", ("convergence",), _patches),
  Objection("One recipe cannot suit all networks", (RECIPES,), _tuning),
  Objection("The difference is of the size of the optimisation error", (RECIPES,), _optimisation),
  Objection("Networks started from different functions", (NESTED,), _nested),
  Objection("The authors' own network has tanh", (TANH,), _tanh),
  Objection("Parameters explain it, not LR space", (WIDE,), _parameters),
  Objection("Equal FLOPs are not equal time", (CONFIRMATORY,), _time),
  Objection("One test set, one estimate", ("convergence",), _estimands),
  Objection("0.05 dB is arbitrary", ("convergence",), _small),
  Objection("T91 is small", ("convergence",), _data),
)
