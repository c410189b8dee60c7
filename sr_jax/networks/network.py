"""The network of this package: a sequence of layers between states of LR and HR maps."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.networks.maps import Layer
from sr_jax.operators.conv import conv
from sr_jax.operators.conversion import deconv_to_lr
from sr_jax.operators.lifting import lift_conv, lift_untied_conv
from sr_jax.operators.resize import BICUBIC_REACH, bicubic_phases
from sr_jax.operators.shuffle import depth_to_space, space_to_depth

EXECUTIONS = ("hr_space", "lr_space")
PRELU_SLOPE = 0.25  # at the start: He et al. (2015)

# Networks subtract it from luminance. The first and last biases could learn that, but so zero
# padding is mid-gray, and members whose ReLUs all die at useful learning rates become rare.
MID_GRAY = 0.5


class State(NamedTuple):
  """Values of LR maps `(b, *space, l)` and of HR maps `(b, *scaled, h)`; None where there are none.

  In LR space `lr` holds both: the LR maps, then the phases of the HR maps, `(b, *space, l + R h)`.
  """

  lr: Any = None
  hr: Any = None


class Conv(nn.Module):
  """The convolution that a `Layer` describes, with its bias and its activation.

  In LR space it is one LR convolution; else HR maps are read and written in HR space. Kernels are
  drawn normal with variance `gain / fan_in`.
  """

  layer: Layer
  scale: int
  in_lr_space: bool

  @nn.compact
  def __call__(self, x: State) -> State:
    """Convolves a state."""
    layer, lr_maps = self.layer, self.layer.outputs.lr
    dims = (x.hr if x.lr is None else x.lr).ndim - 2
    phases = self.scale**dims
    kernels = {
      block: self.param(name, _normal(layer.gain, fan_in), shape)
      for block, (name, shape, fan_in) in layer.blocks(phases, dims).items()
    }
    own = {"bias": self.param("bias", nn.initializers.zeros_init(), (layer.biases(phases),))}
    if layer.slopes:
      start = nn.initializers.constant(PRELU_SLOPE)
      own["slope"] = self.param("slope", start, (layer.slopes,))
    packed = {name: by_channel(vector, layer, phases) for name, vector in own.items()}
    if self.in_lr_space:
      kernel, padding = lr_kernel(layer, kernels, self.scale)
      return State(self._convolve(x.lr, kernel, padding, **packed))
    y_lr = y_hr = None
    if lr_maps:  # of all maps, in one convolution
      inputs = [x.lr, None if x.hr is None else space_to_depth(x.hr, self.scale)]
      taps = [kernels[key][..., :lr_maps] for key in ("from_lr", "hr_to_lr") if key in kernels]
      joined = jnp.concatenate([maps for maps in inputs if maps is not None], -1)
      mine = {name: vector[:lr_maps] for name, vector in own.items()}
      y_lr = self._convolve(joined, jnp.concatenate(taps, -2), layer.lr_padding, **mine)
    if layer.outputs.hr and x.lr is not None:  # by a transposed convolution
      mine = {name: vector[lr_maps:] for name, vector in packed.items()} if x.hr is None else {}
      y_hr = self._convolve(x.lr, kernels["from_lr"][..., lr_maps:], layer.lr_padding, **mine)
      y_hr = depth_to_space(y_hr, self.scale)
    if layer.from_hr_to_hr:
      mine = {name: vector[lr_maps:] for name, vector in own.items()}
      y_hr = self._convolve(x.hr, kernels["hr_to_hr"], layer.hr_padding, **mine, plus=y_hr)
    return State(y_lr, y_hr)

  def _convolve(
    self,
    x: Array,
    kernel: Array,
    padding: tuple[int, int],
    bias: Array | None = None,
    slope: Array | None = None,
    plus: Array | None = None,
  ) -> Array:
    """Convolves and adds `plus`; with a bias, the activation follows."""
    pair = (0, 0) if self.layer.padding == "valid" else padding
    activation = self.layer.activation if bias is not None else ""
    is_fused = activation == "relu" and plus is None  # which the native convolution has built in
    y = conv(x, kernel, (pair,) * (x.ndim - 2), bias=bias, relu=is_fused)
    y = y if plus is None else y + plus
    if slope is not None:
      return jnp.where(y > 0, y, slope.reshape((1,) * (y.ndim - 1) + (-1,)) * y)
    if is_fused or not activation:
      return y
    return nn.relu(y) if activation == "relu" else nn.tanh(y)


class Network(nn.Module):
  """A sequence of layers between states of LR and HR maps, from an image to an HR image.

  The image that it reads is on the grid of the first layer's inputs; with `bicubic_first` an LR
  image is interpolated to them. LR maps that the last layer writes are the phases of the HR image.

  Attributes:
    scale: upscaling factor r.
    layers: the convolutions in order.
    bicubic_first: whether the first layer reads a fixed bicubic interpolation.
    bicubic_skip: whether the network predicts what bicubic interpolation misses.
    contrast: factor of the image less mid-gray.
    execution: where HR maps are convolved: "hr_space", or "lr_space", as one LR convolution a
      layer, as always where a layer has HR kernels that are not tied.
    dims: spatial axes d of an image.

  Raises:
    ValueError: the layers do not fit each other.
  """

  scale: int
  layers: tuple[Layer, ...]
  bicubic_first: bool = False
  bicubic_skip: bool = False
  contrast: float = 1.0
  execution: str = "hr_space"
  dims: int = 2

  def __post_init__(self) -> None:
    if self.execution not in EXECUTIONS:
      raise ValueError(f"execution must be hr_space or lr_space, not {self.execution!r}")
    for layer, after in itertools.pairwise(self.layers):
      if layer.outputs != after.inputs:
        raise ValueError(f"{after.name} reads {after.inputs}, {layer.name} writes {layer.outputs}")
    for layer in self.layers:
      if layer.padding not in ("same", "valid"):
        raise ValueError(f"padding must be same or valid, not {layer.padding!r}")
      if layer.padding == "valid" and len(layer.blocks(self.phases, self.dims)) > 1:
        raise ValueError(f"{layer.name} must be padded: its blocks lose different borders")
      if layer.padding == "valid" and layer.from_hr_to_hr and self.in_lr_space:
        raise ValueError(f"{layer.name} must be padded in lr_space: it loses HR pixels at borders")
    super().__post_init__()

  @property
  def phases(self) -> int:
    """R = r^d, the phases of an HR map."""
    return self.scale**self.dims

  @property
  def has_two_executions(self) -> bool:
    """Whether HR maps can be convolved in HR space as well as in LR space."""
    return any(layer.from_hr_to_hr for layer in self.layers) and all(
      layer.padding == "same" and layer.tied for layer in self.layers
    )

  @property
  def in_lr_space(self) -> bool:
    """Whether states are in LR space: if asked for, without HR kernels, or with untied ones."""
    tied = [layer.tied for layer in self.layers if layer.from_hr_to_hr]
    return self.execution == "lr_space" or not (tied and all(tied))

  @property
  def margin(self) -> int:
    """LR pixels on each side of an image for which layers without padding have no output."""
    unpadded = [layer for layer in self.layers if layer.padding == "valid"]
    on_lr = sum(
      layer.padding_in_lr_space(self.scale)[1] for layer in unpadded if not layer.from_hr_to_hr
    )
    reach = BICUBIC_REACH if unpadded and self.bicubic_first else 0
    return reach + on_lr + math.ceil(self._hr_border / self.scale)

  @property
  def _hr_border(self) -> int:
    """HR pixels on each side that layers without padding take off HR maps."""
    unpadded = (layer for layer in self.layers if layer.padding == "valid")
    return sum(layer.hr_padding[1] for layer in unpadded if layer.from_hr_to_hr)

  @nn.compact
  def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *scaled c2"]:
    """Maps luminance in 0..1 to HR luminance, less `margin`."""
    x = x - MID_GRAY
    has_bicubic = self.bicubic_first or self.bicubic_skip
    bicubic: Any = bicubic_phases(x, self.scale) if has_bicubic else None
    y = bicubic if self.bicubic_first else x
    y = y if self.contrast == 1 else self.contrast * y
    state = State(y)
    if self.layers[0].inputs.hr and self.bicubic_first and not self.in_lr_space:
      beyond = self.scale * self.margin - self._hr_border
      state = State(hr=crop_border(depth_to_space(y, self.scale), beyond))
    elif self.layers[0].inputs.hr and not self.bicubic_first:
      state = State(space_to_depth(y, self.scale)) if self.in_lr_space else State(hr=y)
    for layer in self.layers:
      state = Conv(layer, self.scale, self.in_lr_space, name=layer.name)(state)
    if state.hr is not None:
      y = state.hr + MID_GRAY
      return y + depth_to_space(bicubic, self.scale) if self.bicubic_skip else y
    y = state.lr + MID_GRAY
    return depth_to_space(y + bicubic if self.bicubic_skip else y, self.scale)


def lr_kernel(
  layer: Layer, kernels: Mapping[str, Any], scale: int
) -> tuple[Float[Array, "*kernel i o"], tuple[int, int]]:
  """The LR kernel that a layer's blocks make together, and the zeros around an axis."""
  low, high = padding = layer.padding_in_lr_space(scale)
  dims = next(iter(kernels.values())).ndim - 2
  if layer.transposed_size:
    return deconv_to_lr(kernels["from_lr"], scale, (layer.crop(scale),) * dims)[0], padding

  def widened(block: str) -> Array:
    kernel, (before, after) = kernels[block], layer.lr_padding
    if block == "hr_to_hr":
      lift = lift_conv if layer.tied else lift_untied_conv
      kernel, ((before, after), *_) = lift(kernel, scale, (layer.hr_padding,) * dims)
    return jnp.pad(kernel, (*((low - before, high - after),) * dims, (0, 0), (0, 0)))

  from_hr = [widened(block) for block in ("hr_to_lr", "hr_to_hr") if block in kernels]
  rows = [widened("from_lr")] if "from_lr" in kernels else []
  rows += [jnp.concatenate(from_hr, -1)] if from_hr else []
  return jnp.concatenate(rows, -2), padding


def by_channel(vector: Any, layer: Layer, phases: int) -> Any:
  """A number for each channel in LR space of one for each map: phases of an HR map share it."""
  if not layer.outputs.hr:
    return vector
  own = len(vector) - layer.outputs.lr  # as many as phases, where these are not tied
  shared = jnp.tile(vector[layer.outputs.lr :], phases * layer.outputs.hr // own)
  return jnp.concatenate([vector[: layer.outputs.lr], shared])


def crop_border(x: Float[Array, "b *space c"], pixels: int) -> Float[Array, "b *cropped c"]:
  """Takes this many pixels off every side of the images."""
  return x[:, *(slice(pixels, length - pixels) for length in x.shape[1:-1])]


def _normal(gain: float, fan_in: float | tuple[float, ...]) -> Callable:
  """Normal with variance `gain / fan_in`, a number or one for each output channel."""

  def draw(key: Array, shape: tuple[int, ...]) -> Array:
    values = jax.random.normal(key, shape)
    variance = jnp.array(gain / np.asarray(fan_in), values.dtype)
    return values * jnp.sqrt(variance).reshape((1,) * (len(shape) - 1) + (-1,))

  return draw
