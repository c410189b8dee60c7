"""The layers that networks are made from: what a budget counts, and the Flax modules."""

import dataclasses
from typing import Literal

from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.operators.conv import Padding, conv, same_padding
from sr_jax.operators.lifting import lift_conv, lift_untied_conv

# The activation, and the variance its layer's kernel is initialised with (times 1 / fan-in): He et
# al. (2015) for ReLU, LeCun's for tanh.
ACTIVATIONS = {"relu": (nn.relu, 2.0), "tanh": (nn.tanh, 1.0)}
PRELU_SLOPE = 0.25  # at the start: He et al. (2015)


# Inside, luminance counts from mid-gray. The first and last biases could do that, except that zero
# padding now is mid-gray; and members whose ReLUs all die, frequent otherwise at useful learning
# rates, become rare.
MID_GRAY = 0.5


@dataclasses.dataclass(frozen=True)
class Layer:
  """One convolution: what it costs and what it sees follows from these numbers alone.

  With a `stride` it is a transposed one, from LR to HR.

  Attributes:
    name: of its parameters.
    grid: the pixels its kernel moves over, "lr" or "hr".
    kernel_size: K of a K x K kernel, in pixels of its grid.
    inputs: input channels.
    outputs: output channels.
    biases: learned biases; fewer than `outputs` where phases of one HR map share theirs.
    extra_at_start: the side of the odd zero around an even kernel.
    slopes: learned slopes of the PReLU that follows; 0 where it is none.
    stride: HR pixels from one LR pixel to the next, of a transposed convolution, whose kernel spans
      HR pixels; 1 for a convolution.
    rate: its learning rate, as a multiple of the network's.
    kernels: kernels to take turns, one for each phase of an HR output, or 1 for all.
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
    """Zeros before and after each spatial axis: its length is kept.

    Of a transposed convolution, what is cropped of its output: `stride` times the length is left.
    """
    if self.stride > 1:
      return (self.kernel_size - self.stride) // 2, (self.kernel_size - self.stride + 1) // 2
    return same_padding(self.kernel_size, extra_at_start=self.extra_at_start)

  def lift(
    self, kernel: Float[Array, "k k i o"], scale: int
  ) -> tuple[Float[Array, "lk lk ri ro"], Padding]:
    """Kernel and padding of the LR convolution that this HR layer is."""
    lift_any = lift_conv if self.kernels == 1 else lift_untied_conv
    return lift_any(kernel, scale, (self.padding, self.padding))


class Conv(nn.Module):
  """The convolution that a `Layer` describes, with its bias and, if it has slopes, its PReLU.

  The kernel is drawn normal with variance `gain / fan_in`. With `lift` > 1 an HR layer is executed
  as the equal LR convolution on maps of `lift**2` phases each (operators/lifting.py). A `valid` one
  is not padded: it gives the outputs only whose window lies within the image.
  """

  layer: Layer
  gain: float
  lift: int = 1
  valid: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
    """Convolves; phases that share a bias get it by repetition."""
    layer = self.layer
    size = layer.kernel_size
    init = nn.initializers.variance_scaling(self.gain, "fan_in", "normal")
    outputs = layer.kernels * layer.outputs
    kernel = self.param("kernel", init, (size, size, layer.inputs, outputs))
    bias = self.param("bias", nn.initializers.zeros_init(), (layer.biases,))
    padding: Padding = ((0, 0), (0, 0)) if self.valid else (layer.padding, layer.padding)
    if self.lift > 1 and layer.grid == "hr":
      kernel, padding = layer.lift(kernel, self.lift)
    bias = jnp.tile(bias, kernel.shape[-1] // layer.biases).reshape(1, 1, 1, -1)
    y = conv(x, kernel, padding) + bias
    if not layer.slopes:
      return y
    slope = self.param("slope", nn.initializers.constant(PRELU_SLOPE), (layer.slopes,))
    return jnp.where(y > 0, y, slope.reshape(1, 1, 1, -1) * y)


def without_border(x: Float[Array, "b h w c"], pixels: int) -> Float[Array, "b h2 w2 c"]:
  """The images without so many pixels on each side."""
  _, height, width, _ = x.shape
  return x[:, pixels : height - pixels, pixels : width - pixels]
