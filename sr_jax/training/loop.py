"""Trains one population to the end of its schedule, from its latest checkpoint if there is one."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from sr_jax.console import TrainingProgress
from sr_jax.data.patches import Store
from sr_jax.training import interruption
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Members, State

STEPS_PER_DISPATCH = 20  # the host hears from the device this often


@dataclasses.dataclass(frozen=True)
class Training:
  """What to train and what to call it.

  Attributes:
    arm: name of the arm.
    stage: "search" (for a learning rate) or "final".
    steps: length of the schedule.
    validate_at: steps after which `validate` is called.
  """

  arm: str
  stage: str
  steps: int
  validate_at: frozenset[int]


def train(
  training: Training,
  train_steps: Callable,
  state: State,
  members: Members,
  store: Store,
  validate: Callable[[State], Any],
  checkpoints: Checkpoints,
  metrics: MetricsLog,
  about: dict[str, Any],
  checkpoint_every_seconds: float,
) -> State:
  """Trains `state` (fresh) and returns it trained.

  The host stays one dispatch ahead: it reads a dispatch's losses while the next one runs.

  Args:
    training: what is trained.
    train_steps: from `population.make_train_steps`.
    state: freshly initialised; its layout on the devices is kept.
    members: who is in the population.
    store: the training images.
    validate: gives a number per member, logged as `validation_psnr`.
    checkpoints: where the state is saved; the latest one is continued.
    metrics: where losses and validation are logged.
    about: metadata of the checkpoints.
    checkpoint_every_seconds: time between two checkpoints.

  Raises:
    Interrupted: a signal asked to stop; everything done is saved.
  """
  name = {"arm": training.arm, "stage": training.stage}
  if (step := checkpoints.latest) is not None:
    state = checkpoints.restore(state, members)
  step = step or 0
  metrics.rewind(step, **name)
  progress = TrainingProgress(f"{training.arm} {training.stage}", step, training.steps)
  saved = time.monotonic()
  pending: tuple[int, jax.Array] | None = None

  def report() -> None:
    if pending is not None:
      at, losses = pending
      psnr = [_psnr(loss) for loss in np.asarray(losses).tolist()]
      metrics.append(step=at, **name, training_psnr=psnr)
      finite = [value for value in psnr if value is not None]
      progress.update(at, f"{np.mean(finite):.2f} dB" if finite else "diverged")

  try:
    with interruption.deferred():
      while step < training.steps and not interruption.requested():
        stop = min(
          training.steps,
          step + STEPS_PER_DISPATCH,
          *(at for at in training.validate_at if at > step),
        )
        state, losses = train_steps(state, members, store, step, stop, training.steps)
        report()
        step, pending = stop, (stop, losses)
        if step in training.validate_at:
          metrics.append(step=step, **name, validation_psnr=validate(state))
        if time.monotonic() - saved >= checkpoint_every_seconds:
          report()
          pending = None
          checkpoints.save(step, state, members, about)
          saved = time.monotonic()
      report()
      checkpoints.save(step, state, members, about)
  finally:
    progress.close()
  return state


def _psnr(loss: float) -> float | None:
  """A mean squared error of values in 0..1 as dB, at most 100; None where it is not finite."""
  return -10 * math.log10(max(loss, 1e-10)) if math.isfinite(loss) else None
