"""Trains one population to the end of its schedule, from its latest checkpoint if there is one."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sr_jax.console import TrainingProgress
from sr_jax.data.patches import Store
from sr_jax.training import interruption
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Members, State

TRACED_DISPATCH = 3  # the first ones compile


def steps_per_dispatch() -> int:
  """Steps that the device takes on its own between two messages from the host.

  Many for accelerators, whose steps of a tenth of a millisecond would else wait for the host; few
  on CPU, so that it stops soon.
  """
  return 20 if jax.default_backend() == "cpu" else 200


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
  trace: Path | None = None,
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
    trace: folder for a trace of one dispatch, in which nothing compiles.

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
  dispatches = 0

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
          step + steps_per_dispatch(),
          *(at for at in training.validate_at if at > step),
        )
        dispatches += 1
        with _tracing(trace if dispatches == TRACED_DISPATCH else None) as wait_for:
          wait_for(state)
          state, losses = train_steps(state, members, store, step, stop, training.steps)
          wait_for(losses)
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


@contextlib.contextmanager
def _tracing(folder: Path | None) -> Iterator[Callable[[Any], Any]]:
  """Writes a trace if there is a folder for it, and gives what then waits for the devices."""
  if folder is None:
    yield lambda tree: None
  else:
    with jax.profiler.trace(str(folder), create_perfetto_trace=True):
      yield jax.block_until_ready


def _psnr(loss: float) -> float | None:
  """A mean squared error of values in 0..1 as dB, at most 100; None where it is not finite."""
  return -10 * math.log10(max(loss, 1e-10)) if math.isfinite(loss) else None
