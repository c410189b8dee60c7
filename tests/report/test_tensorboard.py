"""Events for TensorBoard, read back from their files."""

import io
import json
import resource
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
  data, parsed = file.read_bytes(), []
  while data:
    length, check = struct.unpack("<QI", data[:12])
    body, (body_check,) = data[12 : 12 + length], struct.unpack("<I", data[12 + length :][:4])
    assert (check, body_check) == (masked_crc32c(data[:8]), masked_crc32c(body))
    parsed.append(Event.FromString(body))
    data = data[16 + length :]
  return parsed


def scalars(folder):
  return {
    (value.tag, event.step): value.simple_value
    for event in events(folder)
    for value in event.summary.value
    if value.HasField("simple_value")
  }


ABOUT = {"config": CONFIG, "began": "2026-01-02T03:04:05+0100"}
LINES = [
  {"step": 5, "arm": "lr", "stage": "search", "training_psnr": [20.0]},
  {"step": 10, "arm": "lr", "stage": "final", "training_psnr": [30.0, 32.0]},
  {"step": 20, "arm": "lr", "stage": "final", "training_psnr": [31.0, None]},
  {"step": 20, "arm": "lr", "stage": "final", "validation_psnr": [None, None]},
  {"step": 10, "arm": "hr", "stage": "final", "validation_psnr": [25.0, 26.0]},
]


def test_every_arm_has_its_members_and_their_mean(tmp_path):
  tensorboard.write(RunFolder(tmp_path), ABOUT, LINES, None)
  assert scalars(tmp_path / "tensorboard" / "lr") == {
    ("search/training_psnr/mean", 5): 20.0,
    ("search/training_psnr/member_0", 5): 20.0,
    ("final/training_psnr/mean", 10): 31.0,
    ("final/training_psnr/member_0", 10): 30.0,
    ("final/training_psnr/member_1", 10): 32.0,
    ("final/training_psnr/mean", 20): 31.0,  # of those that did not diverge
    ("final/training_psnr/member_0", 20): 31.0,
  }
  assert scalars(tmp_path / "tensorboard" / "hr")["final/validation_psnr/mean", 10] == 25.5


def test_a_finished_run_has_its_effect_and_its_example(tmp_path):
  test = {"mean": 0.25, "low": 0.125, "high": None}
  (tmp_path / "figures").mkdir()
  picture = Image.linear_gradient("L").resize((4, 3)).convert("RGB")
  picture.save(tmp_path / "figures" / "example.png")
  tensorboard.write(RunFolder(tmp_path), ABOUT, LINES, {"verdict": {"test": test}})
  whole = tmp_path / "tensorboard"
  assert scalars(whole) == {("effect_db/mean", 20): 0.25, ("effect_db/low", 20): 0.125}
  values = {value.tag: value for event in events(whole) for value in event.summary.value}
  image = values["example"].image
  assert (image.width, image.height) == (4, 3)
  shown = Image.open(io.BytesIO(image.encoded_image_string))
  assert shown.tobytes() == picture.tobytes()
  content = values["_hparams_/session_start_info"].metadata.plugin_data.content
  given = HParamsPluginData.FromString(content).session_start_info.hparams
  assert given["learning_rate"].string_value == "0.001,0.002"
  assert given["steps"].number_value == 20
  assert given["bicubic_skip"].bool_value is True


def test_a_resumed_training_repeats_no_step(tmp_path):
  run_dir, lr = RunFolder(tmp_path), tmp_path / "tensorboard" / "lr"
  tensorboard.write(run_dir, ABOUT, LINES, None)
  before = next(lr.iterdir()).name
  again = {"step": 15, "arm": "lr", "stage": "final", "training_psnr": [33.0]}
  tensorboard.write(run_dir, ABOUT, [*LINES[:2], again], None)
  # The one file has the new steps only; arms that are gone are gone here, too.
  assert ("final/training_psnr/mean", 20) not in scalars(lr)
  assert scalars(lr)["final/training_psnr/mean", 15] == 33.0
  assert not (tmp_path / "tensorboard" / "hr").exists()
  assert next(lr.iterdir()).name > before  # a TensorBoard that has read the old one reads it, too
  second = events(lr)[1]
  assert (second.step, second.session_log.status) == (0, second.session_log.START)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the torn file
def test_a_full_disk_is_an_error_and_keeps_what_was_written(tmp_path):
  run_dir = RunFolder(tmp_path)
  tensorboard.write(run_dir, ABOUT, LINES, None)
  before = scalars(tmp_path / "tensorboard" / "lr")
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
  try:
    with pytest.raises(OSError, match="File too large"):
      tensorboard.write(run_dir, ABOUT, LINES * 1000, None)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert scalars(tmp_path / "tensorboard" / "lr") == before


def test_without_the_package_it_is_one_sentence(capsys, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorboardX", None)
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'runs'}", "--tensorboard"]
  assert launch.main(["launch.py", *flags]) == 2
  err = capsys.readouterr().err
  assert 'pip install -e ".[tensorboard]"' in err
  assert err.count("\n") == 1
  assert not (tmp_path / "runs").exists()


def test_finished_points_of_a_sweep_are_written_too(tmp_path, monkeypatch):
  written = []
  monkeypatch.setattr(launch, "_start_jax", lambda execution: None)
  monkeypatch.setattr(tensorboard, "write", lambda *arguments: written.append(arguments))
  monkeypatch.setattr(smoke, "main", lambda *_: pytest.fail("trained again"))
  flags = ["--experiment=smoke", f"--workdir={tmp_path}", "--depth=0,1", "--tensorboard"]
  run_dirs = [RunFolder.of(str(tmp_path), "smoke", smoke.Config(depth=depth)) for depth in (0, 1)]
  for run_dir in run_dirs:
    run_dir.path.mkdir()
    run_dir.config.write_text(json.dumps(ABOUT))
    run_dir.results.write_text("{}")
  launch.main(["launch.py", *flags])
  assert [(run_dir.path, *data) for run_dir, *data in written] == [
    (run_dir.path, ABOUT, [], {}) for run_dir in run_dirs
  ]


def test_files_that_cannot_be_removed_are_moved_aside(tmp_path, monkeypatch):
  monkeypatch.setattr(tensorboard.shutil, "rmtree", lambda *_, **__: None)  # as of open ones on NFS
  for count in (1, 2, 3):
    tensorboard.write(RunFolder(tmp_path), ABOUT, LINES[:count], None)
  assert ("final/training_psnr/mean", 20) in scalars(tmp_path / "tensorboard" / "lr")
