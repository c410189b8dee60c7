"""What grows with what: `python benchmarks/growth.py [--out=FILE.json] [--figure=FILE.png]`.

Time of a training step against the number of members, time of a step and memory against the number
of training images, and time of scoring against the size of an image; each beside a straight line
through its unit cost, so that one sees where it stops being linear. LR(32, 3x3) at r = 2, patches
of 17, batches of 16; members as a run places them on the devices there are.
"""

import argparse
from pathlib import Path
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.evaluation import scoring
from sr_jax.networks import LRNetwork
from sr_jax.report import figures
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import write_json
from sr_jax.runtime.provenance import describe_devices
from sr_jax.training import population
from sr_jax.training.sharding import make_mesh, replicate, shard_members, use_all_cores
from sr_jax.training.timing import seconds_a_step, training_call

MEMBERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
IMAGES = (1, 10, 100, 1000)
SIDES = (64, 128, 256, 512, 1024, 2048)
NETWORK, BATCH, PATCH, SCALE = LRNetwork(), 16, 17, 2


def picture(side: int) -> Any:
  """A photograph of noise with this many HR pixels on a side."""
  noise = np.random.default_rng(side).integers(0, 256, (side, side), np.uint8)
  return make_photo(f"noise {side}", noise, SCALE)


def train(members: int, photos: list[Any]) -> dict[str, float]:
  """Seconds of a step of all members, and bytes: of a member, of the images, of scratch space."""
  mesh = make_mesh(members, BATCH)
  who = shard_members(mesh, population.make_members(range(members), [1e-4]))
  store = replicate(mesh, patches.make_store(photos, PATCH))
  state = population.initialise(NETWORK, "arm", who, mesh)
  train_steps: Any = population.make_train_steps(NETWORK, BATCH, PATCH, mesh)
  arguments = state, who, store, 0, 1, 9, population.no_losses(state)
  scratch = train_steps.lower(*arguments).compile().memory_analysis()
  call = training_call(train_steps, state, who, store)
  return {
    "seconds": seconds_a_step({"": call})[""],
    "bytes_a_member": sum(leaf.nbytes for leaf in jax.tree.leaves(state)) / members,
    "bytes_of_images": sum(leaf.nbytes for leaf in jax.tree.leaves(store)),
    "scratch_bytes": getattr(scratch, "temp_size_in_bytes", 0) * mesh.size,
  }


def score(side: int) -> float:
  """Seconds of scoring one image with one member, PSNR and SSIM included."""
  mesh = make_mesh(1, 1)
  who = shard_members(mesh, population.make_members([0], [1e-4]))
  params = population.initialise(NETWORK, "arm", who, mesh).params
  photos = [picture(side)]

  def call(steps: int) -> None:
    for _ in range(steps):
      scoring.score(NETWORK, params, photos, mesh)

  return seconds_a_step({"": call})[""]


def unit_costs(
  found: dict[str, list[dict[str, float]]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """x, and cost for each unit of x, of the three measurements."""
  members, images, sides = (found[key] for key in ("members", "images", "sides"))
  return {
    "member": (
      np.array([row["members"] for row in members]),
      np.array([1e3 * row["seconds"] / row["members"] for row in members]),
    ),
    "image": (
      np.array([row["images"] for row in images]),
      np.array([1e3 * row["seconds"] for row in images]),
    ),
    "megapixel": (
      np.array([row["side"] ** 2 / 1e6 for row in sides]),
      np.array([1e3 * row["seconds"] / (row["side"] ** 2 / 1e6) for row in sides]),
    ),
  }


def draw(costs: dict[str, tuple[np.ndarray, np.ndarray]], file: Path) -> None:
  """The three unit costs: a horizontal line is linear growth."""
  with mpl.rc_context(figures.STYLE):
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
  labels = {
    "member": ("members", "ms a step and member"),
    "image": ("training images", "ms a step"),
    "megapixel": ("HR megapixels of an image", "ms a megapixel to score"),
  }
  for axis, (name, (x, y)) in zip(np.ravel(axes), costs.items(), strict=True):
    axis.plot(x, y, "o-", color=figures.COLOURS[0])
    axis.axhline(np.median(y), color="0.6", linewidth=1)
    axis.set(xscale="log", xlabel=labels[name][0], ylabel=labels[name][1], ylim=(0, 1.25 * max(y)))
  figures.save(figure, file)


def main(out: Path | None, figure: Path | None) -> None:
  """Measures, prints tables, writes JSON and the figure."""
  use_all_cores()
  some = [picture(256)] * 4
  found: dict[str, list[dict[str, float]]] = {
    "members": [{"members": n, **train(n, some)} for n in MEMBERS],
    "images": [{"images": n, **train(1, [picture(256)] * n)} for n in IMAGES],
    "sides": [{"side": side, "seconds": score(side)} for side in SIDES],
  }
  log(describe_devices())
  member = found["members"][0]
  log(
    f"A member is {member['bytes_a_member'] / 2**20:.2f} MiB (parameters and Adam's moments); an "
    f"image of 256x256, {found['images'][0]['bytes_of_images'] / 2**10:.0f} KiB"
  )
  for key, rows in found.items():
    names = list(rows[0])
    cells = [[f"{row[name]:.6g}" for name in names] for row in rows]
    log(f"\nagainst {key}")
    log(table([names, *cells]))
  costs = unit_costs(found)
  if figure:
    draw(costs, figure)
  if out:
    about = {"benchmark": "growth", "device": describe_devices(), **found}
    write_json(out, about)


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--out", type=Path, help="JSON file to write")
  parser.add_argument("--figure", type=Path, help="PNG file to write")
  given = parser.parse_args()
  main(given.out, given.figure)
