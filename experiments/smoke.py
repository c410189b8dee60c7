"""Does everything work here? `matched_flops` with small networks, in under a minute on a laptop.

  python launch.py --experiment=smoke

It trains too briefly, on too few seeds, to answer anything.
"""

import dataclasses

from experiments import matched_flops
from sr_jax.config import Execution
from sr_jax.runtime.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Config(matched_flops.Config):
  """`matched_flops` with other defaults."""

  features: int = 16
  depth: int = 1
  steps: int = 150
  seeds: int = 2
  learning_rate: tuple[float, ...] = (2e-3, 8e-3)
  search_steps: int = 40


arms, check_data = matched_flops.arms, matched_flops.check_data
headline = matched_flops.headline


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Runs the small comparison; returns the seconds of each phase."""
  return matched_flops.run("smoke", config, execution, run_dir)
