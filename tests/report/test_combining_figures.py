"""Figures and the table of HR maps in LR networks, from made-up results."""

import numpy as np
import pytest

from sr_jax.comparison.combining import encode
from sr_jax.report import combining_figures, markdown
from sr_jax.report.figures import save

LAYERS = 3


def record(share):
  picture = encode(np.arange(64, dtype=np.uint8).reshape(8, 8))
  psnr = {name: [[30.0] * 6] * 2 for name in ("untied", "tied", "half_tied", "half_random")}
  return {
    "seeds": [0, 1],
    "of_seeds": 2,
    "layers": [f"hidden_{i}" for i in range(LAYERS)],
    "shares": [[share] * LAYERS] * 2,
    "null": [[[0.2] * LAYERS, [0.3] * LAYERS]] * 2,
    "psnr": psnr,
    "pictures": {"state": 1, "share": share, "tied": picture, "random": picture},
  }


@pytest.fixture
def results():
  lost = {"seeds": [], "of_seeds": 2, "layers": []}
  return {
    "combining": {
      "detail": {"photograph": "a_b", "picture": record(1)["pictures"]["tied"]},
      "arms": {"lr_3": record(0.4), "lr_3_residual": lost},
      "controls": {
        "lr_3": {"hr": record(1.0), "half": record(0.6)},
        "lr_3_residual": {"hr": record(1.0), "half": lost},
      },
    }
  }


def test_shares_are_drawn_against_the_null_and_the_controls(results):
  (axes,) = combining_figures.shares(results).axes
  assert axes.get_title() == "LR 3"
  lines = {line.get_label(): line.get_ydata() for line in axes.lines}
  np.testing.assert_allclose(lines["tied share"], 0.4)
  np.testing.assert_allclose(lines["control, HR"], 1)
  np.testing.assert_allclose(lines["control, Half"], 0.6)
  (band,) = axes.collections
  box = band.get_paths()[0].get_extents()
  assert 0.2 <= box.y0 < 0.21
  assert 0.29 < box.y1 <= 0.3


def test_pictures_are_of_every_arm_and_control_that_finished(results):
  figure = combining_figures.pictures(results)
  titles = [axes.get_title() for axes in figure.axes]
  assert titles == [
    "LR 3\na_b",
    "most tied\n0.40, state 2",
    "random\nchannels",
    "control, HR\n1.00, state 2",
    "control, Half\n0.60, state 2",
  ]


def test_the_table_has_a_row_for_every_arm(results):
  header, first, second = combining_figures.rows(results)
  assert first[:3] == ["LR 3", "0.400", "0.250"]
  assert second == ["LR 3 residual", *["-"] * 4, "not concluded"]
  assert len(header) == len(first)


def test_the_section_is_there_only_where_a_run_has_looked(results, tmp_path):
  for name, draw in (
    ("tied_shares", combining_figures.shares),
    ("interleaved", combining_figures.pictures),
  ):
    assert draw({}) is None
    save(draw(results), tmp_path / f"{name}.png")
  assert not combining_figures.section({}, tmp_path / "none")
  text = markdown.render(combining_figures.section(results, tmp_path), tmp_path)
  assert "Nothing is concluded on HR maps in LR 3 residual, since a positive control fails" in text
  assert "tied_shares.png" in text
  assert "interleaved.png" in text
