"""What a comparison of residual with plain networks plans, and what it says by its decisions.

Mixtures are networks that hold LR and HR maps explicitly. The groups are of linear contrasts
(`findings.py`), whose effects all have a sign with a meaning.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.comparison.combinations import Best, Combination, difference
from sr_jax.comparison.titles import titled

Results = dict[str, Any]

NETWORKS = ("lr", "half", "hr", "streams")
CONNECTIONS = ("plain", "residual")

# Groups of linear contrasts.
MIXTURES = "LR against mixtures, residual"
PLAIN_MIXTURES = "LR against mixtures, plain"
INTERACTION = "interaction"
BY_DEPTH = "interaction by depth"
IDENTITIES = "identities"
HR_ALONE = "HR against LR"

TRAINED = 0.5  # dB over bicubic interpolation on training patches, which a network that trains has
NEEDED = {
  "all equivalent": "{networks} networks need no explicit combination of LR and HR maps",
  "better": "An explicit combination of LR and HR maps hurts {networks} networks ({better})",
  "worse": "An explicit combination of LR and HR maps helps {networks} networks ({worse})",
  "both": "An explicit combination of LR and HR maps helps {networks} networks ({worse}) and hurts "
  "them ({better})",
  "undecided": "Whether {networks} networks need an explicit combination of LR and HR maps is "
  "undecided",
}
CHANGES = {
  "all equivalent": "Identities do not change what an explicit combination brings{what}",
  "better": "With identities an explicit combination brings less ({better})",
  "worse": "With identities an explicit combination brings more ({worse})",
  "both": "With identities an explicit combination brings less ({better}) and more ({worse})",
  "undecided": "Whether identities change what an explicit combination brings{what} is undecided",
}
BRINGS = {
  "all equivalent": "{what} bring nothing",
  "better": "{what} help ({better})",
  "worse": "{what} hurt ({worse})",
  "both": "{what} help ({better}) and hurt ({worse})",
  "undecided": "Whether {what} help is undecided",
}
CLAIMS = {
  MIXTURES: (NEEDED, "residual"),
  INTERACTION: (CHANGES, ""),
  BY_DEPTH: (CHANGES, " at each depth"),
  PLAIN_MIXTURES: (NEEDED, "plain"),
  IDENTITIES: (BRINGS, "identities around every two hidden layers"),
  HR_ALONE: (BRINGS, "HR maps alone, instead of LR maps,"),
}


def name_of(network: str, depth: int, connection: str) -> str:
  """The name of an arm, as lr_d8 or lr_d8_residual."""
  return f"{network}_d{depth}" + "_residual" * (connection == "residual")


def mixtures_of(networks: Sequence[str]) -> list[str]:
  """Those networks that hold LR and HR maps."""
  return [network for network in ("half", "streams") if network in networks]


def best_mixture(networks: Sequence[str], depth: int, connection: str) -> Best:
  """The best mixture on validation photographs, of a depth, plain or residual."""
  return Best(tuple(name_of(each, depth, connection) for each in mixtures_of(networks)))


def combinations(
  networks: Sequence[str], connections: Sequence[str], depths: Sequence[int]
) -> list[Combination]:
  """What explicit mixtures bring, with and without identities, and what identities bring."""
  planned = []
  known = [network for network in NETWORKS if network in networks]
  if "lr" in known and mixtures_of(known):
    planned += _against_mixtures(known, connections, depths)
  if set(connections) == set(CONNECTIONS):
    planned += [
      Combination(
        IDENTITIES,
        f"{titled(network)}, depth {depth}",
        "an identity around every two hidden layers",
        difference(name_of(network, depth, "residual"), name_of(network, depth, "plain")),
      )
      for depth in depths
      for network in known
    ]
  if {"lr", "hr"} <= set(known):
    planned += [
      Combination(
        HR_ALONE,
        f"HR - LR, {connection}, depth {depth}",
        "HR maps alone instead of LR maps",
        difference(name_of("hr", depth, connection), name_of("lr", depth, connection)),
      )
      for depth in depths
      for connection in connections
    ]
  return planned


def _against_mixtures(
  networks: Sequence[str], connections: Sequence[str], depths: Sequence[int]
) -> list[Combination]:
  """LR less the best mixture, and how much more that is in residual networks than in plain ones."""
  groups = {"residual": MIXTURES, "plain": PLAIN_MIXTURES}
  effects = [
    Combination(
      groups[connection],
      f"LR - best mixture, {connection}, depth {depth}",
      "LR maps alone instead of the best explicit mixture",
      _less_best(networks, depth, connection),
    )
    for connection in connections
    for depth in depths
  ]
  if set(connections) < set(CONNECTIONS):
    return effects
  by_depth = {f"depth {depth}": (BY_DEPTH, [depth]) for depth in depths}
  # The estimand is a group of its own.
  planned = {"all depths": (INTERACTION, depths), **by_depth}
  if len(depths) == 1:
    planned = {f"depth {depths[0]}": (INTERACTION, depths)}
  return [
    *effects,
    *(
      Combination(
        group,
        f"interaction, {name}",
        "LR - best mixture, residual, less LR - best mixture, plain",
        _interaction(networks, own),
      )
      for name, (group, own) in planned.items()
    ),
  ]


def _less_best(networks: Sequence[str], depth: int, connection: str) -> dict[str | Best, float]:
  best = best_mixture(networks, depth, connection)
  return {name_of("lr", depth, connection): 1.0, best: -1.0}


def _interaction(networks: Sequence[str], depths: Sequence[int]) -> dict[str | Best, float]:
  """Residual less plain, averaged over depths."""
  return {
    arm: sign * weight / len(depths)
    for depth in depths
    for connection, sign in (("residual", 1), ("plain", -1))
    for arm, weight in _less_best(networks, depth, connection).items()
  }


def claim(group: str, finding: str, better: str, worse: str) -> str:
  """What a group says, by its finding and the names of the effects that are shown."""
  texts, about = CLAIMS[group]
  text = texts.get(finding, texts["undecided"])
  sentence = text.format(networks=about, what=about, better=better, worse=worse)
  return sentence[0].upper() + sentence[1:]


def on_training(results: Results) -> list[str]:
  """Which networks of a comparison of depths train, residual and plain; nothing of others."""
  if "connections" not in results["config"]:
    return []
  config, sentences = results["config"], []
  after = f"after {config['steps']:,} steps"
  for connection in config["connections"]:
    names = [
      name_of(network, depth, connection)
      for depth in config["depths"]
      for network in NETWORKS
      if network in config["networks"]
    ]
    gains = {name: gains_on_training_patches(results, name) for name in names}
    failed = {name: own for name, own in gains.items() if not all(map(_trains, own))}
    if not failed:
      least = [gain for own in gains.values() for gain in own if gain is not None]
      sentences.append(
        f"All {len(gains)} {connection} networks train in every seed: {after} they are at least "
        f"{min(least):.2f} dB above bicubic interpolation on training patches; {TRAINED} dB was "
        "asked for."
      )
    else:
      listed = "; ".join(f"{titled(name)}: {_failures(own)}" for name, own in failed.items())
      sentences.append(
        f"{len(failed)} of {len(gains)} {connection} networks do not train in every seed, that is, "
        f"to {TRAINED} dB above bicubic interpolation on training patches {after}: {listed}."
      )
  return sentences


def _trains(gain: float | None) -> bool:
  return gain is not None and gain >= TRAINED


def _failures(gains: list[float | None]) -> str:
  """The seeds of a network that do not train, or all of them in short."""
  known = [gain for gain in gains if gain is not None]
  if len(known) == len(gains) and not any(map(_trains, gains)):
    return f"all {len(gains)} seeds, {min(known):+.2f} to {max(known):+.2f} dB"
  return ", ".join(
    f"seed {seed} {'diverged' if gain is None else f'{gain:+.2f} dB'}"
    for seed, gain in enumerate(gains)
    if not _trains(gain)
  )


def gains_on_training_patches(results: Results, name: str) -> list[float | None]:
  """The mean PSNR in dB over bicubic interpolation of every seed; None where it is not finite."""
  bicubic = float(np.mean(results["bicubic"]["training"]["psnr"]))
  psnr = [member["training"]["psnr"] for member in results["arms"][name]["members"]]
  return [None if None in own else float(np.mean(own)) - bicubic for own in psnr]
