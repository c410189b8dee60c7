"""Residual blocks, and two streams that do not cross: what they compute, and what they cost."""

import dataclasses
from fractions import Fraction

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import numpy as jnp

from sr_jax.networks import Maps, build, describe, hr_network, lr_network
from sr_jax.networks.budget import as_json, budget, lr_windows
from sr_jax.networks.maps import Layer
from sr_jax.networks.network import Network
from sr_jax.networks.pair import Residual, lift_network, lifted, nearest, scheduled_network

BLOCKS = Residual(gain=1.0, scale=0.5)


def schedule(channels, hr_maps, scale=2, **fields):
  """A residual network of one kind of state, with these HR maps and LR maps to `channels`."""
  states = (Maps(channels - scale**2 * hr_maps, hr_maps),) * 5
  fields = {"first_kernel_size": 3, "hr_kernel_size": 5, "residual": BLOCKS, **fields}
  return scheduled_network(scale, states, **fields)


def test_a_block_adds_its_input_to_its_second_layer(random_params):
  with jax.enable_x64():
    network = lr_network(features=6, depth=2, residual=BLOCKS)
    params = random_params(network)
    x = jnp.asarray(np.random.default_rng(1).random((1, 6, 5, 1)))
    _, seen = network.apply({"params": params}, x, capture_intermediates=True)
    (first,), (inner,), (second,) = (
      seen["intermediates"][name]["__call__"] for name in ("first", "hidden_0", "hidden_1")
    )

    def conv(x, name):
      kernel, bias = params[name]["kernel"], params[name]["bias"]
      layer = nn.Conv(kernel.shape[-1], kernel.shape[:2], param_dtype=jnp.float64)
      return layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)

    np.testing.assert_allclose(inner, nn.relu(conv(first, "hidden_0")), atol=1e-12)
    np.testing.assert_allclose(second, conv(inner, "hidden_1"), atol=1e-12)  # no activation
    state = first + 0.5 * second
    plain = lr_network(features=6, depth=0)
    last = {"first": {"kernel": jnp.zeros((5, 5, 1, 6)), "bias": 0 * state[0, 0, 0]}}
    y = network.apply({"params": params}, x)
    bicubic = plain.apply(
      {"params": last | {"last": jax.tree.map(jnp.zeros_like, params["last"])}}, x
    )
    phases = conv(state, "last").reshape(1, 6, 5, 2, 2).transpose(0, 1, 3, 2, 4).reshape(1, 12, 10)
    np.testing.assert_allclose(y[..., 0], bicubic[..., 0] + phases, atol=1e-12)


SHAPES = {
  "LR": schedule(12, 0),
  "half": schedule(16, 2),
  "HR": schedule(8, 2, target=Maps(hr=1)),
  "bicubic first": schedule(8, 2, bicubic_first=True, first_kernel_size=5),
  "thirds": schedule(20, 1, scale=3, hr_kernel_size=7),
}


@pytest.mark.parametrize("network", SHAPES.values(), ids=SHAPES)
def test_residual_additions_commute_with_the_shuffle(network, random_params):
  """So the mixed residual network with K = r (k - 1) + 1 is a subset of the LR one."""
  with jax.enable_x64():
    params = random_params(network)
    x = jnp.asarray(np.random.default_rng(2).random((1, 5, 4, 1)))
    lr, lr_params = lifted(network), jax.jit(lambda p: lift_network(network, p)[1])(params)
    expected = network.apply({"params": params}, x)
    np.testing.assert_allclose(lr.apply({"params": lr_params}, x), expected, atol=1e-11)
    if not network.bicubic_first:  # which no LR network contains
      (channels,) = {layer.outputs.channels(network.phases) for layer in network.layers[:-1]}
      states = (Maps(channels),) * 5
      skip = {"bicubic_skip": network.bicubic_skip, "first_kernel_size": 3, "residual": BLOCKS}
      assert lr == scheduled_network(network.scale, states, **skip)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), nearest(network, lr_params), params
    )


def test_identities_cost_nothing():
  for make in (lr_network, lambda **fields: hr_network(upsampling="transposed_conv", **fields)):
    plain, residual = budget(make(depth=8)), budget(make(depth=8, residual=Residual()))
    assert as_json(plain) == as_json(residual)


def test_a_block_of_even_hr_kernels_does_not_move_its_maps():
  """An identity would be added to maps that have moved against it."""
  network = hr_network(depth=4, upsampling="transposed_conv", residual=Residual())
  hidden = network.layers[1:-1]
  blocks = zip(hidden[::2], hidden[1::2], strict=True)
  for first, second in blocks:
    assert first.shift(2) == -second.shift(2) != 0


@pytest.mark.parametrize("depth", [2, 4])
def test_windows_are_those_of_gradients(depth, random_params):
  network = scheduled_network(
    2, (Maps(4, 2),) * (depth + 1), bicubic_skip=False, residual=BLOCKS, crosses=False
  )
  with jax.enable_x64():
    params, side = jax.tree.map(abs, random_params(network)), 2 * depth + 9
    x = jnp.ones((1, side, side, 1))

    def corner(x):
      return network.apply({"params": params}, x)[0, side - 1 : side + 1, side - 1, 0]

    support = np.abs(np.asarray(jax.jacobian(corner)(x)))[:, 0, :, :, 0].max(axis=-1)
    for seen, window in zip(support, lr_windows(network), strict=True):
      rows = np.flatnonzero(seen) - side // 2
      assert (rows[0], rows[-1]) == window


def streams(lr=3, hr=2, crosses=False, **fields):
  return scheduled_network(2, (Maps(lr, hr),) * 3, crosses=crosses, **fields)


def test_streams_do_not_cross(random_params):
  network = streams(bicubic_skip=False)
  hidden = network.layers[1]
  assert set(hidden.blocks(4, 2)) == {"from_lr", "hr_to_hr"}
  with jax.enable_x64():
    params = random_params(network)
    x = jnp.asarray(np.random.default_rng(3).random((1, 6, 4, 1)))
    expected = network.apply({"params": params}, x)
    lr, lr_params = lift_network(network, params)
    np.testing.assert_allclose(lr.apply({"params": lr_params}, x), expected, atol=1e-11)
    kernel = lr_params["hidden_0"]["kernel"]
    assert not kernel[:, :, :3, 3:].any()
    assert not kernel[:, :, 3:, :3].any()
    # The same weights, with blocks across the grids that are zero.
    full, (k, n) = streams(crosses=True, bicubic_skip=False), (3, 11)
    own = {layer: dict(values) for layer, values in params.items()}
    for name in ("hidden_0", "hidden_1"):
      values = own[name]
      values["from_lr"] = jnp.pad(values["from_lr"], ((0, 0), (0, 0), (0, 0), (0, n - 3)))
      values["hr_to_lr"] = jnp.zeros((k, k, n - 3, 3))
    np.testing.assert_allclose(full.apply({"params": own}, x), expected, atol=1e-12)


@pytest.mark.parametrize(("depth", "percent"), [(8, 0.4), (16, -0.1)])
def test_two_streams_cost_what_lr_costs(depth, percent):
  lr = budget(lr_network(depth=depth)).macs
  pair = budget(scheduled_network(2, (Maps(21, 6),) * (depth + 1), crosses=False))
  assert round(100 * float(pair.macs / lr - 1), 1) == percent
  # A stream is executed by itself: 3x3 to 21 LR maps, 4x4 to 24 phases, the ends as one.
  hidden = depth * Fraction(21**2 * 9 + 24**2 * 16, 4)
  assert pair.executed_macs == hidden + Fraction(45 * 25 + 45 * 4 * 9, 4)


def test_streams_start_with_the_variance_of_their_own_fan_in():
  network = streams(lr=40, hr=12)
  params = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]["hidden_0"]
  assert params["from_lr"].var() == pytest.approx(2 / (9 * 40), rel=0.1)
  assert params["hr_to_hr"].var() == pytest.approx(2 / (36 * 12), rel=0.1)


def test_the_second_layer_of_a_block_starts_with_its_gain():
  def start(gain):
    network = lr_network(depth=2, residual=Residual(gain=gain))
    return network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]

  zero, full = start(0.0), start(2.0)
  assert not zero["hidden_1"]["kernel"].any()
  np.testing.assert_array_equal(zero["hidden_0"]["kernel"], full["hidden_0"]["kernel"])
  assert full["hidden_1"]["kernel"].var() == pytest.approx(2 / (9 * 32), rel=0.1)


def test_descriptions_hold_blocks_and_streams():
  network = streams(residual=BLOCKS)
  assert build(describe(network)) == network
  older = describe(lr_network())
  for layer in older["layers"]:  # as before there were blocks, resizes and HR images
    for field in ("crosses", "adds", "residual_scale", "resize"):
      del layer[field]
  for field in ("identity_skip", "mid_input", "mid_output"):
    del older[field]
  assert build(older) == lr_network()


def test_what_cannot_be_added_is_refused():
  layers = lr_network(features=8, depth=2).layers
  for adds in (1, 4, -1):  # the image; before the image; after
    wrong = dataclasses.replace(layers[0], adds=adds)
    with pytest.raises(ValueError, match="has no such state to add"):
      Network(2, (wrong, *layers[1:]))
  valid = [dataclasses.replace(layer, padding="valid") for layer in layers]
  valid[2] = dataclasses.replace(valid[2], adds=2)
  with pytest.raises(ValueError, match="without padding"):
    Network(2, tuple(valid))
  with pytest.raises(ValueError, match="two hidden layers each, and there are 3"):
    lr_network(depth=3, residual=Residual())
  with pytest.raises(ValueError, match="no two streams"):
    Layer("first", Maps(1), Maps(3, 2), 3, crosses=False)
