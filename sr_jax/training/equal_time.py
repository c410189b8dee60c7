"""How wide a network may be to train as fast as another one, on this device."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax import run_lock
from sr_jax.console import say
from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.networks import Network
from sr_jax.processes import from_first
from sr_jax.run_folder import describe_devices, read_json, write_json
from sr_jax.training import population
from sr_jax.training.sharding import make_mesh, replicate, shard_members
from sr_jax.training.timing import Timed, step_seconds

FILE = "equal_time.json"
TARGET = "target"


def width_of(
  name: str,
  target: Network,
  candidates: Mapping[int, Network],
  batch: int,
  patch: int,
  members: int,
  run_dir: Path,
) -> int:
  """The largest width whose training step takes no longer than that of `target`; else the fastest.

  A wider network can be the faster one, since some widths suit the device's registers. It is
  measured once and kept in the run's folder, with all times: a run that goes on uses it.

  Args:
    name: of the arm that gets the width.
    target: the network whose time is to be matched.
    candidates: networks by their width, of the same scale.
    batch: patches in a batch.
    patch: side of a patch in LR pixels.
    members: of the population that is timed.
    run_dir: the run's folder, made if it is not there.
  """
  file = run_dir / FILE

  def known() -> dict[str, Any]:
    run_dir.mkdir(parents=True, exist_ok=True)
    run_lock.acquire(run_dir)  # before anything of the run is written
    return read_json(file) if file.exists() else {}

  chosen = from_first(known)
  if name not in chosen:
    networks = {TARGET: target, **{str(width): one for width, one in candidates.items()}}
    seconds = _seconds(networks, batch, patch, members)
    aim = seconds.pop(TARGET)
    width = widest(seconds, aim)
    chosen[name] = {
      "width": width,
      "target_seconds": aim,
      "seconds": seconds,
      "device": describe_devices(),
    }
    from_first(lambda: write_json(file, chosen))
    say(
      f"{name}: a width of {width} takes {1e3 * seconds[str(width)]:.2f} ms a training step, where "
      f"{1e3 * aim:.2f} ms are to be matched"
    )
  return int(chosen[name]["width"])


def widest(seconds: Mapping[str, float], aim: float) -> int:
  """The largest of the widths (as text) that take no longer than `aim`; if none, the fastest."""
  quick = [int(width) for width, value in seconds.items() if value <= aim]
  return max(quick) if quick else int(min(seconds, key=lambda width: seconds[width]))


def _seconds(
  networks: Mapping[str, Network], batch: int, patch: int, members: int
) -> dict[str, float]:
  """Seconds a step takes a member of each network, on noise: the values do not matter."""
  scale = next(iter(networks.values())).scale
  noise = np.random.default_rng(0).integers(0, 256, (4 * patch * scale,) * 2, np.uint8)
  store = patches.make_store([make_photo("noise", noise, scale)], patch)
  mesh = make_mesh(members, batch)
  who = shard_members(mesh, population.make_members(range(members), [1e-4]))
  store = replicate(mesh, store)
  timed = {
    name: Timed(one, population.initialise(one, name, who, mesh), who, mesh)
    for name, one in networks.items()
  }
  return step_seconds(timed, store, batch, patch)
