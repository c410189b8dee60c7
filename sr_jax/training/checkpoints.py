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


def _shapes(checkpointer: ocp.training.Checkpointer) -> Any:
  """The tree of the newest checkpoint with the shapes and types of its arrays.

  Raises:
    InputError: it cannot be read.
  """
  if (tree := checkpointer.metadata().metadata) is None:
    raise _damaged(checkpointer, "its metadata cannot be read")
  return tree


def _load(checkpointer: ocp.training.Checkpointer, abstract: Any) -> Any:
  """The newest checkpoint.

  Raises:
    InputError: it cannot be read.
  """
  try:
    return checkpointer.load(abstract_state=abstract)
  except Exception as error:  # Orbax and TensorStore raise many kinds for damaged files
    reason = f"{type(error).__name__}: {str(error).strip()[:100]}"
    raise _damaged(checkpointer, " ".join(reason.split())) from error


def _damaged(checkpointer: ocp.training.Checkpointer, reason: str) -> InputError:
  folder = Path(str(checkpointer.directory)) / str(checkpointer.latest.step)
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


def load_arrays(folder: Path) -> tuple[int, dict[str, Any], dict[str, Any]]:
  """The newest checkpoint in a folder, as NumPy arrays on any machine.

  Returns:
    `(step, tree, metadata)`, the metadata being what was saved with it.

  Raises:
    InputError: there is no complete checkpoint in the folder, or it is damaged.
  """
  if not folder.is_dir():
    raise InputError(f"{folder} holds no checkpoint")
  with ocp.training.Checkpointer(folder.absolute()) as checkpointer:
    if (newest := checkpointer.latest) is None:
      raise InputError(f"{folder} holds no complete checkpoint")
    arrays = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), _shapes(checkpointer))
    return newest.step, _load(checkpointer, arrays), checkpointer.metadata().custom_metadata


def steps(folder: Path) -> list[int]:
  """The steps of the complete checkpoints in a folder, ascending; empty if there is no folder.

  Only names are read: what Orbax has not finished has another one.
  """
  if not folder.is_dir():
    return []
  return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def metadata(folder: Path, step: int) -> dict[str, Any]:
  """What was saved with the checkpoint of a step beside its arrays, of which none is loaded.

  Raises:
    InputError: it cannot be read.
  """
  return _read(folder, step)[0]


def load_params(folder: Path, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
  """Parameters and members of a step as NumPy arrays on any machine; Adam's moments are left.

  Returns:
    `(params, members)`, nested dictionaries; every array has a leading member axis.

  Raises:
    InputError: the checkpoint is damaged.
  """
  _, shapes = _read(folder, step)
  wanted = {
    part: jax.tree.map(
      lambda leaf, skip=part == "adam": (
        ocp.PLACEHOLDER if skip else np.empty(leaf.shape, leaf.dtype)
      ),
      tree,
    )
    for part, tree in shapes.items()
  }
  checkpoint = (folder / str(step)).absolute()
  try:
    tree = ocp.load(checkpoint, wanted)
  except Exception as error:  # as in `_load`
    raise _unreadable(checkpoint, error) from error
  return tree["params"], tree["members"]


def _read(folder: Path, step: int) -> tuple[dict[str, Any], Any]:
  """What was saved beside the arrays of a step, and the tree of their shapes and types."""
  checkpoint = (folder / str(step)).absolute()
  try:
    found = ocp.metadata(checkpoint)
  except Exception as error:  # as in `_load`
    raise _unreadable(checkpoint, error) from error
  about, tree = found.custom_metadata, found.metadata  # nothing where Orbax cannot read them
  if not about or not tree or not {"params", "members"} <= tree.keys():
    raise InputError(f"the checkpoint {checkpoint} is damaged (its metadata cannot be read)")
  return about, tree


def _unreadable(checkpoint: Path, error: Exception) -> InputError:
  reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
  return InputError(f"the checkpoint {checkpoint} is damaged ({reason})")
