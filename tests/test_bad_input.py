"""What else can be wrong with runs, data and commands: a sentence, exit code 2, nothing changed.

Flags of launch.py are in test_launch.py, those of sr_jax.* in runtime/test_command_line.py and in
test_main.py of each command.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import launch
from sr_jax.runtime import lock

ROOT = Path(__file__).parents[1]


def cut(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(path, **changed):
  path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def become_folder(path):
  path.unlink()
  path.mkdir()


def unfinished(run):
  (run / "results.json").unlink()


def swap(run, one, other):
  unfinished(run)
  shutil.rmtree(run / "checkpoints" / one)
  shutil.copytree(run / "checkpoints" / other, run / "checkpoints" / one)


def lose_arrays(run):
  unfinished(run)
  for path in (run / "checkpoints" / "lr" / "final" / "30").rglob("ocdbt.process_0/d/*"):
    path.write_bytes(b"")


def lose_metadata(run):
  unfinished(run)
  (run / "checkpoints" / "lr" / "final" / "30" / "_CHECKPOINT_METADATA").write_text("{")


def lose_digests(run):
  unfinished(run)
  edit(
    run / "checkpoints" / "lr" / "final" / "30" / "_CHECKPOINT_METADATA", custom_metadata={"a": 1}
  )


def file_for_folder(run):
  unfinished(run)
  shutil.rmtree(run / "checkpoints" / "lr" / "final")
  (run / "checkpoints" / "lr" / "final").write_text("")


# What is done to a finished run, what its command then says.
RUNS = {
  "config torn": (lambda run: cut(run / "config.json"), "config.json cannot be read"),
  "config empty": (lambda run: (run / "config.json").write_text(""), "config.json cannot be read"),
  "config binary": (
    lambda run: (run / "config.json").write_bytes(b"\xff\xfe\x00"),
    "config.json cannot be read",
  ),
  "config a list": (
    lambda run: (run / "config.json").write_text("[1]"),
    "config.json is not a run",
  ),
  "config a folder": (lambda run: become_folder(run / "config.json"), "config.json cannot be read"),
  "of another experiment": (
    lambda run: edit(run / "config.json", experiment="espcn"),
    "is not of this run: experiment has changed; move the folder away",
  ),
  "of other settings": (
    lambda run: edit(run / "config.json", config={"steps": 3}),
    "is not of this run: activation is absent, expected",
  ),
  "of other arms": (
    lambda run: edit(run / "config.json", arms={}),
    "is not of this run: arms has changed",
  ),
  "of other pixels": (
    lambda run: edit(run / "config.json", pixels="0"),
    "is not of this run: pixels has changed",
  ),
  "results torn": (lambda run: cut(run / "results.json"), "results.json cannot be read"),
  "results empty": (
    lambda run: (run / "results.json").write_text("{}"),
    "results.json or timing.json is damaged or of another version of sr_jax",
  ),
  "results a list": (
    lambda run: (run / "results.json").write_text("[]"),
    "is damaged or of another",
  ),
  "results without arms": (
    lambda run: edit(run / "results.json", arms={}),
    "is damaged or of another",
  ),
  "results a folder": (
    lambda run: become_folder(run / "results.json"),
    "results.json cannot be read",
  ),
  "timing missing": (lambda run: (run / "timing.json").unlink(), "there is no"),
  "timing empty": (lambda run: (run / "timing.json").write_text("{}"), "timing.json is damaged"),
  "metrics a folder": (
    lambda run: (unfinished(run), become_folder(run / "metrics.jsonl")),
    "not saved: ",
  ),
  "of another network": (lambda run: swap(run, "lr", "hr"), "are of another network or population"),
  "of other members": (
    lambda run: swap(run, "lr/final", "lr/search"),
    "this run wants (seed 0, rate",
  ),
  "arrays lost": (lose_arrays, "final/30 is damaged"),
  "metadata lost": (lose_metadata, "final/30 is damaged (its metadata cannot be read)"),
  "digests lost": (lose_digests, "final/30 is damaged"),
  "a file for checkpoints": (file_for_folder, "lr/final"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", RUNS)
def test_a_run_that_is_not_as_it_was(what, small_run, tmp_path, capsys, unchanged):
  damage, says = RUNS[what]
  run = tmp_path / small_run.folder.name
  shutil.copytree(small_run.folder, run)
  damage(run)
  capsys.readouterr()
  with unchanged(tmp_path):
    code = launch.main(small_run.command(workdir=tmp_path))
  err = capsys.readouterr().err
  assert code == (1 if says == "not saved: " else 2), err
  assert says in err
  assert err.count("launch.py:") == err.strip().count("\n") + 1 == 1


@pytest.mark.slow
def test_a_run_that_another_process_works_on(small_run, tmp_path, capsys):
  run = tmp_path / small_run.folder.name
  shutil.copytree(small_run.folder, run)
  code = (
    "import pathlib, sys\nfrom sr_jax.runtime import lock\nlock.acquire(pathlib.Path(sys.argv[1]))"
  )
  command = [sys.executable, "-c", f"{code}\nprint('held', flush=True)\nsys.stdin.readline()"]
  pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
  with subprocess.Popen([*command, str(run)], cwd=ROOT, **pipes) as process:
    assert process.stdout.readline() == "held\n"
    assert launch.main(small_run.command(workdir=tmp_path)) == 2
    assert f"is being worked on by process {process.pid} on " in capsys.readouterr().err
    process.communicate("\n")
  assert launch.main(small_run.command(workdir=tmp_path)) == 0
  assert not (run / lock.FILE).exists()


def noise(side=40):
  return Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side), np.uint8))


def link_out(folder):
  noise().save(folder.parent / "outside.png")
  (folder / "train" / "b.png").symlink_to(folder.parent / "outside.png")


def float_pixels(folder):
  Image.fromarray(np.full((40, 40), 0.5, np.float32)).save(folder / "train" / "b.tif")


def folder_elsewhere(folder):
  (folder / "train").rename(folder.parent / "elsewhere")
  (folder / "train").symlink_to(folder.parent / "elsewhere")


# What is done to a folder of photographs, what training on it says.
DATA = {
  "no train": (lambda folder: shutil.rmtree(folder / "train"), "there is no folder"),
  "no test": (lambda folder: shutil.rmtree(folder / "test"), "there is no folder"),
  "no photograph": (lambda folder: (folder / "train" / "a.png").unlink(), "train holds no image"),
  "text": (
    lambda folder: (folder / "train" / "b.png").write_text("hello"),
    "b.png cannot be read as an image",
  ),
  "nothing": (
    lambda folder: (folder / "test" / "b.jpg").touch(),
    "b.jpg cannot be read as an image",
  ),
  "torn": (lambda folder: cut(folder / "train" / "a.png"), "a.png cannot be read as an image"),
  "small": (
    lambda folder: noise(10).save(folder / "train" / "b.png"),
    "b.png is 10 x 10 pixels; at scale 2 it needs at least 16 x 16",
  ),
  "a bomb": (
    lambda folder: noise(60).save(folder / "train" / "b.png"),
    "could be decompression bomb DOS attack.); remove or replace it",
  ),
  "floating point": (
    float_pixels,
    "b.tif holds 32-bit pixels; save it with 8 or 16 bits a channel",
  ),
  "a link to outside": (link_out, "b.png is a symbolic link to outside of its folder"),
  "a folder that is a link to outside": (folder_elsewhere, "train is a symbolic link to outside"),
  "a dangling link": (
    lambda folder: (folder / "train" / "b.png").symlink_to(folder / "train" / "gone.png"),
    "b.png",
  ),
  "a folder named as a photograph": (lambda folder: (folder / "train" / "b.png").mkdir(), "b.png"),
}


@pytest.mark.parametrize("what", DATA)
def test_photographs_that_cannot_be_used(what, tmp_path, capsys, monkeypatch, unchanged):
  damage, says = DATA[what]
  folder = tmp_path / "photos"
  for i, split in enumerate(("train", "validation", "test")):
    (folder / split).mkdir(parents=True)
    noise(41 - i).save(folder / split / "a.png")
  damage(folder)
  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1750)  # it is refused from twice that
  flags = [f"--data=folder:{folder}", f"--workdir={tmp_path / 'runs'}", "--patch=8"]
  flags += [f"--data_dir={tmp_path / 'cache'}", "--compile_cache="]
  with unchanged(folder):
    assert launch.main(["launch.py", "--experiment=smoke", *flags]) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert not (tmp_path / "runs").exists()


# The same as a user gives it, to the programs themselves.
COMMANDS = [
  (["launch.py", "--experiment=smoke", "--steps=ten"], "'ten' is not a whole number"),
  (["launch.py", "--experiment=smoke", "--data=folder:nowhere"], "there is no folder"),
  (["-m", "sr_jax.inspect_checkpoint", "nowhere"], "there is no folder nowhere"),
  (
    ["-m", "sr_jax.upscale", "a.png", "--checkpoint=no", "--output=out"],
    "there is no file a.png",
  ),
  (["-m", "sr_jax.evaluation", "--scale=2"], "--reference is missing"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "says"), COMMANDS, ids=[" ".join(c) for c, _ in COMMANDS])
def test_programs_say_one_sentence(command, says, tmp_path):
  where = [str(ROOT / one) if one == "launch.py" else one for one in command]
  done = subprocess.run(
    [sys.executable, *where],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT), "PATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache")},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  assert says in done.stderr
  assert done.stderr.count("\n") == 1
  assert "Traceback" not in done.stderr
  assert not [path for path in tmp_path.iterdir() if path.name != "cache"]


def test_nothing_is_unpickled_or_evaluated():
  forbidden = re.compile(
    r"\b(pickle|marshal|shelve|dill|joblib)\b|\b(eval|exec|__import__)\(|allow_pickle"
  )
  for folder in ("sr_jax", "experiments", "benchmarks", "docs"):
    for path in (ROOT / folder).rglob("*.py"):
      assert not forbidden.search(path.read_text()), path
  assert not forbidden.search((ROOT / "launch.py").read_text())
