"""The losses of a training: summed on the devices, read late, logged line by line."""

import math
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from sr_jax.runtime import processes
from sr_jax.runtime.console import TrainingProgress
from sr_jax.training.dispatch import steps_per_dispatch
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import State, zero_losses
from sr_jax.training.sharding import shard_members, without_padding

LINE = "line"  # in a checkpoint's metadata: the line of metrics in the middle of which it was saved


class Training(NamedTuple):
  """What to train and what to call it.

  Attributes:
    stage: "search" (for a learning rate) or "final".
    members: size of the population, without those that the mesh adds.
    steps: length of the schedule.
    validate_at: steps after which `validate` is called.
    measure: what `validate` measures.
    is_squared_error: whether the loss is a mean squared error of values in 0..1, logged as PSNR.
  """

  arm: str
  stage: str
  members: int
  steps: int
  validate_at: frozenset[int]
  measure: str = "psnr"
  is_squared_error: bool = True


class Losses:
  """The losses of dispatches, read late, logged as one line for each `steps_per_dispatch` steps.

  The device sums the losses of a line, dispatch after dispatch, so that neither the steps at which
  something is logged nor what is logged depend on how long dispatches are, or on a stop between.

  Training continues from `step`, with `state` after it; `line` is from `begun_line` at that step.
  """

  def __init__(
    self,
    training: Training,
    metrics: MetricsLog,
    progress: TrainingProgress,
    step: int,
    state: State,
    line: dict[str, Any],
  ) -> None:
    self._training, self._metrics, self._progress = training, metrics, progress
    self._unread: deque[tuple[int, int, jax.Array]] = deque()
    self._nothing = self.total = zero_losses(state)
    self._step = self._line_start = step
    if line:
      self._line_start = step - line["steps"]
      losses = [math.nan if loss is None else loss for loss in line["losses"]]
      mesh = self._nothing.sharding.mesh  # type: ignore[attr-defined]
      self.total = shard_members(mesh, np.array(losses, np.float32))

  def next_line(self, step: int) -> int:
    """The step of the first line after `step`: also at validations, and at the end."""
    every = steps_per_dispatch()
    later = [at for at in self._training.validate_at if at > step]
    return min(self._training.steps, (step // every + 1) * every, *later)

  def add(self, stop: int, total: jax.Array) -> None:
    """Takes the losses up to `stop`, summed from `self.total` on; they may not be there yet."""
    ends_line = stop == self.next_line(self._step)
    self._unread.append((stop, (stop - self._line_start) * ends_line, total))
    self._step = stop
    self.total = self._nothing if ends_line else total
    if ends_line:
      self._line_start = stop

  def read(self, ended: Callable[[], None], but_the_last: bool = False) -> None:
    """Waits for the losses taken, logs whole lines of them, and shows where training is.

    It calls `ended` when a dispatch has; it may leave the last dispatch running.
    """
    while len(self._unread) > but_the_last:
      stop, steps, total = self._unread.popleft()
      jax.block_until_ready(total)
      ended()
      if steps:
        mean = processes.to_host(total)[: self._training.members].astype(np.float64) / steps
        is_psnr, losses = self._training.is_squared_error, mean.tolist()
        values = [_psnr(loss) if is_psnr else _finite(loss) for loss in losses]
        line = {"arm": self._training.arm, "stage": self._training.stage}
        self._metrics.append(step=stop, **line, **{_key(self._training): values})
        finite = [value for value in values if value is not None]
        unit = " dB" if is_psnr else ""
        self._progress.update(stop, f"{np.mean(finite):.2f}{unit}" if finite else "diverged")

  def begun_line(self) -> dict[str, Any]:
    """What a checkpoint has to keep of a line that has been begun: JSON data, empty if none is."""
    if self._step == self._line_start:
      return {}
    losses = without_padding(processes.to_host(self.total), self._training.members).tolist()
    steps = self._step - self._line_start
    return {LINE: {"steps": steps, "losses": [_finite(loss) for loss in losses]}}


def _key(training: Training) -> str:
  return "training_psnr" if training.is_squared_error else "training_loss"


def _finite(loss: float) -> float | None:
  return loss if math.isfinite(loss) else None


def _psnr(loss: float) -> float | None:
  """A mean squared error of values in 0..1 as dB, at most 100; None where it is not finite."""
  return -10 * math.log10(max(loss, 1e-10)) if math.isfinite(loss) else None
