"""The tables of docs/SCALING.md, from what benchmarks/scaling.py writes."""

from typing import Any

from sr_jax.runtime.console import markdown_table


def blocks(data: dict[str, Any]) -> dict[str, str]:
  """What meshes cost, and where sharding data is predicted to stop paying."""
  return {"scaling": _measured(data), "scaling_predicted": _predicted(data)}


def _measured(data: dict[str, Any]) -> str:
  """Collectives and cost of every mesh, and the cost of splitting beside what "auto" counts."""
  head = ["network", "mesh", "patches a device", "collectives (counted)", "bytes (counted)"]
  cells = [[*head, "core ms (measured)", "cost", "its small batches", "ms (measured)", "time"]]
  whole = [row for row in data["rows"] if row["batch"] == data["batch"]]
  core = {(row["network"], row["mesh"]): row["core_seconds"] for row in whole}
  wall = {(row["network"], row["mesh"]): row["wall_seconds"] for row in whole}
  small = {
    (row["network"], row["batch"]): row["core_seconds"]
    for row in data["rows"]
    if row["mesh"] == "data:1"
  }
  splits: dict[str, list[str]] = {}
  for row in whole:
    name, axis, devices = row["network"], row["mesh"].split(":")[0], row["devices"]
    here, alone = (name, row["mesh"]), (name, f"{axis}:1")
    pieces = "-"
    if axis == "data" and devices > 1:
      share = small[name, row["patches_a_device"]]
      pieces = f"{devices * share / core[alone]:.2f}"
      cost = core[here] / core[name, f"member:{devices}"]
      splits.setdefault(name.upper(), []).append(f"{cost:.2f} on {devices}")
    times = [
      [f"{1e3 * seconds[here]:.1f}", f"{seconds[here] / seconds[alone]:.2f}"]
      for seconds in (core, wall)
    ]
    kinds = " ".join([str(row["collectives"]), *row["kinds"]])
    counted = [str(row["patches_a_device"]), kinds, f"{row['bytes']:,}"]
    cells.append([name.upper(), row["mesh"], *counted, *times[0], pieces, *times[1]])
  listed = "; ".join(f"{name} {', '.join(costs)}" for name, costs in splits.items())
  return (
    f"{markdown_table(cells)}\n\n"
    f"Core time of a step whose batch is split, over that on as many devices with whole members: "
    f"{listed}. `--mesh=auto` counts {data['splitting']:g} for any split, and leaves a device no "
    f"fewer than {data['patches_per_device']} patches.\n\n"
    f"({data['device']}, of which the process may use {data['cores']}; {data['minutes']:.1f} "
    f"minutes, begun at a load of {data['load_before']:.1f}; {data['members']} members along "
    "members, 1 along data.)"
  )


def _predicted(data: dict[str, Any]) -> str:
  """Worth of a chip by how many share a batch, and the last number that is worth half."""
  head = ["network", "mesh", "patches a chip", "exchange, us", "step, us", "worth of a chip"]
  head += ["if nothing is fixed", "half is wasted under"]
  head += [f"steps/s, {n} chips" for n in data["predicted"][0]["member_steps_a_second"]]
  cells, found = [head], []
  first = data["predicted"][0]["network"]
  for row in data["predicted"]:
    name, shards, members = row["network"], row["shards"], row["members_a_chip"]
    if shards == 1 and name != first:
      continue  # equal MACs: what exchanges nothing is the same
    many = f"member, {members} a chip" if members > 1 else "member"
    line = ["both" if shards == 1 else name.upper(), f"data:{shards}" if shards > 1 else many]
    line += ["-"] * (len(head) - 2)
    line[3] = f"{1e6 * row['exchange_seconds']:.0f}"
    if shards > 1:
      line[7] = f"{row['half_wasted_patches']:.1f} patches"
    if "worth" in row:
      line[2], line[4] = str(row["patches_a_chip"]), f"{1e6 * row['step_seconds']:.0f}"
      line[5:7] = f"**{row['worth']:.2f}**", f"{row['worth_if_nothing_is_fixed']:.2f}"
      line[8:] = (_two_digits(rate) for rate in row["member_steps_a_second"].values())
    cells.append(line)
  for name in dict.fromkeys(row["network"] for row in data["predicted"]):
    split = [row for row in data["predicted"] if row["network"] == name and row["shards"] > 1]
    last, ideal = (
      max((row["shards"] for row in split if row.get(key, 0) >= 0.5), default=1)
      for key in ("worth", "worth_if_nothing_is_fixed")
    )
    wider = [row for row in split if "worth" not in row]
    batches = " and ".join(
      f"{_two_digits(row['shards'] * row['half_wasted_patches'])} on {row['shards']} chips"
      for row in wider
    )
    found.append(
      f"{name.upper()} keeps half of a chip's worth up to data:{last} (data:{ideal} if nothing "
      f"were fixed); a single member would need batches of {batches}"
    )
  assumed = ", ".join(f"`--{name}={value:g}`" for name, value in data["assumed"].items())
  return (
    f"{markdown_table(cells)}\n\n**Where to stop.** At batches of {data['batch']}, "
    f"{'. '.join(found)}.\n\n(All predicted. Assumed: {assumed}.)"
  )


def _two_digits(value: float) -> str:
  return f"{float(f'{value:.2g}'):,.0f}"
