"""Members and batches over devices: any mesh gives the same members, and padding is never seen."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.training import sharding

ROOT = Path(__file__).parents[2]


def test_the_automatic_mesh_is_the_quickest_by_count():
  shapes = {n: dict(sharding.make_mesh(n, 16).shape) for n in range(1, 8)}
  assert shapes == {
    1: {"member": 1, "data": 2},
    2: {"member": 2, "data": 2},
    3: {"member": 3, "data": 1},
    4: {"member": 4, "data": 1},
    5: {"member": 2, "data": 2},
    6: {"member": 2, "data": 2},
    7: {"member": 4, "data": 1},
  }
  assert dict(sharding.make_mesh(1, 32).shape) == {"member": 1, "data": 4}
  assert dict(sharding.make_mesh(7, 1).shape) == {"member": 4, "data": 1}  # the eighth is padding
  assert dict(sharding.make_mesh(5, 1).shape) == {"member": 3, "data": 1}  # two rounds need no more
  assert dict(sharding.make_mesh(1, 8).shape) == {"member": 1, "data": 1}  # not fewer than 8 each


@pytest.mark.parametrize(
  ("asked", "shape"),
  [("member:2,data:2", (2, 2)), ("data:4", (1, 4)), (" member:3 ", (3, 1)), ("member:1", (1, 1))],
)
def test_a_mesh_is_as_asked_for(asked, shape):
  assert tuple(sharding.make_mesh(7, 8, asked).shape.values()) == shape


@pytest.mark.parametrize(
  ("asked", "says"),
  [
    ("members:4", "not understood at 'members:4'; axes are member and data, as in member:4,data:2"),
    ("member=4", "not understood at 'member=4'"),
    ("member:0", "not understood at 'member:0'"),
    ("", "not understood at ''"),
    ("member:4,data:2", "takes 8 devices; there are 4"),
    ("data:3", "data:3 does not divide --batch=8"),
  ],
)
def test_a_mesh_that_cannot_be_is_refused(asked, says):
  with pytest.raises(InputError, match=says):
    sharding.make_mesh(7, 8, asked)


def test_members_that_do_not_divide_are_padded_and_taken_back():
  mesh = sharding.make_mesh(5, 4, "member:4")
  tree = {"a": np.arange(5.0), "b": np.arange(10).reshape(5, 2)}
  padded = sharding.shard_members(mesh, tree)
  assert [len(x) for x in jax.tree.leaves(padded)] == [8, 8]
  np.testing.assert_array_equal(padded["a"], [0, 1, 2, 3, 4, 4, 4, 4])
  jax.tree.map(np.testing.assert_array_equal, sharding.without_padding(padded, 5), tree)


# Five members of each network, trained on eight devices in every layout.
LAYOUTS = """
import json, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
from jax.sharding import AxisType
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import hr_network, lr_network
from sr_jax.training import population, sharding
noise = np.random.default_rng(0).integers(0, 256, (32, 40), np.uint8)
store = patches.make_store([make_pair("a", noise, 2)], 6)
who = population.make_members(range(5), [3e-3])
found = {}
networks = {"lr": lr_network(features=4, depth=0), "hr": hr_network(features=2, depth=0)}
for name, network in networks.items():
  reference = None
  layouts = ["member:1", "member:2", "member:4", "member:8", "data:2", "member:2,data:4"]
  for asked in [*layouts, "explicit"] if name == "lr" else layouts[::3]:
    mesh = sharding.make_mesh(5, 8, asked if asked != "explicit" else "member:4")
    if asked == "explicit":
      kinds = (AxisType.Explicit,) * 2
      mesh = jax.make_mesh((4, 1), mesh.axis_names, axis_types=kinds, devices=jax.devices()[:4])
    members = sharding.shard_members(mesh, who)
    jax.config.update("jax_disable_most_optimizations", True)  # random numbers take long to compile
    state = population.initialise(network, "arm", members, mesh)
    jax.config.update("jax_disable_most_optimizations", False)
    steps = population.make_train_steps(network, 8, 6, mesh)
    state, loss = steps(state, members, sharding.replicate(mesh, store), 0, 20, 20)
    params = sharding.without_padding(jax.tree.map(np.asarray, state.params), 5)
    reference = reference or params
    off = jax.tree.map(lambda a, b: float(abs(a - b).max()), params, reference)
    found[f"{name} {asked}"] = max(jax.tree.leaves(off))
print(json.dumps(found))
"""


@pytest.mark.slow
def test_every_layout_of_eight_devices_trains_the_same_members():
  run = subprocess.run(
    [sys.executable, "-c", LAYOUTS], capture_output=True, text=True, check=False, cwd=ROOT
  )
  assert run.returncode == 0, run.stderr
  found = json.loads(run.stdout.splitlines()[-1])
  assert len(found) == 7 + 2
  for layout, off in found.items():
    assert off <= (1e-4 if "data" in layout else 0), layout
  assert max(found.values()) > 0  # a split batch is summed in another order
