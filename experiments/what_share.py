"""What share of its maps should a network upscale?

A question of Shi et al. (2016, arXiv 1609.07009): "can the network learn when to upscale and what
percentage of feature maps to upscale from using only convolutions?" Here every state between two
layers holds the same h HR maps, and n - r^2 h LR maps: h = 0 is the LR network, h = n / r^2 a
network of HR maps alone. With kernels k, and K = r k from HR to HR maps, every share costs exactly
the same MACs and activations, but the more HR maps, the fewer weights. With K = r (k - 1) + 1 every
share is a linear subspace of the LR network, and costs less.

Fixed before the run:

- The verdict: half the maps against none.
- Every share against none, as it is, and less what the number of weights alone predicts: a line in
  log2(parameters) through LR networks of several widths, fitted in the same run, so that its error
  is in every interval. A run of its own (preset "curve") shows beforehand whether it is a line:
  each inner width against the line through the others.
- "It is the number of weights" if every share is equivalent to what the line predicts, its interval
  within 0.05 dB; a share is "better than the number of weights predicts", or worse, if it is by
  more, as its interval and its p-value, adjusted over all shares, say; else undecided. All of that
  is said under the condition that PSNR of LR is a line, and whether it is shown to be one.
- With --learn, gates of HR maps learn which share to upscale, among those of the smallest kernel
  (`sr_jax/comparison/learner.py`; the rule is in `learning.py` beside it).
- A member that diverged leaves its seed out; one that did not learn stays in, and is named.

On the sample photographs; then, of the field's sets in the folder SETS, the curve and all shares:

  python launch.py --experiment=what_share
  python launch.py --experiment=what_share --preset=curve --manual_dir=SETS
  python launch.py --experiment=what_share --preset=confirmatory --manual_dir=SETS
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from experiments import when_to_upscale
from experiments.when_to_upscale import BRIEF, CONFIRMATORY
from sr_jax.comparison import findings, learning, recipe, verdict
from sr_jax.comparison.combinations import Combination, difference
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.family import ScheduleRecipe, weight_curve
from sr_jax.config import Execution, InputError, setting
from sr_jax.networks.budget import Arm
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder

LR = "h0"


@dataclasses.dataclass(frozen=True)
class Config(ScheduleRecipe):
  """The recipe and the shares."""

  learning_rate: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
  search_steps: int = 300
  hr_maps: tuple[int, ...] = setting(
    (4, 8), "HR maps of every state, h, as 0,4,8; none, which is LR, is always compared", at_least=0
  )
  hr_kernel_size: tuple[int, ...] = setting(
    (0,), "kernels from HR to HR maps in HR pixels, K, as 0,5; 0: scale x kernel_size", at_least=0
  )
  widths: tuple[int, ...] = setting(
    (16, 24), "maps of narrower LR networks, for the curve of the number of weights", at_least=1
  )

  def __post_init__(self) -> None:
    """Checks every field and, for gates, that all shares are there."""
    super().__post_init__()
    if self.learn:
      _nested(self)

  @property
  def kernel_sizes(self) -> tuple[int, ...]:
    """Kernels from HR to HR maps."""
    return tuple(size or self.scale * self.kernel_size for size in self.hr_kernel_size)

  def arms(self) -> tuple[Arm, ...]:
    """The networks, in the execution of the setting; with "auto" not measured yet."""
    return arms(self)


def shares_of(config: Config) -> dict[str, tuple[int, int]]:
  """The HR maps and the HR kernel of every share but none, by name: h4, or h4_k5 unless K = r k.

  Raises:
    InputError: a share does not fit, or a kernel or LR is given twice.
  """
  for maps in config.hr_maps:
    config.check_hr_maps(f"--hr_maps={','.join(map(str, config.hr_maps))}", maps)
  if len(set(sizes := config.kernel_sizes)) < len(sizes):
    raise InputError(
      f"--hr_kernel_size={','.join(map(str, config.hr_kernel_size))} names a kernel twice: 0 is "
      f"scale x kernel_size = {config.scale * config.kernel_size}"
    )
  if config.features in config.widths:
    raise InputError(
      f"--widths={','.join(map(str, config.widths))} names {config.features}, the width of all "
      "networks (--features), which LR is compared in anyway"
    )
  usual = config.scale * config.kernel_size
  return {
    f"h{maps}{f'_k{size}' * (size != usual)}": (maps, size)
    for size in config.kernel_sizes
    for maps in config.hr_maps
    if maps
  }


@functools.lru_cache(maxsize=64)
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks of a run: no HR maps, every share of them, and LR networks of other widths."""
  shares = {LR: (0, config.kernel_sizes[0]), **shares_of(config)}
  return (
    *(
      config.schedule_arm(name, (maps,) * (config.depth + 1), size)
      for name, (maps, size) in shares.items()
    ),
    *(config.width_arm(width) for width in config.widths),
  )


def comparison(config: Config) -> Comparison:
  """What a run decides: half the maps, or else the first share, or width, against LR."""
  shares = shares_of(config)
  contrasts = [Contrast(name, LR, _counted(maps)) for name, (maps, _) in shares.items()]
  half = [each for each in contrasts if 2 * shares[each.first][0] == config.max_hr_maps]
  width = Contrast(LR, f"lr_n{config.widths[0]}", "LR against the first of other widths")
  primary = next(iter([*half, *contrasts, width]))
  others = tuple(each for each in contrasts if each is not primary)
  return Comparison(primary, mechanisms=others, combinations=tuple(combinations(config)))


def combinations(config: Config) -> list[Combination]:
  """Every share less what the number of weights predicts, and the curve that predicts it."""
  curve = weight_curve(config, LR)
  assert curve is not None  # there is a width
  planned = [
    Combination(
      findings.SHARES,
      name,
      f"{_counted(maps)} with kernels {size}x{size} instead of none, at equal numbers of weights",
      curve.less_predicted(difference(name, LR)),
      is_less_curve=True,
    )
    for name, (maps, size) in shares_of(config).items()
  ]
  inner = sorted(curve.arms, key=lambda arm: curve.parameters[arm])[1:-1]
  planned += [
    Combination(findings.FORM, name, "against the line through the others", curve.deviation(name))
    for name in inner
  ]
  return [*planned, findings.of_curve(curve)]


def learn(config: Config, *run_so_far: Any) -> dict[str, Any]:
  """Trains networks with a gate for every HR map, and names the shares that these choose."""
  names = _nested(config)
  neighbours = {
    name: [names[j] for j in (i - 1, i + 1) if 0 <= j < len(names)] for i, name in enumerate(names)
  }
  choices = learning.Choices("what share of its maps", neighbours, names)

  def choose(gates: Sequence[float]) -> str:
    return names[sum(gate > learning.THRESHOLD for gate in gates)]

  return learning.record(choices, "maps", choose, names[-1], *run_so_far)


def _nested(config: Config) -> list[str]:
  """The names of all shares of the smallest HR kernel, from none to all.

  Raises:
    InputError: LR networks do not contain that of the kernel, or a share is missing.
  """
  size = min(config.kernel_sizes)
  config.check_gates(size)
  by_maps = {maps: name for name, (maps, own) in shares_of(config).items() if own == size}
  if missing := {*range(1, config.max_hr_maps + 1)} - {*by_maps}:
    raise InputError(
      f"--learn needs all shares that gates can choose: add {', '.join(map(str, sorted(missing)))} "
      f"to --hr_maps={','.join(map(str, config.hr_maps))}"
    )
  return [LR, *(by_maps[maps] for maps in sorted(by_maps))]


def _counted(maps: int) -> str:
  return f"{maps} HR map{'s' * (maps != 1)}"


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  results = read_json(run_dir.results)
  shares = {"all shares": findings.share_finding(results)}
  return {**verdict.headline(results), **shares, **learning.headline(results)}


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Compares the shares; returns the seconds of each phase."""
  measure = functools.partial(learn, config)
  decides = comparison(config)
  return when_to_upscale.run("what_share", decides, measure, config, execution, run_dir)


CURVE = (12, 16, 20, 24, 28)  # from fewer parameters than any share has
# A state of both kinds of maps is faster as one LR convolution.
SHARES = CONFIRMATORY | {"hr_execution": "lr_space"}
PRESETS = {
  "confirmatory": Config(hr_maps=tuple(range(9)), hr_kernel_size=(0, 5), widths=CURVE, **SHARES),
  "learn": Config(
    hr_maps=tuple(range(9)), hr_kernel_size=(5,), widths=CURVE, learn=True, **(SHARES | BRIEF)
  ),
  "curve": Config(hr_maps=(0,), widths=CURVE, **SHARES),
}
