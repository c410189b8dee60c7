"""The arms of the note's comparison: its pair, its controls, and HR networks of equal cost."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

from sr_jax.comparison.executions import by_rule, by_time, hr_execution_setting
from sr_jax.comparison.family import check_blocks
from sr_jax.comparison.own_arms import is_own
from sr_jax.comparison.tuning import TunedRecipe
from sr_jax.config import InputError, setting
from sr_jax.networks import AnyNetwork, Network, hr_network, lr_network
from sr_jax.networks.budget import Arm, budget, note_pair
from sr_jax.networks.network import EXECUTIONS
from sr_jax.networks.pair import UPSAMPLINGS, Residual
from sr_jax.training.choices import WIDTHS, Choices

TIMED = ("lr_timed", "hr_timed")
# The note's pair costs exactly the same. Other HR shapes match in every hidden layer; their first
# and last layers differ a little.
TOLERANCE = 0.022
DEEP_TOLERANCE = 0.024  # at other depths no whole number of maps need match more closely

ARMS = {
  "lr": "the LR network",
  "hr": "the HR network of the note",
  "hr_learned": "with learned upsampling",
  "hr_kK": "HR with kernels K at these MACs, as hr_k3",
  "hr_kK_learned": "likewise, upsampling learned",
  "hr_dD_kK": "HR of depth D with kernels K, as hr_d7_k3: as many maps as fit these MACs",
  "lr_tied": "LR with one kernel for all phases: an HR network of smaller kernels",
  "hr_untied": "HR, learned upsampling, with a kernel for each phase",
  "lr_deeper": "one hidden layer more",
  "hr_deeper": "one hidden layer more, at an even number of even kernels",
  "lr_narrow": "LR with the parameters of hr",
  "hr_wide": "HR with the parameters of lr",
  "lr_far": "LR with a first kernel of 9x9, for the receptive field of hr",
  "lr_timed": "the widest LR that takes no longer than hr",
  "hr_timed": "the widest HR that takes no longer than lr",
}


@dataclasses.dataclass(frozen=True)
class NoteRecipe(TunedRecipe):
  """The recipe and the networks."""

  arms: tuple[str, ...] = setting(
    ("lr", "hr"),
    "networks to compare, as lr,hr: "
    + "; ".join(f"{k}, {v}" for k, v in ARMS.items())
    + "; mypackage.mymodule:MyNetwork, your own, a Flax Linen or NNX module",
  )
  features: int = setting(32, "maps of the LR network, n", at_least=1)
  depth: int = setting(4, "hidden layers of both networks", at_least=0)
  kernel_size: int = setting(3, "hidden kernel of the LR network, k", choices=(1, 3, 5, 7))
  hr_features: int = setting(
    0, "maps of the HR network, n_H, with kernel k n / (r n_H); 0: the note's n / r^2", at_least=0
  )
  upsampling: str = setting("bicubic", "what the HR network begins with", choices=UPSAMPLINGS)
  hr_execution: str = hr_execution_setting("HR networks")
  activation: str = setting("relu", "of all networks", choices=("relu", "tanh"))
  bicubic_skip: bool = setting(True, "all networks predict what bicubic interpolation misses")
  residual: bool = setting(False, "an identity around every two hidden layers of all networks")

  def __post_init__(self) -> None:
    super().__post_init__()
    if len(self.arms) < 2:
      raise InputError(f"--arms={self.arms[0]}: a comparison needs two arms, as lr,hr")
    arms(self)

  def choices(self) -> dict[str, tuple[str, ...]]:
    """The form of each population's convolutions, executions of HR networks, widths in time."""
    executions = [arm.name for arm in arms(self) if arm.network.has_two_executions]
    timed = [name for name in TIMED if name in self.arms]
    names = dict.fromkeys([*executions, *(["hr"] if timed else [])])
    return {
      **super().choices(),
      **(dict.fromkeys(names, EXECUTIONS) if self.hr_execution == "auto" else {}),
      **dict.fromkeys(timed, WIDTHS),
    }


@functools.lru_cache(maxsize=64)
def arms(config: NoteRecipe) -> tuple[Arm, ...]:
  """The networks of a run but for those whose width is measured; HR ones as `_hr` executes them."""
  known = _known_arms(config)
  of_the_note = [
    known.get(name) or _arm_of_kernel(name, config)
    for name in config.arms
    if name not in TIMED and not is_own(name)
  ]
  first = next((arm.network for arm in of_the_note if arm.name == config.arms[0]), None)
  return config.in_order((*of_the_note, *config.own_arms(first)))


def measured_arms(config: NoteRecipe, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run: HR ones in the faster execution, timed ones in their width."""
  executed = [
    dataclasses.replace(arm, network=_faster(arm.name, arm.network, config, choices))
    for arm in config.in_order((*arms(config), *_equal_time_arms(config, choices)))
  ]
  return config.complete(executed, choices)


def _faster(arm: str, network: AnyNetwork, config: NoteRecipe, choices: Choices) -> AnyNetwork:
  """An arm's network in its faster execution, in which the width of `hr_timed` is measured, too."""
  return by_time("hr" if arm == "hr_timed" else arm, network, config.hr_execution, choices)


def _equal_time_arms(config: NoteRecipe, choices: Choices) -> list[Arm]:
  """The arms whose width is the largest that takes no longer than the other network of the pair."""
  if not {*TIMED} & {*config.arms}:
    return []
  lr, (maps, size) = _lr(config), _hr_shape(config)
  executed: Any = _faster("hr", _hr(config, maps, size), config, choices)
  step = max(1, config.features // 8)
  candidates: dict[str, tuple[Network, Mapping[int, Network]]] = {
    "lr_timed": (
      executed,
      {n: _lr(config, features=n) for n in range(step, 2 * config.features + 1, step)},
    ),
    "hr_timed": (
      lr,
      {n: _hr(config, n, size).clone(execution=executed.execution) for n in range(1, 2 * maps + 1)},
    ),
  }
  timed = {name: pair for name, pair in candidates.items() if name in config.arms}
  return [_arm(name, pair[1][choices.max_width(name, *pair)]) for name, pair in timed.items()]


def _arm(name: str, network: Network, target: Network | None = None, tolerance: float = 0.0) -> Arm:
  """An arm that is to cost what a target costs, if it has one."""
  return Arm(name, network, budget(target).macs if target else None, tolerance, _note(network))


def _known_arms(config: NoteRecipe) -> dict[str, Arm]:
  """The arms by name; those that are to match the MACs of LR declare them."""
  if config.residual:
    check_blocks("--depth", config.depth)
  lr, (maps, size) = _lr(config), _hr_shape(config)
  n, k, r = config.features, config.kernel_size, config.scale
  hr = _hr(config, maps, size)
  learned = {"upsampling": "transposed_conv"}
  tied = r * (k - 1) + 1  # the largest HR kernel that lifts to k LR pixels

  networks: dict[str, tuple[Network, Network | None]] = {  # and whose cost they are to match
    "lr": (lr, lr),
    "hr": (hr, lr),
    "hr_learned": (_hr(config, maps, size, **learned), lr),
    "hr_untied": (_hr(config, maps, size, **learned, untied=True), lr),
    "lr_tied": (_hr(config, maps, tied, **learned), None),
    "lr_narrow": (_lr(config, features=max(1, n // r)), None),
    "hr_wide": (_hr(config, maps * r, size), None),
    "lr_far": (_lr(config, first_kernel_size=9), None),
  }
  if not config.residual:  # a block more would be two layers
    more = {"depth": config.depth + 1}
    deeper = _lr(config, **more)
    networks |= {
      "lr_deeper": (deeper, None),
      "hr_deeper": (_hr(config, maps, size, **more), deeper),
    }
  tolerance = TOLERANCE if config.hr_features else 0.0
  return {name: _arm(name, *pair, tolerance) for name, pair in networks.items()}


def _arm_of_kernel(name: str, config: NoteRecipe) -> Arm:
  """The arm "hr_kK", as many maps with kernels K x K as cost what LR costs, or "hr_dD_kK"."""
  if config.residual and name.endswith("_deeper"):
    raise InputError(f"--arms={name} is one hidden layer deeper, which --residual cannot be")
  parts = re.fullmatch(r"hr_(?:d([1-9]\d*)_)?k([1-9]\d*)(_learned)?", name)
  if parts is None:
    raise InputError(f"--arms={name} is not known; choose from {', '.join(ARMS)}")
  depth, size, learned = parts.groups()
  fields = {"upsampling": "transposed_conv"} if learned else {}
  if depth:
    return _arm_of_depth(name, int(depth), int(size), config, fields)
  size = int(size)
  maps, rest = divmod(config.kernel_size * config.features, config.scale * size)
  if rest or not maps:
    raise InputError(
      f"--arms={name}: no whole number of maps makes kernels of {size}x{size} cost what the LR "
      f"network costs: kernel_size x features / scale = "
      f"{config.kernel_size * config.features / config.scale:g} must be a multiple of K"
    )
  return _arm(name, _hr(config, maps, size, **fields), _lr(config), TOLERANCE)


def _arm_of_depth(
  name: str, depth: int, size: int, config: NoteRecipe, fields: dict[str, str]
) -> Arm:
  """The arm "hr_dD_kK": as many maps as cost, in whole networks, about what LR costs."""
  target = budget(_lr(config)).macs
  widths = range(1, config.kernel_size * config.features + 1)
  networks = [_hr(config, maps, size, **{**fields, "depth": depth}) for maps in widths]
  closest = min(networks, key=lambda network: abs(budget(network).macs - target))
  return _arm(name, closest, _lr(config), DEEP_TOLERANCE)


def _lr(config: NoteRecipe, **fields: Any) -> Network:
  """The LR network, with other fields than the run's."""
  sizes = {"features": config.features, "kernel_size": config.kernel_size}
  return lr_network(**{**sizes, **_common(config), **fields})


def _hr(config: NoteRecipe, maps: int, kernel_size: int, **fields: Any) -> Network:
  """An HR network; computed in LR space where that is asked for or, by rule, pays.

  With "auto" it is in HR space until the faster execution is known.
  """
  sizes = {"features": maps, "kernel_size": kernel_size, "upsampling": config.upsampling}
  network = hr_network(**{**sizes, **_common(config), **fields}, execution="lr_space")
  return by_rule(network, config.hr_execution)


def _common(config: NoteRecipe) -> dict[str, Any]:
  return {
    "scale": config.scale,
    "depth": config.depth,
    "activation": config.activation,
    "bicubic_skip": config.bicubic_skip,
    "residual": Residual() if config.residual else None,
  }


def _note(network: Network) -> str:
  """What an arm is, in words."""
  first, last, depth = network.layers[0], network.layers[-1], len(network.layers) - 2
  blocks = ", residual" * any(layer.adds for layer in network.layers)
  if last.inputs.lr:
    shape = f"{last.inputs.lr} maps of {last.kernel_size}x{last.kernel_size}"
    return (
      f"{shape} in LR space{', the first 9x9' * (first.kernel_size == 9)}, depth {depth}{blocks}"
    )
  shape = f"{last.inputs.hr} maps of {last.hr_kernel_size}x{last.hr_kernel_size}"
  front = "bicubic first" if network.bicubic_first else "learned upsampling"
  return f"{shape} in HR space{', phases untied' * (not last.tied)}, {front}, depth {depth}{blocks}"


def _hr_shape(config: NoteRecipe) -> tuple[int, int]:
  """Maps and kernel size of the HR network."""
  n, k, r, maps = config.features, config.kernel_size, config.scale, config.hr_features
  if not maps:
    return note_pair(r, n, k, config.depth, TOLERANCE)
  kernel_size, rest = divmod(k * n, r * maps)
  if rest or not kernel_size:
    raise InputError(
      f"--hr_features={maps} matches no whole kernel size: kernel_size x features / scale = "
      f"{k * n / r:g} must be a multiple of it"
    )
  return maps, kernel_size
