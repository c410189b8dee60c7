"""What the recipes of several tasks, or of several grids, share in an experiment over them all."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from sr_jax.comparison.recipe import CommonRecipe
from sr_jax.config import Execution, InputError, setting
from sr_jax.data.signals import SAMPLES, find_signals
from sr_jax.data.volumes import MNI152, find_volumes
from sr_jax.training.choices import MEASURE

MIN_CROP = 64  # HR pixels: 8 LR pixels at the largest scale, of which errors have a periodicity
# The dimensions d of what reads a flag; those of photographs come with presets, and may be unread.
READ_BY = {"signal": 1, "volume": 3}


@dataclasses.dataclass(frozen=True)
class SeveralRecipes(CommonRecipe):
  """How arms are trained in all of several tasks or grids, and on what."""

  # To compile and time each network in two forms takes longer than that saves.
  convolution: str = "xla"
  crop: int = setting(160, "side of the middle of test photographs to score; 0: all", at_least=0)
  signal: str = setting(SAMPLES, f"for d = 1: scan lines of {SAMPLES}, or folder:WAVS")
  volume: str = setting(MNI152, f"for d = 3: {MNI152}, nilearn's template, or folder:VOLUMES")

  def choices_of(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What is chosen by measuring, by name: in each task what other experiments choose once."""
    of_each = CommonRecipe.choices(self)
    return {f"{name}/{choice}": forms for name in names for choice, forms in of_each.items()}

  def common_of(self, name: str) -> dict[str, Any]:
    """The fields that the recipe of a task shares with all; of the given choices its own."""
    common = {field.name: getattr(self, field.name) for field in dataclasses.fields(CommonRecipe)}
    own = [entry for entry in self.measured if entry.startswith(f"{name}/")]
    return common | {
      "measured": tuple(entry.removeprefix(f"{name}/") for entry in own) or (MEASURE,)
    }

  def refuse_unread(self, kind: str, dims: Collection[int], readers: Mapping[int, str]) -> None:
    """Refuses what has no effect, or too small a crop.

    Args:
      kind: the flag that lists the tasks, as "tasks".
      dims: the dimensions d of those of the run.
      readers: what else than "d = 2" those of a d are called.

    Raises:
      InputError: a flag is given that none of the tasks reads, or the crop is too small.
    """
    for name, needed in READ_BY.items():
      if needed not in dims:
        self.refuse(name, kind, readers.get(needed, f"d = {needed}"))
    if 0 < self.crop < MIN_CROP:
      raise InputError(f"--crop={self.crop} must be 0, for all, or at least {MIN_CROP}")

  def refuse(self, name: str, kind: str, reader: str) -> None:
    """Refuses a flag that is given, and that only `reader` would read, which is not in the run."""
    value = getattr(self, name)
    (default,) = (field.default for field in dataclasses.fields(self) if field.name == name)
    if value != default:
      raise InputError(
        f"--{name}={value} is for {reader}, which is not among --{kind}; leave it out, or add "
        f"{reader} (the default is --{name}={default})"
      )


def check_sources(config: SeveralRecipes, dims: Collection[int], execution: Execution) -> None:
  """Refuses photographs, signals or volumes that are not there, without reading any.

  Raises:
    InputError: a source of one of the dimensions `dims` is unknown, or holds too few files.
  """
  if 2 in dims:
    config.find_images(execution)
  if 1 in dims:
    find_signals(config.signal)
  if 3 in dims:
    find_volumes(config.volume)
