import numpy as np
import pytest

from sr_jax.comparison import statistics
from sr_jax.comparison.combinations import Best, Combination, WeightCurve, difference
from sr_jax.comparison.contrasts import Comparison, Contrast, all_combinations, combine
from sr_jax.comparison.verdict import decide

RNG = np.random.default_rng(0)
PARAMETERS = {"lr_n16": 10_276, "lr_n20": 15_724, "lr_n24": 22_324, "lr": 38_980, "mixed": 25_156}
WIDTHS = ("lr_n16", "lr_n20", "lr_n24", "lr")
CURVE = WeightCurve(PARAMETERS, WIDTHS)


def results_of(tables, diverged=(), not_learned=()):
  """Results from test PSNR by arm, (seeds, images); training PSNR is 1 dB more."""

  def member(arm, seed, row):
    is_lost = (arm, seed) in diverged
    psnr = [None] * len(row) if is_lost else row.tolist()
    status = "did not learn" if (arm, seed) in not_learned else "ok"
    return {
      "seed": seed,
      "learning_rate": 1e-3,
      "status": "diverged" if is_lost else status,
      "validation_psnr": 30.0,
      "test": {"psnr": psnr, "ssim": [0.9] * len(row)},
      "training": {"psnr": psnr if is_lost else (row + 1).tolist()},
    }

  arms = {
    name: {
      "members": [member(name, seed, row) for seed, row in enumerate(table)],
      "search": [],
      "rate_at_edge": None,
      "note": "",
    }
    for name, table in tables.items()
  }
  further = {name: [{"psnr": row.tolist()[:2]} for row in rows] for name, rows in tables.items()}
  return {
    "arms": arms,
    "config": {"steps": 5},
    "further_tests": {"Set14": {"images": ["a", "b"], "arms": further}},
  }


def noisy(level, seeds=4, images=8):
  return level + RNG.normal(0, 0.02, (seeds, images))


def test_a_combination_is_the_effect_of_the_weighted_sum():
  tables = {name: noisy(level) for name, level in {"a": 30, "b": 31, "c": 33}.items()}
  weights = {"a": 0.5, "b": 0.5, "c": -1.0}
  effect = combine(results_of(tables), Combination("g", "half", "?", weights))
  expected = statistics.effect(sum(weight * tables[arm] for arm, weight in weights.items()))
  assert statistics.Effect(**effect["test"]) == expected
  assert effect["training"]["mean"] == pytest.approx(expected.mean)  # a constant cancels
  assert (effect["further_tests"]["Set14"]["images"], effect["weights"]) == (2, weights)


def test_a_seed_is_left_out_where_an_arm_with_a_weight_diverged_and_only_there():
  tables = {name: noisy(30) for name in ("a", "b", "c")}
  results = results_of(tables, diverged=[("b", 1), ("c", 2)], not_learned=[("a", 3)])
  effect = combine(results, Combination("g", "a - b", "?", {"a": 1.0, "b": -1.0, "c": 0.0}))
  assert (effect["left_out_seeds"], effect["test"]["seeds"]) == ([1], 3)
  assert "c" not in effect["weights"]
  nothing = results_of(tables, diverged=[("b", seed) for seed in range(4)])
  effect = combine(nothing, Combination("g", "a - b", "?", difference("a", "b")))
  assert effect["test"]["mean"] is None


def test_weights_that_do_not_sum_to_zero_are_refused():
  with pytest.raises(ValueError, match=r"the weights of x sum to 0\.5, not to zero"):
    Combination("g", "x", "?", {"a": 1.0, "b": -0.5})


def test_the_curve_is_the_line_that_least_squares_fit():
  psnr = {name: float(RNG.normal(30, 1)) for name in PARAMETERS}
  x = {name: np.log2(count) for name, count in PARAMETERS.items()}
  slope, _ = np.polyfit([x[name] for name in WIDTHS], [psnr[name] for name in WIDTHS], 1)

  def value(weights):
    return sum(weight * psnr[name] for name, weight in weights.items())

  assert value(CURVE.slope()) == pytest.approx(slope)
  less = CURVE.less_predicted(difference("mixed", "lr"))
  assert value(less) == pytest.approx(psnr["mixed"] - psnr["lr"] - slope * (x["mixed"] - x["lr"]))
  assert sum(less.values()) == pytest.approx(0, abs=1e-12)
  others = [name for name in WIDTHS if name != "lr_n20"]
  line = np.polyfit([x[name] for name in others], [psnr[name] for name in others], 1)
  left_out = value(CURVE.deviation("lr_n20"))
  assert left_out == pytest.approx(psnr["lr_n20"] - np.polyval(line, x["lr_n20"]))


def test_an_interval_has_the_error_of_the_line():
  exact = {name: np.full((4, 8), 2 * np.log2(count)) for name, count in PARAMETERS.items()}
  deviation = Combination("g", "mixed", "?", CURVE.less_predicted(difference("mixed", "lr")))
  certain = combine(results_of(exact), deviation)["test"]
  assert (certain["low"], certain["high"]) == pytest.approx((0, 0), abs=1e-9)
  exact["lr_n16"] = exact["lr_n16"] + RNG.normal(0, 0.1, (4, 1))  # in the line alone
  uncertain = combine(results_of(exact), deviation)["test"]
  assert uncertain["high"] - uncertain["low"] > 0.01


def test_equal_numbers_of_weights_need_no_line():
  curve = WeightCurve({**PARAMETERS, "late": 25_156}, WIDTHS)
  same = Combination("g", "late", "?", curve.less_predicted(difference("late", "mixed")))
  assert same.weights == {"late": 1, "mixed": -1}


def test_p_values_of_each_group_are_adjusted_together():
  tables = {name: noisy(level) for name, level in {"a": 30, "b": 30.01, "c": 30.07}.items()}
  plans = [("g", "a", "b"), ("g", "a", "c"), ("g", "b", "c"), ("alone", "a", "c")]
  planned = [Combination(group, "x", "?", difference(*pair)) for group, *pair in plans]
  effects = all_combinations(results_of(tables), planned)
  raw = [
    2 * min(effect["test"][f"p_{name}"] for name in ("supported", "reversed", "equivalent"))
    for effect in effects
  ]
  adjusted = statistics.holm(raw[:3], 3)
  assert [effect["p_holm"] for effect in effects] == [*adjusted, min(1, raw[3])]


def test_results_without_combinations_hold_nothing_of_them():
  results = results_of({"a": noisy(30), "b": noisy(31)})
  pair = Contrast("a", "b", "?")
  assert "combinations" not in decide(results, Comparison(pair))
  planned = (Combination("g", "x", "?", difference("a", "b")),)
  assert len(decide(results, Comparison(pair, combinations=planned))["combinations"]) == 1


def test_the_best_of_several_is_chosen_on_validation_photographs_alone():
  tables = {"a": noisy(33), "b": noisy(35), "c": noisy(34)}  # b is the best of the test
  results = results_of(tables)
  for member in results["arms"]["c"]["members"]:
    member["validation_psnr"] = 31.0
  planned = Combination("g", "a - best", "?", {"a": 1.0, Best(("b", "c")): -1.0})
  effect = combine(results, planned)
  assert effect["weights"] == {"a": 1.0, "c": -1.0}
  assert effect["question"] == "? (the best: C)"
  assert effect["test"]["mean"] == pytest.approx(float((tables["a"] - tables["c"]).mean()))
  primary = Contrast("a", Best(("b", "c")), "against the best")
  verdict = decide(results, Comparison(primary, combinations=(planned,)))
  assert verdict["contrast"] == ["a", "c"]
  assert [each["contrast"] for each in verdict["contrasts"] if each["kind"] == "exploratory"] == [
    ["a", "b"]
  ]


def test_an_arm_that_is_its_own_best_has_the_sum_of_weights():
  weights = {Best(("a", "b")): 1.0, "a": 1.0, "b": -2.0}
  effect = combine(
    results_of({"a": noisy(30), "b": noisy(31)}), Combination("g", "x", "?", weights)
  )
  assert effect["weights"] == {"a": 2.0, "b": -2.0}
