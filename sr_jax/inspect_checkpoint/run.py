"""Opens a run's folder for reading only."""

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
  """The records of a run: `about` is its config.json, `results` None while it is not finished."""

  folder: RunFolder
  about: dict[str, Any]
  results: dict[str, Any] | None

  @property
  def arms(self) -> dict[str, Any]:
    """Note and budget of every arm by name; empty for an experiment without arms."""
    return self.about.get("arms", {})

  def stages(self, arm: str) -> dict[str, list[int]]:
    """The steps of the complete checkpoints of an arm, by stage, the final one last."""
    folder = self.folder.checkpoints(arm)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    stages = {name: checkpoints.steps(folder / name) for name in sorted(names)}
    stages[FINAL] = stages.pop(FINAL, [])
    return {name: steps for name, steps in stages.items() if steps}

  @contextlib.contextmanager
  def reading(self, path: Path) -> Iterator[None]:
    """Turns the error of a missing or wrong entry into an InputError that names the file."""
    try:
      yield
    except InputError:
      raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
      raise InputError(
        f"{path} is damaged or of another version of sr_jax "
        f"({type(error).__name__}: {error}); restore it"
      ) from error


def key_of(entry: dict[str, Any], what: str) -> str:
  """The key of a member's or a line's "training" or "validation" score, as "validation_psnr"."""
  return next(key for key in entry if key.startswith(f"{what}_"))


def in_words(key: str) -> str:
  """What a key is for readers: "psnr" is PSNR, "validation_psnr" is validation PSNR."""
  for what in ("training", "validation"):
    if key.startswith(f"{what}_"):
      return f"{what} {in_words(key.removeprefix(f'{what}_'))}"
  return key.upper() if key in ("psnr", "ssim") else key


def open_run(folder: RunFolder) -> Run:
  """Opens the run in a folder.

  Raises an InputError if it is none, its config.json was changed, or a file is damaged.
  """
  if not folder.path.is_dir():
    raise InputError(f"there is no folder {folder}")
  about = read_json(folder.config)
  run_name(folder, about)  # refuses a changed configuration
  return Run(folder, about, read_json(folder.results) if folder.is_finished else None)
