"""Forest plots over tasks, from made-up results."""

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from sr_jax.report import task_figures
from sr_jax.report.figures import COLOURS, save


def labels_of(figure):
  (axes,) = figure.axes
  return [label.get_text() for label in axes.get_yticklabels()]


def points(axes, colour):
  """Rows and values of the marks of a colour."""
  marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
  return {
    float(line.get_ydata()[0]): float(line.get_xdata()[0])
    for line in marks
    if to_hex(line.get_color()).upper() == colour
  }


def test_every_form_of_every_task_is_a_point_in_percent(task_results, tmp_path):
  figure = task_figures.forest(task_results)
  (axes,) = figure.axes
  verdict = task_results["verdict"]
  shares = [
    100 * task["arms"]["transposed"]["share"]["mean"]
    for task in verdict["tasks"].values()
    if task["arms"]["transposed"]["share"]["mean"] is not None
  ]
  pooled = 100 * verdict["pooled"]["transposed"]["share"]["mean"]
  drawn = points(axes, COLOURS[1])
  np.testing.assert_allclose(sorted(drawn.values()), sorted([*shares, pooled]))
  low, high = axes.get_xlim()
  assert low < min(drawn.values()) < max(drawn.values()) < high
  texts = " ".join(text.get_text().replace("\n", " ") for text in axes.texts)
  assert texts == verdict["tasks"]["autoencoding"]["reason"]
  save(figure, tmp_path / "forest.png")
  with Image.open(tmp_path / "forest.png") as image:
    assert image.width == 900


def test_tasks_are_grouped_and_those_not_pooled_come_last(task_results):
  labels = labels_of(task_figures.forest(task_results))
  assert labels[:5] == [
    "reads LR maps",
    "super-resolution (r = 2)",
    "demosaicing (r = 2)",
    "signal (r = 2, d = 1)",
    "volume (r = 2, d = 3)",
  ]
  at = labels.index("not pooled")
  assert labels[at : at + 4] == [
    "not pooled",
    "deblocking (r = 2)",
    "over tasks",
    "Transposed, 9 tasks",
  ]
  assert labels[-2:] == ["Skip, 3 tasks", "Best form, 9 tasks"]


def test_an_interval_far_beyond_the_others_ends_in_an_arrow(task_results):
  share = task_results["verdict"]["tasks"]["flow"]["arms"]["linear"]["share"]
  share |= {"low": -50.0, "high": 50.0}
  (axes,) = task_figures.forest(task_results).axes
  low, high = axes.get_xlim()
  assert -300 < low < high < 300
  arrows = [line.get_marker() for line in axes.lines if to_hex(line.get_color()) == "#cc79a7"]
  assert "<" in arrows
  assert ">" in arrows


def test_periodicity_is_drawn_also_where_there_is_no_share(task_results):
  (axes,) = task_figures.periodicity(task_results).axes
  drawn = points(axes, COLOURS[1])
  assert len(drawn) == len(task_results["tasks"]) + 1
  assert all(0 < value < 3 for value in drawn.values())
  assert not axes.texts


def test_nothing_is_drawn_of_no_effect(task_results):
  verdict = task_results["verdict"]
  records = [*verdict["pooled"].values()]
  records += [arm for task in verdict["tasks"].values() for arm in task["arms"].values()]
  for record in records:
    record["share"]["mean"] = None
  assert task_figures.forest(task_results) is None
  assert task_figures.periodicity(task_results) is not None
