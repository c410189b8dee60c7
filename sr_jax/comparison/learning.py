"""Whether gates learn what to upscale: their choices, against networks that were all trained.

A choice is rounded to one of the arms of the run, and counts with the PSNR of that arm, trained
anew. Its regret is what the best arm on validation photographs has over it on test photographs.
Fixed before the run, where "shown" is by a 95 % interval:

- nothing to learn: no arm is better than LR by the smallest effect of interest, all shown;
- it learns: an arm is shown to be better than LR by more (Holm), the regret is shown to be below
  the smallest effect of interest, below that of random choices and below that of gates whose ties
  join shuffled channels, and all seeds but one at most choose alike;
- it does not learn: such an arm is shown, and the regret is shown to be above the smallest effect
  of interest, or above that of random choices;
- else undecided.

A seed whose gates diverged chooses nothing: it is left out of regrets, and does not agree.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from sr_jax.comparison import learner
from sr_jax.comparison.contrasts import best_of
from sr_jax.comparison.findings import LEVEL
from sr_jax.comparison.learner import LEARNED, SHUFFLED, Over
from sr_jax.comparison.run import Run
from sr_jax.comparison.statistics import SESOI, ci_half_width_over_seeds, effect, holm
from sr_jax.comparison.train import eval_form
from sr_jax.config import InputError
from sr_jax.runtime import processes
from sr_jax.runtime.console import log
from sr_jax.runtime.files import read_json, write_json
from sr_jax.training.population import Population

LEARNING = "learning"  # in results.json, and a part of the run's folder
Results = dict[str, Any]
Finding = Literal["learns", "does not learn", "nothing to learn", "undecided"]
# A gate counts as HR above the root of a half, where it starts: g is above a half between two.
THRESHOLD = 0.5**0.5


@dataclasses.dataclass(frozen=True)
class Choices:
  """What gates can choose.

  Attributes:
    question: "when" or "what share of its maps", for sentences.
    neighbours: of every arm that can be chosen, those that a greedy search tries next; the first
      arm is LR, where it starts.
    random: the arms that equally likely choices lead to, as often as they do.
  """

  question: str
  neighbours: Mapping[str, Sequence[str]]
  random: Sequence[str]


def record(
  choices: Choices,
  over: Over,
  choose: Callable[[Sequence[float]], str],
  always: str,
  run: Run,
  results: Results,
  trained: Mapping[str, Population],
) -> dict[str, Any]:
  """Trains networks with gates, once, and returns what they choose, as part of a run's results.

  `choose` names the arm that a seed's gates choose; `always` is the arm of HR maps alone.
  """
  never, file = next(iter(choices.neighbours)), run.run_dir.part(LEARNING)
  if file.exists():
    variants = read_json(file)
  else:
    log("Training networks with gates")
    lr: Any = trained[never].network  # of the family, not a user's own, as is the other one
    tied: Any = trained[always].network
    rate, form = results["arms"][never]["learning_rate"], eval_form(trained[never])
    variants = learner.learn(lr, tied, never, rate, over, form, run)
    file.parent.mkdir(exist_ok=True)
    write_json(file, variants)
  chosen = {
    kind: [None if None in gates else choose(gates) for gates in variants[kind]["gates"]]
    for kind in (LEARNED, SHUFFLED)
  }
  seeds = list(range(run.recipe.search_seeds))
  about = {**dataclasses.asdict(choices), "search_seeds": seeds}
  return {LEARNING: {**about, "variants": variants, "chosen": chosen}}


def check_one_process() -> None:
  """Raises an InputError where several processes share a run: networks with gates train in one."""
  if processes.is_multiprocess():
    raise InputError("--learn trains networks with gates in one process; leave out --distributed")


def decide(results: Results) -> dict[str, Any]:
  """The choices of gates, their regrets, and what they say, as JSON data."""
  learning = results[LEARNING]
  names = list(learning["neighbours"])
  never, best = names[0], best_of(results, names)
  seeds = [
    seed
    for seed in _seeds(results, names)
    if all(choices[seed] is not None for choices in learning["chosen"].values())
  ]
  psnr = {name: _psnr(results, name, seeds) for name in names}

  def regret(choices: Sequence[str], rows: Sequence[int]) -> Float[np.ndarray, "s i"]:
    """By seed and photograph, of a choice for each of these rows of seeds."""
    chosen = [psnr[name][row] for name, row in zip(choices, rows, strict=True)]
    return psnr[best][list(rows)] - np.reshape(chosen, (len(rows), psnr[best].shape[1]))

  rows = range(len(seeds))
  chosen = {kind: [choices[seed] for seed in seeds] for kind, choices in learning["chosen"].items()}
  of_random = psnr[best] - np.mean([psnr[name] for name in learning["random"]], axis=0)
  searched = [row for row in rows if seeds[row] in learning["search_seeds"]]
  walks = [greedy(results, learning["neighbours"], seeds[row]) for row in searched]
  effects = {
    "regret": effect(regret(chosen[LEARNED], rows)),
    "regret_of_random": effect(of_random),
    "less_random": effect(regret(chosen[LEARNED], rows) - of_random),
    "regret_of_shuffled": effect(regret(chosen[SHUFFLED], rows)),
    "less_shuffled": effect(regret(chosen[LEARNED], rows) - regret(chosen[SHUFFLED], rows)),
    "regret_of_greedy": effect(regret([choice for choice, _ in walks], searched)),
  }
  gates = {kind: learning["variants"][kind]["gates"] for kind in (LEARNED, SHUFFLED)}
  drifts = [np.mean(gates[LEARNED][seed]) - np.mean(gates[SHUFFLED][seed]) for seed in seeds]
  over_never = [effect(psnr[name] - psnr[never]) for name in names[1:]]
  p_values = [1.0 if each.p_supported is None else 2 * each.p_supported for each in over_never]
  steps = results["config"]["search_steps"] * len(results["learning_rates"])
  measured = {
    "best": best,
    "better_than_never": [
      name for name, p in zip(names[1:], holm(p_values, len(p_values)), strict=True) if p < LEVEL
    ],
    "none_is_better": all(each.high is not None and each.high < SESOI for each in over_never),
    "seeds": len(learning["chosen"][LEARNED]),
    "chosen": chosen,
    "greedy": [choice for choice, _ in walks],
    "greedy_steps": [steps * tries for _, tries in walks],
    "gates_over_shuffled": [
      float(np.mean(drifts)) if drifts else None,
      ci_half_width_over_seeds(np.array(drifts)),
    ],
    **{name: dataclasses.asdict(each) for name, each in effects.items()},
  }
  return {"finding": _finding(measured), **measured}


def greedy(results: Results, neighbours: Mapping[str, Sequence[str]], seed: int) -> tuple[str, int]:
  """The arm at which a greedy search ends, and how many arms it tries.

  From LR it goes to the neighbour that scores best on validation photographs after the brief
  trainings of the search for a rate, at each arm's best rate, for as long as that gains.
  """

  def score(name: str) -> float:
    search = results["arms"][name]["search"]
    scores = [run["validation_psnr"] for run in search if run["seed"] == seed]
    return max((psnr for psnr in scores if psnr is not None), default=-np.inf)

  name = next(iter(neighbours))
  tried = {name}
  while True:
    tried |= {*neighbours[name]}
    step = max(neighbours[name], key=score)
    if score(step) <= score(name):
      return name, len(tried)
    name = step


def _seeds(results: Results, names: Sequence[str]) -> list[int]:
  """The seeds that diverged in none of these arms."""
  members = zip(*(results["arms"][name]["members"] for name in names), strict=True)
  return [
    row[0]["seed"] for row in members if all(member["status"] != "diverged" for member in row)
  ]


def _psnr(results: Results, name: str, seeds: Sequence[int]) -> Float[np.ndarray, "s i"]:
  members = results["arms"][name]["members"]
  scores = [members[seed]["test"]["psnr"] for seed in seeds]
  return np.array(scores, float).reshape(len(seeds), len(members[0]["test"]["psnr"]))


def _finding(measured: dict[str, Any]) -> Finding:
  choices, regret = measured["chosen"][LEARNED], measured["regret"]
  if regret["low"] is None or regret["decision"] == "too few photographs":
    return "undecided"
  if measured["none_is_better"]:
    return "nothing to learn"
  if not measured["better_than_never"]:
    return "undecided"
  less = [measured[name] for name in ("less_random", "less_shuffled")]
  agree = collections.Counter(choices).most_common(1)[0][1] >= measured["seeds"] - 1
  if regret["high"] < SESOI and all(each["high"] < 0 for each in less) and agree:
    return "learns"
  return "does not learn" if regret["low"] > SESOI or less[0]["low"] > 0 else "undecided"


def headline(results: Results) -> dict[str, str]:
  """The finding on gates as a column of a table; nothing of a run without any."""
  measured = results["verdict"].get(LEARNING)
  return {"gates": measured["finding"]} if measured else {}


def sentences(results: Results) -> list[str]:
  """What the gates of a run say, in sentences; nothing of a run without any."""
  if (measured := results["verdict"].get(LEARNING)) is None:
    return []
  question, choices = results[LEARNING]["question"], measured["chosen"][LEARNED]
  drift, half_width = measured["gates_over_shuffled"]
  ends = (
    "" if half_width is None else f" (95 % {drift - half_width:+.3f} to {drift + half_width:+.3f})"
  )
  lead = {
    "learns": f"The network learns {question} to upscale",
    "does not learn": f"The network does not learn {question} to upscale",
    "nothing to learn": f"There is nothing to learn of {question} to upscale: nothing beats LR by "
    f"as much as {SESOI} dB",
    "undecided": f"Whether the network learns {question} to upscale is undecided",
  }[measured["finding"]]
  steps = measured["greedy_steps"]
  cost = (
    f" ({np.mean(steps):,.0f} steps, gates {2 * results['config']['steps']:,})" if steps else ""
  )
  others = {
    "of random choices": "regret_of_random",
    "of gates whose ties join shuffled channels": "regret_of_shuffled",
    f"of a greedy search{cost}": "regret_of_greedy",
  }
  regrets = ", ".join(f"{words} {_in_words(measured[key])}" for words, key in others.items())
  counts = collections.Counter(choices).most_common()
  listed = ", ".join(f"{name} for {count}" for name, count in counts)
  if drift is None:
    return [f"{lead}: no seed finished in all networks."]
  return [
    f"{lead}. Of {measured['seeds']} seeds, gates choose {listed}; the best on validation "
    f"photographs is {measured['best']}.",
    f"The regret of what gates choose is {_in_words(measured['regret'])}; {regrets}.",
    f"Gates end {drift:+.3f}{ends} from those whose ties join shuffled channels, which share no HR "
    "map.",
  ]


def _in_words(regret: dict[str, Any]) -> str:
  ends = "" if regret["low"] is None else f" ({regret['low']:+.3f} to {regret['high']:+.3f})"
  return f"{regret['mean']:+.3f} dB{ends}" if regret["mean"] is not None else "not known"
