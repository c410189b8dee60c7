"""Trained networks, from the folder of the run that trained them."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from sr_jax.config import InputError
from sr_jax.networks import Network, build
from sr_jax.run_folder import read_json
from sr_jax.training.checkpoints import load_arrays


class Trained(NamedTuple):
  """One trained member of an arm.

  Attributes:
    network: its Flax module.
    params: its parameters, NumPy arrays.
    arm: its name in the run.
    step: training steps done.
    seed: of its initialisation and batches.
    learning_rate: the peak of its schedule.
  """

  network: Network
  params: Any
  arm: str
  step: int
  seed: int
  learning_rate: float


def load(
  run_dir: Path, arm: str | None = None, member: int = 0, step: int | None = None
) -> Trained:
  """Loads a trained network.

  Args:
    run_dir: the run's folder.
    arm: name of one of its arms; without, the first that has a final checkpoint.
    member: its place among the seeds of the final training.
    step: of the checkpoint; without, the newest.

  Raises:
    InputError: the run, arm, member or step is not there, the checkpoint is damaged or of a version
      that did not save what its network is, or the member diverged.
  """
  if not run_dir.is_dir():
    raise InputError(f"--checkpoint={run_dir} is no folder; give that of a run")
  about = read_json(run_dir / "config.json")
  arms = about.get("arms") if isinstance(about, dict) else None
  if not isinstance(arms, dict) or not arms:
    raise InputError(f"{run_dir / 'config.json'} names no arms; give the folder of a comparison")
  if arm is not None and arm not in arms:
    raise InputError(f"--arm={arm} is none of the run's arms; choose from {', '.join(arms)}")
  done = [name for name in arms if _has_checkpoint(_final(run_dir, name))]
  if not done:
    raise InputError(f"{run_dir} holds no final checkpoint of any arm; let the run go on first")
  if arm is not None and arm not in done:
    raise InputError(
      f"--arm={arm} has no final checkpoint in {run_dir} yet; let the run go on, or choose from "
      f"{', '.join(done)}"
    )
  arm = arm or done[0]
  found, tree, metadata = load_arrays(_final(run_dir, arm), step)
  if "network" not in (metadata or {}):
    raise InputError(
      f"{_final(run_dir, arm) / str(found)} was made by an older version of sr_jax, which did not "
      "save what its network is; run the experiment again"
    )
  seeds = tree["members"]["seed"]
  if not 0 <= member < len(seeds):
    raise InputError(
      f"--member={member} is not one of the {len(seeds)} members of {arm}; choose from 0 to "
      f"{len(seeds) - 1} (seeds {', '.join(map(str, seeds))})"
    )
  params = jax.tree.map(lambda leaf: leaf[member], tree["params"])
  if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
    raise InputError(f"--member={member} of {arm} diverged in training; choose another")
  rate = float(tree["members"]["learning_rate"][member])
  return Trained(build(metadata["network"]), params, arm, found, int(seeds[member]), rate)


def _final(run_dir: Path, arm: str) -> Path:
  return run_dir / "checkpoints" / arm / "final"


def _has_checkpoint(folder: Path) -> bool:
  """Whether a checkpoint was completed: Orbax gives it its step as a name only then."""
  return folder.is_dir() and any(path.name.isdecimal() for path in folder.iterdir())
