"""Kills runs at random moments, and compares what they come to: `python benchmarks/chaos.py`.

A smoke run is killed (SIGKILL, SIGTERM, SIGINT; at any moment, or when it is seen saving) and
started again by the same command until it has finished, in folder after folder, until `--kills`
kills were made. Every finished run must have, to the bit, the results, metrics and parameters of
one that was left alone; SIGTERM and SIGINT must end it within 10 seconds, with 143 and 130.
"""

import contextlib
import dataclasses
import functools
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from benchmarks import common
from sr_jax.config import setting
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.operators.native import library
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime.command_line import run
from sr_jax.runtime.console import log
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.checkpoints import load_arrays
from sr_jax.training.metrics import read

LAUNCH = Path(__file__).parents[1] / "launch.py"
STEPS = 60
NETWORKS = ("--experiment=smoke", "--features=4", "--depth=0")
FLAGS = (*NETWORKS, "--batch=4", "--patch=8", f"--steps={STEPS}", "--search_steps=20")
EXECUTION = "--hr_execution=hr_space"  # each folder would measure which execution is faster
IN_A_SAVE = 0.4  # of the kills
LIMIT = 10.0  # seconds that a stop may take
FIRST_LINE = ", revision "  # is in it
HALF_SAVED = "*/checkpoints/*/*/*.orbax-checkpoint-tmp"


@dataclasses.dataclass(frozen=True)
class Arguments(common.Arguments):
  """The command line."""

  kills: int = setting(100, "how many", at_least=1)
  seed: int = setting(0, "of the moments and signals", at_least=0)


class Kill(dict[str, str]):
  """A kill: its signal, what the run was doing, and what was wrong about its end, if anything."""


def make_photographs(folder: Path) -> None:
  """Writes nine small photographs to train, choose and test on; results do not matter here."""
  for i, path in enumerate(sorted(SAMPLE_PHOTOS.glob("*.webp"))[:9]):
    split = folder / ("train", "validation", "test")[i % 3]
    split.mkdir(parents=True, exist_ok=True)
    Image.open(path).crop((100, 100, 160, 160)).save(split / f"{path.stem}.png")


def command(workdir: Path, cache: Path, *more: str) -> list[str]:
  """The command that makes the run, or continues it; it saves after every dispatch."""
  flags = [f"--workdir={workdir}", f"--compile_cache={cache / 'xla'}", f"--data_dir={cache}"]
  flags += [f"--data=folder:{cache / 'photographs'}", "--checkpoint_every_seconds=0.01", EXECUTION]
  flags += [f"--convolution={convolution()}"]
  return [sys.executable, str(LAUNCH), *FLAGS, *flags, *more]


@functools.cache
def convolution() -> str:
  """The native convolution, or XLA's where there is none; each folder would measure it, too."""
  try:
    library.load()
  except library.UnavailableError:
    return "xla"
  return "native"


def start(workdir: Path, cache: Path, *more: str) -> subprocess.Popen:
  """Starts the run."""
  output: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
  return subprocess.Popen(command(workdir, cache, *more), **output)


def finish(process: subprocess.Popen) -> float:
  """Waits for a run that is left alone; returns the seconds it took."""
  began = time.monotonic()
  out, _ = process.communicate()
  if process.returncode:
    raise RuntimeError(f"a run that nobody killed ended with {process.returncode}:\n{out}")
  return time.monotonic() - began


def kill(process: subprocess.Popen, workdir: Path, number: int, after: float) -> Kill | None:
  """Kills a run after some seconds; None if it finishes before."""
  try:
    process.wait(after)
  except subprocess.TimeoutExpired:
    process.send_signal(number)
  return end(process, workdir, number)


def kill_in_save(process: subprocess.Popen, workdir: Path, number: int, saves: int) -> Kill | None:
  """Kills a run in the save after `saves` others; None if it finishes before."""
  left_behind = half_saved(workdir)  # by earlier kills
  seen: set[tuple[str, int]] = set()
  while process.poll() is None and len(seen) <= saves:
    seen |= half_saved(workdir) - left_behind
  process.send_signal(number)
  return end(process, workdir, number, "saving")


def half_saved(workdir: Path) -> set[tuple[str, int]]:
  """The unfinished checkpoint folders, by path and inode: a folder made again counts again."""
  folders = set()
  for path in workdir.glob(HALF_SAVED):
    with contextlib.suppress(FileNotFoundError):  # it has just been finished
      folders.add((str(path), path.stat().st_ino))
  return folders


def end(process: subprocess.Popen, workdir: Path, number: int, what: str = "") -> Kill | None:
  """Waits for a run that was sent a signal and judges its end; None if it had finished before."""
  began = time.monotonic()
  out, _ = process.communicate()
  seconds = time.monotonic() - began
  if process.returncode == 0:
    return None
  # SIGKILL, and any signal before the program's first line, is handled by the system or Python.
  by_itself = number == signal.SIGKILL or FIRST_LINE not in out
  expected = {128 + number, -number} if by_itself else {128 + number}
  wrong = []
  if process.returncode not in expected:
    wrong.append(f"it ended with {process.returncode}: {out[-300:]}")
  if seconds > LIMIT:
    wrong.append(f"it took {seconds:.1f} s to stop")
  name, took = signal.Signals(number).name, f"{seconds:.2f}"
  return Kill(signal=name, doing=what or doing(workdir), seconds=took, wrong="; ".join(wrong))


def doing(workdir: Path) -> str:
  """What a killed run was doing, according to its folder."""
  runs = [RunFolder(path) for path in workdir.glob("*")]
  if not runs or not runs[0].metrics.exists():
    return "starting"
  if runs[0].timing.exists():
    return "reporting"
  lines = read(runs[0].metrics)
  done = {(line["arm"], line["stage"]) for line in lines if line["step"] == STEPS}
  if len(done) == 2:
    return "evaluating"
  return f"training ({lines[-1]['stage']})" if lines else "compiling"


def compare(run_dir: Path, other: Path) -> list[str]:
  """Names the files in which two finished runs differ."""
  ours, wanted = RunFolder(run_dir), RunFolder(other)
  pairs = (ours.results, wanted.results), (ours.metrics, wanted.metrics)
  odd = [path.name for path, copy in pairs if path.read_bytes() != copy.read_bytes()]
  for theirs in sorted(other.glob("checkpoints/*/*")):
    folder = theirs.relative_to(other)
    (step, tree, _), (expected_step, expected, _) = map(load_arrays, (run_dir / folder, theirs))
    same = jax.tree.leaves(jax.tree.map(np.array_equal, tree, expected))
    if step != expected_step or not all(same):
      odd.append(str(folder))
  return odd


def leave_alone(folder: Path) -> tuple[Path, float]:
  """A finished run that was not killed, and the seconds that it takes with a warm compile cache."""
  make_photographs(folder / "photographs")
  finish(start(folder / "alone", folder))
  (reference,) = (folder / "alone").iterdir()
  return reference, finish(start(folder / "again", folder))


def storm(
  folder: Path, reference: Path, whole: float, kills: int, seed: int
) -> Iterator[Kill | list[str]]:
  """Kills runs at random; yields every kill and, for every finished run, what is different.

  They are compared with a finished run, the reference, which takes `whole` seconds. The first two
  kills are made in a save.
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
        killed = kill_in_save(process, workdir, int(number), int(rng.integers(12)))
      else:
        killed = kill(process, workdir, int(number), rng.uniform(0, whole))
      if killed is None:
        break
      made += 1
      yield killed
    (run_dir,) = workdir.iterdir()
    yield compare(run_dir, reference)


def blocks(data: dict[str, Any]) -> common.Blocks:
  """The tally of the kills, for docs/RUN_FOLDER.md."""
  kills, finished = data["kills"], data["finished"]
  counts = Counter((kill["doing"], kill["signal"]) for kill in kills)
  signals = sorted({name for _, name in counts})
  rows = [["killed while", *signals]]
  for what in sorted({what for what, _ in counts}):
    rows.append([what, *(str(counts[what, name]) for name in signals)])
  stops = [float(kill["seconds"]) for kill in kills if kill["signal"] != "SIGKILL"]
  text = (
    f"{markdown_table(rows)}\n\n{sum(not kill['wrong'] for kill in kills)} of {len(kills)} kills "
    f"went as they should, {sum(not odd for odd in finished)} of {len(finished)} runs finished "
    "with the bits of one that was left alone; the longest stop took "
    f"{max(stops, default=0):.1f} s. ({data['device']}, {data['minutes']:.0f} minutes.)"
  )
  return {"chaos": text}


def main(arguments: Arguments) -> int:
  """Kills and prints the tally; the exit code is 1 if anything was wrong."""
  began = time.monotonic()
  kills: list[Kill] = []
  finished: list[list[str]] = []
  with tempfile.TemporaryDirectory() as folder:
    reference, whole = leave_alone(Path(folder))
    for event in storm(Path(folder), reference, whole, arguments.kills, arguments.seed):
      if isinstance(event, Kill):
        kills.append(event)
        log(f"{len(kills)}: {event['signal']} while {event['doing']} {event['wrong']}")
      else:
        finished.append(event)
        log(f"finished: {'DIFFERENT: ' + ', '.join(event) if event else 'the same bits'}")
  minutes = (time.monotonic() - began) / 60
  data = arguments.write("chaos", minutes=minutes, kills=kills, finished=finished)
  common.show(blocks, data)
  return int(any(kill["wrong"] for kill in kills) or any(finished))


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
