"""Which explanation of a lead the evidence allows: representation, training, or both.

Fixed before the runs that it reads. Of two networks of equal cost the first may be ahead since it
can represent more, or since it is trained better. What is read:

- Containment: whether it is excluded that the second network computes all that the first does (the
  rank of the first's Jacobian is above the second's number of parameters).
- Nested warm starts: whether networks use the weights that untying gives them, from the very same
  function. They do if, on training patches, the untied network is supported against its tied self
  by Adam and by L-BFGS, for one of the pairs of `COUNTED` at least. HR and its lift do not count,
  which costs more.
- The positive control: LR far contains LR. With recipes of their own the intervals of LR far - LR
  on test photographs and on training patches must lie above -0.05 dB, else training hides more than
  is asked about: nothing is said of representation, and that run says nothing of what remains.
- What remains: the lead on training patches after the most steps that decide, and with recipes of
  their own.

Then:

- "better trained", if the lead on training patches is supported in none of what remains, and
  equivalent or reversed in some: longer or better training takes it away.
- "more representation power", if containment is excluded, weights are used, the control holds, the
  lead on training patches is supported in both, and from the fewest to the most steps that decide
  it does not shrink by as much as 0.05 dB.
- "both", if so, but that lead shrinks by more than 0.05 dB; and "more representation power, perhaps
  both", if whether it does is undecided.
- Otherwise "neither is shown", and what is missing is named.
"""

import dataclasses
from typing import Literal

from sr_jax.comparison.statistics import Decision

COUNTED = ("hr_learned to hr_untied", "lr_tied to lr")  # pairs of nested networks

Explanation = Literal[
  "more representation power",
  "more representation power, perhaps both",
  "better trained",
  "both",
  "neither is shown",
]
OF_CHANGE: dict[Decision, Explanation] = {
  "supported": "more representation power",
  "equivalent": "more representation power",
  "reversed": "both",
}


@dataclasses.dataclass(frozen=True)
class Evidence:
  """What is known of the lead of a first network over a second of equal cost.

  Attributes:
    containment_excluded: whether a certificate excludes that the second contains the first.
    weights_used: whether untied networks of a pair that counts are supported, by both optimisers.
    control_holds: whether the positive control of the own recipes holds.
    longest: the decision on training patches after the most steps that decide.
    own_recipes: the decision on training patches with recipes of their own.
    change: the decision on what longer training adds to the lead on training patches.
  """

  containment_excluded: bool
  weights_used: bool
  control_holds: bool
  longest: Decision
  own_recipes: Decision
  change: Decision


def explanation(evidence: Evidence) -> Explanation:
  """The explanation of the lead that the evidence allows."""
  remaining = {evidence.longest} | ({evidence.own_recipes} if evidence.control_holds else set())
  if "supported" not in remaining and remaining & {"equivalent", "reversed"}:
    return "better trained"
  if missing(evidence):
    return "neither is shown"
  return OF_CHANGE.get(evidence.change, "more representation power, perhaps both")


def missing(evidence: Evidence) -> list[str]:
  """What representation lacks, in words."""
  lacks = {
    "a certificate that excludes containment": not evidence.containment_excluded,
    "nested networks that use the weights which untying gives them": not evidence.weights_used,
    "the positive control (LR far - LR above -0.05 dB)": not evidence.control_holds,
    "a lead on training patches after the longest training": evidence.longest != "supported",
    "a lead on training patches with own recipes": evidence.own_recipes != "supported",
  }
  return [what for what, is_missing in lacks.items() if is_missing]
