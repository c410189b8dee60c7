"""The mesh: members of a population along one axis, the patches of their batches along the other.

A single device is the 1 x 1 case of the same program.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

MEMBER, DATA = "member", "data"


def make_mesh(members: int, batch: int) -> Mesh:
  """A mesh over the devices there are: as many as divide the members, the rest divide the batch."""
  devices = jax.device_count()
  along_members = math.gcd(members, devices)
  along_data = math.gcd(batch, devices // along_members)
  return jax.make_mesh(
    (along_members, along_data),
    (MEMBER, DATA),
    axis_types=(AxisType.Auto, AxisType.Auto),
    devices=jax.devices()[: along_members * along_data],
  )


def replicate(mesh: Mesh, tree: Any) -> Any:
  """Puts arrays on every device of the mesh."""
  return jax.device_put(tree, NamedSharding(mesh, P()))


def shard_members(mesh: Mesh, tree: Any) -> Any:
  """Spreads the leading (member) axis of arrays over the mesh."""
  return jax.device_put(tree, NamedSharding(mesh, P(MEMBER)))


def one_by_one(mesh: Mesh) -> bool:
  """Whether a device takes its members one by one: on CPU."""
  return mesh.devices.flat[0].platform == "cpu"


def each_member(function: Callable, mesh: Mesh) -> Callable:
  """Maps `function(member, *shared)` over the leading axis of `member`, within a mesh.

  On CPU a device takes its members one by one: batched members would become grouped convolutions,
  which are slow there, and a member computes bit for bit what it computes alone. Elsewhere members
  are batched, because a single small network leaves most of an accelerator idle.

  Returns:
    `mapped(members, *shared)`, to be jitted by the caller; the results carry a leading member axis.
  """

  def on_one_device(members: Any, *shared: Any) -> Any:
    def call(member: Any) -> Any:
      return function(member, *shared)

    return jax.lax.map(call, members) if one_by_one(mesh) else jax.vmap(call)(members)

  def mapped(members: Any, *shared: Any) -> Any:
    in_specs = (P(MEMBER), *(P() for _ in shared))
    return jax.shard_map(on_one_device, mesh=mesh, in_specs=in_specs, out_specs=P(MEMBER))(
      members, *shared
    )

  return mapped
