"""Checkpoints of one training, through Orbax; plain Orbax opens them too.

A digest of every array is written with it and checked when it is read: array storage gives back a
flipped bit without a word. Several processes take every step of this together, in one folder: Orbax
has them wait for one another, and the first one writes.
"""

import contextlib
import errno
import functools
import hashlib
import itertools
import json
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization
from flax.traverse_util import flatten_dict
from orbax.checkpoint import v1 as ocp

from sr_jax.config import InputError
from sr_jax.runtime import processes
from sr_jax.runtime.lock import is_still
from sr_jax.training.population import Members, State
from sr_jax.training.sharding import members_of, shard_members

DIGESTS = "sha256"  # of every array, in a checkpoint's metadata
SEAL = "sha256_of_metadata"
KEPT = 2
ORBAX_SECONDS = 120  # that processes wait for one another in a save, if the first one fails in it
PARTS = ("params", "adam", "members")  # of the tree


class Checkpoints:
  """The checkpoints in one folder, the latest two of them kept.

  A checkpoint is the tree `{"params", "adam", "members"}` of nested dictionaries; every leaf has a
  leading member axis.

  Args:
    folder: where they are.
    count: members of the population; those that a mesh adds are not saved.
  """

  def __init__(self, folder: Path, count: int) -> None:
    self._folder, self._count = folder.absolute(), count
    self._latest = processes.broadcast_from_primary(self._open)
    self._writing: int | None = None
    self._checkpointer: Any = None  # Orbax's, opened when there is something to save

  def _open(self) -> int | None:
    if self._folder.exists() and not self._folder.is_dir():  # Orbax would go on without a word
      raise InputError(f"{self._folder} is no folder, but checkpoints belong there; move it away")
    self._folder.mkdir(parents=True, exist_ok=True)
    self._opened = self._folder.stat()
    return max(steps(self._folder), default=None)

  def save(self, step: int, state: State, members: Members, about: dict[str, Any]) -> None:
    """Saves the state after `step` steps, unless that step is saved already; returns at once.

    The state may be changed right after: it is copied to NumPy arrays, which Orbax loads on any
    devices without being told a sharding. `wait` tells whether they were written.

    Args:
      step: steps done.
      state: after them.
      members: who is in the population.
      about: further metadata.

    Raises:
      OSError: this one, or the one before it, could not be written.
    """
    self.wait()
    if self._latest != step:
      arrays = members_of(processes.to_host(_tree(state, members)), self._count)
      processes.broadcast_from_primary(self._check_there)
      processes.all_gather(lambda: self._begin(step, arrays, about))
      self._writing = step

  def _check_there(self) -> None:
    if not is_still(self._folder, self._opened):  # Orbax would make it again, and only that
      raise FileNotFoundError(errno.ENOENT, "its folder is gone", str(self._folder))

  def _begin(self, step: int, arrays: dict[str, Any], about: dict[str, Any]) -> None:
    """Has Orbax begin to write."""
    about = _sealed({**about, DIGESTS: _digests(arrays)})
    try:
      self._checkpointer = self._checkpointer or self._open_checkpointer()
      self._checkpointer.save_async(step, arrays, custom_metadata=about)
    except Exception as error:  # as in `_finish`
      raise self._given_up(step, error) from error

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
    """Waits for what is being written.

    Raises:
      OSError: it could not be.
    """
    if self._writing is None:
      return
    step, self._writing = self._writing, None
    processes.all_gather(lambda: self._finish(step))
    self._latest = step

  def _finish(self, step: int) -> None:
    try:
      self._checkpointer.wait()
    except Exception as error:  # Orbax and TensorStore have many names for a full disk
      raise self._given_up(step, error) from error

  def _given_up(self, step: int, error: Exception) -> OSError:
    """Removes what was half written, lest failed attempts fill the disk; says why, in short."""
    if processes.is_primary():
      for half in self._folder.glob(f"{step}.orbax-checkpoint-tmp*"):
        shutil.rmtree(half, ignore_errors=True)
    full = "No space left on device"
    reason = full if full in str(error) else _in_short(error)
    return OSError(f"the checkpoint after step {step} ({reason})")

  def restore(
    self, like: State, members: Members, on_corrupt: str = "stop"
  ) -> tuple[int, State, dict[str, Any]]:
    """The newest checkpoint, laid out on the devices as the arrays of `like` are.

    Args:
      like: a fresh state of the population.
      members: who is in it.
      on_corrupt: "stop" at a damaged one, or take the "previous", putting the damaged one aside.

    Returns:
      the step, the state after it, and what was saved as `about`; step 0, `like` and nothing where
      no checkpoint is left.

    Raises:
      InputError: the checkpoint is damaged, or of another network or population.
    """
    target = members_of(processes.to_host(_tree(like, members)), self._count)
    while there := processes.broadcast_from_primary(lambda: steps(self._folder)):
      *before, newest = there
      found, problem = self._read_together(target, newest)
      if problem is None:
        self._latest = newest
        mesh = jax.tree.leaves(like)[0].sharding.mesh
        placed = shard_members(mesh, {part: found[part] for part in ("params", "adam")})
        return newest, serialization.from_state_dict(like, placed), found["about"]
      if on_corrupt != "previous":
        step = before[-1] if before else 0
        raise InputError(f"{problem}; --on_corrupt=previous goes on from step {step}")
      processes.broadcast_from_primary(functools.partial(self._put_aside, newest))
    self._latest = None
    return 0, like, {}

  def _read_together(self, target: dict[str, Any], step: int) -> tuple[dict[str, Any], str | None]:
    """As `_read`, and what is damaged about the checkpoint, as far as any process sees."""
    found: dict[str, Any] = {}

    def damage(read: Callable[[], Any]) -> str | None:
      try:
        read()
      except DamagedError as problem:
        return str(problem)
      return None

    for read in (  # Orbax has the processes wait for one another in the second: all must come to it
      lambda: _about(self._folder / str(step)),
      lambda: found.update(self._read(target, step)),
    ):
      if problem := next(filter(None, processes.all_gather(functools.partial(damage, read))), None):
        return found, problem
    return found, None

  def _put_aside(self, step: int) -> None:
    """Renames a damaged checkpoint, so that training goes on before it and nothing is lost."""
    names = (f"{self._folder.name}_damaged_{step}" + f"_{i}" * (i > 1) for i in itertools.count(1))
    free = next(name for name in names if not self._folder.with_name(name).exists())
    (self._folder / str(step)).rename(self._folder.with_name(free))

  def _read(self, target: dict[str, Any], step: int) -> dict[str, Any]:
    """The parts of a checkpoint, of the members and shapes that `target` has, and its `about`."""
    tree, about = _load(self._folder / str(step), PARTS)
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
    return {**tree, "about": about}

  def close(self) -> None:
    """Ends Orbax's threads. What could not be written has been told by `wait`."""
    if self._checkpointer is not None:
      with contextlib.suppress(Exception):  # told again
        self._checkpointer.close()


def silence_orbax() -> None:
  """Silences what Orbax and TensorStore say of failures, on pages and from threads of their own.

  For programs: each failure is raised as well, and told in a sentence. Of several arrays that
  cannot be read Orbax raises one and drops the others, which asyncio tells when they are collected.
  """
  for name in ("absl", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

  def tell_main_thread_only(failure: Any) -> None:
    if threading.current_thread() is threading.main_thread():
      sys.__unraisablehook__(failure)

  sys.unraisablehook = tell_main_thread_only


class DamagedError(Exception):
  """A checkpoint cannot be read, or is not what was written."""


def steps(folder: Path) -> list[int]:
  """The steps of the complete checkpoints in a folder, ascending; empty if there is no folder.

  Only names are read: what Orbax has not finished has another one.
  """
  if not folder.is_dir():
    return []
  return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def load_arrays(
  folder: Path, step: int | None = None, parts: Sequence[str] = PARTS
) -> tuple[int, dict[str, Any], dict[str, Any]]:
  """A checkpoint in a folder, the newest by default, as NumPy arrays on any machine.

  Args:
    folder: of one training's checkpoints.
    step: which one.
    parts: of the tree, to be loaded; others are left.

  Returns:
    `(step, tree, metadata)`, the metadata being what was saved with it.

  Raises:
    InputError: there is no complete checkpoint in the folder, none of this step, or it is damaged.
  """
  there = steps(folder)
  if not there:
    raise InputError(f"{folder} holds no complete checkpoint")
  step = there[-1] if step is None else step
  if step not in there:
    raise InputError(f"{folder} holds no step {step}; there are {', '.join(map(str, there))}")
  try:
    return step, *_load(folder / str(step), parts)
  except DamagedError as problem:
    others = [str(other) for other in there if other != step]
    too = f"; step {', '.join(others)} is there too" if others else ""
    raise InputError(f"{problem}{too}") from problem


def _about(checkpoint: Path) -> tuple[dict[str, Any], Any]:
  """What was saved beside the arrays, and the tree of their shapes and types.

  Raises:
    DamagedError: they cannot be read.
  """
  try:
    found = ocp.metadata(checkpoint.absolute())
  except Exception as error:  # Orbax and TensorStore raise many kinds for damaged files
    raise _damaged(checkpoint, _in_short(error)) from error
  about, tree = found.custom_metadata, found.metadata  # nothing where Orbax cannot read them
  if not about or not tree or not {*PARTS} <= tree.keys():
    raise _damaged(checkpoint, "its metadata cannot be read")
  seal = about.pop(SEAL, None)
  if _sealed(about)[SEAL] != seal:
    raise _damaged(checkpoint, "its metadata is not what was written")
  return about, tree


def _load(checkpoint: Path, parts: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
  """Some parts of a checkpoint as NumPy arrays, each what was written, and its metadata.

  Raises:
    DamagedError: it cannot be read, or an array is another one.
  """
  about, shapes = _about(checkpoint)
  wanted = {
    part: jax.tree.map(
      lambda leaf, asked=part in parts: (
        np.empty(leaf.shape, leaf.dtype) if asked else ocp.PLACEHOLDER
      ),
      tree,
    )
    for part, tree in shapes.items()
  }
  try:
    tree = ocp.load(checkpoint.absolute(), wanted)
  except Exception as error:  # as in `_about`
    raise _damaged(checkpoint, _in_short(error)) from error
  tree = {part: tree[part] for part in parts}
  found = _digests(tree)
  written = {k: v for k, v in about.get(DIGESTS, {}).items() if k.partition("/")[0] in parts}
  if odd := sorted(name for name in written.keys() | found if written.get(name) != found.get(name)):
    raise _damaged(checkpoint, f"{odd[0]} is not what was written")
  return tree, about


def _damaged(checkpoint: Path, reason: str) -> DamagedError:
  return DamagedError(f"the checkpoint {checkpoint} is damaged ({reason})")


def _in_short(error: Exception) -> str:
  return " ".join(f"{type(error).__name__}: {str(error)[:100]}".split())


def _sealed(about: dict[str, Any]) -> dict[str, Any]:
  """Metadata with a digest of itself."""
  text = json.dumps(about, sort_keys=True)
  return {**about, SEAL: hashlib.sha256(text.encode()).hexdigest()}


def _listed(members: dict[str, Any]) -> str:
  pairs = zip(np.asarray(members["seed"]), np.asarray(members["learning_rate"]), strict=True)
  return ", ".join(f"(seed {seed}, rate {rate:g})" for seed, rate in pairs)


def _tree(state: State, members: Members) -> dict[str, Any]:
  return serialization.to_state_dict(
    {"params": state.params, "adam": state.adam, "members": members}
  )


def _digests(tree: dict[str, Any]) -> dict[str, str]:
  """A digest of every array, its type and shape included, by its path in the tree."""
  found = {}
  for name, array in flatten_dict(tree, sep="/").items():
    hashed = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    hashed.update(np.ascontiguousarray(array).tobytes())
    found[name] = hashed.hexdigest()
  return found
