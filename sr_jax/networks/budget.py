"""Cost and receptive field of a network, computed from its layers, and networks of equal cost.

One MAC is one multiply-accumulate, 2 FLOPs, counted per HR pixel of an infinite image.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

from sr_jax.config import InputError
from sr_jax.networks import HRNetwork, LiftedNetwork, LRNetwork, Network
from sr_jax.networks.layers import Layer
from sr_jax.operators.resize import BICUBIC_REACH, upscale_taps


@dataclasses.dataclass(frozen=True)
class Budget:
  """The cost of one network.

  Attributes:
    macs: learned multiply-accumulates per HR pixel, as the architecture defines them.
    executed_macs: MACs as executed; more where HR layers or transposed convolutions run as LR
      layers, in whose kernels some taps are zero.
    bicubic_macs: of the fixed bicubic, a 5x5 LR convolution to `scale**2` phases.
    parameters: weights, biases and slopes.
    activations: values written by convolutions per HR pixel.
    receptive_field: side, in HR pixels, of the LR window that one HR pixel depends on (the largest
      over phases).
    shift: HR pixels by which even kernels move the centre of the window.
  """

  macs: Fraction
  executed_macs: Fraction
  bicubic_macs: int
  parameters: int
  activations: Fraction
  receptive_field: int
  shift: float


@dataclasses.dataclass(frozen=True)
class Arm:
  """One network of a comparison, which costs what it declares.

  Attributes:
    name: short name, also folded into the initialisation of its members.
    network: the Flax module.
    macs: declared MACs per HR pixel, fixed bicubic apart; None declares nothing.
    tolerance: relative deviation from `macs` that the protocol allows.
    note: what the arm is, in a line.

  Raises:
    InputError: the network costs more or less than is declared and tolerated.
  """

  name: str
  network: Network
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


def budget(network: Network) -> Budget:
  """Counts a network from its layers."""
  layers, has_bicubic = network.layers, network.bicubic_skip or network.bicubic_first
  positions = {"lr": Fraction(1, network.scale**2), "hr": Fraction(1)}  # per HR pixel
  macs = sum((layer.weights * positions[layer.grid] for layer in layers), Fraction())
  values = (layer.outputs * layer.stride**2 * positions[layer.grid] for layer in layers)
  executed = macs + _zero_macs(layers)
  if isinstance(network, HRNetwork) and network.execution == "lr_space":
    executed = budget(LiftedNetwork(network)).macs
  return Budget(
    macs=macs,
    executed_macs=executed,
    bicubic_macs=len(upscale_taps(network.scale)) ** 2 if has_bicubic else 0,
    parameters=sum(layer.weights * layer.kernels + layer.biases + layer.slopes for layer in layers),
    activations=sum(values, Fraction()),
    receptive_field=_receptive_field(network),
    shift=_shift(network),
  )


def _zero_macs(layers: Sequence[Layer]) -> Fraction:
  """MACs per HR pixel with zero taps, where transposed convolutions run as LR convolutions."""
  macs = Fraction()
  for layer in layers:
    if layer.stride > 1:
      taps = (1 + sum(layer.lr_reach)) ** 2 - Fraction(layer.kernel_size, layer.stride) ** 2
      macs += taps * layer.inputs * layer.outputs
  return macs


def _padding(network: Network, grid: str) -> tuple[int, int]:
  """Total zero padding before and after an axis, of all convolutions on a grid."""
  pairs = [layer.padding for layer in network.layers if layer.grid == grid and layer.stride == 1]
  return sum(low for low, _ in pairs), sum(high for _, high in pairs)


def _shift(network: Network) -> float:
  """HR pixels from an output pixel to the centre of the window it depends on."""
  (before, after), (low, high) = (_padding(network, grid) for grid in ("hr", "lr"))
  crops = [layer.padding for layer in network.layers if layer.stride > 1]
  return (
    after - before - sum(end - start for start, end in crops) + network.scale * (high - low)
  ) / 2


def _receptive_field(network: Network) -> int:
  """The most LR pixels, first to last, that an output pixel depends on, in HR pixels."""
  scale, taps = network.scale, upscale_taps(network.scale)
  (before, after), (low, high) = (_padding(network, grid) for grid in ("hr", "lr"))
  widths = []
  for phase in range(scale):
    seen = []
    for pixel in range(phase - before, phase + after + 1):
      lr_pixel, lr_phase = divmod(pixel, scale)
      if network.layers[0].grid == "lr":
        reach = BICUBIC_REACH if network.bicubic_first else 0  # the layers depend on all phases
        first, last = _lr_range(network.layers[-1], pixel, scale)
        seen += [first - low - reach, last + high + reach]
      if network.layers[0].grid == "hr" or (network.bicubic_skip and pixel == phase):
        used = [t - BICUBIC_REACH for t in range(len(taps)) if taps[t, lr_phase] != 0]
        seen += [lr_pixel + used[0], lr_pixel + used[-1]]
    widths.append(max(seen) - min(seen) + 1)
  return scale * max(widths)


def _lr_range(last: Layer, pixel: int, scale: int) -> tuple[int, int]:
  """The first and last LR pixel on which an HR pixel depends through the last layer."""
  if last.stride == 1:
    return pixel // scale, pixel // scale
  tap = pixel + last.padding[0]
  return -((last.kernel_size - 1 - tap) // last.stride), tap // last.stride


def note_pair(lr: LRNetwork, tolerance: float) -> tuple[int, int]:
  """The HR partner of an LR network in the note: `n / r^2` maps of kernel size `k r`.

  Returns:
    `(maps, kernel size)`.

  Raises:
    InputError: `r^2` does not divide n = `features`; the message names numbers that it divides, and
      `matches` whose whole network costs the same MACs within the relative `tolerance`.
  """
  maps, rest = divmod(lr.features, lr.scale**2)
  if maps and not rest:
    return maps, lr.scale * lr.kernel_size
  multiples = [lr.features - rest + lr.scale**2 * i for i in (0, 1)]
  message = (
    f"--features={lr.features} cannot be divided into features / scale^2 HR maps at "
    f"--scale={lr.scale}: use --features={' or '.join(str(n) for n in multiples if n)}"
  )
  target, alternatives = budget(lr).macs, []
  for n, k in matches(lr):
    hr = HRNetwork(lr.scale, n, lr.depth, k, lr.first_kernel_size)
    if abs(budget(hr).macs - target) <= tolerance * target:
      alternatives.append(f"--hr_features={n} ({n} maps of {k}x{k})")
  if alternatives:
    message += (
      ", or match HR kernel size x maps = kernel_size x features / scale = "
      f"{lr.features * lr.kernel_size // lr.scale} with {' or '.join(alternatives)}"
    )
  raise InputError(message)


def matches(lr: LRNetwork) -> list[tuple[int, int]]:
  """Every `(maps, kernel size)` whose hidden HR layer costs what the hidden LR layer costs.

  A hidden LR layer costs `n^2 k^2 / r^2` MACs per HR pixel and an HR one `n_H^2 K^2`: equal where
  `K n_H = k n / r`. Networks of one map and kernels of less than 3 pixels are left out.
  """
  product, rest = divmod(lr.kernel_size * lr.features, lr.scale)
  if rest:
    return []
  return [(n, product // n) for n in range(2, product // 3 + 1) if product % n == 0]


def as_json(cost: Budget) -> dict[str, float]:
  """A budget as JSON numbers."""
  numbers = dataclasses.asdict(cost).items()
  return {name: number if isinstance(number, int) else float(number) for name, number in numbers}
