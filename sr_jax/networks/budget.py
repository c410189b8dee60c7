"""Cost and receptive field of a network, and networks of equal cost.

They follow from a network's layers; of a user's own network, from its computation (counting.py).
One MAC is one multiply-accumulate, 2 FLOPs, counted per HR pixel of an infinite image.
"""

import dataclasses
import functools
from fractions import Fraction

import jax
import numpy as np

from sr_jax.config import InputError
from sr_jax.networks import AnyNetwork, Network, OwnNetwork, hr_network, lr_network
from sr_jax.networks.counting import PixelCount, per_hr_pixel, receptive_windows
from sr_jax.networks.own import abstract_params, own_function
from sr_jax.networks.own_source import guarding
from sr_jax.operators.resize import BICUBIC_REACH, upscale_taps


@dataclasses.dataclass(frozen=True)
class Budget:
  """The cost of one network.

  Attributes:
    network: that costs this.
    macs: learned multiply-accumulates per HR pixel, as the architecture defines them; of a user's
      own network all that are counted.
    executed_macs: MACs as executed; more where HR layers, transposed convolutions or
      resize-convolutions run as LR layers, in whose kernels taps are zero or repeated.
    bicubic_macs: of the fixed bicubic, a 5x5 LR convolution to `scale**2` phases.
    parameters: weights, biases and slopes.
    activations: values written by convolutions per HR pixel.
    shift: HR pixels by which even kernels move an output against its inputs; in a state of both
      kinds, through its HR maps; None of a user's own network, which may do anything.
  """

  network: AnyNetwork = dataclasses.field(repr=False)
  macs: Fraction
  executed_macs: Fraction
  bicubic_macs: int
  parameters: int
  activations: Fraction
  shift: float | None

  @functools.cached_property
  def receptive_field(self) -> int | None:
    """Side, in HR pixels, of the LR window that one HR pixel depends on (the largest over phases).

    None is the whole image. Of a user's own network it is measured, which computes gradients.
    """
    windows = lr_windows(self.network)
    if windows is None:
      return None
    return self.network.scale * max(last - first + 1 for first, last in windows)


@dataclasses.dataclass(frozen=True)
class Arm:
  """One network of a comparison, which costs what it declares.

  Attributes:
    name: short name, also folded into the initialisation of its members.
    network: the Flax module, or a user's own.
    macs: declared MACs per HR pixel, fixed bicubic apart; None declares nothing.
    tolerance: relative deviation from `macs` that the protocol allows.
    note: what the arm is, in a line.

  Raises:
    InputError: the network costs more or less than is declared and tolerated.
  """

  name: str
  network: AnyNetwork
  macs: Fraction | None
  tolerance: float
  note: str
  budget: Budget = dataclasses.field(init=False)

  def __post_init__(self) -> None:
    """Counts the network and checks its cost."""
    object.__setattr__(self, "budget", budget(self.network))
    declared, macs = self.macs, self.budget.macs
    if declared is not None and abs(macs - declared) > self.tolerance * declared:
      raise InputError(
        f"arm {self.name} costs {float(macs):g} MACs per HR pixel, not {float(declared):g}: "
        f"{float(macs / declared - 1):+.1%}, where {self.tolerance:.1%} is tolerated; change the "
        "shape of its network (--hr_features, --features, --kernel_size, --depth)"
      )


def budget(network: AnyNetwork) -> Budget:
  """Counts a network from its layers, or a user's own from its computation.

  Raises:
    InputError: the MACs of a user's own network are not proportional to the pixels of an image.
  """
  if isinstance(network, OwnNetwork):
    counted = _count(network)
    return Budget(
      network=network,
      macs=counted.macs,
      executed_macs=counted.macs,
      bicubic_macs=0,
      parameters=parameter_count(network),
      activations=counted.activations,
      shift=None,
    )
  layers, phases, dims = network.layers, network.phases, network.dims
  macs = sum((layer.macs(phases, dims) for layer in layers), Fraction())
  has_bicubic = network.bicubic_skip or network.bicubic_first
  executed = (
    layer.macs(phases, dims)  # in HR space: no tap is a zero
    if layer.from_hr_to_hr and not network.in_lr_space
    else layer.macs_in_lr_space(network.scale, dims)
    for layer in layers
  )
  return Budget(
    network=network,
    macs=macs,
    executed_macs=sum(executed, Fraction()),
    bicubic_macs=len(upscale_taps(network.scale)) ** dims if has_bicubic else 0,
    parameters=sum(
      layer.weights(phases, dims) + layer.biases(phases) + layer.slopes for layer in layers
    ),
    activations=Fraction(sum(layer.outputs.channels(phases) for layer in layers), phases),
    shift=sum(layer.shift(network.scale) for layer in layers),
  )


def parameter_count(network: OwnNetwork) -> int:
  """Numbers that a user's own network learns."""
  return sum(leaf.size for leaf in jax.tree.leaves(abstract_params(network)))


def uncounted(network: AnyNetwork) -> tuple[str, ...]:
  """Names of operations of a network whose work is not in its MACs."""
  return _count(network).uncounted if isinstance(network, OwnNetwork) else ()


@functools.lru_cache(maxsize=256)
def _count(network: OwnNetwork) -> PixelCount:
  params = abstract_params(network)
  with guarding(network.source, "cannot be counted"):
    return per_hr_pixel(own_function(network), params)


Window = tuple[int, int] | None  # the first and last pixel of an axis


@functools.lru_cache(maxsize=64)
def _own_windows(network: OwnNetwork) -> list[tuple[int, int]] | None:
  params = abstract_params(network)
  with guarding(network.source, "has a receptive field that cannot be measured"):
    return receptive_windows(own_function(network), network.scale, params)


def lr_windows(network: AnyNetwork) -> list[tuple[int, int]] | None:
  """The first and last LR pixel, counted from its own, that each HR pixel of one depends on.

  Of a user's own network they are measured; None if it depends on the whole image.
  """
  if isinstance(network, OwnNetwork):
    return _own_windows(network)
  scale, taps = network.scale, upscale_taps(network.scale)
  used = [np.flatnonzero(taps[:, phase]) - BICUBIC_REACH for phase in range(scale)]
  windows = []
  for phase in range(scale):
    on_lr, on_hr = _input_window(network, phase)
    parts = []
    if on_lr:
      reach = BICUBIC_REACH if network.bicubic_first else 0  # these LR maps are all its phases
      parts.append((on_lr[0] - reach, on_lr[1] + reach))
    if on_hr and not network.bicubic_first:
      parts.append((on_hr[0] // scale, on_hr[1] // scale))
    elif on_hr:
      pixels = [divmod(pixel, scale) for pixel in range(on_hr[0], on_hr[1] + 1)]
      parts += [(pixel + used[i][0], pixel + used[i][-1]) for pixel, i in pixels]
    if network.bicubic_skip:
      parts.append((used[phase][0], used[phase][-1]))
    if network.identity_skip:
      parts.append((0, 0))
    windows.append((int(min(first for first, _ in parts)), int(max(last for _, last in parts))))
  return windows


def _input_window(network: Network, phase: int) -> tuple[Window, Window]:
  """The LR pixels and the HR pixels of the network's input that an HR pixel of LR pixel 0 sees."""
  scale, outputs = network.scale, network.layers[-1].outputs
  on_lr: Window = (0, 0) if outputs.lr else None
  on_hr: Window = (phase, phase) if outputs.hr else None
  for layer in reversed(network.layers):
    lr_seen: Window = None
    hr_seen: Window = None
    if on_lr:
      low, high = layer.lr_padding
      seen = on_lr[0] - low, on_lr[1] + high
      lr_seen, hr_seen = seen, (scale * seen[0], scale * seen[1] + scale - 1)
    if on_hr:
      before, after = layer.hr_padding
      lr_seen = _hull(lr_seen, layer.lr_window(*on_hr, scale))
      hr_seen = _hull(hr_seen, (on_hr[0] - before, on_hr[1] + after))
    on_lr = lr_seen if layer.inputs.lr else None
    on_hr = hr_seen if layer.inputs.hr else None
  return on_lr, on_hr


def _hull(window: Window, other: tuple[int, int]) -> tuple[int, int]:
  """The smallest window that holds both."""
  return (min(window[0], other[0]), max(window[1], other[1])) if window else other


def note_pair(
  scale: int, features: int, kernel_size: int, depth: int, tolerance: float
) -> tuple[int, int]:
  """The HR partner of an LR network in the note: `n / r^2` maps of kernel size `k r`.

  Returns:
    `(maps, kernel size)`.

  Raises:
    InputError: `r^2` does not divide n = `features`; the message names numbers that it divides, and
      `matches` whose whole network costs the same MACs within the relative `tolerance`.
  """
  maps, rest = divmod(features, scale**2)
  if maps and not rest:
    return maps, scale * kernel_size
  multiples = [features - rest + scale**2 * i for i in (0, 1)]
  message = (
    f"--features={features} cannot be divided into features / scale^2 HR maps at --scale={scale}: "
    f"use --features={' or '.join(str(n) for n in multiples if n)}"
  )
  target = budget(lr_network(scale, features, depth, kernel_size)).macs
  alternatives = [
    f"--hr_features={n} ({n} maps of {k}x{k})"
    for n, k in matches(scale, features, kernel_size)
    if abs(budget(hr_network(scale, n, depth, k)).macs - target) <= tolerance * target
  ]
  if alternatives:
    message += (
      ", or match HR kernel size x maps = kernel_size x features / scale = "
      f"{features * kernel_size // scale} with {' or '.join(alternatives)}"
    )
  raise InputError(message)


def matches(scale: int, features: int, kernel_size: int) -> list[tuple[int, int]]:
  """Every `(maps, kernel size)` whose hidden HR layer costs what the hidden LR layer costs.

  A hidden LR layer costs `n^2 k^2 / r^2` MACs per HR pixel and an HR one `n_H^2 K^2`: equal where
  `K n_H = k n / r`. Networks of one map and kernels of less than 3 pixels are left out.
  """
  product, rest = divmod(kernel_size * features, scale)
  if rest:
    return []
  return [(n, product // n) for n in range(2, product // 3 + 1) if product % n == 0]


def as_json(cost: Budget) -> dict[str, int | float | None]:
  """A budget as JSON numbers; None where a user's own network has none."""
  costs = ("macs", "executed_macs", "bicubic_macs", "parameters", "activations")
  numbers = {name: getattr(cost, name) for name in (*costs, "receptive_field", "shift")}
  return {
    name: number if number is None or isinstance(number, int) else float(number)
    for name, number in numbers.items()
  }
