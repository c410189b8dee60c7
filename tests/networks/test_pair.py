import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.networks import Maps, hr_network, lr_network, upscale
from sr_jax.networks.budget import budget
from sr_jax.networks.pair import lift_network, lifted, nearest, scheduled_network, untie_network
from sr_jax.operators.resize import upscale_bicubic

PLAIN = {"bicubic_skip": False}


NETWORKS = {
  "lr": lr_network(),
  "lr-3": lr_network(scale=3, features=36, **PLAIN),
  "lr-no-hidden-layer": lr_network(depth=0, activation="tanh"),
  "hr": hr_network(),
  "hr-depth-1": hr_network(depth=1, **PLAIN),
  "hr-learned": hr_network(upsampling="transposed_conv"),
  "hr-learned-depth-3": hr_network(upsampling="transposed_conv", depth=3, **PLAIN),
  "hr-learned-3": hr_network(3, 4, kernel_size=9, upsampling="transposed_conv", **PLAIN),
  "hr-3": hr_network(scale=3, features=4, kernel_size=9, **PLAIN),
  "hr-in-lr-space": hr_network(execution="lr_space"),
  "hr-lifted": lifted(hr_network(depth=1)),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def traced(network):
  """Shapes of the parameters that the network makes: `init` traced, and not compiled."""
  return jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]


def equal_weights(network):
  """Every kernel an average: no ReLU dies and no two paths cancel, so gradients show what is seen.

  Biases of one keep every map positive.
  """
  return jax.tree.map(
    lambda p: jnp.asarray(np.full(p.shape, 1 / np.prod(p.shape[:-1]), "f")), traced(network)
  )


def what_every_phase_sees(network, side):
  """Gradients of the pixels of the middle LR pixel's diagonal to a `side` x `side` LR image."""
  params, scale = equal_weights(network), network.scale
  grad = jax.jit(jax.grad(lambda x, at: upscale(network, params, x)[0, at, at, 0]))
  x = jnp.asarray(np.ones((1, side, side, 1), "f"))
  for pixel in range(scale * (side // 2), scale * (side // 2 + 1)):
    yield pixel, np.asarray(grad(x, pixel), np.float64)[0, :, :, 0]


@every_network
def test_upscales_and_has_the_parameters_of_its_budget(network):
  params = traced(network)
  y = jax.eval_shape(functools.partial(upscale, network), params, jnp.ones((2, 5, 6, 1)))
  assert y.shape == (2, 5 * network.scale, 6 * network.scale, 1)
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == budget(network).parameters


@pytest.mark.parametrize(
  ("network", "shift"),
  [
    (lr_network(**PLAIN), 0),
    (hr_network(**PLAIN), 0.5),
    (hr_network(depth=3, **PLAIN), 0),
    (hr_network(depth=5, **PLAIN), 0),
    (hr_network(kernel_size=5, **PLAIN), 0),
  ],
  ids=["lr", "hr", "hr-depth-3", "hr-depth-5", "hr-odd-kernels"],
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
  for network, plain in (
    (lr_network(), lr_network(**PLAIN)),
    (hr_network(), hr_network(**PLAIN)),
  ):
    params = {**equal_weights(network)}
    params["last"] = jax.tree.map(np.zeros_like, params["last"])
    x = jnp.asarray(np.random.default_rng(0).random((1, 9, 7, 1)), jnp.float32)
    y, bicubic, without = jax.jit(
      lambda x, params, network=network, plain=plain: (
        upscale(network, params, x),
        upscale_bicubic(x, 2),
        upscale(plain, params, x),
      )
    )(x, params)
    np.testing.assert_allclose(y, bicubic, atol=1e-6)
    np.testing.assert_array_equal(without, np.full((1, 18, 14, 1), 0.5))


def test_the_identity_adds_the_image():
  states, image = [Maps(4, 1)] * 2, Maps(hr=2)
  fields = {"inputs": image, "target": Maps(lr=8), "identity_skip": True, **PLAIN}
  network = scheduled_network(2, states, **fields, mid_input=0.0, mid_output=0.0)
  x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 6, 4, 2)), jnp.float32)

  @jax.jit
  def compute(x):
    params = network.init(jax.random.key(0), x)["params"]
    zero = {**params, "last": jax.tree.map(jnp.zeros_like, params["last"])}
    return [network.apply({"params": values}, x) for values in (params, zero)]

  y, identity = compute(x)
  assert 0 < np.abs(y - x).max() < 0.3  # its corrections start near zero
  np.testing.assert_array_equal(identity, x)


def initial_last_kernel(network):
  initialise = jax.jit(lambda key: network.init(key, jnp.zeros((1, 8, 8, 1)))["params"]["last"])
  return initialise(jax.random.key(0))["kernel"]


def test_a_skip_starts_ten_times_nearer_to_bicubic():
  with_skip, without = (
    np.std(initial_last_kernel(lr_network(features=128, depth=0, bicubic_skip=skip)))
    for skip in (True, False)
  )
  np.testing.assert_allclose(without / with_skip, 10, rtol=0.01)


def double(network):
  """Random parameters in float64, of the size a network starts with, biases off zero; an image."""
  rng = np.random.default_rng(0)

  def draw(p):
    return jnp.asarray(rng.standard_normal(p.shape) * max(0.1, np.sqrt(2 / np.prod(p.shape[:-1]))))

  params = jax.tree.map(draw, traced(network))
  return params, jnp.asarray(rng.random((2, 7, 6, 1)))


def test_a_network_that_fits_lifts_into_the_lr_family():
  hr = hr_network(kernel_size=5, upsampling="transposed_conv")
  lr = lr_network(features=32)
  assert lifted(hr).layers == lr.layers
  with jax.enable_x64():
    params, x = double(hr)
    expected, y = jax.jit(
      lambda params: (upscale(hr, params, x), upscale(lr, lift_network(hr, params)[1], x))
    )(params)
    np.testing.assert_allclose(y, expected, atol=1e-10)


def test_the_pair_of_the_note_does_not_fit():
  layers = lifted(hr_network()).layers
  assert [layer.kernel_size for layer in layers] == [3, 4, 4, 4, 4, 4]
  assert {layer.outputs for layer in layers[:-1]} == {Maps(lr=32)}


def test_a_learned_front_shares_its_bias_between_phases():
  network = hr_network(upsampling="transposed_conv")
  params = traced(network)
  assert params["transposed"]["kernel"].shape == (5, 5, 1, 4 * 8)
  assert params["transposed"]["bias"].shape == (8,)


@pytest.mark.parametrize(
  "shape",
  [
    {"depth": 2, "upsampling": "transposed_conv"},
    {"depth": 1, "upsampling": "bicubic", "scale": 3, "kernel_size": 4},
  ],
  ids=["learned", "bicubic"],
)
def test_an_untied_network_with_equal_kernels_is_the_tied_one(shape):
  tied, untied = (hr_network(**shape, execution="lr_space", untied=u) for u in (False, True))
  with jax.enable_x64():
    params, x = double(tied)
    freed, repeated = untie_network(tied, params)
    assert freed == untied
    shapes = jax.tree.map(lambda p: p.shape, repeated)
    assert shapes == jax.tree.map(lambda p: p.shape, traced(untied))
    outputs = jax.jit(
      lambda params, repeated: (
        upscale(tied, params, x),
        upscale(untied, repeated, x),
        upscale(lifted(untied), lift_network(untied, repeated)[1], x),
      )
    )(params, repeated)
    for y in outputs[1:]:
      np.testing.assert_allclose(y, outputs[0], atol=1e-10)


def test_an_untied_network_is_computed_in_lr_space_alone():
  network = hr_network(execution="hr_space", untied=True)
  assert network.in_lr_space
  assert not network.has_two_executions
  assert hr_network().has_two_executions
  assert not lr_network().has_two_executions


def test_an_upsampling_by_another_name_is_refused():
  with pytest.raises(ValueError, match="upsampling must be bicubic or transposed_conv, not 'near"):
    hr_network(upsampling="nearest")


def test_resize_convolutions_have_no_nearest_parameters():
  network = scheduled_network(2, [Maps(8), Maps(hr=2)], resize="nearest", target=Maps(hr=1))
  with pytest.raises(ValueError, match="hidden_0 resizes: lifted weights are sums"):
    nearest(network, traced(lifted(network)))
