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

from sr_jax import processes
from sr_jax.console import TrainingProgress
from sr_jax.data.patches import Store
from sr_jax.run_folder import Unsaved
from sr_jax.training import interruption
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Members, State

TRACED_DISPATCH = 3  # the first ones compile
LONGEST = 1.0  # seconds that a dispatch is to last at most: a signal waits for it


def steps_per_dispatch() -> int:
  """Most steps that the device takes on its own between two messages from the host.

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
    members: how many are in the population; what is trained beyond them is not logged.
    steps: length of the schedule.
    validate_at: steps after which `validate` is called.
  """

  arm: str
  stage: str
  members: int
  steps: int
  validate_at: frozenset[int]


class Saver:
  """Saves a training now and then, without stopping where that fails.

  Args:
    checkpoints: where.
    about: metadata of each.
    every_seconds: time between two.
    unsaved: notes what cannot be written.
    what: is saved, in words.
  """

  def __init__(
    self,
    checkpoints: Checkpoints,
    about: dict[str, Any],
    every_seconds: float,
    unsaved: Unsaved,
    what: str,
  ) -> None:
    self.checkpoints = checkpoints
    self._about, self._every = about, every_seconds
    self._unsaved, self._what = unsaved, f"checkpoints of {what}"
    self._saved_at = time.monotonic()

  def due(self) -> bool:
    """Whether it is time to save."""
    return time.monotonic() - self._saved_at >= self._every

  def save(self, step: int, state: State, members: Members, last: bool = False) -> None:
    """Saves in the background; the last time before something else, waits for it."""
    with self._unsaved.noting(self._what):
      self.checkpoints.wait()  # for the one before, whose failure is not this one's
    with self._unsaved.noting(self._what):
      self.checkpoints.save(step, state, members, self._about)
      if last:
        self.checkpoints.wait()
        self._unsaved.saved(self._what)
    self._saved_at = time.monotonic()  # only now: where it fails, it may have taken long
    if last:
      interruption.must_save(False)


class Losses:
  """The losses of dispatches, read late, logged as one line for each `steps_per_dispatch` steps.

  So the steps at which something is logged do not depend on how long dispatches are.
  """

  def __init__(self, training: Training, metrics: MetricsLog, progress: TrainingProgress) -> None:
    self._training, self._metrics, self._progress = training, metrics, progress
    self._unread: list[tuple[int, int, jax.Array]] = []
    self._sum: Any = 0.0
    self._count = 0

  def next_line(self, step: int) -> int:
    """The step of the first line after `step`: also at validations, and at the end."""
    every = steps_per_dispatch()
    later = [at for at in self._training.validate_at if at > step]
    return min(self._training.steps, (step // every + 1) * every, *later)

  def add(self, start: int, stop: int, loss: jax.Array) -> None:
    """Takes the mean losses of the steps from `start` to `stop`, which may not be there yet."""
    self._unread.append((start, stop, loss))

  def read(self, but_the_last: bool = False) -> None:
    """Waits for the losses taken, logs them, and shows where training is."""
    ready = self._unread[:-1] if but_the_last else self._unread
    self._unread = self._unread[len(ready) :]
    for start, stop, loss in ready:
      members = processes.to_host(loss)[: self._training.members]
      self._sum = self._sum + (stop - start) * members.astype(np.float64)
      self._count += stop - start
      if stop == self.next_line(start):
        psnr = [_psnr(value) for value in (self._sum / self._count).tolist()]
        self._sum, self._count = 0.0, 0
        line = {"arm": self._training.arm, "stage": self._training.stage}
        self._metrics.append(step=stop, **line, training_psnr=psnr)
        finite = [value for value in psnr if value is not None]
        self._progress.update(stop, f"{np.mean(finite):.2f} dB" if finite else "diverged")


class Pace:
  """How many steps a dispatch takes: one, until a step was timed.

  Attributes:
    steps: of the next dispatch.
    dispatches: that were begun.
    step_seconds: of a step, as it was timed here; 0 before.
  """

  def __init__(self) -> None:
    self.steps, self.dispatches, self.step_seconds = 1, 0, 0.0
    self._began = 0.0

  def begin(self) -> None:
    """To be called before a dispatch."""
    self.dispatches += 1
    self._began = time.monotonic()

  def end(self, loss: jax.Array, steps: int) -> None:
    """Times the second dispatch, of so many steps; the first one compiles."""
    if self.dispatches <= 2:
      jax.block_until_ready(loss)
    if self.dispatches == 2:
      self.step_seconds = (time.monotonic() - self._began) / steps

  def keep(self, step_seconds: float) -> None:
    """Has dispatches last no longer than `LONGEST`, if it is known what a step takes."""
    if step_seconds:
      self.steps = min(max(int(LONGEST / step_seconds), 1), steps_per_dispatch())


def train(
  training: Training,
  train_steps: Callable,
  state: State,
  members: Members,
  store: Store,
  validate: Callable[[State], Any],
  saver: Saver,
  metrics: MetricsLog,
  on_corrupt: str = "stop",
  trace: Path | None = None,
) -> State:
  """Trains `state` (fresh) and returns it trained.

  The host stays one dispatch ahead: it reads a dispatch's losses while the next one runs. Several
  processes read them when that one has ended.

  Args:
    training: what is trained.
    train_steps: from `population.make_train_steps`.
    state: freshly initialised; its layout on the devices is kept.
    members: who is in the population.
    store: the training images.
    validate: gives a number per member, logged as `validation_psnr`.
    saver: saves the state; its latest checkpoint is continued.
    metrics: where losses and validation are logged.
    on_corrupt: "stop" at a damaged checkpoint, or go on from the "previous" one.
    trace: folder for a trace of one dispatch, in which nothing compiles.

  Raises:
    Interrupted: a signal asked to stop; everything done is saved.
  """
  name = {"arm": training.arm, "stage": training.stage}
  step, state = saver.checkpoints.restore(state, members, on_corrupt)
  logged = metrics.rewind(step, **name)
  validated = {line["step"] for line in logged if "validation_psnr" in line}
  progress = TrainingProgress(f"{training.arm} {training.stage}", step, training.steps)
  losses = Losses(training, metrics, progress)
  pace = Pace()
  votes = processes.Votes(lambda: (interruption.requested(), saver.due(), pace.step_seconds))

  def validate_once() -> None:
    if step in training.validate_at and step not in validated:
      saver.save(step, state, members, last=True)  # for this may take long, and a signal not wait
      with interruption.at_once() if not processes.several() else contextlib.nullcontext():
        metrics.append(step=step, **name, validation_psnr=validate(state))

  try:
    with interruption.deferred():
      try:
        validate_once()  # a run may have been stopped in the middle of it
        signal: float = 0 if processes.several() else interruption.requested()
        while step < training.steps and not signal:
          stop = min(step + pace.steps, losses.next_line(step))
          votes.cast()
          pace.begin()
          with _tracing(trace if pace.dispatches == TRACED_DISPATCH else None) as wait_for:
            wait_for(state)
            state, loss = train_steps(state, members, store, step, stop, training.steps)
            wait_for(loss)
          losses.add(step, stop, loss)
          interruption.must_save(True)
          pace.end(loss, stop - step)
          step = stop
          losses.read(but_the_last=step not in training.validate_at)
          validate_once()
          signal, due, step_seconds = votes.result()
          pace.keep(step_seconds)
          if due:
            losses.read()
            saver.save(step, state, members)
        if signal:
          interruption.request(int(signal))
      except interruption.Interrupted:  # in a validation: what was trained is saved all the same
        pass
      losses.read()
      saver.save(step, state, members, last=True)
  finally:
    progress.close()
    interruption.must_save(False)
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
