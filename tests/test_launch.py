import importlib
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import launch
from experiments import smoke
from experiments.matched_flops import PRESETS, Config
from sr_jax.config import Execution
from sr_jax.networks.own_source import code_of
from sr_jax.runtime import processes
from sr_jax.runtime.run_folder import RunFolder, open_run
from sr_jax.sweep import points

ROOT = Path(__file__).parents[1]


def run(*flags):
  return launch.main(["launch.py", *flags])


def test_lists_the_experiments(capsys):
  assert run("--list") == 0
  assert "matched_flops" in capsys.readouterr().out
  assert run() == 2


def test_help_shows_every_field_with_its_default(capsys):
  assert run("--experiment=matched_flops", "--help") == 0
  out = capsys.readouterr().out
  for words in ("--features=32", "--learning_rate=", "--workdir=runs", "arXiv 1609.07009"):
    assert words in out


def test_a_preset_is_what_flags_override(monkeypatch):
  seen = []
  monkeypatch.setattr(points, "check_data", lambda *given: None)
  monkeypatch.setattr(
    launch, "_run", lambda runs, mine, alone: seen.extend(point.config for point in mine) or 0
  )
  flags = ("--experiment=matched_flops", "--preset=confirmatory", "--scale=3,4", "--features=144")
  assert run(*flags) == 0
  expected = [replace(PRESETS["confirmatory"], scale=scale, features=144) for scale in (3, 4)]
  assert seen == expected
  assert run("--experiment=matched_flops") == 0
  assert seen[-1] == Config()


def test_processes_compare_the_code_of_own_networks(monkeypatch):
  compared = []
  monkeypatch.setattr(
    processes, "assert_equal_across_processes", lambda value, sentence: compared.append(value)
  )
  source = "examples.own_network:EDSR"
  arguments = '{"EDSR": {"features": 2, "blocks": 1}}'
  config = Config(arms=("lr", source), own_arguments=arguments)
  point = SimpleNamespace(config=config, run_dir=RunFolder.of("runs", "x", config))
  launch._check_processes(
    SimpleNamespace(module=smoke, experiment="x", execution=Execution()), [point]
  )
  assert compared[0][2] == {source: code_of(source)}


def test_help_says_what_a_preset_is(capsys):
  run("--experiment=matched_flops", "--help")
  assert "--preset=confirmatory is --data=tfds:T91 --val" in capsys.readouterr().out


BAD = [
  (["--experiment=matched_flop"], "did you mean matched_flops"),
  (["--experiment=smoke", "--feature=8"], "Did you mean: features"),
  (["--experiment=smoke", "--steps=ten"], "'ten' is not a whole number"),
  (["--experiment=smoke", "--steps=1e3"], "'1e3' is not a whole number"),
  (["--experiment=smoke", "--bicubic_skip=maybe"], "'maybe' is not true or false"),
  (["--experiment=smoke", "--learning_rate=1e-3,fast"], "'fast' is not a number"),
  (["--experiment=smoke", "--learning_rate=-1e-3"], "--learning_rate=-0.001 must be greater"),
  (["--experiment=smoke", "--learning_rate="], "'' is not a number"),
  (["--experiment=smoke", "--seeds=0"], "--seeds=0 must be at least 1"),
  (["--experiment=smoke", "--scale=1"], "--scale=1 is not supported; choose from 2, 3, 4"),
  (["--experiment=smoke", "--scale=5"], "--scale=5 is not supported; choose from 2, 3, 4"),
  (["--experiment=smoke", "--scale=2,5"], "--scale=5 is not supported"),
  (["--experiment=smoke", "--patch=2"], "--patch=2 must be at least 4"),
  (["--experiment=smoke", "--activation=gelu"], "--activation=gelu is not supported"),
  (["--experiment=matched_flops", "--scale=3"], "27 or 36"),
  (["--experiment=matched_flops", "--hr_features=7"], "--hr_features=7 matches no whole kernel"),
  (["--experiment=matched_flops", "--hr_features=2"], "arm hr costs 10418 MACs"),
  (["--experiment=matched_flops", "--hr_features=12,2"], "arm hr costs 10418 MACs"),
  (["--experiment=smoke", "features=8"], "flags look like --name=value; found 'features=8'"),
  (["--experiment=smoke", "--nobicubic_skip=true"], "bicubic_skip"),
  (
    ["--experiment=matched_flops", "--preset=quick"],
    "--preset=quick is not known; choose from conf",
  ),
  (
    ["--experiment=espcn", "--preset=quick"],
    "--preset=quick is not known; this experiment has none",
  ),
  (["--experiment=smoke", "--arms=lr"], "--arms=lr: a comparison needs two arms"),
  (["--experiment=smoke", "--arms=lr,hr_k5"], "must be a multiple of K"),
  (["--experiment=smoke", "--data_fraction=1.5"], "--data_fraction=1.5 must be at most 1"),
  (["--experiment=smoke", "--extend_grid", "--learning_rate=1e-3"], "--extend_grid needs at least"),
  (["--experiment=smoke", "--checkpoint_every_seconds=0"], "must be greater than 0"),
  (["--experiment=capacity", "--mesh=data:2"], "--experiment=capacity does not use --mesh; leave"),
  (["--experiment=capacity", "--mesh=auto"], "--experiment=capacity does not use --mesh; leave it"),
  (
    ["--experiment=capacity", "--heartbeat_seconds=9", "--on_corrupt=previous"],
    "--experiment=capacity does not use --heartbeat_seconds and --on_corrupt; leave them out",
  ),
  (["--experiment=capacity", "--seeds=2,3", "--tensorboard"], "does not use --tensorboard"),
  (["--experiment=capacity", "--dry_run", "--notensorboard"], "does not use --tensorboard"),
  (["--experiment=equivalence", "--mesh=data:2"], "--experiment=equivalence does not use --mesh;"),
  (["--experiment=equivalence", "--manual_dir=x"], "does not use --manual_dir; leave it out"),
  (["--experiment=equivalence", "--checkpoint_every_seconds=9"], "does not use --checkpoint_every"),
]


@pytest.mark.parametrize(("flags", "says"), BAD, ids=[flags[-1] for flags, _ in BAD])
def test_bad_flags_are_one_sentence_and_touch_nothing(flags, says, capsys, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert run(*flags) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert not list(tmp_path.iterdir())


EXPERIMENTS = [path.stem for path in sorted((ROOT / "experiments").glob("[!_]*.py"))]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_uses_flags_that_exist_and_its_help_lists_no_other(name, capsys):
  module = importlib.import_module(f"experiments.{name}")
  every = {field.name for field in fields(Execution)}
  used = set(getattr(module, "EXECUTION", every))
  assert used <= every
  assert "workdir" in used  # launch.py's own
  assert not used & {field.name for field in fields(module.Config)}
  run(f"--experiment={name}", "--help")
  out = capsys.readouterr().out
  assert {field for field in every if f"  --{field}=" in out} == used


def test_flags_that_an_experiment_uses_are_taken(monkeypatch, tmp_path):
  seen = []
  monkeypatch.setattr(launch, "_run", lambda runs, mine, alone: seen.append(runs) or 0)
  flags = [f"--workdir={tmp_path}", "--compile_cache=", "--profile", "--distributed=off"]
  for experiment in ("capacity", "equivalence"):
    assert run(f"--experiment={experiment}", *flags) == 0
    assert seen[-1].execution == Execution(
      workdir=str(tmp_path), compile_cache="", profile=True, distributed="off"
    )
    words = [word.partition("=")[0] for word in seen[-1].flags]  # what a launcher's jobs are given
    assert set(words) == {
      "--experiment",
      "--workdir",
      "--compile_cache",
      "--profile",
      "--distributed",
    }


@pytest.fixture
def quick(tmp_path):
  return [
    "--experiment=smoke",
    f"--workdir={tmp_path / 'runs'}",
    f"--data_dir={tmp_path / 'decoded'}",
    "--compile_cache=",
  ]


def bad_folder(tmp_path, kind):
  for split in ("train", "validation", "test"):
    (tmp_path / split).mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    Image.fromarray(noise).save(tmp_path / split / "a.png")
  if kind == "missing":
    (tmp_path / "test" / "a.png").unlink()
    (tmp_path / "test").rmdir()
  elif kind == "empty":
    (tmp_path / "validation" / "a.png").unlink()
  elif kind == "corrupt":
    (tmp_path / "train" / "b.jpg").write_bytes(b"\xff\xd8\xff oh no")
  elif kind == "small":
    Image.fromarray(noise[:20]).save(tmp_path / "train" / "b.png")
  return f"--data=folder:{tmp_path}"


@pytest.mark.parametrize(
  ("kind", "says"),
  [
    ("missing", "there is no folder"),
    ("empty", "validation holds no image"),
    ("corrupt", "b.jpg cannot be read as an image"),
    ("small", "b.png is 40 x 20 pixels; at scale 2 it needs at least 34 x 34"),
  ],
)
def test_bad_folders_are_one_sentence_and_touch_nothing(kind, says, quick, capsys, tmp_path):
  (tmp_path / "data").mkdir()
  assert run(*quick, bad_folder(tmp_path / "data", kind)) == 2
  assert says in capsys.readouterr().err
  assert not (tmp_path / "runs").exists()


def test_an_unwritable_workdir_is_said(capsys, tmp_path):
  (tmp_path / "file").write_text("")  # no folder can be made below a file
  flags = ["--experiment=smoke", f"--workdir={tmp_path / 'file' / 'runs'}", "--compile_cache="]
  assert run(*flags) == 2
  assert "cannot be written" in capsys.readouterr().err


def test_a_changed_config_is_said_field_by_field(quick, capsys, tmp_path):
  run_dir = RunFolder.of(str(tmp_path / "runs"), "smoke", smoke.Config())
  open_run(run_dir, "smoke", smoke.Config(), {})
  about = json.loads(run_dir.config.read_text())
  about["config"]["steps"] = 99
  run_dir.config.write_text(json.dumps(about))
  assert run(*quick) == 2
  assert "steps is 99, expected" in capsys.readouterr().err
  run_dir.config.write_text("{ torn")
  assert run(*quick) == 2
  assert "config.json cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("flags", "code", "says"),
  [
    (["--list"], 0, "smoke"),
    (["--experiment=smoke", "--help"], 0, "--features=16"),
    (["--experiment=smok"], 2, "did you mean smoke"),
  ],
)
def test_the_program_itself_starts(flags, code, says):
  done = subprocess.run(
    [sys.executable, "launch.py", *flags], cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert done.returncode == code
  assert says in done.stdout + done.stderr


@pytest.mark.parametrize("error", [OSError("not from the system"), TypeError("a bug")])
def test_a_bug_shows_its_traceback_and_a_failed_system_call_a_sentence(
  error, monkeypatch, tmp_path, capsys
):
  def fail(*_):
    raise failures.pop()

  monkeypatch.setattr(smoke, "main", fail)
  flags = ["--experiment=smoke", f"--workdir={tmp_path}", "--compile_cache="]
  failures = [PermissionError(13, "Permission denied", "a/file")]
  assert run(*flags) == 2
  assert "launch.py: a/file: Permission denied" in capsys.readouterr().err
  failures = [error]
  with pytest.raises(type(error), match=str(error)):
    run(*flags)
