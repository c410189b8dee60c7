"""The layers of networks: their descriptions, from which costs follow, and their Flax modules."""

import dataclasses
from typing import Literal

from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.operators.conv import Padding, conv, same_padding
from sr_jax.operators.lifting import lift_conv, lift_untied_conv

# Each with the variance (times 1 / fan-in) that its layer's kernel is initialised with: He et al.
# (2015) for ReLU, LeCun's for tanh.
ACTIVATIONS = {"relu": (nn.relu, 2.0), "tanh": (nn.tanh, 1.0)}
PRELU_SLOPE = 0.25  # at the start: He et al. (2015)

# Networks subtract it from luminance. The first and last biases could learn that, but so zero
# padding is mid-gray, and members whose ReLUs all die at useful learning rates become rare.
MID_GRAY = 0.5


@dataclasses.dataclass(frozen=True)
class Layer:
  """One convolution; its cost and receptive field follow from these numbers alone.

  Attributes:
    name: of its parameters.
    grid: the pixels that its kernel moves over.
    kernel_size: K of a K x K kernel, in pixels of its grid, or HR pixels with a `stride`.
    inputs: input channels.
    outputs: output channels.
    biases: learned biases; fewer than `outputs` where phases of one HR map share theirs.
    extra_at_start: whether the odd zero around an even kernel is before it.
    slopes: learned slopes of the PReLU that follows; 0 for another activation.
    stride: 1; of a transposed convolution, the HR pixels from one LR pixel to the next.
    rate: its learning rate, as a multiple of the network's.
    kernels: one for each phase of an HR output, or 1 for all phases.
  """

  name: str
  grid: Literal["lr", "hr"]
  kernel_size: int
  inputs: int
  outputs: int
  biases: int
  extra_at_start: bool = False
  slopes: int = 0
  stride: int = 1
  rate: float = 1.0
  kernels: int = 1

  @property
  def padding(self) -> tuple[int, int]:
    """Zeros that keep the length of an axis, or the crop that leaves `stride` times the length."""
    if self.stride > 1:
      return (self.kernel_size - self.stride) // 2, (self.kernel_size - self.stride + 1) // 2
    return same_padding(self.kernel_size, extra_at_start=self.extra_at_start)

  @property
  def weights(self) -> int:
    """Weights of one of its `kernels`."""
    return self.kernel_size**2 * self.inputs * self.outputs

  @property
  def lr_reach(self) -> tuple[int, int]:
    """LR pixels before and after its own that an output of a transposed convolution depends on."""
    low, _ = self.padding
    return (self.kernel_size - 1 - low) // self.stride, -(-low // self.stride)

  def lift(
    self, kernel: Float[Array, "k k i o"], scale: int
  ) -> tuple[Float[Array, "lk lk ri ro"], Padding]:
    """Kernel and padding of the LR convolution that equals this HR layer."""
    lift = lift_conv if self.kernels == 1 else lift_untied_conv
    return lift(kernel, scale, (self.padding, self.padding))


class Conv(nn.Module):
  """The convolution that a `Layer` describes, with its bias and, if it has slopes, its PReLU.

  The kernel is drawn normal with variance `gain / fan_in`; `activation` is one of `ACTIVATIONS`, or
  empty. With `lift` > 1 an HR layer is executed as the equal LR convolution on maps of `lift**2`
  phases each (operators/lifting.py). With `valid` it is not padded: it gives only the outputs whose
  window lies within the image.
  """

  layer: Layer
  gain: float
  activation: str = ""
  lift: int = 1
  valid: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Convolves, and repeats a bias for the phases that share it."""
    layer, size = self.layer, self.layer.kernel_size
    init = nn.initializers.variance_scaling(self.gain, "fan_in", "normal")
    shape = (size, size, layer.inputs, layer.kernels * layer.outputs)
    kernel = self.param("kernel", init, shape)
    bias = self.param("bias", nn.initializers.zeros_init(), (layer.biases,))
    padding: Padding = ((0, 0), (0, 0)) if self.valid else (layer.padding, layer.padding)
    if self.lift > 1 and layer.grid == "hr":
      kernel, padding = layer.lift(kernel, self.lift)
    bias = jnp.tile(bias, kernel.shape[-1] // layer.biases)
    if self.activation == "relu":  # which the native convolution has built in
      return conv(x, kernel, padding, bias=bias, relu=True)
    y = conv(x, kernel, padding, bias=bias)
    if self.activation:
      activation, _ = ACTIVATIONS[self.activation]
      return activation(y)
    if not layer.slopes:
      return y
    slope = self.param("slope", nn.initializers.constant(PRELU_SLOPE), (layer.slopes,))
    return jnp.where(y > 0, y, slope.reshape(1, 1, 1, -1) * y)


def crop_border(x: Float[Array, "b h w c"], pixels: int) -> Float[Array, "b h2 w2 c"]:
  """Takes this many pixels off every side of the images."""
  return x[:, pixels : x.shape[1] - pixels, pixels : x.shape[2] - pixels]
