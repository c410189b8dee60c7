"""Trained networks, from the folder of the run that trained them."""

import re
from typing import Any, NamedTuple

import jax
import numpy as np

from sr_jax.config import InputError
from sr_jax.networks import AnyNetwork, Network, build
from sr_jax.networks.own import abstract_params
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder, run_name
from sr_jax.training.checkpoints import load_arrays, steps

FINAL = "final"  # the stage whose parameters results.json scores


class Trained(NamedTuple):
  """One member of a checkpoint.

  Attributes:
    params: its parameters, NumPy arrays in nested dictionaries, layer by layer in the network's
      order; those of a user's own network by their names.
    stage: of the training: "final", "search", ...
    step: training steps done.
    member: its place among the members.
    seeds: of all members, `(members,)`: of initialisation and batches.
    learning_rates: of all members, `(members,)`: the peaks of their schedules.
    metadata: what was saved with the checkpoint.
  """

  network: AnyNetwork
  params: dict[str, Any]
  arm: str
  stage: str
  step: int
  member: int
  seeds: np.ndarray
  learning_rates: np.ndarray
  metadata: dict[str, Any]

  @property
  def seed(self) -> int:
    """Of this member."""
    return int(self.seeds[self.member])


def load(
  run_dir: RunFolder,
  arm: str | None = None,
  member: int = 0,
  step: int | None = None,
  stage: str = FINAL,
) -> Trained:
  """Loads a trained network: by default of the first arm that has a checkpoint, the newest of it.

  `member` is its place among the members of the training.

  Raises:
    InputError: the run, arm, stage, member or step is not there, the run's config.json was changed,
      or the checkpoint is damaged or of a version that did not save what its network is.
  """
  if not run_dir.path.is_dir():
    raise InputError(f"{run_dir} is no folder; give that of a run")
  about = read_json(run_dir.config)
  arms = about.get("arms") if isinstance(about, dict) else None
  if not isinstance(arms, dict) or not arms:
    wanted = f"one of its tasks, as {run_dir.tasks[0]}" if run_dir.tasks else "a comparison"
    raise InputError(f"{run_dir.config} names no arms; give the folder of {wanted}")
  if "experiment" in about:
    run_name(run_dir, about)  # refuses a changed configuration
  if arm is not None and arm not in arms:
    raise InputError(f"--arm={arm} is not in this run; choose from {', '.join(arms)}")
  done = [name for name in arms if steps(run_dir.checkpoints(name, stage))]
  if not done:
    raise InputError(f"{run_dir} holds no {stage} checkpoint of any arm")
  if arm is not None and arm not in done:
    raise InputError(
      f"--arm={arm} has no {stage} checkpoint in {run_dir} yet; let the run go on, or choose from "
      f"{', '.join(done)}"
    )
  arm = arm or done[0]
  folder = run_dir.checkpoints(arm, stage)
  step, tree, metadata = load_arrays(folder, step, ("params", "members"))
  if "network" not in metadata:
    raise InputError(
      f"{folder / str(step)} was made by an older version of sr_jax, which did not save what its "
      "network is; run the experiment again"
    )
  network = build(metadata["network"])
  order = _order(network, tree["params"])
  if order is None:
    raise InputError(f"the parameters in {folder / str(step)} are not of {metadata['network']}")
  seeds, rates = tree["members"]["seed"], tree["members"]["learning_rate"]
  if not 0 <= member < len(seeds):
    raise InputError(
      f"--member={member} is not one of the {len(seeds)} members of {arm}; choose from 0 to "
      f"{len(seeds) - 1} (seeds {', '.join(map(str, seeds))})"
    )
  params = {name: jax.tree.map(lambda leaf: leaf[member], tree["params"][name]) for name in order}
  return Trained(network, params, arm, stage, step, member, seeds, rates, metadata)


def _order(network: AnyNetwork, params: dict[str, Any]) -> list[str] | None:
  """The names of the layers, in order, whose parameters these are; None if they are not."""
  if isinstance(network, Network):
    order = [layer.name for layer in network.layers]
    return order if set(order) == set(params) else None
  shapes = jax.tree.map(lambda leaf: leaf.shape[1:], params)  # of a member
  expected = jax.tree.map(lambda leaf: leaf.shape, abstract_params(network))
  if shapes != expected:
    return None
  # By number, where names have one: block_2 before block_10.
  return sorted(params, key=lambda name: re.sub(r"\d+", lambda digits: digits[0].zfill(9), name))
