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
  """What all arms of a run share.

  Attributes:
    run_dir: the run's folder, which is open and locked.
    about: the contents of its config.json.
    store: the training photographs, on every device.
    unsaved: what could not be written so far.
    is_finished: whether the run had its results when it was opened.
  """

  recipe: Recipe
  execution: Execution
  run_dir: RunFolder
  about: dict[str, Any]
  arms: Sequence[Arm]
  photos: Photos
  store: Store
  metrics: MetricsLog
  unsaved: Unsaved
  choices: Choices
  clock: PhaseClock
  is_finished: bool
