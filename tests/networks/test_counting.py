"""Counts of networks from their jaxprs, against closed forms, loops and XLA; their windows."""

import functools
from fractions import Fraction

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from jax import lax
from jax import numpy as jnp
from jax.experimental import pallas

from sr_jax.config import InputError
from sr_jax.networks import Maps, espcn, fsrcnn, hr_network, lr_network, srcnn
from sr_jax.networks.budget import budget, lr_windows
from sr_jax.networks.counting import Count, count, per_hr_pixel, receptive_windows
from sr_jax.networks.pair import scheduled_network
from sr_jax.operators.conv import Computation, computing, conv
from sr_jax.operators.resize import upscale_bicubic
from sr_jax.operators.shuffle import depth_to_space
from sr_jax.operators.transpose import conv_transpose

LEARNED = {"upsampling": "transposed_conv"}
NETWORKS = {
  "lr": lr_network(),
  "lr-x3": lr_network(3, 18, 2, bicubic_skip=False),
  "hr": hr_network(),
  "hr-x4": hr_network(4, 4, 2, kernel_size=12),
  "hr-learned": hr_network(**LEARNED),
  "hr-in-lr-space": hr_network(execution="lr_space"),
  "hr-learned-in-lr-space": hr_network(**LEARNED, execution="lr_space"),
  "hr-untied": hr_network(**LEARNED, untied=True),
  "mixed": scheduled_network(),
  "mixed-schedule": scheduled_network(2, [Maps(16), Maps(8, 2), Maps(0, 4)], target=Maps(hr=1)),
  "mixed-bicubic-first": scheduled_network(2, [Maps(4, 3), Maps(8, 2)], bicubic_first=True),
  "espcn": espcn(),
  "espcn-same": espcn(padding="same"),
  "srcnn": srcnn(),
  "srcnn-x2-same": srcnn(2, padding="same"),
  "fsrcnn": fsrcnn(),
  "fsrcnn-x2": fsrcnn(2),
}


def shapes_of(network):
  """Its variables, as shapes."""
  return jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))


def image(*sides, channels=1):
  return jax.ShapeDtypeStruct((1, *sides, channels), jnp.float32)


def convolution(x, kernel, strides=(1, 1), padding="SAME", **options):
  names = ("NHWC", "HWIO", "NHWC")
  return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=names, **options)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_counts_are_those_of_the_closed_form(network):
  cost = budget(network)
  total = per_hr_pixel(network.apply, shapes_of(network))
  # The fixed bicubic is a convolution as any other, which writes each HR pixel once.
  assert total.macs == cost.executed_macs + cost.bicubic_macs
  assert total.activations == cost.activations + bool(cost.bicubic_macs)
  assert total.uncounted == ()
  sizes = [leaf.size for leaf in jax.tree.leaves(shapes_of(network))]
  assert sum(sizes) == cost.parameters


@pytest.mark.parametrize("network", [espcn(), srcnn(2)])
def test_counts_of_convolutions_without_padding_are_those_of_xla(network):
  def convolutions(kernels, x):
    for kernel in kernels:
      x = conv(x, kernel, ((0, 0), (0, 0)))
    return x

  blocks = [layer.blocks(network.phases, 2) for layer in network.layers]
  shapes = [block.shape for (block,) in (each.values() for each in blocks)]
  kernels = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  x = image(40, 30, channels=kernels[0].shape[2])
  flops = jax.jit(convolutions).lower(kernels, x).cost_analysis()["flops"]
  assert 2 * count(convolutions, kernels, x).macs == flops


CONVOLUTIONS = {
  "plain": ((9, 7), (3, 3, 4, 6), {}),
  "strided": ((9, 8), (3, 2, 4, 6), {"strides": (2, 3)}),
  "grouped": ((6, 7), (3, 3, 2, 6), {"feature_group_count": 2}),
  "depthwise": ((6, 7), (3, 3, 1, 8), {"feature_group_count": 4}),
  "batch-groups": ((6, 5), (2, 2, 4, 6), {"batch_group_count": 2}),
  "dilated": ((9, 8), (3, 2, 4, 2), {"rhs_dilation": (2, 3)}),
  "transposed": ((5, 6), (6, 4, 4, 2), {"lhs_dilation": (3, 2)}),
  "transposed-uneven": ((5, 6), (5, 3, 4, 2), {"lhs_dilation": (2, 2)}),
  "all": (
    (7, 9),
    (3, 2, 2, 4),
    {
      "strides": (2, 1),
      "lhs_dilation": (3, 2),
      "rhs_dilation": (2, 3),
      "feature_group_count": 2,
    },
  ),
}


@pytest.mark.parametrize(("sides", "kernel", "options"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((2, 1), (0, 4))])
def test_any_convolution_is_counted_tap_by_tap(sides, kernel, options, padding):
  x = jax.ShapeDtypeStruct((2, *sides, 4), jnp.float32)
  weights = jax.ShapeDtypeStruct(kernel, jnp.float32)
  function = functools.partial(convolution, padding=padding, **options)
  total = count(function, x, weights)
  batch, *out, features = jax.eval_shape(function, x, weights).shape
  lows = [low for low, _ in padding]
  strides, spacing, dilation = (
    options.get(name, (1, 1)) for name in ("strides", "lhs_dilation", "rhs_dilation")
  )
  on_data = 0
  for y in np.ndindex(*out):
    for tap in np.ndindex(*kernel[:2]):
      position = np.multiply(y, strides) - lows + np.multiply(tap, dilation)
      on_data += not (position % spacing).any()
  assert total.macs == on_data * batch * kernel[2] * features
  assert total.activations == batch * np.prod(out) * features
  is_padded = any(low or high for low, high in padding)  # XLA leaves out taps on padding
  if not is_padded and "batch_group_count" not in options:
    flops = jax.jit(function).lower(x, weights).cost_analysis()["flops"]
    assert total.macs == flops / 2


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("transposed", [lax.conv_transpose, conv_transpose])
def test_a_transposed_convolution_uses_each_tap_once_for_each_input(transposed, scale):
  function = functools.partial(transposed, strides=(scale, scale), padding="SAME")
  total = count(function, image(12, 10, channels=5), jnp.zeros((9, 9, 5, 3)))
  assert total == Count(12 * 10 * 9 * 9 * 5 * 3, scale**2 * 12 * 10 * 3, ())


def test_products_count_their_contracted_and_batch_axes():
  a, b = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 3, 5), (2, 5, 7)))
  assert count(jnp.matmul, a, b) == Count(2 * 3 * 5 * 7, 2 * 3 * 7, ())
  assert count(jnp.multiply, a, a) == Count(0, 0, ())


KERNEL = jnp.zeros((3, 3, 2, 2))
MACS = 8 * 8 * 9 * 2 * 2


def layer(x):
  return convolution(x, KERNEL)


@jax.custom_vjp
def with_own_gradient(x):
  return layer(x)


with_own_gradient.defvjp(lambda x: (layer(x), None), lambda saved, dy: (dy,))


@jax.custom_jvp
def with_own_tangent(x):
  return layer(x)


with_own_tangent.defjvp(lambda x, dx: (layer(*x), layer(*dx)))


@pytest.mark.parametrize(
  ("function", "times"),
  {
    "jit": (jax.jit(jax.jit(layer)), 1),
    "remat": (jax.checkpoint(layer), 1),
    "vjp": (with_own_gradient, 1),
    "jvp": (with_own_tangent, 1),
    "scan": (lambda x: lax.scan(lambda y, _: (layer(y), None), x, length=5)[0], 5),
    "loop": (lambda x: lax.fori_loop(0, 3, lambda i, y: layer(layer(y)), x), 6),
    "map": (lambda x: lax.map(layer, jnp.stack([x, x])), 2),
    "vmap": (lambda x: jax.vmap(layer)(jnp.stack([x, x])), 2),
    "unused": (lambda x: (layer(x), x + 1)[1], 0),
    "unused-in-jit": (lambda x: jax.jit(lambda x: (layer(x), x + 1))(x)[1], 0),
    "switch": (
      lambda x: lax.switch(
        jnp.int32(x[0, 0, 0, 0]), [layer, lambda x: layer(layer(x)), lambda x: x], x
      ),
      2,
    ),
    "random": (
      lambda x: layer(x) * jax.random.bernoulli(jax.random.key(0), 0.5, x.shape),
      1,
    ),
  }.values(),
)
def test_what_is_inside_counts_as_often_as_it_runs(function, times):
  assert count(function, image(8, 8, channels=2)) == Count(times * MACS, times * 8 * 8 * 2, ())


def until_large(body):
  return lambda x: lax.while_loop(lambda y: y.sum() < 1, body, x)


def by_pallas(x):
  def double(x_ref, y_ref):
    y_ref[...] = 2 * x_ref[...]

  return pallas.pallas_call(double, out_shape=jax.typeof(x))(x)


def in_c(x):
  with computing(Computation("native")):
    return conv(x, KERNEL, ((1, 1), (1, 1)))


@pytest.mark.parametrize(
  ("function", "names"),
  {
    "while": (until_large(layer), ("while",)),
    "elementwise-while": (until_large(lambda x: 2 * x), ()),
    "pallas": (by_pallas, ("pallas_call",)),
    "callback": (lambda x: jax.pure_callback(lambda x: x, jax.typeof(x), x), ("pure_callback",)),
    "ffi": (lambda x: jax.ffi.ffi_call("f", jax.typeof(x))(x), ("ffi_call",)),
    "native": (in_c, ("sr_jax_conv",)),
    "fft": (lambda x: jnp.fft.fft(x, axis=1).real, ("fft",)),
    "inverse": (
      lambda x: jnp.linalg.inv(x[0, :, :, 0]),
      ("custom_linear_solve", "lu"),
    ),
    "several": (lambda x: jnp.fft.fft(until_large(layer)(x) + by_pallas(x)).real, None),
    "in-a-branch": (lambda x: lax.cond(x.sum() > 0, layer, by_pallas, x), ("pallas_call",)),
  }.values(),
)
def test_what_cannot_be_counted_is_named(function, names):
  names = ("fft", "pallas_call", "while") if names is None else names
  assert count(function, image(8, 8, channels=2)).uncounted == names


def test_a_network_is_counted_as_xla_would_convolve_whatever_the_ambient_form():
  network = lr_network(features=4, depth=1)
  expected = per_hr_pixel(network.apply, shapes_of(network))
  for form in ("native", "matrix_product"):
    with computing(Computation(form)):
      assert per_hr_pixel(network.apply, shapes_of(network)) == expected


class Residual(nn.Module):
  """EDSR as a user would write it; with channel attention as in RCAN, and clipped."""

  blocks: int = 2
  features: int = 8
  scale: int = 2
  attention: bool = False

  @nn.compact
  def __call__(self, x):
    def conv3(features, **kwargs):
      return nn.Conv(features, (3, 3), **kwargs)

    head = y = conv3(self.features)(x)
    for _ in range(self.blocks):
      z = conv3(self.features, kernel_init=nn.initializers.zeros)(nn.relu(conv3(self.features)(y)))
      if self.attention:
        pooled = nn.relu(nn.Dense(4)(z.mean((1, 2), keepdims=True)))
        z *= nn.sigmoid(nn.Dense(self.features)(pooled))
      y += z
    y = nn.ConvTranspose(1, (6, 6), (self.scale,) * 2)(y + head)
    return jnp.clip(y, 0, 1)


class InNNX(nnx.Module):
  """A sub-pixel network."""

  def __init__(self, rngs):
    self.first = nnx.Conv(1, 8, (5, 5), rngs=rngs)
    self.last = nnx.Conv(8, 9, (3, 3), feature_group_count=1, rngs=rngs)

  def __call__(self, x):
    return upscale_bicubic(x, 3) + depth_to_space(self.last(nnx.gelu(self.first(x))), 3)


def in_nnx():
  graph, state = nnx.split(nnx.eval_shape(lambda: InNNX(nnx.Rngs(0))))
  return lambda state, x: nnx.merge(graph, state)(x), state


@pytest.mark.parametrize("attention", [False, True])
def test_a_residual_network_costs_its_convolutions_at_any_size(attention):
  network = Residual(attention=attention)
  total = per_hr_pixel(network.apply, shapes_of(network))
  assert total.macs == Fraction(9 * 8 + 4 * 9 * 8 * 8, 4) + Fraction(36, 4) * 8
  assert total.activations == Fraction(5 * 8, 4) + 1
  assert total.uncounted == ()


def test_a_network_in_nnx_is_counted():
  function, state = in_nnx()
  total = per_hr_pixel(function, state)
  assert total.macs == Fraction(25 * 8 + 9 * 8 * 9, 9) + 25
  assert receptive_windows(function, 3, state) == [(-3, 3)] * 3


def attend(x):
  pixels = x.reshape(1, -1, 1)
  return jax.nn.dot_product_attention(*[pixels[:, :, None]] * 3).reshape(x.shape)


@pytest.mark.parametrize(
  "function",
  [
    attend,
    lambda x: jax.image.resize(x, (1, 2 * x.shape[1], 2 * x.shape[2], 1), "bicubic"),
  ],
)
def test_work_that_is_not_linear_in_pixels_is_refused(function):
  with pytest.raises(InputError, match=r"are not linear in pixels: .* around 192x192"):
    per_hr_pixel(function)


@pytest.mark.parametrize("name", ["hr", "mixed", "espcn", "fsrcnn-x2", "srcnn"])
def test_windows_are_those_of_the_closed_form(name):
  network = NETWORKS[name]
  assert receptive_windows(network.apply, network.scale, shapes_of(network)) == lr_windows(network)


def test_a_window_may_be_larger_than_the_first_image():
  network = lr_network(features=4, depth=32)
  windows = receptive_windows(network.apply, 2, shapes_of(network))
  assert windows == lr_windows(network)
  assert windows[0] == (-35, 35)


def test_layers_that_are_zero_at_the_start_and_clipped_outputs_hide_no_pixel():
  network = Residual()
  variables = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  # Five layers of 3x3, and a transposed 6x6 with three taps a phase.
  assert receptive_windows(network.apply, 2, variables) == [(-6, 6), (-6, 6)]


def test_both_axes_are_looked_at():
  def across(kernel, x):
    return convolution(x, kernel, padding=((0, 0), (1, 3)))

  kernel = jax.ShapeDtypeStruct((1, 5, 1, 1), jnp.float32)
  assert receptive_windows(across, 1, kernel) == [(-1, 3)]


def test_channel_attention_has_no_finite_window():
  network = Residual(attention=True)
  assert receptive_windows(network.apply, 2, shapes_of(network)) is None


def test_a_network_without_gradient_is_refused():
  with pytest.raises(InputError, match="depends on no LR pixel"):
    receptive_windows(jnp.round, 1)
