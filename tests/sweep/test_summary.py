import csv
import html

import pytest

from sr_jax.sweep import summary as sweep_report
from sr_jax.sweep.summary import Row


def row(features, scale, state="done", mean=0.1, failure=""):
  at = {"features": str(features), "scale": str(scale)}
  run = f"matched_flops-{features}{scale}"
  if state != "done":
    return Row(at, run, state, {}, None, failure)
  test = {"mean": mean, "decision": "supported"}
  test |= {"low": 0.06, "high": 0.14, "seed_low": 0.08, "seed_high": 0.12, "seeds": 3, "images": 5}
  headline = {"LR - HR (dB)": f"{mean:+.3f}", "decision": "supported"} if mean else {}
  return Row(at, run, state, headline, {"contrast": ["lr", "hr"], "test": test}, "")


ROWS = [
  row(16, 2),
  row(16, 4, "failed", failure="out of <memory>"),
  row(32, 2, mean=0.2),
  row(32, 4, "missing"),
]


def test_all_points_stand_in_both_files(tmp_path):
  sweep_report.write(tmp_path, "matched_flops", ROWS, ["--experiment=matched_flops"])
  page = (tmp_path / "sweep.html").read_text()
  for point in ROWS:
    assert f"<td>{point.run}</td>" in page
  assert "2 of 4 points are done (1 failed, 1 missing). Decisions: 2 supported." in page
  assert "features 16, scale 4: out of &lt;memory&gt;" in page
  assert page.count("data:image/png;base64,") == 1
  assert "http" not in page
  assert "<script" not in page
  rows = list(csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines()))
  assert [line["state"] for line in rows] == ["done", "failed", "done", "missing"]
  assert [line["mean"] for line in rows] == ["0.1", "", "0.2", ""]
  assert rows[0]["contrast"] == "LR - HR"
  assert rows[1]["failure"] == "out of <memory>"


def test_the_forest_has_a_row_a_point_grouped_by_the_outer_axis():
  (axes,) = sweep_report.forest(ROWS).axes
  labels = [text.get_text() for text in axes.get_yticklabels()]
  assert labels == ["features 16", "scale 2", "scale 4", "features 32", "scale 2", "scale 4"]
  markers = [line for line in axes.lines if line.get_marker() == "o"]
  assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in markers] == [(0.1, 1), (0.2, 4)]
  words = [(text.get_text(), text.get_position()[1]) for text in axes.texts]
  assert words == [("failed", 2), ("missing", 5)]


def test_the_command_is_quoted_for_the_shell(tmp_path):
  flags = ["--experiment=matched_flops", "--data=folder:/my photos", "--features=16,32"]
  sweep_report.write(tmp_path, "matched_flops", ROWS, flags)
  page = html.unescape((tmp_path / "sweep.html").read_text())
  assert (
    "python launch.py --experiment=matched_flops '--data=folder:/my photos' --features=16,32"
    in page
  )


@pytest.mark.parametrize("rows", [[row(8, 2, "begun")], [row(8, 2, mean=None)]])
def test_there_is_no_forest_without_an_effect(rows, tmp_path):
  assert sweep_report.forest(rows) is None
  sweep_report.write(tmp_path, "matched_flops", rows, [])
  assert "<img" not in (tmp_path / "sweep.html").read_text()


def test_an_experiment_without_a_verdict_has_its_headline(tmp_path):
  rows = [
    Row({"scale": str(r)}, f"espcn-{r}", "done", {"espcn Set5": "32.5"}, None, "") for r in (2, 3)
  ]
  sweep_report.write(tmp_path, "espcn", rows, [])
  page = (tmp_path / "sweep.html").read_text()
  assert "<img" not in page
  assert page.count("32.5") == 2
  assert (tmp_path / "sweep.csv").read_text() == (
    "scale,state,run,espcn Set5,failure\n2,done,espcn-2,32.5,\n3,done,espcn-3,32.5,\n"
  )
