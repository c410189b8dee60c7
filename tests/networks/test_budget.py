import jax
import jax.numpy as jnp
import pytest

from sr_jax.config import InputError
from sr_jax.networks import hr_network, lr_network
from sr_jax.networks.budget import Arm, budget, matches, note_pair
from sr_jax.operators.conv import conv


@pytest.mark.parametrize(
  ("network", "macs", "parameters"),
  [
    (lr_network(), 9704, 38_980),
    (hr_network(), 9704, 9_745),
    (hr_network(upsampling="transposed_conv"), 9704, 10_345),
    (hr_network(kernel_size=5, upsampling="transposed_conv"), 6800, 7_441),
    (hr_network(features=12, kernel_size=4), 9708, None),
    (hr_network(features=16, kernel_size=3), 9760, None),
    (hr_network(features=24, kernel_size=2), 9912, None),
  ],
)
def test_published_numbers(network, macs, parameters):
  cost = budget(network)
  assert cost.macs == macs
  assert parameters in (None, cost.parameters)


@pytest.mark.parametrize(
  ("scale", "features", "pair"), [(2, 32, (8, 6)), (3, 36, (4, 9)), (4, 64, (4, 12))]
)
def test_the_pair_of_the_note_costs_exactly_the_same(scale, features, pair):
  lr = lr_network(scale=scale, features=features)
  maps, kernel_size = note_pair(scale, features, 3, 4, 0.02)
  assert (maps, kernel_size) == pair
  hr = hr_network(scale=scale, features=maps, kernel_size=kernel_size)
  assert budget(hr).macs == budget(lr).macs
  assert budget(hr).activations == budget(lr).activations
  hidden = [sum(layer.biases(scale**2) for layer in net.layers[1:-1]) for net in (lr, hr)]
  assert hidden[0] == scale**2 * hidden[1]


def test_other_shapes_match_in_hidden_layers():
  assert matches(2, 32, 3) == [(2, 24), (3, 16), (4, 12), (6, 8), (8, 6), (12, 4), (16, 3)]


def test_features_that_do_not_divide_are_refused_with_what_would():
  with pytest.raises(InputError) as caught:
    note_pair(3, 32, 3, 4, 0.022)
  for words in ("27 or 36", "(4 maps of 8x8)", "(8 maps of 4x4)", "--hr_features=4"):
    assert words in str(caught.value)
  assert "16x16" not in str(caught.value)  # matches in hidden layers, but 4 % off as a network


def test_an_arm_off_its_target_is_refused():
  hr = hr_network(features=16, kernel_size=3)
  macs = budget(lr_network()).macs
  assert Arm("hr", hr, macs, 0.01, "").budget.macs == 9760
  with pytest.raises(InputError, match=r"9760 MACs per HR pixel, not 9704: \+0.6%"):
    Arm("hr", hr, macs, 0.0, "")


@pytest.mark.parametrize(
  "network",
  [lr_network(bicubic_skip=False), hr_network(), hr_network(upsampling="transposed_conv")],
)
def test_closed_form_equals_the_count_of_xla(network):
  # XLA counts multiply and add, and no taps on padding: so VALID, layer by layer.
  side, flops = 48, 0.0
  for layer in network.layers:
    (block,) = layer.blocks(network.phases, 2).values()
    shape = block.shape
    sides = side + shape[0] - 1
    x = jnp.zeros((1, sides, sides, shape[-2]))
    valid = jax.jit(lambda x, k: conv(x, k, ((0, 0), (0, 0)))).lower(x, jnp.zeros(shape)).compile()
    pixels = side**2 * (1 if layer.from_hr_to_hr else network.phases)
    flops += valid.cost_analysis()["flops"] / pixels
  assert flops == 2 * budget(network).macs


def test_execution_in_lr_space_costs_more_macs_and_says_so():
  cost = budget(hr_network(execution="lr_space"))
  assert cost.macs == 9704
  hidden = 32**2 * 4**2 / 2**2  # 4x4 LR kernels on 32 maps: 16 / 9 of the LR network's 3x3
  assert cost.executed_macs == 32 * 4 * 9 / 4 + 4 * hidden + 32 * 4 * 16 / 4
  assert budget(hr_network()).executed_macs == 9704


def test_untied_phases_cost_no_macs_but_the_parameters_of_the_lr_network():
  tied = hr_network(upsampling="transposed_conv", execution="lr_space")
  untied = hr_network(upsampling="transposed_conv", untied=True)
  cost = budget(untied)
  assert (cost.macs, cost.parameters) == (9704, budget(lr_network()).parameters)
  assert cost.executed_macs == budget(tied).executed_macs


def test_the_tied_subset_of_the_lr_family_executes_at_its_cost():
  hr = hr_network(kernel_size=5, upsampling="transposed_conv", execution="lr_space")
  assert budget(hr).macs == 6800
  assert budget(hr).executed_macs == budget(lr_network()).macs == 9704


def test_bicubic_stands_apart():
  assert budget(lr_network()).bicubic_macs == 25
  assert budget(lr_network(bicubic_skip=False)).bicubic_macs == 0
  assert budget(hr_network(bicubic_skip=False)).bicubic_macs == 25
