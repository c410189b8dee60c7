import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import launch
from experiments import equivalence
from sr_jax.config import InputError, digest
from sr_jax.identities import claims, theorems
from sr_jax.networks import hr_network, lr_network
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import population, timing
from sr_jax.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs")
  flags = ["--experiment=equivalence", f"--workdir={workdir}", "--steps=5", "--features=8"]
  with pytest.MonkeyPatch.context() as patch:  # what is timed matters to no test
    patch.setattr(equivalence, "BATCH", 2)
    patch.setattr(equivalence, "PATCH", 5)
    patch.setattr(equivalence, "_sample_photos", functools.cache(equivalence._sample_photos))
    patch.setattr(timing, "SECONDS", 1e-3)
    patch.setattr(claims, "LARGEST", 5)
    patch.setattr(claims, "LAYERS", [(1, 2, 3, 0), (2, 3, 4, 1), (3, 2, 2, 0)])
    patch.setattr(claims, "OTHER_SIZES", [(1, 2, 3, 0), (1, 3, 4, 0), (1, 4, 5, 0)])
    # Like the note's pair, of fewer maps, and deep enough to have other receptive fields.
    patch.setattr(claims, "LR_PAIR", lr_network(features=8, depth=1))
    patch.setattr(claims, "HR_PAIR", hr_network(features=2, depth=1))
    patch.setattr(theorems, "FEATURES", 4)
    patch.setattr(theorems, "DEPTH", 2)
    patch.setattr(theorems, "SMALL_FEATURES", 4)
    patch.setattr(theorems, "IMAGES", 2)
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
  timed = json.loads((run_dir / "timing.json").read_text())
  assert set(timed["step_seconds"]) == {"lr", "hr (hr_space)", "hr (lr_space)"}
  assert timed["speed"]["verdict"] in ("right", "wrong")


def test_every_theorem_is_shown(run_dir):
  results = json.loads((run_dir / "results.json").read_text())
  assert [theorem["is_shown"] for theorem in results["theorems"]] == [True] * 4
  report = (run_dir / "report.md").read_text()
  assert "LR tied (HR 5x5, learned upsampling) is strictly contained in LR | shown" in report


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


def write_run(workdir, arm, kernels):
  """The folder of a run at scale 3 whose arm has these last kernels, one a member."""
  config = {"scale": 3}
  run_dir = workdir / f"espcn-{digest('espcn', config)}"
  run_dir.mkdir()
  about = {"experiment": "espcn", "config": config, "arms": {arm: {}}, "provenance": {}}
  (run_dir / "config.json").write_text(json.dumps(about))
  members = population.make_members(range(len(kernels)), [1e-3])
  state = population.State({"last": {"kernel": kernels}}, {"count": np.zeros(len(kernels))})
  checkpoints = Checkpoints(run_dir / "checkpoints" / arm / "final", len(kernels))
  checkpoints.save(7, state, members, {})
  checkpoints.close()
  return run_dir


def test_the_kernels_of_a_trained_espcn_are_read_from_its_first_finite_member(tmp_path):
  kernels = np.random.default_rng(0).random((2, 3, 3, 32, 9)).astype("f")
  kernels[0, 0, 0, 0, 0] = np.nan
  run_dir = write_run(tmp_path, "espcn", kernels)
  layer = equivalence._read_layer(RunFolder(run_dir))
  np.testing.assert_array_equal(layer.kernel, kernels[1])
  assert (layer.scale, layer.source) == (3, f"{run_dir.name}, espcn, step 7, seed 1")
  drawn = []
  found = equivalence.trained_layer(layer, lambda name, figure: drawn.append(name))
  assert found["deconvolution"] == [9, 9, 32, 1]  # the note's (9, 32, 3, 3) <-> (1, 32, 9, 9)
  assert found["round_trip_is_bit_exact"] is True
  assert drawn == ["trained_layer"]


def test_the_layer_of_a_renamed_run_is_the_same(tmp_path, monkeypatch):
  run_dir = write_run(tmp_path, "lr", np.ones((1, 3, 3, 4, 9), "f"))
  file = run_dir / "config.json"
  file.write_text(json.dumps({"run": run_dir.name, **json.loads(file.read_text())}))
  before = equivalence._read_layer(RunFolder(run_dir))
  monkeypatch.chdir(run_dir.rename(tmp_path / "best"))
  assert equivalence._read_layer(RunFolder(Path())).source == before.source


def test_wrong_checkpoints_are_told_apart(tmp_path):
  diverged = write_run(tmp_path, "espcn", np.full((1, 3, 3, 4, 9), np.nan, "f"))
  with pytest.raises(InputError, match=r"every member of arm espcn of .* diverged"):
    equivalence._read_layer(RunFolder(diverged))
  shutil.rmtree(diverged / "checkpoints")
  with pytest.raises(InputError, match="espcn/final holds no complete checkpoint"):
    equivalence._read_layer(RunFolder(diverged))
  shutil.rmtree(diverged)
  other = write_run(tmp_path, "srcnn", np.zeros((1, 5, 5, 32, 1), "f"))
  with pytest.raises(InputError, match="has no arm lr or espcn, which ends in a sub-pixel layer"):
    equivalence._read_layer(RunFolder(other))
  with pytest.raises(InputError, match=r"there is no .*config.json; is .* the folder of a run"):
    equivalence._read_layer(RunFolder(other / "checkpoints"))


def test_a_run_without_an_lr_arm_is_refused(run_dir, tmp_path, capsys):
  flags = ["--experiment=equivalence", f"--workdir={tmp_path}", f"--checkpoint={run_dir}"]
  assert launch.main(["launch.py", *flags, "--compile_cache="]) == 2
  assert "has no arm lr or espcn" in capsys.readouterr().err
