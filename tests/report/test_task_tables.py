"""Tables of explicit upsampling over tasks, from made-up results."""

import pytest

from sr_jax.comparison import explicit_forms
from sr_jax.report import task_tables
from tests.comparison.made_up_tasks import results_of, task_of

TIMING = {"tasks": {"flow": {"step_seconds": {"lr": 0.01, "half (hr_space)": 0.03}}}}


@pytest.fixture(scope="module")
def results():
  run = results_of(
    task_of("super_resolution", half=-0.2, skip=0.1, diverged=[("half", 0)]),
    task_of("flow", unit="pixels", gain=0.5, half=0.0),
    task_of("signal", gain=-1.0, half=0.0),
  )
  return run | {"verdict": explicit_forms.decide(run)}


def test_tables_have_a_cell_in_every_column(results):
  tables = [
    task_tables.rows_of_tasks(results),
    task_tables.rows_of_effects(results),
    task_tables.rows_of_pooled(results),
    task_tables.rows_of_scores(results),
    task_tables.rows_of_periodicity(results),
    task_tables.rows_of_costs(results, TIMING),
  ]
  for rows in tables:
    assert {len(row) for row in rows} == {len(rows[0])}
    assert all(isinstance(cell, str) for row in rows for cell in row)
  assert [len(rows) for rows in tables] == [4, 5, 4, 4, 5, 8]


def test_effects_are_in_shares_and_in_the_units_of_tasks(results):
  _, half, skip, flow, signal = task_tables.rows_of_effects(results)
  assert half[:2] == ["super-resolution", "Half"]
  assert half[2].startswith("-19.8 % (-2")
  assert " dB (" in half[3]
  assert half[4:] == ["hurts", "0"]
  assert skip[4:] == ["helps", "-"]
  assert " pixels (" in flow[3]
  assert signal[2] == "-"
  assert signal[4] == "undecided: the reference gains nothing over no network"


def test_further_measures_have_rows_where_results_hold_them():
  run = results_of(task_of("flow", measure="epe_db", unit="dB of end-point error", half=0.0))
  record = run["tasks"]["flow"]
  members = [member for arm in record["arms"].values() for member in arm["members"]]
  for scored in (record["no_network"], *members):
    scored["test"]["epe"] = [0.25] * 10
  _, deciding, further = task_tables.rows_of_scores(run)
  assert deciding[1] == "epe_db (dB of end-point error)"
  assert further[1:] == ["end-point error (HR pixels, less is better)", *["0.2500"] * 3]


def test_means_are_over_members_that_did_not_diverge(results):
  header, resolution, flow, _ = task_tables.rows_of_scores(results)
  assert header == ["task", "score", "no network", "LR", "Half", "Skip"]
  assert resolution[1] == "psnr (dB)"
  assert resolution[4].endswith(" (3 of 4)")
  assert flow[1] == "iou (pixels)"
  assert flow[5] == "-"
  gain = float(flow[3]) - float(flow[2])
  assert gain == pytest.approx(results["verdict"]["tasks"]["flow"]["gain"]["mean"], abs=1e-4)


def test_no_network_has_the_mean_of_images_that_have_a_periodicity(results):
  _, resolution, *_, pooled = task_tables.rows_of_periodicity(results)
  assert resolution[1] == "0.50"
  assert pooled[0] == "less LR, over tasks"
  assert " to " in pooled[3]


def test_costs_have_the_time_of_a_step_where_it_was_measured(results):
  rows = task_tables.rows_of_costs(results, TIMING)
  times = {(row[0], row[1]): row[-1] for row in rows[1:]}
  assert times["flow", "LR"] == "10.00"
  assert times["flow", "Half"] == "30.00"
  assert times["signal", "LR"] == "-"
  assert rows[1][3:9] == ["512", "640", "1,234", "8", "18", "0"]


def test_every_form_is_a_row_over_tasks(results):
  rows = task_tables.rows_of_pooled(results)
  assert [row[0] for row in rows[1:]] == ["Half", "Skip", "the best explicit form of each task"]
  assert rows[2][1] == "1"
  assert rows[2][5] == "undecided"


def test_every_task_has_its_decision(results):
  _, resolution, flow, signal = task_tables.rows_of_tasks(results)
  assert (resolution[-1], flow[-1]) == ("helps", "not needed")
  assert signal[-1] == "undecided"
  assert signal[3:6] == ["-", "Half", "-"]
  assert resolution[3].endswith(" dB")
  assert float(resolution[3].split()[0]) == pytest.approx(0.05, abs=0.005)  # of a gain of 1 dB
