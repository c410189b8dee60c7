"""From the command to the first steps: `python benchmarks/startup.py [--out=FILE.json]`.

Starts `launch.py --experiment=matched_flops` as a process, with an empty compile cache and then
twice with the one that it left, and stops it when it reports the first 20 training steps done.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sr_jax.runtime.console import log
from sr_jax.runtime.files import write_json
from sr_jax.runtime.provenance import describe_devices

LAUNCH = Path(__file__).parents[1] / "launch.py"


def seconds_to_first_steps(folder: Path, run: str) -> float:
  """Seconds until a run, in a folder of its own but with the shared cache, has done 20 steps."""
  flags = [f"--workdir={folder / run}", f"--compile_cache={folder / 'cache'}"]
  command = [sys.executable, str(LAUNCH), "--experiment=matched_flops", *flags]
  began = time.perf_counter()
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    assert process.stdout
    for line in process.stdout:
      if "step 20/" in line:
        seconds = time.perf_counter() - began
        process.kill()
        return seconds
  raise RuntimeError("the run ended before its first steps; its error is above")


def main(out: Path | None) -> None:
  """Measures, prints, and writes JSON."""
  with tempfile.TemporaryDirectory() as folder:
    runs = ("cold", "warm", "warm again")
    found = {run: seconds_to_first_steps(Path(folder), run) for run in runs}
  for run, seconds in found.items():
    log(f"{run}: {seconds:.1f} s from the command to 20 steps done")
  if out:
    about = {"benchmark": "startup", "device": describe_devices(), "seconds": found}
    write_json(out, about)


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--out", type=Path, help="JSON file to write")
  main(parser.parse_args().out)
