"""The folder of one run: named by what it computes, it explains itself and is never overwritten."""

import os
import time
from pathlib import Path
from typing import Any

from sr_jax.config import InputError, differences, digest, to_dict
from sr_jax.runtime import lock
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.provenance import provenance

VISIBLE_SECONDS = 30.0  # until a file that another process wrote is seen in a shared folder


class RunFolder(os.PathLike):
  """Every path of a run.

  Attributes:
    name: of the folder; see `run_name` for that of the run.
    config: what the run is: experiment, configuration, provenance, and its arms with their budgets.
    choices: what was chosen by measuring time, before the first step.
    metrics: what happened at which step.
    results: what the run found, the same bits in every repetition; it is written last.
    profile: with --profile, where the wall time went.
  """

  def __init__(self, path: Path) -> None:
    self.path, self.name = path, path.name
    self.config, self.choices = path / "config.json", path / "choices.json"
    self.results, self.metrics = path / "results.json", path / "metrics.jsonl"
    self.timing, self.profile = path / "timing.json", path / "profile.json"
    self.report, self.markdown_report = path / "report.html", path / "report.md"
    self.figures, self.tensorboard = path / "figures", path / "tensorboard"

  @classmethod
  def of(cls, workdir: str, experiment: str, config: Any) -> "RunFolder":
    """The folder of a run of this experiment and config: `workdir/experiment-hash`."""
    return cls(Path(workdir).expanduser() / _name(experiment, to_dict(config)))

  def __fspath__(self) -> str:
    return str(self.path)

  __str__ = __fspath__

  def checkpoints(self, arm: str, stage: str = "") -> Path:
    """The folder of the checkpoints of one training; of all those of an arm without its stage."""
    return self.path / "checkpoints" / arm / stage

  def trace(self, arm: str) -> Path:
    """The folder of a trace for Perfetto."""
    return self.path / "profile" / arm

  @property
  def tasks(self) -> list["RunFolder"]:
    """The folders of the runs of tasks that are begun, by name; none in most runs."""
    folders = map(RunFolder, sorted((self.path / "tasks").glob("*")))
    return [folder for folder in folders if folder.is_begun]

  def task(self, name: str) -> "RunFolder":
    """The folder of the run of one of several tasks, complete in itself."""
    return RunFolder(self.path / "tasks" / name)

  def part(self, name: str) -> Path:
    """What one of several independent measurements found."""
    return self.path / "parts" / f"{name}.json"

  @property
  def is_begun(self) -> bool:
    """Whether there is a run in the folder."""
    return self.config.exists()

  @property
  def is_finished(self) -> bool:
    """Whether the run has its results."""
    return self.results.exists()


def _name(experiment: str, config: dict[str, Any]) -> str:
  return f"{experiment}-{digest(experiment, config)}"


def run_name(run_dir: RunFolder, about: dict[str, Any]) -> str:
  """The name that a run was begun with; its folder may have been copied, moved or renamed since.

  `about` is its config.json; that of older versions holds no name, and the folder has to keep its
  own. Raises an InputError if the configuration does not hash to the name.
  """
  file, folder = run_dir.config, run_dir.path.resolve().name
  try:
    hashed = _name(about["experiment"], about["config"])
  except (KeyError, TypeError) as error:
    raise InputError(f"{file} has no experiment and config; restore it") from error
  if "run" not in about and hashed != folder:
    raise InputError(
      f"{file} was changed, or its folder renamed: its configuration hashes to {hashed}, not to "
      f"{folder}; restore the file, or rename the folder to {hashed}"
    )
  if about.get("run", hashed) != hashed:
    raise InputError(
      f"{file} was changed: its configuration hashes to {hashed}, not to {about['run']}, the name "
      "that its run was begun with; restore the file or move the folder away"
    )
  return hashed


def open_run(
  run_dir: RunFolder, experiment: str, config: Any, fixed: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
  """Creates the folder with its config.json, or checks that it is the folder of this run; locks it.

  Returns the contents of config.json, of which `fixed` must stay the same when a run is continued,
  and what has changed since the run was begun and may change its bits: revision, versions, device.

  Raises:
    InputError: the folder cannot be written, holds another run, or another process works in it.
  """
  fixed = {"experiment": experiment, "config": to_dict(config), **fixed}
  if run_dir.is_begun:
    return _open_begun(run_dir, fixed)
  named = {"run": _name(experiment, fixed["config"]), **fixed}
  about = {**named, "provenance": provenance(), "began": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
  try:
    run_dir.path.mkdir(parents=True, exist_ok=True)
    lock.acquire(run_dir.path)
    write_json(run_dir.config, about)
  except OSError as error:
    raise InputError(f"--workdir: {run_dir} cannot be written ({error.strerror})") from error
  return about, []


def _open_begun(run_dir: RunFolder, fixed: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
  file, about = run_dir.config, read_json(run_dir.config)
  if not isinstance(about, dict) or not {"config", "provenance"} <= about.keys():
    raise InputError(f"{file} is not a run's; move its folder away")
  name = _name(fixed["experiment"], fixed["config"])
  if about.get("run", name) != name:
    holds = run_name(run_dir, about)
    raise InputError(f"{run_dir} holds the run {holds}; rename the folder to {holds}")
  changed = differences(about["config"], fixed["config"])
  changed += [
    f"{key} has changed" for key in fixed if key != "config" and about.get(key) != fixed[key]
  ]
  if changed:
    raise InputError(f"{file} is not of this run: {'; '.join(changed)}; move the folder away")
  lock.acquire(run_dir.path)
  return about, differences(provenance(), about["provenance"])


def record(run_dir: RunFolder, about: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
  """Adds to a run's config.json what was not known when it was opened; returns the new contents.

  Raises an InputError if something else is there already.
  """
  if changed := [key for key in more if key in about and about[key] != more[key]]:
    phrases = "; ".join(f"{key} has changed" for key in changed)
    raise InputError(f"{run_dir.config} is not of this run: {phrases}; move the folder away")
  if more.keys() - about.keys():
    about = {**about, **more}
    write_json(run_dir.config, about)
  return about


def await_config(run_dir: RunFolder) -> None:
  """Waits for the config.json that another process has just written; shared folders may be slow.

  Raises an InputError if it does not appear.
  """
  deadline = time.monotonic() + VISIBLE_SECONDS
  while not run_dir.is_begun:
    if time.monotonic() > deadline:
      raise InputError(
        f"{run_dir.config}, which the first process wrote, is not seen by another one; --workdir "
        "must be a folder that all share"
      )
    time.sleep(0.1)
