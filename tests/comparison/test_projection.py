"""Projection onto found ties, against the lift of the nearest HR network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.comparison import projection, tie_search, ties
from sr_jax.networks import Maps, lr_network, upscale
from sr_jax.networks.pair import Residual, lift_network, lifted, nearest, scheduled_network

RESIDUALS = {"plain": None, "residual": Residual()}


def networks(residual, activation="relu"):
  """An LR network and the HR network whose lift it is."""
  shape = {"activation": activation, "residual": RESIDUALS[residual]}
  lr = lr_network(features=16, depth=2, **shape)
  return lr, scheduled_network(states=(Maps(hr=4),) * 3, hr_kernel_size=5, **shape)


def draw(network, members=2, seed=0):
  """Random parameters of members in float64, biases off zero."""
  rng = np.random.default_rng(seed)
  images = np.zeros((1, 8, 8, 1), np.float32)
  shapes = jax.eval_shape(network.init, jax.random.key(0), images)["params"]
  return jax.tree.map(
    lambda like: rng.standard_normal((members, *like.shape)) / np.sqrt(np.prod(like.shape[:-1])),
    shapes,
  )


def assert_close(params, others):
  jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), params, others)


def in_order(lr, members=2):
  """The orders in which channels are phases as they stand."""
  shape = members, max(ties.states_of(lr)) + 1, 16
  return np.broadcast_to(np.arange(16), shape)


@pytest.mark.parametrize("residual", RESIDUALS)
def test_it_is_the_lift_of_the_nearest_hr_network(residual):
  lr, hr = networks(residual)
  assert projection.hr_counterpart(lr).layers[1:] == hr.layers[1:]  # but for the name of the first
  assert lifted(hr).layers == lr.layers
  for maps in (None, 2):
    counterpart = projection.hr_counterpart(lr, maps)
    assert counterpart.layers[1].outputs == (Maps(lr=8, hr=2) if maps else Maps(hr=4))
    assert lifted(counterpart).layers == lr.layers
  params = draw(lr)
  projected = projection.project(lr, params, in_order(lr))
  with jax.enable_x64():
    for member in range(2):
      own = jax.tree.map(lambda array, i=member: array[i], params)
      _, expected = lift_network(hr, nearest(hr, own))
      assert_close(jax.tree.map(lambda array, i=member: array[i], projected), expected)


@pytest.mark.parametrize("maps", [None, 2])
def test_it_is_idempotent_in_any_order(maps):
  lr, _ = networks("residual")
  orders = ties.random_orders(2, 16, ties.structure_of(lr), np.random.default_rng(0))
  first = projection.project(lr, draw(lr), orders, maps)
  assert_close(projection.project(lr, first, orders, maps), first)


def test_some_maps_leave_the_rest_alone():
  lr, _ = networks("plain")
  params, orders = draw(lr), in_order(lr)
  part, whole = (projection.project(lr, params, orders, maps) for maps in (1, 4))
  tied = np.isin(np.arange(16), [0, 4, 8, 12])
  both = tied[:, None] & tied
  for name in ("hidden_0", "hidden_1"):
    own, some, every = (each[name]["kernel"] for each in (params, part, whole))
    np.testing.assert_array_equal(some[..., ~both], own[..., ~both])
    np.testing.assert_array_equal(some[..., both], every[..., both])
  np.testing.assert_array_equal(part["first"]["bias"][:, ~tied], params["first"]["bias"][:, ~tied])
  for name in ("first", "last"):
    np.testing.assert_array_equal(whole[name]["kernel"], params[name]["kernel"])


@pytest.mark.parametrize("residual", RESIDUALS)
def test_a_shuffled_lift_is_found_back_and_not_changed(residual):
  lr, hr = networks(residual)
  drawn = draw(hr)
  with jax.enable_x64():
    params = jax.vmap(lambda member: lift_network(hr, member)[1])(drawn)
    structure = ties.structure_of(lr)
    orders = ties.random_orders(2, 16, structure, np.random.default_rng(1))
    shuffled = projection.shuffle(lr, params, orders)
    image = jnp.asarray(np.random.default_rng(2).random((1, 6, 5, 1)))
    outputs = [
      upscale(lr, jax.tree.map(lambda array: jnp.asarray(array[1]), each), image)
      for each in (params, shuffled)
    ]
  np.testing.assert_allclose(*outputs, rtol=1e-9)
  kernels = projection.kernels_of(lr, shuffled)
  best = tie_search.search(kernels, structure, seed=0)
  np.testing.assert_allclose(ties.shares(kernels, best, structure), 1, rtol=1e-12)
  assert_close(projection.project(lr, shuffled, best), shuffled)


@pytest.mark.parametrize("residual", RESIDUALS)
def test_ties_are_found_back_whatever_the_strength_of_channels(residual):
  lr, hr = networks(residual)
  drawn, structure, rng = draw(hr), ties.structure_of(lr), np.random.default_rng(3)
  with jax.enable_x64():
    params = jax.vmap(lambda member: lift_network(hr, member)[1])(drawn)
    factors = np.exp(rng.standard_normal((2, max(structure.classes) + 1, 16)))
    weak = rescaled(lr, params, [factors[:, number] for number in structure.classes])
    kernels = projection.kernels_of(lr, weak)
    before = ties.shares(kernels, tie_search.search(kernels, structure, seed=0), structure)
    assert before.max() < 0.8
    balanced = projection.balanced(lr, weak)
    image = jnp.asarray(rng.random((1, 6, 5, 1)))
    outputs = [
      upscale(lr, jax.tree.map(lambda array: jnp.asarray(array[1]), each), image)
      for each in (params, weak, balanced)
    ]
  np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-9)
  np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-9)
  kernels = projection.kernels_of(lr, balanced)
  best = tie_search.search(kernels, structure, seed=0)
  assert ties.shares(kernels, best, structure).min() > 0.99
  assert_close(projection.balanced(lr, balanced), balanced)


def rescaled(lr, params, factors):
  """Parameters that compute the same with ReLUs, channels of states times these factors."""
  ones = np.ones((2, 1))
  scaled = {}
  for layer, reads, writes in zip(lr.layers, [ones, *factors], [*factors, ones], strict=True):
    kernel, bias = params[layer.name]["kernel"], params[layer.name]["bias"]
    kernel = kernel * (writes[:, None] / reads[:, :, None])[:, None, None]
    scaled[layer.name] = {"kernel": kernel, "bias": bias * writes}
  return scaled


def test_channels_without_energy_and_networks_with_tanh_are_not_scaled():
  lr, _ = networks("plain")
  params = draw(lr)
  params["hidden_0"]["kernel"][..., 3] = 0
  balanced = projection.balanced(lr, params)
  assert all(np.isfinite(array).all() for array in jax.tree.leaves(balanced))
  np.testing.assert_array_equal(
    balanced["hidden_0"]["bias"][:, 3], params["hidden_0"]["bias"][:, 3]
  )
  with_tanh, _ = networks("plain", activation="tanh")
  assert projection.balanced(with_tanh, params) is params


def test_the_phases_of_a_map_make_its_picture():
  lr, hr = networks("residual")
  own = jax.tree.map(lambda array: jnp.asarray(array[0], np.float32), draw(hr))
  _, params = lift_network(hr, own)
  image = np.random.default_rng(0).random((6, 6)).astype(np.float32)
  channels = projection.state_of(lr, params, 2, image)[..., 1::4]
  picture = projection.interleave(channels, 2)
  until = hr.clone(layers=hr.layers[:3], bicubic_skip=False)
  expected = until.apply({"params": own}, jnp.asarray(image)[None, :, :, None])[0, :, :, 1]
  np.testing.assert_allclose(picture, expected, atol=1e-5)
