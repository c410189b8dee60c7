"""Tells what the folder of a run holds, on any machine, whatever the run was trained on.

  python -m sr_jax.inspect_checkpoint RUN
  python -m sr_jax.inspect_checkpoint RUN --arm=lr [--stage=final] [--step=N] [--member=3]
  python -m sr_jax.inspect_checkpoint RUN --arm=lr --kernels=out.png [--overwrite]
  python -m sr_jax.inspect_checkpoint --diff RUN_A RUN_B

RUN is a run's folder, runs/EXPERIMENT-HASH; that of one of several tasks is RUN/tasks/NAME. Alone,
it gives an overview, and loads no parameters: configuration, provenance, and of every arm budget,
checkpoints and scores. With --arm: the network, every member's metrics, and of one member the
parameters with their norms, and dead units. With --diff: what differs between two runs. Nothing is
ever written to the folder of a run.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from sr_jax.comparison.titles import titled
from sr_jax.config import InputError, setting
from sr_jax.inspect_checkpoint import detail, diff, overview
from sr_jax.inspect_checkpoint.run import Run, open_run
from sr_jax.networks import Network
from sr_jax.runtime import command_line
from sr_jax.runtime.console import log
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.checkpoints import silence_orbax
from sr_jax.training.restore import FINAL, load


@dataclasses.dataclass(frozen=True)
class Arguments:
  """The command line."""

  runs: tuple[str, ...] = command_line.words("the folder of a run, of two with --diff")
  arm: str | None = setting(None, "the arm to describe")
  stage: str = setting(FINAL, f"of its training: {FINAL} (the default), search, search_1, ...")
  step: int | None = setting(None, "of the checkpoint; the newest by default", at_least=0)
  member: int = setting(0, "which member's parameters, from 0 (the default)", at_least=0)
  kernels: str | None = setting(
    None, "file ending in .png to draw the first and last layer's kernels into"
  )
  overwrite: bool = setting(False, "let --kernels replace a file")
  diff: bool = setting(False, "compare two runs")

  def __post_init__(self) -> None:
    """Refuses arguments that do not belong together."""
    if len(self.runs) != (2 if self.diff else 1):
      wanted = "--diff wants two folders of runs" if self.diff else "give one folder of a run"
      raise InputError(f"{wanted}, not {len(self.runs)}; --help says more")
    for name in ("arm", "stage", "step", "member", "kernels"):
      if getattr(self, name) != getattr(Arguments, name) and (self.diff or self.arm is None):
        raise InputError(f"--{name} goes with {'one run' if self.diff else '--arm'}")
    if self.overwrite and self.kernels is None:
      raise InputError("--overwrite goes with --kernels")


def main(argv: Sequence[str]) -> int:
  """Describes the runs that a command line names and returns the exit code."""
  return command_line.run(describe, Arguments, argv)


def describe(arguments: Arguments) -> None:
  """Prints the overview of a run, the detail of one of its arms, or how two runs differ."""
  run, *other = [open_run(RunFolder(Path(folder).expanduser())) for folder in arguments.runs]
  # Paragraphs are joined before any is printed: they stop where a file is damaged.
  if arguments.arm is not None:
    _describe_arm(run, arguments.arm, arguments)
  else:
    log("\n\n".join(diff.compare_runs(run, *other) if other else overview.describe_run(run)))


def _describe_arm(run: Run, arm: str, arguments: Arguments) -> None:
  file = None
  if arguments.kernels is not None:
    file = _to_write(Path(arguments.kernels).expanduser(), run.folder.path, arguments.overwrite)
  trained = load(run.folder, arm, arguments.member, arguments.step, arguments.stage)
  network = trained.network
  if file is not None and not isinstance(network, Network):
    raise InputError(
      f"--kernels draws those of this package's networks; {arm} is {network.source}, whose layers "
      "are not known"
    )
  if file is not None and isinstance(network, Network) and network.dims != 2:
    raise InputError(f"--kernels draws those of images; a kernel of {arm} has dims={network.dims}")
  log("\n\n".join(detail.describe_arm(run, trained)))
  if file is not None and isinstance(network, Network):
    from sr_jax.inspect_checkpoint import kernel_figures  # noqa: PLC0415  # Matplotlib takes long
    from sr_jax.report import figures  # noqa: PLC0415

    title = f"{titled(trained.arm)}: kernels of member {trained.member} after {trained.step} steps"
    figures.save(kernel_figures.draw(trained.params, network, title), file)
    log(f"\nKernels: {file}")


def _to_write(file: Path, run: Path, overwrite: bool) -> Path:
  """The file for the picture, checked early; raises an InputError if it must not be written."""
  if file.suffix != ".png" or not file.parent.is_dir():
    raise InputError(f"--kernels={file} must end in .png and lie in a folder that exists")
  if file.resolve().is_relative_to(run.resolve()):
    raise InputError(f"--kernels={file} lies in the run's folder, to which nothing is written")
  if file.exists() and not (overwrite and file.is_file()):
    raise InputError(f"--kernels={file} exists; name another file, or add --overwrite")
  if not os.access(file if file.exists() else file.parent, os.W_OK):
    raise InputError(f"--kernels={file} cannot be written")
  return file


if __name__ == "__main__":
  # Accelerators are left to those who train: this needs none, and JAX would take most of a GPU.
  jax.config.update("jax_platforms", "cpu")
  silence_orbax()
  sys.exit(main(sys.argv))
