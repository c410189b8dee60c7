"""Tells what the folder of a run holds, on any machine, whatever the run was trained on.

  python -m sr_jax.inspect_checkpoint RUN
  python -m sr_jax.inspect_checkpoint RUN --arm=lr [--stage=final] [--step=N] [--member=3]
  python -m sr_jax.inspect_checkpoint RUN --arm=lr --kernels=out.png [--overwrite]
  python -m sr_jax.inspect_checkpoint --diff RUN_A RUN_B

RUN is a run's folder, runs/EXPERIMENT-HASH. Alone, it gives an overview, and loads no parameters:
configuration, provenance, and of every arm budget, checkpoints and scores. With --arm: the network,
every member's metrics, and of one member the parameters with their norms, and dead units. With
--diff: what differs between two runs. Nothing is ever written to the folder of a run.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
from absl import flags

from sr_jax.comparison.verdict import titled
from sr_jax.config import InputError
from sr_jax.inspect_checkpoint import detail, diff, overview
from sr_jax.inspect_checkpoint.run import Run, open_run
from sr_jax.runtime.console import log
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.checkpoints import silence_orbax
from sr_jax.training.restore import FINAL, Trained, load

TEXTS = {
  "arm": "the arm to describe",
  "stage": f"of its training: {FINAL} (the default), search, search_1, ...",
  "step": "of the checkpoint; the newest one by default",
  "member": "which member's parameters, from 0 (the default)",
  "kernels": "file ending in .png to draw the first and last layer's kernels into",
}


def main(argv: Sequence[str]) -> int:
  """Describes what the command line names and returns the exit code."""
  try:
    return _main(argv)
  except (InputError, flags.Error) as error:
    print(f"inspect_checkpoint: {' '.join(str(error).split())}", file=sys.stderr)
  except OSError as error:
    print(f"inspect_checkpoint: {error.filename}: {error.strerror}", file=sys.stderr)
  return 2


def _main(argv: Sequence[str]) -> int:
  asked = flags.FlagValues()
  for name, text in TEXTS.items():
    flags.DEFINE_string(name, None, text, asked)
  flags.DEFINE_boolean("overwrite", False, "let --kernels replace a file", asked)
  flags.DEFINE_boolean("diff", False, "compare two runs", asked)
  flags.DEFINE_boolean("help", False, "explain this command", asked, short_name="h")
  try:
    folders = [Path(folder).expanduser() for folder in asked(list(argv))[1:]]
  except ValueError as error:  # how absl says that --nohelp takes no value
    raise InputError(str(error)) from error
  if asked.help:
    log(f"{__doc__}\nFlags:")
    for name in (*TEXTS, "overwrite", "diff"):
      log(f"  --{name}\n      {asked[name].help}")
    return 0
  _check_together(asked, folders)
  runs = [open_run(RunFolder(folder)) for folder in folders]
  if asked.diff:
    _say(diff.compare_runs(*runs))
  elif asked.arm is None:
    _say(overview.describe_run(runs[0]))
  else:
    _describe_arm(runs[0], asked)
  return 0


def _check_together(asked: flags.FlagValues, folders: Sequence[Path]) -> None:
  """Refuses flags that do not belong together."""
  if len(folders) != (2 if asked.diff else 1):
    wanted = "--diff wants two folders of runs" if asked.diff else "give one folder of a run"
    raise InputError(f"{wanted}, not {len(folders)}; --help says more")
  for name in TEXTS:
    if asked[name].value is not None and (asked.diff or asked.arm is None):
      raise InputError(f"--{name} goes with {'one run' if asked.diff else '--arm'}")
  if asked.overwrite and asked.kernels is None:
    raise InputError("--overwrite goes with --kernels")


def _describe_arm(run: Run, asked: flags.FlagValues) -> None:
  step = None if asked.step is None else _whole("step", asked.step)
  member = 0 if asked.member is None else _whole("member", asked.member)
  file = None
  if asked.kernels is not None:
    file = _to_write(Path(asked.kernels).expanduser(), run.folder.path, asked.overwrite)
  trained = load(run.folder, asked.arm, member, step, asked.stage or FINAL)
  _say(detail.describe_arm(run, trained))
  if file is not None:
    _draw(run, trained, file)


def _say(paragraphs: Iterator[str]) -> None:
  """Prints paragraphs, all or, should a file turn out damaged, none."""
  log("\n\n".join(list(paragraphs)))


def _whole(name: str, text: str) -> int:
  if not re.fullmatch(r"[0-9]{1,9}", text):
    raise InputError(f"--{name}={text} must be a whole number, at least 0")
  return int(text)


def _to_write(file: Path, run: Path, overwrite: bool) -> Path:
  """The file for the picture, checked before anything is computed.

  Raises:
    InputError: it must not or cannot be written.
  """
  if file.suffix != ".png" or not file.parent.is_dir():
    raise InputError(f"--kernels={file} must end in .png and lie in a folder that exists")
  if file.resolve().is_relative_to(run.resolve()):
    raise InputError(f"--kernels={file} lies in the run's folder, to which nothing is written")
  if file.exists() and not (overwrite and file.is_file()):
    raise InputError(f"--kernels={file} exists; name another file, or add --overwrite")
  if not os.access(file if file.exists() else file.parent, os.W_OK):
    raise InputError(f"--kernels={file} cannot be written")
  return file


def _draw(run: Run, trained: Trained, file: Path) -> None:
  from sr_jax.inspect_checkpoint import kernel_figures as trained_kernels  # noqa: PLC0415  # Matplotlib takes long
  from sr_jax.report import figures  # noqa: PLC0415  # Matplotlib takes long

  title = f"{titled(trained.arm)}: kernels of member {trained.member} after {trained.step} steps"
  figures.save(trained_kernels.draw(trained.params, trained.network.scale, title), file)
  log(f"\nKernels: {file}")


if __name__ == "__main__":
  # Accelerators are left to those who train: this needs none, and JAX would take most of a GPU.
  jax.config.update("jax_platforms", "cpu")
  silence_orbax()
  sys.exit(main(sys.argv))
