"""The search for learning rates, its training replaced by a score that peaks at a known rate."""

import math

import pytest

from sr_jax.comparison import search as searching
from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.run import Run
from sr_jax.comparison.search import choose_rate, edge_of, search_rates
from sr_jax.networks import lr_network
from sr_jax.networks.budget import Arm
from sr_jax.training.population import Population


def arm(name):
  return Arm(name, lr_network(), None, 0.0, "")


def search(monkeypatch, peaks, rates, extend=True, seeds=2):
  """The grid, and the rates at which each arm was tried, stage by stage, given its best rate."""
  tried = {name: [] for name in peaks}

  def train(arm, stage, steps, members, run):
    tried[arm.name].append((stage, [float(f"{rate:.3g}") for rate in members.learning_rate]))
    return Population(arm.name, members, members, None)

  def validate(trained, count, run):
    rates = trained.members.learning_rate
    assert count == len(rates)
    return [30 - abs(math.log(rate / peaks[trained.network])) for rate in rates]

  monkeypatch.setattr(searching, "train_population", train)
  monkeypatch.setattr(searching, "validate", validate)
  run = object.__new__(Run)
  recipe = Recipe(learning_rate=rates, search_seeds=seeds, extend_grid=extend)
  for name, value in (("recipe", recipe), ("arms", [arm(name) for name in peaks])):
    object.__setattr__(run, name, value)
  searches, grid = search_rates(run)
  return searches, grid, tried


def test_a_best_rate_inside_the_grid_ends_the_search(monkeypatch):
  searches, grid, tried = search(monkeypatch, {"a": 2e-3, "b": 2e-3}, (1e-3, 2e-3, 4e-3))
  assert grid == (1e-3, 2e-3, 4e-3)
  assert tried["a"] == [("search", [1e-3, 2e-3, 4e-3] * 2)]
  assert [(entry["seed"], entry["learning_rate"]) for entry in searches["a"]] == [
    (seed, rate) for seed in (0, 1) for rate in grid
  ]


def test_every_arm_tries_the_rate_that_one_asks_for(monkeypatch):
  searches, grid, tried = search(monkeypatch, {"a": 2e-3, "b": 8e-3}, (1e-3, 2e-3, 4e-3))
  assert grid == (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
  assert tried["a"] == tried["b"]
  assert [stage for stage, _ in tried["a"]] == ["search", "search_1", "search_2"]
  assert len(searches["a"]) == len(searches["b"]) == 2 * 5


def test_at_most_two_rates_are_added_at_the_end_that_more_arms_ask_for(monkeypatch):
  peaks = {"a": 1e-5, "b": 1e-5, "c": 1.0}
  _, grid, _ = search(monkeypatch, peaks, (1e-3, 2e-3))
  assert grid == (2.5e-4, 5e-4, 1e-3, 2e-3)


def test_without_being_asked_the_grid_stays_and_one_rate_needs_no_search(monkeypatch):
  _, grid, _ = search(monkeypatch, {"a": 1.0}, (1e-3, 2e-3), extend=False)
  assert grid == (1e-3, 2e-3)
  searches, grid, tried = search(monkeypatch, {"a": 1.0}, (1e-3,), extend=False)
  assert (searches, grid, tried) == ({"a": []}, (1e-3,), {"a": []})


@pytest.mark.parametrize(("rate", "edge"), [(0.1, "lowest"), (0.2, None), (0.3, "highest")])
def test_the_ends_of_the_grid(rate, edge):
  assert edge_of(rate, (0.1, 0.2, 0.3)) == edge


def test_the_rate_is_chosen_by_mean_validation_and_divergence_ranks_last():
  def entries(*scores):
    return [
      {"seed": seed, "learning_rate": rate, "validation_psnr": psnr} for seed, rate, psnr in scores
    ]

  search = entries((0, 0.1, 30.0), (0, 0.2, 31.0), (1, 0.1, 30.2), (1, 0.2, 29.0))
  assert choose_rate(search, [0.1, 0.2]) == 0.1
  search = entries((0, 0.1, 30.0), (0, 0.2, 35.0), (1, 0.1, 30.2), (1, 0.2, None))
  assert choose_rate(search, [0.1, 0.2]) == 0.1
  assert choose_rate([], [0.3]) == 0.3
