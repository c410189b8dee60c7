"""What tests of several networks share."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp


@pytest.fixture
def random_params():
  """Random parameters in float64, of the size a network starts with, biases off zero."""

  def make(network, seed=0):
    rng = np.random.default_rng(seed)
    maps = 1 if network.bicubic_first else sum(dataclasses.astuple(network.layers[0].inputs))
    image = jnp.zeros((1, *(2 * network.scale,) * network.dims, maps))
    shapes = jax.eval_shape(network.init, jax.random.key(0), image)["params"]

    def values(p):
      size = max(0.1, np.sqrt(2 / np.prod(p.shape[:-1])))
      return jnp.asarray(rng.standard_normal(p.shape) * size)

    return jax.tree.map(values, shapes)

  return make
