"""The two networks of the note, and the HR network lifted to LR space."""

import dataclasses
from typing import Any, ClassVar, TypeGuard

from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.networks.layers import ACTIVATIONS, MID_GRAY, Conv, Layer
from sr_jax.operators.resize import bicubic_phases, upscale_bicubic
from sr_jax.operators.shuffle import depth_to_space

EXECUTIONS = ("hr_space", "lr_space")  # of an `HRNetwork`
UPSAMPLINGS = ("bicubic", "transposed_conv")
LAST_GAIN = {True: 0.01, False: 1.0}  # by bicubic_skip: corrections of bicubic start near zero


class LRNetwork(nn.Module):
  """Convolves in LR space only; `depth_to_space` at the end makes the HR image (the note, Sec. 3).

  A first layer to `features` maps, `depth` hidden layers, a last layer to `scale**2` maps, then the
  periodic shuffling. With `bicubic_skip` the network predicts the error of bicubic interpolation.
  """

  scale: int = 2
  features: int = 32
  depth: int = 4
  kernel_size: int = 3
  first_kernel_size: int = 5
  activation: str = "relu"
  bicubic_skip: bool = True
  margin: ClassVar[int] = 0
  bicubic_first: ClassVar[bool] = False

  @property
  def layers(self) -> tuple[Layer, ...]:
    """The convolutions in order."""
    n, k, phases = self.features, self.kernel_size, self.scale**2
    return (
      Layer("first", "lr", self.first_kernel_size, 1, n, n),
      *(Layer(f"hidden_{i}", "lr", k, n, n, n) for i in range(self.depth)),
      Layer("last", "lr", k, n, phases, phases),
    )

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 1"]) -> Float[Array, "b rh rw 1"]:
    """Upscales LR luminance `x`."""
    _, gain = ACTIVATIONS[self.activation]
    *body, last = self.layers
    y = x = x - MID_GRAY
    for layer in body:
      y = Conv(layer, gain, self.activation, name=layer.name)(y)
    y = Conv(last, LAST_GAIN[self.bicubic_skip], name=last.name)(y)
    y = depth_to_space(y, self.scale) + MID_GRAY
    return y + upscale_bicubic(x, self.scale) if self.bicubic_skip else y


class HRNetwork(nn.Module):
  """Upsamples first, then convolves in HR space: the network that the note compares with.

  `upsampling="bicubic"` interpolates before the first layer. With "transposed_conv" the first layer
  is a transposed convolution of stride `scale`, whose kernel spans `first_kernel_size * scale` HR
  pixels. It is stored and computed as the equal LR convolution to `scale**2 * features` channels
  with `depth_to_space` and one bias a map, and so costs no more MACs.

  `execution="lr_space"` computes the same from the same parameters with convolutions lifted to LR
  space: more MACs, wider maps of fewer pixels, on CPU less time for large kernels. `untied`, in LR
  space only, gives each phase of every HR map its own kernels and biases on the same windows.

  The odd zero around even kernels alternates between the sides from layer to layer, first the end.
  """

  scale: int = 2
  features: int = 8
  depth: int = 4
  kernel_size: int = 6
  first_kernel_size: int = 5
  activation: str = "relu"
  bicubic_skip: bool = True
  upsampling: str = "bicubic"
  execution: str = "hr_space"
  untied: bool = False
  margin: ClassVar[int] = 0

  @property
  def layers(self) -> tuple[Layer, ...]:
    """The convolutions in order."""
    n, k, phases = self.features, self.kernel_size, self.scale**2
    own = phases if self.untied else 1
    if self.upsampling == "transposed_conv":
      first = Layer("transposed", "lr", self.first_kernel_size, 1, phases * n, own * n)
    else:
      first = Layer("first", "hr", self.first_kernel_size, 1, n, own * n, kernels=own)
    return (
      first,
      *(
        Layer(f"hidden_{i}", "hr", k, n, n, own * n, i % 2 == 1, kernels=own)
        for i in range(self.depth)
      ),
      Layer("last", "hr", k, n, 1, own, self.depth % 2 == 1, kernels=own),
    )

  @property
  def bicubic_first(self) -> bool:
    """Whether the first layer's input is a fixed bicubic interpolation."""
    return self.upsampling == "bicubic"

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 1"]) -> Float[Array, "b rh rw 1"]:
    """Upscales LR luminance `x`."""
    _, gain = ACTIVATIONS[self.activation]
    first, *hidden, last = self.layers
    if self.execution not in EXECUTIONS:
      raise ValueError(f"execution must be hr_space or lr_space, not {self.execution!r}")
    if self.upsampling not in UPSAMPLINGS:
      raise ValueError(f"upsampling must be {' or '.join(UPSAMPLINGS)}, not {self.upsampling!r}")
    if self.untied and self.execution == "hr_space":
      raise ValueError("an untied network must be executed in lr_space")
    lifted = self.execution == "lr_space"
    lift = self.scale if lifted else 1

    def to_hr(phases: Array) -> Array:
      return phases if lifted else depth_to_space(phases, self.scale)

    x = x - MID_GRAY
    bicubic = to_hr(bicubic_phases(x, self.scale))
    front = Conv(first, gain, self.activation, lift, name=first.name)
    y = front(bicubic) if self.bicubic_first else to_hr(front(x))
    for layer in hidden:
      y = Conv(layer, gain, self.activation, lift, name=layer.name)(y)
    y = Conv(last, LAST_GAIN[self.bicubic_skip], lift=lift, name=last.name)(y) + MID_GRAY
    if self.bicubic_skip:
      y = y + bicubic
    return depth_to_space(y, self.scale) if lifted else y


def has_two_executions(network: Any) -> TypeGuard[HRNetwork]:
  """Whether a network can be computed in HR space as well as in LR space."""
  return isinstance(network, HRNetwork) and not network.untied


class LiftedNetwork(nn.Module):
  """An `HRNetwork` in LR space with its own weights for every phase: see `lift_network`."""

  original: HRNetwork
  margin: ClassVar[int] = 0

  @property
  def scale(self) -> int:
    """Upscaling factor r."""
    return self.original.scale

  @property
  def bicubic_skip(self) -> bool:
    """Whether the network predicts the error of bicubic interpolation."""
    return self.original.bicubic_skip

  @property
  def bicubic_first(self) -> bool:
    """Whether the first layer's input is a fixed bicubic interpolation, in `scale**2` phases."""
    return self.original.bicubic_first

  @property
  def layers(self) -> tuple[Layer, ...]:
    """The convolutions in order, all in LR space."""
    first, *rest = (_lift_layer(layer, self.scale) for layer in self.original.layers)
    return (dataclasses.replace(first, name="first"), *rest)

  @nn.compact
  def __call__(self, x: Float[Array, "b h w 1"]) -> Float[Array, "b rh rw 1"]:
    """Upscales LR luminance `x`."""
    _, gain = ACTIVATIONS[self.original.activation]
    *body, last = self.layers
    x = x - MID_GRAY
    bicubic = bicubic_phases(x, self.scale)
    y = bicubic if self.bicubic_first else x
    for layer in body:
      y = Conv(layer, gain, self.original.activation, name=layer.name)(y)
    y = Conv(last, LAST_GAIN[self.bicubic_skip], name=last.name)(y) + MID_GRAY
    return depth_to_space(y + bicubic if self.bicubic_skip else y, self.scale)


def _lift_layer(layer: Layer, scale: int) -> Layer:
  """The layer with the kernel of `lift_conv`; for a layer in LR space, with untied biases."""
  if layer.grid == "lr":
    return dataclasses.replace(layer, biases=layer.outputs)
  before, after = (-(-zeros // scale) for zeros in layer.padding)
  maps = scale**2 * layer.outputs
  return Layer(
    layer.name, "lr", 1 + before + after, scale**2 * layer.inputs, maps, maps, before > after
  )


def lift_network(network: HRNetwork, params: Any) -> tuple[LiftedNetwork, Any]:
  """Lifts an HR network with its parameters to the LR-space network that computes the same.

  Equal up to the border, for either upsampling, execution or activation, with or without skip. The
  lifted parameters are independent of each other and can be trained further. If `fits(K, r, k)`
  (operators/lifting.py) holds for the HR kernels K, and the upsampling is learned, they are also
  the parameters of an `LRNetwork(features=r**2 * features, kernel_size=k)`: the HR family is a
  subset of that LR family. The note's own pair does not fit: a 6x6 at r = 2 lifts to 4x4.
  """
  lifted, lr_params = LiftedNetwork(network), {}
  for layer, lr_layer in zip(network.layers, lifted.layers, strict=True):
    kernel, bias = params[layer.name]["kernel"], params[layer.name]["bias"]
    if layer.grid == "hr":
      kernel, _ = layer.lift(kernel, network.scale)
    bias = jnp.tile(bias, lr_layer.biases // layer.biases)
    lr_params[lr_layer.name] = {"kernel": kernel, "bias": bias}
  return lifted, lr_params
