"""Gates between free and tied kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.comparison import learner
from sr_jax.comparison.learner import LEARNED, SHUFFLED, Learner
from sr_jax.networks import Maps, lr_network, upscale
from sr_jax.networks.pair import lifted, nearest, scheduled_network

LR = lr_network(features=8, depth=2)
TIED = scheduled_network(states=(Maps(hr=2),) * 3, hr_kernel_size=5)
IMAGES = np.random.default_rng(1).random((1, 7, 8, 1))


@pytest.fixture(autouse=True)
def in_double_precision():
  with jax.enable_x64():
    yield


@pytest.fixture
def weights():
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(LR.init, jax.random.key(0), jnp.asarray(IMAGES))["params"]
  return jax.tree.map(lambda like: jnp.asarray(rng.standard_normal(like.shape)), shapes)


def learner_of(variant):
  tie, learns, shuffled = learner.VARIANTS[variant]
  return Learner(0, 1e-3, jnp.asarray(tie), jnp.asarray(float(learns)), jnp.asarray(shuffled))


def gates_of_ones_and_zeros(*states):
  names = [layer.name for layer in LR.layers[:-1]]
  return {
    name: jnp.atleast_1d(jnp.asarray(gate, float)) for name, gate in zip(names, states, strict=True)
  }


def effective(weights, gates, variant=LEARNED):
  return jax.jit(lambda *trees: learner.effective(*trees, learner_of(variant), LR, TIED))(
    weights, gates
  )


def output(network, params):
  return upscale(network, params, jnp.asarray(IMAGES))


def test_the_tied_network_lifts_to_the_lr_network():
  assert lifted(TIED).layers == LR.layers


def test_without_gates_weights_are_as_they_are(weights):
  same = effective(weights, gates_of_ones_and_zeros(0, 0, 0))
  for name, own in weights.items():
    for part in ("kernel", "bias"):
      np.testing.assert_array_equal(same[name][part], own[part])


@pytest.mark.parametrize(
  ("states", "maps"),
  [((1, 1, 1), (2, 2, 2)), ((1, 1, 0), (2, 2, 0)), ((0, 1, 1), (0, 2, 2)), ((0, 1, 0), (0, 2, 0))],
)
def test_gates_of_one_give_the_network_of_that_schedule(weights, states, maps):
  """What gates make of weights computes what the HR-space network of the schedule computes."""
  schedule = scheduled_network(states=[Maps(8 - 4 * h, h) for h in maps], hr_kernel_size=5)
  in_hr_space = output(schedule, nearest(schedule, weights))
  gated = output(LR, effective(weights, gates_of_ones_and_zeros(*states)))
  np.testing.assert_allclose(gated, in_hr_space, rtol=1e-10, atol=1e-10)


def test_gates_of_maps_give_the_network_of_that_share(weights):
  share = scheduled_network(states=[Maps(4, 1)] * 3, hr_kernel_size=5)
  # Of two maps, whose phases alternate, the second is HR: the first's channels come first.
  order = np.array([0, 2, 4, 6, 1, 3, 5, 7])

  def reordered(params, order):
    names = list(params)
    return {
      name: {
        "kernel": own["kernel"][..., slice(None) if name == names[0] else order, :][
          ..., slice(None) if name == names[-1] else order
        ],
        "bias": own["bias"] if name == names[-1] else own["bias"][order],
      }
      for name, own in params.items()
    }

  gated = effective(weights, gates_of_ones_and_zeros(*([[0, 1]] * 3)))
  in_hr_space = output(share, nearest(share, reordered(weights, order)))
  np.testing.assert_allclose(output(LR, gated), in_hr_space, rtol=1e-10, atol=1e-10)


def test_half_a_gate_is_half_way(weights):
  free, tied = (effective(weights, gates_of_ones_and_zeros(*[s] * 3)) for s in (0, 1))
  half = effective(weights, gates_of_ones_and_zeros(*[0.5**0.5] * 3))
  between = jax.tree.map(lambda a, b: (a + b) / 2, free, tied)
  for name in ("hidden_0", "hidden_1"):
    np.testing.assert_allclose(half[name]["kernel"], between[name]["kernel"], atol=1e-12)


def test_shuffled_ties_take_as_much_and_keep_nothing_of_hr_maps(weights):
  gates = gates_of_ones_and_zeros(1, 1, 1)
  true, shuffled = effective(weights, gates), effective(weights, gates, SHUFFLED)
  again = effective(shuffled, gates, SHUFFLED)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), again, shuffled)
  for name in ("hidden_0", "hidden_1"):
    ranks = [np.unique(np.round(own[name]["kernel"], 9)).size for own in (true, shuffled)]
    assert ranks[0] == ranks[1] == 25 * 4 + 1  # HR weights, and the taps that none reaches
    assert not np.allclose(true[name]["kernel"], shuffled[name]["kernel"])


@pytest.mark.parametrize("variant", learner.VARIANTS)
@pytest.mark.parametrize("over", ["states", "maps"])
def test_gated_kernels_start_with_the_variance_of_free_ones(variant, over):
  lr = lr_network(features=32, depth=2)
  tied = scheduled_network(states=(Maps(hr=8),) * 3, hr_kernel_size=5)
  weights = jax.jit(lr.init)(jax.random.key(0), jnp.asarray(IMAGES))["params"]
  member = learner_of(variant)
  params = learner.with_gates(weights, member, lr, tied, over)
  gates = learner.gates_of(params, member, lr)
  assert {gate.size for gate in gates.values()} == ({1} if over == "states" else {8})
  start = learner.effective(params, gates, member, lr, tied)
  for name in ("hidden_0", "hidden_1"):
    ratio = np.var(start[name]["kernel"]) / np.var(weights[name]["kernel"])
    assert ratio == pytest.approx(1, abs=0.1)


def test_frozen_gates_stay_and_others_have_gradients(weights):
  def total(params, variant):
    member = learner_of(variant)
    gates = learner.gates_of(params, member, LR)
    return output(LR, learner.effective(params, gates, member, LR, TIED)).sum()

  for variant in (LEARNED, "frozen at 0.5"):
    params = learner.with_gates(weights, learner_of(variant), LR, TIED, "states")
    gradient = jax.grad(total)(params, variant)
    moved = [float(abs(own["gate"][0])) > 0 for own in gradient.values() if "gate" in own]
    assert moved == [variant == LEARNED] * 3
