"""The mesh: members of a population along one axis, the patches of their batches along the other.

A single device is the 1 x 1 case of the same program.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

MEMBER, DATA = "member", "data"


# Fewer patches than this on a device of the data axis, and it waits more than it computes.
PATCHES_PER_DEVICE = 4


def make_mesh(members: int, batch: int) -> Mesh:
  """A mesh over the devices there are: as many as divide the members, the rest divide the batch."""
  devices = jax.device_count()
  along_members = _largest_divisor(members, devices)
  most = min(devices // along_members, batch // PATCHES_PER_DEVICE)
  along_data = _largest_divisor(batch, max(1, most))
  return jax.make_mesh(
    (along_members, along_data),
    (MEMBER, DATA),
    axis_types=(AxisType.Auto, AxisType.Auto),
    devices=jax.devices()[: along_members * along_data],
  )


def _largest_divisor(number: int, at_most: int) -> int:
  return next(n for n in range(min(number, at_most), 0, -1) if number % n == 0)


def use_all_cores() -> None:
  """Makes every CPU core a device of its own; to be called before JAX is used.

  One small convolution hardly gains from a second core; two members, or two halves of a batch, do.
  What the user has set (JAX_NUM_CPU_DEVICES, XLA_FLAGS) stays.
  """
  asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
  unset = jax.config.jax_num_cpu_devices < 1  # type: ignore[attr-defined]
  if unset and not asked:
    jax.config.update("jax_num_cpu_devices", cores())


def cores() -> int:
  """CPU cores that this process may use: it may be confined to fewer than there are, on Linux."""
  confined = getattr(os, "sched_getaffinity", None)
  return len(confined(0)) if confined else os.cpu_count() or 1


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
