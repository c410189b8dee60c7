"""The flags that say which points of a sweep are run, and where."""

import dataclasses
import re

from sr_jax.config import InputError, check, setting


@dataclasses.dataclass(frozen=True)
class Launch:
  """Which points of a sweep are run, and by what; launch.py's alone, never part of a run's name."""

  dry_run: bool = setting(False, "list the runs with what they cost; start and write nothing")
  shard: str = setting("", "i/n: every n-th point from the i-th on, i from 0; for any scheduler")
  launcher: str = setting(
    "here",
    "here: in this process; through submitit, local: in processes of this machine, slurm: as jobs",
    choices=("here", "local", "slurm"),
  )
  max_parallel: int = setting(
    0,
    "points at a time of a launcher; of several local ones each has one GPU, where there are "
    "several, and one at a time has all; 0: one if local, all if slurm",
    at_least=0,
  )
  slurm: str = setting(
    "", "what submitit asks slurm for, as partition=gpu,time=600,gpus_per_node=1"
  )

  def __post_init__(self) -> None:
    """Refuses what would be ignored."""
    check(self)
    if self.max_parallel and self.launcher == "here":
      raise InputError("--max_parallel is for --launcher=local or --launcher=slurm")
    if self.slurm and self.launcher != "slurm":
      raise InputError("--slurm is for --launcher=slurm")
    if self.shard:
      self.parse_shard()

  def parse_shard(self) -> tuple[int, int]:
    """`(i, n)` of `shard`: points i, i + n, ... are run. Raises an InputError unless 0 <= i < n."""
    parts = re.fullmatch(r"(\d+)/(\d+)", self.shard or "0/1")
    if parts is None or int(parts[1]) >= int(parts[2]):
      raise InputError(f"--shard={self.shard} must be i/n, with i from 0 to n - 1")
    return int(parts[1]), int(parts[2])
