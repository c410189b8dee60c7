"""Saves a training now and then."""

import time
from typing import Any

from sr_jax.runtime import preemption
from sr_jax.runtime.files import Unsaved
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.population import AnyMembers, State


class Saver:
  """Saves a training now and then; a checkpoint that cannot be written is noted and stops nothing.

  `about` is the metadata of each checkpoint, `every` the seconds between two of them, and `name`
  what messages call the training.
  """

  def __init__(
    self, checkpoints: Checkpoints, about: dict[str, Any], every: float, unsaved: Unsaved, name: str
  ) -> None:
    self.checkpoints = checkpoints
    self._about, self._every = about, every
    self._unsaved, self._what = unsaved, f"checkpoints of {name}"
    self._saved_at = time.monotonic()

  def due(self) -> bool:
    """Whether it is time to save."""
    return time.monotonic() - self._saved_at >= self._every

  def save(
    self, step: int, state: State, members: AnyMembers, line: dict[str, Any], wait: bool = False
  ) -> None:
    """Saves a checkpoint in the background; with `wait`, returns when it is written.

    The line is from `Losses.begun_line`.
    """
    with self._unsaved.noting(self._what):
      self.checkpoints.wait()  # for the one before, whose failure is not this one's
    with self._unsaved.noting(self._what):
      self.checkpoints.save(step, state, members, {**self._about, **line})
      if wait:
        self.checkpoints.wait()
        self._unsaved.saved(self._what)
    self._saved_at = time.monotonic()  # only now: where it fails, it may have taken long
    if wait:
      preemption.must_save(False)
