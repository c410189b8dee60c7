"""How the arms of a comparison are trained, and on what: the same for every arm."""

import dataclasses
from collections.abc import Callable

import numpy as np

from sr_jax.config import Execution, InputError, check, setting
from sr_jax.data import sources
from sr_jax.data.finding import ImageSets, find
from sr_jax.data.images import make_pair
from sr_jax.data.pairs import Pair
from sr_jax.data.sources import Photos
from sr_jax.operators.conv import PRECISIONS
from sr_jax.tasks.photographs import Photographs
from sr_jax.tasks.task import Task
from sr_jax.training import autotune
from sr_jax.training.choices import MEASURE, parse

VALIDATIONS = 5


@dataclasses.dataclass(frozen=True)
class CommonRecipe:
  """How arms are trained, and on what, whatever they learn."""

  data: str = setting("sample_photos", "photographs: sample_photos, folder:PATH or tfds:NAME")
  validation_data: str = setting(
    "held_out", "held_out (of --data, a tenth if it is undivided), or others to choose rates by"
  )
  test_data: tuple[str, ...] = setting(
    ("held_out",),
    "held_out likewise, or sets, as Set5,Set14 (each tfds:NAME); the first decides; A+B is a set "
    "of both, and unused what --validation_images leaves of the validation photographs",
  )
  distinct: bool = setting(False, "train on one of each photograph that --data holds twice")
  data_fraction: float = setting(1.0, "of the training photographs to use, by their names", above=0)
  validation_images: int = setting(
    0, "validation photographs to use at most, by their names; 0: all", at_least=0
  )
  batch: int = setting(16, "patches in a batch", at_least=1)
  steps: int = setting(1500, "training steps of every member", at_least=1)
  seeds: int = setting(3, "how many seeds, paired over the arms", at_least=1)
  learning_rate: tuple[float, ...] = setting(
    (1e-3, 4e-3, 1.6e-2), "peak rates to choose from, on validation photographs", above=0
  )
  search_steps: int = setting(600, "steps of each run in the search for a rate", at_least=1)
  search_seeds: int = setting(1, "seeds in the search for a rate", at_least=1)
  extend_grid: bool = setting(
    False, "while an arm's best rate is the lowest or highest, try one more, at most two, on all"
  )
  precision: str = setting(
    "float32", "of products in training; scores are always float32", choices=PRECISIONS
  )
  convolution: str = setting(
    "auto",
    "on CPU XLA's or the native one, which this machine's compiler makes; auto: for each network "
    "the faster, as measured before the run",
    choices=autotune.CONVOLUTIONS,
  )
  measured: tuple[str, ...] = setting(
    (MEASURE,),
    "what is chosen by measuring time; auto: it is measured; or as it was, to make a run's bits "
    "again: hr:lr_space,lr_timed:36",
  )

  def __post_init__(self) -> None:
    """Checks every field; the order of the rates means nothing, and names no other run."""
    check(self)
    if self.data_fraction > 1:
      raise InputError(f"--data_fraction={self.data_fraction:g} must be at most 1")
    if self.extend_grid and len(self.learning_rate) < 2:
      raise InputError("--extend_grid needs at least two rates in --learning_rate to go on from")
    object.__setattr__(self, "learning_rate", tuple(sorted(self.learning_rate)))
    self.given_choices()

  @property
  def validations(self) -> int:
    """How often the final training is validated, for the learning curve."""
    return VALIDATIONS

  def find_images(self, execution: Execution) -> ImageSets:
    """Lists the photographs of every set without reading any.

    Raises:
      InputError: as `finding.find`.
    """
    sets = self.data, self.validation_data, self.test_data
    return find(*sets, execution, self.validation_images)

  def arm_names(self) -> tuple[str, ...]:
    """The networks of a run, as far as its config names them."""
    return ()

  def choices(self) -> dict[str, tuple[str, ...]]:
    """What is chosen by measuring, by name: the form of each population's convolutions."""
    sizes = dict.fromkeys(
      (self.seeds, self.search_seeds * len(self.learning_rate), self.search_seeds)
    )
    forms = (*autotune.CPU_FORMS.values(), *autotune.BATCHED_FORMS)
    return {f"{arm}/{size}": forms for arm in self.arm_names() for size in sizes}

  def given_choices(self) -> dict[str, str]:
    """The choices that `measured` gives.

    Raises:
      InputError: one of them is not understood, or not made in this run.
    """
    return parse(self.measured, self.choices())


@dataclasses.dataclass(frozen=True)
class Recipe(CommonRecipe):
  """How the arms of a comparison are trained, and on what: the same for every arm."""

  scale: int = setting(2, "upscaling factor r", choices=(2, 3, 4))
  patch: int = setting(17, "side of a training patch in LR pixels", at_least=4)

  @property
  def largest_patch(self) -> int:
    """Side in LR pixels of the largest training patch, which every training image must hold."""
    return self.patch

  @property
  def task(self) -> Photographs | Task:
    """What networks are trained to do, and how that is scored."""
    return Photographs(self.scale)

  def load(self, execution: Execution) -> Photos:
    """Reads what networks are trained and tested on.

    Raises:
      InputError: as `sources.load`.
    """
    return self.photographs(execution)

  def photographs(
    self, execution: Execution, make: Callable[[str, np.ndarray, int], Pair] = make_pair
  ) -> Photos:
    """Reads the photographs of the run as `make`, of `sources.load`, makes pairs of them.

    Raises:
      InputError: as `sources.load`.
    """
    photos = sources.load(
      self.data,
      self.scale,
      self.largest_patch,
      self.validation_data,
      self.test_data,
      execution,
      make,
      self.validation_images,
    )
    return sources.select(photos, self.distinct, self.data_fraction, self.validation_images)


def check_data(recipe: CommonRecipe, execution: Execution) -> None:
  """Refuses photographs that are not there, without reading any."""
  recipe.find_images(execution)
