import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.networks import HRNetwork, LiftedNetwork, LRNetwork, upscale
from sr_jax.networks.budget import budget
from sr_jax.networks.pair import lift_network
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


def traced(network):
  """Shapes of the parameters that the network makes: `init` traced, and not compiled."""
  return jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]


def equal_weights(network):
  """Every kernel an average: no ReLU dies and no two paths cancel, so gradients show what is seen.

  Biases of one keep every map positive.
  """
  return jax.tree.map(lambda p: jnp.full(p.shape, 1 / np.prod(p.shape[:-1])), traced(network))


def what_every_phase_sees(network, side):
  """Gradients of the pixels of the middle LR pixel's diagonal to a `side` x `side` LR image."""
  params, scale = equal_weights(network), network.scale
  grad = jax.jit(jax.grad(lambda x, at: upscale(network, params, x)[0, at, at, 0]))
  x = jnp.ones((1, side, side, 1))
  for pixel in range(scale * (side // 2), scale * (side // 2 + 1)):
    yield pixel, np.asarray(grad(x, pixel)[0, :, :, 0], np.float64)


@pytest.mark.parametrize("network", NETWORKS, ids=short)
def test_upscales_and_has_the_parameters_of_its_budget(network):
  params = traced(network)
  y = jax.eval_shape(functools.partial(upscale, network), params, jnp.ones((2, 5, 6, 1)))
  assert y.shape == (2, 5 * network.scale, 6 * network.scale, 1)
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == budget(network).parameters


@pytest.mark.parametrize("network", NETWORKS, ids=short)
def test_receptive_field_is_the_support_of_the_gradient(network):
  scale = network.scale
  widths = []
  for _, seen in what_every_phase_sees(network, side=41):
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
  side, scale = 41, network.scale
  centres = []
  for pixel, seen in what_every_phase_sees(network, side):
    weight = seen.sum(axis=1)
    # LR pixel i covers HR pixels with centre scale * i + (scale - 1) / 2.
    middle = (weight @ np.arange(side)) / weight.sum() * scale + (scale - 1) / 2
    centres.append(middle - pixel)
  np.testing.assert_allclose(np.mean(centres), shift, atol=1e-3)
  assert budget(network).shift == shift


def test_the_skip_adds_bicubic():
  for network in (LRNetwork(), HRNetwork()):
    params = {**equal_weights(network)}
    params["last"] = jax.tree.map(jnp.zeros_like, params["last"])
    x = jax.random.uniform(jax.random.key(0), (1, 9, 7, 1))
    np.testing.assert_allclose(upscale(network, params, x), upscale_bicubic(x, 2), atol=1e-6)
    plain = type(network)(**PLAIN)
    np.testing.assert_array_equal(upscale(plain, params, x), jnp.full((1, 18, 14, 1), 0.5))


def initial_last_kernel(network):
  initialise = jax.jit(lambda key: network.init(key, jnp.zeros((1, 8, 8, 1)))["params"]["last"])
  return initialise(jax.random.key(0))["kernel"]


def test_a_skip_starts_ten_times_nearer_to_bicubic():
  with_skip, without = (
    np.std(initial_last_kernel(LRNetwork(features=128, depth=0, bicubic_skip=skip)))
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
  """Random parameters in float64, of the size a network starts with, biases off zero; an image."""
  rng = np.random.default_rng(0)

  def draw(p):
    return jnp.asarray(rng.standard_normal(p.shape) * max(0.1, np.sqrt(2 / np.prod(p.shape[:-1]))))

  params = jax.tree.map(draw, traced(network))
  return params, jnp.asarray(rng.random((2, 7, 6, 1)))


@pytest.mark.parametrize("network", HR_NETWORKS, ids=short)
def test_a_lifted_network_computes_the_same_to_the_border(network):
  with jax.enable_x64():
    params, x = double(network)
    lifted, lr_params = lift_network(network, params)
    expected, found = jax.jit(
      lambda params, lr_params: (upscale(network, params, x), upscale(lifted, lr_params, x))
    )(params, lr_params)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert jax.tree.map(jnp.shape, lr_params) == jax.tree.map(jnp.shape, traced(lifted))


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
  params = traced(network)
  assert params["transposed"]["kernel"].shape == (5, 5, 1, 4 * 8)
  assert params["transposed"]["bias"].shape == (8,)


UNTIED = HRNetwork(depth=2, upsampling="transposed_conv", execution="lr_space", untied=True)


def test_an_untied_network_with_equal_kernels_is_the_tied_one():
  for untied in (UNTIED, UNTIED.clone(upsampling="bicubic", scale=3, kernel_size=4, depth=1)):
    tied = untied.clone(untied=False)
    with jax.enable_x64():
      params, x = double(tied)
      shapes = traced(untied)
      repeated = jax.tree.map(lambda p, s: jnp.tile(p, s.shape[-1] // p.shape[-1]), params, shapes)
      if untied.upsampling == "transposed_conv":  # its kernel has all phases, tied or not
        repeated["transposed"]["kernel"] = params["transposed"]["kernel"]
      expected = upscale(tied, params, x)
      np.testing.assert_allclose(upscale(untied, repeated, x), expected, atol=1e-10)
      lifted, lr_params = lift_network(untied, repeated)
      np.testing.assert_allclose(upscale(lifted, lr_params, x), expected, atol=1e-10)


def test_an_untied_network_cannot_be_computed_in_hr_space():
  with pytest.raises(ValueError, match="executed in lr_space"):
    traced(UNTIED.clone(execution="hr_space"))
