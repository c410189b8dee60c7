r"""When should a network upscale its maps: early, late, in the middle, or never?

A question of Shi et al. (2016, arXiv 1609.07009): "can the network learn when to upscale and what
percentage of feature maps to upscale from using only convolutions?" The n channels of every state
between two layers are LR maps, or HR maps of r^2 channels each. With kernels k, and K = r k from HR
to HR maps, every schedule of states costs exactly the same MACs and activations. HR maps lose
weights only where two neighbouring states hold them, since only a kernel from HR to HR maps is
shared by the phases; in the last layer the phases are free in every network. So blocks of HR states
that begin early, in the middle or late agree in weights, biases and cost, and differ in nothing but
when.

Fixed before the run:

- The verdict: the late block less the early one, 0-0-8-8-8 - 8-8-8-0-0.
- All three blocks with one another; each, and HR maps throughout, against LR.
- In the lattice of all schedules of 0 or 8 HR maps, or in its half with an odd number of HR states
  (resolution V): the effect of each of five positions, and of each pair of neighbours.
- What the number of weights alone predicts is subtracted where weights differ: a line in
  log2(parameters) through LR networks of several widths, fitted in the same run, so that its error
  is in every interval.
- Controls: 8-0-0-0-0 and 0-8-0-8-0 have no neighbouring HR states, so they are LR networks but for
  tied biases, and have to come out equivalent to LR.
- A member that diverged leaves its seed out; one that did not learn stays in, and is named.

By default a reduced lattice, the blocks alone, on the sample photographs:

  python launch.py --experiment=when_to_upscale

Of the field's sets in the folder SETS: the half lattice with controls and widths; the same with
K = 5, whose networks are linear subspaces of the LR network; the blocks on little data:

  python launch.py --experiment=when_to_upscale --preset=confirmatory --manual_dir=SETS
  python launch.py --experiment=when_to_upscale --preset=nested --manual_dir=SETS
  python launch.py --experiment=when_to_upscale --preset=little_data --data_fraction=0.25,0.05 \
    --manual_dir=SETS

Can a network learn it? With --learn, gates between free and tied kernels are trained too
(`sr_jax/comparison/learner.py`), and judged by the schedules that they choose, each of which is
trained anew, like all others: K = 5, and of HR states only neighbours tie weights, so that twelve
schedules of five states are all that differ. `sr_jax/comparison/learning.py` has the rule.

  python launch.py --experiment=when_to_upscale --preset=learn --manual_dir=SETS
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from sr_jax.comparison import findings, learning, recipe, schedules, verdict
from sr_jax.comparison.combinations import Combination, WeightCurve, Weights, difference
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.family import ScheduleRecipe, measured_arms, weight_curve
from sr_jax.comparison.schedules import Schedule, name_of
from sr_jax.config import Execution, InputError, setting
from sr_jax.networks.budget import Arm
from sr_jax.runner import Measure, compare
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder

SETS: dict[str, Callable[[int, int], list[Schedule]]] = {  # of positions and HR maps
  "blocks": lambda positions, maps: [*schedules.blocks(positions, maps).values()],
  "half": schedules.half,
  "all": schedules.lattice,
  "controls": schedules.controls,
  "families": schedules.families,
}
WIDTHS = "widths"
EIGHTHS = (4, 5, 6, 7)  # of n: the widths of narrower LR networks
STATES = r"(0|[1-9]\d*)(-(0|[1-9]\d*))*"


@dataclasses.dataclass(frozen=True)
class Config(ScheduleRecipe):
  """The recipe and the schedules."""

  learning_rate: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
  search_steps: int = 300
  schedules: tuple[str, ...] = setting(
    ("blocks",),
    "HR maps of every state, as 8-8-8-0-0; or blocks: none, early, middle, late, all; half: those "
    "with an odd number of HR states; all; controls: no neighbouring HR states; families: those "
    "whose weights differ; widths: narrower LR networks",
  )
  hr_kernel_size: int = setting(
    0, "kernel from HR to HR maps in HR pixels, K; 0: scale x kernel_size", at_least=0
  )

  def __post_init__(self) -> None:
    """Checks every field and the schedules."""
    super().__post_init__()
    if len(known := schedules_of(self)) < 2:
      names = ", ".join(map(name_of, known)) or "none"
      raise InputError(
        f"--schedules={','.join(self.schedules)}: a comparison needs two schedules, and has {names}"
      )
    if self.learn:
      self.check_gates(self.hr_kernel_size or self.scale * self.kernel_size)
      missing = {*schedules.families(self.positions, self.max_hr_maps)} - {*known}
      if missing:
        raise InputError(
          f"--learn needs all schedules that gates can choose: add families to --schedules="
          f"{','.join(self.schedules)}"
        )

  def arms(self) -> tuple[Arm, ...]:
    """The networks, in the execution of the setting; with "auto" not measured yet."""
    return arms(self)

  @property
  def positions(self) -> int:
    """States between the layers."""
    return self.depth + 1


def schedules_of(config: Config) -> list[Schedule]:
  """The schedules of a run, each once."""
  chosen: dict[Schedule, None] = {}
  for entry in config.schedules:
    if entry in SETS:
      chosen |= dict.fromkeys(SETS[entry](config.positions, config.max_hr_maps))
    elif entry != WIDTHS:
      chosen[_read(entry, config)] = None
  return list(chosen)


def _read(entry: str, config: Config) -> Schedule:
  """The schedule of an entry of `--schedules`."""
  flag, example = f"--schedules={entry}", name_of(_blocks(config)["early"])
  if not re.fullmatch(STATES, entry):
    raise InputError(
      f"{flag} is neither the number of HR maps of every state, as {example}, nor one of "
      f"{', '.join([*SETS, WIDTHS])}"
    )
  schedule = tuple(map(int, entry.split("-")))
  if len(schedule) != config.positions:
    raise InputError(
      f"{flag} has {len(schedule)} states, and there are depth + 1 = {config.positions} of them: "
      f"as {example}"
    )
  config.check_hr_maps(flag, max(schedule))
  return schedule


@functools.lru_cache(maxsize=64)
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks of a run: the schedules, and LR networks of fewer maps."""
  size = config.hr_kernel_size or config.scale * config.kernel_size
  chosen = [config.schedule_arm(name_of(each), each, size) for each in schedules_of(config)]
  widths = [config.features * part // 8 for part in EIGHTHS] if WIDTHS in config.schedules else []
  return (*chosen, *(config.width_arm(width) for width in dict.fromkeys(widths) if width))


def comparison(config: Config) -> Comparison:
  """What a run decides; without the early and the late block, its first two schedules do."""
  names = [name_of(each) for each in schedules_of(config)]
  blocks = _present_blocks(config)
  primary = Contrast(names[0], names[1], "the first two schedules")
  if {"early", "late"} <= blocks.keys():
    question = "HR maps in the last states instead of the first"
    primary = Contrast(blocks["late"], blocks["early"], question)
  lr = name_of((0,) * config.positions)
  curve = weight_curve(config, lr)
  planned = [*_between_blocks(blocks), *_of_positions(config, curve)]
  if lr in names:
    planned += [*_against_lr(lr, blocks, curve), *_of_controls(lr, names, config)]
  if curve is not None:
    planned.append(findings.of_curve(curve))
  return Comparison(primary, combinations=tuple(planned))


def _blocks(config: Config) -> dict[str, Schedule]:
  return schedules.blocks(config.positions, config.max_hr_maps)


def _present_blocks(config: Config) -> dict[str, str]:
  """The names of the schedules of the blocks that a run has."""
  names = {name_of(each) for each in schedules_of(config)}
  blocks = {block: name_of(schedule) for block, schedule in _blocks(config).items()}
  return {block: name for block, name in blocks.items() if name in names}


def _less_weights(
  group: str, name: str, question: str, weights: Weights, curve: WeightCurve | None
) -> Combination:
  """An effect less what the number of weights predicts, if the run has the curve of it."""
  less = weights if curve is None else curve.less_predicted(weights)
  return Combination(group, name, question, less, curve is not None)


def _between_blocks(blocks: dict[str, str]) -> list[Combination]:
  return [
    Combination(
      findings.BLOCKS,
      f"{first} - {second}",
      f"the {first} block instead of the {second} one",
      difference(blocks[first], blocks[second]),
    )
    for first, second in (("late", "early"), ("middle", "early"), ("late", "middle"))
    if {first, second} <= blocks.keys()
  ]


def _of_positions(config: Config, curve: WeightCurve | None) -> list[Combination]:
  """The effect of every position, and of every pair of neighbours, if a lattice shows them."""
  names = {name_of(each) for each in schedules_of(config)}
  design = schedules.design(names, config.positions, config.max_hr_maps)
  if not design:
    return []
  alone = {f"state {i + 1}": (i,) for i in range(config.positions)}
  pairs = {f"states {i + 1} x {i + 2}": (i, i + 1) for i in range(config.positions - 1)}
  questions = {
    **dict.fromkeys(alone, "HR maps instead of LR maps there, averaged over the other states"),
    **dict.fromkeys(pairs, "both HR or both LR instead of one of each, averaged over the others"),
  }
  return [
    _less_weights(
      findings.POSITIONS, name, questions[name], schedules.effect_of(factor, design), curve
    )
    for name, factor in (alone | pairs).items()
  ]


def _against_lr(lr: str, blocks: dict[str, str], curve: WeightCurve | None) -> list[Combination]:
  return [
    _less_weights(
      findings.AGAINST_LR,
      f"{block} - LR",
      f"HR maps in {'all' if block == 'all' else f'the {block}'} states instead of none",
      difference(name, lr),
      curve,
    )
    for block, name in blocks.items()
    if name != lr
  ]


def _of_controls(lr: str, names: list[str], config: Config) -> list[Combination]:
  controls = map(name_of, schedules.controls(config.positions, config.max_hr_maps))
  return [
    Combination(
      findings.CONTROLS, f"{name} - LR", "biases tied, and nothing else", difference(name, lr)
    )
    for name in controls
    if name in names
  ]


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  results = read_json(run_dir.results)
  return {**verdict.headline(results), **learning.headline(results)}


def choices(config: Config) -> learning.Choices:
  """What gates can choose: the schedules whose weights differ."""
  shape = config.positions, config.max_hr_maps
  random = [name_of(schedules.reduced(each)) for each in schedules.lattice(*shape)]
  return learning.Choices("when", schedules.neighbours(*shape), random)


def learn(config: Config, *run_so_far: Any) -> dict[str, Any]:
  """Trains networks with a gate for every state, and names the schedules that these choose."""

  def choose(gates: Sequence[float]) -> str:
    chosen = tuple(config.max_hr_maps if gate > learning.THRESHOLD else 0 for gate in gates)
    return name_of(schedules.reduced(chosen))

  always = name_of((config.max_hr_maps,) * config.positions)
  return learning.record(choices(config), "states", choose, always, *run_so_far)


def run(
  experiment: str,
  decides: Comparison,
  learn: Measure,
  config: ScheduleRecipe,
  execution: Execution,
  run_dir: RunFolder,
) -> dict[str, float]:
  """Compares networks of the family, and what gates learn if asked for; returns its phases."""
  if config.learn:
    learning.check_one_process()
  plan, measure = functools.partial(measured_arms, config), learn if config.learn else None
  return compare(experiment, plan, decides, config, execution, run_dir, measure)


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Compares the schedules; returns the seconds of each phase."""
  measure = functools.partial(learn, config)
  return run("when_to_upscale", comparison(config), measure, config, execution, run_dir)


# Of both confirmatory runs: when_to_upscale and what_share.
CONFIRMATORY: dict[str, Any] = {
  "hr_execution": "hr_space",
  "data": "tfds:T91",
  "distinct": True,
  "validation_data": "BSD200",
  "validation_images": 12,
  "test_data": ("BSD100", "Set14"),
  "steps": 1000,
  "seeds": 6,
  "learning_rate": (2e-3, 4e-3, 8e-3, 1.6e-2),
  "search_steps": 300,
  "search_seeds": 3,
}
LATTICE = ("half", "0-0-0-0-0", "controls", WIDTHS)
NESTED = {"hr_kernel_size": 5, "hr_execution": "lr_space", "seeds": 3}
# Networks with gates come on top, so that trainings are shorter.
BRIEF = {"seeds": 6, "steps": 500, "search_steps": 150, "test_data": ("BSD100",)}
PRESETS = {
  "confirmatory": Config(schedules=LATTICE, **CONFIRMATORY),
  "nested": Config(schedules=LATTICE, **(CONFIRMATORY | NESTED)),
  "learn": Config(schedules=("families",), learn=True, **(CONFIRMATORY | NESTED | BRIEF)),
  "little_data": Config(schedules=("blocks",), **CONFIRMATORY),
}
