"""What is measured of HR maps in a run, on untrained networks."""

import base64
import dataclasses
import io
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from sr_jax.comparison import combining, combining_verdict
from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.run import Run
from sr_jax.data.images import make_photo
from sr_jax.networks import Maps, lr_network
from sr_jax.networks.pair import Residual, scheduled_network
from sr_jax.operators.conv import DEFAULT
from sr_jax.training import population
from sr_jax.training.population import Population
from sr_jax.training.sharding import make_mesh, shard_members

SEEDS = 2


def untrained(network):
  mesh = make_mesh(SEEDS, batch=1)
  members = shard_members(mesh, population.make_members(range(SEEDS), [1e-3]))
  state = population.initialise(network, "arm", members, mesh)
  return Population(network, state, members, mesh, DEFAULT)


@pytest.fixture(scope="module")
def run():
  rng = np.random.default_rng(0)
  test = [make_photo(f"{i}", rng.integers(0, 256, (24, 20), np.uint8), 2) for i in range(2)]
  unused = dict.fromkeys(field.name for field in dataclasses.fields(Run))
  given = {"recipe": Recipe(seeds=SEEDS), "photos": SimpleNamespace(test=test)}
  made = object.__new__(Run)  # of which nothing else is used
  made.__dict__.update(unused | given)
  return made


@pytest.mark.parametrize("is_given", [True, False], ids=["control given", "random control"])
def test_a_run_is_measured(run, monkeypatch, is_given):
  monkeypatch.setattr(combining, "DRAWS", 3)
  trained = {"lr": untrained(lr_network(features=8, depth=1))}
  if is_given:
    states = (Maps(hr=2),) * 2
    trained["hr"] = untrained(scheduled_network(states=states, hr_kernel_size=5))
  results = combining.measure(["lr"], ["hr"] if is_given else [], run, {}, trained)
  results = json.loads(json.dumps(results, allow_nan=False))
  (name,) = results["combining"]["controls"]
  assert name == ("hr" if is_given else "lr_random")
  for kind in ("arms", "controls"):
    (record,) = results["combining"][kind].values()
    assert record["seeds"] == [0, 1]
    assert record["layers"] == ["hidden_0"]
    assert np.shape(record["shares"]) == (SEEDS, 1)
    assert np.shape(record["null"]) == (SEEDS, 3, 1)
    versions = {"untied", "tied_1", "tied_2", "random_1", "random_2"}
    assert record["psnr"].keys() == versions
    assert {np.shape(psnr) for psnr in record["psnr"].values()} == {(SEEDS, 2)}
    picture = Image.open(io.BytesIO(base64.b64decode(record["pictures"]["tied"])))
    assert picture.size == (20, 24)
  decided = combining_verdict.decide(results)
  assert decided["controls"] == {name: True}
  assert decided["arms"]["lr"]["share"] < 0.6


def test_the_control_of_blocks_that_start_at_zero_has_ties(run, monkeypatch):
  monkeypatch.setattr(combining, "DRAWS", 1)
  trained = {"lr": untrained(lr_network(features=8, depth=2, residual=Residual(gain=0.0)))}
  results = combining.measure(["lr"], [], run, {}, trained)
  assert combining_verdict.decide(results)["controls"] == {"lr_random": True}


def test_a_seed_that_diverged_is_left_out(run, monkeypatch):
  monkeypatch.setattr(combining, "DRAWS", 1)
  arm = untrained(lr_network(features=8, depth=1))
  lost = jax.tree.map(lambda array: array.at[0].set(np.nan), arm.state.params)
  arm = arm._replace(state=arm.state._replace(params=lost))
  record = combining.measure(["lr"], [], run, {}, {"lr": arm})["combining"]["arms"]["lr"]
  assert record["seeds"] == [1]
  assert len(record["shares"]) == len(record["psnr"]["untied"]) == 1


def test_the_middle_of_a_photograph_fits_its_lr_image():
  luminance = np.arange(40 * 30, dtype=np.uint8).reshape(40, 30)
  photo = combining.middle(make_photo("a", luminance, 2), 12, 2)
  assert photo.lr.shape == (6, 6)
  np.testing.assert_array_equal(photo.hr, luminance[14:26, 8:20])  # on the LR grid
