"""The whole program, small: what a run leaves behind, and that a kill changes nothing of it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import chaos
from sr_jax import runner
from sr_jax.config import InputError
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.inspect_checkpoint.__main__ import main as inspect
from sr_jax.networks.budget import Arm
from sr_jax.networks.own import own_network

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

FLAGS = [
  "--experiment=smoke",
  "--features=4",
  "--depth=0",
  "--steps=30",
  "--search_steps=10",
  "--batch=4",
  "--patch=8",
  "--checkpoint_every_seconds=0.01",
  "--hr_execution=hr_space",  # bits are compared between folders, each of which would measure
  "--convolution=xla",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  """Three small photographs for each split, cut from the sample photographs."""
  folder = tmp_path_factory.mktemp("shared") / "data"
  chaos.make_photographs(folder)
  return folder


def start(workdir, data, *more):
  flags = [
    f"--workdir={workdir}",
    f"--data=folder:{data}",
    "--compile_cache=",  # the session's
    f"--data_dir={data.parent / 'decoded'}",
  ]
  command = [sys.executable, "launch.py", *FLAGS, *flags]
  return subprocess.Popen(
    [*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
  )


def finish(process):
  out, err = process.communicate(timeout=300)
  assert process.returncode == 0, out + err
  return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
  """The folder and output of a run left alone."""
  workdir = tmp_path_factory.mktemp("alone")
  out = finish(start(workdir, data))
  (run_dir,) = workdir.iterdir()
  return run_dir, out


def test_a_run_explains_itself(finished, data):
  run_dir, out = finished
  assert re.match(r"\d+ x cpu", out)
  assert "On test photographs, LR is" in out
  assert {path.name for path in run_dir.iterdir()} == {
    "checkpoints",
    "config.json",
    "figures",
    "metrics.jsonl",
    "report.html",
    "report.md",
    "results.json",
    "timing.json",
  }
  about = json.loads((run_dir / "config.json").read_text())
  assert about["config"]["features"] == 4
  assert {"revision", "jax", "flax", "device"} <= about["provenance"].keys()
  report = (run_dir / "report.md").read_text()
  assert f"```\npython launch.py --experiment=smoke --data=folder:{data} " in report
  page = (run_dir / "report.html").read_text()
  assert page.startswith("<!DOCTYPE html>")
  assert page.count('alt="Photograph ') == 2  # the most and the least helped of three
  for name in ("learning_curves", "differences_by_image", "example"):
    picture = Image.open(run_dir / "figures" / f"{name}.png")
    assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    assert f"figures/{name}.png" in report


def test_results_are_complete(finished):
  results = json.loads((finished[0] / "results.json").read_text())
  assert list(results["arms"]) == ["lr", "hr"]
  for arm in results["arms"].values():
    assert [member["seed"] for member in arm["members"]] == [0, 1]
    assert arm["learning_rate"] in [one["learning_rate"] for one in arm["search"]]
    for member in arm["members"]:
      assert member["status"] in ("ok", "below bicubic", "did not learn")
      assert len(member["test"]["psnr"]) == len(results["images"]["test"]) == 3
      assert len(member["training"]["psnr"]) == 3
  lr, hr = (arm["members"] for arm in results["arms"].values())
  differences = [
    np.subtract(a["test"]["psnr"], b["test"]["psnr"]) for a, b in zip(lr, hr, strict=True)
  ]
  assert results["verdict"]["test"]["mean"] == pytest.approx(np.mean(differences))
  assert (results["verdict"]["test"]["seeds"], results["verdict"]["test"]["images"]) == (2, 3)


def test_a_finished_run_is_told_and_not_trained_again(finished, data):
  run_dir, out = finished
  before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file()}
  again = finish(start(run_dir.parent, data))
  assert "nothing is trained again" in again
  assert again.splitlines()[-8:] == out.splitlines()[-8:]
  assert before == {path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file()}


def test_a_finished_run_with_other_images_is_refused(finished, data, tmp_path):
  run_dir, _ = finished
  shutil.copytree(run_dir, tmp_path / "runs" / run_dir.name)
  picture = next((data / "test").iterdir())
  before = picture.read_bytes()
  Image.open(picture).transpose(Image.Transpose.ROTATE_180).save(picture)
  try:
    process = start(tmp_path / "runs", data)
    _, err = process.communicate(timeout=60)
  finally:
    picture.write_bytes(before)
  assert process.returncode == 2
  assert "pixels has changed" in err


def test_a_folder_of_photographs_trains_and_every_test_set_is_reported(data, tmp_path):
  for i, path in enumerate(sorted(SAMPLE_PHOTOS.glob("*.webp"))[:11]):
    folder = tmp_path / ("mine" if i < 5 else "One" if i < 8 else "Two")
    folder.mkdir(exist_ok=True)
    Image.open(path).crop((100, 100, 160, 160)).save(folder / f"{path.stem}.jpg")
  flags = [
    "--steps=5",
    "--learning_rate=1e-3",
    f"--test_data=folder:{tmp_path / 'One'},folder:{tmp_path / 'Two'}",
  ]
  out = finish(start(tmp_path / "runs", tmp_path / "mine", *flags))
  assert "3 train, 2 validation, 3 One, 3 Two photographs" in out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  assert (results["tests"], list(results["further_tests"])) == (["One", "Two"], ["Two"])
  assert len(results["images"]["test"]) == 3
  two = results["further_tests"]["Two"]
  assert len(two["images"]) == len(two["bicubic"]["psnr"]) == 3
  for arm in ("lr", "hr"):
    assert [len(member["psnr"]) for member in two["arms"][arm]] == [3, 3]
  said = results["verdict"]["sentences"]
  assert said[0].startswith("On One, LR ")
  assert said[2].startswith("On Two, LR ")
  assert "| Two (3) PSNR (dB) |" in (run_dir / "report.md").read_text()


def test_divergence_is_told_and_leaves_a_whole_report(data, tmp_path):
  flags = ["--steps=5", "--search_steps=5", "--learning_rate=1e25,1e30"]
  out = finish(start(tmp_path, data, *flags))
  (run_dir,) = tmp_path.iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  statuses = {m["status"] for arm in results["arms"].values() for m in arm["members"]}
  assert statuses == {"diverged"}
  assert "LR diverged for seeds [0, 1]" in out
  assert "no seed finished in both" in out
  report = (run_dir / "report.md").read_text()
  assert "nan" not in report
  assert inspect(["inspect_checkpoint", str(run_dir), "--arm=lr"]) == 0


def test_a_run_keeps_what_it_chose_and_says_how_to_make_its_bits_again(data, tmp_path):
  flags = ["--hr_execution=auto", "--steps=5", "--learning_rate=1e-3"]
  out = finish(start(tmp_path / "first", data, *flags))
  assert "by its time (hr_space" in out
  (run_dir,) = (tmp_path / "first").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  kept = json.loads((run_dir / "choices.json").read_text())
  assert results["choices"] == {name: choice["choice"] for name, choice in kept.items()}
  assert set(kept) == {"hr"}
  assert set(kept["hr"]["seconds"]) == {"hr_space", "lr_space"}
  timed = json.loads((run_dir / "timing.json").read_text())["step_seconds"]
  assert {"hr (hr_space)", "hr (lr_space)"} <= set(timed)

  # The slower choice is kept, too, when the run goes on.
  slower = max(kept["hr"]["seconds"], key=kept["hr"]["seconds"].get)
  kept["hr"]["choice"] = slower
  copy = tmp_path / "copy" / run_dir.name
  copy.mkdir(parents=True)
  (copy / "choices.json").write_text(json.dumps(kept))
  finish(start(copy.parent, data, *flags))
  about = json.loads((copy / "config.json").read_text())
  assert json.loads((copy / "results.json").read_text())["choices"]["hr"] == slower
  executed = about["arms"]["hr"]["budget"]["executed_macs"]
  assert (executed > about["arms"]["hr"]["budget"]["macs"]) == (slower == "lr_space")

  (command,) = re.findall(r"```\n(python launch.py .*)\n```", (run_dir / "report.md").read_text())
  _, _, *words = shlex.split(command)
  again = tmp_path / "again"
  finish(start(again, data, *words))
  (other,) = again.iterdir()
  theirs = json.loads((other / "results.json").read_text())
  assert not (other / "choices.json").exists()
  assert theirs["arms"] == results["arms"]
  assert theirs["config"]["hr_execution"] == results["choices"]["hr"]


def test_a_sweep_runs_the_product_and_only_what_is_missing(finished, data):
  run_dir, _ = finished
  out = finish(start(run_dir.parent, data, "--steps=30,5"))
  assert out.count("nothing is trained again") == 1  # 30 steps are the run above
  table = out.rstrip().splitlines()[-2:]
  assert [row.split()[0] for row in table] == ["30", "5"]
  assert len(list(run_dir.parent.glob("smoke-*"))) == 2


def test_a_changed_own_network_stops_a_run_and_warns_of_a_finished_one(capsys):
  source = "examples.own_network:EDSR"
  arm = Arm("EDSR", own_network(source, 2, '{"features": 2, "blocks": 1}'), None, 0.0, "note")
  described = runner._describe(arm, {}, is_finished=False)
  assert described["code"] == arm.network.code
  assert runner._describe(arm, {"arms": {"EDSR": described}}, is_finished=False) == described
  before = {"note": "as it was", "budget": {}, "code": "0123456789"}
  with pytest.raises(InputError, match=f"{source} was changed since this run was begun; move the"):
    runner._describe(arm, {"arms": {"EDSR": before}}, is_finished=False)
  assert runner._describe(arm, {"arms": {"EDSR": before}}, is_finished=True) == before
  assert f"WARNING: the module of {source} was changed" in capsys.readouterr().out
