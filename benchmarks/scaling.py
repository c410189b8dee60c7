"""What more devices cost: `python benchmarks/scaling.py [--out=FILE.json]`.

For both networks of matched_flops, with its batch and patch, on 1, 2, 4 and 8 host devices along
members (a population of eight) and along data (one member): collectives and their bytes, counted
in the compiled training program, and time a member step, measured, all meshes taking turns. There
are more devices than cores here, so that this shows what sharding costs, not what it gains: the
measure is the core time of all threads of the process. One device with the smaller batches that
sharing leaves it shows what of the cost is theirs. Then a prediction for 64 and 4096 chips: the
counted bytes on an accelerator of which everything is assumed, each number a flag.
"""

import argparse
import dataclasses
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.collectives import collectives
from experiments import matched_flops
from sr_jax.data import patches, sources
from sr_jax.networks.budget import Arm, budget
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import write_json
from sr_jax.runtime.provenance import describe_devices
from sr_jax.training import population, sharding
from sr_jax.training.timing import seconds_a_step, training_call

DEVICES = (1, 2, 4, 8)
MEMBERS = 8  # of the population along members: a whole number on each device
CHIPS = (64, 4096)
SHARDS = (2, 4, 8, 16, 64, 4096)  # chips that share the batches of a member
HIDDEN = ("kinds", "member_steps_a_second")  # of JSON only
RECIPE = matched_flops.Config()


def prepare(
  arm: Arm, mesh_name: str, batch: int, store: Any
) -> tuple[dict[str, Any], Callable[[int], None]]:
  """What is counted on one mesh, and what trains there for some steps."""
  axis, count = mesh_name.split(":")
  size = MEMBERS if axis == sharding.MEMBER else 1
  mesh = sharding.make_mesh(size, batch, mesh_name)
  who = sharding.shard_members(mesh, population.make_members(range(size), [1e-4]))
  state = population.initialise(arm.network, arm.name, who, mesh)
  resident = sharding.replicate(mesh, store)
  train_steps: Any = population.make_train_steps(arm.network, batch, RECIPE.patch, mesh)
  losses = population.no_losses(state)
  program = train_steps.lower(state, who, resident, 0, 1, 9, losses).compile()
  step, dispatch = collectives(program.as_text(), mesh.size)
  crossing = [one for one in step if one.devices > 1]
  row = {
    "network": arm.name,
    "mesh": mesh_name,
    "devices": int(count),
    "members": size,
    "batch": batch,
    "patches_a_device": batch // mesh.shape[sharding.DATA],
    "kinds": sorted({one.kind for one in crossing}),
    "collectives": sum(one.times for one in crossing),
    "bytes": sum(one.times * one.bytes for one in crossing),
    "of_one_device": sum(one.times for one in step if one.devices == 1),
    "outside_of_steps": sum(one.times for one in dispatch if one.devices > 1),
  }
  return row, training_call(program, state, who, resident)


def measure(rows: list[dict[str, Any]], calls: list[Callable[[int], None]]) -> None:
  """Adds wall time and core time of a member step to each row."""
  spent: list[list[float]] = [[] for _ in calls]

  def counting(call: Callable[[int], None], into: list[float]) -> Callable[[int], None]:
    def counted(steps: int) -> None:
      began = time.process_time()  # of all threads
      call(steps)
      into.append((time.process_time() - began) / steps)

    return counted

  timed = {str(i): counting(*pair) for i, pair in enumerate(zip(calls, spent, strict=True))}
  wall = seconds_a_step(timed, rounds=7)
  for i, row in enumerate(rows):
    row["wall_seconds"] = wall[str(i)] / row["members"]
    row["core_seconds"] = float(np.median(spent[i][2:])) / row["members"]  # the first two warm up


@dataclasses.dataclass(frozen=True)
class Assumed:
  """An accelerator, of which none was measured; where in doubt, kind to sharding data."""

  peak_teraflops: float = 60.0  # full float32: H100 (SXM) 67 by its data sheet
  share_of_peak: float = 0.3
  fixed_microseconds: float = 60.0  # of a step however small: launches, reading parameters
  chips_a_host: int = 8
  link_gigabytes: float = 100.0  # a second and direction, between chips of a host
  link_microseconds: float = 2.0  # until the first byte is there
  network_gigabytes: float = 25.0  # between hosts
  network_microseconds: float = 10.0


def all_reduce(chips: int, size: float, gigabytes: float, microseconds: float) -> float:
  """Seconds in which `chips` sum `size` bytes: by a ring or a tree, whichever is sooner."""
  wait, rate = 1e-6 * microseconds, 1e9 * gigabytes
  ring = 2 * (chips - 1) * (wait + size / chips / rate)
  tree = 2 * math.ceil(math.log2(chips)) * (wait + size / rate)
  return min(ring, tree)


def exchange(chips: int, size: float, assumed: Assumed) -> float:
  """Seconds of an all-reduce within hosts, then between them; data is the mesh's inner axis."""
  inside = min(chips, assumed.chips_a_host)
  hosts = -(-chips // assumed.chips_a_host)
  return all_reduce(inside, size, assumed.link_gigabytes, assumed.link_microseconds) + all_reduce(
    hosts, size, assumed.network_gigabytes, assumed.network_microseconds
  )


def predict(arm: Arm, size: float, assumed: Assumed) -> list[dict[str, Any]]:
  """Time of a step and what a chip is worth, by how many chips share a member's batches.

  A step takes fixed + patches a chip x arithmetic of a patch + exchange. "Worth" is member steps a
  second and chip, over those of one member a chip; on `chips` chips there are chips / shards
  members, and nothing else changes with their number, because members exchange nothing.

  Args:
    arm: the network.
    size: bytes that a step exchanges.
    assumed: the accelerator.
  """
  hr_pixels = (arm.network.scale * RECIPE.patch) ** 2
  flops = 6 * float(budget(arm.network).macs) * hr_pixels  # forward and twice that back
  patch = flops / (assumed.share_of_peak * assumed.peak_teraflops * 1e12)
  fixed = 1e-6 * assumed.fixed_microseconds
  whole = fixed + RECIPE.batch * patch
  rows: list[dict[str, Any]] = []
  for shards, members in ((1, 1), (1, MEMBERS), *((n, 1) for n in SHARDS)):
    waiting = exchange(shards, size, assumed)
    row: dict[str, Any] = {"network": arm.name, "shards": shards, "members_a_chip": members}
    row |= {"exchange_seconds": waiting}
    if shards > 1:  # half is wasted where shards x step = 2 x the step of the batch on one chip
      row["half_wasted_patches"] = ((1 - 2 / shards) * fixed + waiting) / patch
    if RECIPE.batch % shards == 0:
      work = members * RECIPE.batch * patch / shards
      step = fixed + work + waiting
      row |= {"patches_a_chip": members * RECIPE.batch // shards, "step_seconds": step}
      row["worth"] = members * whole / shards / step
      row["worth_if_nothing_is_fixed"] = work / (work + waiting)
      row["member_steps_a_second"] = {str(n): members * n / shards / step for n in CHIPS}
    rows.append(row)
  return rows


def show(rows: list[dict[str, Any]]) -> None:
  """Prints what was found, in its own units."""
  names = list(dict.fromkeys(name for row in rows for name in row if name not in HIDDEN))
  found = [[row.get(name, "-") for name in names] for row in rows]
  cells = [[f"{x:.3g}" if isinstance(x, float) else str(x) for x in line] for line in found]
  log("\n" + table([names, *cells]))


def main(out: Path | None, assumed: Assumed) -> None:
  """Counts, measures, predicts, prints and writes JSON."""
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_num_cpu_devices", max(DEVICES))
  began, load = time.monotonic(), os.getloadavg()[0]
  photos = sources.load(RECIPE.data, RECIPE.scale, RECIPE.patch).train
  store = patches.make_store(photos, RECIPE.patch)
  arms = matched_flops.arms(RECIPE)
  meshes = [(f"{axis}:{n}", RECIPE.batch) for axis in ("member", "data") for n in DEVICES]
  meshes += [("data:1", RECIPE.batch // n) for n in DEVICES[1:]]  # a device's share, by itself
  prepared = [prepare(arm, *mesh, store) for arm in arms for mesh in meshes]
  rows = [row for row, _ in prepared]
  measure(rows, [call for _, call in prepared])
  predicted = []
  for arm in arms:
    size = max(row["bytes"] for row in rows if row["network"] == arm.name)
    predicted += predict(arm, size, assumed)
  show(rows)
  show(predicted)
  about: dict[str, Any] = {"benchmark": "scaling", "device": describe_devices()}
  about |= {"cores": sharding.cores(), "load_before": load}
  about |= {"minutes": (time.monotonic() - began) / 60}
  about |= {"batch": RECIPE.batch, "patch": RECIPE.patch, "members": MEMBERS}
  about |= {"splitting": sharding.SPLITTING, "patches_per_device": sharding.PATCHES_PER_DEVICE}
  about |= {"assumed": dataclasses.asdict(assumed), "rows": rows, "predicted": predicted}
  if out:
    write_json(out, about)


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--out", type=Path, help="JSON file to write")
  for field in dataclasses.fields(Assumed):
    default: Any = field.default
    parser.add_argument(f"--{field.name}", type=type(default), default=default, help="assumed")
  given = vars(parser.parse_args())
  main(given.pop("out"), Assumed(**given))
