"""The blocks of single runs: the default run, its profile, the identities, published networks."""

from docs.comparison_blocks import Kept, bullets, minutes
from sr_jax.identities import report as identities_report
from sr_jax.report import reproduction, tables, times
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime import profiling


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of every block that one of these runs fills, by the name of its marks."""
  write = {"matched_flops": matched_flops, "profile": profile, "equivalence": equivalence}
  write |= {name: espcn for name in kept if name.startswith("espcn")}
  texts = {name: write[name](data) for name, data in kept.items() if name in write}
  if "equivalence" in kept:
    texts["theorems"] = theorems(kept["equivalence"])
  return texts


def profile(data: Kept) -> str:
  """Where the time of the default run goes."""
  return f"{markdown_table(profiling.rows(data['profile']))}\n\n({data['device']}.)"


def matched_flops(data: Kept) -> str:
  """Scores, verdict and time of the default run."""
  results, timing = data["results"], data["timing"]
  time_sentence = times.time_sentence(timing, results["verdict"]["contrast"])
  return (
    f"{markdown_table(tables.score_rows(results))}\n\n"
    f"{bullets([*results['verdict']['sentences'], time_sentence])}\n\n"
    f"(Written by this command in {minutes(data):.1f} minutes on {timing['device']}.)"
  )


def equivalence(data: Kept) -> str:
  """The sentences of the note with their verdicts."""
  rows = [["the note says", "it is", "because"]]
  for finding in [*data["results"]["sentences"], data["timing"]["speed"]]:
    rows.append([finding["sentence"], f"**{finding['verdict']}**", finding["evidence"]])
  return markdown_table(rows)


def theorems(data: Kept) -> str:
  """Which family of networks contains which."""
  return markdown_table(identities_report.theorem_rows(data["results"]))


def espcn(data: Kept) -> str:
  """Published networks beside their papers."""
  results = data["results"]
  config, device = results["config"], data["timing"]["device"]
  return (
    f"{markdown_table(reproduction.rows(results))}\n\n"
    f"(Mean and 95 % interval over {config['seeds']} seeds of {config['steps']:,} steps at "
    f"x{config['scale']}, on {device}.)"
  )
