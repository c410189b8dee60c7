"""The network of this package: layers between states of LR and HR maps, which can be added."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.networks.maps import Layer, Maps
from sr_jax.operators.conv import conv
from sr_jax.operators.conversion import AnyArray, deconv_to_lr
from sr_jax.operators.lifting import lift_conv, lift_untied_conv
from sr_jax.operators.resize import BICUBIC_REACH, bicubic_phases
from sr_jax.operators.resize_conv import resize_conv_to_deconv
from sr_jax.operators.shuffle import depth_to_space, space_to_depth

EXECUTIONS = ("hr_space", "lr_space")
PRELU_SLOPE = 0.25  # at the start: He et al. (2015)

# Networks of images subtract it. The first and last biases could learn that, but so zero padding is
# mid-gray, and members whose ReLUs all die at useful learning rates become rare.
MID_GRAY = 0.5


class Conv(nn.Module):
  """The convolution that a `Layer` describes, with its bias and its activation.

  In LR space it is one LR convolution of l LR maps and the phases of h HR maps, `(b, *space,
  l + R h)`. In HR space its inputs, and its outputs, are of one kind, and HR maps are `(b, *scaled,
  h)`. Kernels are drawn normal with variance `gain / fan_in`.
  """

  layer: Layer
  scale: int
  in_lr_space: bool

  @nn.compact
  def __call__(self, x: Float[Array, "b *space i"]) -> Float[Array, "b *space2 o"]:
    """Convolves a state."""
    layer, dims = self.layer, x.ndim - 2
    phases, in_hr_space = self.scale**dims, not self.in_lr_space
    kernels = {
      key: self.param(block.name, _normal(layer.gain, block.fan_in), block.shape)
      for key, block in layer.blocks(phases, dims).items()
    }
    bias = self.param("bias", nn.initializers.zeros_init(), (layer.biases(phases),))
    is_relu = layer.activation == "relu"  # which the native convolution has built in

    def convolve(x: Array, kernel: Array, padding: tuple[int, int], bias: Array) -> Array:
      pair = (0, 0) if layer.padding == "valid" else padding
      return conv(x, kernel, (pair,) * dims, bias=bias, relu=is_relu)

    if layer.from_hr_to_hr and in_hr_space:
      y = convolve(x, kernels["hr_to_hr"], layer.hr_padding, bias)
    else:
      x = space_to_depth(x, self.scale) if layer.inputs.hr and in_hr_space else x
      bias = by_channel(bias, layer, phases)
      if layer.crosses:
        y = convolve(x, *lr_kernel(layer, kernels, self.scale), bias)
      else:
        xs, biases = jnp.split(x, [layer.inputs.lr], -1), jnp.split(bias, [layer.outputs.lr])
        streams = zip(layer.streams, kernels.items(), xs, biases, strict=True)
        parts = [
          convolve(x, *lr_kernel(stream, {key: kernel}, self.scale), bias)
          for stream, (key, kernel), x, bias in streams
        ]
        y = jnp.concatenate(parts, -1)
    if layer.activation == "tanh":
      y = nn.tanh(y)
    if layer.slopes:
      start = nn.initializers.constant(PRELU_SLOPE)
      slope = by_channel(self.param("slope", start, (layer.slopes,)), layer, phases)
      y = jnp.where(y > 0, y, slope.reshape((1,) * (y.ndim - 1) + (-1,)) * y)
    to_hr_space = in_hr_space and layer.outputs.hr and not layer.from_hr_to_hr
    return depth_to_space(y, self.scale) if to_hr_space else y


class Network(nn.Module):
  """A sequence of layers between states of LR and HR maps, from an image to an HR image.

  The image is on the grid of the first layer's inputs; with `bicubic_first` it is an LR image that
  is interpolated to them. LR maps that the last layer writes are the phases of the HR image. An
  image may have several maps.

  Attributes:
    scale: upscaling factor r.
    layers: the convolutions in order.
    bicubic_first: whether the first layer reads a fixed bicubic interpolation.
    bicubic_skip: whether the network predicts what bicubic interpolation misses.
    contrast: factor of the image less `mid_input`.
    execution: where HR maps are convolved if there is a choice: "hr_space", or "lr_space".
    dims: spatial axes d of an image.
    identity_skip: whether the network predicts what its HR input misses.
    mid_input: the middle of an image's values, which is subtracted first.
    mid_output: the middle of the HR image's values, which is added last.

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
  identity_skip: bool = False
  mid_input: float = MID_GRAY
  mid_output: float = MID_GRAY

  def __post_init__(self) -> None:
    if self.execution not in EXECUTIONS:
      raise ValueError(f"execution must be hr_space or lr_space, not {self.execution!r}")
    if not self.layers or self.layers[-1].outputs.is_mixed or self.layers[0].inputs.is_mixed:
      raise ValueError("a network needs layers, from maps of one kind to maps of one kind")
    self._check_skips()
    for layer, after in itertools.pairwise(self.layers):
      if layer.outputs != after.inputs:
        raise ValueError(f"{after.name} reads {after.inputs}, {layer.name} writes {layer.outputs}")
    states = [self.layers[0].inputs, *(layer.outputs for layer in self.layers)]
    for end, layer in enumerate(self.layers, start=1):
      block = self.layers[end - layer.adds : end] if 0 <= layer.adds <= end else ()
      if layer.adds and (not block or states[end - layer.adds] != layer.outputs):
        raise ValueError(f"{layer.name} writes {layer.outputs}, and has no such state to add to it")
      if any(inner.padding == "valid" for inner in block):
        raise ValueError(f"{layer.name} adds a state to one that layers without padding have cut")
    for layer in self.layers:
      if layer.padding == "valid" and layer.from_hr_to_hr and self.in_lr_space:
        raise ValueError(f"{layer.name} must be padded in LR space: it loses HR pixels at borders")
    unpadded = [layer for layer in self.layers if layer.padding == "valid"]
    on_lr, on_hr = (not any(each.inputs.hr for each in unpadded), self.bicubic_first)
    has_skip = self.bicubic_skip or self.identity_skip
    if unpadded and (has_skip or not (on_lr or (on_hr and self._can_be_in_hr_space))):
      raise ValueError("layers without padding must read maps of one kind, without a skip")
    if self.layers[-1].outputs.lr % self.phases:
      raise ValueError(
        f"the last layer writes {self.layers[-1].outputs}, no multiple of the phases"
      )
    super().__post_init__()

  def _check_skips(self) -> None:
    """Raises a ValueError if what is interpolated or added is not of the form that needs."""
    inputs, outputs = self.layers[0].inputs, self.layers[-1].outputs
    if self.bicubic_skip and inputs.hr and not self.bicubic_first:
      raise ValueError("bicubic_skip needs an LR image to interpolate, and the layers read HR maps")
    if self.bicubic_first and inputs.channels(self.phases) != self.phases:
      raise ValueError(f"bicubic_first interpolates to one HR map, and the layers read {inputs}")
    if self.bicubic_skip and not self.bicubic_first and inputs.lr != 1:
      raise ValueError(f"bicubic_skip interpolates one LR map, and the layers read {inputs}")
    if self.bicubic_skip and outputs.channels(self.phases) != self.phases:
      raise ValueError(f"bicubic_skip is added to one HR map, and the layers write {outputs}")
    writes_inputs = outputs.channels(self.phases) == self.phases * inputs.hr
    if self.identity_skip and (self.bicubic_first or inputs.lr or not writes_inputs):
      raise ValueError(
        f"identity_skip adds the HR maps that are read to as many, and the layers read {inputs} "
        f"and write {outputs}" + ", of an interpolation" * self.bicubic_first
      )
    if (self.bicubic_skip or self.identity_skip) and self.mid_input != self.mid_output:
      raise ValueError(
        "with a skip, which adds the image less mid_input, mid_input and mid_output must be equal, "
        f"not {self.mid_input:g} and {self.mid_output:g}"
      )

  @property
  def phases(self) -> int:
    """R = r^d, the phases of an HR map."""
    return self.scale**self.dims

  @property
  def image_maps(self) -> Maps:
    """Maps of an image that it reads."""
    maps = self.layers[0].inputs
    return Maps(lr=maps.hr) if self.bicubic_first else maps

  @property
  def target_maps(self) -> Maps:
    """Maps of the HR image that it writes."""
    maps = self.layers[-1].outputs
    return Maps(hr=maps.hr + maps.lr // self.phases)

  @property
  def _can_be_in_hr_space(self) -> bool:
    """Whether a kernel is shared by phases, none is not, and no state mixes both kinds of maps.

    A mixed state is faster as one LR convolution, also where that takes more MACs.
    """
    tied = [layer.tied for layer in self.layers if layer.from_hr_to_hr]
    return bool(tied) and all(tied) and not any(layer.outputs.is_mixed for layer in self.layers)

  @property
  def has_two_executions(self) -> bool:
    """Whether HR maps can be convolved in HR space as well as in LR space."""
    is_padded = all(layer.padding == "same" for layer in self.layers)
    return self._can_be_in_hr_space and is_padded

  @property
  def in_lr_space(self) -> bool:
    """Whether states are in LR space: where that is asked for, or there is no choice."""
    return self.execution == "lr_space" or not self._can_be_in_hr_space

  @property
  def _borders(self) -> tuple[int, int]:
    """LR pixels and HR pixels on each side that layers without padding take off."""
    unpadded = [layer for layer in self.layers if layer.padding == "valid"]
    on_hr = sum(layer.hr_padding[1] for layer in unpadded if layer.from_hr_to_hr)
    on_lr = [each.padding_in_lr_space(self.scale)[1] for each in unpadded if not each.from_hr_to_hr]
    return sum(on_lr) + (BICUBIC_REACH if unpadded and self.bicubic_first else 0), on_hr

  @property
  def margin(self) -> int:
    """LR pixels on each side of an image for which layers without padding have no output."""
    on_lr, on_hr = self._borders
    return on_lr - (-on_hr // self.scale)

  @nn.compact
  def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *scaled c2"]:
    """Maps an image, as luminance in 0..1, to an HR image, less `margin`."""
    has_bicubic = self.bicubic_first or self.bicubic_skip
    x = x - self.mid_input
    bicubic: Any = bicubic_phases(x, self.scale) if has_bicubic else None
    y = bicubic if self.bicubic_first else x
    y = y if self.contrast == 1 else self.contrast * y
    if self.layers[0].inputs.hr and self.bicubic_first and not self.in_lr_space:
      beyond = self.scale * self.margin - self._borders[1]
      y = crop_border(depth_to_space(y, self.scale), beyond)
    elif self.layers[0].inputs.hr and not self.bicubic_first and self.in_lr_space:
      y = space_to_depth(y, self.scale)
    states = [y]
    for layer in self.layers:
      y = Conv(layer, self.scale, self.in_lr_space, name=layer.name)(states[-1])
      if layer.adds:
        y = states[-layer.adds] + (y if layer.residual_scale == 1 else layer.residual_scale * y)
      states.append(y)
    y = y + self.mid_output
    if self.layers[-1].outputs.hr and not self.in_lr_space:
      y = y + depth_to_space(bicubic, self.scale) if self.bicubic_skip else y
    else:
      y = depth_to_space(y + bicubic if self.bicubic_skip else y, self.scale)
    return y + x if self.identity_skip else y


def transposed_kernel(
  layer: Layer, kernel: Float[AnyArray, "*kernel i o"], scale: int
) -> Float[AnyArray, "*deconv i o"]:
  """The transposed kernel, of `layer.transposed_side`, that a layer with this kernel is."""
  return resize_conv_to_deconv(kernel, layer.resize, scale) if layer.resize else kernel


def lr_kernel(
  layer: Layer, kernels: Mapping[str, Any], scale: int
) -> tuple[Float[Array, "*kernel i o"], tuple[int, int]]:
  """The LR kernel that a layer's blocks make together, and the zeros around an axis."""
  low, high = padding = layer.padding_in_lr_space(scale)
  dims = next(iter(kernels.values())).ndim - 2
  if layer.transposed_side(scale):
    kernel = transposed_kernel(layer, kernels["from_lr"], scale)
    return deconv_to_lr(kernel, scale, (layer.crop(scale),) * dims)[0], padding

  def widened(key: str) -> Array:
    kernel, (before, after) = kernels[key], layer.lr_padding
    if key == "hr_to_hr":
      lift = lift_conv if layer.tied else lift_untied_conv
      kernel, ((before, after), *_) = lift(kernel, scale, (layer.hr_padding,) * dims)
    return jnp.pad(kernel, (*((low - before, high - after),) * dims, (0, 0), (0, 0)))

  if not layer.crosses:
    on_lr, on_hr = widened("from_lr"), widened("hr_to_hr")
    sides, lr, hr = ((0, 0),) * (dims + 1), on_lr.shape[-1], on_hr.shape[-1]
    rows = [jnp.pad(on_lr, (*sides, (0, hr))), jnp.pad(on_hr, (*sides, (lr, 0)))]
    return jnp.concatenate(rows, -2), padding
  from_hr = [widened(key) for key in ("hr_to_lr", "hr_to_hr") if key in kernels]
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
