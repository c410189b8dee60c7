"""At equal compute, does a network in LR space represent more than one that upsamples first?

The claim of Shi et al. (2016, arXiv 1609.07009, Section 3): with n = 32 maps of 3x3 in LR space
against n / r^2 = 8 maps of 6x6 in HR space, both networks cost the same, and the LR network has
r^2 times the parameters and "thus more representation power".

The test: all networks get the same photographs, batches, steps, seeds and learning rates to
choose from. The verdict is the mean over test photographs of the paired PSNR difference LR - HR,
with an interval over seeds and photographs; the fit of training patches is compared likewise.

  python launch.py --experiment=matched_flops

The same question asked with controls, of the field's sets in the folder SETS: the other HR shapes
at these MACs, LR with its phases tied, HR with its phases untied, and matches in parameters, in
receptive field and in time:

  python launch.py --experiment=matched_flops --preset=confirmatory --manual_dir=SETS

Asked with recipes that every arm chooses for itself, the search being a part of the intervals
(`sr_jax.comparison.tuning`). LR far contains LR and is the positive control: by a rule fixed before
the run, it speaks of representation only if the interval of LR far - LR lies above -0.05 dB:

  python launch.py --experiment=matched_flops --preset=recipes --manual_dir=SETS

Asked of tanh networks, which the usual recipe leaves on the plateau of a linear filter. By a rule
fixed before the run, its verdict counts only if every member of every arm leaves that:

  python launch.py --experiment=matched_flops --preset=tanh --manual_dir=SETS
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

from sr_jax.comparison import escape, verdict
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.executions import by_rule, by_time, hr_execution_setting
from sr_jax.comparison.family import check_blocks
from sr_jax.comparison.own_arms import is_own
from sr_jax.comparison.tuning import TunedRecipe
from sr_jax.config import Execution, InputError, setting
from sr_jax.data.finding import find
from sr_jax.networks import AnyNetwork, Network, hr_network, lr_network
from sr_jax.networks.budget import Arm, budget, note_pair
from sr_jax.networks.network import EXECUTIONS
from sr_jax.networks.pair import UPSAMPLINGS, Residual
from sr_jax.runner import compare
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
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

# Fixed before the run: the verdict, the opponents, and what takes the verdict apart.
FAMILY = tuple(
  f"hr{kernel}{front}" for kernel in ("", "_k4", "_k3", "_k2") for front in ("", "_learned")
)
CONTROLS = ("lr_tied", "hr_untied", "lr_deeper", "hr_deeper", "lr_narrow", "lr_far")
PRIMARY = Contrast("lr", "hr", "the note's own pair")
MECHANISMS = (
  Contrast("lr", "lr_tied", "untying the phases, on windows aligned to blocks"),
  Contrast("hr_untied", "hr_learned", "untying the phases, on sliding windows"),
  Contrast("lr", "hr_untied", "aligned instead of sliding windows, phases untied"),
  Contrast("lr_tied", "hr_learned", "aligned (5x5) instead of sliding (6x6) windows, phases tied"),
  Contrast("hr_learned", "hr", "learned instead of bicubic upsampling, in HR space"),
  Contrast("lr_deeper", "hr_deeper", "LR - HR one layer deeper, with no half-pixel shift"),
  Contrast("lr_narrow", "hr", "LR - HR at equal parameters, LR at a quarter of the MACs"),
  Contrast("lr", "hr_wide", "LR - HR at equal parameters, HR at four times the MACs"),
  Contrast("lr_far", "hr", "LR - HR at equal receptive fields"),
  Contrast("lr", "hr_timed", "LR - HR at the measured time of LR"),
  Contrast("lr_timed", "hr", "LR - HR at the measured time of HR"),
)


@dataclasses.dataclass(frozen=True)
class Config(TunedRecipe):
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
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks of a run but for those whose width is measured; HR ones as `_hr` executes them."""
  known = _known_arms(config)
  of_the_note = [
    known.get(name) or _arm_of_kernel(name, config)
    for name in config.arms
    if name not in TIMED and not is_own(name)
  ]
  first = next((arm.network for arm in of_the_note if arm.name == config.arms[0]), None)
  return config.in_order((*of_the_note, *config.own_arms(first)))


def measured_arms(config: Config, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run: HR ones in the faster execution, timed ones in their width."""
  executed = [
    dataclasses.replace(arm, network=_faster(arm.name, arm.network, config, choices))
    for arm in config.in_order((*arms(config), *_equal_time_arms(config, choices)))
  ]
  return config.complete(executed, choices)


def _faster(arm: str, network: AnyNetwork, config: Config, choices: Choices) -> AnyNetwork:
  """An arm's network in its faster execution, in which the width of `hr_timed` is measured, too."""
  return by_time("hr" if arm == "hr_timed" else arm, network, config.hr_execution, choices)


def _equal_time_arms(config: Config, choices: Choices) -> list[Arm]:
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


def _known_arms(config: Config) -> dict[str, Arm]:
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


def _arm_of_kernel(name: str, config: Config) -> Arm:
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


def _arm_of_depth(name: str, depth: int, size: int, config: Config, fields: dict[str, str]) -> Arm:
  """The arm "hr_dD_kK": as many maps as cost, in whole networks, about what LR costs."""
  target = budget(_lr(config)).macs
  widths = range(1, config.kernel_size * config.features + 1)
  networks = [_hr(config, maps, size, **{**fields, "depth": depth}) for maps in widths]
  closest = min(networks, key=lambda network: abs(budget(network).macs - target))
  return _arm(name, closest, _lr(config), DEEP_TOLERANCE)


def _lr(config: Config, **fields: Any) -> Network:
  """The LR network, with other fields than the run's."""
  sizes = {"features": config.features, "kernel_size": config.kernel_size}
  return lr_network(**{**sizes, **_common(config), **fields})


def _hr(config: Config, maps: int, kernel_size: int, **fields: Any) -> Network:
  """An HR network; computed in LR space where that is asked for or, by rule, pays.

  With "auto" it is in HR space until the faster execution is known.
  """
  sizes = {"features": maps, "kernel_size": kernel_size, "upsampling": config.upsampling}
  network = hr_network(**{**sizes, **_common(config), **fields}, execution="lr_space")
  return by_rule(network, config.hr_execution)


def _common(config: Config) -> dict[str, Any]:
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


def _hr_shape(config: Config) -> tuple[int, int]:
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


def comparison(config: Config) -> Comparison:
  """The contrasts of a run; without the note's pair, its first two arms are the verdict."""
  first, second, *_ = config.arm_names()
  own = Contrast(first, second, "the first two arms")
  primary = PRIMARY if {"lr", "hr"} <= set(config.arms) else own
  if primary.first != "lr":  # the family costs what LR costs, and LR tied is a subset of LR
    return Comparison(primary, mechanisms=MECHANISMS)
  return Comparison(primary, FAMILY, "lr_tied", MECHANISMS)


def check_data(config: Config, execution: Execution) -> None:
  """Refuses photographs that are not there, without reading any."""
  find(
    config.data,
    config.validation_data,
    config.test_data,
    execution,
    config.validation_images,
  )


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  return verdict.headline(read_json(run_dir.results))


def run(
  experiment: str, config: Config, execution: Execution, run_dir: RunFolder
) -> dict[str, float]:
  """Compares the networks; returns the seconds of each phase."""
  plan = functools.partial(measured_arms, config)
  measure = escape.measure if config.recipes else None
  return compare(experiment, plan, comparison(config), config, execution, run_dir, measure)


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Runs this experiment; returns the seconds of each phase."""
  return run("matched_flops", config, execution, run_dir)


CONFIRMATORY = Config(
  arms=("lr", *FAMILY, *CONTROLS, *TIMED),
  hr_execution="fewer",
  data="tfds:T91",
  distinct=True,
  validation_data="BSD200",
  validation_images=12,
  test_data=("BSD100", "Set5", "Set14"),
  steps=3000,
  seeds=8,
  learning_rate=(2e-3, 4e-3, 8e-3),
  search_steps=600,
  search_seeds=2,
  extend_grid=True,
)
CONVERGENCE = dataclasses.replace(
  CONFIRMATORY,
  arms=("lr", "hr", "hr_k4", "hr_k4_learned", "hr_d7_k3_learned", "hr_d16_k3_learned"),
  hr_execution="hr_space",
  test_data=("BSD100+Set14+unused",),
  learning_rate=(1e-3, 2e-3, 4e-3, 8e-3),
  search_steps=3000,
  extend_grid=False,
)
# Fixed before the runs: the recipes that arms choose from, and the rules in the docstring.
OWN_RECIPES = dataclasses.replace(
  CONFIRMATORY,
  test_data=("BSD100+Set14+unused",),
  steps=12_000,
  seeds=6,
  recipes=16,
  learning_rate=(1e-3, 1.6e-2),
  search_steps=3000,
  search_seeds=1,
  extend_grid=False,
  warmup=(0.02, 0.1, 0.3),
)
PRESETS = {
  # What does training time do to the verdict? sr_jax/comparison/convergence.py says how several
  # lengths, each a run of this preset, decide together.
  "convergence": CONVERGENCE,
  "confirmatory": CONFIRMATORY,
  # What flags are added to: does the verdict hold without the skip, at other lengths, scales, ...?
  "sensitivity": dataclasses.replace(
    CONFIRMATORY, arms=("lr", "hr", "hr_k4"), seeds=4, search_seeds=1
  ),
  "recipes": dataclasses.replace(
    OWN_RECIPES,
    arms=("lr", "hr", "hr_k4", "lr_tied", "lr_far"),
    first_rate=(0.5, 1.0, 2.0),
    last_rate=(0.1, 0.3, 1.0),
    gain=(0.5, 1.0, 2.0),
    clip=(0.01, 0.05, 0.25),
    patches=(17, 33),
  ),
  "tanh": dataclasses.replace(
    OWN_RECIPES,
    arms=("lr", "hr", "hr_k4"),
    activation="tanh",
    search_steps=6000,
    gain=(1.0, 25 / 9),
    last_gain=(1.0, 10.0, 100.0),
    contrast=(1.0, 4.0, 8.0),
  ),
}
