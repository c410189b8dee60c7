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
    """Saves the state after `step` steps, unless that step is saved already."""
    if self.latest != step:
      self._checkpointer.save(step, _tree(state, members), custom_metadata=about)

  def restore(self, like: State, members: Members) -> State:
    """The newest checkpoint, laid out on the devices as the arrays of `like` are.

    Raises:
      InputError: the checkpoint holds another population or network than `like`.
    """
    target = _tree(like, members)
    found = jax.tree.map(lambda leaf: tuple(leaf.shape), self._checkpointer.metadata().metadata)
    if found != jax.tree.map(lambda leaf: leaf.shape, target):
      raise InputError(
        f"the checkpoints in {self._checkpointer.directory} are of another network or population; "
        "move the run's folder away to start afresh"
      )
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), target
    )
    tree = self._checkpointer.load(abstract_state=abstract)
    return serialization.from_state_dict(like, {k: tree[k] for k in ("params", "adam")})

  def close(self) -> None:
    """Waits for what is being written."""
    self._checkpointer.close()


def _tree(state: State, members: Members) -> dict[str, Any]:
  return serialization.to_state_dict(
    {"params": state.params, "adam": state.adam, "members": members}
  )


def load_arrays(folder: Path) -> tuple[int, dict[str, Any], dict[str, Any]]:
  """The newest checkpoint in a folder, as NumPy arrays on any machine.

  Returns:
    `(step, tree, metadata)`, the metadata being what was saved with it.

  Raises:
    InputError: there is no complete checkpoint in the folder.
  """
  if not folder.is_dir():
    raise InputError(f"{folder} holds no checkpoint")
  with ocp.training.Checkpointer(folder.absolute()) as checkpointer:
    if (newest := checkpointer.latest) is None:
      raise InputError(f"{folder} holds no complete checkpoint")
    metadata = checkpointer.metadata()
    arrays = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), metadata.metadata)
    return newest.step, checkpointer.load(abstract_state=arrays), metadata.custom_metadata
