"""The section on recipes, of made-up results."""

from pathlib import Path

import numpy as np
import pytest

from sr_jax.report import tuning, tuning_figures
from sr_jax.report.model import Table

USUAL = {
  "learning_rate": 4e-3,
  "first_rate": 1.0,
  "last_rate": 1.0,
  "gain": 1.0,
  "last_gain": 1.0,
  "contrast": 1.0,
  "warmup": 0.1,
  "clip": 0.05,
  "patch": 17,
  "batch": 16,
}
RECIPES = [
  USUAL,
  USUAL | {"learning_rate": 8e-3, "contrast": 8.0},
  USUAL | {"learning_rate": 2e-3, "contrast": 4.0},
]
SEARCH = {"lr": (31.0, 31.2, None), "hr": (30.3, 30.9, 31.1)}
CHOSEN = {"lr": [1, 0, 1], "hr": [2, 2, 2]}
ESCAPES = {"lr": [200, 100, 200], "hr": [300, None, None]}
STEPS = [100, 200, 300]


def make_arm(name):
  psnr = 31.0 if name == "lr" else 30.5
  members = [
    {"seed": seed, "recipe": recipe, "status": "ok", "test": {"psnr": [psnr, psnr + 1]}}
    for seed, recipe in enumerate(CHOSEN[name])
  ]
  search = [
    {"recipe": i, "seed": 0, **RECIPES[i], "validation_psnr": score}
    for i, score in enumerate(SEARCH[name])
  ]
  best = max(range(3), key=lambda i: SEARCH[name][i] or 0)
  return {
    "members": members,
    "search": search,
    "best_recipe": best,
    "chosen_recipes": CHOSEN[name],
    "different_recipes": len(set(CHOSEN[name])),
  }


def make_curves(name):
  members = [
    {"seed": i, "escape_step": step, "above_on_validation": 0.1 * i, "above_on_test": 0.2}
    for i, step in enumerate(ESCAPES[name])
  ]
  psnr = (30.0 + np.arange(9).reshape(3, 3) / 10).tolist()
  return {"steps": STEPS, "members": members, "validation_psnr": psnr}


@pytest.fixture
def results():
  arms = {name: make_arm(name) for name in SEARCH}
  curves = {name: make_curves(name) for name in SEARCH}
  escape = {"filter": "LR 9", "margin": 0.05, "validation_psnr": 30.3, "arms": curves}
  tuned = {"control": None, "escaped": {"lr": 3, "hr": 1}, "all_escaped": False}
  return {
    "config": {"search_steps": 600},
    "recipes": RECIPES,
    "arms": arms,
    "escape": escape,
    "verdict": {"tuning": tuned},
  }


def test_the_plateau_is_told_member_by_member(results):
  header, lr, hr = tuning.plateau_rows(results)
  assert lr == ["LR", "3 of 3", "100 to 200", "+0.100", "+0.200"]
  assert hr == ["HR", "1 of 3", "300", "+0.100", "+0.200"]
  assert len(header) == len(lr)


def test_a_network_that_stays_on_the_plateau_has_no_step(results):
  for member in results["escape"]["arms"]["hr"]["members"]:
    member["escape_step"] = None
  assert tuning.plateau_rows(results)[2][1:3] == ["0 of 3", "-"]


def test_chosen_recipes_name_what_differs_between_recipes(results):
  header, *rows = tuning.chosen_rows(results)
  assert header == ["arm", "recipe", "seeds", "peak rate", "contrast", "test PSNR (dB)"]
  assert rows == [
    ["LR", "0", "1", "0.004", "1", "31.50"],
    ["LR", "1, the best", "2", "0.008", "8", "31.50"],
    ["HR", "2, the best", "3", "0.002", "4", "31.00"],
  ]


def test_the_search_has_every_recipe_beside_the_linear_filter(results):
  header, linear, *rows = tuning.search_rows(results)
  assert header == ["recipe", "peak rate", "contrast", "LR", "HR"]
  assert linear == ["best linear filter", "-", "-", "30.300", "30.300"]
  assert rows == [
    ["0", "0.004", "1", "31.000", "30.300"],
    ["1", "0.008", "8", "31.200, the best", "30.900"],
    ["2", "0.002", "4", "1 of 1 diverged", "31.100, the best"],
  ]


def test_the_section_holds_sentences_and_tables_and_is_empty_without_recipes(results, tmp_path):
  section = tuning.section(results, tmp_path)
  assert sum(isinstance(block, Table) for block in section.blocks) == 1
  assert "its verdict does not count" in section.blocks[0][-1]
  del results["recipes"]
  assert not tuning.section(results, Path())


def test_the_figure_draws_every_arm_and_the_filter(results):
  (axes,) = tuning_figures.plateau(results).axes
  *arms, linear = axes.lines
  assert [line.get_label() for line in arms] == ["LR", "HR"]
  np.testing.assert_allclose(arms[0].get_ydata(), [30.1, 30.4, 30.7])
  assert {*linear.get_ydata()} == {30.3}


def test_the_figure_leaves_out_what_diverged(results):
  results["escape"]["arms"]["lr"]["validation_psnr"] = [[None] * 3] * 3
  (axes,) = tuning_figures.plateau(results).axes
  assert [line.get_label() for line in axes.lines][:-1] == ["HR"]
  assert tuning_figures.plateau({}) is None
