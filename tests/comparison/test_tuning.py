"""Recipes that are drawn: the same for every arm, and resampled with the seeds."""

import dataclasses

import numpy as np
import pytest

from experiments.matched_flops import PRESETS, Config
from sr_jax.comparison.tuning import best_of, draws, members_at
from sr_jax.config import InputError
from sr_jax.training.hyperparameters import TunedMembers
from sr_jax.training.population import Members

RECIPES = PRESETS["recipes"]


def test_recipes_are_drawn_from_the_values_and_are_always_the_same():
  trials = RECIPES.trials()
  assert trials == dataclasses.replace(RECIPES, arms=("lr", "hr"), seeds=2).trials()
  assert len(trials) == len(set(trials)) == 16
  for trial in trials:
    assert 1e-3 <= trial.hyperparameters.learning_rate <= 1.6e-2
    assert trial.side in (17, 33)
    for name, values in RECIPES.tuned.items():
      assert getattr(trial.hyperparameters, name) in values
  for name, values in RECIPES.tuned.items():
    assert {getattr(trial.hyperparameters, name) for trial in trials} == {*values}
  rates = [trial.hyperparameters.learning_rate for trial in trials]
  assert 3e-3 < np.exp(np.mean(np.log(rates))) < 6e-3  # log-uniform: around 4e-3


def test_without_sides_patches_are_those_of_the_run():
  assert {trial.side for trial in PRESETS["tanh"].trials()} == {None}
  assert PRESETS["tanh"].largest_patch == 17
  assert RECIPES.largest_patch == 33


def test_every_seed_draws_as_many_recipes_with_replacement():
  drawn = [draws(16, seed) for seed in range(200)]
  assert drawn == [draws(16, seed) for seed in range(200)]
  assert {recipe for draw in drawn for recipe in draw} == set(range(16))
  assert {len(draw) for draw in drawn} == {16}
  # A recipe is in a draw with the chance 1 - (15 / 16)^16 = 0.644.
  assert 0.55 < np.mean([3 in draw for draw in drawn]) < 0.74


def test_the_best_of_a_draw_is_chosen_and_what_diverged_comes_last():
  scores = [31.0, None, 30.0, 32.0]
  assert best_of(scores, [0, 1, 2]) == 0
  assert best_of(scores, [1, 2, 2, 1]) == 2
  assert best_of(scores, [1, 1]) == 1
  assert best_of(scores, range(4)) == 3


def test_members_are_plain_where_only_the_rate_is_chosen():
  plain = members_at(Config(), [0, 1], [1e-3, 2e-3])
  assert isinstance(plain, Members)
  np.testing.assert_allclose(plain.learning_rate, [1e-3, 2e-3])
  warm = members_at(Config(warmup=(0.3,), gain=(2.0,)), [0, 1], [1e-3, 2e-3])
  assert isinstance(warm, TunedMembers)
  np.testing.assert_allclose(warm.warmup, 0.3)
  np.testing.assert_allclose(warm.gain, 2)
  np.testing.assert_allclose(warm.clip, 0.05)


def test_forms_of_convolution_can_be_given_for_every_population():
  names = {name for name in RECIPES.choices() if name.startswith("lr/")}
  assert {"lr/p17", "lr/p33"} <= names
  assert "lr/16" in PRESETS["tanh"].choices()


@pytest.mark.parametrize(
  ("fields", "says"),
  [
    ({"gain": (1.0, 2.0)}, "--gain=1,2 is to be drawn from, which --recipes does"),
    ({"warmup": (1.5,)}, "--warmup=1.5 must be at most 1"),
    ({"patches": (17, 33)}, "--patches is for --recipes"),
    ({"recipes": 4, "patches": (3, 17)}, "--patches=3 must be at least 4"),
    ({"recipes": 4, "extend_grid": True}, "--extend_grid is for a grid of rates"),
    ({"clip": (0.0,)}, "--clip=0.0 must be greater than 0"),
    ({"contrast": (4.0,), "arms": ("lr", "a.b:Mine")}, "--contrast is for networks of this pack"),
    ({"recipes": 4, "patches": (9,), "arms": ("lr", "a.b:Mine")}, "--patches is for networks of"),
  ],
)
def test_what_cannot_be_drawn_is_refused(fields, says):
  with pytest.raises(InputError, match=says):
    Config(**fields)
