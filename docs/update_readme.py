"""Writes measured results into the pages: `python -m docs.update_readme [RUN_OR_JSON...]`.

Takes folders of finished runs and JSON files of benchmarks, replaces what stands between the marks
of their blocks in README.md and docs/, and copies figures to docs/figures, so that no number there
is written by hand. Runs of a preset, and of capacity, are kept in results/ first; the blocks of all
that is kept there are written again each time.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from docs import kept_results, scaling_blocks
from sr_jax.analysis import reproduction, tables, verdict
from sr_jax.console import markdown_table
from sr_jax.run_folder import read_json
from sr_jax.training import profiling

DOCS = Path(__file__).parent
PAGES = (
  DOCS.parent / "README.md",
  *(
    DOCS / f"{name}.md"
    for name in ("RESULTS", "PERFORMANCE", "SCALING", "PROTOCOL", "IDENTITIES", "RUN_FOLDER")
  ),
)
FIGURES = {
  "matched_flops": ("example", "differences_by_image"),
  "equivalence": ("trained_layer",),
  "espcn": (),
}


def matched_flops(results: dict[str, Any], timing: dict[str, Any]) -> str:
  """Scores, verdict and time."""
  spoken = verdict.time_sentence(timing, results["verdict"]["contrast"])
  sentences = [*results["verdict"]["sentences"], spoken]
  minutes = sum(timing["phase_seconds"].values()) / 60
  listed = "\n".join(f"- {sentence}" for sentence in sentences)
  device = timing["device"]
  return (
    f"{markdown_table(tables.score_rows(results))}\n\n{listed}\n\n"
    f"(Written by this command in {minutes:.1f} minutes on {device}.)"
  )


def equivalence(results: dict[str, Any], timing: dict[str, Any]) -> str:
  """The sentences of the note with their verdicts."""
  rows = [["the note says", "it is", "because"]]
  for finding in [*results["sentences"], timing["speed"]]:
    rows.append([finding["sentence"], f"**{finding['verdict']}**", finding["evidence"]])
  return markdown_table(rows)


def espcn(results: dict[str, Any], timing: dict[str, Any]) -> str:
  """Published networks beside their papers."""
  minutes = sum(timing["phase_seconds"].values()) / 60
  config = results["config"]
  return (
    f"{markdown_table(reproduction.rows(results))}\n\n"
    f"(Mean and 95 % interval over {config['seeds']} seeds of {config['steps']:,} steps at "
    f"x{config['scale']}; {minutes:.0f} minutes on {timing['device']}.)"
  )


def upsampling(data: dict[str, Any]) -> str:
  """Time of each form over that of the sub-pixel convolution."""
  forms = list(dict.fromkeys(row["form"] for row in data["rows"]))
  rows = [["r", "dtype", *forms]]
  for scale, dtype in dict.fromkeys((row["scale"], row["dtype"]) for row in data["rows"]):
    here = {
      row["form"]: row["seconds"]
      for row in data["rows"]
      if (row["scale"], row["dtype"]) == (scale, dtype)
    }
    base = here["sub-pixel (JAX)"]
    cells = [f"{here[form] / base:.1f}" if form in here else "-" for form in forms]
    rows.append([str(scale), dtype, f"{1e3 * base:.3g} ms = 1", *cells[1:]])
  return f"{markdown_table(rows)}\n\n({data['device']}.)"


def train(data: dict[str, Any]) -> dict[str, str]:
  """Throughput against PyTorch: the default recipe's shape, and all shapes."""
  names = {
    "name": "network",
    "scale": "r",
    "patch": "patch",
    "batch": "batch",
    "members": "members",
    "precision": "precision",
  }
  head = [*names.values(), "ms a member step", "PyTorch, ms", "PyTorch : this", "share of peak"]
  cells = []
  for row in data["rows"]:
    ours, theirs = (row["member_step_seconds"].get(key) for key in ("jax", "torch"))
    against = [f"{1e3 * theirs:.3g}", f"**{theirs / ours:.2f}**"] if theirs else ["-", "-"]
    shown = [str(row[key]) for key in names]
    cells.append([*shown, f"{1e3 * ours:.3g}", *against, f"{row['share_of_peak']:.0%}"])
  default = [[row[0], *row[4:5], *row[6:]] for row in cells if row[1:4] == ["2", "17", "16"]]
  peaks = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in data["peak_flops"].items())
  about = (
    f"({data['device']}, {data['minutes']:.1f} minutes; peak in GFLOP/s: {peaks}; glibc's malloc: "
    f"{data['malloc']}.)"
  )
  return {
    "train": f"{markdown_table([[head[0], head[4], *head[6:]], *default])}\n\n{about}",
    "train_all": f"{markdown_table([head, *cells])}\n\n{about}",
  }


def growth(data: dict[str, Any]) -> str:
  """Cost against members, training images and image size."""
  tables = []
  rows = [["members", "ms a step", "ms a step and member", "MiB of state", "MiB of scratch"]]
  for one in data["members"]:
    count, seconds = one["members"], one["seconds"]
    mebibytes = count * one["bytes_a_member"] / 2**20, one["scratch_bytes"] / 2**20
    sizes = [f"{size:.1f}" for size in mebibytes]
    rows.append([str(count), f"{1e3 * seconds:.1f}", f"{1e3 * seconds / count:.2f}", *sizes])
  tables.append(markdown_table(rows))
  rows = [["training images of 256x256", "ms a step", "MiB of images"]]
  for one in data["images"]:
    size = one["bytes_of_images"] / 2**20
    rows.append([str(one["images"]), f"{1e3 * one['seconds']:.2f}", f"{size:.1f}"])
  tables.append(markdown_table(rows))
  rows = [["HR side of an image", "ms to score", "ms a megapixel"]]
  for one in data["sides"]:
    each = 1e3 * one["seconds"] / (one["side"] ** 2 / 1e6)
    rows.append([str(one["side"]), f"{1e3 * one['seconds']:.1f}", f"{each:.0f}"])
  tables.append(markdown_table(rows))
  return "\n\n".join([*tables, f"({data['device']}.)"])


def chaos(data: dict[str, Any]) -> str:
  """What a number of kills came to."""
  kills, finished = data["kills"], data["finished"]
  signals = sorted({one["signal"] for one in kills})
  rows = [["killed while", *signals]]
  for what in sorted({one["doing"] for one in kills}):
    sent = [one["signal"] for one in kills if one["doing"] == what]
    rows.append([what, *(str(sent.count(name)) for name in signals)])
  stops = [float(one["seconds"]) for one in kills if one["signal"] != "SIGKILL"]
  return (
    f"{markdown_table(rows)}\n\n{sum(not one['wrong'] for one in kills)} of {len(kills)} kills "
    f"went as they should, {sum(not one for one in finished)} of {len(finished)} runs finished "
    "with the bits of one that was left alone; the longest stop took "
    f"{max(stops, default=0):.1f} s. ({data['device']}, {data['minutes']:.0f} minutes.)"
  )


def profile(data: dict[str, Any], device: str) -> str:
  """Where the seconds of a run went."""
  return f"{markdown_table(profiling.rows(data))}\n\n({device}.)"


def blocks_of(source: Path) -> dict[str, str]:
  """The blocks that a run's folder or a benchmark's JSON fills, by the name of their marks."""
  if source.is_dir():
    results, timing = read_json(source / "results.json"), read_json(source / "timing.json")
    name = results["experiment"]
    for figure in FIGURES[name]:
      shutil.copy(source / "figures" / f"{figure}.png", DOCS / "figures" / f"{figure}.png")
    if name == "espcn":
      scale = results["config"]["scale"]
      return {"espcn" if scale == 3 else f"espcn_x{scale}": espcn(results, timing)}
    if name == "equivalence":
      return {name: equivalence(results, timing)}
    blocks = {name: matched_flops(results, timing)}
    if (source / "profile.json").exists():
      blocks["profile"] = profile(read_json(source / "profile.json"), timing["device"])
    return blocks
  data = read_json(source)
  benchmark = data["benchmark"]
  several = {"train": train, "scaling": scaling_blocks.blocks}
  if benchmark in several:
    return several[benchmark](data)
  if benchmark == "startup":
    rows = [["compile cache", "seconds"], *([k, f"{v:.1f}"] for k, v in data["seconds"].items())]
    return {benchmark: f"{markdown_table(rows)}\n\n({data['device']}.)"}
  return {benchmark: {"upsampling": upsampling, "growth": growth, "chaos": chaos}[benchmark](data)}


def main(sources: list[Path]) -> None:
  """Renders each source's blocks, and those of results/, and swaps them in."""
  found: dict[str, str] = {}
  for source in sources:
    if not (source.is_dir() and kept_results.keep(source)):
      found |= blocks_of(source)
  found |= kept_results.blocks()
  texts = {page: page.read_text() for page in PAGES}
  for name, block in found.items():
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    page = next((page for page, text in texts.items() if all(mark in text for mark in marks)), None)
    if page is None:
      raise ValueError(f"no page has the marks {marks[0]} ... {marks[1]}")
    before, _, rest = texts[page].partition(marks[0])
    _, _, after = rest.partition(marks[1])
    texts[page] = f"{before}{marks[0]}\n{block}\n{marks[1]}{after}"
  for page, text in texts.items():
    page.write_text(text)


if __name__ == "__main__":
  main([Path(argument) for argument in sys.argv[1:]])
