"""Comparisons of networks that differ in how many HR maps the states between their layers hold."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from sr_jax.comparison.combinations import WeightCurve
from sr_jax.comparison.executions import by_rule, hr_execution_setting, in_faster_execution
from sr_jax.comparison.recipe import Recipe
from sr_jax.config import InputError, setting
from sr_jax.networks import Maps, Network, lr_network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.network import EXECUTIONS
from sr_jax.networks.pair import Residual, lifted, scheduled_network
from sr_jax.training.choices import MEASURE, Choices

MIN_SEEDS = 3  # of gates, of which all but one have to agree


@dataclasses.dataclass(frozen=True)
class FamilyRecipe(Recipe):
  """The recipe, and the shape that all networks share but for their depth."""

  features: int = setting(
    32,
    "channels of every state in LR space, n: its LR maps and scale^2 times its HR maps",
    at_least=1,
  )
  kernel_size: int = setting(3, "hidden kernel in LR pixels, k", choices=(1, 3, 5, 7))
  hr_execution: str = hr_execution_setting("networks with HR maps")
  activation: str = setting("relu", "of all networks", choices=("relu", "tanh"))
  bicubic_skip: bool = setting(True, "all networks predict what bicubic interpolation misses")

  @property
  def max_hr_maps(self) -> int:
    """HR maps that fill a state, n / r^2.

    Raises:
      InputError: r^2 does not divide n.
    """
    phases = self.scale**2
    maps, rest = divmod(self.features, phases)
    if rest or not maps:
      multiples = [self.features - rest + phases * i for i in (0, 1)]
      raise InputError(
        f"--features={self.features} cannot be divided into features / scale^2 HR maps at "
        f"--scale={self.scale}: use --features={' or '.join(str(n) for n in multiples if n > 0)}"
      )
    return maps

  def arms(self) -> tuple[Arm, ...]:
    """The networks, in the execution of the setting; with "auto" not measured yet."""
    return ()

  def arm_names(self) -> tuple[str, ...]:
    """The names of the networks."""
    return tuple(arm.name for arm in self.arms())

  def choices(self) -> dict[str, tuple[str, ...]]:
    """The form of each population's convolutions, and the execution of networks with HR maps."""
    names = [arm.name for arm in self.arms() if arm.network.has_two_executions]
    return {
      **super().choices(),
      **(dict.fromkeys(names, EXECUTIONS) if self.hr_execution == MEASURE else {}),
    }

  def check_hr_maps(self, flag: str, maps: int) -> None:
    """Raises an InputError if a state has no room for this many HR maps."""
    if maps > self.max_hr_maps:
      raise InputError(
        f"{flag}: {maps} HR maps do not fit into a state; at most features / scale^2 = "
        f"{self.max_hr_maps} do"
      )

  def network(self, states: Sequence[Maps], hr_kernel_size: int = 0, **fields: Any) -> Network:
    """The network of these states, in the execution of the setting.

    Its last layer writes the phases of the HR image as LR maps, each with its own kernel, so that
    networks differ in nothing but their states. Further `fields` are of `scheduled_network`.
    """
    network = scheduled_network(
      scale=self.scale,
      states=states,
      kernel_size=self.kernel_size,
      hr_kernel_size=hr_kernel_size,
      activation=self.activation,
      bicubic_skip=self.bicubic_skip,
      **fields,
    )
    return by_rule(network, self.hr_execution)

  def state(self, hr_maps: int) -> Maps:
    """The state of n channels with this many HR maps; the rest is LR maps."""
    return Maps(self.features - self.scale**2 * hr_maps, hr_maps)


@dataclasses.dataclass(frozen=True)
class ScheduleRecipe(FamilyRecipe):
  """The recipe of networks of one depth, which differ in the HR maps of their states."""

  depth: int = setting(4, "hidden layers; there are depth + 1 states", at_least=2)
  learn: bool = setting(
    False, "also train networks with gates, which learn to choose among those that are compared"
  )
  residual: bool = setting(False, "an identity around every two hidden layers of all networks")

  def check_gates(self, hr_kernel_size: int) -> None:
    """Raises an InputError where gates from LR to this HR kernel cannot be trained or judged."""
    lr, always = self._lr(self.features), (self.max_hr_maps,) * (self.depth + 1)

    def lifts(size: int) -> bool:
      network: Any = self.schedule_arm("", always, size).network  # of the family
      return lifted(network).layers == lr.layers

    if not lifts(hr_kernel_size):
      sizes = [str(size) for size in range(1, self.scale * self.kernel_size) if lifts(size)]
      raise InputError(
        f"--learn needs HR kernels that lift to --kernel_size={self.kernel_size}: --hr_kernel_size="
        f"{' or '.join(sizes)}, not {hr_kernel_size}"
      )
    if self.seeds < MIN_SEEDS:
      raise InputError(f"--learn needs --seeds={MIN_SEEDS} at least, to see whether they agree")
    if len(self.learning_rate) < 2:
      raise InputError(
        "--learn needs two rates at least in --learning_rate: a greedy search goes by the brief "
        "trainings of the search for a rate"
      )

  def schedule_arm(self, name: str, schedule: Sequence[int], hr_kernel_size: int) -> Arm:
    """The network with these HR maps in its states; the rest of each state is LR maps.

    With HR kernels of r k it has to cost exactly what LR costs.

    Raises:
      InputError: residual blocks would add states of different maps.
    """
    n, r, k = self.features, self.scale, self.kernel_size
    if self.residual and len(set(schedule[::2])) > 1:
      raise InputError(
        f"--residual adds states two layers apart, which have to hold the same maps: "
        f"{'-'.join(map(str, schedule))} HR maps do not; give schedules that do, as 8-0-8-0-8"
      )
    states = [self.state(maps) for maps in schedule]
    network = self.network(states, hr_kernel_size, residual=self._blocks)
    is_equal = hr_kernel_size == r * k
    note = f"{', '.join(map(str, schedule))} HR maps, the rest of {n} channels LR maps of {k}x{k}"
    if any(a and b for a, b in itertools.pairwise(schedule)):
      note += f", from HR to HR {hr_kernel_size}x{hr_kernel_size}"
    macs = budget(self._lr(n)).macs if is_equal or not any(schedule) else None
    return Arm(name, network, macs, 0.0, note)

  def width_arm(self, features: int) -> Arm:
    """The LR network of this many maps, which costs less."""
    note = f"{features} maps of {self.kernel_size}x{self.kernel_size} in LR space"
    return Arm(f"lr_n{features}", self._lr(features), None, 0.0, note)

  def _lr(self, features: int) -> Network:
    return lr_network(
      scale=self.scale,
      features=features,
      depth=self.depth,
      kernel_size=self.kernel_size,
      activation=self.activation,
      bicubic_skip=self.bicubic_skip,
      residual=self._blocks,
    )

  @property
  def _blocks(self) -> Residual | None:
    """Residual blocks, where they are asked for.

    Raises:
      InputError: hidden layers are no whole number of blocks.
    """
    if self.residual:
      check_blocks("--depth", self.depth)
    return Residual() if self.residual else None


def check_blocks(flag: str, depth: int) -> None:
  """Raises an InputError if hidden layers are no whole number of residual blocks."""
  if depth % 2 or not depth:
    raise InputError(
      f"{flag}={depth} hidden layers cannot be residual blocks of two: use 2, 4, 6, ..."
    )


def measured_arms(config: FamilyRecipe, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run, each in the faster execution where that is measured."""
  return in_faster_execution(config.arms(), config.hr_execution, choices)


def weight_curve(config: ScheduleRecipe, lr: str) -> WeightCurve | None:
  """PSNR against the parameters of LR and its narrower networks; None if there are none of these.

  `lr` is the name of the LR network, which need not be in the run.
  """
  parameters = {arm.name: arm.budget.parameters for arm in config.arms()}
  widths = [name for name in parameters if name.startswith("lr_n")]
  names = [*widths, *([lr] if lr in parameters else [])]
  return WeightCurve(parameters, tuple(names)) if widths and len(names) > 1 else None
