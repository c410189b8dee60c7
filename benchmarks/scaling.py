"""What more devices cost: `python benchmarks/scaling.py [--out=FILE.json]`.

For both networks of matched_flops, with its batch and patch, on 1, 2, 4 and 8 host devices along
members (a population of eight) and along data (one member): collectives and their bytes, counted
in the compiled training program, and the time of a member step, measured, all meshes taking turns.
There are more devices than cores here, so that this shows what sharding costs, not what it gains:
the measure is the core time of all threads of the process. One device with the smaller batches that
sharing leaves it shows how much of the cost is due to small batches.
"""

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import common
from benchmarks.collectives import collectives
from experiments import matched_flops
from sr_jax.data import patches, sources
from sr_jax.networks.budget import Arm
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime import devices
from sr_jax.runtime.command_line import run
from sr_jax.training import population, sharding
from sr_jax.training.timing import seconds_a_step, training_call

DEVICES = (1, 2, 4, 8)
MEMBERS = 8  # of the population along members: a whole number on each device
RECIPE = matched_flops.Config()


def prepare(
  arm: Arm, mesh_name: str, batch: int, store: Any
) -> tuple[dict[str, Any], Callable[[int], None]]:
  """What is counted on one mesh, and what trains there for some steps."""
  axis, count = mesh_name.split(":")
  size = MEMBERS if axis == sharding.MEMBER else 1
  mesh = sharding.make_mesh(size, batch, mesh_name)
  members = sharding.shard_members(mesh, population.make_members(range(size), [1e-4]))
  state = population.initialise(arm.network, arm.name, members, mesh)
  resident = sharding.replicate(mesh, store)
  train_steps: Any = population.make_train_steps(arm.network, batch, RECIPE.patch, mesh)
  losses = population.zero_losses(state)
  program = train_steps.lower(state, members, resident, 0, 1, 9, losses).compile()
  step, dispatch = collectives(program.as_text(), mesh.size)
  crossing = [each for each in step if each.devices > 1]
  row = {
    "network": arm.name,
    "mesh": mesh_name,
    "devices": int(count),
    "members": size,
    "batch": batch,
    "patches_a_device": batch // mesh.shape[sharding.DATA],
    "kinds": sorted({each.kind for each in crossing}),
    "collectives": sum(each.times for each in crossing),
    "bytes": sum(each.times * each.bytes for each in crossing),
    "of_one_device": sum(each.times for each in step if each.devices == 1),
    "outside_of_steps": sum(each.times for each in dispatch if each.devices > 1),
  }
  return row, training_call(program, state, members, resident)


def measure(rows: list[dict[str, Any]], calls: list[Callable[[int], None]]) -> None:
  """Adds wall time and core time of a member step to each row."""
  spent: list[list[float]] = [[] for _ in calls]

  def counted(i: int, steps: int) -> None:
    began = time.process_time()  # of all threads
    calls[i](steps)
    spent[i].append((time.process_time() - began) / steps)

  timed = {str(i): functools.partial(counted, i) for i in range(len(calls))}
  wall = seconds_a_step(timed, rounds=7)
  for i, row in enumerate(rows):
    row["wall_seconds"] = wall[str(i)] / row["members"]
    row["core_seconds"] = float(np.median(spent[i][2:])) / row["members"]  # the first two warm up


def blocks(data: dict[str, Any]) -> common.Blocks:
  """Collectives and cost of every mesh, and of splitting batches, for docs/SCALING.md."""
  head = ["network", "mesh", "patches a device", "collectives (counted)", "bytes (counted)"]
  cells = [[*head, "core ms (measured)", "cost", "its small batches", "ms (measured)", "time"]]
  batch = data["batch"]
  rows = {(row["network"], row["mesh"], row["batch"]): row for row in data["rows"]}
  splits: dict[str, list[str]] = {}
  for row in data["rows"]:
    if row["batch"] != batch:
      continue
    name, axis, devices = row["network"], row["mesh"].split(":")[0], row["devices"]
    alone, pieces = rows[name, f"{axis}:1", batch], "-"
    if axis == "data" and devices > 1:
      share = rows[name, "data:1", row["patches_a_device"]]["core_seconds"]
      pieces = f"{devices * share / alone['core_seconds']:.2f}"
      cost = row["core_seconds"] / rows[name, f"member:{devices}", batch]["core_seconds"]
      splits.setdefault(name.upper(), []).append(f"{cost:.2f} on {devices}")
    core, wall = (
      [f"{1e3 * row[key]:.1f}", f"{row[key] / alone[key]:.2f}"]
      for key in ("core_seconds", "wall_seconds")
    )
    kinds = " ".join([str(row["collectives"]), *row["kinds"]])
    counted = [str(row["patches_a_device"]), kinds, f"{row['bytes']:,}"]
    cells.append([name.upper(), row["mesh"], *counted, *core, pieces, *wall])
  listed = "; ".join(f"{name} {', '.join(costs)}" for name, costs in splits.items())
  text = (
    f"{markdown_table(cells)}\n\n"
    f"Core time of a step with a split batch, divided by that on as many devices with whole "
    f"members: {listed}. `--mesh=auto` assumes {data['splitting']:g} for any split, and leaves a "
    f"device no fewer than {data['patches_per_device']} patches.\n\n"
    f"({data['device']}, {data['cores']} of which the process may use; {data['minutes']:.1f} "
    f"minutes, starting at a load of {data['load_before']:.1f}; {data['members']} members on the "
    "meshes along member, 1 on those along data.)"
  )
  return {"scaling": text}


def main(arguments: common.Arguments) -> None:
  """Counts and measures every mesh."""
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_num_cpu_devices", max(DEVICES))
  began, load = time.monotonic(), os.getloadavg()[0]
  photos = sources.load(RECIPE.data, RECIPE.scale, RECIPE.patch).train
  store = patches.make_store(photos, RECIPE.patch)
  meshes = [(f"{axis}:{n}", RECIPE.batch) for axis in ("member", "data") for n in DEVICES]
  meshes += [("data:1", RECIPE.batch // n) for n in DEVICES[1:]]  # a device's share, by itself
  prepared = [prepare(arm, *mesh, store) for arm in matched_flops.arms(RECIPE) for mesh in meshes]
  rows = [row for row, _ in prepared]
  measure(rows, [call for _, call in prepared])
  data = arguments.write(
    "scaling",
    cores=devices.cores(),
    load_before=load,
    minutes=(time.monotonic() - began) / 60,
    batch=RECIPE.batch,
    patch=RECIPE.patch,
    members=MEMBERS,
    splitting=sharding.SPLITTING,
    patches_per_device=sharding.PATCHES_PER_DEVICE,
    rows=rows,
  )
  common.show(blocks, data)


if __name__ == "__main__":
  sys.exit(run(main, common.Arguments))
