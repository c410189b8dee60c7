"""Kills runs at random moments, and compares what they come to: `python benchmarks/chaos.py`.

A smoke run is killed (SIGKILL, SIGTERM, SIGINT; at any moment, or when it is seen saving) and
started again by the same command until it has finished, in folder after folder, until `--kills`
kills were made. Every finished run must have, to the bit, the results, metrics and parameters of
one that was left alone; SIGTERM and SIGINT must end it within 10 seconds, with 143 and 130.
"""

import argparse
import collections
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import write_json
from sr_jax.runtime.provenance import describe_devices
from sr_jax.training.checkpoints import load_arrays
from sr_jax.training.metrics import read

LAUNCH = Path(__file__).parents[1] / "launch.py"
FLAGS = (
  "--experiment=smoke",
  "--features=8",
  "--steps=90",
  "--search_steps=30",
  "--patch=8",
  "--hr_execution=lr_space",  # each folder would measure which execution is faster
)
IN_A_SAVE = 0.4  # of the kills
LIMIT = 10.0  # seconds that a stop may take
FIRST_LINE = ", revision "  # is in it
HALF_SAVED = "*/checkpoints/*/*/*.orbax-checkpoint-tmp"


class Kill(dict[str, str]):
  """One kill: its signal, what the run was doing, and what was wrong about its end, if anything."""


def make_photographs(folder: Path) -> None:
  """Nine small photographs to train, choose and test on: what matters here is not learned."""
  for i, path in enumerate(sorted(SAMPLE_PHOTOS.glob("*.webp"))[:9]):
    split = folder / ("train", "validation", "test")[i % 3]
    split.mkdir(parents=True, exist_ok=True)
    Image.open(path).crop((100, 100, 160, 160)).save(split / f"{path.stem}.png")


def command(workdir: Path, cache: Path, *more: str) -> list[str]:
  """What makes the run, or goes on with it; it saves after every dispatch."""
  flags = [f"--workdir={workdir}", f"--compile_cache={cache / 'xla'}", f"--data_dir={cache}"]
  flags += [f"--data=folder:{cache / 'photographs'}"]
  return [sys.executable, str(LAUNCH), *FLAGS, *flags, "--checkpoint_every_seconds=0.01", *more]


def start(workdir: Path, cache: Path, *more: str) -> subprocess.Popen:
  """Starts the run."""
  return subprocess.Popen(
    command(workdir, cache, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
  )


def finish(process: subprocess.Popen) -> float:
  """Waits for a run that is left alone; returns the seconds it took."""
  began = time.monotonic()
  out, _ = process.communicate()
  if process.returncode:
    raise RuntimeError(f"a run that nobody killed ended with {process.returncode}:\n{out}")
  return time.monotonic() - began


def kill(process: subprocess.Popen, workdir: Path, number: int, after: float) -> Kill | None:
  """Kills a run after so many seconds; None if it finished before."""
  try:
    process.wait(after)
  except subprocess.TimeoutExpired:
    process.send_signal(number)
  return end(process, workdir, number)


def kill_in_a_save(
  process: subprocess.Popen, workdir: Path, number: int, saves: int
) -> Kill | None:
  """Kills a run in the middle of its next save after so many; None if it has no so many."""
  left_behind = half_saved(workdir)  # by earlier kills
  seen: set[tuple[str, int]] = set()
  while process.poll() is None and len(seen) <= saves:
    seen |= half_saved(workdir) - left_behind
  process.send_signal(number)
  return end(process, workdir, number, "saving")


def half_saved(workdir: Path) -> set[tuple[str, int]]:
  """The folders of checkpoints that are not finished; one that is made again is another one."""
  found = set()
  for path in workdir.glob(HALF_SAVED):
    with contextlib.suppress(FileNotFoundError):  # it has just been finished
      found.add((str(path), path.stat().st_ino))
  return found


def end(process: subprocess.Popen, workdir: Path, number: int, what: str = "") -> Kill | None:
  """How a run ended that this signal was sent to; None if it had finished before."""
  began = time.monotonic()
  out, _ = process.communicate()
  seconds = time.monotonic() - began
  if process.returncode == 0:
    return None
  # To SIGKILL, and before the program's first line, the system itself answers, or Python.
  by_itself = number == signal.SIGKILL or FIRST_LINE not in out
  expected = {128 + number, -number} if by_itself else {128 + number}
  wrong = []
  if process.returncode not in expected:
    wrong.append(f"it ended with {process.returncode}: {out[-300:]}")
  if seconds > LIMIT:
    wrong.append(f"it took {seconds:.1f} s to stop")
  return Kill(
    signal=signal.Signals(number).name,
    doing=what or doing(workdir),
    seconds=f"{seconds:.2f}",
    wrong="; ".join(wrong),
  )


def doing(workdir: Path) -> str:
  """What a killed run was doing, as its folder tells."""
  logs = list(workdir.glob("*/metrics.jsonl"))
  if not logs:
    return "starting"
  if any(workdir.glob("*/timing.json")):
    return "reporting"
  lines = read(logs[0])
  done = {(line["arm"], line["stage"]) for line in lines if line["step"] == 90}
  if len(done) == 2:
    return "evaluating"
  return f"training ({lines[-1]['stage']})" if lines else "compiling"


def compare(run_dir: Path, other: Path) -> list[str]:
  """In which files two finished runs differ."""
  odd = [
    name
    for name in ("results.json", "metrics.jsonl")
    if (run_dir / name).read_bytes() != (other / name).read_bytes()
  ]
  for theirs in sorted(other.glob("checkpoints/*/*")):
    folder = theirs.relative_to(other)
    step, tree, _ = load_arrays(run_dir / folder)
    expected, like, _ = load_arrays(theirs)
    same = jax.tree.leaves(jax.tree.map(np.array_equal, tree, like))
    if step != expected or not all(same):
      odd.append(str(folder))
  return odd


def leave_alone(folder: Path) -> tuple[Path, float]:
  """A finished run that nobody killed, and the seconds that one takes with a warm compile cache."""
  make_photographs(folder / "photographs")
  finish(start(folder / "alone", folder))
  (reference,) = (folder / "alone").iterdir()
  return reference, finish(start(folder / "again", folder))


def storm(
  folder: Path, reference: Path, whole: float, kills: int, seed: int
) -> Iterator[Kill | list[str]]:
  """Kills until so many were made; yields each, and for each finished run what is different.

  Args:
    folder: for the runs.
    reference: a finished run.
    whole: seconds that it takes.
    kills: how many; the first two are made in a save.
    seed: of what is random.
  """
  rng = np.random.default_rng(seed)
  cache = reference.parents[1]
  made = run = 0
  while made < kills:
    workdir = folder / f"run_{run}"
    run += 1
    while True:
      process = start(workdir, cache)
      if made == kills:
        finish(process)
        break
      number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
      if made < 2 or rng.random() < IN_A_SAVE:
        one = kill_in_a_save(process, workdir, int(number), int(rng.integers(12)))
      else:
        one = kill(process, workdir, int(number), rng.uniform(0, whole))
      if one is None:
        break
      made += 1
      yield one
    (run_dir,) = workdir.iterdir()
    yield compare(run_dir, reference)


def main(kills: int, seed: int, out: Path | None) -> int:
  """Kills, prints the tally, and writes JSON; the exit code is 1 if anything was wrong."""
  began = time.monotonic()
  made: list[Kill] = []
  finished: list[list[str]] = []
  with tempfile.TemporaryDirectory() as folder:
    reference, whole = leave_alone(Path(folder))
    for one in storm(Path(folder), reference, whole, kills, seed):
      if isinstance(one, Kill):
        made.append(one)
        log(f"{len(made)}: {one['signal']} while {one['doing']} {one['wrong']}")
      else:
        finished.append(one)
        log(f"finished: {'the same bits' if not one else 'DIFFERENT: ' + ', '.join(one)}")
  wrong = [one for one in made if one["wrong"]] + [one for one in finished if one]
  signals = sorted({one["signal"] for one in made})
  rows = [["while", *signals]]
  for what in sorted({one["doing"] for one in made}):
    counts = collections.Counter(one["signal"] for one in made if one["doing"] == what)
    rows.append([what, *(str(counts[name]) for name in signals)])
  log("\n" + table(rows))
  stops = [float(one["seconds"]) for one in made if one["signal"] != "SIGKILL"]
  good = sum(not one["wrong"] for one in made)
  log(
    f"\n{good} of {len(made)} kills as they should be; {sum(not one for one in finished)} of "
    f"{len(finished)} runs finished with the same bits; longest stop {max(stops, default=0):.1f} s"
  )
  if out:
    about = {
      "benchmark": "chaos",
      "device": describe_devices(),
      "minutes": (time.monotonic() - began) / 60,
      "kills": made,
      "finished": finished,
    }
    write_json(out, about)
  return 1 if wrong else 0


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--kills", type=int, default=100)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--out", type=Path, help="JSON file to write")
  arguments = parser.parse_args()
  sys.exit(main(arguments.kills, arguments.seed, arguments.out))
