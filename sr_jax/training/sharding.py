"""The mesh: members of a population along one axis, the patches of their batches along the other.

A single device is the 1 x 1 case of the same program.
"""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sr_jax.config import InputError
from sr_jax.runtime import processes

MEMBER, DATA = "member", "data"

# With fewer patches than this on a device of the data axis, a step costs far more than SPLITTING.
PATCHES_PER_DEVICE = 8
SPLITTING = 1.1  # what a step costs more where a batch is split: gradients are exchanged


def make_mesh(members: int, batch: int, shape: str = "auto") -> Mesh:
  """A mesh over the devices; over all of them where several processes share them.

  The shape is as "member:4,data:2", or "auto" for the quickest by count: a device takes its members
  one after the other, or in one batch, and a split batch costs a tenth more. Where the members do
  not divide, `shard_members` adds some. Raises an InputError if the shape is not understood, or
  does not fit the devices or the batch.
  """
  sizes = _quickest(members, batch) if shape == "auto" else _given(shape, batch)
  types, devices = (AxisType.Auto,) * 2, jax.devices()[: sizes[0] * sizes[1]]
  return jax.make_mesh(sizes, (MEMBER, DATA), axis_types=types, devices=devices)


def _quickest(members: int, batch: int) -> tuple[int, int]:
  devices = jax.device_count()
  max_split = min(devices, batch // PATCHES_PER_DEVICE)
  splits = [1, *(d for d in range(2, max_split + 1) if batch % d == 0)]
  if processes.is_multiprocess():  # a process whose devices were left out could not take part
    shapes = [(devices // d, d) for d in splits if devices % d == 0]
  else:  # no more devices than the rounds need
    rounds = {d: -(-members // (devices // d)) for d in splits}
    shapes = [(-(-members // rounds[d]), d) for d in splits]

  def cost(shape: tuple[int, int]) -> tuple[float, int]:
    along_members, along_data = shape
    rounds = -(-members // along_members)
    return rounds / along_data * (SPLITTING if along_data > 1 else 1), along_data

  return min(shapes, key=cost)


def parse_mesh(shape: str, batch: int) -> dict[str, int]:
  """Devices along members and along data, from "member:4,data:2", however many there are.

  Raises an InputError if it is not understood, or does not divide the batch.
  """
  sizes = {MEMBER: 1, DATA: 1}
  for part in shape.split(","):
    match = re.fullmatch(r"(\w+):([1-9]\d{0,4})", part.strip())
    if match is None or match[1] not in sizes:
      raise InputError(
        f"--mesh={shape} is not understood at {part!r}; axes are {MEMBER} and {DATA}, as in "
        f"{MEMBER}:4,{DATA}:2"
      )
    sizes[match[1]] = int(match[2])
  if batch % sizes[DATA]:
    raise InputError(f"--mesh={shape}: {DATA}:{sizes[DATA]} does not divide --batch={batch}")
  return sizes


def _given(shape: str, batch: int) -> tuple[int, int]:
  sizes, count = parse_mesh(shape, batch), jax.device_count()
  wanted = sizes[MEMBER] * sizes[DATA]
  if wanted > count:
    verb = "is" if count == 1 else "are"
    raise InputError(f"--mesh={shape} takes {wanted} devices; there {verb} {count}")
  if processes.is_multiprocess() and wanted < count:
    raise InputError(
      f"--mesh={shape} takes {wanted} of {count} devices; several processes share all"
    )
  return sizes[MEMBER], sizes[DATA]


def replicate(mesh: Mesh, tree: Any) -> Any:
  """Puts arrays on every device of the mesh."""
  return _put(tree, NamedSharding(mesh, P()))


def replicate_integers(mesh: Mesh, *values: int) -> tuple[jax.Array, ...]:
  """Integers on every device of the mesh."""
  return tuple(replicate(mesh, [np.int32(value) for value in values]))


def upload(tree: Any) -> Any:
  """Puts arrays on every device of every process, to be used on any mesh through `on_mesh`."""
  return replicate(Mesh(jax.devices(), ("device",), axis_types=(AxisType.Auto,)), tree)


def on_mesh(mesh: Mesh, uploaded: Any) -> Any:
  """Arrays from `upload` as arrays replicated over a mesh; nothing is copied."""
  sharding = NamedSharding(mesh, P())
  devices = [device for device in mesh.devices.flat if device in sharding.addressable_devices]

  def view(array: jax.Array) -> jax.Array:
    copies = {shard.device: shard.data for shard in array.addressable_shards}
    parts = [copies[device] for device in devices]
    return jax.make_array_from_single_device_arrays(array.shape, sharding, parts)

  return jax.tree.map(view, uploaded)


def local_view(uploaded: Any) -> Any:
  """Arrays from `upload` on a single device of this process; nothing is copied."""
  return jax.tree.map(lambda array: array.addressable_data(0), uploaded)


def _put(tree: Any, sharding: NamedSharding) -> Any:
  """Puts arrays on devices, of which each process puts what is for its own."""
  if not processes.is_multiprocess():
    return jax.device_put(tree, sharding)

  def put(array: Any) -> jax.Array:
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

  return jax.tree.map(put, tree)


def shard_members(mesh: Mesh, tree: Any) -> Any:
  """Spreads the leading (member) axis of arrays over the mesh.

  Where it does not divide, the last member is repeated; `without_padding` takes these away again.
  """
  along = mesh.shape[MEMBER]

  def pad(array: Any) -> Any:
    count = -(-len(array) // along) * along
    return array if count == len(array) else array[np.minimum(np.arange(count), len(array) - 1)]

  return _put(jax.tree.map(pad, tree), NamedSharding(mesh, P(MEMBER)))


def without_padding(tree: Any, count: int) -> Any:
  """The first `count` members of arrays, without those that `shard_members` added."""
  return jax.tree.map(lambda array: array if len(array) == count else array[:count], tree)


def one_by_one(mesh: Mesh) -> bool:
  """Whether a device takes its members one by one: on CPU."""
  return mesh.devices.flat[0].platform == "cpu"


def each_member(function: Callable, mesh: Mesh, *, check_vma: bool = True) -> Callable:
  """Maps `function(member, *shared)` over the leading axis of `member`, within a mesh.

  On CPU a device takes its members one by one: batched members would become grouped convolutions,
  which are slow there, and a member computes bit for bit what it computes alone. Elsewhere members
  are batched, because a single small network leaves most of an accelerator idle. `check_vma`, of
  `jax.shard_map`, has it checked over which axes of the mesh values vary.

  Returns `mapped(members, *shared)`, to be jitted by the caller, whose results have a member axis.
  """

  def on_one_device(members: Any, *shared: Any) -> Any:
    def call(member: Any) -> Any:
      return function(member, *shared)

    return jax.lax.map(call, members) if one_by_one(mesh) else jax.vmap(call)(members)

  def mapped(members: Any, *shared: Any) -> Any:
    in_specs = (P(MEMBER), *(P() for _ in shared))
    sharded = jax.shard_map(
      on_one_device, mesh=mesh, in_specs=in_specs, out_specs=P(MEMBER), check_vma=check_vma
    )
    return sharded(members, *shared)

  return mapped
