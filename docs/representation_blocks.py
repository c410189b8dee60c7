"""Which explanation of LR's lead the kept runs allow, in docs/RESULTS.md and in README."""

from typing import Any

from docs import convergence_blocks
from docs.comparison_blocks import Kept, about, bullets
from docs.convergence_blocks import OPEN
from experiments import matched_flops
from sr_jax.capacity import certificate_report
from sr_jax.comparison import containment, convergence, nested_verdict, representation, verdict
from sr_jax.comparison.contrasts import contrast
from sr_jax.comparison.convergence import NOTE_PAIR
from sr_jax.comparison.representation import Evidence
from sr_jax.comparison.tuning_verdict import TUNING
from sr_jax.networks.containment import containing_pairs
from sr_jax.report import nested_figures, nested_report, tables, tuning
from sr_jax.report.markdown import table as markdown_table

Results = dict[str, Any]

CERTIFICATE, NESTED, RECIPES, TANH = "certificate", "nested_confirmatory", "recipes", "tanh"
USED = (
  "HR cannot compute all that LR does; from the same function, networks fit better by the weights "
  "that untying gives them; and neither longer training nor recipes of their own take LR's lead "
  "over HR on training patches away"
)
SENTENCES: dict[str, str] = {
  "more representation power": '**The evidence allows "more representation power".** {used}.',
  "more representation power, perhaps both": '**The evidence allows "more representation power", '
  "and does not decide whether a part of the lead is training.** {used}; whether that lead shrinks "
  "with longer training is undecided.",
  "better trained": '**The evidence allows no more than "better trained".** Longer training, or '
  "recipes of their own, take LR's lead over HR on training patches away.",
  "both": '**The evidence allows "both", more representation power and better training.** {used}, '
  "but it shrinks with longer training.",
  "neither is shown": "**The evidence does not say whether LR represents more than HR or is better "
  "trained.** What is missing: {missing}.",
}


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of the blocks on theorem, control and limits, by the name of their marks."""
  tuned = {name: _tuned(name, kept[name]) if name in kept else OPEN for name in (RECIPES, TANH)}
  return {
    "explanation": explanation(kept),
    "theorem": _theorem(kept["confirmatory"]["results"]),
    CERTIFICATE: _certificate(kept[CERTIFICATE]) if CERTIFICATE in kept else OPEN,
    "nested": _nested(kept[NESTED]) if NESTED in kept else OPEN,
    **tuned,
    "limits": bullets(_limits(kept)),
  }


def _theorem(results: Results) -> str:
  """Which networks of the confirmatory run contain others."""
  config = matched_flops.PRESETS["confirmatory"]
  networks = {arm.name: arm.network for arm in matched_flops.arms(config)}
  pairs = containing_pairs(networks)
  return bullets(containment.sentences({**results, containment.CONTAINS: pairs}))


def _certificate(data: Kept) -> str:
  """Ranks that rounding cannot explain, and the command that shows them again."""
  measured = data["results"]["parts"][CERTIFICATE]
  parts = [certificate_report.sentence(measured), markdown_table(certificate_report.rows(measured))]
  return "\n\n".join([*parts, f"```sh\n{data['command']}\n```", about(data)])


def is_excluded(certificate: Results) -> bool:
  """Whether it is shown that HR does not contain LR, with ReLU."""
  measured = certificate["parts"][CERTIFICATE]
  return bool(measured["shown"]["relu"]["lr"]["rank"] > measured["smaller"]["hr"])


def _nested(data: Kept) -> str:
  """What untying brings, what every network reached, and the command."""
  results = data["results"]
  parts = [
    bullets(results["verdict"]["sentences"]),
    f"![What untying brings to every pair](figures/{NESTED}_effects.png)",
    nested_figures.ABOUT_EFFECTS,
    markdown_table(nested_report.rows(results)),
    nested_report.ABOUT_PAIRS,
    markdown_table(nested_report.level_rows(results)),
    nested_report.ABOUT_LEVELS,
    f"```sh\n{data['command']}\n```",
    about(data),
  ]
  return "\n\n".join(parts)


def _tuned(name: str, data: Kept) -> str:
  """What networks with recipes of their own say, all contrasts, what they chose, the command."""
  results = data["results"]
  parts = [
    bullets(results["verdict"]["sentences"]),
    markdown_table(tables.contrast_rows(results)),
    f"![Validation PSNR against steps, beside the best linear filter](figures/{name}_plateau.png)",
    markdown_table(tuning.plateau_rows(results)),
    markdown_table(tuning.chosen_rows(results)),
    f"```sh\n{data['command']}\n```",
    about(data),
  ]
  return "\n\n".join(parts)


def _limits(kept: dict[str, Kept]) -> list[str]:
  """What the confirmatory run, and all runs of the note's networks together, cannot say."""
  runs = [data["results"] for data in kept.values() if "results" in data]
  of_pair = [run for run in runs if run["experiment"] == "matched_flops"]
  longest = max(run["config"]["steps"] for run in of_pair)
  return [
    f"By the confirmatory run: {verdict.not_shown(kept['confirmatory']['results'])}",
    f"By any run of these networks: training beyond {longest:,} steps.",
  ]


def evidence(kept: dict[str, Kept]) -> tuple[Evidence | None, list[str]]:
  """What the kept runs say of the note's pair, and which runs are not there yet."""
  lengths = [data["results"] for data in convergence_blocks.runs(kept)]
  deciding = convergence.deciding(convergence.runs_of(lengths, *NOTE_PAIR))
  absent = [name for name in (CERTIFICATE, NESTED, RECIPES) if name not in kept]
  absent += ["a second length of training"] * (len(deciding) < 2)
  if absent:
    return None, absent
  certificate, nested, recipes = (kept[name]["results"] for name in (CERTIFICATE, NESTED, RECIPES))
  _, longest = convergence.ends(deciding)
  change = convergence.change(deciding, *NOTE_PAIR, split="training")
  return (
    Evidence(
      containment_excluded=is_excluded(certificate),
      weights_used=any(
        finding == nested_verdict.USED
        for pair, finding in nested["verdict"]["findings"].items()
        if pair in representation.COUNTED
      ),
      control_holds=all(recipes["verdict"][TUNING]["control"]["holds"].values()),
      longest=contrast(deciding[longest], *NOTE_PAIR)["training"]["decision"],
      own_recipes=contrast(recipes, *NOTE_PAIR)["training"]["decision"],
      change=change.decision,
    ),
    [],
  )


def explanation(kept: dict[str, Kept]) -> str:
  """The sentence on what the evidence allows."""
  known, absent = evidence(kept)
  if known is None:
    return f"Not decided yet: results/ lacks {', '.join(absent)}."
  missing = "; ".join(representation.missing(known))
  return SENTENCES[representation.explanation(known)].format(missing=missing, used=USED)
