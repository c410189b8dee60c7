"""A run is known by the name in its config.json, and its code by the revision of its checkout."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from experiments import smoke
from sr_jax.config import InputError
from sr_jax.inspect_checkpoint.__main__ import main as inspect_checkpoint
from sr_jax.runtime import provenance
from sr_jax.runtime.run_folder import RunFolder, open_run, run_name


def begin(workdir, **fields):
  """The folder of a run that has begun."""
  config = smoke.Config(**fields)
  run_dir = RunFolder.of(str(workdir), "smoke", config)
  open_run(run_dir, "smoke", config, {})
  return run_dir.path


def edit(run_dir, change):
  file = run_dir / "config.json"
  about = json.loads(file.read_text())
  change(about)
  file.write_text(json.dumps(about))


def of_older_version(run_dir):
  edit(run_dir, lambda about: about.pop("run"))


def rename(run_dir):
  return run_dir.rename(run_dir.with_name("best"))


def link(run_dir):
  path = run_dir.with_name("link")
  path.symlink_to(run_dir, target_is_directory=True)
  return path


def move(run_dir):
  (run_dir.parent / "archive").mkdir()
  return Path(shutil.move(run_dir, run_dir.parent / "archive"))


def enter(run_dir):
  os.chdir(rename(run_dir))
  return "."


WAYS = {
  "copied": lambda run_dir: shutil.copytree(run_dir, run_dir.with_name("copy")),
  "renamed": rename,
  "moved": move,
  "a trailing slash": lambda run_dir: f"{rename(run_dir)}/",
  "a link": link,
  "a link to a renamed one": lambda run_dir: link(rename(run_dir)),
  "from within": enter,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_is_inspected_wherever_its_folder_is(way, tmp_path, capsys, monkeypatch):
  monkeypatch.chdir(tmp_path)
  other = begin(tmp_path / "others", steps=7)
  run_dir = begin(tmp_path / "runs")
  path = str(WAYS[way](run_dir))
  assert inspect_checkpoint(["inspect_checkpoint", path]) == 0
  assert "--experiment=smoke --data=sample_photos" in capsys.readouterr().out
  assert inspect_checkpoint(["inspect_checkpoint", "--diff", path, str(other)]) == 0
  out = capsys.readouterr().out
  assert f"A: {Path(path)}\n" in out
  assert "steps  150  7" in out
  about = json.loads((Path(path) / "config.json").read_text())
  assert run_name(RunFolder(Path(path)), about) == run_dir.name


@pytest.mark.parametrize("way", [*WAYS, "as it was"])
def test_a_changed_configuration_is_refused_wherever_the_folder_is(
  way, tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  run_dir = begin(tmp_path / "runs")
  edit(run_dir, lambda about: about["config"].update(steps=7))
  hashes_to = RunFolder.of(".", "smoke", smoke.Config(steps=7)).name
  path = str(WAYS.get(way, str)(run_dir))
  assert inspect_checkpoint(["inspect_checkpoint", path]) == 2
  err = capsys.readouterr().err
  assert "config.json was changed" in err
  assert hashes_to in err
  assert run_dir.name in err
  assert err.count("\n") == 1


def test_a_run_of_an_older_version_is_named_by_its_folder(tmp_path):
  run_dir = begin(tmp_path)
  of_older_version(run_dir)
  about = json.loads((run_dir / "config.json").read_text())
  assert run_name(RunFolder(run_dir), about) == run_dir.name
  assert open_run(RunFolder(run_dir), "smoke", smoke.Config(), {})[1] == []
  best = rename(run_dir)
  with pytest.raises(InputError, match=rf"hashes to {run_dir.name}, .*best.* rename the folder"):
    run_name(RunFolder(best), about)


def test_training_in_the_folder_of_another_run_asks_to_rename_it(tmp_path, contents):
  run_dir = begin(tmp_path)
  other = RunFolder.of(str(tmp_path), "smoke", smoke.Config(steps=7)).path
  shutil.copytree(run_dir, other)
  (other / "run.lock").unlink()
  before = contents(tmp_path)
  with pytest.raises(InputError, match=rf"{other.name} holds .*; rename .* to {run_dir.name}"):
    open_run(RunFolder(other), "smoke", smoke.Config(steps=7), {})
  assert contents(tmp_path) == before
  assert open_run(RunFolder(run_dir), "smoke", smoke.Config(), {})[1] == []


def test_a_config_without_its_contents_is_refused(tmp_path):
  with pytest.raises(InputError, match=r"config.json has no experiment and config; restore it"):
    run_name(RunFolder(tmp_path), {"run": "smoke-0123456789"})


def git(folder, *command):
  identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
  done = subprocess.run(
    ["git", "-C", str(folder), *identity, *command], capture_output=True, text=True, check=True
  )
  return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
  """A repository with a commit of one file, and the package in three places in it."""
  top = tmp_path / "repository"
  for where in (".", "src", "venv/lib/site-packages"):
    (top / where / "sr_jax").mkdir(parents=True)
    (top / where / "sr_jax" / "__init__.py").write_text("")
  (top / "paper.tex").write_text("")
  git(tmp_path, "init", "-q", str(top))
  git(top, "add", "paper.tex", "src")
  git(top, "commit", "-qm", "begin")
  return top


def revision_in(folder, monkeypatch):
  module = folder / "sr_jax" / "runtime" / "provenance.py"
  monkeypatch.setattr(provenance, "__file__", str(module))
  return provenance._revision()


@pytest.mark.parametrize("where", [".", "src", "venv/lib/site-packages"])
def test_the_revision_is_not_that_of_somebody_elses_repository(where, repository, monkeypatch):
  assert revision_in(repository / where, monkeypatch) == "unknown"


def test_the_revision_is_that_of_the_checkout(repository, tmp_path, monkeypatch):
  git(repository, "add", "sr_jax")
  git(repository, "commit", "-qm", "go on")
  clone, link = tmp_path / "clone", tmp_path / "link"
  git(tmp_path, "clone", "-q", str(repository), str(clone))
  link.symlink_to(clone, target_is_directory=True)
  head = git(clone, "rev-parse", "HEAD")
  assert revision_in(clone, monkeypatch) == head
  assert revision_in(link, monkeypatch) == head
  (clone / "notes").write_text("")
  assert revision_in(clone, monkeypatch) == f"{head} with changes"
  monkeypatch.setenv("PATH", str(tmp_path))
  assert revision_in(clone, monkeypatch) == "unknown"


def test_without_a_commit_the_revision_is_unknown(tmp_path, monkeypatch):
  (tmp_path / "sr_jax").mkdir()
  (tmp_path / "sr_jax" / "__init__.py").write_text("")
  assert revision_in(tmp_path, monkeypatch) == "unknown"
  git(tmp_path, "init", "-q")
  git(tmp_path, "add", ".")
  assert revision_in(tmp_path, monkeypatch) == "unknown"
