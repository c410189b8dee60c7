"""The search for learning rates, its training replaced by a score that peaks at a known rate."""

import math
from pathlib import Path

import pytest

from sr_jax.comparison import arm_run
from sr_jax.comparison.arm_run import Bench, Recipe, _status, edge_of, search_rates
from sr_jax.config import Execution
from sr_jax.networks import LRNetwork
from sr_jax.networks.budget import Arm, budget


def arm(name):
  network = LRNetwork()
  return Arm(name, network, budget(network).macs, 0.0, "")


def search(monkeypatch, peaks, rates, extend=True, seeds=2):
  """The grid, and the rates at which each arm was tried, stage by stage, given its best rate."""
  tried = {name: [] for name in peaks}

  def train(arm, stage, steps, who, bench):
    tried[arm.name].append((stage, [float(f"{rate:.3g}") for rate in who.learning_rate]))
    return (who,)

  def validate(arm, who, count, bench):
    assert count == len(who.learning_rate)
    return [30 - abs(math.log(rate / peaks[arm.name])) for rate in who.learning_rate]

  monkeypatch.setattr(arm_run, "_train_population", train)
  monkeypatch.setattr(arm_run, "_validate", validate)
  recipe = Recipe(learning_rate=rates, search_seeds=seeds, extend_grid=extend)
  bench = object.__new__(Bench)
  for name, value in (("recipe", recipe), ("execution", Execution()), ("run_dir", Path())):
    object.__setattr__(bench, name, value)
  found, grid = search_rates([arm(name) for name in peaks], bench)
  return found, grid, tried


def test_a_best_rate_inside_the_grid_ends_the_search(monkeypatch):
  found, grid, tried = search(monkeypatch, {"a": 2e-3, "b": 2e-3}, (1e-3, 2e-3, 4e-3))
  assert grid == (1e-3, 2e-3, 4e-3)
  assert tried["a"] == [("search", [1e-3, 2e-3, 4e-3] * 2)]
  assert [(one["seed"], one["learning_rate"]) for one in found["a"]] == [
    (seed, rate) for seed in (0, 1) for rate in grid
  ]


def test_every_arm_tries_the_rate_that_one_asks_for(monkeypatch):
  found, grid, tried = search(monkeypatch, {"a": 2e-3, "b": 8e-3}, (1e-3, 2e-3, 4e-3))
  assert grid == (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
  assert tried["a"] == tried["b"]
  assert [stage for stage, _ in tried["a"]] == ["search", "search_1", "search_2"]
  assert len(found["a"]) == len(found["b"]) == 2 * 5


def test_at_most_two_rates_are_added_at_the_end_that_more_arms_ask_for(monkeypatch):
  peaks = {"a": 1e-5, "b": 1e-5, "c": 1.0}
  _, grid, _ = search(monkeypatch, peaks, (1e-3, 2e-3))
  assert grid == (2.5e-4, 5e-4, 1e-3, 2e-3)


def test_without_being_asked_the_grid_stays_and_one_rate_needs_no_search(monkeypatch):
  _, grid, _ = search(monkeypatch, {"a": 1.0}, (1e-3, 2e-3), extend=False)
  assert grid == (1e-3, 2e-3)
  found, grid, tried = search(monkeypatch, {"a": 1.0}, (1e-3,), extend=False)
  assert (found, grid, tried) == ({"a": []}, (1e-3,), {"a": []})


@pytest.mark.parametrize(("rate", "edge"), [(0.1, "lowest"), (0.2, None), (0.3, "highest")])
def test_the_ends_of_the_grid(rate, edge):
  assert edge_of(rate, (0.1, 0.2, 0.3)) == edge


@pytest.mark.parametrize(
  ("test", "training", "elsewhere", "status"),
  [
    ([31.0, 32.0], [31.0, 32.0], [30.0], "ok"),
    ([29.0, 29.5], [31.0, 32.0], [30.0], "below bicubic"),
    ([29.0, 29.5], [20.0, 21.0], [20.0], "did not learn"),  # far worse than bicubic, and finite
    ([31.0, 32.0], [30.0, 30.0], [30.0], "did not learn"),  # what a network with a dead layer is
    ([31.0, None], [31.0, 32.0], [30.0], "diverged"),
    ([31.0, 32.0], [31.0, None], [30.0], "diverged"),
    ([31.0, 32.0], [31.0, 32.0], [None], "diverged"),  # on validation, or a further test set
  ],
)
def test_only_what_is_not_finite_diverged(test, training, elsewhere, status):
  bicubic = {"test": {"psnr": [30.0, 30.0]}, "training": {"psnr": [30.0, 30.0]}}
  assert _status(test, training, elsewhere, bicubic) == status
