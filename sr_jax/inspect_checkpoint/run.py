"""A run's folder, opened to be read; nothing in it is ever written."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sr_jax.config import InputError
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder, run_name
from sr_jax.training import checkpoints
from sr_jax.training.restore import FINAL


@dataclasses.dataclass(frozen=True)
class Run:
  """The records of a run, of which checkpoints are opened only when they are asked for.

  Attributes:
    folder: where it is.
    about: its config.json.
    results: its results.json; None while it is not finished.
  """

  folder: RunFolder
  about: dict[str, Any]
  results: dict[str, Any] | None

  @property
  def arms(self) -> dict[str, Any]:
    """Note and budget of every arm, by name; none where an experiment trains no arms."""
    arms: dict[str, Any] = self.about.get("arms", {})
    return arms

  def checkpoints(self, arm: str, stage: str) -> Path:
    """The folder of the checkpoints of one training."""
    return self.folder.checkpoints(arm, stage)

  def stages(self, arm: str) -> dict[str, list[int]]:
    """The steps of the complete checkpoints of an arm, by stage, the final one last."""
    folder = self.folder.checkpoints(arm)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = {name: checkpoints.steps(folder / name) for name in sorted(names)}
    found |= {FINAL: found.pop(FINAL, [])}
    return {name: steps for name, steps in found.items() if steps}

  @contextlib.contextmanager
  def reading(self, name: str) -> Iterator[None]:
    """Blames a file of the run for what it lacks while it is read.

    Raises:
      InputError: the file has not the entries that it has when a run writes it.
    """
    try:
      yield
    except InputError:
      raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
      raise InputError(
        f"{self.folder.path / name} is damaged or of another version of sr_jax "
        f"({type(error).__name__}: {error}); restore it"
      ) from error


def open_run(folder: RunFolder) -> Run:
  """The run in a folder.

  Raises:
    InputError: the folder is not that of a run, its config.json was changed, or a file is damaged.
  """
  if not folder.path.is_dir():
    raise InputError(f"there is no folder {folder}")
  about = read_json(folder.config)
  run_name(folder, about)  # refuses one that was changed
  return Run(folder, about, read_json(folder.results) if folder.is_finished else None)
