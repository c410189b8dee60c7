"""ESPCN, SRCNN and FSRCNN as published, the last layer at a tenth of the learning rate.

With `padding="same"` every layer is padded with zeros. With "valid" none is: the output of a patch
lacks `margin` LR pixels on each side, and `networks.upscale` extends an image by its edge pixels
first.

The networks subtract mid-gray from luminance and multiply it by `CONTRAST`: with "valid" these are
the published networks with another first kernel and other first and last biases.
"""

import math
from typing import ClassVar

from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.networks.layers import ACTIVATIONS, MID_GRAY, Conv, Layer, crop_border
from sr_jax.operators.resize import BICUBIC_REACH, upscale_bicubic
from sr_jax.operators.shuffle import depth_to_space
from sr_jax.operators.upsampling import sub_pixel_conv

LAST_RATE = 0.1  # of the other layers' learning rate, in all three papers

# Kernels that respond to faint detail are large in units of 0..1. Adam, whose steps are as long as
# its rate, needs many steps to reach them, or a rate at which the later layers are unstable.
CONTRAST = 8.0
LAST_GAIN = 0.01  # outputs start near mid-gray at any contrast


class ESPCN(nn.Module):
  """The efficient sub-pixel network of Shi et al. (2016, arXiv 1609.05158).

  5x5 to 64 maps, 3x3 to 32, 3x3 to `scale**2`, then the periodic shuffling; tanh as in its best
  rows, or relu. At scale 3: 22,624 weights and 105 biases, 22,729 parameters.
  """

  scale: int = 3
  features: tuple[int, int] = (64, 32)
  activation: str = "tanh"
  padding: str = "valid"

  bicubic_skip: ClassVar[bool] = False
  bicubic_first: ClassVar[bool] = False

  @property
  def layers(self) -> tuple[Layer, ...]:
    """The convolutions in order."""
    (first, second), phases = self.features, self.scale**2
    return (
      Layer("first", "lr", 5, 1, first, first),
      Layer("hidden_0", "lr", 3, first, second, second),
      Layer("last", "lr", 3, second, phases, phases, rate=LAST_RATE),
    )

  @property
  def margin(self) -> int:
    """LR pixels on each side of a patch for which the network has no output."""
    return 4 if _is_valid(self.padding) else 0

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 1"]) -> Float[Array, "b rh rw 1"]:
    """Upscales LR luminance `x`, less `margin`."""
    _, gain = ACTIVATIONS[self.activation]
    valid = _is_valid(self.padding)
    *body, last = self.layers
    y = CONTRAST * (x - MID_GRAY)
    for layer in body:
      y = Conv(layer, gain, self.activation, valid=valid, name=layer.name)(y)
    y = Conv(last, LAST_GAIN, valid=valid, name=last.name)(y)
    return depth_to_space(y, self.scale) + MID_GRAY


class SRCNN(nn.Module):
  """The first network of the field, 9-1-5 (Dong et al. 2014, arXiv 1501.00092).

  It sharpens bicubic interpolation in HR space: 9x9 to 64 maps, 1x1 to 32, 5x5 to one, ReLU. 8,032
  weights, as in the paper, and 97 biases.
  """

  scale: int = 3
  features: tuple[int, int] = (64, 32)
  padding: str = "valid"

  bicubic_skip: ClassVar[bool] = False
  bicubic_first: ClassVar[bool] = True

  @property
  def layers(self) -> tuple[Layer, ...]:
    """The convolutions in order."""
    first, second = self.features
    return (
      Layer("first", "hr", 9, 1, first, first),
      Layer("hidden_0", "hr", 1, first, second, second),
      Layer("last", "hr", 5, second, 1, 1, rate=LAST_RATE),
    )

  @property
  def margin(self) -> int:
    """LR pixels on each side of a patch for which the network has no output."""
    return BICUBIC_REACH + math.ceil(6 / self.scale) if _is_valid(self.padding) else 0

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 1"]) -> Float[Array, "b rh rw 1"]:
    """Upscales LR luminance `x`, less `margin`."""
    valid = _is_valid(self.padding)
    *body, last = self.layers
    y = upscale_bicubic(CONTRAST * (x - MID_GRAY), self.scale)
    if valid:  # 6 HR pixels fewer than the margin: the two kernels take those off
      y = crop_border(y, self.margin * self.scale - 6)
    for layer in body:
      y = Conv(layer, 2.0, "relu", valid=valid, name=layer.name)(y)
    return Conv(last, LAST_GAIN, valid=valid, name=last.name)(y) + MID_GRAY


class FSRCNN(nn.Module):
  """The fast successor of SRCNN, FSRCNN(56, 12, 4) (Dong et al. 2016, arXiv 1608.00367).

  5x5 to d = 56 maps, 1x1 to s = 12, m = 4 times 3x3, 1x1 back to d, each with a PReLU of one slope
  a map, and a transposed convolution of 9x9 HR pixels and stride `scale`. 12,464 weights, as in the
  paper, 173 biases and 172 slopes.

  The transposed convolution is executed as the equal LR convolution (operators/conversion.py). At
  scale 3 this is a bijection, to a sub-pixel layer of 3x3. At even scales its window is shifted by
  half an HR pixel.
  """

  scale: int = 3
  features: tuple[int, int] = (56, 12)
  depth: int = 4
  padding: str = "valid"

  bicubic_skip: ClassVar[bool] = False
  bicubic_first: ClassVar[bool] = False

  @property
  def layers(self) -> tuple[Layer, ...]:
    """The convolutions in order."""
    d, s = self.features
    return (
      Layer("first", "lr", 5, 1, d, d, slopes=d),
      Layer("shrink", "lr", 1, d, s, s, slopes=s),
      *(Layer(f"hidden_{i}", "lr", 3, s, s, s, slopes=s) for i in range(self.depth)),
      Layer("expand", "lr", 1, s, d, d, slopes=d),
      Layer("transposed", "lr", 9, d, 1, 1, stride=self.scale, rate=LAST_RATE),
    )

  @property
  def margin(self) -> int:
    """LR pixels on each side of a patch for which the network has no output."""
    return 2 + self.depth + self.layers[-1].lr_reach[0] if _is_valid(self.padding) else 0

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 1"]) -> Float[Array, "b rh rw 1"]:
    """Upscales LR luminance `x`, less `margin`."""
    valid = _is_valid(self.padding)
    *body, last = self.layers
    y = CONTRAST * (x - MID_GRAY)
    for layer in body:
      y = Conv(layer, 2.0, valid=valid, name=layer.name)(y)
    y = TransposedConv(last, name=last.name)(y) + MID_GRAY
    return crop_border(y, self.scale * last.lr_reach[0]) if valid else y


class TransposedConv(nn.Module):
  """The transposed convolution that a `Layer` with a stride describes, with its bias."""

  layer: Layer

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b rh rw o"]:
    """Convolves with a kernel drawn normal; an output's taps have variance `LAST_GAIN` in all."""
    layer, size = self.layer, self.layer.kernel_size
    fan_in = layer.inputs * (size / layer.stride) ** 2  # taps of an output
    init = nn.initializers.normal((LAST_GAIN / fan_in) ** 0.5)
    kernel = self.param("kernel", init, (size, size, layer.inputs, layer.outputs))
    bias = self.param("bias", nn.initializers.zeros_init(), (layer.biases,))
    return sub_pixel_conv(x, kernel, layer.stride, (layer.padding,) * 2) + bias.reshape(1, 1, 1, -1)


def _is_valid(padding: str) -> bool:
  if padding not in ("same", "valid"):
    raise ValueError(f"padding must be same or valid, not {padding!r}")
  return padding == "valid"
