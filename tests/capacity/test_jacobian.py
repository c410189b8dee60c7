import numpy as np
import pytest

from experiments.capacity import networks
from sr_jax.capacity.jacobian import jacobian, rank_of
from sr_jax.networks import lr_network

RANKS = {
  "tanh": {"lr": 400, "hr": 100, "hr_learned": 175, "lr_tied": 153},
  "relu": {"lr": 392, "hr": 98, "hr_learned": 173},
}


@pytest.mark.slow
@pytest.mark.parametrize("activation", RANKS)
def test_the_rank_is_the_number_of_parameters_less_the_scales_that_relu_shares(
  activation, optimised
):
  del optimised
  every = networks(4, depth=1, activation=activation)
  for name, rank in RANKS[activation].items():
    measured = rank_of(every[name], seed=0)
    assert (name, measured.rank) == (name, rank)
    assert measured.parameters == RANKS["tanh"][name]
    assert 1 < measured.effective_rank < measured.rank


def test_the_jacobian_is_the_derivative(optimised):
  del optimised
  rows = jacobian(lr_network(features=1, depth=0), seed=1)
  assert rows.shape == (8 * 24 * 24, 25 + 1 + 9 * 4 + 4)
  # The last biases each move one phase, everywhere alike. Parameters go layer by layer, by name:
  # the first bias and kernel, then the last bias and kernel.
  last_bias = rows[:, 26:30].reshape(8, 12, 2, 12, 2, 4)
  for phase in range(4):
    moved = np.zeros((2, 2))
    moved[divmod(phase, 2)] = 1
    expected = np.broadcast_to(moved[None, None, :, None, :], (8, 12, 2, 12, 2))
    np.testing.assert_allclose(last_bias[..., phase], expected, atol=1e-12)
