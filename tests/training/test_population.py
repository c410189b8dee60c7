import contextlib
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.data.pairs import Layout
from sr_jax.networks import espcn, hr_network, lr_network, squared_error, upscale
from sr_jax.operators.conv import DEFAULT, Computation
from sr_jax.training import population, sharding

RNG = np.random.default_rng(0)
PHOTOS = [make_pair("a", RNG.integers(0, 256, (32, 40), np.uint8), 2)]
PATCH, BATCH, STEPS = 6, 4, 30
STORE = patches.make_store(PHOTOS, PATCH)
LR, HR = lr_network(features=8, depth=1), hr_network(features=2, depth=1)
WHO = population.make_members([0, 1], [3e-3, 1e-2])


def mesh_of(members, data):
  return jax.make_mesh(
    (members, data),
    (sharding.MEMBER, sharding.DATA),
    axis_types=(AxisType.Auto, AxisType.Auto),
    devices=jax.devices()[: members * data],
  )


@contextlib.contextmanager
def optimised():
  """Compiles as a run does (tests/conftest.py): what is said of bits is said of those programs."""
  jax.config.update("jax_disable_most_optimizations", False)
  try:
    yield
  finally:
    jax.config.update("jax_disable_most_optimizations", True)


def initial(network, members, name="arm", mesh=None):
  """Every member's state before its first step, as NumPy arrays."""
  mesh = mesh or mesh_of(1, 1)
  members = sharding.shard_members(mesh, members)
  return jax.tree.map(np.asarray, population.initialise(network, name, members, mesh))


def train(
  network, members, mesh=None, stretches=((0, 7),), state=None, store=STORE, computation=DEFAULT
):
  """State and sum of losses after some stretches of steps, as NumPy arrays."""
  mesh = mesh or mesh_of(1, 1)
  state = sharding.shard_members(mesh, initial(network, members) if state is None else state)
  members = sharding.shard_members(mesh, members)
  step = population.make_train_steps(network, BATCH, PATCH, mesh, computation)
  loss = population.zero_losses(state)
  with optimised():
    for start, stop in stretches:
      state, loss = step(state, members, sharding.replicate(mesh, store), start, stop, STEPS, loss)
  return jax.tree.map(np.asarray, (state, loss))


@functools.cache
def trained(network):
  """What `WHO` become on one device: what every other way to train them is held against."""
  return train(network, WHO)


def assert_same(a, b, **tolerance):
  compare = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
  jax.tree.map(lambda x, y: compare(x, y, **tolerance), a, b)


def test_members_are_every_seed_with_every_rate():
  members = population.make_members([0, 1], [1e-3, 1e-2])
  np.testing.assert_array_equal(members.seed, [0, 0, 1, 1])
  np.testing.assert_allclose(members.learning_rate, [1e-3, 1e-2, 1e-3, 1e-2])


@pytest.mark.parametrize("network", [LR, HR], ids=["lr", "hr"])
def test_a_member_computes_bit_for_bit_what_it_computes_alone(network):
  for i, rate in enumerate(WHO.learning_rate.tolist()):
    alone = train(network, population.make_members([int(WHO.seed[i])], [rate]))
    assert_same(alone, jax.tree.map(lambda x, i=i: x[i : i + 1], trained(network)))


def test_no_two_members_are_alike():
  state, loss = trained(LR)
  assert len(set(loss.tolist())) == 4
  kernels = state.params["last"]["kernel"]
  assert len({kernel.tobytes() for kernel in kernels}) == 4


def test_a_stretch_may_be_cut_anywhere():
  assert_same(trained(LR), train(LR, WHO, stretches=[(0, 1), (1, 5), (5, 7)]))


def test_the_last_layer_of_a_published_network_moves_at_a_tenth_of_the_rate():
  # Adam's first step is the rate in every direction, up to its epsilon.
  network = espcn(scale=2, features=(6, 4), padding="same")
  members = population.make_members([0], [3e-3])
  before = jax.tree.map(
    np.array, population.initialise(network, "arm", members, mesh_of(1, 1)).params
  )
  after, _ = train(network, members, stretches=[(0, 1)])
  rate = 3e-3 * 1 / (population.WARMUP * STEPS)
  for layer, share in (("first", 1), ("hidden_0", 1), ("last", 0.1)):
    moved = np.abs(after.params[layer]["kernel"] - before[layer]["kernel"])
    np.testing.assert_allclose(np.median(moved), share * rate, rtol=0.01)


def test_valid_convolutions_are_compared_with_the_middle_of_the_patch():
  network = espcn(scale=2, features=(6, 4))
  patch = PATCH + 2 * network.margin
  members, mesh = population.make_members([0], [3e-3]), mesh_of(1, 1)
  state = population.initialise(network, "arm", members, mesh)
  params = jax.tree.map(lambda x: jnp.array(x[0]), state.params)
  store = patches.make_store(PHOTOS, patch)
  step = population.make_train_steps(network, BATCH, patch, mesh)
  _, loss = step(state, members, sharding.replicate(mesh, store), 0, 1, STEPS)
  crops = patches.draw(store, population.batch_key(jnp.int32(0), jnp.int32(0)), BATCH)
  lr, hr = patches.cut(store, crops, patch, Layout(2))
  inner = np.s_[:, 8:-8, 8:-8]
  expected = np.mean((np.asarray(upscale(network, params, lr)) - np.asarray(hr))[inner] ** 2)
  np.testing.assert_allclose(loss, [expected], rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 1), (1, 4), (2, 2)])
def test_a_mesh_changes_nothing(shape):
  one_device, loss = trained(LR)
  spread, spread_loss = train(LR, WHO, mesh_of(*shape))
  if shape[1] == 1:  # members only move; splitting a batch changes the order of a sum
    assert_same(one_device, spread)
    assert_same(loss, spread_loss)
  else:
    assert_same(one_device.params, spread.params, rtol=2e-4, atol=2e-6)
    assert_same(loss, spread_loss, rtol=1e-5)


def test_a_mesh_starts_nothing_elsewhere():
  assert_same(initial(LR, WHO), initial(LR, WHO, mesh=mesh_of(2, 2)))


@pytest.mark.parametrize(
  ("network", "shape", "form"),
  [
    (LR, (1, 1), "canonical"),
    (HR, (2, 2), "canonical"),
    (LR, (1, 1), "plain"),
    (HR, (2, 1), "plain"),
    (LR, (2, 2), "matrix_product"),
    (HR, (1, 1), "matrix_product"),
  ],
)
def test_batched_members_as_on_an_accelerator_compute_the_same(network, shape, form, monkeypatch):
  alone, loss = trained(network)
  state = initial(network, WHO)
  monkeypatch.setattr(sharding, "one_by_one", lambda mesh: False)
  monkeypatch.setattr(population, "one_by_one", lambda mesh: False)
  monkeypatch.setattr(population, "BLOCK", 3)
  uncached = population.make_train_steps.__wrapped__
  monkeypatch.setattr(population, "make_train_steps", uncached)
  batched, batched_loss = train(
    network, WHO, mesh_of(*shape), state=state, computation=Computation(form)
  )
  assert_same(loss, batched_loss, rtol=1e-5)
  assert_same(alone.params, batched.params, rtol=1e-3, atol=1e-5)


def test_a_diverged_member_leaves_the_others_alone():
  state = initial(LR, WHO)
  broken = jax.tree.map(lambda x: np.concatenate([x[:1] * np.nan, x[1:]]), state.params)
  state, loss = train(LR, WHO, state=state._replace(params=broken))
  healthy, healthy_loss = trained(LR)
  assert np.isnan(loss[0])
  assert_same(loss[1:], healthy_loss[1:])
  last, healthy_last = (run.params["last"]["kernel"] for run in (state, healthy))
  assert_same(last[1:], healthy_last[1:])


def test_arms_start_apart_and_seeds_too():
  lr, hr = (initial(LR, WHO, name).params["first"]["kernel"] for name in ("lr", "hr"))
  # Two arms by two seeds; the rate is no part of the start.
  assert len({kernel.tobytes() for kernel in (*lr, *hr)}) == 4


def test_a_batch_is_a_function_of_seed_and_step():
  def batch(seed, step):
    crops = patches.draw(STORE, population.batch_key(jnp.int32(seed), jnp.int32(step)), 8)
    return np.concatenate([np.ravel(x) for x in crops]).tobytes()

  assert batch(3, 5) == batch(3, 5)
  assert len({batch(seed, step) for seed in range(3) for step in range(3)}) == 9


def test_both_arms_see_the_same_batch():
  # With all weights zero and a skip, both networks are bicubic: equal losses mean equal batches.
  members = WHO._replace(learning_rate=np.full(4, 1e-9, np.float32))
  losses = []
  for network in (LR, HR):
    state = initial(network, members)
    zero = jax.tree.map(np.zeros_like, state.params)
    losses.append(train(network, members, state=state._replace(params=zero))[1])
  np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
  assert abs(losses[0][0] - losses[0][2]) > 1e-3 * losses[0][0]


def test_the_schedule_warms_up_and_decays_to_zero():
  rates = [
    float(population.learning_rate(jnp.float32(1), jnp.int32(t), jnp.int32(100)))
    for t in range(101)
  ]
  np.testing.assert_allclose(rates[:5], [0.1, 0.2, 0.3, 0.4, 0.5], rtol=0.01)
  assert max(rates) == rates[9] > 0.97
  assert rates[100] < 1e-6
  assert all(a >= b for a, b in itertools.pairwise(rates[9:]))


def test_one_step_is_adams():
  members = population.make_members([0], [0.01])
  before = initial(LR, members).params
  after, _ = train(LR, members, stretches=[(0, 1)])
  # Adam's first step moves every weight by the rate (here in warm-up) against its gradient's sign.
  rate = float(population.learning_rate(jnp.float32(0.01), jnp.int32(0), jnp.int32(STEPS)))
  moved = np.abs(after.params["last"]["kernel"] - before["last"]["kernel"])
  np.testing.assert_allclose(moved[moved > 0], rate, rtol=1e-2)
  assert (moved > 0).mean() > 0.5


def test_training_reduces_the_loss():
  smooth = np.add.outer(np.arange(64), 2 * np.arange(48)) % 97 + 80
  store = patches.make_store([make_pair("s", smooth.astype(np.uint8), 2)], PATCH)
  mesh, members = mesh_of(1, 1), population.make_members([0], [1e-2])
  network = lr_network(features=8, depth=1, bicubic_skip=False)
  state = population.initialise(network, "arm", members, mesh)
  step = population.make_train_steps(network, BATCH, PATCH, mesh)
  losses = []
  for start in range(0, 150, 50):
    state, loss = step(state, members, store, start, start + 50, 150)
    losses.append(float(loss[0]))
  assert losses[0] > 2 * losses[1] > 2 * losses[2]


def test_devices_that_share_a_batch_meet_once_a_step():
  mesh = sharding.make_mesh(1, 4, "data:2")
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  network = lr_network(features=2, depth=1)
  state = population.initialise(network, "lr", members, mesh)
  program = population.train_steps_on(
    lambda params, member, step, data: squared_error(network, params, *data), network, mesh
  )
  data = sharding.replicate(
    mesh, (np.ones((2, 6, 6, 1), np.float32), np.ones((2, 12, 12, 1), np.float32))
  )
  text = program.lower(state, members, data, *sharding.replicate_integers(mesh, 0, 1, 1)).as_text()
  assert text.count("stablehlo.all_reduce") == 1
