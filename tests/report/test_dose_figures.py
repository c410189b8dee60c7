import numpy as np
import pytest

from sr_jax.report import dose_figures, dose_report


def grid(dims, scale, mean, weight=0.5, **more):
  advantage = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "error": 0.01}
  in_db = {"mean": 2.0, "low": 1.5, "high": 2.5}
  return {
    "dims": dims,
    "scale": scale,
    "phases": scale**dims,
    "parameters": {"lr": 800, "hr_learned": 200},
    "images": 8,
    "gain": in_db,
    "effect": in_db,
    "advantage": advantage,
    "weight": weight,
    "line": None if weight is None else 0.1,
    **more,
  }


@pytest.fixture
def results():
  ends = {"low": 0.0, "high": 0.1}
  line = {
    "intercept": {"mean": 0.02, **ends},
    "slope": {"mean": 0.05, **ends},
    "covariance": [[1e-4, -4e-5], [-4e-5, 2e-5]],
    "degrees_of_freedom": 2,
  }
  grids = {"a": grid(1, 2, 0.07), "b": grid(1, 8, 0.16), "c": grid(2, 3, 0.18)}
  unsure = {"mean": 0.3, "low": None, "high": None, "error": None}
  grids |= {"d": grid(3, 2, 0.3, None, advantage=unsure)}
  return {"verdict": {"grids": grids, "line": line}}


def test_grids_stand_at_log_r_in_percent(results):
  (axes,) = dose_figures.dose(results).axes
  points = {
    drawn.get_label(): drawn.get_xydata()[0]
    for drawn in axes.lines
    if drawn.get_label().startswith("d = ")
  }
  assert [*points] == ["d = 1", "d = 2", "d = 3"]
  np.testing.assert_allclose(points["d = 2"], [np.log2(9), 18])
  np.testing.assert_allclose(points["d = 1"], [1 - dose_figures.ASIDE, 7])
  assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "8", "9"]
  fit = next(drawn for drawn in axes.lines if len(drawn.get_xdata()) == 100)
  np.testing.assert_allclose(fit.get_ydata(), 2 + 5 * fit.get_xdata())
  faces = {
    drawn.get_label(): drawn.get_markerfacecolor()
    for drawn in axes.lines
    if drawn.get_label() in points
  }
  assert faces["d = 3"] == "white" != faces["d = 1"]


def test_without_a_share_there_is_no_figure_and_without_a_fit_no_line(results):
  verdict = results["verdict"]
  verdict["line"] = None
  (axes,) = dose_figures.dose(results).axes
  assert all(len(drawn.get_xdata()) < 100 for drawn in axes.lines)
  for each in verdict["grids"].values():
    each["advantage"] = dict.fromkeys(("mean", "low", "high", "error"))
  assert dose_figures.dose(results) is None


def test_the_table_has_a_row_a_grid(results):
  header, first, *_, last = dose_report.rows(results)
  assert len(first) == len(last) == len(header)
  assert first[:6] == [
    "d = 1, r = 2",
    "2",
    "4.0",
    "+2.00 (+1.50 to +2.50)",
    "+2.000 (+1.500 to +2.500)",
    "+7.0 % (+5.0 to +9.0 %)",
  ]
  assert last[5:8] == ["+30.0 %", "-", "-"]
