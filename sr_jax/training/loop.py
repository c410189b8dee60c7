"""Trains one population to the end of its schedule, from its latest checkpoint if there is one."""

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sr_jax.data.patches import Store
from sr_jax.runtime import preemption, processes
from sr_jax.runtime.console import TrainingProgress
from sr_jax.runtime.files import Unsaved
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Members, State, no_losses
from sr_jax.training.sharding import members_of, shard_members

TRACED_DISPATCH = 3  # the first ones compile
LONGEST = 1.0  # seconds that a dispatch is to last at most: a signal waits for it
LINE = "line"  # in a checkpoint's metadata: the line of metrics in the middle of which it was saved


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

  def save(
    self, step: int, state: State, members: Members, line: dict[str, Any], last: bool = False
  ) -> None:
    """Saves in the background; the last time before something else, waits for it.

    Args:
      step: steps done.
      state: after them.
      members: who is in the population.
      line: from `Losses.begun_line`.
      last: whether to wait.
    """
    with self._unsaved.noting(self._what):
      self.checkpoints.wait()  # for the one before, whose failure is not this one's
    with self._unsaved.noting(self._what):
      self.checkpoints.save(step, state, members, {**self._about, **line})
      if last:
        self.checkpoints.wait()
        self._unsaved.saved(self._what)
    self._saved_at = time.monotonic()  # only now: where it fails, it may have taken long
    if last:
      preemption.must_save(False)


class Losses:
  """The losses of dispatches, read late, logged as one line for each `steps_per_dispatch` steps.

  The device sums the losses of a line, dispatch after dispatch, so that neither the steps at which
  something is logged nor what is logged depend on how long dispatches are, or on a stop between.

  Args:
    training: what is trained.
    metrics: where lines are written.
    progress: shows the last one.
    step: from which training goes on.
    state: after it.
    line: what `begun_line` was there; empty where no line had been begun.
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
    self._nothing = self.total = no_losses(state)
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

    Args:
      ended: is called when a dispatch has.
      but_the_last: whether to leave the last dispatch running.
    """
    while len(self._unread) > but_the_last:
      stop, steps, total = self._unread.popleft()
      jax.block_until_ready(total)
      ended()
      if steps:
        mean = processes.to_host(total)[: self._training.members].astype(np.float64) / steps
        psnr = [_psnr(value) for value in mean.tolist()]
        line = {"arm": self._training.arm, "stage": self._training.stage}
        self._metrics.append(step=stop, **line, training_psnr=psnr)
        finite = [value for value in psnr if value is not None]
        self._progress.update(stop, f"{np.mean(finite):.2f} dB" if finite else "diverged")

  def begun_line(self) -> dict[str, Any]:
    """What a checkpoint has to keep of a line that has been begun: JSON data, empty if none is."""
    if self._step == self._line_start:
      return {}
    losses = members_of(processes.to_host(self.total), self._training.members).tolist()
    finite = [loss if math.isfinite(loss) else None for loss in losses]
    return {LINE: {"steps": self._step - self._line_start, "losses": finite}}


class DispatchSizer:
  """How many steps a dispatch takes: as many as last `LONGEST`, by what steps took of late.

  A dispatch is taken to begin when it is given to the device or, if that was later, when the one
  before it ended. The first one compiles, the second one gives a first estimate, and then every
  `LONGEST` of training another one, so that neither a slow step nor a busy hour has a say for long.

  Attributes:
    steps: of the next dispatch.
    dispatches: that were begun.
    step_seconds: of a step, as it was timed last; 0 before.
  """

  def __init__(self) -> None:
    self.steps, self.dispatches, self.step_seconds = 1, 0, 0.0
    self._running: deque[tuple[float, int]] = deque()
    self._ended_at = 0.0
    self._timed_seconds, self._timed_steps = 0.0, 0

  def begin(self, steps: int) -> None:
    """Takes note of a dispatch of so many steps, before it is given to the device."""
    self.dispatches += 1
    self._running.append((time.monotonic(), steps))

  def end(self) -> None:
    """Times the oldest dispatch that was running, as soon as it is seen to have ended."""
    began_at, steps = self._running.popleft()
    is_first, before = self._ended_at == 0, max(began_at, self._ended_at)
    self._ended_at = time.monotonic()
    if is_first:
      return
    self._timed_seconds += self._ended_at - before
    self._timed_steps += steps
    if self._timed_seconds >= LONGEST or not self.step_seconds:
      self.step_seconds = self._timed_seconds / self._timed_steps
      self._timed_seconds, self._timed_steps = 0.0, 0

  def update(self, step_seconds: float) -> None:
    """Sets the steps of the next dispatch, if it is known what a step takes."""
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
  step, state, about = saver.checkpoints.restore(state, members, on_corrupt)
  logged = metrics.rewind(step, **name)
  validated = {line["step"] for line in logged if "validation_psnr" in line}
  progress = TrainingProgress(f"{training.arm} {training.stage}", step, training.steps)
  losses = Losses(training, metrics, progress, step, state, about.get(LINE, {}))
  sizer = DispatchSizer()
  votes = processes.AllReduceMax(lambda: (preemption.requested(), saver.due(), sizer.step_seconds))

  def save(last: bool = False) -> None:
    losses.read(sizer.end)
    saver.save(step, state, members, losses.begun_line(), last)

  def validate_once() -> None:
    if step in training.validate_at and step not in validated:
      save(last=True)  # for this may take long, and a signal not wait
      with preemption.at_once() if not processes.is_multiprocess() else contextlib.nullcontext():
        metrics.append(step=step, **name, validation_psnr=validate(state))

  try:
    with preemption.deferred():
      try:
        validate_once()  # a run may have been stopped in the middle of it
        signal: float = 0 if processes.is_multiprocess() else preemption.requested()
        while step < training.steps and not signal:
          stop = min(step + sizer.steps, losses.next_line(step))
          votes.cast()
          sizer.begin(stop - step)
          with _tracing(trace if sizer.dispatches == TRACED_DISPATCH else None) as wait_for:
            wait_for(state)
            state, total = train_steps(
              state, members, store, step, stop, training.steps, losses.total
            )
            wait_for(total)
          preemption.must_save(True)
          step = stop
          losses.add(step, total)
          losses.read(sizer.end, but_the_last=sizer.dispatches > 2)  # the first two are timed
          validate_once()
          signal, due, step_seconds = votes.result()
          sizer.update(step_seconds)
          if due:
            save()
        if signal:
          preemption.request(int(signal))
      except preemption.Interrupted:  # in a validation: what was trained is saved all the same
        pass
      save(last=True)
  finally:
    progress.close()
    preemption.must_save(False)
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
