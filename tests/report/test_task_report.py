"""Both files of the report of a comparison over tasks, from made-up results."""

import re

import pytest
from PIL import Image

from sr_jax.comparison.explicit_forms import decide
from sr_jax.report import task_report, task_tables
from sr_jax.runtime.run_folder import RunFolder


@pytest.fixture
def write(tmp_path):
  """Writes the report and returns both texts."""

  def write_report(results):
    timing = {
      "device": "1 x cpu",
      "tasks": {
        name: {
          "step_seconds": dict.fromkeys(record["arms"], 0.004),
          "executed_macs": dict.fromkeys(record["arms"], 500.0),
          "phase_seconds": {"load": 1.0, "train lr": 29.0},
        }
        for name, record in results["tasks"].items()
      },
    }
    about = {"began": "2026-01-01", "provenance": {"revision": "abc"}}
    task_report.write(RunFolder(tmp_path), results, timing, about)
    return (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()

  return write_report


def only(results, *names):
  """The results of a run of these tasks alone."""
  results = {**results, "tasks": {name: results["tasks"][name] for name in names}}
  return results | {"verdict": decide(results)}


def test_every_task_has_a_section_and_its_picture_if_there_is_one(task_results, write, tmp_path):
  results = only(task_results, "super_resolution", "flow", "signal")
  (tmp_path / "figures").mkdir()
  for name in ("flow", "signal"):
    Image.new("L", (30, 20)).save(tmp_path / "figures" / f"{name}.png")
  text, page = write(results)
  assert re.findall(r"^## (.*)", text, re.MULTILINE) == [
    "Tasks on one axis",
    "Scores",
    "Super-resolution",
    "Flow",
    "Signal",
    "Do errors repeat with the phases?",
    "Limits",
    "Reproduce",
  ]
  pictures = re.findall(r"\]\(figures/(\w+)\.png\)", text)
  assert pictures == ["forest", "flow", "signal", "periodicity"]
  assert page.count("data:image/png") == 4
  assert "hue is the direction of the flow" in text
  assert text.count("The stretch is where") == 1
  assert "A note on flow with &lt;i&gt;." in page
  assert "nan" not in page.partition("</style>")[2].partition("base64")[0]


def test_the_page_has_the_verdict_and_every_number(task_results, write):
  text, page = write(only(task_results, "denoising", "flow", "segmentation"))
  results = only(task_results, "denoising", "flow", "segmentation")
  for sentence in results["verdict"]["sentences"]:
    assert sentence.replace("<", "\\<") in text
  assert '<div class="answer helps">' in page
  assert text.startswith("# Is explicit upsampling necessary in any task, at equal compute?\n\n**")
  for rows in (
    task_tables.rows_of_tasks(results),
    task_tables.rows_of_pooled(results),
    task_tables.rows_of_effects(results),
    task_tables.rows_of_scores(results),
    task_tables.rows_of_periodicity(results),
  ):
    for row in rows:
      assert f"| {' | '.join(row)} |" in text
  assert "| flow | 30.0 |" in text  # seconds of all its phases
  assert "The times below sum to 1.5 minutes." in text
  assert "iou: intersection over union" in text


def test_a_run_without_any_share_says_so(task_results, write):
  text, page = write(only(task_results, "autoencoding"))
  assert "no interval" in text
  assert "forest.png" not in text
  assert "None" not in page


def test_rates_of_the_search_that_diverged_are_counted(task_results, write):
  results = only(task_results, "flow")
  for arm in results["tasks"]["flow"]["arms"].values():
    arm["search"] += [{"seed": 0, "learning_rate": 8e-3, "validation_epe_db": None}]
  text, _ = write(results)
  assert "| Linear | 0.004 | 28.000 | 1 of 1 diverged |" in text


def test_the_same_again_leaves_the_files_alone(task_results, write, tmp_path):
  results = only(task_results, "denoising", "signal")
  write(results)
  files = [path for path in tmp_path.rglob("*") if path.is_file()]
  before = {path: path.stat().st_mtime_ns for path in files}
  write(results)
  assert before == {path: path.stat().st_mtime_ns for path in files}
