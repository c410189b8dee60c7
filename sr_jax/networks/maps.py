"""States and layers of a network: every map lives on the LR grid or on the HR grid.

The state between two layers is l LR maps and h HR maps. In LR space an HR map is its R = r^d
phases, so that every layer is an LR convolution of l + R h maps, made of blocks:

  from - to   LR maps                  HR maps
  LR maps     k taps                   a transposed convolution of r k taps: k LR taps a phase
  HR maps     r k taps at stride r:    K taps shared by all phases, the only block whose weights
              k LR taps a phase        are tied (operators/lifting.py), but for the one below

Between states of equal l + R h = n, and with K = r k, every split costs n^2 k^d / R multiply-
accumulates and n / R values a HR pixel. It has k^d (n^2 - R (R - 1) h h') weights.

From LR maps alone to HR maps alone a layer can also be a resize-convolution: LR maps are
interpolated to the HR grid, and K taps shared by all phases read them (operators/resize_conv.py).

A layer can add an earlier state to what it writes. To add states of the same maps costs nothing,
and is the same in LR space as in HR space.
"""

import dataclasses
import math
from fractions import Fraction
from typing import NamedTuple

from sr_jax.operators.conv import same_padding
from sr_jax.operators.resize_conv import RESIZES, resize_taps

ACTIVATIONS = ("", "relu", "tanh", "prelu")


@dataclasses.dataclass(frozen=True)
class Maps:
  """A state: `lr` maps with a value for each LR pixel, `hr` maps with one for each HR pixel."""

  lr: int = 0
  hr: int = 0

  def __post_init__(self) -> None:
    if min(self.lr, self.hr) < 0 or not self.lr + self.hr:
      raise ValueError(f"a state has no map, or a negative number of them: {self}")

  def channels(self, phases: int) -> int:
    """Channels in LR space, where an HR map is its `phases`."""
    return self.lr + phases * self.hr

  @property
  def is_mixed(self) -> bool:
    """Whether it has maps of both kinds."""
    return bool(self.lr and self.hr)


class Block(NamedTuple):
  """A kernel of a layer: its name, its shape, and the weights into each value that it writes."""

  name: str
  shape: tuple[int, ...]  # (*kernel, in, out)
  fan_in: float | tuple[float, ...]  # or one for each output channel, where they differ


@dataclasses.dataclass(frozen=True)
class Layer:
  """One convolution from maps to maps; its cost and receptive field follow from these numbers.

  Attributes:
    name: of its parameters.
    inputs: maps that it reads.
    outputs: maps that it writes.
    kernel_size: k, in LR pixels, of all blocks but that from HR to HR maps; with `resize`, in HR
      pixels.
    hr_kernel_size: K, in HR pixels, from HR to HR maps.
    activation: "relu", "tanh", "prelu" (one slope a map), or empty.
    gain: variance of the initial kernel times its fan-in; 2 for ReLU (He et al. 2015).
    tied: whether the phases of an HR map share kernels and bias; if not, each has its own.
    extra_at_start: whether the odd zero around an even kernel is before it.
    padding: "same", or "valid": only outputs whose whole window lies within the image.
    transposed_size: of a layer from LR to HR maps alone, the side of its transposed kernel in HR
      pixels, where that is not r k; else 0.
    resize: of a layer from LR to HR maps alone, "nearest" or "linear": LR maps are interpolated to
      the HR grid, and one kernel, of an odd side, reads them there; empty if it does not.
    rate: its learning rate, as a multiple of the network's.
    crosses: whether LR maps are read for HR maps and HR maps for LR maps; if not, these are two
      streams.
    adds: the state that is added to the outputs, as the number of layers between, itself counted;
      0 adds none, and 2 is the second layer of a residual block.
    residual_scale: factor of the outputs before that.
  """

  name: str
  inputs: Maps
  outputs: Maps
  kernel_size: int = 0
  hr_kernel_size: int = 0
  activation: str = ""
  gain: float = 2.0
  tied: bool = True
  extra_at_start: bool = False
  padding: str = "same"
  transposed_size: int = 0
  rate: float = 1.0
  crosses: bool = True
  adds: int = 0
  residual_scale: float = 1.0
  resize: str = ""

  def __post_init__(self) -> None:
    if self.activation not in ACTIVATIONS:
      raise ValueError(f"{self.name} has no activation {self.activation!r}: {ACTIVATIONS}")
    if self.padding not in ("same", "valid"):
      raise ValueError(f"padding must be same or valid, not {self.padding!r}")
    for field in ("transposed_size", "resize"):
      if getattr(self, field) and (self.inputs.hr or self.outputs.lr):
        raise ValueError(f"{self.name} has a {field}, and is not from LR maps to HR maps alone")
    if self.resize:
      self._check_resize()
    kinds = [(bool(maps.lr), bool(maps.hr)) for maps in (self.inputs, self.outputs)]
    if not (self.crosses or (all(kinds[0]) and all(kinds[1]))):
      raise ValueError(f"{self.name} is no two streams from {self.inputs} to {self.outputs}")
    sizes = [self.kernel_size or self.transposed_size] * bool(self.inputs.lr or self.outputs.lr)
    if min([*sizes, *[self.hr_kernel_size] * self.from_hr_to_hr]) < 1:
      raise ValueError(f"{self.name} has no kernel from {self.inputs} to {self.outputs}")

  def _check_resize(self) -> None:
    if self.resize not in RESIZES:
      raise ValueError(f"{self.name} has no resize {self.resize!r}: {RESIZES}")
    if self.transposed_size or not self.tied:
      raise ValueError(f"{self.name} resizes: its phases are tied, and it has no transposed_size")
    if self.kernel_size % 2 == 0:
      raise ValueError(
        f"{self.name} resizes: its kernel_size must be odd HR pixels, not {self.kernel_size}"
      )

  @property
  def from_hr_to_hr(self) -> bool:
    """Whether it has the block whose weights can be tied."""
    return bool(self.inputs.hr and self.outputs.hr)

  @property
  def streams(self) -> list["Layer"]:
    """The layers, of LR maps alone and of HR maps alone, that one without `crosses` is."""
    (lr, hr), (lr_out, hr_out) = map(dataclasses.astuple, (self.inputs, self.outputs))
    pairs = (Maps(lr=lr), Maps(lr=lr_out)), (Maps(hr=hr), Maps(hr=hr_out))
    return [dataclasses.replace(self, inputs=a, outputs=b, crosses=True) for a, b in pairs]

  @property
  def lr_padding(self) -> tuple[int, int]:
    """LR pixels before and after its own that an output depends on, but for HR to HR maps."""
    return same_padding(self.kernel_size, extra_at_start=self.extra_at_start)

  @property
  def hr_padding(self) -> tuple[int, int]:
    """HR pixels before and after its own that an HR output depends on, through HR maps."""
    return same_padding(self.hr_kernel_size, extra_at_start=self.extra_at_start)

  def transposed_side(self, scale: int) -> int:
    """The side, in HR pixels, of its transposed kernel where that is not r k; else 0.

    With `resize` this kernel is the fixed one composed with the learned one.
    """
    if self.resize:
      return len(resize_taps(self.resize, scale)) + self.kernel_size - 1
    return self.transposed_size

  def crop(self, scale: int) -> tuple[int, int]:
    """HR pixels that a kernel of `transposed_side` writes too many, before and after."""
    beyond = self.transposed_side(scale) - scale
    return beyond // 2, (beyond + 1) // 2

  def lr_window(self, first: int, last: int, scale: int) -> tuple[int, int]:
    """The first and last LR pixel on which HR outputs `first` to `last` depend, through LR maps."""
    if side := self.transposed_side(scale):
      begin = self.crop(scale)[0]
      return -((side - 1 - first - begin) // scale), (last + begin) // scale
    low, high = self.lr_padding
    return first // scale - low, last // scale + high

  def shift(self, scale: int) -> float:
    """HR pixels from an output to the centre of its window; of HR outputs through HR maps."""
    if self.transposed_side(scale):
      before, after = self.crop(scale)
      return (before - after) / 2
    before, after = self.hr_padding if self.from_hr_to_hr else self.lr_padding
    return (1 if self.from_hr_to_hr else scale) * (after - before) / 2

  def padding_in_lr_space(self, scale: int) -> tuple[int, int]:
    """Zeros before and after an axis of the LR convolution that all blocks make together."""
    if self.transposed_side(scale):
      first, last = self.lr_window(0, scale - 1, scale)
      return -first, last
    if not self.from_hr_to_hr:
      return self.lr_padding
    before, after = (-(-zeros // scale) for zeros in self.hr_padding)
    low, high = self.lr_padding if self.inputs.lr or self.outputs.lr else (0, 0)
    return max(before, low), max(after, high)

  def blocks(self, phases: int, dims: int) -> dict[str, Block]:
    """The kernels of the blocks that it has; a lone one is called "kernel"."""
    lr, hr, lr_out, hr_out = self.inputs.lr, self.inputs.hr, self.outputs.lr, self.outputs.hr
    k, hr_k = (self.kernel_size,) * dims, (self.hr_kernel_size,) * dims
    across = phases if self.crosses else 0
    shapes = {
      "from_lr": (*k, lr, lr_out + across * hr_out),
      "hr_to_lr": (*k, across * hr, lr_out),
      "hr_to_hr": (*hr_k, hr, hr_out if self.tied else phases * hr_out),
    }
    if self.transposed_size or self.resize:
      side = self.transposed_size or self.kernel_size
      shapes["from_lr"] = (*(side,) * dims, lr, hr_out)
    to_lr, to_hr = (float(number) for number in self.fan_in(phases, dims))
    mixed = (to_lr,) * lr_out + (to_hr,) * (phases * hr_out)
    to_any = mixed if lr_out and hr_out and self.crosses else to_lr if lr_out else to_hr
    fans = {"from_lr": to_any, "hr_to_lr": to_lr, "hr_to_hr": to_hr}
    present = [block for block, (*_, inputs, outputs) in shapes.items() if inputs and outputs]
    return {
      block: Block("kernel" if len(present) == 1 else block, shapes[block], fans[block])
      for block in present
    }

  def biases(self, phases: int) -> int:
    """One a map, or one a phase of an HR map where these are not tied."""
    return self.outputs.lr + (1 if self.tied else phases) * self.outputs.hr

  @property
  def slopes(self) -> int:
    """Learned slopes of the activation: one a map for PReLU."""
    return self.outputs.lr + self.outputs.hr if self.activation == "prelu" else 0

  def weights(self, phases: int, dims: int) -> int:
    """Weights of all kernels."""
    return sum(math.prod(block.shape) for block in self.blocks(phases, dims).values())

  def fan_in(self, phases: int, dims: int) -> tuple[Fraction, Fraction]:
    """Weights into a value of an LR map, and of an HR map: they differ where K is not r k."""
    from_lr = self.inputs.lr * Fraction(self.kernel_size**dims)
    if self.transposed_size:
      from_lr = self.inputs.lr * Fraction(self.transposed_size**dims, phases)
    from_hr = self.inputs.hr * Fraction(self.hr_kernel_size**dims)
    if not self.crosses:
      return from_lr, from_hr
    return self.inputs.channels(phases) * Fraction(self.kernel_size**dims), from_lr + from_hr

  def macs(self, phases: int, dims: int) -> Fraction:
    """Multiply-accumulates per HR pixel, without a fixed resize."""
    to_lr, to_hr = self.fan_in(phases, dims)
    return to_lr * self.outputs.lr / phases + to_hr * self.outputs.hr

  def macs_in_lr_space(self, scale: int, dims: int) -> Fraction:
    """Multiply-accumulates per HR pixel of the LR convolution that all blocks make together.

    Streams that do not cross are a convolution each.
    """
    phases = scale**dims
    if not self.crosses:
      return sum((each.macs_in_lr_space(scale, dims) for each in self.streams), Fraction())
    taps = 1 + sum(self.padding_in_lr_space(scale))
    channels = self.inputs.channels(phases) * self.outputs.channels(phases)
    return Fraction(taps**dims * channels, phases)
