"""What grows with what: `python benchmarks/growth.py [--out=FILE.json] [--figure=FILE.png]`.

Time of a training step against the number of members, time of a step and memory against the number
of training images, and time of scoring against the size of an image; each beside a straight line
through its unit cost, so that one sees where it stops being linear. LR(32, 3x3) at r = 2, patches
of 17, batches of 16; members as a run places them on the devices there are.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks import common
from sr_jax.config import setting
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.evaluation import scoring
from sr_jax.networks import lr_network
from sr_jax.report import figures
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime.command_line import run
from sr_jax.runtime.devices import use_all_cores
from sr_jax.training import population
from sr_jax.training.sharding import make_mesh, replicate, shard_members
from sr_jax.training.timing import seconds_a_step, training_call

MEMBERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
IMAGES = (1, 10, 100, 1000)
SIDES = (64, 128, 256, 512, 1024, 2048)
NETWORK, BATCH, PATCH, SCALE = lr_network(), 16, 17, 2


@dataclasses.dataclass(frozen=True)
class Arguments(common.Arguments):
  """The command line."""

  figure: str = setting("", "PNG file to write")


def picture(side: int) -> Any:
  """A photograph of noise with this many HR pixels on a side."""
  noise = np.random.default_rng(side).integers(0, 256, (side, side), np.uint8)
  return make_pair(f"noise {side}", noise, SCALE)


def train(count: int, photos: list[Any]) -> dict[str, float]:
  """Seconds of a step of all members, and bytes: of a member, of the images, of scratch space."""
  mesh = make_mesh(count, BATCH)
  members = shard_members(mesh, population.make_members(range(count), [1e-4]))
  store = replicate(mesh, patches.make_store(photos, PATCH))
  state = population.initialise(NETWORK, "arm", members, mesh)
  train_steps: Any = population.make_train_steps(NETWORK, BATCH, PATCH, mesh)
  arguments = state, members, store, 0, 1, 9, population.zero_losses(state)
  scratch = train_steps.lower(*arguments).compile().memory_analysis()
  call = training_call(train_steps, state, members, store)
  return {
    "seconds": seconds_a_step({"": call})[""],
    "bytes_a_member": sum(leaf.nbytes for leaf in jax.tree.leaves(state)) / count,
    "bytes_of_images": sum(leaf.nbytes for leaf in jax.tree.leaves(store)),
    "scratch_bytes": getattr(scratch, "temp_size_in_bytes", 0) * mesh.size,
  }


def score(side: int) -> float:
  """Seconds of scoring one image with one member, PSNR and SSIM included."""
  mesh = make_mesh(1, 1)
  members = shard_members(mesh, population.make_members([0], [1e-4]))
  params = population.initialise(NETWORK, "arm", members, mesh).params
  photos = [picture(side)]

  def call(steps: int) -> None:
    for _ in range(steps):
      scoring.score(NETWORK, params, photos, mesh)

  return seconds_a_step({"": call})[""]


def blocks(data: dict[str, Any]) -> common.Blocks:
  """Cost against members, training images and image size, for docs/PERFORMANCE.md."""
  members = [["members", "ms a step", "ms a step and member", "MiB of state", "MiB of scratch"]]
  for row in data["members"]:
    count, ms = row["members"], 1e3 * row["seconds"]
    sizes = count * row["bytes_a_member"], row["scratch_bytes"]
    mebibytes = (f"{size / 2**20:.1f}" for size in sizes)
    members.append([str(count), f"{ms:.1f}", f"{ms / count:.2f}", *mebibytes])
  images = [["training images of 256x256", "ms a step", "MiB of images"]]
  for row in data["images"]:
    size = f"{row['bytes_of_images'] / 2**20:.1f}"
    images.append([str(row["images"]), f"{1e3 * row['seconds']:.2f}", size])
  sides = [["HR side of an image", "ms to score", "ms a megapixel"]]
  for row in data["sides"]:
    ms = 1e3 * row["seconds"]
    sides.append([str(row["side"]), f"{ms:.1f}", f"{ms / (row['side'] ** 2 / 1e6):.0f}"])
  tables = map(markdown_table, (members, images, sides))
  return {"growth": "\n\n".join([*tables, f"({data['device']}.)"])}


def draw(data: dict[str, Any], file: Path) -> None:
  """Draws the three unit costs: a horizontal line is linear growth."""
  counts = [(row["members"], row["seconds"]) for row in data["members"]]
  images = [(row["images"], row["seconds"]) for row in data["images"]]
  megapixels = [(row["side"] ** 2 / 1e6, row["seconds"]) for row in data["sides"]]
  panels = {
    ("members", "ms a step and member"): [(n, s / n) for n, s in counts],
    ("training images", "ms a step"): images,
    ("HR megapixels of an image", "ms a megapixel to score"): [(n, s / n) for n, s in megapixels],
  }
  with mpl.rc_context(figures.STYLE):
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
  for axis, ((xlabel, ylabel), points) in zip(np.ravel(axes), panels.items(), strict=True):
    x, y = np.transpose(points)
    axis.plot(x, 1e3 * y, "o-", color=figures.COLOURS[0])
    axis.axhline(1e3 * np.median(y), color="0.6", linewidth=1)
    axis.set(xscale="log", xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.25e3 * max(y)))
  figures.save(figure, file)


def main(arguments: Arguments) -> None:
  """Measures, prints the tables, and draws the figure."""
  use_all_cores()
  photos = [picture(256)]
  data = arguments.write(
    "growth",
    members=[{"members": n, **train(n, 4 * photos)} for n in MEMBERS],
    images=[{"images": n, **train(1, n * photos)} for n in IMAGES],
    sides=[{"side": side, "seconds": score(side)} for side in SIDES],
  )
  common.show(blocks, data)
  if arguments.figure:
    draw(data, Path(arguments.figure).expanduser())


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
