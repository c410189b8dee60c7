"""What is measured of HR maps in a run, on networks that are hardly trained."""

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
from sr_jax.config import Execution
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import lr_network
from sr_jax.networks.pair import Residual
from sr_jax.operators.conv import DEFAULT
from sr_jax.training import population
from sr_jax.training.population import Population
from sr_jax.training.sharding import make_mesh, shard_members, upload

SEEDS = 2


def untrained(network):
  mesh = make_mesh(SEEDS, batch=1)
  members = shard_members(mesh, population.make_members(range(SEEDS), [1e-3]))
  state = population.initialise(network, "arm", members, mesh)
  return Population(network, state, members, mesh, DEFAULT)


@pytest.fixture(scope="module")
def run():
  rng = np.random.default_rng(0)
  test = [make_pair(f"{i}", rng.integers(0, 256, (24, 20), np.uint8), 2) for i in range(2)]
  unused = dict.fromkeys(field.name for field in dataclasses.fields(Run))
  given = {
    "recipe": Recipe(seeds=SEEDS, steps=2, batch=4, patch=6),
    "execution": Execution(),
    "photos": SimpleNamespace(test=test),
    "store": upload(patches.make_store(test, 6)),
  }
  made = object.__new__(Run)  # of which nothing else is used
  made.__dict__.update(unused | given)
  return made


def test_a_run_is_measured(run, monkeypatch):
  monkeypatch.setattr(combining, "DRAWS", 3)
  trained = {"lr": untrained(lr_network(features=8, depth=2, residual=Residual(gain=0.0)))}
  results = {"arms": {"lr": {"learning_rate": 1e-3}}}
  results = combining.measure(["lr"], run, results, trained)
  results = json.loads(json.dumps(results, allow_nan=False))
  arm, controls = (results["combining"][kind]["lr"] for kind in ("arms", "controls"))
  assert controls.keys() == {"hr", "half"}
  for record in (arm, *controls.values()):
    assert record["seeds"] == [0, 1]
    assert record["of_seeds"] == SEEDS
    assert record["layers"] == ["hidden_0", "hidden_1"]
    assert np.shape(record["shares"]) == (SEEDS, 2)
    assert np.shape(record["null"]) == (SEEDS, 3, 2)
    assert record["psnr"].keys() == {"untied", "tied", "half_tied", "half_random"}
    assert {np.shape(psnr) for psnr in record["psnr"].values()} == {(SEEDS, 2)}
    picture = Image.open(io.BytesIO(base64.b64decode(record["pictures"]["tied"])))
    assert picture.size == (20, 24)
  assert np.min(controls["hr"]["shares"]) > combining_verdict.FULL_SHARE
  assert combining_verdict.greatest_change(controls["hr"]) < combining_verdict.NO_COST
  assert np.max(controls["half"]["shares"]) < combining_verdict.FULL_SHARE
  assert np.max(arm["shares"]) < 0.6


def test_seeds_that_are_lost_are_left_out_and_counted(run, monkeypatch):
  monkeypatch.setattr(combining, "DRAWS", 1)
  network = lr_network(features=8, depth=1)
  params = jax.tree.map(lambda array: np.array(array)[:SEEDS], untrained(network).state.params)
  score = combining.scoring.score

  def without_the_first(network, params, *given):
    scores = score(network, params, *given)
    scores[0]["psnr"][-1] = None
    return scores

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(combining.scoring, "score", without_the_first)
    tied_to_infinity = combining._record(network, params, DEFAULT.form, run)
  params["hidden_0"]["kernel"][0] = np.nan
  diverged = combining._record(network, params, DEFAULT.form, run)
  for record in (tied_to_infinity, diverged):
    assert (record["seeds"], record["of_seeds"]) == ([1], SEEDS)
    assert len(record["shares"]) == len(record["null"]) == 1
    assert {len(psnr) for psnr in record["psnr"].values()} == {1}


def test_the_middle_of_a_photograph_fits_its_lr_image():
  luminance = np.arange(40 * 30, dtype=np.uint8).reshape(40, 30)
  photo = combining.middle(make_pair("a", luminance, 2), 12, 2)
  assert photo.input.shape == (6, 6)
  np.testing.assert_array_equal(photo.target, luminance[14:26, 8:20])  # on the LR grid
