"""From the command to the first steps: `python benchmarks/startup.py [--out=FILE.json]`.

Starts `launch.py --experiment=matched_flops` as a process, with an empty compile cache and then
twice with the one that it left, and stops it when it reports the first 20 training steps done.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Arguments, Blocks, show
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime.command_line import run

LAUNCH = Path(__file__).parents[1] / "launch.py"


def seconds_to_first_steps(folder: Path, name: str) -> float:
  """Seconds until a run, in a folder of its own but with the shared cache, has done 20 steps."""
  flags = [f"--workdir={folder / name}", f"--compile_cache={folder / 'cache'}"]
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


def blocks(data: dict[str, Any]) -> Blocks:
  """The table of docs/PERFORMANCE.md."""
  rows = [["compile cache", "seconds"], *([k, f"{v:.1f}"] for k, v in data["seconds"].items())]
  return {"startup": f"{markdown_table(rows)}\n\n({data['device']}.)"}


def main(arguments: Arguments) -> None:
  """Times a start with an empty compile cache, and two with a warm one."""
  with tempfile.TemporaryDirectory() as folder:
    names = ("cold", "warm", "warm again")
    seconds = {name: seconds_to_first_steps(Path(folder), name) for name in names}
  show(blocks, arguments.write("startup", seconds=seconds))


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
