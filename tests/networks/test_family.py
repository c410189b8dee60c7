"""Every split as a linear subspace of the LR networks, in float64; and which zeros move maps."""

import functools
import itertools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from sr_jax.networks import Maps
from sr_jax.networks.budget import budget
from sr_jax.networks.pair import lift_network, lifted, nearest, scheduled_network


def schedule(scale, dims, channels, hr_maps, **fields):
  """The network whose states have these HR maps, and LR maps to `channels` in LR space."""
  states = [Maps(channels - scale**dims * h, h) for h in hr_maps]
  fields = {"first_kernel_size": 3, "bicubic_skip": False, "target": Maps(hr=1), **fields}
  return scheduled_network(scale, states, **fields, dims=dims)


def assert_close(params, expected):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), params, expected)


def inner(a, b):
  return sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


# Kernels of K <= r (k - 1) + 1 HR pixels, which k = 3 LR pixels hold.
FITTING = {
  "all": schedule(2, 2, 8, (2, 2), hr_kernel_size=5),
  "mixed": schedule(2, 2, 8, (1, 2, 0, 1), hr_kernel_size=5, bicubic_skip=True),
  "even": schedule(2, 2, 8, (1, 1, 1), hr_kernel_size=4),
  "free-phases": schedule(2, 2, 8, (2, 1), hr_kernel_size=3, target=None),
  "untied": schedule(2, 2, 8, (2, 1), hr_kernel_size=4, tied=False),
  "thirds": schedule(3, 2, 10, (1, 1), hr_kernel_size=7),
  "line": schedule(2, 1, 6, (1, 3, 2), hr_kernel_size=5),
  "volume": schedule(2, 3, 9, (1, 1), hr_kernel_size=5),
}


@pytest.mark.parametrize("network", FITTING.values(), ids=FITTING)
def test_its_lift_is_an_lr_network(network):
  (channels,) = {layer.outputs.channels(network.phases) for layer in network.layers[:-1]}
  states = (Maps(channels),) * (len(network.layers) - 1)
  fields = {"first_kernel_size": 3, "bicubic_skip": network.bicubic_skip, "dims": network.dims}
  assert lifted(network) == scheduled_network(network.scale, states, **fields)


# The last one does not fit: its lift has 4x4 kernels.
PROJECTED = {name: FITTING[name] for name in ("mixed", "untied", "thirds", "line", "volume")}
PROJECTED["6x6"] = schedule(2, 2, 8, (1, 2))


@pytest.mark.parametrize("network", PROJECTED.values(), ids=PROJECTED)
def test_the_nearest_parameters_are_an_orthogonal_projection(network, random_params):
  with jax.enable_x64():
    lr_network = lifted(network)
    w, v, params = (
      random_params(lr_network),
      random_params(lr_network, 1),
      random_params(network, 2),
    )
    x = jnp.asarray(np.random.default_rng(3).random((1, *(4, 5, 3)[: network.dims], 1)))

    @jax.jit
    def project(w):
      closest = nearest(network, w)
      return closest, lift_network(network, closest)[1]

    closest, projected = project(w)
    assert_close(project(projected)[1], projected)  # idempotent
    np.testing.assert_allclose(inner(projected, v), inner(w, project(v)[1]), rtol=1e-12)
    assert inner(projected, projected) < inner(w, w)

    @jax.jit
    def compute(closest, projected, params):
      in_lr_space = lr_network.apply({"params": projected}, x)
      y = network.apply({"params": closest}, x)
      return in_lr_space, y, lift_network(network, params)[1]

    in_lr_space, y, member = compute(closest, projected, params)
    np.testing.assert_allclose(in_lr_space, y, rtol=0, atol=1e-11)
    closest, same = project(member)
    assert_close(closest, params)  # of a member, its own parameters
    assert_close(same, member)


def with_one_fewer(network, params):
  """Lifted parameters with the phases of the first HR map of each state where LR maps are.

  In LR space a state has its LR maps, then the first phase of all HR maps, then the second.
  """

  def order(maps):
    hr_maps = np.arange(network.phases * maps.hr).reshape(network.phases, maps.hr) + maps.lr
    return np.concatenate([np.arange(maps.lr), hr_maps[:, :1].ravel(), hr_maps[:, 1:].ravel()])

  moved = {}
  for layer, (name, kept) in zip(network.layers, params.items(), strict=True):
    rows, columns = order(layer.inputs), order(layer.outputs)
    moved[name] = {"kernel": kept["kernel"][..., rows, :][..., columns]}
    moved[name]["bias"] = kept["bias"][columns]
  return moved


@pytest.mark.parametrize(
  ("scale", "dims", "channels", "size"), [(2, 2, 8, 5), (2, 2, 8, 4), (3, 1, 7, 7), (2, 3, 8, 3)]
)
def test_families_are_nested_as_hr_maps_become_fewer(scale, dims, channels, size, random_params):
  networks = [
    schedule(scale, dims, channels, (h, h), hr_kernel_size=size)
    for h in range(channels // scale**dims, -1, -1)
  ]
  # Strictly: a member has one set of parameters, so that these are dimensions.
  dimensions = [budget(network).parameters for network in networks]
  assert dimensions == sorted(set(dimensions))

  @functools.partial(jax.jit, static_argnums=(0, 1))
  def compute(smaller, larger, params):
    member = with_one_fewer(smaller, lift_network(smaller, params)[1])
    return member, lift_network(larger, nearest(larger, member))[1]

  with jax.enable_x64():
    for smaller, larger in itertools.pairwise(networks):
      member, projected = compute(smaller, larger, random_params(smaller))
      assert_close(projected, member)
