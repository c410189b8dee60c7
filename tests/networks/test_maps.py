"""Costs of layers between states of LR and HR maps, and how their kernels start."""

import itertools
import math
from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from sr_jax.networks import Maps, hr_network, lr_network
from sr_jax.networks.budget import budget
from sr_jax.networks.network import Conv
from sr_jax.networks.pair import scheduled_network

bounded = settings(deadline=None, derandomize=True, database=None, max_examples=100)


@st.composite
def schedules(draw):
  """The scale r, k, d, n and depth + 1 counts of HR maps."""
  scale, size, dims = draw(st.integers(2, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
  most = draw(st.integers(1, 4))
  channels = scale**dims * most + draw(st.integers(0, 3))
  hr_maps = draw(st.lists(st.integers(0, most), min_size=1, max_size=6))
  return scale, size, dims, channels, hr_maps


def schedule(scale, size, dims, channels, hr_maps, **fields):
  states = [Maps(channels - scale**dims * h, h) for h in hr_maps]
  fields = {"kernel_size": size, "first_kernel_size": size, "dims": dims, **fields}
  return scheduled_network(scale, states, **fields)


@bounded
@given(schedules(), st.booleans(), st.booleans())
def test_every_schedule_costs_the_same(numbers, has_free_phases, tied):
  scale, size, dims, channels, hr_maps = numbers
  phases = scale**dims
  target = None if has_free_phases else Maps(hr=1)
  cost = budget(schedule(*numbers, target=target, tied=tied))
  hidden = (len(hr_maps) - 1) * Fraction(channels**2 * size**dims, phases)
  assert cost.macs == Fraction(channels * size**dims, phases) + hidden + channels * size**dims
  assert cost.activations == Fraction(len(hr_maps) * channels, phases) + 1
  never = budget(schedule(scale, size, dims, channels, [0] * len(hr_maps)))
  assert (cost.macs, cost.activations) == (never.macs, never.activations)
  assert cost.executed_macs >= cost.macs


@bounded
@given(schedules(), st.booleans())
def test_weights_and_biases_have_a_closed_form(numbers, has_free_phases):
  scale, size, dims, channels, hr_maps = numbers
  phases = scale**dims
  target = Maps(lr=phases) if has_free_phases else Maps(hr=1)
  network = schedule(*numbers, target=target)
  counts = [1, *[channels] * len(hr_maps), phases]
  in_hr = [0, *hr_maps, target.hr]
  for i, layer in enumerate(network.layers):
    tied = phases * (phases - 1) * in_hr[i] * in_hr[i + 1]
    assert layer.weights(phases, dims) == size**dims * (counts[i] * counts[i + 1] - tied)
    assert layer.biases(phases) == counts[i + 1] - (phases - 1) * in_hr[i + 1]
  free = schedule(*numbers, target=target, tied=False)
  assert sum(layer.weights(phases, dims) for layer in free.layers) == size**dims * sum(
    before * after for before, after in itertools.pairwise(counts)
  )
  never = schedule(scale, size, dims, channels, [0] * len(hr_maps))
  assert budget(free).parameters == budget(never).parameters


@bounded
@given(schedules(), st.integers(1, 9))
def test_an_hr_kernel_of_another_size_costs_its_taps(numbers, hr_size):
  scale, size, dims, _, hr_maps = numbers
  whole, other = (schedule(*numbers, hr_kernel_size=k) for k in (0, hr_size))
  pairs = sum(a * b for a, b in itertools.pairwise(hr_maps))
  taps = (scale * size) ** dims - hr_size**dims
  assert budget(whole).macs - budget(other).macs == taps * pairs
  assert budget(whole).parameters - budget(other).parameters == taps * pairs


@pytest.mark.parametrize(
  ("hr_maps", "weights"), [(0, 38_816), (2, 36_872), (4, 31_472), (6, 22_616), (8, 10_304)]
)
def test_weights_by_share(hr_maps, weights):
  network = scheduled_network(2, [Maps(32 - 4 * hr_maps, hr_maps)] * 5, target=Maps(hr=1))
  assert sum(layer.weights(4, 2) for layer in network.layers) == weights
  cost = budget(network)
  assert (cost.macs, cost.activations) == (9704, 41)
  shape = (1, 4, 4, 1)
  params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(shape))["params"]
  assert sum(p.size for p in jax.tree.leaves(params) if p.ndim == 4) == weights
  assert sum(p.size for p in jax.tree.leaves(params)) == cost.parameters


@bounded
@given(schedules(), st.sampled_from(["nearest", "linear"]))
def test_a_resize_convolution_costs_what_an_hr_kernel_of_its_taps_does(numbers, resize):
  scale, size, dims, *_ = numbers
  size += 1 - size % 2
  states = [Maps(lr=6), Maps(hr=4)]
  network = scheduled_network(
    scale, states, kernel_size=size, dims=dims, target=Maps(hr=1), resize=resize
  )
  layer = network.layers[1]
  assert layer.macs(scale**dims, dims) == layer.weights(scale**dims, dims) == size**dims * 6 * 4
  assert layer.fan_in(scale**dims, dims)[1] == size**dims * 6
  assert layer.shift(scale) == 0
  # As an LR convolution to the phases, of the taps that the composed kernel takes.
  half = size // 2 if resize == "nearest" else size // 2 + scale // 2
  taps = 1 + 2 * -(-half // scale)
  others = sum(network.layers[i].macs(scale**dims, dims) for i in (0, 2))
  assert budget(network).executed_macs == taps**dims * 6 * 4 + others


def test_an_hr_image_is_read_as_the_hr_maps_of_any_state():
  fields = {"inputs": Maps(hr=2), "bicubic_skip": False, "first_kernel_size": 7}
  for state, kernels in (
    (Maps(lr=8), {"kernel": (3, 3, 8, 8)}),
    (Maps(hr=2), {"kernel": (6, 6, 2, 2)}),
    (Maps(4, 1), {"hr_to_lr": (3, 3, 8, 4), "hr_to_hr": (6, 6, 2, 1)}),
  ):
    network = scheduled_network(2, [state] * 2, **fields)
    blocks = network.layers[0].blocks(4, 2).values()
    assert {block.name: block.shape for block in blocks} == kernels
    assert network.layers[0].macs(4, 2) == 9 * 8 * 8 / 4
    at_start = [layer.extra_at_start for layer in network.layers]
    assert at_start == [False, bool(state.hr), False]  # with the first layer's even kernel


def test_the_ends_of_the_family_are_the_networks_of_the_note():
  assert scheduled_network(2, [Maps(lr=32)] * 5) == lr_network()
  assert scheduled_network(2, [Maps(hr=8)] * 5, target=Maps(hr=1)) == hr_network(
    upsampling="transposed_conv"
  )


def test_adjacent_hr_states_lose_weights_and_others_only_biases():
  # The negative controls of the question when: LR networks but for 24 biases a state of HR maps.
  never, at_first, alternating, early = (
    budget(schedule(2, 3, 2, 32, hr_maps)).parameters
    for hr_maps in ((0,) * 5, (8, 0, 0, 0, 0), (0, 8, 0, 8, 0), (8, 8, 8, 0, 0))
  )
  assert (never - at_first, never - alternating) == (24, 48)
  assert never - early == 3 * 24 + 2 * 9 * 4 * 3 * 8 * 8


# K = r k, of which both fan-ins are n k^d, and less.
@pytest.mark.parametrize("hr_size", [6, 4])
@pytest.mark.parametrize(
  ("inputs", "outputs"),
  [
    (Maps(16, 12), Maps(24, 10)),
    (Maps(0, 16), Maps(24, 10)),
    (Maps(16, 12), Maps(0, 16)),
    (Maps(64, 0), Maps(24, 10)),
    (Maps(0, 16), Maps(0, 16)),
  ],
  ids=["all", "from-hr", "to-hr", "from-lr", "hr-alone"],
)
def test_kernels_start_with_the_variance_of_each_output(hr_size, inputs, outputs):
  states = [inputs, outputs]
  layer = scheduled_network(2, states, hr_kernel_size=hr_size).layers[1]
  zeros = jnp.zeros((1, 2, 2, inputs.channels(4)))
  params = jax.jit(Conv(layer, 2, True).init)(jax.random.key(0), zeros)["params"]
  kernels = {key: np.asarray(params[block.name]) for key, block in layer.blocks(4, 2).items()}
  to_lr = 9 * (inputs.lr + 4 * inputs.hr)
  to_hr = 9 * inputs.lr + hr_size**2 * inputs.hr

  def check(kernel, fan_in):
    if kernel.size:
      error = 5 / math.sqrt(kernel.size)  # 3.5 standard deviations of a mean square
      np.testing.assert_allclose(np.mean(kernel**2) * fan_in / 2, 1, atol=error)

  if "from_lr" in kernels:
    check(kernels["from_lr"][..., : outputs.lr], to_lr)
    check(kernels["from_lr"][..., outputs.lr :], to_hr)
  if "hr_to_lr" in kernels:
    check(kernels["hr_to_lr"], to_lr)
  if "hr_to_hr" in kernels:
    check(kernels["hr_to_hr"], to_hr)
