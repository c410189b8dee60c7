"""The tables that show what benchmarks measured, from their JSON in results/."""

from typing import Any

from docs import scaling_blocks
from sr_jax.runtime import profiling
from sr_jax.runtime.console import markdown_table


def blocks(kept: dict[str, dict[str, Any]]) -> dict[str, str]:
  """The text of every block that a benchmark fills, by the name of its marks."""
  texts: dict[str, str] = {}
  for name, render in RENDERED.items():
    if name in kept:
      texts |= render(kept[name])
  return texts


def upsampling(data: dict[str, Any]) -> dict[str, str]:
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
  return {"upsampling": f"{markdown_table(rows)}\n\n({data['device']}.)"}


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


def growth(data: dict[str, Any]) -> dict[str, str]:
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
  return {"growth": "\n\n".join([*tables, f"({data['device']}.)"])}


def chaos(data: dict[str, Any]) -> dict[str, str]:
  """What a number of kills came to."""
  kills, finished = data["kills"], data["finished"]
  signals = sorted({one["signal"] for one in kills})
  rows = [["killed while", *signals]]
  for what in sorted({one["doing"] for one in kills}):
    sent = [one["signal"] for one in kills if one["doing"] == what]
    rows.append([what, *(str(sent.count(name)) for name in signals)])
  stops = [float(one["seconds"]) for one in kills if one["signal"] != "SIGKILL"]
  text = (
    f"{markdown_table(rows)}\n\n{sum(not one['wrong'] for one in kills)} of {len(kills)} kills "
    f"went as they should, {sum(not one for one in finished)} of {len(finished)} runs finished "
    "with the bits of one that was left alone; the longest stop took "
    f"{max(stops, default=0):.1f} s. ({data['device']}, {data['minutes']:.0f} minutes.)"
  )
  return {"chaos": text}


def profile(data: dict[str, Any]) -> dict[str, str]:
  """Where the seconds of a run went."""
  return {"profile": f"{markdown_table(profiling.rows(data['profile']))}\n\n({data['device']}.)"}


def startup(data: dict[str, Any]) -> dict[str, str]:
  """From the command to the first steps."""
  rows = [["compile cache", "seconds"], *([k, f"{v:.1f}"] for k, v in data["seconds"].items())]
  return {"startup": f"{markdown_table(rows)}\n\n({data['device']}.)"}


def coverage(data: dict[str, Any]) -> dict[str, str]:
  """How often intervals hold the truth, by seeds and photographs."""
  columns = {
    "gaussian": "interval, Gaussian",
    "skewed": "interval, skewed",
    "bootstrap_gaussian": "bootstrap, Gaussian",
    "bootstrap_skewed": "bootstrap, skewed",
  }
  rows = [["seeds x photographs", *columns.values()]]
  for row in data["rows"]:
    shares = [f"{row[name]:.3f}" if name in row else "-" for name in columns]
    rows.append([f"{row['seeds']} x {row['images']}", *shares])
  about = f"({data['tables']:,} tables each; of the bootstrap {data['resampled']:,}.)"
  return {"coverage": f"{markdown_table(rows)}\n\n{about}"}


RENDERED = {
  "train": train,
  "upsampling": upsampling,
  "growth": growth,
  "chaos": chaos,
  "profile": profile,
  "startup": startup,
  "coverage": coverage,
  "scaling": scaling_blocks.blocks,
}
