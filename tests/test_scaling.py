"""Collectives are counted as they run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from benchmarks import scaling
from benchmarks.collectives import Collective, collectives
from docs import update_readme
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import hr_network, lr_network
from sr_jax.networks.budget import budget
from sr_jax.training import population, sharding

BATCH, PATCH = 4, 6


@pytest.mark.usefixtures("optimised")  # or loops are not told apart by their length
def test_what_a_step_exchanges_is_told_from_what_a_dispatch_does():
  mesh = sharding.make_mesh(2, 2, "member:2,data:2")

  def inner(i, carry):
    x, y = carry
    x, y = jax.lax.psum((x, y), "data")  # 4 x 6 + 2 x 3 bytes
    return x * 0.4, (y * 0.4).astype(jnp.bfloat16)

  def step(i, carry):
    x, y, z = carry
    x, y = jax.lax.fori_loop(0, 50, inner, (x, y))
    return x, y, jax.lax.pmax(jnp.sin(z) * x[0], ("member", "data"))

  def program(x, y, z, steps):
    x, y, z = jax.lax.fori_loop(0, steps, step, (x, y, z))
    return x, y, z, jax.lax.all_gather(x, "data")

  sharded = jax.shard_map(
    program, mesh=mesh, in_specs=P(), out_specs=(P(), P(), P(), P()), check_vma=False
  )
  x, y, z = jnp.ones(6), jnp.ones(3, jnp.bfloat16), jnp.ones(5)
  text = jax.jit(sharded).lower(x, y, z, 9).compile().as_text()
  found, once = collectives(text, mesh.size)
  assert {(one.kind, one.devices, one.times) for one in found} == {
    ("all-reduce", 2, 50),
    ("all-reduce", 4, 1),
  }
  assert sum(one.bytes for one in found if one.devices == 4) == 4 * 5
  # XLA:CPU sums bfloat16 as float32.
  assert sum(one.bytes for one in found if one.devices == 2) in (4 * 6 + 2 * 3, 4 * 6 + 4 * 3)
  assert once == [Collective("all-gather", 2, 4 * 2 * 6, 1)]


PROGRAM = """HloModule jit_f

%sum (a: f32[], b: f32[]) -> f32[] {
  ROOT %add = f32[] add(f32[] %a, f32[] %b)
}

%part.1 (p: bf16[4,3]) -> bf16[4,3] {
  %all-to-all = bf16[4,3]{1,0} all-to-all(%p), channel_id=2, replica_groups=[2,4]<=[8], dimensions={0}
}

%again (p: (s32[], bf16[4,3])) -> (s32[], bf16[4,3]) {
  %call = bf16[4,3]{1,0} call(%x), to_apply=%part.1
}

%go_on (p: (s32[], bf16[4,3])) -> pred[] {
  ROOT %compare = pred[] compare(%a, %b), direction=LT
}

%step (p: (s32[], bf16[4,3])) -> (s32[], bf16[4,3]) {
  %all-reduce = (f32[3,3]{1,0}, pred[7]{0}, /*index=2*/f32[]) all-reduce(%a, %b, %c), replica_groups={{0,1},{2,3},{4,5},{6,7}}, to_apply=%sum
  %pair = u16[2]{0} reduce-scatter(%d), replica_groups=mesh['member'=2,'data'=4] {'member'}, to_apply=%sum
  %all = s64[] all-reduce(%d), replica_groups=mesh['member'=2,'data'=4] {'member','data'}, to_apply=%sum
  %alone = s32[2]{0} all-reduce(%d), replica_groups={{0},{1}}, to_apply=%sum
  %while.2 = (s32[], bf16[4,3]{1,0}) while(%t), condition=%go_on, body=%again, backend_config={"known_trip_count":{"n":"5"}}
}

ENTRY %main (p: bf16[4,3]) -> bf16[4,3] {
  %all-gather = f32[8]{0} all-gather(%p), replica_groups={}, dimensions={0}
  %while.1 = (s32[], bf16[4,3]{1,0}) while(%t), condition=%go_on, body=%step
  ROOT %get-tuple-element = f32[3,3]{1,0} get-tuple-element(%all-reduce), index=0
}
"""  # noqa: E501


def test_every_way_of_writing_groups_and_shapes_is_read():
  step, dispatch = collectives(PROGRAM, 8)
  assert step == [
    Collective("all-reduce", 2, 4 * 9 + 7 + 4, 1),
    Collective("reduce-scatter", 2, 4, 1),
    Collective("all-reduce", 8, 8, 1),
    Collective("all-reduce", 1, 8, 1),
    Collective("all-to-all", 4, 2 * 12, 5),
  ]
  assert dispatch == [Collective("all-gather", 8, 32, 1)]


def test_a_program_whose_steps_are_not_told_apart_is_refused():
  with pytest.raises(ValueError, match=r"unknown length: %while\.2"):
    collectives(PROGRAM.replace(', backend_config={"known_trip_count":{"n":"5"}}', ""), 8)
  with pytest.raises(ValueError, match="replica groups are not understood: %all-gather"):
    collectives(PROGRAM.replace("replica_groups={},", "replica_groups=?,"), 8)
  known = 'body=%again, backend_config={"known_trip_count":{"n":"5"}}'
  with pytest.raises(ValueError, match="there are 0 loops"):
    collectives(PROGRAM.replace("body=%step", known), 8)


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(
  ("network", "asked", "devices"),
  [
    (lr_network(features=3, depth=1), "data:4", 4),
    (hr_network(features=2, depth=0), "member:2,data:2", 2),
    (lr_network(features=3, depth=0), "member:4", 1),
  ],
)
def test_a_step_exchanges_gradients_and_loss_along_data_and_nothing_else(network, asked, devices):
  mesh = sharding.make_mesh(8, BATCH, asked)
  who = sharding.shard_members(mesh, population.make_members(range(8), [1e-3]))
  state = population.initialise(network, "arm", who, mesh)
  noise = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
  store = patches.make_store([make_pair("n", noise, 2)], PATCH)
  steps = population.make_train_steps(network, BATCH, PATCH, mesh)
  step, dispatch = collectives(steps.lower(state, who, store, 0, 1, 9).compile().as_text(), 4)
  assert {(one.kind, one.devices) for one in step} <= {("all-reduce", devices)}
  if devices > 1:
    exchanged = sum(one.times * one.bytes for one in step)
    assert exchanged == 4 * (budget(network).parameters + 1)
  assert [one for one in dispatch if one.devices > 1] == []


def test_the_page_is_made_of_the_json_alone():
  rows = [
    {
      "network": "lr",
      "mesh": f"{axis}:{devices}",
      "devices": devices,
      "batch": 16,
      "patches_a_device": 16 // devices if axis == "data" else 16,
      "kinds": ["all-reduce"] if axis == "data" and devices > 1 else [],
      "collectives": int(axis == "data" and devices > 1),
      "bytes": 155924 if axis == "data" and devices > 1 else 0,
      "wall_seconds": 8e-3 / min(devices, 2),
      "core_seconds": 8e-3 * (devices**0.5 if axis == "data" else 1),
    }
    for axis in ("member", "data")
    for devices in (1, 4)
  ]
  rows.append(rows[2] | {"batch": 4, "patches_a_device": 4, "core_seconds": 2.5e-3})
  about = {"benchmark": "scaling", "device": "8 x cpu", "cores": 2, "load_before": 0.3}
  about |= {"minutes": 2.0, "batch": 16, "patch": 17, "members": 8}
  about |= {"splitting": 1.1, "patches_per_device": 4, "rows": rows}
  measured = scaling.blocks(about)["scaling"]
  assert (
    "| LR | data:4 | 4 | 1 all-reduce | 155,924 | 16.0 | 2.00 | 1.25 | 4.0 | 0.50 |" in measured
  )
  assert "| LR | member:4 | 16 | 0 | 0 | 8.0 | 1.00 | - | 4.0 | 0.50 |" in measured
  assert "LR 2.00 on 4" in measured
  page = (update_readme.DOCS / "SCALING.md").read_text()
  assert f"no fewer than {sharding.PATCHES_PER_DEVICE} patches" in page
  assert "<!-- scaling -->" in page
