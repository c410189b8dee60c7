"""Memory of upscaling a photograph: `python benchmarks/upscale_memory.py [--out=FILE.json]`.

Upscales 4000 x 3000 pixels of RGB to twice that with each network of the note as a command of its
own, and prints the most memory that the process held.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Arguments
from sr_jax.networks import Network, describe, hr_network, lr_network
from sr_jax.runtime.command_line import run
from sr_jax.runtime.console import log
from sr_jax.runtime.files import write_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import population, sharding
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.restore import FINAL

SIZE = (4000, 3000)
NETWORKS: dict[str, Network] = {"lr": lr_network(), "hr": hr_network()}


def make_run(run_dir: RunFolder) -> None:
  """A run's folder with untrained networks: they take the memory of trained ones."""
  for arm, network in NETWORKS.items():
    mesh = sharding.make_mesh(1, 1)
    members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
    checkpoints = Checkpoints(run_dir.checkpoints(arm, FINAL), 1)
    state = population.initialise(network, arm, members, mesh)
    checkpoints.save(0, state, members, {"network": describe(network)})
    checkpoints.wait()
    checkpoints.close()
  write_json(run_dir.config, {"arms": {arm: {} for arm in NETWORKS}})


def measure(command: list[str]) -> tuple[float, float]:
  """Most gigabytes that a process held, and seconds that it took; a RuntimeError if it failed."""
  began = time.perf_counter()
  with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    raise RuntimeError(f"{' '.join(command)} failed; its error is above")
  unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
  return usage.ru_maxrss * unit / 1e9, time.perf_counter() - began


def main(arguments: Arguments) -> None:
  """Upscales one photograph of noise with each network."""
  networks = {}
  with tempfile.TemporaryDirectory() as folder:
    photo, run_dir = Path(folder) / "photo.jpg", RunFolder(Path(folder) / "run")
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(photo)
    make_run(run_dir)
    for arm in NETWORKS:
      flags = [f"--checkpoint={run_dir}", f"--output={folder}/{arm}", f"--arm={arm}"]
      gigabytes, seconds = measure([sys.executable, "-m", "sr_jax.upscale", str(photo), *flags])
      log(f"{arm}: {gigabytes:.2f} GB at most, {seconds:.0f} s")
      networks[arm] = {"peak_gigabytes": gigabytes, "seconds": seconds}
  arguments.write("upscale_memory", networks=networks)


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
