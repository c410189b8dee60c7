r"""Does super-resolution need an explicit bicubic skip, or is that a matter of training time?

Shi et al. (2016, arXiv 1609.07009) ask whether "explicit upsampling using bicubic interpolation or
deconvolution" is necessary, since a network of LR maps alone can learn to upsample. But a network
whose output is added to a bicubic interpolation upsamples explicitly after all. Here each network
is trained with that skip and without:

- lr: n LR maps of k x k (n = 32, k = 3); lr_plain, without the skip, has no explicit upsampling.
- hr_k4: HR maps of 4x4 behind a bicubic interpolation, as many as cost what LR costs (12), the best
  HR shape of `matched_flops`; hr_k4_plain still begins with that interpolation.
- hr_k4_learned: the same behind a transposed convolution; hr_k4_learned_plain has no interpolation.

The skip has no weights and is no learned multiply-accumulate, so that all networks cost the same,
within 2.2 % as in `matched_flops`. They get the same photographs, batches, steps and seeds; each
has a rate of its own from the same grid, since without the skip larger ones are better.

Fixed before the run:

- The verdict: lr_plain - lr on the first test set.
- Explicit upsampling is "not necessary" after these steps if the interval of the verdict lies above
  -0.05 dB, "necessary" if it lies below, else undecided. It is undecided, too, where the interval
  lies above, but no seed of lr or lr_plain has learned more than bicubic interpolation.
- The lengths that decide are 3,000 and 12,000 steps: it is "a matter of training time" if explicit
  upsampling is necessary after the shorter and not necessary after the longer. How the verdict's
  effect changes between them is described, with an interval. The search for a rate is the same at
  every length. `sr_jax/comparison/skip.py` has the rules.
- Beside the verdict, each group adjusted for itself: every network without the skip less with it;
  what the skip brings LR less what it brings each HR network; and lr_plain less the best HR network
  on validation photographs, all of which upsample explicitly.
- A member that diverged leaves its seed out; one that did not learn stays in, and is named.

On the sample photographs; then, of the field's sets in the folder SETS, both lengths, and a longer
one of fewer seeds, which describes and does not decide:

  python launch.py --experiment=explicit_skip
  python launch.py --experiment=explicit_skip --preset=confirmatory --steps=3000,12000 \
    --manual_dir=SETS
  python launch.py --experiment=explicit_skip --preset=confirmatory --steps=48000 --seeds=2 \
    --manual_dir=SETS
"""

import dataclasses
import functools
from typing import Any

from experiments.when_to_upscale import CONFIRMATORY
from sr_jax.comparison import recipe, skip, verdict
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.executions import by_rule, hr_execution_setting, in_faster_execution
from sr_jax.comparison.note_arms import TOLERANCE
from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.skip import NETWORKS, plain
from sr_jax.config import Execution, InputError, setting
from sr_jax.networks import hr_network, lr_network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.network import EXECUTIONS
from sr_jax.runner import compare
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import MEASURE, Choices

HR_KERNEL = 4


@dataclasses.dataclass(frozen=True)
class Config(Recipe):
  """The recipe and the networks."""

  steps: int = 300
  search_steps: int = 100
  networks: tuple[str, ...] = setting(
    NETWORKS,
    "each with the bicubic skip and without: lr: LR maps alone, which the verdict is about; hr_k4: "
    "HR maps of 4x4 behind bicubic interpolation; hr_k4_learned: behind a transposed convolution",
    choices=NETWORKS,
  )
  features: int = setting(32, "maps of the LR network, n", at_least=1)
  depth: int = setting(4, "hidden layers of all networks", at_least=0)
  kernel_size: int = setting(3, "hidden kernel of the LR network, k", choices=(1, 3, 5, 7))
  hr_execution: str = hr_execution_setting("HR networks")
  activation: str = setting("relu", "of all networks", choices=("relu", "tanh"))

  def __post_init__(self) -> None:
    """Checks every field and the networks."""
    super().__post_init__()
    if "lr" not in self.networks:
      raise InputError(
        f"--networks={','.join(self.networks)}: the verdict is about lr, without the skip and with "
        "it; add lr"
      )

  def arm_names(self) -> tuple[str, ...]:
    """The networks, each with the skip, then without."""
    return tuple(arm for network in self.networks for arm in (network, plain(network)))

  def choices(self) -> dict[str, tuple[str, ...]]:
    """The form of each population's convolutions, and the execution of HR networks."""
    names = [arm.name for arm in arms(self) if arm.network.has_two_executions]
    executions = dict.fromkeys(names, EXECUTIONS) if self.hr_execution == MEASURE else {}
    return {**super().choices(), **executions}


@functools.lru_cache(maxsize=64)
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks of a run, in the execution of the setting; with "auto" not measured yet."""
  return tuple(
    _arm(network, bicubic_skip, config)
    for network in config.networks
    for bicubic_skip in (True, False)
  )


def _arm(name: str, bicubic_skip: bool, config: Config) -> Arm:
  """A network with or without the skip, which declares that it costs what LR costs."""
  common: dict[str, Any] = {
    "scale": config.scale,
    "depth": config.depth,
    "activation": config.activation,
    "bicubic_skip": bicubic_skip,
  }
  n, k = config.features, config.kernel_size
  lr = network = lr_network(features=n, kernel_size=k, **common)
  note = f"{n} maps of {k}x{k} in LR space"
  if name != "lr":
    maps = _hr_maps(config)
    upsampling = "transposed_conv" if name.endswith("learned") else "bicubic"
    hr = hr_network(features=maps, kernel_size=HR_KERNEL, upsampling=upsampling, **common)
    network = by_rule(hr, config.hr_execution)
    note = f"{maps} maps of {HR_KERNEL}x{HR_KERNEL} in HR space"
    note += ", bicubic first" if network.bicubic_first else ", learned upsampling"
  note += f", depth {config.depth}, with{'' if bicubic_skip else 'out'} the bicubic skip"
  return Arm(name if bicubic_skip else plain(name), network, budget(lr).macs, TOLERANCE, note)


def _hr_maps(config: Config) -> int:
  """The maps of an HR network whose hidden layers cost what those of LR cost.

  Raises:
    InputError: that is no whole number.
  """
  taps, divisor = config.kernel_size * config.features, config.scale * HR_KERNEL
  maps, rest = divmod(taps, divisor)
  if rest or not maps:
    raise InputError(
      f"--features={config.features}: no whole number of HR maps of {HR_KERNEL}x{HR_KERNEL} costs "
      f"what LR costs, since kernel_size x features = {taps} is no multiple of scale x {HR_KERNEL} "
      f"= {divisor}; change them, or use --networks=lr"
    )
  return maps


def measured(config: Config, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run, each in the faster execution where that is measured."""
  return in_faster_execution(arms(config), config.hr_execution, choices)


def comparison(config: Config) -> Comparison:
  """What a run decides: LR without the skip less LR with it."""
  primary = Contrast(plain("lr"), "lr", "LR maps alone without the bicubic skip instead of with it")
  return Comparison(primary, combinations=tuple(skip.combinations(config.networks)))


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  results = read_json(run_dir.results)
  return {**verdict.headline(results), "explicit upsampling": skip.finding(results)}


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Compares the networks; returns the seconds of each phase."""
  plan = functools.partial(measured, config)
  return compare("explicit_skip", plan, comparison(config), config, execution, run_dir)


PRESETS = {
  # With the native convolution HR maps are faster in HR space.
  "confirmatory": Config(
    **(
      CONFIRMATORY
      | {
        "networks": ("lr", "hr_k4"),
        "steps": 3000,
        "seeds": 4,
        "learning_rate": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
        "search_steps": 400,
        "search_seeds": 2,
      }
    )
  ),
}
