"""The published networks against their papers' numbers and against references written out here."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate

from sr_jax.networks import espcn, fsrcnn, srcnn, upscale
from sr_jax.networks.budget import budget
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.resize import imresize
from sr_jax.operators.upsampling import transposed_conv

SMALL = {
  **{f"espcn-{r}": espcn(scale=r, features=(4, 3), activation="relu") for r in (2, 3)},
  **{f"srcnn-{r}": srcnn(scale=r, features=(4, 3)) for r in (2, 3, 4)},
  **{f"fsrcnn-{r}": fsrcnn(scale=r, features=(5, 3), depth=1) for r in (2, 3, 4)},
}
small = pytest.mark.parametrize("network", SMALL.values(), ids=SMALL)


def random_params(network):
  """Parameters with biases (and slopes) that are not where they start."""
  side = 8 + 2 * network.margin
  shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, side, side, 1)))["params"]
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda p: jnp.asarray(0.1 * rng.standard_normal(p.shape), "f"), shapes)


def padded(network):
  layers = (dataclasses.replace(layer, padding="same") for layer in network.layers)
  return network.clone(layers=tuple(layers))


@functools.partial(jax.jit, static_argnums=0)
def apply(network, params, x):
  return network.apply({"params": params}, x)


def image(height, width):
  return jnp.asarray(np.random.default_rng(1).random((2, height, width, 1)), jnp.float32)


@pytest.mark.parametrize(
  ("network", "weights", "parameters"),
  [
    (espcn(), 22_624, 22_729),
    (espcn(scale=2), 25 * 64 + 9 * 64 * 32 + 9 * 32 * 4, 21_284),
    (srcnn(), 8_032, 8_129),
    (fsrcnn(), 12_464, 12_809),
    (fsrcnn(scale=2), 12_464, 12_809),
  ],
  ids=["espcn-3", "espcn-2", "srcnn", "fsrcnn-3", "fsrcnn-2"],
)
def test_weights_and_macs_are_the_papers(network, weights, parameters):
  assert sum(layer.weights(network.phases, 2) for layer in network.layers) == weights
  params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))["params"]
  kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 4]
  assert sum(kernel.size for kernel in kernels) == weights
  cost = budget(network)
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == cost.parameters == parameters
  on_lr_pixels = 1 if network.bicubic_first else network.phases
  assert cost.macs * on_lr_pixels == weights


def test_zero_taps_of_a_transposed_convolution_are_counted_as_executed():
  # As LR convolutions, 9x9 of stride 2, 3, 4 are 5x5 to 4, 3x3 to 9 and 3x3 to 16 channels.
  for scale, taps in ((2, 100), (3, 81), (4, 144)):
    cost = budget(fsrcnn(scale=scale))
    assert (cost.executed_macs - cost.macs) * scale**2 == (taps - 81) * 56


@small
def test_upscales_whole_images_and_less_a_margin_of_patches(network):
  params, x, scale = random_params(network), image(22, 25), network.scale
  whole_network = padded(network)
  assert whole_network.margin == 0
  whole, inner, same = jax.jit(
    lambda params: (
      upscale(network, params, x),
      apply(network, params, x),
      apply(whole_network, params, x),
    )
  )(params)
  assert whole.shape == same.shape == (2, 22 * scale, 25 * scale, 1)
  border = scale * network.margin
  for y in (whole, same):
    cropped = np.asarray(y)[:, border:-border, border:-border]
    np.testing.assert_allclose(inner, cropped, atol=1e-5)


@small
def test_receptive_field_and_shift_are_those_of_the_gradient(network):
  params = jax.tree.map(
    lambda p: jnp.asarray(np.full(p.shape, 1 / p.size if p.ndim == 4 else 1, "f")),
    random_params(network),
  )
  side, scale = 31, network.scale
  grad = jax.jit(jax.grad(lambda x, at: upscale(network, params, x)[0, at, at, 0]))
  gray = jnp.asarray(np.full((1, side, side, 1), 0.5, "f"))
  widths, shifts = [], []
  for pixel in range(scale * 15, scale * 16):
    seen = np.asarray(grad(gray, pixel), np.float64)[0, :, :, 0]
    rows = np.flatnonzero(np.abs(seen).max(axis=1) > 1e-12)
    widths.append(rows[-1] - rows[0] + 1)
    weight = seen.sum(axis=1)
    shifts.append((weight @ np.arange(side)) / weight.sum() * scale + (scale - 1) / 2 - pixel)
  cost = budget(network)
  assert scale * max(widths) == cost.receptive_field
  np.testing.assert_allclose(np.mean(shifts), cost.shift, atol=1e-3)


def test_the_margin_is_what_the_papers_kernels_reach():
  assert [espcn(scale=scale).margin for scale in (2, 3, 4)] == [4, 4, 4]
  assert [srcnn(scale=scale).margin for scale in (2, 3, 4)] == [5, 4, 4]
  assert [fsrcnn(scale=scale).margin for scale in (2, 3, 4)] == [8, 7, 7]


def correlate_valid(x, layer):
  """`(h, w, in)` with a layer's kernel and bias, by SciPy, in float64."""
  kernel = np.asarray(layer["kernel"], np.float64)
  maps = [
    sum(correlate(x[:, :, i], kernel[:, :, i, o], "valid") for i in range(kernel.shape[2]))
    for o in range(kernel.shape[3])
  ]
  return np.stack(maps, axis=-1) + np.asarray(layer["bias"], np.float64)


def from_mid_gray(x):
  """What the first layer sees; mid-gray is added again at the end."""
  return 8 * (np.asarray(x, np.float64) - 0.5)


def test_mid_gray_and_contrast_only_write_the_published_network_otherwise():
  # Counting from black in units of 1, it has these parameters; the same for the other two.
  network = espcn(scale=2, features=(4, 3))
  params, x = random_params(network), image(12, 11)
  first, last = dict(params["first"]), dict(params["last"])
  first["kernel"] = 8 * first["kernel"]
  first["bias"] = first["bias"] - 0.5 * first["kernel"].sum(axis=(0, 1, 2))
  last["bias"] = last["bias"] + 0.5
  published = {"first": first, "hidden_0": params["hidden_0"], "last": last}
  from_black = apply(network, published, x / 8 + 0.5) - 0.5
  np.testing.assert_allclose(apply(network, params, x), from_black, atol=1e-4)


def test_espcn_is_three_convolutions_tanh_and_a_deconvolution():
  network = espcn(scale=3, features=(5, 4))
  params, x = random_params(network), image(15, 13)
  y = from_mid_gray(x[0])
  for name in ("first", "hidden_0"):
    y = np.tanh(correlate_valid(y, params[name]))
  # The sub-pixel layer as the transposed convolution it is (the note, Section 2).
  last = params["last"]
  deconv, padding = lr_to_deconv(last["kernel"], 3, ((0, 0), (0, 0)), (0, 0))
  bias = np.tile(np.asarray(last["bias"]).reshape(3, 3), (y.shape[0] - 2, y.shape[1] - 2))
  expected = (
    transposed_conv(jnp.asarray(y, jnp.float32)[None], deconv, 3, padding)[0, :, :, 0] + bias
  )
  np.testing.assert_allclose(apply(network, params, x[:1])[0, :, :, 0] - 0.5, expected, atol=1e-5)


def test_srcnn_sharpens_bicubic_interpolation():
  network = srcnn(scale=3, features=(5, 4), padding="valid")
  params, x = random_params(network), image(15, 13)
  y = imresize(from_mid_gray(x[0, :, :, 0]), 3)[:, :, None]
  for name in ("first", "hidden_0"):
    y = np.maximum(correlate_valid(y, params[name]), 0)
  expected = correlate_valid(y, params["last"])
  # The same border beyond what bicubic interpolation sees of it.
  np.testing.assert_allclose(
    apply(network, params, x[:1])[0] - 0.5, expected[6:-6, 6:-6], atol=1e-5
  )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn_ends_in_a_transposed_convolution(scale):
  network = fsrcnn(scale=scale, features=(4, 3), depth=1, padding="same")
  params, x = random_params(network), image(9, 8)
  y = from_mid_gray(x[0])
  for name, edge in (("first", 2), ("shrink", 0), ("hidden_0", 1), ("expand", 0)):
    y = correlate_valid(np.pad(y, ((edge, edge), (edge, edge), (0, 0))), params[name])
    y = np.where(y > 0, y, np.asarray(params[name]["slope"]) * y)
  kernel, crop = params["transposed"]["kernel"], network.layers[-1].crop(scale)
  assert kernel.shape == (9, 9, 4, 1)
  assert sum(crop) == 9 - scale
  expected = transposed_conv(jnp.asarray(y, jnp.float32)[None], kernel, scale, (crop, crop))
  expected = expected + params["transposed"]["bias"].reshape(1, 1, 1, 1)
  np.testing.assert_allclose(apply(network, params, x[:1]) - 0.5, expected, atol=1e-5)


def test_at_scale_3_the_transposed_convolution_is_a_sub_pixel_layer():
  network = fsrcnn()
  crop = network.layers[-1].crop(3)
  kernel = np.random.default_rng(0).random((9, 9, 2, 1)).astype("f")
  lr_kernel, lr_padding, drop = deconv_to_lr(kernel, 3, (crop, crop))
  assert lr_kernel.shape == (3, 3, 2, 9)
  assert (lr_padding, drop) == (((1, 1), (1, 1)), (0, 0))
  back, padding = lr_to_deconv(lr_kernel, 3, lr_padding, drop)
  np.testing.assert_array_equal(back, kernel)
  assert padding == (crop, crop)


@pytest.mark.parametrize("network", [espcn(), srcnn(), fsrcnn()], ids=["espcn", "srcnn", "fsrcnn"])
def test_outputs_start_at_a_useful_size(network):
  side = 8 + 2 * network.margin
  x = image(side, side)
  start = jax.jit(lambda key: network.init_with_output(key, x)[0])
  spread = [np.std(start(jax.random.key(seed))) for seed in range(4)]
  assert 0.01 < np.mean(spread) < 1


def test_paddings_by_another_name_are_refused():
  with pytest.raises(ValueError, match="padding must be same or valid, not 'full'"):
    espcn(padding="full")


def test_all_end_at_a_tenth_of_the_rate():
  for network in (espcn(), srcnn(), fsrcnn()):
    assert [layer.rate for layer in network.layers[-2:]] == [1, 0.1]
