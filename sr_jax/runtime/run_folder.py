"""The folder of one run: named by what it computes, it explains itself and is never overwritten."""

import contextlib
import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from sr_jax.config import InputError, NotSavedError, differences, digest, to_dict
from sr_jax.runtime import lock
from sr_jax.runtime.console import warn

SIGHT_SECONDS = 30.0
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "sr_jax")


def path_of(workdir: str, experiment: str, config: Any) -> Path:
  """Where the run of an experiment with this config lives: `workdir/experiment-hash`."""
  return Path(workdir).expanduser() / _name(experiment, to_dict(config))


def _name(experiment: str, config: dict[str, Any]) -> str:
  return f"{experiment}-{digest(experiment, config)}"


def write_json(path: Path, data: Any) -> None:
  """Writes strict JSON so that the file is either the old one or the new one, whole."""
  replace_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def replace_text(path: Path, text: str) -> None:
  """Writes a file so that it is either the old one or the new one, whole.

  Raises:
    OSError: it could not be written; its `filename` is the path.
  """
  fresh = path.with_name(path.name + ".new")
  try:
    with fresh.open("w", encoding="utf-8") as file:
      file.write(text)
      file.flush()
      os.fsync(file.fileno())
    fresh.replace(path)
  except OSError as error:
    with contextlib.suppress(OSError):
      fresh.unlink(missing_ok=True)
    raise OSError(error.errno, error.strerror, str(path)) from error


class Unsaved:
  """What a run could not write so far: it goes on without, and says so at once and at its end."""

  def __init__(self) -> None:
    self._reasons: dict[str, str] = {}

  @contextlib.contextmanager
  def noting(self, what: str) -> Iterator[None]:
    """Within it a failure to write `what` (in words) is noted and stops nothing."""
    try:
      yield
    except OSError as error:
      if what not in self._reasons:
        reason = error.strerror or str(error)
        warn(f"WARNING: not saved: {what} ({reason})")
        self._reasons[what] = reason

  @contextlib.contextmanager
  def ending(self) -> Iterator[None]:
    """Within it a file that cannot be written ends the run, and all that is missing is told.

    Raises:
      NotSavedError: instead of an OSError.
    """
    try:
      yield
    except OSError as error:
      self._reasons[str(error.filename or "a file of the run")] = error.strerror or str(error)
      self.check()

  def saved(self, what: str) -> None:
    """After all, `what` is on disk."""
    self._reasons.pop(what, None)

  def check(self) -> None:
    """Tells what is missing.

    Raises:
      NotSavedError: something is.
    """
    if self._reasons:
      listed = "; ".join(f"{what} ({reason})" for what, reason in self._reasons.items())
      raise NotSavedError(f"not saved: {listed}")


def read_json(path: Path) -> Any:
  """Reads a JSON file of a run.

  Raises:
    InputError: the file is missing or damaged.
  """
  try:
    return json.loads(path.read_text())
  except FileNotFoundError as error:
    raise InputError(f"there is no {path}; is {path.parent} the folder of a run?") from error
  except (OSError, ValueError) as error:
    raise InputError(f"{path} cannot be read ({error}); move its folder away") from error


def run_name(run_dir: Path, about: dict[str, Any]) -> str:
  """The name that a run was begun with; its folder may have been copied, moved or renamed since.

  Args:
    run_dir: the folder.
    about: its config.json; of older versions it holds no name, and the folder has to keep its own.

  Raises:
    InputError: the configuration does not hash to the name.
  """
  file = run_dir / "config.json"
  try:
    hashed = _name(about["experiment"], about["config"])
  except (KeyError, TypeError) as error:
    raise InputError(f"{file} has no experiment and config; restore it") from error
  if "run" not in about and hashed != run_dir.resolve().name:
    raise InputError(
      f"{file} was changed, or its folder renamed: its configuration hashes to {hashed}, not to "
      f"{run_dir.resolve().name}; restore the file, or rename the folder to {hashed}"
    )
  if about.get("run", hashed) != hashed:
    raise InputError(
      f"{file} was changed: its configuration hashes to {hashed}, not to {about['run']}, the name "
      "that its run was begun with; restore the file or move the folder away"
    )
  return hashed


def open_run(run_dir: Path, experiment: str, config: Any, about: dict[str, Any]) -> list[str]:
  """Creates the folder with its config.json, or checks that it is the folder of this run; locks it.

  Args:
    run_dir: from `path_of`.
    experiment: name of the experiment.
    config: its config.
    about: further contents of config.json that must stay the same when a run is continued.

  Returns:
    what has changed since the run was begun and may change its bits: revision, versions, device.

  Raises:
    InputError: the folder cannot be written, holds another run, or another process works in it.
  """
  file = run_dir / "config.json"
  fixed = {"experiment": experiment, "config": to_dict(config), **about}
  name = _name(experiment, fixed["config"])
  now = provenance()
  if file.exists():
    found = read_json(file)
    if not isinstance(found, dict) or not {"config", "provenance"} <= found.keys():
      raise InputError(f"{file} is not a run's; move its folder away")
    if found.get("run", name) != name:
      holds = run_name(run_dir, found)
      raise InputError(f"{run_dir} holds the run {holds}; rename the folder to {holds}")
    odd = differences(found["config"], fixed["config"])
    odd += [
      f"{key} has changed" for key in fixed if key != "config" and found.get(key) != fixed[key]
    ]
    if odd:
      raise InputError(f"{file} is not of this run: {'; '.join(odd)}; move the folder away")
    lock.acquire(run_dir)
    return differences(now, found["provenance"])
  try:
    run_dir.mkdir(parents=True, exist_ok=True)
    lock.acquire(run_dir)
    began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(file, {"run": name, **fixed, "provenance": now, "began": began})
  except OSError as error:
    raise InputError(f"--workdir: {run_dir} cannot be written ({error.strerror})") from error
  return []


def record(run_dir: Path, about: dict[str, Any]) -> None:
  """Adds to a run's config.json what was not known when it was opened.

  Raises:
    InputError: it stands there already, and otherwise.
  """
  file = run_dir / "config.json"
  contents = read_json(file)
  changed = [key for key in about if key in contents and contents[key] != about[key]]
  if changed:
    listed = "; ".join(f"{key} has changed" for key in changed)
    raise InputError(f"{file} is not of this run: {listed}; move the folder away")
  if about.keys() - contents.keys():
    write_json(file, {**contents, **about})


def await_sight_of(path: Path) -> None:
  """Waits for a file that another process has just written; shared folders may be slow.

  Raises:
    InputError: it does not appear.
  """
  deadline = time.monotonic() + SIGHT_SECONDS
  while not path.exists():
    if time.monotonic() > deadline:
      raise InputError(
        f"{path}, which the first process wrote, is not seen by another one; --workdir must be a "
        "folder that all share"
      )
    time.sleep(0.1)


@functools.cache
def provenance() -> dict[str, str]:
  """The code revision, package versions and devices that a result depends on."""
  return {
    "revision": _revision(),
    "python": platform.python_version(),
    **{name: _version(name) for name in PACKAGES},
    "device": describe_devices(),
  }


def describe_devices() -> str:
  """The devices that JAX uses, in words."""
  devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
  if jax.process_count() > 1:
    devices += f" in {jax.process_count()} processes"
  if jax.default_backend() == "cpu":
    devices += f" ({platform.machine()}, {os.cpu_count()} cores)"
  return devices


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return "not installed"


def _revision() -> str:
  """The git revision of this code, marked if files differ from it; "unknown" outside its checkout.

  An installed package may lie in somebody else's repository, whose revision says nothing of it.
  """
  package = Path(__file__).resolve().parents[1]
  try:
    top, head = _git(package, "rev-parse", "--show-toplevel", "HEAD").split("\n")
    if Path(top).resolve() != package.parent:
      return "unknown"
    _git(package, "ls-files", "--error-unmatch", "__init__.py")
    return head + (" with changes" if _git(package, "status", "--porcelain") else "")
  except (OSError, ValueError, subprocess.CalledProcessError):
    return "unknown"


def _git(folder: Path, *arguments: str) -> str:
  """What a git command prints."""
  command = ["git", "-C", str(folder), *arguments]
  return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
