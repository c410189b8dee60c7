"""A GPU computes what a CPU computes, to the rounding of float32: `pytest -n 0 -m gpu`."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.evaluation import scoring
from sr_jax.networks import espcn, hr_network, lr_network
from sr_jax.networks.network import EXECUTIONS
from sr_jax.operators.conv import DEFAULT, PRECISIONS, Computation
from sr_jax.training import population, sharding
from sr_jax.training.autotune import BATCHED_FORMS

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("optimised")]
MEMBERS = population.make_members([0, 1], [3e-3, 1e-2])
PHOTO = make_pair("noise", np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8), 2)
BATCH, PATCH, STEPS = 8, 17, 7
NETWORKS = {
  "lr": lr_network(features=16, depth=2),
  "espcn": espcn(features=(16, 8)),
  **{name: hr_network(features=4, depth=2, execution=name) for name in EXECUTIONS},
}


@pytest.fixture(scope="module")
def cpu():
  return mesh_on(jax.devices("cpu")[0])


@pytest.fixture
def gpu():
  if jax.default_backend() != "gpu":
    pytest.skip("JAX uses no GPU here")
  return mesh_on(jax.devices()[0])


def mesh_on(device):
  names, types = (sharding.MEMBER, sharding.DATA), (AxisType.Auto,) * 2
  return jax.make_mesh((1, 1), names, axis_types=types, devices=[device])


def initial(network, mesh):
  members = sharding.shard_members(mesh, MEMBERS)
  return jax.tree.map(np.asarray, population.initialise(network, "arm", members, mesh))


def train(network, initial_state, mesh, computation):
  state, members = sharding.shard_members(mesh, (initial_state, MEMBERS))
  store = sharding.replicate(mesh, patches.make_store([PHOTO], PATCH))
  step = population.make_train_steps(network, BATCH, PATCH, mesh, computation)
  state, losses = step(state, members, store, 0, STEPS, 30, population.zero_losses(state))
  return jax.tree.map(np.asarray, (state.params, losses))


@functools.cache
def trained_on(cpu, name):
  """The state that training begins with, and the parameters and losses that it ends with."""
  state = initial(NETWORKS[name], cpu)
  return state, *train(NETWORKS[name], state, cpu, DEFAULT)


@pytest.mark.parametrize("form", BATCHED_FORMS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_training_on_a_gpu_is_that_on_a_cpu(name, precision, form, cpu, gpu):
  state, params, losses = trained_on(cpu, name)
  gpu_params, gpu_losses = train(NETWORKS[name], state, gpu, Computation(form, precision))
  if precision == "float32":
    np.testing.assert_allclose(gpu_losses, losses, rtol=1e-5)
    compare = np.testing.assert_allclose
    jax.tree.map(lambda x, y: compare(x, y, rtol=1e-3, atol=1e-4), gpu_params, params)
  else:  # operands have 10 or 7 bits after the point
    np.testing.assert_allclose(gpu_losses, losses, rtol=3e-2)


@pytest.mark.parametrize("name", NETWORKS)
def test_photographs_upscaled_on_a_gpu_are_those_of_a_cpu(name, cpu, gpu):
  network = NETWORKS[name]
  params = initial(network, cpu).params
  upscaled = [
    np.asarray(
      scoring.make_upscale(network, mesh)(
        sharding.shard_members(mesh, params), PHOTO.input[..., None]
      )
    )
    for mesh in (cpu, gpu)
  ]
  np.testing.assert_allclose(upscaled[1], upscaled[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [NETWORKS["lr"], NETWORKS["hr_space"]], ids=["lr", "hr"])
def test_a_population_begins_on_a_gpu_as_on_a_cpu(network, cpu, gpu):
  compare = np.testing.assert_allclose
  jax.tree.map(
    lambda x, y: compare(x, y, rtol=1e-5, atol=1e-7), initial(network, gpu), initial(network, cpu)
  )
