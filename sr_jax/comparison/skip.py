"""What a comparison of networks with and without the bicubic skip plans, and what it says.

The skip is explicit upsampling, so what the network of LR maps alone loses without it says whether
explicit upsampling is necessary, at one length of training and over several.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sr_jax.comparison import convergence
from sr_jax.comparison.combinations import Best, Combination, difference
from sr_jax.comparison.convergence import in_short
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.titles import titled

Results = dict[str, Any]
Finding = Literal["necessary", "not necessary", "undecided"]
LengthFinding = Literal[
  "necessary",
  "not necessary",
  "a matter of training time",
  "only after longer training",
  "undecided",
]

NETWORKS = ("lr", "hr_k4", "hr_k4_learned")  # arms with the skip

# Groups of linear contrasts.
WITHOUT = "without the bicubic skip"
INTERACTION = "the bicubic skip for LR and for HR"
AGAINST_HR = "LR without explicit upsampling"

CLAIMS = {
  WITHOUT: {
    "all equivalent": "No network needs the bicubic skip",
    "better": "Networks are better without the bicubic skip ({better})",
    "worse": "Networks need the bicubic skip ({worse})",
    "both": "Networks need the bicubic skip ({worse}), or are better without it ({better})",
    "undecided": "Whether networks need the bicubic skip is undecided",
  },
  INTERACTION: {
    "all equivalent": "The bicubic skip brings LR what it brings HR",
    "better": "The bicubic skip brings LR more than HR ({better})",
    "worse": "The bicubic skip brings LR less than HR ({worse})",
    "both": "The bicubic skip brings LR more ({better}) and less ({worse}) than HR",
    "undecided": "Whether the bicubic skip brings LR more than HR is undecided",
  },
  AGAINST_HR: {
    "all equivalent": "LR without any explicit upsampling is equivalent to the best HR network",
    "better": "LR without any explicit upsampling is better than the best HR network ({better})",
    "worse": "LR without any explicit upsampling is worse than the best HR network ({worse})",
    "undecided": "Whether LR without any explicit upsampling is as good as the best HR network is "
    "undecided",
  },
}
WORDS: dict[Finding, str] = {
  "necessary": "After {steps:,} steps explicit upsampling is necessary",
  "not necessary": "After {steps:,} steps explicit upsampling is not necessary",
  "undecided": "Whether explicit upsampling is necessary after {steps:,} steps is undecided",
}
OVER_LENGTHS: dict[LengthFinding, str] = {
  "necessary": "Explicit upsampling is necessary, after {last:,} steps as after {first:,}",
  "not necessary": "Explicit upsampling is not necessary, after {first:,} steps as after {last:,}",
  "a matter of training time": "Whether explicit upsampling is necessary is a matter of training "
  "time: it is after {first:,} steps, and is not after {last:,}",
  "only after longer training": "Explicit upsampling is not necessary after {first:,} steps, but "
  "is after {last:,}",
  "undecided": "Whether explicit upsampling is necessary is undecided over lengths of {first:,} to "
  "{last:,} steps",
}


def plain(network: str) -> str:
  """The name of the arm without the skip."""
  return f"{network}_plain"


def combinations(networks: Sequence[str]) -> list[Combination]:
  """What networks lose without the skip, LR compared with HR, and LR without it against HR.

  `networks` are some of `NETWORKS`, with "lr".
  """
  hr = [network for network in networks if network != "lr"]
  planned = [
    Combination(
      WITHOUT,
      f"{titled(plain(network))} - {titled(network)}",
      "no bicubic skip instead of one",
      difference(plain(network), network),
    )
    for network in networks
  ]
  planned += [
    Combination(
      INTERACTION,
      f"skip of LR - skip of {titled(network)}",
      f"what the skip brings LR less what it brings {titled(network)}",
      {"lr": 1.0, plain("lr"): -1.0, network: -1.0, plain(network): 1.0},
    )
    for network in hr
  ]
  if hr:
    best = Best(tuple(arm for network in hr for arm in (network, plain(network))))
    weights: dict[str | Best, float] = {plain("lr"): 1.0, best: -1.0}
    question = "no explicit upsampling instead of the best HR network, all of which upsample"
    planned.append(Combination(AGAINST_HR, f"{titled(plain('lr'))} - best HR", question, weights))
  return planned


def finding(results: Results) -> Finding:
  """Whether explicit upsampling is necessary, by the run's verdict, LR without the skip less with.

  Networks that return bicubic interpolation lose nothing without it: where no seed of one of them
  has learned, nothing is shown not to be necessary.
  """
  test = results["verdict"]["test"]
  if test["low"] is None or test["decision"] == "too few photographs":
    return "undecided"
  if test["high"] < -SESOI:
    return "necessary"
  members = [results["arms"][name]["members"] for name in results["verdict"]["contrast"]]
  learned = all(any(m["status"] != "did not learn" for m in of_arm) for of_arm in members)
  return "not necessary" if test["low"] > -SESOI and learned else "undecided"


def sentences(results: Results) -> list[str]:
  """Whether explicit upsampling is necessary after these steps; nothing of other comparisons."""
  if not _is_of_skip(results):
    return []
  steps, test = results["config"]["steps"], results["verdict"]["test"]
  arms = " - ".join(map(titled, results["verdict"]["contrast"]))
  return [f"{WORDS[finding(results)].format(steps=steps)}: {arms} {in_short(test)}."]


def _is_of_skip(results: Results) -> bool:
  return any(each["group"] == WITHOUT for each in results["verdict"].get("combinations", []))


def finding_over_lengths(runs: Mapping[int, Results]) -> LengthFinding:
  """What runs of several lengths say together, by their steps: the shortest and the longest decide.

  Raises:
    ValueError: there are fewer than two lengths.
  """
  first, last = (finding(runs[steps]) for steps in convergence.ends(runs))
  if first == last:
    return first
  if (first, last) == ("necessary", "not necessary"):
    return "a matter of training time"
  if (first, last) == ("not necessary", "necessary"):
    return "only after longer training"
  return "undecided"


def over_lengths(runs: Mapping[int, Results]) -> str:
  """The sentence on runs of several lengths, by their steps, with every effect and its change.

  Raises:
    ValueError: there are fewer than two lengths, or the runs are tested on other photographs.
  """
  lead = OVER_LENGTHS[finding_over_lengths(runs)].format(first=min(runs), last=max(runs))
  effects = [
    f"{in_short(runs[steps]['verdict']['test'])} after {steps:,}: {finding(runs[steps])}"
    for steps in sorted(runs)
  ]
  arms = " - ".join(map(titled, runs[min(runs)]["verdict"]["contrast"]))
  change = in_short(vars(convergence.change(runs, *runs[min(runs)]["verdict"]["contrast"])))
  return f"{lead}. {arms} {'; '.join(effects)}. From the first to the last it changes by {change}."
