import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_jax.data.images import make_pair, read_luminance
from sr_jax.evaluation.__main__ import main
from sr_jax.evaluation.scoring import bicubic, score_bicubic, to_uint8
from sr_jax.operators.resize import imresize

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "sr_jax" / "data" / "sample_photos" / "astronaut.webp"


def score(*flags):
  return main(["evaluation", *flags])


@pytest.fixture
def folders(tmp_path):
  """One image of noise and itself, one level off."""
  for kind, level in (("reference", 0), ("restored", 1)):
    (tmp_path / kind).mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (24, 24), np.uint8)
    Image.fromarray(noise + np.uint8(level)).save(tmp_path / kind / "a.png")
  return [f"--reference={tmp_path / 'reference'}", f"--restored={tmp_path / 'restored'}"]


BAD = [
  ([], "--scale is missing; --help explains it"),
  (["--scale=2.5"], "--scale=2.5 must be a whole number"),
  (["--scale=0"], "--scale=0 must be at least 1"),
  (["--scale=-2"], "--scale=-2 must be at least 1"),
  (["--scale=two"], "--scale=two must be a whole number"),
  (["--scale=8"], "SSIM's window needs at least 27 x 27"),
  (["--scale=2", "--restored="], "--restored is missing"),
  (["--scale=2", "--restored=nowhere"], "there is no folder nowhere"),
  (["--scale=2", "--jason=scores.json"], "unrecognized arguments: --jason=scores.json"),
  (["--scale=2", "extra"], "unrecognized arguments: extra"),
  (["--scale=2", "--json=a.png"], "--json=a.png must end in .json"),
  (["--scale=2", "--json=nowhere/a.json"], "lie in a folder that exists"),
  (["--scale=2", "--expected=much"], "--expected=much must be a number"),
  (["--scale=2", "--expected=-3"], "--expected=-3.0 must be greater than 0"),
  (["--scale=2", "--expected=0"], "--expected=0.0 must be greater than 0"),
  (["--scale=2", "--expected=nan"], "--expected=nan must be a finite number"),
]


@pytest.mark.parametrize(("given", "says"), BAD, ids=[" ".join(given) for given, _ in BAD])
def test_bad_flags_are_one_sentence_and_touch_nothing(
  given, says, folders, capsys, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  before = sorted(tmp_path.rglob("*"))
  assert score(*folders, *given) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_scored_as_a_command_and_as_json(folders, tmp_path):
  flags = [*folders, "--scale=2", f"--json={tmp_path / 'scores.json'}"]
  run = subprocess.run(
    [sys.executable, "-m", "sr_jax.evaluation", *flags],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert run.stderr == ""
  rows = [line.split() for line in run.stdout.splitlines()]
  assert ["a.png", "48.13", "1.0000", "as", "in", "file"] in rows
  assert ["mean", "of", "1", "48.13", "1.0000"] in rows
  scores = json.loads((tmp_path / "scores.json").read_text())
  assert scores["mean"]["psnr"] == pytest.approx(20 * np.log10(255))
  assert scores["images"]["a.png"]["psnr"] == scores["mean"]["psnr"]
  assert set(scores["variants"].values()) == {scores["mean"]["psnr"]}  # gray, off by 1 everywhere


@pytest.fixture
def swapped(tmp_path):
  """A photograph, and itself a little blurred with red and blue swapped."""
  pixels = np.asarray(Image.open(PHOTO).convert("RGB"))[100:200, 100:200]
  near = imresize(imresize(pixels, 1 / 2), 2)
  for kind, image in (("reference", pixels), ("restored", near[:, :, ::-1])):
    (tmp_path / kind).mkdir()
    Image.fromarray(image).save(tmp_path / kind / "a.png")
  return [f"--reference={tmp_path / 'reference'}", f"--restored={tmp_path / 'restored'}"]


def test_a_habit_that_explains_much_is_said(swapped, tmp_path, capsys):
  assert score(*swapped, "--scale=2", f"--json={tmp_path / 'a.json'}") == 0
  out = capsys.readouterr().out
  assert "Hint: red and blue are swapped in 1 of 1 images" in out
  (hint,) = json.loads((tmp_path / "a.json").read_text())["hints"]
  assert hint in out


def test_without_a_habit_there_is_no_hint(folders, tmp_path, capsys):
  assert score(*folders, "--scale=2", f"--json={tmp_path / 'a.json'}") == 0
  out = capsys.readouterr().out
  assert "Hint" not in out
  assert "expected" not in out
  assert json.loads((tmp_path / "a.json").read_text())["hints"] == []


def test_the_habit_closest_to_an_expected_number_is_said(swapped, folders_mean, capsys):
  assert score(*swapped, "--scale=2", "--expected=25") == 0
  assert "25.00 dB was expected, the protocol gives " in capsys.readouterr().out
  honest = folders_mean(swapped)
  assert score(*swapped, "--scale=2", f"--expected={honest:.2f}") == 0
  out = capsys.readouterr().out
  assert "the habit that comes closest is 'red and blue are swapped'" in out


@pytest.fixture
def folders_mean(tmp_path):
  """What the restored images of some flags score with their channels in order."""

  def mean(flags):
    _, restored = (Path(flag.partition("=")[2]) for flag in flags)
    (tmp_path / "honest").mkdir()
    for path in restored.iterdir():
      Image.fromarray(np.asarray(Image.open(path))[:, :, ::-1]).save(
        tmp_path / "honest" / path.name
      )
    file = tmp_path / "honest.json"
    others = [flags[0], f"--restored={tmp_path / 'honest'}"]
    assert score(*others, "--scale=2", f"--json={file}") == 0
    return json.loads(file.read_text())["mean"]["psnr"]

  return mean


def test_images_too_small_for_a_variant_are_said(tmp_path, capsys):
  for kind in ("reference", "restored"):
    (tmp_path / kind).mkdir()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / kind / "a.png")
  flags = [f"--reference={tmp_path / 'reference'}", f"--restored={tmp_path / 'restored'}"]
  assert score(*flags, "--scale=2") == 0
  out = capsys.readouterr().out
  assert "(- takes larger images)" in out
  assert "colour" not in out


def test_help_says_the_rules(capsys):
  assert score("--help") == 0
  out = capsys.readouterr().out
  assert "protocol A" in out
  assert "--restored" in out


def restore(shared_data, scale, protocol, folder):
  """Bicubic results as another program would leave them."""
  for path in sorted((shared_data / "Set5").iterdir()):
    photo = make_pair(path.stem, read_luminance(path), scale)
    if protocol == "A":
      image = bicubic(photo, scale)
    else:
      lr = np.asarray(Image.open(shared_data / "Set5_matlab_lr" / f"x{scale}" / path.name))
      image = to_uint8(imresize(lr / 255.0, scale))
    Image.fromarray(image).save(folder / f"{path.stem.removesuffix('_GT')}_x{scale}.png")


@pytest.mark.parametrize(
  ("scale", "protocol", "off"),
  # LR pixels rounded to 8 bits, and the result in RGB, cost bicubic up to 0.017 dB.
  [(3, "A", 0.0), (2, "B", -0.016), (3, "B", -0.005), (4, "B", -0.002)],
)
def test_bicubic_through_files_is_what_it_is_in_memory(
  shared_data, tmp_path, scale, protocol, off, capsys
):
  (tmp_path / "restored").mkdir()
  restore(shared_data, scale, protocol, tmp_path / "restored")
  photos = [
    make_pair(path.name, read_luminance(path), scale)
    for path in sorted((shared_data / "Set5").iterdir())
  ]
  expected = score_bicubic(photos, scale)
  flags = [f"--reference={shared_data / 'Set5'}", f"--restored={tmp_path / 'restored'}"]
  assert score(*flags, f"--scale={scale}", f"--json={tmp_path / 'scores.json'}") == 0
  found = json.loads((tmp_path / "scores.json").read_text())
  assert found["mean"]["psnr"] == pytest.approx(np.mean(expected["psnr"]) + off, abs=1e-3)
  if protocol == "A":
    assert [one["psnr"] for one in found["images"].values()] == expected["psnr"]
    assert [one["ssim"] for one in found["images"].values()] == expected["ssim"]
