r"""Does a residual network combine LR and HR features of itself?

A question of Shi et al. (2016, arXiv 1609.07009): "What happens when resNet is combined with many
layers of convolutions for tasks which require upsampling, will the network learn to combine LR and
HR features automatically?" Here networks that hold LR and HR maps explicitly are compared with the
network of LR maps alone, with and without an identity around every two hidden layers, at depths of
8 and 16 hidden layers:

- lr: n LR maps.
- half: n / 2 LR maps and n / (2 r^2) HR maps in every state, K = r k from HR to HR maps.
- hr: n / r^2 HR maps in every state, from a transposed convolution on.
- streams: LR and HR maps in two streams that do not read each other, about half of the compute
  each (n = 32, r = 2: 21 LR maps and 6 HR maps). Its MACs differ by up to 2 %, and are declared.

All else costs exactly the same: an identity costs nothing. Residual additions commute with the
shuffle between the grids, so that with K = r (k - 1) + 1 a mixed residual network is a subset of
that of LR maps, which can combine HR maps of itself, if that helps.

Fixed before the run:

- The best mixture is half or streams, whichever is better on validation photographs, chosen for
  every depth, with and without identities.
- "No explicit combination is needed" if residual LR less the best mixture is within 0.05 dB at
  every depth; an explicit combination helps, or hurts, if it is beyond, as the intervals and the
  p-values, adjusted over depths, say; else undecided.
- The estimand of the note's question is the interaction: LR - best mixture of residual networks
  less that of plain ones, averaged over depths. Each depth by itself is a group of its own.
- The verdict: LR against the best mixture, residual, of the deepest.
- The gain of a block's last layer at the start, 0, 0.1 or 1, is the same for all networks: the one
  with the best mean on validation photographs over the residual networks of depth 16, in runs of
  their own (preset "gain").
- A network "trains" if every seed ends 0.5 dB above bicubic interpolation on training patches.
  Those that do not are named.
- Whether channels of trained LR networks form HR maps: `sr_jax/comparison/combining.py` says how
  that is measured, and `combining_verdict.py` beside it what is concluded.
- A member that diverged leaves its seed out; one that did not learn stays in, and is named.

On the sample photographs; then, of the field's sets in the folder SETS, the gain of blocks, all
networks, and those of 32 hidden layers:

  python launch.py --experiment=residual
  python launch.py --experiment=residual --preset=gain --block_gain=0,0.1,1 --manual_dir=SETS
  python launch.py --experiment=residual --preset=confirmatory --manual_dir=SETS
  python launch.py --experiment=residual --preset=deep --manual_dir=SETS
"""

import dataclasses
import functools
import math
from typing import Any, ClassVar

from experiments.when_to_upscale import CONFIRMATORY
from sr_jax.comparison import (
  combining,
  combining_verdict,
  findings,
  recipe,
  residual,
  verdict,
)
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.family import FamilyRecipe, check_blocks, measured_arms
from sr_jax.comparison.own_arms import OwnArmsRecipe, arm_name, is_own
from sr_jax.comparison.residual import CONNECTIONS, NETWORKS, name_of
from sr_jax.config import Execution, InputError, setting
from sr_jax.networks import Maps, Network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.pair import Residual
from sr_jax.runner import compare
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import Choices

TOLERANCE = 0.02  # of the MACs of two streams


@dataclasses.dataclass(frozen=True)
class Config(FamilyRecipe, OwnArmsRecipe):
  """The recipe and the networks."""

  steps: int = 300
  learning_rate: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
  search_steps: int = 100
  networks: tuple[str, ...] = setting(
    NETWORKS,
    "lr: LR maps alone; half: half the channels HR maps; hr: HR maps alone; streams: LR and HR "
    "maps that do not read each other; mypackage.mymodule:MyNetwork: your own",
  )
  connections: tuple[str, ...] = setting(
    CONNECTIONS,
    "plain networks; residual: an identity around every two hidden layers",
    choices=CONNECTIONS,
  )
  depths: tuple[int, ...] = setting((8,), "hidden layers, as 8,16", at_least=2)
  block_gain: float = setting(
    0.0, "variance of a block's last kernel at the start, times its fan-in", at_least=0
  )
  residual_scale: float = setting(1.0, "factor of what a block adds", above=0)
  combining: bool = setting(
    False, "also look for HR maps in the networks of LR maps alone, and train controls for it"
  )

  ENTRIES: ClassVar[str] = "networks"

  def __post_init__(self) -> None:
    """Checks every field and the networks."""
    own = [network for network in self.networks if is_own(network)]
    if own != list(self.networks[len(self.networks) - len(own) :]):
      raise InputError(
        f"--networks={','.join(self.networks)}: give networks of your own last, since they are "
        "compared with the first of the others"
      )
    self.refuse_unknown(NETWORKS)
    super().__post_init__()
    arms(self)
    if self.combining and "lr" not in self.networks:
      raise InputError("--combining looks for HR maps in networks of LR maps: add lr to --networks")
    if len(self.arm_names()) < 2:
      raise InputError(
        "a comparison needs two networks: give more of --networks, --connections or --depths"
      )

  def arms(self) -> tuple[Arm, ...]:
    """The networks, in the execution of the setting; with "auto" not measured yet."""
    return arms(self)

  def arm_names(self) -> tuple[str, ...]:
    """The names of the networks, the user's own last."""
    return (*self.family, *(arm_name(network) for network in self.networks if is_own(network)))

  @property
  def family(self) -> dict[str, tuple[str, int, str]]:
    """The network, the depth and the connections of all but the user's own, by name."""
    return {
      name_of(network, depth, connection): (network, depth, connection)
      for depth in self.depths
      for connection in self.connections
      for network in self.networks
      if not is_own(network)
    }


@functools.lru_cache(maxsize=64)
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks of a run."""
  if "residual" in config.connections:
    for depth in config.depths:
      check_blocks("--depths", depth)
  family = [_arm(*parts, config) for parts in config.family.values()]
  first = family[0].network if family else None
  return config.in_order((*family, *config.own_arms(first)))


def measured(config: Config, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run, those of the family in the faster execution where that is measured."""
  return config.complete(measured_arms(config, choices), choices)


def _arm(network: str, depth: int, connection: str, config: Config) -> Arm:
  blocks = Residual(config.block_gain, config.residual_scale) if connection == "residual" else None
  state = _state(network, depth, config)
  built = config.network((state,) * (depth + 1), residual=blocks, crosses=network != "streams")
  k, hr_k = config.kernel_size, config.scale * config.kernel_size
  parts = [f"{state.lr} LR maps of {k}x{k}"] * bool(state.lr)
  parts += [f"{state.hr} HR maps of {hr_k}x{hr_k}"] * bool(state.hr)
  note = f"{' and '.join(parts)}{', in two streams' * (network == 'streams')}, depth {depth}"
  if network == "streams":
    note += f", {_share_of_lr(state, config.scale**2):.0%} of the MACs in that of LR maps"
  note += ", residual" * (connection == "residual")
  tolerance = TOLERANCE if network == "streams" else 0.0
  return Arm(
    name_of(network, depth, connection), built, budget(_lr(config, depth)).macs, tolerance, note
  )


def _lr(config: Config, depth: int) -> Network:
  return config.network((config.state(0),) * (depth + 1))


def _state(network: str, depth: int, config: Config) -> Maps:
  """The maps of every state.

  Raises:
    InputError: there is no half of the HR maps.
  """
  if network == "streams":
    return _streams(depth, config)
  maps = {"lr": 0, "half": config.max_hr_maps // 2, "hr": config.max_hr_maps}[network]
  if network == "half" and config.max_hr_maps % 2:
    raise InputError(
      f"--features={config.features}: half of the maps cannot be HR maps at --scale={config.scale}:"
      f" use a multiple of {2 * config.scale**2}, or leave half out of --networks"
    )
  return config.state(maps)


def _streams(depth: int, config: Config) -> Maps:
  """The LR and HR maps of two streams that cost together what LR does, as nearly as they can.

  With l^2 + (r^2 h)^2 = n^2 their hidden layers do; half of that is of LR maps. The first and last
  layers cost a little more, so that the candidates around are counted.
  """
  n, phases = config.features, config.scale**2
  target = budget(_lr(config, depth)).macs

  def deviation(state: Maps) -> Any:
    states = (state,) * (depth + 1)
    return abs(budget(config.network(states, crosses=False)).macs - target)

  half = n / math.sqrt(2) / phases
  pairs = [(maps, math.sqrt(max(0, n**2 - (phases * maps) ** 2))) for maps in _around(half)]
  state = min((Maps(lr, maps) for maps, exact in pairs for lr in _around(exact)), key=deviation)
  if deviation(state) > TOLERANCE * target or not 1 / 3 <= _share_of_lr(state, phases) <= 2 / 3:
    raise InputError(
      f"--features={n} cannot be split into two streams that cost what LR does, about half each, "
      f"at --scale={config.scale} and {depth} hidden layers: the nearest are {state.lr} LR maps "
      f"and {state.hr} HR maps; use more features, or leave streams out of --networks"
    )
  return state


def _share_of_lr(state: Maps, phases: int) -> float:
  """The share of LR maps in the MACs of two streams, k LR taps or r k HR taps each."""
  return state.lr**2 / (state.lr**2 + (phases * state.hr) ** 2)


def _around(number: float) -> tuple[int, int]:
  """The whole numbers below and above, at least 1."""
  return max(1, math.floor(number)), max(1, math.ceil(number))


def comparison(config: Config) -> Comparison:
  """What a run decides: LR against the best mixture, or else its first two networks."""
  first, second, *_ = config.arm_names()
  primary = Contrast(first, second, "the first two networks")
  if "lr" in config.networks and residual.mixtures_of(config.networks):
    depth, connection = max(config.depths), max(config.connections, key=CONNECTIONS.index)
    best = residual.best_mixture(config.networks, depth, connection)
    lr = name_of("lr", depth, connection)
    primary = Contrast(lr, best, "LR maps alone against the best explicit mixture")
  planned = residual.combinations(config.networks, config.connections, config.depths)
  return Comparison(primary, combinations=tuple(planned))


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  results = read_json(run_dir.results)
  needed = {"explicit combination": findings.mixture_finding(results)}
  return {**verdict.headline(results), **needed, **combining_verdict.headline(results)}


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Compares the networks, and looks for HR maps if asked for; returns the seconds of phases."""
  plan = functools.partial(measured, config)
  names = [name_of("lr", depth, c) for depth in config.depths for c in config.connections]
  measure = functools.partial(combining.measure, names) if config.combining else None
  return compare("residual", plan, comparison(config), config, execution, run_dir, measure)


# A state of both kinds of maps is faster as one LR convolution, and HR maps are here.
SETS: dict[str, Any] = CONFIRMATORY | {
  "hr_execution": "lr_space",
  "learning_rate": (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
  "search_seeds": 1,
  "search_steps": 200,
}
BRIEF = {"learning_rate": (2e-3, 4e-3, 8e-3), "search_steps": 150, "steps": 150, "seeds": 3}
# Whether they train is seen early; steps are long.
DEEP = {"learning_rate": (1e-3, 2e-3, 4e-3, 8e-3), "search_steps": 60, "steps": 300, "seeds": 4}
PRESETS = {
  "confirmatory": Config(depths=(8, 16), combining=True, **(SETS | {"steps": 1500})),
  "deep": Config(depths=(32,), **(SETS | DEEP | {"test_data": ("Set14",)})),
  # What --block_gain=0,0.1,1 is added to.
  "gain": Config(
    connections=("residual",), depths=(16,), **(SETS | BRIEF | {"test_data": ("Set5",)})
  ),
}
