"""How many steps the devices take on their own between two messages from the host."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import jax

from sr_jax.runtime import preemption
from sr_jax.training.population import State

MAX_SECONDS = 1.0  # of a dispatch: a signal waits for its end
UNLOGGED = 100  # steps of a dispatch in `train_unlogged`


def steps_per_dispatch() -> int:
  """The largest number of steps of a dispatch.

  Many for accelerators, whose steps of a tenth of a millisecond would otherwise wait for the host;
  few on CPU, so that it stops soon.
  """
  return 20 if jax.default_backend() == "cpu" else 200


class DispatchSizer:
  """Sizes dispatches to last `MAX_SECONDS`, by the time that recent steps took.

  A dispatch is taken to begin when it is given to the device or, if that was later, when the one
  before it ended. The first one compiles, the second one gives a first estimate, and then every
  `MAX_SECONDS` of training another one, so that neither a slow step nor a busy hour counts for
  long.

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
    before, self._ended_at = self._ended_at, time.monotonic()
    if not before:
      return
    self._timed_seconds += self._ended_at - max(began_at, before)
    self._timed_steps += steps
    if self._timed_seconds >= MAX_SECONDS or not self.step_seconds:
      self.step_seconds = self._timed_seconds / self._timed_steps
      self._timed_seconds, self._timed_steps = 0.0, 0

  def update(self, step_seconds: float) -> None:
    """Sets the steps of the next dispatch, if it is known what a step takes."""
    if step_seconds:
      self.steps = min(max(int(MAX_SECONDS / step_seconds), 1), steps_per_dispatch())


def train_unlogged(
  train_steps: Callable, state: State, members: Any, data: Any, steps: int
) -> State:
  """Trains a whole schedule without a log or checkpoints, as `training.loop` does with both.

  Raises:
    Interrupted: a signal asked to stop; it is obeyed every `UNLOGGED` steps.
  """
  for start in range(0, steps, UNLOGGED):
    preemption.raise_if_requested()
    stop = min(steps, start + UNLOGGED)
    state, losses = train_steps(state, members, data, start, stop, steps)
    jax.block_until_ready(losses)
  return state
