import json

import numpy as np
import pytest
from PIL import Image

import launch
from experiments import equivalence

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs")
  flags = ["--experiment=equivalence", f"--workdir={workdir}", "--steps=5", "--features=8"]
  with pytest.MonkeyPatch.context() as patch:  # what is timed matters to no test
    patch.setattr(equivalence, "BATCH", 2)
    patch.setattr(equivalence, "PATCH", 5)
    assert launch.main(["launch.py", *flags, "--compile_cache="]) == 0
  (run_dir,) = workdir.iterdir()
  return run_dir


def test_the_notes_own_examples_come_out(run_dir):
  results = json.loads((run_dir / "results.json").read_text())
  one, two = results["one_dimension"], results["two_dimensions"]
  assert one["sub_pixel"] == [10, 7, 16, 11, 22, 15, 28, 19]
  assert one["transposed"] == [5, 8, 9, 14, 13, 20, 17, 26]
  assert one["sub_pixel_of_three_taps"] == [2, 7, 4, 11, 6, 15, 8, 19, 10]
  assert [two[f"q={q}"]["sum"] for q in (1, 2, 3)] == [15422, 15232, 14232]
  assert [two[f"q={q}"]["lr_kernel_size"] for q in (1, 2, 3)] == [2, 3, 2]


def test_the_trained_layer_is_the_nine_by_nine_deconvolution(run_dir):
  layer = json.loads((run_dir / "results.json").read_text())["trained_layer"]
  assert layer["lr_kernel"] == [3, 3, 8, 9]
  assert layer["deconvolution"] == [9, 9, 8, 1]
  assert layer["padding"] == [[3, 3], [3, 3]]
  assert layer["round_trip_is_bit_exact"] is True


def test_every_sentence_has_its_verdict(run_dir):
  results = json.loads((run_dir / "results.json").read_text())
  verdicts = [finding["verdict"] for finding in results["sentences"]]
  assert verdicts == ["right", "right when", "right", "right", "right when", "loose"]
  timing = json.loads((run_dir / "timing.json").read_text())
  assert set(timing["step_seconds"]) == {"lr", "hr (hr_space)", "hr (lr_space)"}
  assert timing["speed"]["verdict"] in ("right", "wrong")


def test_the_report_shows_every_picture(run_dir):
  report = (run_dir / "report.md").read_text()
  pictures = sorted((run_dir / "figures").iterdir())
  assert len(pictures) == 4
  for path in pictures:
    assert f"figures/{path.name}" in report
    assert len(np.unique(np.asarray(Image.open(path).convert("L")))) > 20


def test_a_finished_run_is_told(run_dir, capsys):
  flags = ["--experiment=equivalence", f"--workdir={run_dir.parent}", "--steps=5", "--features=8"]
  assert launch.main(["launch.py", *flags, "--compile_cache="]) == 0
  assert "nothing is computed again" in capsys.readouterr().out


def test_a_checkpoint_that_is_none_is_named(tmp_path, capsys):
  flags = ["--experiment=equivalence", f"--workdir={tmp_path}", f"--checkpoint={tmp_path / 'no'}"]
  assert launch.main(["launch.py", *flags, "--compile_cache="]) == 2
  assert f"there is no {tmp_path / 'no' / 'config.json'}" in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_flags_that_a_checkpoint_overrules_are_refused(tmp_path, capsys):
  flags = ["--experiment=equivalence", f"--workdir={tmp_path}", "--checkpoint=x", "--scale=2"]
  assert launch.main(["launch.py", *flags, "--compile_cache="]) == 2
  assert "--scale: the network is that of --checkpoint" in capsys.readouterr().err


def test_a_run_without_an_lr_arm_is_refused(run_dir, tmp_path, capsys):
  flags = ["--experiment=equivalence", f"--workdir={tmp_path}", f"--checkpoint={run_dir}"]
  assert launch.main(["launch.py", *flags, "--compile_cache="]) == 2
  assert "has no arm lr" in capsys.readouterr().err
