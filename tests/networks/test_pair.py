import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.budget import budget
from sr_jax.networks import HRNetwork, LiftedNetwork, LRNetwork, lift_network, upscale
from sr_jax.operators.resize import upscale_bicubic

PLAIN = {"bicubic_skip": False}


def short(value):
  """A test's name: the network's class and what differs from its defaults."""
  if not isinstance(value, LRNetwork | HRNetwork):
    return str(type(value).__name__) if dataclasses.is_dataclass(value) else str(value)
  plain = type(value)()
  fields = [f.name for f in dataclasses.fields(value) if f.name not in ("parent", "name")]
  odd = [f"{n}={getattr(value, n)}" for n in fields if getattr(value, n) != getattr(plain, n)]
  return "-".join([type(value).__name__, *odd])


NETWORKS = [
  LRNetwork(),
  LRNetwork(scale=3, features=36, **PLAIN),
  LRNetwork(depth=0, activation="tanh"),
  HRNetwork(),
  HRNetwork(depth=1, **PLAIN),
  HRNetwork(upsampling="transposed_conv"),
  HRNetwork(upsampling="transposed_conv", depth=3, **PLAIN),
  HRNetwork(scale=3, features=4, kernel_size=9, upsampling="transposed_conv", **PLAIN),
  HRNetwork(scale=3, features=4, kernel_size=9, **PLAIN),
  HRNetwork(execution="lr_space"),
  LiftedNetwork(HRNetwork(depth=1)),
]


def init(network):
  return jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]


def what_is_seen(network, params, side, pixel):
  """Gradient of one pixel on the output's diagonal with respect to a `side` x `side` LR image."""
  # Above mid-gray, so that with positive weights no ReLU cuts anything off.
  x = 0.6 + jax.random.uniform(jax.random.key(1), (1, side, side, 1))
  grad = jax.jit(jax.grad(lambda x, at: upscale(network, params, x)[0, at, at, 0]))
  return np.asarray(grad(x, pixel)[0, :, :, 0], np.float64)


def positive(params):
  """All kernels positive: no ReLU dies and no two paths cancel, so gradients show what is seen."""
  return jax.tree.map(lambda p: jnp.abs(p) if p.ndim == 4 else jnp.ones_like(p), params)


@pytest.mark.parametrize("network", NETWORKS, ids=short)
def test_upscales_and_has_the_parameters_of_its_budget(network):
  params = init(network)
  y = upscale(network, params, jnp.ones((2, 5, 6, 1)))
  assert y.shape == (2, 5 * network.scale, 6 * network.scale, 1)
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == budget(network).parameters


@pytest.mark.parametrize("network", NETWORKS, ids=short)
def test_receptive_field_is_the_support_of_the_gradient(network):
  params, scale, side = positive(init(network)), network.scale, 41
  widths = []
  for phase in range(scale):
    seen = what_is_seen(network, params, side, scale * (side // 2) + phase)
    rows = np.flatnonzero(np.abs(seen).max(axis=1) > 0)
    columns = np.flatnonzero(np.abs(seen).max(axis=0) > 0)
    np.testing.assert_array_equal(rows, columns)
    widths.append(rows[-1] - rows[0] + 1)
  assert scale * max(widths) == budget(network).receptive_field


@pytest.mark.parametrize(
  ("network", "shift"),
  [
    (LRNetwork(**PLAIN), 0),
    (HRNetwork(**PLAIN), 0.5),
    (HRNetwork(depth=3, **PLAIN), 0),
    (HRNetwork(depth=5, **PLAIN), 0),
    (HRNetwork(kernel_size=5, **PLAIN), 0),
  ],
  ids=short,
)
def test_an_odd_count_of_even_kernels_leaves_half_a_pixel(network, shift):
  # With equal weights in every kernel, the centroid of what an output sees is its window's middle.
  params = jax.tree.map(jnp.ones_like, init(network))
  side, scale = 61, network.scale
  centres = []
  for pixel in range(scale * 30, scale * 31):
    weight = what_is_seen(network, params, side, pixel).sum(axis=1)
    # LR pixel i covers HR pixels with centre scale * i + (scale - 1) / 2.
    middle = (weight @ np.arange(side)) / weight.sum() * scale + (scale - 1) / 2
    centres.append(middle - pixel)
  np.testing.assert_allclose(np.mean(centres), shift, atol=1e-3)
  assert budget(network).shift == shift


def test_the_skip_adds_bicubic():
  for network in (LRNetwork(), HRNetwork()):
    params = init(network)
    params["last"] = jax.tree.map(jnp.zeros_like, params["last"])
    x = jax.random.uniform(jax.random.key(0), (1, 9, 7, 1))
    np.testing.assert_allclose(upscale(network, params, x), upscale_bicubic(x, 2), atol=1e-6)
    plain = type(network)(**PLAIN)
    np.testing.assert_array_equal(upscale(plain, params, x), jnp.full((1, 18, 14, 1), 0.5))


def test_a_skip_starts_ten_times_nearer_to_bicubic():
  with_skip, without = (
    np.std(init(LRNetwork(features=128, bicubic_skip=skip))["last"]["kernel"])
    for skip in (True, False)
  )
  np.testing.assert_allclose(without / with_skip, 10, rtol=0.01)


HR_NETWORKS = [
  HRNetwork(depth=2),
  HRNetwork(depth=3, activation="tanh", bicubic_skip=False),
  HRNetwork(depth=2, upsampling="transposed_conv"),
  HRNetwork(depth=1, kernel_size=5, upsampling="transposed_conv", **PLAIN),
  HRNetwork(depth=2, kernel_size=4, features=3),
  HRNetwork(scale=3, features=4, kernel_size=9, depth=1),
  HRNetwork(scale=3, features=4, kernel_size=8, depth=2, upsampling="transposed_conv"),
  HRNetwork(scale=4, features=2, kernel_size=12, depth=1),
]


def double(network):
  """The network's parameters in float64, biases off zero, and an image."""
  params = jax.tree.map(lambda p: np.asarray(p, np.float64), init(network))
  rng = np.random.default_rng(0)
  params = jax.tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape), params)
  return jax.tree.map(jnp.asarray, params), jnp.asarray(rng.random((2, 7, 6, 1)))


@pytest.mark.parametrize("network", HR_NETWORKS, ids=short)
def test_a_lifted_network_computes_the_same_to_the_border(network):
  with jax.enable_x64():
    params, x = double(network)
    expected = upscale(network, params, x)
    lifted, lr_params = lift_network(network, params)
    np.testing.assert_allclose(upscale(lifted, lr_params, x), expected, atol=1e-10)
    assert jax.tree.map(jnp.shape, lr_params) == jax.tree.map(jnp.shape, init(lifted))


@pytest.mark.parametrize("network", HR_NETWORKS, ids=short)
def test_execution_in_lr_space_changes_neither_output_nor_gradient(network):
  with jax.enable_x64():
    params, x = double(network)
    shape = (2, 7 * network.scale, 6 * network.scale, 1)
    weight = jnp.asarray(np.random.default_rng(1).random(shape))
    results = []
    for one in (network, network.clone(execution="lr_space")):

      def loss(params, one=one):
        return (weight * upscale(one, params, x) ** 2).sum()

      results.append(jax.jit(jax.value_and_grad(loss))(params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), *results)


def test_a_network_that_fits_lifts_into_the_lr_family():
  hr = HRNetwork(kernel_size=5, upsampling="transposed_conv")
  lr = LRNetwork(features=32)
  assert LiftedNetwork(hr).layers == lr.layers
  with jax.enable_x64():
    params, x = double(hr)
    _, lr_params = lift_network(hr, params)
    np.testing.assert_allclose(upscale(lr, lr_params, x), upscale(hr, params, x), atol=1e-10)


def test_the_pair_of_the_note_does_not_fit():
  layers = LiftedNetwork(HRNetwork()).layers
  assert [layer.kernel_size for layer in layers] == [3, 4, 4, 4, 4, 4]
  assert {layer.outputs for layer in layers[:-1]} == {32}


def test_a_learned_front_shares_its_bias_between_phases():
  network = HRNetwork(upsampling="transposed_conv")
  params = init(network)
  assert params["transposed"]["kernel"].shape == (5, 5, 1, 4 * 8)
  assert params["transposed"]["bias"].shape == (8,)
