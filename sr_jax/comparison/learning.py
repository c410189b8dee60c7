"""Whether gates learn when to upscale: what they choose, against schedules that were all trained.

A choice is rounded to a schedule, and counts with the PSNR of that schedule, trained anew. Its
regret is what the best schedule has over it. Fixed before the run: "it learns when" if the regret
is shown to be below the smallest effect of interest and below that of random schedules, and all
seeds but one at most choose alike. Where no schedule is shown to beat LR there is nothing to learn.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from sr_jax.comparison import schedules
from sr_jax.comparison.contrasts import best_of
from sr_jax.comparison.learner import LEARNED, SHUFFLED
from sr_jax.comparison.schedules import Schedule, name_of, reduced
from sr_jax.comparison.statistics import SESOI, ci_half_width_over_seeds, effect

ROOT_OF_HALF = 0.5**0.5

Results = dict[str, Any]
Finding = Literal["learns", "does not learn", "nothing to learn", "undecided"]


def decide(results: Results) -> dict[str, Any]:
  """The choices of gates, their regrets, and what they say, as JSON data."""
  learning = results["learning"]
  maps, variants = learning["maps"], learning["variants"]
  positions = len(variants[LEARNED]["gates"][0])
  names = [name_of(each) for each in schedules.families(positions, maps)]
  never, best = names[0], best_of(results, names)
  seeds = _seeds(results, names)
  psnr = {name: _psnr(results, name, seeds) for name in names}

  def regret(choices: Sequence[str]) -> Float[np.ndarray, "s i"]:
    """By seed and photograph, of a choice for each seed."""
    return psnr[best] - np.stack([psnr[name][row] for row, name in enumerate(choices)])

  chosen = {
    variant: [name_of(rounded(variants[variant]["gates"][seed], maps)) for seed in seeds]
    for variant in (LEARNED, SHUFFLED)
  }
  lattice = [name_of(reduced(each)) for each in schedules.lattice(positions, maps)]
  of_random = psnr[best] - np.mean([psnr[name] for name in lattice], axis=0)
  searched = [row for row, seed in enumerate(seeds) if seed in learning["search_seeds"]]
  walks = [greedy(results, names, seeds[row], maps) for row in searched]
  ends = [psnr[choice][row] for row, (choice, _) in zip(searched, walks, strict=True)]
  of_greedy = psnr[best][searched] - np.reshape(ends, (len(ends), -1))
  effects = {
    "regret": effect(regret(chosen[LEARNED])),
    "regret_of_random": effect(of_random),
    "less_than_random": effect(regret(chosen[LEARNED]) - of_random),
    "regret_of_shuffled": effect(regret(chosen[SHUFFLED])),
    "regret_of_greedy": effect(of_greedy),
  }
  drifts = [
    float(np.mean(variants[LEARNED]["gates"][seed]) - np.mean(variants[SHUFFLED]["gates"][seed]))
    for seed in seeds
  ]
  measured = {
    "best": best,
    "better_than_never": [
      name for name in names[1:] if effect(psnr[name] - psnr[never]).decision == "supported"
    ],
    "seeds": seeds,
    "chosen": chosen,
    "greedy": [choice for choice, _ in walks],
    "greedy_schedules": [tried for _, tried in walks],
    "gates_over_shuffled": [float(np.mean(drifts)), ci_half_width_over_seeds(np.array(drifts))],
    **{name: dataclasses.asdict(each) for name, each in effects.items()},
  }
  return {"finding": _finding(measured), **measured}


def rounded(gates: Sequence[Sequence[float]], maps: int) -> Schedule:
  """The schedule that gates choose, less HR states that tie nothing.

  A state is HR where its mean gate is above the root of a half, so that g is above a half between
  two of them, and gates choose nothing where they start.
  """
  return reduced(tuple(maps if np.mean(gate) > ROOT_OF_HALF else 0 for gate in gates))


def greedy(results: Results, names: Sequence[str], seed: int, maps: int) -> tuple[str, int]:
  """The schedule at which a greedy search ends, and how many schedules it tries.

  From "never", it goes to the neighbour that scores best on validation photographs after the brief
  trainings of the search for a rate, at each schedule's best rate, for as long as that gains. A
  neighbour differs in one state, or in two that lie side by side.
  """

  def score(name: str) -> float:
    search = results["arms"][name]["search"]
    scores = [run["validation_psnr"] for run in search if run["seed"] == seed]
    return max((psnr for psnr in scores if psnr is not None), default=-np.inf)

  at, tried = names[0], {names[0]}
  while True:
    nearby = [name for name in names if name != at and _are_neighbours(at, name, maps)]
    tried |= {*nearby}
    step = max(nearby, key=score)
    if score(step) <= score(at):
      return at, len(tried)
    at = step


def _are_neighbours(first: str, second: str, maps: int) -> bool:
  """Whether two schedules differ in one state, or in two side by side."""
  states = (name.split("-") for name in (first, second))
  places = [i for i, (a, b) in enumerate(zip(*states, strict=True)) if a != b]
  return len(places) == 1 or (len(places) == 2 and places[1] - places[0] == 1)


def _seeds(results: Results, names: Sequence[str]) -> list[int]:
  """The seeds that diverged in none of these arms."""
  members = zip(*(results["arms"][name]["members"] for name in names), strict=True)
  return [
    row[0]["seed"] for row in members if all(member["status"] != "diverged" for member in row)
  ]


def _psnr(results: Results, name: str, seeds: Sequence[int]) -> Float[np.ndarray, "s i"]:
  members = results["arms"][name]["members"]
  return np.array([members[seed]["test"]["psnr"] for seed in seeds], float)


def _finding(measured: dict[str, Any]) -> Finding:
  choices, regret = measured["chosen"][LEARNED], measured["regret"]
  if regret["low"] is None or regret["decision"] == "too few photographs":
    return "undecided"
  if not measured["better_than_never"]:
    return "nothing to learn"
  less = measured["less_than_random"]
  agree = collections.Counter(choices).most_common(1)[0][1] >= len(choices) - 1
  if regret["high"] < SESOI and less["high"] < 0 and agree:
    return "learns"
  return "does not learn" if regret["low"] > SESOI or less["low"] > 0 else "undecided"


def sentences(results: Results) -> list[str]:
  """What the learner says, in sentences; nothing of a run without one."""
  if (measured := results["verdict"].get("learning")) is None:
    return []
  choices = measured["chosen"][LEARNED]
  name, count = collections.Counter(choices).most_common(1)[0]
  drift, half_width = measured["gates_over_shuffled"]
  ends = (
    "" if half_width is None else f" (95 % {drift - half_width:+.3f} to {drift + half_width:+.3f})"
  )
  lead = {
    "learns": "The network learns when to upscale",
    "does not learn": "The network does not learn when to upscale",
    "nothing to learn": "There is nothing to learn here: no schedule is shown to beat LR by more "
    f"than {SESOI} dB",
    "undecided": "Whether the network learns when to upscale is undecided",
  }[measured["finding"]]
  others = {
    "of random schedules": "regret_of_random",
    "of gates whose ties join shuffled channels": "regret_of_shuffled",
    "of a greedy search": "regret_of_greedy",
  }
  regrets = ", ".join(f"{words} {_in_words(measured[key])}" for words, key in others.items())
  return [
    f"{lead}. Gates choose {name} for {count} of {len(choices)} seeds; the best on validation "
    f"photographs is {measured['best']}.",
    f"The regret of what gates choose is {_in_words(measured['regret'])}; {regrets}.",
    f"Gates end {drift:+.3f}{ends} from those whose ties join shuffled channels, which no HR map "
    "rewards.",
  ]


def _in_words(regret: dict[str, Any]) -> str:
  ends = "" if regret["low"] is None else f" ({regret['low']:+.3f} to {regret['high']:+.3f})"
  return f"{regret['mean']:+.3f} dB{ends}" if regret["mean"] is not None else "not known"
