"""Checkpoints of one training, through Orbax; plain Orbax opens them too."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization
from orbax.checkpoint import v1 as ocp

from sr_jax.config import InputError
from sr_jax.training.population import Members, State


class Checkpoints:
  """The checkpoints in one folder, the latest two of them kept.

  A checkpoint is the tree `{"params", "adam", "members"}` of nested dictionaries; every leaf has a
  leading member axis.
  """

  def __init__(self, folder: Path) -> None:
    self._checkpointer = ocp.training.Checkpointer(
      folder.absolute(),
      save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
      preservation_policy=ocp.training.preservation_policies.LatestN(2),
      cleanup_tmp_directories=True,
    )

  @property
  def latest(self) -> int | None:
    """The step of the newest complete checkpoint."""
    newest = self._checkpointer.latest
    return None if newest is None else newest.step

  def save(self, step: int, state: State, members: Members, about: dict[str, Any]) -> None:
    """Saves the state after `step` steps, unless that step is saved already.

    As NumPy arrays, which Orbax loads on any devices without being told a sharding.
    """
    if self.latest != step:
      arrays = jax.tree.map(np.asarray, _tree(state, members))
      self._checkpointer.save(step, arrays, custom_metadata=about)

  def restore(self, like: State, members: Members) -> State:
    """The newest checkpoint, laid out on the devices as the arrays of `like` are.

    Raises:
      InputError: the checkpoint is damaged, or of another network or population.
    """
    target = _tree(like, members)
    found = jax.tree.map(lambda leaf: tuple(leaf.shape), _shapes(self._checkpointer))
    if found != jax.tree.map(lambda leaf: leaf.shape, target):
      raise InputError(
        f"the checkpoints in {self._checkpointer.directory} are of another network or population; "
        "move the run's folder away to start afresh"
      )
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), target
    )
    tree = _load(self._checkpointer, abstract)
    ours, theirs = target["members"], tree["members"]
    if any(not np.array_equal(ours[name], theirs[name]) for name in ours):
      raise InputError(
        f"the checkpoints in {self._checkpointer.directory} are of members "
        f"{_listed(theirs)}, this run wants {_listed(ours)}; move the run's folder away"
      )
    return serialization.from_state_dict(like, {k: tree[k] for k in ("params", "adam")})

  def close(self) -> None:
    """Waits for what is being written."""
    self._checkpointer.close()


def _shapes(checkpointer: ocp.training.Checkpointer, step: int | None = None) -> Any:
  """The tree of the newest checkpoint, or of a step's, with the shapes and types of its arrays.

  Raises:
    InputError: it cannot be read.
  """
  if (tree := checkpointer.metadata(step).metadata) is None:
    raise _damaged(checkpointer, step, "its metadata cannot be read")
  return tree


def _load(checkpointer: ocp.training.Checkpointer, abstract: Any, step: int | None = None) -> Any:
  """The newest checkpoint, or that of a step.

  Raises:
    InputError: it cannot be read.
  """
  try:
    return checkpointer.load(step, abstract_state=abstract)
  except Exception as error:  # Orbax and TensorStore raise many kinds for damaged files
    reason = f"{type(error).__name__}: {str(error).strip()[:100]}"
    raise _damaged(checkpointer, step, " ".join(reason.split())) from error


def _damaged(checkpointer: ocp.training.Checkpointer, step: int | None, reason: str) -> InputError:
  which = checkpointer.latest.step if step is None else step
  folder = Path(str(checkpointer.directory)) / str(which)
  return InputError(
    f"the checkpoint {folder} is damaged ({reason}); delete that folder to go on before it"
  )


def _listed(members: dict[str, Any]) -> str:
  pairs = zip(np.asarray(members["seed"]), np.asarray(members["learning_rate"]), strict=True)
  return ", ".join(f"(seed {seed}, rate {rate:g})" for seed, rate in pairs)


def _tree(state: State, members: Members) -> dict[str, Any]:
  return serialization.to_state_dict(
    {"params": state.params, "adam": state.adam, "members": members}
  )


def load_arrays(
  folder: Path, step: int | None = None
) -> tuple[int, dict[str, Any], dict[str, Any]]:
  """The newest checkpoint in a folder, or that of a step, as NumPy arrays on any machine.

  Returns:
    `(step, tree, metadata)`, the metadata being what was saved with it.

  Raises:
    InputError: there is no such complete checkpoint in the folder, or it is damaged.
  """
  if not folder.is_dir():
    raise InputError(f"{folder} holds no checkpoint")
  with ocp.training.Checkpointer(folder.absolute()) as checkpointer:
    if not (steps := [found.step for found in checkpointer.checkpoints]):
      raise InputError(f"{folder} holds no complete checkpoint")
    step = max(steps) if step is None else step
    if step not in steps:
      raise InputError(f"{folder} holds no checkpoint of step {step}, but of {sorted(steps)}")
    shapes = _shapes(checkpointer, step)
    arrays = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), shapes)
    return step, _load(checkpointer, arrays, step), checkpointer.metadata(step).custom_metadata
