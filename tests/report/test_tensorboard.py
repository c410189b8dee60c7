"""Events for TensorBoard, read back from their files."""

import json
import struct
import sys

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c

import launch
from experiments import smoke
from sr_jax.report import tensorboard
from sr_jax.runtime.run_folder import RunFolder

CONFIG = {"steps": 20, "learning_rate": [1e-3, 2e-3], "bicubic_skip": True, "data": "mine"}


def events(folder):
  """Every event of the one file of a folder, whose records are length, checksum, data, checksum."""
  (file,) = folder.glob("events.out.tfevents.*")
  data, found = file.read_bytes(), []
  while data:
    length, check = struct.unpack("<QI", data[:12])
    body, (body_check,) = data[12 : 12 + length], struct.unpack("<I", data[12 + length :][:4])
    assert (check, body_check) == (masked_crc32c(data[:8]), masked_crc32c(body))
    found.append(Event.FromString(body))
    data = data[16 + length :]
  return found


def scalars(folder):
  return {
    (value.tag, event.step): value.simple_value
    for event in events(folder)
    for value in event.summary.value
    if value.HasField("simple_value")
  }


@pytest.fixture
def run(tmp_path):
  """A run of which two arms were trained and that has no results yet."""
  about = {"config": CONFIG, "began": "2026-01-02T03:04:05+0100"}
  (tmp_path / "config.json").write_text(json.dumps(about))
  lines = [
    {"step": 5, "arm": "lr", "stage": "search", "training_psnr": [20.0]},
    {"step": 10, "arm": "lr", "stage": "final", "training_psnr": [30.0, 32.0]},
    {"step": 20, "arm": "lr", "stage": "final", "training_psnr": [31.0, None]},
    {"step": 20, "arm": "lr", "stage": "final", "validation_psnr": [None, None]},
    {"step": 10, "arm": "hr", "stage": "final", "validation_psnr": [25.0, 26.0]},
  ]
  (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  return tmp_path


def test_every_arm_has_its_members_and_their_mean(run):
  tensorboard.write(RunFolder(run))
  assert scalars(run / "tensorboard" / "lr") == {
    ("search/training_psnr/mean", 5): 20.0,
    ("search/training_psnr/member_0", 5): 20.0,
    ("final/training_psnr/mean", 10): 31.0,
    ("final/training_psnr/member_0", 10): 30.0,
    ("final/training_psnr/member_1", 10): 32.0,
    ("final/training_psnr/mean", 20): 31.0,  # of those that did not diverge
    ("final/training_psnr/member_0", 20): 31.0,
  }
  assert scalars(run / "tensorboard" / "hr")["final/validation_psnr/mean", 10] == 25.5


def test_a_finished_run_has_its_effect_and_its_example(run):
  test = {"mean": 0.25, "low": 0.125, "high": None}
  (run / "results.json").write_text(json.dumps({"verdict": {"test": test}}))
  (run / "figures").mkdir()
  Image.new("RGB", (4, 3)).save(run / "figures" / "example.png")
  tensorboard.write(RunFolder(run))
  whole = run / "tensorboard"
  assert scalars(whole) == {("effect_db/mean", 20): 0.25, ("effect_db/low", 20): 0.125}
  values = {value.tag: value for event in events(whole) for value in event.summary.value}
  image = values["example"].image
  assert (image.width, image.height) == (4, 3)
  assert image.encoded_image_string == (run / "figures" / "example.png").read_bytes()
  content = values["_hparams_/session_start_info"].metadata.plugin_data.content
  given = HParamsPluginData.FromString(content).session_start_info.hparams
  assert given["learning_rate"].string_value == "0.001,0.002"
  assert given["steps"].number_value == 20
  assert given["bicubic_skip"].bool_value is True


def test_the_same_again_leaves_the_files_alone(run, unchanged):
  tensorboard.write(RunFolder(run))
  with unchanged(run / "tensorboard"):
    tensorboard.write(RunFolder(run))


def test_a_resumed_training_repeats_no_step(run):
  tensorboard.write(RunFolder(run))
  before = next((run / "tensorboard" / "lr").iterdir()).name
  lines = (run / "metrics.jsonl").read_text().splitlines()
  lines[2:4] = [json.dumps({"step": 15, "arm": "lr", "stage": "final", "training_psnr": [33.0]})]
  (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
  tensorboard.write(RunFolder(run))
  lr = run / "tensorboard" / "lr"
  assert ("final/training_psnr/mean", 20) not in scalars(lr)  # the one file has the new steps only
  assert scalars(lr)["final/training_psnr/mean", 15] == 33.0
  assert next(lr.iterdir()).name > before  # a TensorBoard that has read the old one reads it, too
  second = events(lr)[1]
  assert (second.step, second.session_log.status) == (0, second.session_log.START)


def test_without_the_package_it_is_one_sentence(capsys, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorboardX", None)
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'runs'}", "--tensorboard"]
  assert launch.main(["launch.py", *flags]) == 2
  err = capsys.readouterr().err
  assert 'pip install -e ".[tensorboard]"' in err
  assert err.count("\n") == 1
  assert not (tmp_path / "runs").exists()


def test_finished_points_of_a_sweep_are_written_too(run, tmp_path, monkeypatch):
  written = []
  monkeypatch.setattr(launch, "_start_jax", lambda execution: None)
  monkeypatch.setattr(tensorboard, "write", written.append)
  monkeypatch.setattr(
    smoke, "main", lambda config, execution, run_dir: run_dir.results.write_text("{}")
  )
  flags = ["--experiment=smoke", f"--workdir={tmp_path}", "--depth=0,1", "--tensorboard"]
  for depth in (0, 1):
    RunFolder.of(str(tmp_path), "smoke", smoke.Config(depth=depth)).path.mkdir()
  launch.main(["launch.py", *flags])
  launch.main(["launch.py", *flags])
  assert len(written) == 4
