"""The block on the length of training, in docs/RESULTS.md."""

from typing import Any

from docs.comparison_blocks import Kept, bullets, in_short, interval
from docs.kept_results import changed
from sr_jax.comparison import convergence
from sr_jax.comparison.convergence import NOTE_PAIR
from sr_jax.comparison.titles import titled
from sr_jax.config import as_flags
from sr_jax.report import convergence_figures
from sr_jax.report.markdown import table as markdown_table

Results = dict[str, Any]

PRESET = "convergence"
OPEN = "Not measured yet: results/ holds no such run."
LENGTH = {"steps", "seeds", "arms", "search_steps", "search_seeds", "learning_rate"}


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of the blocks on the length of training, by the name of their marks."""
  lengths = runs(kept)
  return {
    PRESET: _convergence(lengths) if lengths else OPEN,
    "other_data": _others(kept) or OPEN,
  }


def runs(kept: dict[str, Kept]) -> list[Kept]:
  """The kept runs of the preset that differ in length, seeds, arms and the search alone."""
  return [data for name, data in _of_preset(kept).items() if not _other_settings(data)]


def others(kept: dict[str, Kept]) -> list[tuple[dict[str, Any], Kept]]:
  """The kept runs of the preset that differ in other settings, with these settings."""
  runs_with = ((_other_settings(data), data) for data in _of_preset(kept).values())
  return [(settings, data) for settings, data in runs_with if settings]


def _of_preset(kept: dict[str, Kept]) -> dict[str, Kept]:
  return {name: data for name, data in kept.items() if name.split("_")[0] == PRESET}


def _other_settings(data: Kept) -> dict[str, Any]:
  """The settings in which a run of the preset differs, but for those of length and search."""
  _, differing = changed(data["results"])
  return {name: value for name, value in differing.items() if name not in LENGTH}


def sentences(lengths: list[Kept]) -> list[str]:
  """What training time does to the note's pair, and to LR against the best HR network."""
  results = [data["results"] for data in lengths]
  listed = []
  for pair in deciding_pairs(results):
    of_pair = convergence.runs_of(results, *pair)
    if len(convergence.deciding(of_pair)) > 1:
      listed += convergence.sentences(of_pair, *pair)
  return listed


def deciding_pairs(results: list[Results]) -> list[tuple[str, str]]:
  """The note's pair, and LR with the best HR network on validation photographs."""
  return list(dict.fromkeys([NOTE_PAIR, ("lr", convergence.best_opponent(results))]))


def _convergence(lengths: list[Kept]) -> str:
  """Sentences, the curve, all effects by length, and the commands that repeat the runs."""
  results = [data["results"] for data in lengths]
  commands = "\n".join(data["command"] for data in lengths)
  minutes = sum(sum(data["timing"]["phase_seconds"].values()) for data in lengths) / 60
  revisions = sorted({data["provenance"]["revision"][:10] for data in lengths})
  parts = [
    bullets(sentences(lengths) or ["Fewer than two lengths are measured yet."]),
    *_picture(results),
    markdown_table(rows(results)),
    f"```sh\n{commands}\n```",
    f"({minutes:.0f} minutes on {lengths[0]['timing']['device']}, revision "
    f"{', '.join(revisions)}.)",
  ]
  return "\n\n".join(parts)


def _picture(results: list[Results]) -> list[str]:
  """The curve with what it shows, where there are two lengths to draw."""
  if not convergence_figures.contrasts(results):
    return []
  photos = len(results[0]["images"]["test"])
  return [
    f"![The difference against the length of training](figures/{PRESET}_curve.png)",
    f"({convergence_figures.ABOUT} {photos} photographs: {results[0]['tests'][0]}.)",
  ]


def rows(results: list[Results]) -> list[list[str]]:
  """Every HR network against LR after every length, with all three estimates."""
  table = [["contrast", "steps", "seeds", "effect (dB)", "decision", "median", "pooled"]]
  table[0] += ["on training patches (dB)", "rates"]
  for pair in convergence_figures.contrasts(results, least=1):
    of_pair = convergence.runs_of(results, *pair)
    effects = convergence.effects(of_pair, *pair)
    training = convergence.effects(of_pair, *pair, split="training")
    for steps, effect in effects.items():
      rates = [f"{of_pair[steps]['arms'][name]['learning_rate']:g}" for name in pair]
      table.append(
        [
          " - ".join(map(titled, pair)),
          f"{steps:,}",
          f"{effect['seeds']}",
          interval(effect),
          effect["decision"],
          f"{effect['median']:+.3f}",
          f"{effect['pooled']:+.3f}",
          f"{in_short(training[steps])}",
          " and ".join(rates),
        ]
      )
  return table


def _others(kept: dict[str, Kept]) -> str:
  """The note's pair with larger patches, and trained on other photographs."""
  table = [["changed", "LR - HR (dB)", "decision", "on training patches (dB)", "photographs"]]
  commands = []
  for settings, data in others(kept):
    results = data["results"]
    verdict, flags = results["verdict"], as_flags(settings)
    effect = verdict["test"]
    count = f"{effect['images']} ({', '.join(results['tests'])})"
    fit = in_short(verdict["training"])
    table.append([f"`{flags}`", interval(effect), effect["decision"], fit, count])
    commands.append(data["command"])
  if not commands:
    return ""
  listed = "\n".join(commands)
  return f"{markdown_table(table)}\n\n```sh\n{listed}\n```"
