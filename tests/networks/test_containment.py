import jax
import numpy as np
import pytest

from sr_jax.networks import hr_network, lr_network
from sr_jax.networks.containment import contains
from sr_jax.networks.pair import lift_network

LEARNED = {"upsampling": "transposed_conv"}
NETWORKS = {
  "lr": lr_network(),
  "lr_far": lr_network(first_kernel_size=9),
  "lr_narrow": lr_network(features=16),
  "lr_deeper": lr_network(depth=5),
  "lr_tied": hr_network(kernel_size=5, **LEARNED),
  "hr_learned": hr_network(**LEARNED),
  "hr_untied": hr_network(**LEARNED, untied=True),
  "hr": hr_network(),
}


def test_the_pairs_that_contain_each_other_are_found():
  names = [(a, b) for a in NETWORKS for b in NETWORKS]
  assert {(a, b) for a, b in names if contains(NETWORKS[a], NETWORKS[b])} == {
    ("lr", "lr_tied"),
    ("lr_far", "lr"),
    ("lr_far", "lr_tied"),
    ("hr_untied", "hr_learned"),
    # A 5x5 kernel with a zero row and column more is one of 6x6, its odd zero on either side.
    ("hr_learned", "lr_tied"),
    ("hr_untied", "lr_tied"),
  }


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_what_is_contained_is_computed_by_its_lift(activation):
  tied = hr_network(features=2, depth=1, kernel_size=5, activation=activation, **LEARNED)
  outer = lr_network(features=8, depth=1, activation=activation)
  assert contains(outer, tied)
  x = jax.random.uniform(jax.random.key(0), (1, 7, 6, 1))
  params = tied.init(jax.random.key(1), x)["params"]
  _, lifted_params = lift_network(tied, params)
  shapes = jax.eval_shape(outer.init, jax.random.key(0), x)["params"]
  assert jax.tree.map(np.shape, lifted_params) == jax.tree.map(lambda leaf: leaf.shape, shapes)
  np.testing.assert_allclose(
    outer.apply({"params": lifted_params}, x), tied.apply({"params": params}, x), atol=1e-5
  )


def test_other_activations_skips_and_scales_contain_nothing():
  tied = NETWORKS["lr_tied"]
  assert not contains(lr_network(activation="tanh"), tied)
  assert not contains(lr_network(bicubic_skip=False), tied)
  assert not contains(lr_network(scale=3, features=36), tied)
