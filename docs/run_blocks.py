"""The blocks of single runs: the default run, its profile, the identities, published networks."""

from typing import Any

from sr_jax.comparison import verdict
from sr_jax.report import reproduction, tables
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime import profiling


def blocks(kept: dict[str, dict[str, Any]]) -> dict[str, str]:
  """The text of every block that one of these runs fills, by the name of its marks."""
  texts: dict[str, str] = {}
  for name, data in kept.items():
    if name == "matched_flops":
      texts[name] = matched_flops(data)
    elif name == "profile":
      rows = markdown_table(profiling.rows(data["profile"]))
      texts[name] = f"{rows}\n\n({data['device']}.)"
    elif name == "equivalence":
      texts[name] = equivalence(data)
    elif name.startswith("espcn"):
      texts[name] = espcn(data)
  return texts


def matched_flops(data: dict[str, Any]) -> str:
  """Scores, verdict and time of the default run."""
  results, timing = data["results"], data["timing"]
  spoken = verdict.time_sentence(timing, results["verdict"]["contrast"])
  listed = "\n".join(f"- {text}" for text in [*results["verdict"]["sentences"], spoken])
  minutes = sum(timing["phase_seconds"].values()) / 60
  return (
    f"{markdown_table(tables.score_rows(results))}\n\n{listed}\n\n"
    f"(Written by this command in {minutes:.1f} minutes on {timing['device']}.)"
  )


def equivalence(data: dict[str, Any]) -> str:
  """The sentences of the note with their verdicts."""
  rows = [["the note says", "it is", "because"]]
  for finding in [*data["results"]["sentences"], data["timing"]["speed"]]:
    rows.append([finding["sentence"], f"**{finding['verdict']}**", finding["evidence"]])
  return markdown_table(rows)


def espcn(data: dict[str, Any]) -> str:
  """Published networks beside their papers."""
  results = data["results"]
  config, device = results["config"], data["timing"]["device"]
  return (
    f"{markdown_table(reproduction.rows(results))}\n\n"
    f"(Mean and 95 % interval over {config['seeds']} seeds of {config['steps']:,} steps at "
    f"x{config['scale']}, on {device}.)"
  )
