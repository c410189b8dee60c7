import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import lr_network, squared_error
from sr_jax.operators.conv import DEFAULT
from sr_jax.training import lbfgs, population, sharding
from sr_jax.training.lbfgs import Patches, draw_patches, losses
from sr_jax.training.objective import Upscaling

NETWORK, OBJECTIVE = lr_network(features=4, depth=0), Upscaling(2)
RNG = np.random.default_rng(0)
STORE = patches.make_store([make_pair("a", RNG.integers(0, 256, (32, 40), np.uint8), 2)], 6)
MESH = sharding.make_mesh(2, batch=1)


@pytest.fixture(scope="module")
def fixed():
  drawn = draw_patches(jax.device_put(STORE), 8, 4, 6, OBJECTIVE)
  return Patches(*sharding.upload(jax.tree.map(np.asarray, drawn)))


@pytest.fixture(scope="module")
def begun():
  members = sharding.shard_members(MESH, population.make_members([0, 1], [1e-3]))
  state = population.initialise(NETWORK, "lr", members, MESH)
  return jax.tree.map(np.asarray, state.params)


@pytest.fixture(scope="module")
def iterate(fixed):
  """Iterations from `start` to `stop` of a state, which is not kept."""
  members = sharding.shard_members(MESH, population.make_members([0, 1], [lbfgs.FIRST_STEP]))
  program = lbfgs.make_train_steps(NETWORK, MESH, DEFAULT, OBJECTIVE)
  data = sharding.on_mesh(MESH, fixed)

  def call(state, start, stop):
    span = sharding.replicate_integers(MESH, start, stop, 99)
    return program(state, members, data, *span, population.zero_losses(state))

  return call


def measure(params, fixed):
  return losses(NETWORK, params, fixed, MESH, DEFAULT, OBJECTIVE)


def test_the_loss_and_its_gradient_are_those_of_all_patches_at_once(begun, fixed):
  values = measure(begun, fixed)
  slope = jax.jit(jax.grad(lbfgs._make_loss(NETWORK, DEFAULT, OBJECTIVE)))
  inputs, targets = (x.reshape(-1, *x.shape[2:]) for x in fixed)
  assert len(inputs) == 8
  for member in range(2):
    params = jax.tree.map(lambda leaf, i=member: jnp.asarray(leaf[i]), begun)
    value, gradient = jax.value_and_grad(squared_error, argnums=1)(NETWORK, params, inputs, targets)
    np.testing.assert_allclose(values[member], value, rtol=1e-5)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max()),
      slope(params, fixed),
      gradient,
    )


def test_every_iteration_fits_better_and_a_stop_between_changes_no_bit(begun, fixed, iterate):
  state, total = iterate(lbfgs.start_from(begun, MESH), 0, 4)
  whole = jax.tree.map(np.asarray, state.params)
  by_iteration = [measure(begun, fixed)]
  state = lbfgs.start_from(begun, MESH)
  for i in range(4):
    state, _ = iterate(state, i, i + 1)
    by_iteration.append(measure(state.params, fixed))
  assert (np.diff(by_iteration, axis=0) < 0).all()
  # Those that are added up are of the beginning of every iteration.
  np.testing.assert_allclose(total, np.sum(by_iteration[:4], axis=0), rtol=1e-5)
  for one_by_one, at_once in zip(
    jax.tree.leaves(state.params), jax.tree.leaves(whole), strict=True
  ):
    np.testing.assert_array_equal(one_by_one, at_once)


def test_patches_are_the_same_in_every_run_and_of_the_images(fixed):
  again = draw_patches(jax.device_put(STORE), 8, 4, 6, OBJECTIVE)
  for first, second in zip(fixed, again, strict=True):
    np.testing.assert_array_equal(first, second)
  assert fixed.inputs.shape == (2, 4, 6, 6, 1)
  assert fixed.targets.shape == (2, 4, 12, 12, 1)
  assert len(np.unique(np.asarray(fixed.inputs).reshape(8, -1), axis=0)) == 8
