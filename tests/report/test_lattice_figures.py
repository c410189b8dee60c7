"""Figures and tables of linear contrasts, from made-up results."""

import numpy as np
import pytest

from sr_jax.comparison import findings, schedules, verdict
from sr_jax.comparison.combinations import Combination, WeightCurve, difference
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.report import lattice_figures, tables

LATTICE = [schedules.name_of(each) for each in schedules.lattice(5, 8)]
HALF = [schedules.name_of(each) for each in schedules.half(5, 8)]
SHARES = {"h0": 38_980, "h2": 37_000, "h4": 32_000, "h4_k5": 30_000, "lr_n16": 10_276}


def results_of(names, planned, first=None):
  """Two seeds on six photographs; an arm is 0.1 dB worse for each HR map in its name."""
  rng = np.random.default_rng(0)

  def member(name, seed):
    loss = 0.01 * sum(map(int, filter(str.isdigit, name)))
    psnr = (30 - loss + 0.001 * rng.standard_normal(6)).tolist()
    scores = {"psnr": psnr, "ssim": [0.9] * 6}
    return {"seed": seed, "status": "ok", "validation_psnr": 30.0, "test": scores} | {
      "training": {"psnr": psnr}
    }

  results = {
    "config": {"steps": 5},
    "arms": {
      name: {
        "note": "",
        "members": [member(name, seed) for seed in range(2)],
        "budget": {"parameters": SHARES.get(name, 1)},
        "search": [],
        "rate_at_edge": None,
      }
      for name in names
    },
    "further_tests": {},
  }
  pair = Contrast(*(first or names[:2]), "?")
  results["verdict"] = verdict.decide(results, Comparison(pair, combinations=tuple(planned)))
  return results


def plan(group, first, second):
  return Combination(group, f"{first} - {second}", "?", difference(first, second))


def nodes_and_lines(figure):
  lines = figure.axes[0].lines
  nodes = [line for line in lines if line.get_marker() == "o"]
  return nodes, [line for line in lines if line.get_marker() != "o"]


@pytest.mark.parametrize(
  ("names", "joined"),
  [
    (LATTICE, 80),  # of a cube of five dimensions
    (["0-0-0-0-0", *HALF], 5 + 5 * 6 + 10),
    (["0-0-0-0-0", "8-8-8-0-0", "0-0-8-8-8", "8-8-8-8-8", "4-4-4-4-4"], 4),
  ],
)
def test_schedules_are_joined_to_the_next_with_more_hr_states(names, joined):
  planned = [plan(findings.BLOCKS, "8-8-8-0-0", "0-0-8-8-8")]
  figure = lattice_figures.lattice(results_of(names, planned))
  nodes, lines = nodes_and_lines(figure)
  assert (len(nodes), len(lines)) == (len([name for name in names if "4" not in name]), joined)
  heights = sorted(node.get_ydata()[0] for node in nodes)
  assert (heights[0], heights[-1]) == (0, 5)
  assert "-0.40" in {text.get_text() for text in figure.axes[0].texts}  # HR maps throughout


def test_what_has_no_lr_or_no_schedules_is_not_drawn():
  assert lattice_figures.lattice(results_of(HALF, [plan(findings.BLOCKS, *HALF[:2])])) is None
  shares = results_of([*SHARES], [plan(findings.SHARES, "h4", "h0")])
  assert lattice_figures.lattice(shares) is None
  assert lattice_figures.shares(shares) is None  # without the curve
  assert lattice_figures.combinations(results_of(HALF, [])) is None


def test_shares_stand_beside_the_curve():
  curve = WeightCurve(SHARES, ("lr_n16", "h0"))
  slope = Combination(findings.CURVE, "twice the parameters", "?", curve.slope())
  figure = lattice_figures.shares(results_of([*SHARES], [slope]))
  labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
  assert labels == ["LR", "HR maps", "HR maps and kernels of 5x5", "as the weights of LR predict"]
  (line,) = (e for e in figure.axes[0].lines if e.get_label() == labels[-1])
  psnr = [
    np.mean([member["test"]["psnr"] for member in results["members"]])
    for results in (results_of([*SHARES], [slope])["arms"][name] for name in ("lr_n16", "h0"))
  ]
  np.testing.assert_allclose(line.get_ydata(), psnr)  # through both, of two arms


def test_every_group_is_a_part_of_the_forest_and_a_row_of_the_table():
  planned = [
    plan(findings.BLOCKS, "8-8-8-0-0", "0-0-8-8-8"),
    plan(findings.CONTROLS, "8-0-0-0-0", "0-0-0-0-0"),
  ]
  results = results_of(LATTICE, planned)
  labels = [e.get_text() for e in lattice_figures.combinations(results).axes[0].get_yticklabels()]
  assert labels == ["blocks", planned[0].name, "controls", planned[1].name]
  header, *rows = tables.combination_rows(results)
  assert [row[:2] for row in rows] == [[each.name, each.group] for each in planned]
  assert {len(row) for row in rows} == {len(header)}
  assert tables.combination_rows({"verdict": {}}) == [header]
