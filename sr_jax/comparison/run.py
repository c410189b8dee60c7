"""An open run: what all its arms share."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sr_jax.comparison.recipe import Recipe
from sr_jax.config import Execution
from sr_jax.data.patches import Store
from sr_jax.data.sources import Photos
from sr_jax.networks.budget import Arm
from sr_jax.runtime.files import Unsaved
from sr_jax.runtime.profiling import PhaseClock
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import Choices
from sr_jax.training.metrics import MetricsLog


@dataclasses.dataclass(frozen=True)
class Run:
  """What all arms of a run share."""

  recipe: Recipe
  execution: Execution
  run_dir: RunFolder  # open and locked
  about: dict[str, Any]  # the contents of its config.json
  arms: Sequence[Arm]
  photos: Photos
  store: Store  # the training photographs, on every device
  metrics: MetricsLog
  unsaved: Unsaved  # what could not be written so far
  choices: Choices
  clock: PhaseClock
  is_finished: bool  # before it was opened
