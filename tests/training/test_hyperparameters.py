"""Members with hyperparameters of their own, held against members and networks that are fixed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import lr_network
from sr_jax.training import population
from sr_jax.training.hyperparameters import Hyperparameters, make_tuned_members
from sr_jax.training.sharding import make_mesh, replicate

PATCH, BATCH, STEPS = 6, 4, 30
PHOTO = np.random.default_rng(0).integers(0, 256, (32, 40), np.uint8)
NETWORK = lr_network(features=4, depth=1)
NO_CLIP = 1e6
USUAL = Hyperparameters(1e-2)
TRIALS = [
  USUAL,
  USUAL._replace(clip=NO_CLIP),
  USUAL._replace(clip=NO_CLIP, contrast=4.0),
  USUAL._replace(clip=NO_CLIP, first_rate=2.0, last_rate=0.1, warmup=0.2),
  USUAL._replace(gain=4.0, last_gain=100.0, clip=1e-6),
]


def train(members, steps, network=NETWORK):
  """Parameters before and after some steps, and the state, as NumPy arrays."""
  mesh = make_mesh(1, BATCH, "member:1")
  members = replicate(mesh, members)
  store = replicate(mesh, patches.make_store([make_pair("noise", PHOTO, 2)], PATCH))
  state = population.initialise(network, "arm", members, mesh)
  before = jax.tree.map(np.array, state.params)
  train_steps = population.make_train_steps(network, BATCH, PATCH, mesh)
  state, _ = train_steps(state, members, store, 0, steps, STEPS)
  return before, jax.tree.map(np.asarray, state)


def tuned(trials, steps, network=NETWORK):
  return train(make_tuned_members([0] * len(trials), trials), steps, network)


@pytest.fixture(scope="module")
def one_step():
  """What every trial is before the first step and after it, all in one program."""
  return tuned(TRIALS, 1)


def moved(one_step, member, layer, leaf="kernel"):
  before, after = one_step
  return np.abs(after.params[layer][leaf][member] - before[layer][leaf][member])


def test_the_usual_hyperparameters_train_as_members_without_any(one_step):
  before, after = train(population.make_members([0], [1e-2]), 1)
  for layer in before:
    for leaf in before[layer]:
      np.testing.assert_array_equal(one_step[0][layer][leaf][:1], before[layer][leaf])
      np.testing.assert_allclose(
        one_step[1].params[layer][leaf][:1], after.params[layer][leaf], rtol=1e-5, atol=1e-7
      )


def test_contrast_is_that_of_the_network():
  trials = [USUAL._replace(clip=NO_CLIP, contrast=4.0)]
  _, ours = tuned(trials, 8)
  _, theirs = tuned([USUAL._replace(clip=NO_CLIP)], 8, NETWORK.clone(contrast=4.0))
  for layer in theirs.params:
    for leaf, expected in theirs.params[layer].items():
      factor = 4 if (layer, leaf) == ("first", "kernel") else 1
      np.testing.assert_allclose(
        ours.params[layer][leaf], factor * expected, rtol=1e-2, atol=2e-5, err_msg=f"{layer} {leaf}"
      )


def test_first_and_last_layer_have_rates_of_their_own(one_step):
  # Adam's first step is the rate in every direction, up to its epsilon.
  for layer, factor in (("first", 2.0), ("hidden_0", 1.0), ("last", 0.1)):
    for leaf in ("kernel", "bias"):
      usual, own = (np.median(moved(one_step, member, layer, leaf)) for member in (1, 3))
      assert own / usual == pytest.approx(factor / 2, rel=0.01)  # its warm-up is twice as long


def test_contrast_is_a_rate_of_the_first_kernel_alone(one_step):
  for layer, leaf, factor in (("first", "kernel", 4), ("first", "bias", 1), ("last", "kernel", 1)):
    usual, own = (np.median(moved(one_step, member, layer, leaf)) for member in (1, 2))
    assert own / usual == pytest.approx(factor, rel=0.01)


def test_gains_are_of_the_variance_of_kernels(one_step):
  before, _ = one_step
  for layer, factor in (("first", 2), ("hidden_0", 2), ("last", 10)):
    kernel = before[layer]["kernel"]
    np.testing.assert_allclose(kernel[4], factor * kernel[0], rtol=1e-6)
    np.testing.assert_array_equal(before[layer]["bias"][4], 0)


def test_gradients_are_clipped_to_the_norm_of_the_member(one_step):
  # Adam's first moment after a step is a tenth of the clipped gradient.
  moments = jax.tree.leaves(one_step[1].opt_state[1].mu)
  norms = np.sqrt(sum((leaf.reshape(len(TRIALS), -1) ** 2).sum(1) for leaf in moments))
  assert norms[4] == pytest.approx(1e-7, rel=1e-3)
  assert norms[0] <= 0.1 * population.CLIP * 1.001
  assert norms[1] > norms[4]


def test_the_rate_rises_over_the_warm_up_of_the_member():
  rates = [
    float(
      population.learning_rate(jnp.float32(1), jnp.int32(step), jnp.int32(1000), jnp.float32(0.3))
    )
    for step in (0, 149, 299)
  ]
  np.testing.assert_allclose(rates, [1 / 300, 0.5 * 0.946, 0.796], rtol=2e-3)
