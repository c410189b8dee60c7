"""At equal compute, does a network in LR space represent more than one that upsamples first?

The claim of Shi et al. (2016, arXiv 1609.07009, Section 3): with n = 32 maps of 3x3 in LR space
against n / r^2 = 8 maps of 6x6 in HR space, both networks cost the same, and the LR network has
r^2 times the parameters and "thus more representation power".

The test: both networks get the same photographs, batches, steps, seeds and learning rates to
choose from. The verdict is the mean over test photographs of the paired PSNR difference LR - HR,
with an interval over seeds and photographs; the fit of training patches is compared likewise.

  python launch.py --experiment=matched_flops
"""

import dataclasses
from pathlib import Path
from typing import Any

from sr_jax.arm_run import Recipe
from sr_jax.budget import Arm, budget, check_budgets, note_pair
from sr_jax.config import Execution, InputError, setting
from sr_jax.networks import HRNetwork, LRNetwork
from sr_jax.runner import compare

# The note's pair costs exactly the same. Other HR shapes match in every hidden layer; their first
# and last layers differ a little.
TOLERANCE = 0.022


@dataclasses.dataclass(frozen=True)
class Config(Recipe):
  """The recipe and the two networks."""

  features: int = setting(32, "maps of the LR network, n", at_least=1)
  depth: int = setting(4, "hidden layers of both networks", at_least=0)
  kernel_size: int = setting(3, "hidden kernel of the LR network, k", choices=(1, 3, 5, 7))
  hr_features: int = setting(
    0, "maps of the HR network, n_H, with kernel k n / (r n_H); 0: the note's n / r^2", at_least=0
  )
  upsampling: str = setting(
    "bicubic", "what the HR network begins with", choices=("bicubic", "transposed_conv")
  )
  hr_execution: str = setting(
    "hr_space", "how the HR network is computed", choices=("hr_space", "lr_space")
  )
  activation: str = setting("relu", "of both networks", choices=("relu", "tanh"))
  bicubic_skip: bool = setting(True, "both networks predict what bicubic interpolation misses")

  def __post_init__(self) -> None:
    """Refuses what cannot be run before anything else happens."""
    super().__post_init__()
    check_budgets(arms(self))


def arms(config: Config) -> tuple[Arm, Arm]:
  """The LR network, and the HR network that its compute buys."""
  common: dict[str, Any] = {
    "scale": config.scale,
    "depth": config.depth,
    "activation": config.activation,
    "bicubic_skip": config.bicubic_skip,
  }
  lr = LRNetwork(features=config.features, kernel_size=config.kernel_size, **common)
  maps, kernel_size = _hr_shape(lr, config.hr_features)
  hr = HRNetwork(
    features=maps,
    kernel_size=kernel_size,
    upsampling=config.upsampling,
    execution=config.hr_execution,
    **common,
  )
  macs = budget(lr).macs
  tolerance = TOLERANCE if config.hr_features else 0.0
  k = config.kernel_size
  return (
    Arm("lr", lr, macs, 0.0, f"{config.features} maps of {k}x{k} in LR space"),
    Arm("hr", hr, macs, tolerance, f"{maps} maps of {kernel_size}x{kernel_size} in HR space"),
  )


def _hr_shape(lr: LRNetwork, hr_features: int) -> tuple[int, int]:
  """Maps and kernel size of the HR network."""
  if not hr_features:
    return note_pair(lr, TOLERANCE)
  kernel_size, rest = divmod(lr.kernel_size * lr.features, lr.scale * hr_features)
  if rest or not kernel_size:
    raise InputError(
      f"--hr_features={hr_features} matches no whole kernel size: kernel_size x features / scale = "
      f"{lr.kernel_size * lr.features / lr.scale:g} must be a multiple of it"
    )
  return hr_features, kernel_size


def main(config: Config, execution: Execution, run_dir: Path) -> dict[str, str]:
  """Compares the two networks; returns the headline."""
  return compare("matched_flops", arms(config), config, execution, run_dir)
