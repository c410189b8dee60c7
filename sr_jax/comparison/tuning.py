"""Recipes of an arm's own: what is tuned beside its learning rate, and how it is chosen.

Every arm trains the same recipes, drawn at random. The search is resampled with the seeds: each
seed draws as many of the recipes, with replacement, and is trained with the best of its draw. So
tuning is a part of the variance that the intervals are made of (Bouthillier et al. 2021,
arXiv 2103.03098). The draws of a seed are the same for every arm, as its batches are.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sr_jax.comparison.own_arms import OwnArmsRecipe, is_own
from sr_jax.comparison.recipe import VALIDATIONS, CommonRecipe
from sr_jax.config import InputError, setting
from sr_jax.training import autotune
from sr_jax.training.hyperparameters import (
  CLIP,
  WARMUP,
  Hyperparameters,
  TunedMembers,
  make_tuned_members,
)
from sr_jax.training.population import Members

DRAWING, RESAMPLING = 0, 1  # the two uses of random numbers here
MORE_VALIDATIONS = 24  # so that the step is known at which a network leaves a plateau
BY_LAYER = ("first_rate", "last_rate", "gain", "last_gain", "contrast")
MIN_PATCH = 4


class Trial(NamedTuple):
  """A recipe that an arm can be trained with; `side` is of its patches, None that of the run."""

  hyperparameters: Hyperparameters
  side: int | None = None


@dataclasses.dataclass(frozen=True)
class TunedRecipe(OwnArmsRecipe):
  """The recipe of a comparison in which more than the learning rate can be tuned."""

  recipes: int = setting(
    0,
    "recipes to choose from, drawn from the values below at random, their peak rate between the "
    "lowest and the highest of --learning_rate; 0: only the rate is chosen",
    at_least=0,
  )
  first_rate: tuple[float, ...] = setting((1.0,), "factors of the first layer's rate", above=0)
  last_rate: tuple[float, ...] = setting((1.0,), "factors of the last layer's rate", above=0)
  gain: tuple[float, ...] = setting(
    (1.0,), "factors of the initial variance of all kernels but the last", above=0
  )
  last_gain: tuple[float, ...] = setting(
    (1.0,), "factors of the initial variance of the last kernel", above=0
  )
  contrast: tuple[float, ...] = setting(
    (1.0,), "factors of the image that the first layer reads", above=0
  )
  warmup: tuple[float, ...] = setting(
    (WARMUP,), "shares of all steps over which the learning rate rises", above=0
  )
  clip: tuple[float, ...] = setting((CLIP,), "largest norms of all gradients together", above=0)
  patches: tuple[int, ...] = setting(
    (0,),
    "sides of training patches in LR pixels, whose batches have about the pixels of --batch of "
    "--patch; 0: that of --patch",
    at_least=0,
  )

  def __post_init__(self) -> None:
    """Checks what own networks cannot have, before any is imported, then every field."""
    tuned = [name for name in BY_LAYER if self.tuned[name] != (1.0,)]
    tuned += ["patches"] if self.patches != (0,) else []
    own = [entry for entry in getattr(self, self.ENTRIES) if is_own(entry)]
    if own and tuned:
      raise InputError(
        f"--{tuned[0]} is for networks of this package, whose layers are known, and not for "
        f"{own[0]}; leave one of them out"
      )
    super().__post_init__()
    if max(self.warmup) > 1:
      raise InputError(f"--warmup={max(self.warmup):g} must be at most 1, of all steps")
    if small := [side for side in self.patches if 0 < side < MIN_PATCH]:
      raise InputError(f"--patches={small[0]} must be at least {MIN_PATCH}, or 0")
    if self.recipes and self.extend_grid:
      raise InputError("--extend_grid is for a grid of rates, and --recipes draws them; drop one")
    if not self.recipes:
      for name, values in self.tuned.items():
        if len(values) > 1:
          text = ",".join(f"{value:g}" for value in values)
          raise InputError(
            f"--{name}={text} is to be drawn from, which --recipes does: give it, or one value"
          )
      if self.patches != (0,):
        raise InputError("--patches is for --recipes, which draws from it; without, give --patch")

  @property
  def tuned(self) -> dict[str, tuple[float, ...]]:
    """The values of what is tuned beside the rate and the patches."""
    return {
      "first_rate": self.first_rate,
      "last_rate": self.last_rate,
      "gain": self.gain,
      "last_gain": self.last_gain,
      "contrast": self.contrast,
      "warmup": self.warmup,
      "clip": self.clip,
    }

  @property
  def largest_patch(self) -> int:
    """Side in LR pixels of the largest training patch, which every training image must hold."""
    return max(self.patch, *self.patches)

  @property
  def validations(self) -> int:
    """How often the final training is validated, for the learning curve."""
    return MORE_VALIDATIONS if self.recipes else VALIDATIONS

  @property
  def sides(self) -> tuple[int, ...]:
    """Sides of training patches to draw from; none where all are those of the run."""
    return () if self.patches == (0,) else tuple(side or self.patch for side in self.patches)

  def choices(self) -> dict[str, tuple[str, ...]]:
    """Also the form of convolutions of populations by the side of their patches."""
    forms = (*autotune.CPU_FORMS.values(), *autotune.BATCHED_FORMS)
    count = self.search_seeds * self.recipes
    names = [f"p{side}" for side in self.sides] + [f"{count}"] * bool(count)
    by_arm = {f"{arm}/{name}": forms for arm in self.arm_names() for name in names}
    return {**super().choices(), **by_arm}

  def trials(self) -> list[Trial]:
    """The recipes to choose from, the same for every arm."""
    rng = np.random.default_rng(DRAWING)
    low, high = (math.log(rate) for rate in (self.learning_rate[0], self.learning_rate[-1]))
    drawn = []
    for _ in range(self.recipes):
      rate = float(f"{math.exp(rng.uniform(low, high)):.4g}")
      drawn_values = {name: rng.choice(values).item() for name, values in self.tuned.items()}
      side = rng.choice(self.sides).item() if self.sides else None
      drawn.append(Trial(Hyperparameters(rate, **drawn_values), side))
    return drawn

  def at_rate(self, learning_rate: float) -> Hyperparameters:
    """What members are trained with where only their rate is chosen."""
    return Hyperparameters(learning_rate, **{name: value for name, (value,) in self.tuned.items()})


def members_at(
  recipe: CommonRecipe, seeds: Sequence[int], learning_rates: Sequence[float]
) -> Members | TunedMembers:
  """Members of each seed and rate; tuned ones where a run says more than the rate."""
  if isinstance(recipe, TunedRecipe):
    trained_with = [recipe.at_rate(rate) for rate in learning_rates]
    if any(each != Hyperparameters(each.learning_rate) for each in trained_with):
      return make_tuned_members(seeds, trained_with)
  return Members(np.array(seeds, np.int32), np.array(learning_rates, np.float32))


def draws(count: int, seed: int) -> list[int]:
  """The recipes of `count` that a seed draws, with replacement."""
  rng = np.random.default_rng([RESAMPLING, seed])
  return rng.integers(count, size=count).tolist()


def best_of(scores: Sequence[float | None], among: Sequence[int]) -> int:
  """The recipe with the best score, of some; what diverged, None, comes last."""
  ranked = {i: -math.inf if (score := scores[i]) is None else score for i in among}
  return max(ranked, key=ranked.__getitem__)


def as_json(trial: Trial, side: int, batch: int) -> dict[str, Any]:
  """A recipe as JSON data, with the side of its patches and the number of them in a batch."""
  return {**trial.hyperparameters._asdict(), "patch": side, "batch": batch}
