"""Can a network learn when to upscale?

A question of Shi et al. (2016, arXiv 1609.07009): "can the network learn when to upscale and what
percentage of feature maps to upscale from using only convolutions?" Here gates between free and
tied kernels learn it (`sr_jax/comparison/learner.py`), and are judged by the schedules that they
choose, each of which is trained anew, like all others.

HR kernels are of K = r (k - 1) + 1, so that every schedule is a linear subspace of the LR network,
and of HR states only neighbours tie weights: twelve schedules of five states are all that differ.

Fixed before the run:

- A choice is the schedule of the states whose gates end above where they start, at which g is a
  half between them. Its regret is what the best
  schedule, chosen on validation photographs, has over it on test photographs.
- "It learns when": the regret's interval is below 0.05 dB, below that of random schedules, and all
  seeds but one at most choose alike. If no schedule beats "never" by more than 0.05 dB, there is
  nothing to learn here. A greedy search over the same schedules stands beside it.
- Controls: gates whose ties join channels of no common HR map, which drift for other reasons than
  HR maps, and gates that are frozen at 0, a half and 1.

On the sample photographs; then on the field's sets in the folder SETS:

  python launch.py --experiment=learn_when
  python launch.py --experiment=learn_when --preset=confirmatory --manual_dir=SETS
"""

import dataclasses
import functools
from typing import Any

from experiments import when_to_upscale
from experiments.when_to_upscale import CONFIRMATORY, comparison
from sr_jax.comparison import learner
from sr_jax.comparison.family import measured_arms
from sr_jax.comparison.run import Run
from sr_jax.comparison.schedules import name_of
from sr_jax.comparison.train import eval_form
from sr_jax.config import Execution, InputError, setting
from sr_jax.operators.lifting import fits
from sr_jax.runner import compare
from sr_jax.runtime.console import log
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.population import Population

ONE_PROCESS = True  # learners are not checkpointed
LEARNING = "learning"  # a part of the run folder


@dataclasses.dataclass(frozen=True)
class Config(when_to_upscale.Config):
  """The recipe, the schedules whose weights differ, and the gates."""

  schedules: tuple[str, ...] = ("families",)
  hr_kernel_size: int = 5
  groups: int = setting(
    1, "gates of a state, each for as many HR maps; 1: of all maps together", at_least=1
  )

  def __post_init__(self) -> None:
    """Checks every field."""
    super().__post_init__()
    if not fits(self.hr_kernel_size or self.scale * self.kernel_size, self.scale, self.kernel_size):
      raise InputError(
        f"--hr_kernel_size={self.hr_kernel_size} does not lift to kernels of "
        f"{self.kernel_size} LR pixels; use at most --hr_kernel_size="
        f"{self.scale * (self.kernel_size - 1) + 1}"
      )
    if self.max_hr_maps % self.groups:
      raise InputError(
        f"--groups={self.groups} does not divide the {self.max_hr_maps} HR maps that fill a state"
      )
    if self.schedules != ("families",):
      raise InputError("learn_when trains the schedules whose weights differ: --schedules=families")


def learn(
  config: Config, run: Run, results: dict[str, Any], trained: dict[str, Population]
) -> dict[str, Any]:
  """What gates learn, measured once and kept in the run's folder."""
  file = run.run_dir.part(LEARNING)
  if not file.exists():
    never, always = (name_of((maps,) * config.positions) for maps in (0, config.max_hr_maps))
    log("Training networks with gates")
    variants = learner.learn(
      trained[never].network,
      trained[always].network,
      never,
      results["arms"][never]["learning_rate"],
      config.groups,
      eval_form(trained[never]),
      run,
    )
    file.parent.mkdir(exist_ok=True)
    seeds = list(range(config.search_seeds))
    write_json(file, {"maps": config.max_hr_maps, "search_seeds": seeds, "variants": variants})
  return {LEARNING: read_json(file)}


arms, check_data, headline = (
  when_to_upscale.arms,
  when_to_upscale.check_data,
  when_to_upscale.headline,
)


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Compares the schedules with what gates learn; returns the seconds of each phase."""
  plan, measure = functools.partial(measured_arms, config), functools.partial(learn, config)
  decides = comparison(config)
  return compare("learn_when", plan, decides, config, execution, run_dir, measure)


PRESETS = {
  "confirmatory": Config(**(CONFIRMATORY | {"hr_execution": "lr_space"})),
}
