import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.data.pairs import Layout
from sr_jax.evaluation import scoring
from sr_jax.evaluation.metrics import mse, shave, to_db
from sr_jax.networks import espcn, hr_network, upscale
from sr_jax.training import population, sharding

RNG = np.random.default_rng(0)
PHOTOS = [
  make_pair(name, RNG.integers(0, 256, shape, np.uint8), 2)
  for name, shape in [("a", (36, 40)), ("b", (40, 36)), ("c", (36, 40))]
]
NETWORK = hr_network(features=2, depth=1)


@pytest.fixture(scope="module")
def trained():
  mesh = sharding.make_mesh(3, 4)
  members = sharding.shard_members(mesh, population.make_members([0, 1, 2], [1e-3]))
  return population.initialise(NETWORK, "hr", members, mesh).params, mesh


def test_a_member_is_scored_on_the_whole_image(trained):
  params, mesh = trained
  scores = scoring.score(NETWORK, params, PHOTOS, mesh)
  pooled = scoring.pooled_psnr(NETWORK, params, PHOTOS, mesh)
  for i in range(3):
    member = jax.tree.map(lambda x, i=i: jnp.asarray(np.asarray(x)[i]), params)
    errors = []
    for photo in PHOTOS:
      sr = np.asarray(upscale(NETWORK, member, jnp.asarray(photo.input)[None, :, :, None]))[
        0, :, :, 0
      ]
      image = np.clip(np.round(sr.astype(np.float64) * 255), 0, 255).astype(np.uint8)
      errors.append(mse(shave(image, 2), shave(photo.target, 2)))
    np.testing.assert_allclose(scores[i]["psnr"], [to_db(e) for e in errors], atol=0.01)
    assert pooled[i] == pytest.approx(to_db(np.mean(errors)), abs=0.01)


def test_each_image_shape_compiles_once():
  network, mesh = hr_network(features=2, depth=0), sharding.make_mesh(1, 1)
  state = population.initialise(network, "hr", population.make_members([0], [1.0]), mesh)
  for _ in range(2):
    scoring.score(network, state.params, PHOTOS, mesh)
    scoring.pooled_psnr(network, state.params, PHOTOS, mesh)
  assert scoring.make_upscale(network, mesh, "canonical")._cache_size() == 2


def test_a_diverged_member_has_no_score_and_others_keep_theirs(trained):
  params, mesh = trained
  healthy = scoring.score(NETWORK, params, PHOTOS, mesh)
  broken = jax.tree.map(lambda x: x.at[1].set(jnp.nan), params)
  scores = scoring.score(NETWORK, broken, PHOTOS, mesh)
  assert scores[1] == {"psnr": [None] * 3, "ssim": [None] * 3}
  assert scores[0] == healthy[0]
  assert scores[2] == healthy[2]
  assert scoring.pooled_psnr(NETWORK, broken, PHOTOS, mesh)[1] is None


def test_training_psnr_is_that_of_the_loss_by_image(trained):
  params, mesh = trained
  store, crops = patches.make_store(PHOTOS, 6), patches.fixed_crops(PHOTOS, 6, 3)
  fit = scoring.training_psnr(NETWORK, params, sharding.replicate(mesh, store), crops, 6, mesh, 0)
  member = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[2]), params)
  lr, hr = patches.cut(store, crops, 6, Layout(2))
  errors = np.asarray((upscale(NETWORK, member, lr) - hr) ** 2).reshape(3, -1).mean(axis=1)
  np.testing.assert_allclose(fit[2], -10 * np.log10(errors), rtol=1e-5)


def test_bicubic_is_fitted_as_networks_are():
  store, crops = patches.make_store(PHOTOS, 6), patches.fixed_crops(PHOTOS, 6, 3)
  network = hr_network(features=2, depth=0)
  mesh = sharding.make_mesh(1, 1)
  state = population.initialise(network, "hr", population.make_members([0], [1.0]), mesh)
  zero = jax.tree.map(jnp.zeros_like, state.params)  # the skip alone: bicubic
  for margin in (0, 2):
    (fit,) = scoring.training_psnr(network, zero, store, crops, 6, mesh, margin)
    np.testing.assert_allclose(
      fit, scoring.training_psnr_of_bicubic(store, crops, 6, 2, margin), rtol=1e-5
    )
  assert scoring.training_psnr_of_bicubic(
    store, crops, 6, 2, 0
  ) != scoring.training_psnr_of_bicubic(store, crops, 6, 2, 2)


def test_networks_of_different_margins_are_fitted_on_the_same_pixels():
  # An output that is zero everywhere errs by the patch's own energy, within the common margin.
  store, crops = patches.make_store(PHOTOS, 16), patches.fixed_crops(PHOTOS, 16, 3)
  mesh = sharding.make_mesh(1, 1)
  margin = espcn(2).margin
  assert margin > 0
  fits = []
  for network in (espcn(2), espcn(2, padding="same")):
    state = population.initialise(network, "a", population.make_members([0], [1.0]), mesh)
    params = jax.tree.map(jnp.zeros_like, state.params)
    fits += scoring.training_psnr(network, params, store, crops, 16, mesh, margin)
  np.testing.assert_allclose(fits[0], fits[1], rtol=1e-5)
