"""A run with recipes, small: what it leaves behind, and that to stop changes nothing of it."""

import numpy as np
import pytest

from benchmarks import chaos
from experiments import matched_flops
from sr_jax.comparison import recipe_search
from sr_jax.config import Execution
from sr_jax.runtime.files import read_json
from sr_jax.runtime.preemption import Interrupted
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.metrics import read
from sr_jax.training.restore import load

pytestmark = pytest.mark.slow

RECIPES, SEEDS, STEPS = 4, 3, 24


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Runs in a folder of this name; the second one of the same name goes on.

  A seed draws nothing but the recipe of its own number.
  """
  folder = tmp_path_factory.mktemp("recipes")
  chaos.make_photographs(folder / "data")
  config = matched_flops.Config(
    data=f"folder:{folder / 'data'}",
    features=4,
    depth=0,
    hr_execution="lr_space",
    convolution="xla",
    batch=4,
    patch=8,
    patches=(8, 12),
    recipes=RECIPES,
    gain=(0.5, 2.0),
    steps=STEPS,
    search_steps=8,
    seeds=SEEDS,
  )
  execution = Execution(data_dir=str(folder / "decoded"))

  def start(name):
    run_dir = RunFolder(folder / name)
    matched_flops.main(config, execution, run_dir)
    return run_dir

  with pytest.MonkeyPatch.context() as patch:  # so that every arm is trained on both sides
    patch.setattr(recipe_search, "draws", lambda count, seed: [seed] * count)
    yield start


@pytest.fixture(scope="module")
def finished(run):
  return run("alone")


def test_results_say_what_was_searched_and_chosen(finished):
  results = read_json(finished.results)
  assert [recipe["batch"] for recipe in results["recipes"]] == [
    {8: 4, 12: 2}[recipe["patch"]] for recipe in results["recipes"]
  ]
  for arm in results["arms"].values():
    assert [entry["recipe"] for entry in arm["search"]] == list(range(RECIPES))
    assert [member["recipe"] for member in arm["members"]] == arm["chosen_recipes"]
    for member in arm["members"]:
      rate = results["recipes"][member["recipe"]]["learning_rate"]
      assert member["learning_rate"] == rate
    scores = [entry["validation_psnr"] for entry in arm["search"]]
    assert arm["best_recipe"] == int(np.argmax(scores))
    assert arm["chosen_recipes"] == [0, 1, 2]
    assert arm["different_recipes"] == SEEDS
  assert {recipe["patch"] for recipe in results["recipes"][:SEEDS]} == {8, 12}


def test_the_joined_population_is_the_arms_final_training(finished):
  results, lines = read_json(finished.results), read(finished.metrics)
  for name, arm in results["arms"].items():
    for place, member in enumerate(arm["members"]):
      recipe = results["recipes"][member["recipe"]]
      whole = load(finished, name, place)
      stage = f"final_p{recipe['patch']}"
      part = load(finished, name, 0, stage=stage)
      within = part.seeds.tolist().index(member["seed"])
      part = load(finished, name, within, stage=stage)
      assert (whole.seed, whole.step) == (member["seed"], STEPS)
      assert whole.learning_rates[place] == np.float32(recipe["learning_rate"])
      for layer, leaves in whole.params.items():
        for leaf, values in leaves.items():
          np.testing.assert_array_equal(values, part.params[layer][leaf])
      logged = [
        [line for line in lines if (line["arm"], line["stage"]) == (name, each)]
        for each in ("final", stage)
      ]
      assert len(logged[0]) == len(logged[1]) > 24
      for line, of_part in zip(*logged, strict=True):
        (key,) = line.keys() - {"step", "arm", "stage"}
        assert line[key][place] == of_part[key][within]
    curve = results["escape"]["arms"][name]
    assert curve["steps"] == list(range(1, STEPS + 1))
    last = [member["validation_psnr"] for member in arm["members"]]
    assert curve["validation_psnr"][-1] == last


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(run, finished, monkeypatch):
  train = recipe_search.train_population

  def stopping(calls):
    left = iter(range(calls))

    def train_or_stop(*args):
      if next(left, None) is None:
        raise Interrupted(15)
      return train(*args)

    return train_or_stop

  for calls in (1, 3, 6, 7):
    monkeypatch.setattr(recipe_search, "train_population", stopping(calls))
    with pytest.raises(Interrupted):
      run("stopped")
  monkeypatch.setattr(recipe_search, "train_population", train)
  stopped = run("stopped")
  assert stopped.results.read_bytes() == finished.results.read_bytes()
  assert stopped.metrics.read_bytes() == finished.metrics.read_bytes()
