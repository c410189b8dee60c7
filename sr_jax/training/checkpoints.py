"""Checkpoints of one training, through Orbax; plain Orbax opens them too.

Several processes call every method together, on one folder: Orbax has them wait for one another,
and the first one writes.
"""

import contextlib
import errno
import functools
import itertools
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization
from orbax.checkpoint import v1 as ocp

from sr_jax.config import InputError
from sr_jax.runtime import processes
from sr_jax.runtime.lock import is_still
from sr_jax.training import checkpoint_files
from sr_jax.training.checkpoint_files import DIGESTS, PARTS, DamagedError
from sr_jax.training.population import AnyMembers, State
from sr_jax.training.sharding import shard_members, without_padding

KEPT = 2
ORBAX_SECONDS = 120  # that processes wait for one another in a save, if the first one fails in it


class Checkpoints:
  """The checkpoints in one folder, the latest two of them kept.

  A checkpoint is the tree `{"params", "opt_state", "members"}` of nested dictionaries; every leaf
  has a leading member axis, of `count` members: those that a mesh adds are not saved.
  """

  def __init__(self, folder: Path, count: int) -> None:
    self._folder, self._count = folder.absolute(), count
    self._latest = processes.broadcast_from_primary(self._open)
    self._writing: int | None = None
    self._checkpointer: Any = None  # Orbax's, opened when there is something to save

  def _open(self) -> int | None:
    if self._folder.exists() and not self._folder.is_dir():  # Orbax would go on without an error
      raise InputError(f"{self._folder} is no folder, but checkpoints belong there; move it away")
    self._folder.mkdir(parents=True, exist_ok=True)
    self._opened = self._folder.stat()
    return max(steps(self._folder), default=None)

  def save(self, step: int, state: State, members: AnyMembers, metadata: dict[str, Any]) -> None:
    """Begins to save the state after `step` steps, unless that step is saved already.

    The state may be changed right after: it is copied to NumPy arrays, which Orbax loads on any
    devices without a sharding. The metadata is JSON data, saved beside them. `wait` waits until all
    is written.

    Raises:
      OSError: this checkpoint, or the one before it, could not be written.
    """
    self.wait()
    if self._latest != step:
      arrays = without_padding(processes.to_host(_tree(state, members)), self._count)
      processes.broadcast_from_primary(self._check_folder)
      processes.all_gather(lambda: self._begin(step, arrays, metadata))
      self._writing = step

  def _check_folder(self) -> None:
    if not is_still(self._folder, self._opened):  # Orbax would make it again, and only that
      raise FileNotFoundError(errno.ENOENT, "its folder is gone", str(self._folder))

  def _begin(self, step: int, arrays: dict[str, Any], metadata: dict[str, Any]) -> None:
    metadata = checkpoint_files.sealed({**metadata, DIGESTS: checkpoint_files.digests(arrays)})
    with self._short_errors(step):
      self._checkpointer = self._checkpointer or self._open_checkpointer()
      self._checkpointer.save_async(step, arrays, custom_metadata=metadata)

  def _open_checkpointer(self) -> Any:
    context = ocp.Context()
    if processes.is_multiprocess():
      context.asynchronous.timeout_secs = ORBAX_SECONDS
    return ocp.training.Checkpointer(
      self._folder,
      context=context,
      save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
      preservation_policy=ocp.training.preservation_policies.LatestN(KEPT),
      cleanup_tmp_directories=True,
    )

  def wait(self) -> None:
    """Waits until what is being saved is written; raises an OSError if it could not be."""
    if self._writing is None:
      return
    step, self._writing = self._writing, None
    processes.all_gather(lambda: self._finish(step))
    self._latest = step

  def _finish(self, step: int) -> None:
    with self._short_errors(step):
      self._checkpointer.wait()

  @contextlib.contextmanager
  def _short_errors(self, step: int) -> Iterator[None]:
    """Raises a short OSError for any error, and removes the files of the failed attempt."""
    try:
      yield
    except Exception as error:  # Orbax and TensorStore have many names for a full disk
      if processes.is_primary():  # lest failed attempts fill the disk
        for unfinished in self._folder.glob(f"{step}.orbax-checkpoint-tmp*"):
          shutil.rmtree(unfinished, ignore_errors=True)
      full = "No space left on device"
      reason = full if full in str(error) else checkpoint_files.in_short(error)
      raise OSError(f"the checkpoint after step {step} ({reason})") from error

  def restore(
    self, like: State, members: AnyMembers, on_corrupt: str = "stop"
  ) -> tuple[int, State, dict[str, Any]]:
    """The newest checkpoint, laid out on the devices as the arrays of `like`, a fresh state, are.

    Returns the step, the state after it, and its metadata; step 0, `like` and nothing where no
    checkpoint is left. `on_corrupt` says whether to "stop" at a damaged one, or to rename it and
    take the "previous" one.

    Raises:
      InputError: the checkpoint is damaged, of another network or population, or was made by
        another version of sr_jax.
    """
    target = without_padding(processes.to_host(_tree(like, members)), self._count)
    while saved := processes.broadcast_from_primary(lambda: steps(self._folder)):
      *before, newest = saved
      tree, metadata, damage = self._read_together(target, newest)
      if damage is None:
        self._latest = newest
        mesh = jax.tree.leaves(like)[0].sharding.mesh
        placed = shard_members(mesh, {name: tree[name] for name in State._fields})
        return newest, serialization.from_state_dict(like, placed), metadata
      if on_corrupt != "previous":
        step = before[-1] if before else 0
        raise InputError(f"{damage}; --on_corrupt=previous goes on from step {step}")
      processes.broadcast_from_primary(functools.partial(self._put_aside, newest))
    self._latest = None
    return 0, like, {}

  def _read_together(
    self, target: dict[str, Any], step: int
  ) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """The tree and metadata of a checkpoint, and any process's sentence about damage to it."""
    tree: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    sentence: str | None = None

    def read_metadata() -> None:
      metadata.update(checkpoint_files.read_metadata(self._folder / str(step), PARTS)[0])

    def damage(read: Callable[[], None]) -> str | None:
      try:
        read()
      except DamagedError as error:
        return str(error)
      return None

    # In the second, Orbax has the processes wait for one another: all must come to it, or none.
    for read in (read_metadata, lambda: tree.update(self._read(target, step))):
      if sentence is None:
        sentences = processes.all_gather(functools.partial(damage, read))
        sentence = next(filter(None, sentences), None)
    return tree, metadata, sentence

  def _put_aside(self, step: int) -> None:
    """Renames a damaged checkpoint, so that training goes on before it and nothing is lost."""
    names = (f"{self._folder.name}_damaged_{step}" + f"_{i}" * (i > 1) for i in itertools.count(1))
    free = next(name for name in names if not self._folder.with_name(name).exists())
    (self._folder / str(step)).rename(self._folder.with_name(free))

  def _read(self, target: dict[str, Any], step: int) -> dict[str, Any]:
    """The tree of a checkpoint that has the members and shapes of `target`."""
    tree, _ = checkpoint_files.read(self._folder / str(step), PARTS)
    if jax.tree.map(np.shape, tree) != jax.tree.map(np.shape, target):
      raise InputError(
        f"the checkpoints in {self._folder} are of another network or population; "
        "move the run's folder away to start afresh"
      )
    ours, theirs = target["members"], tree["members"]
    if any(not np.array_equal(ours[name], theirs[name]) for name in ours):
      raise InputError(
        f"the checkpoints in {self._folder} are of members {_listed(theirs)}, this run wants "
        f"{_listed(ours)}; move the run's folder away"
      )
    return tree

  def close(self) -> None:
    """Ends Orbax's threads; `wait` has raised what could not be written."""
    if self._checkpointer is not None:
      with contextlib.suppress(Exception):  # raised again
        self._checkpointer.close()


def silence_orbax() -> None:
  """Silences the reports that Orbax and TensorStore print of failures, also from other threads.

  For programs: each failure is raised as well, and reported in a sentence. Of several arrays that
  cannot be read Orbax raises one error and drops the others, which asyncio reports when they are
  collected.
  """
  for name in ("absl", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

  def report_main_thread_only(failure: Any) -> None:
    if threading.current_thread() is threading.main_thread():
      sys.__unraisablehook__(failure)

  sys.unraisablehook = report_main_thread_only


def steps(folder: Path) -> list[int]:
  """The steps of the complete checkpoints in a folder, ascending; empty if there is no folder.

  Only names are read: Orbax gives unfinished checkpoints other names.
  """
  names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
  return sorted(map(int, filter(str.isdecimal, names)))


def load_arrays(
  folder: Path, step: int | None = None, parts: Sequence[str] = PARTS
) -> tuple[int, dict[str, Any], dict[str, Any]]:
  """A checkpoint in a folder, the newest by default, as NumPy arrays on any machine.

  Returns `(step, tree, metadata)`, the tree with these parts, the metadata as it was saved.

  Raises:
    InputError: there is no complete checkpoint in the folder, none of this step, it is damaged, or
      another version of sr_jax wrote it without one of the parts.
  """
  saved = steps(folder)
  if not saved:
    raise InputError(f"{folder} holds no complete checkpoint")
  step = saved[-1] if step is None else step
  if step not in saved:
    raise InputError(f"{folder} holds no step {step}; there are {', '.join(map(str, saved))}")
  try:
    return step, *checkpoint_files.read(folder / str(step), parts)
  except DamagedError as error:
    others = [str(other) for other in saved if other != step]
    alternatives = f"; step {', '.join(others)} is there too" if others else ""
    raise InputError(f"{error}{alternatives}") from error


def _listed(members: dict[str, Any]) -> str:
  pairs = zip(np.asarray(members["seed"]), np.asarray(members["learning_rate"]), strict=True)
  return ", ".join(f"(seed {seed}, rate {rate:g})" for seed, rate in pairs)


def _tree(state: State, members: AnyMembers) -> dict[str, Any]:
  return serialization.to_state_dict({**state._asdict(), "members": members})
