"""What a comparison of residual with plain networks says, in sentences chosen by its decisions.

Mixtures are networks that hold LR and HR maps explicitly. The groups are of linear contrasts
(`findings.py`), whose effects all have a sign with a meaning.
"""

from typing import Any

import numpy as np

Results = dict[str, Any]

# Groups of linear contrasts.
MIXTURES = "LR against mixtures, residual"
PLAIN_MIXTURES = "LR against mixtures, plain"
INTERACTION = "interaction"
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
  "all equivalent": "Identities do not change what an explicit combination brings",
  "better": "With identities an explicit combination brings less ({better})",
  "worse": "With identities an explicit combination brings more ({worse})",
  "both": "With identities an explicit combination brings less ({better}) and more ({worse})",
  "undecided": "Whether identities change what an explicit combination brings is undecided",
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
  PLAIN_MIXTURES: (NEEDED, "plain"),
  IDENTITIES: (BRINGS, "identities around every two hidden layers"),
  HR_ALONE: (BRINGS, "HR maps alone, instead of LR maps,"),
}


def claim(group: str, finding: str, better: str, worse: str) -> str:
  """What a group says, by its finding and the names of the effects that are shown."""
  texts, about = CLAIMS[group]
  text = texts.get(finding, texts["undecided"])
  said = text.format(networks=about, what=about, better=better, worse=worse)
  return said[0].upper() + said[1:]


def on_training(results: Results) -> list[str]:
  """Which networks of a comparison of depths train, residual and plain; nothing of others."""
  if "connections" not in results["config"]:
    return []
  sentences = []
  for connection in results["config"]["connections"]:
    gains = {
      name: gains_on_training_patches(results, name)
      for name in results["arms"]
      if name.endswith("_residual") == (connection == "residual")
    }
    failed = {
      name: seeds
      for name, own in gains.items()
      if (seeds := [_failure(seed, gain) for seed, gain in enumerate(own) if not _trains(gain)])
    }
    if not failed:
      least = [gain for own in gains.values() for gain in own if gain is not None]
      sentences.append(
        f"All {len(gains)} {connection} networks train in every seed: on training patches they are "
        f"at least {min(least):.2f} dB above bicubic interpolation; {TRAINED} dB was asked for."
      )
    else:
      listed = "; ".join(f"{name}: {', '.join(seeds)}" for name, seeds in failed.items())
      sentences.append(
        f"{len(failed)} of {len(gains)} {connection} networks do not train in every seed, that is, "
        f"to {TRAINED} dB above bicubic interpolation on their training patches: {listed}."
      )
  return sentences


def _trains(gain: float | None) -> bool:
  return gain is not None and gain >= TRAINED


def _failure(seed: int, gain: float | None) -> str:
  return f"seed {seed} {'diverged' if gain is None else f'{gain:+.2f} dB'}"


def gains_on_training_patches(results: Results, name: str) -> list[float | None]:
  """The mean PSNR in dB over bicubic interpolation of every seed; None where it is not finite."""
  bicubic = float(np.mean(results["bicubic"]["training"]["psnr"]))
  psnr = [member["training"]["psnr"] for member in results["arms"][name]["members"]]
  return [None if None in own else float(np.mean(own)) - bicubic for own in psnr]
