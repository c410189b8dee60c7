"""Which explanation of LR's lead the kept runs allow, in docs/RESULTS.md and, in short, in README."""

from docs import convergence_blocks
from docs.comparison_blocks import Kept
from sr_jax.comparison import convergence, nested_verdict, representation
from sr_jax.comparison.contrasts import contrast
from sr_jax.comparison.convergence import NOTE_PAIR
from sr_jax.comparison.representation import Evidence
from sr_jax.comparison.tuning_verdict import TUNING

CERTIFICATE, NESTED, RECIPES, TANH = "certificate", "nested_confirmatory", "recipes", "tanh"
SENTENCES: dict[str, str] = {
  "more representation power": '**The evidence allows "more representation power"** for LR over '
  "HR: what LR can represent and HR cannot is used, and neither longer training nor recipes of "
  "their own take the lead on training patches away.",
  "better trained": '**The evidence allows no more than "better trained"**: longer training, or '
  "recipes of their own, take LR's lead over HR on training patches away.",
  "both": '**The evidence allows "both"**: LR represents more and uses it, and a part of its lead '
  "over HR on training patches is training, since it shrinks with the length of training.",
  "neither is shown": "**The evidence does not say whether LR represents more than HR or is better "
  "trained.** What is missing: {missing}.",
}


def evidence(kept: dict[str, Kept]) -> tuple[Evidence | None, list[str]]:
  """What the kept runs say of the note's pair, and which runs are not there yet."""
  lengths = [data["results"] for data in convergence_blocks.runs(kept)]
  deciding = convergence.deciding(convergence.runs_of(lengths, *NOTE_PAIR))
  absent = [name for name in (CERTIFICATE, NESTED, RECIPES) if name not in kept]
  absent += [convergence_blocks.PRESET] * (len(deciding) < 2)
  if absent:
    return None, absent
  certificate, nested, recipes = (kept[name]["results"] for name in (CERTIFICATE, NESTED, RECIPES))
  _, longest = convergence.ends(deciding)
  change = convergence.change(deciding, *NOTE_PAIR, split="training")
  return (
    Evidence(
      containment_excluded=is_excluded(certificate),
      weights_used=nested_verdict.USED in nested["verdict"]["findings"].values(),
      control_holds=all(recipes["verdict"][TUNING]["control"]["holds"].values()),
      longest=contrast(deciding[longest], *NOTE_PAIR)["training"]["decision"],
      own_recipes=contrast(recipes, *NOTE_PAIR)["training"]["decision"],
      shrinks=change.high is not None and change.high < 0,
    ),
    [],
  )


def explanation(kept: dict[str, Kept]) -> str:
  """The sentence on what the evidence allows."""
  found, absent = evidence(kept)
  if found is None:
    return f"Not decided yet: results/ lacks {', '.join(absent)}."
  missing = "; ".join(representation.missing(found))
  return SENTENCES[representation.explanation(found)].format(missing=missing)
