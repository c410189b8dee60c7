"""The two networks of the note, and all between them: values of `Network`."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from sr_jax.networks.maps import Layer, Maps
from sr_jax.networks.network import MID_GRAY, Network, by_channel, lr_kernel

UPSAMPLINGS = ("bicubic", "transposed_conv")
GAIN = {"relu": 2.0, "tanh": 1.0}  # He et al. (2015), LeCun et al. (1998)
LAST_GAIN = {True: 0.01, False: 1.0}  # by skip: corrections of what it adds start near zero


@dataclasses.dataclass(frozen=True)
class Residual:
  """Residual blocks: an identity around every two hidden layers (EDSR, arXiv 1707.02921).

  The first layer of a block has an activation, the second has none, and nothing is normalised.

  Attributes:
    gain: variance of the second layer's initial kernel, times its fan-in.
    scale: factor of what a block adds.
  """

  gain: float = 0.0
  scale: float = 1.0


def scheduled_network(
  scale: int = 2,
  states: Sequence[Maps] = (Maps(16, 4),) * 5,
  kernel_size: int = 3,
  hr_kernel_size: int = 0,
  first_kernel_size: int = 5,
  activation: str = "relu",
  bicubic_skip: bool = True,
  bicubic_first: bool = False,
  target: Maps | None = None,
  tied: bool = True,
  execution: str = "hr_space",
  dims: int = 2,
  residual: Residual | None = None,
  crosses: bool = True,
  inputs: Maps | None = None,
  resize: str = "",
  identity_skip: bool = False,
  mid_input: float = MID_GRAY,
  mid_output: float = MID_GRAY,
) -> Network:
  """The network whose maps between two layers are these `states`: what upsamples, and when.

  A first layer to the first state, a hidden layer from each state to the next, a last layer to the
  `target`: the r^d phases of the HR image as LR maps (if None), or the image as HR maps. Kernels
  are k LR pixels and, from HR to HR maps, `hr_kernel_size` HR pixels (0: r k), where the odd zero
  of even ones alternates between the sides, first the end. The image is the `inputs`, one LR map if
  None. LR maps of it are read by a kernel of `first_kernel_size` LR pixels. With `bicubic_first`
  they are one HR map, of a bicubic interpolation, read by one of as many HR pixels. HR maps that
  are the image itself are read as those of any state: kernels that span `first_kernel_size` LR
  pixels of them would cost r^d times as much.

  With `resize`, layers from LR maps alone to HR maps alone are resize-convolutions of k HR pixels,
  but for a first layer. `residual` makes blocks of every two hidden layers. Without `crosses`,
  hidden layers between states of both kinds of maps are two streams.

  Raises:
    ValueError: there is no state, blocks do not begin and end with the same maps, or the layers do
      not make a network.
  """
  if not states:
    raise ValueError("a network needs a state between its first and its last layer")
  target = target or Maps(lr=scale**dims)
  gain, size = GAIN[activation], hr_kernel_size or scale * kernel_size
  image = inputs or (Maps(hr=1) if bicubic_first else Maps(lr=1))
  first = "first" if states[0].lr or image.hr else "transposed"
  is_hr_image = image.hr > 0 and not bicubic_first
  names = [first, *(f"hidden_{i}" for i in range(len(states) - 1)), "last"]
  layers, evens = [], 0
  for name, (before, after) in zip(
    names, itertools.pairwise([image, *states, target]), strict=True
  ):
    has_own_size = name == first and not is_hr_image
    k, hr_k = (first_kernel_size,) * 2 if has_own_size else (kernel_size, size)
    k = k if before.lr or after.lr else 0
    hr_k = hr_k if before.hr and after.hr else 0
    is_even = not has_own_size and hr_k > 0 and hr_k % 2 == 0
    at_start = is_even and evens % 2 == 1
    layer = Layer(name, before, after, k, hr_k, activation, gain, tied, at_start)
    is_stream = before.is_mixed and after.is_mixed
    resizes = name != first and not (before.hr or after.lr)
    layer = dataclasses.replace(layer, crosses=crosses or not is_stream)
    layers.append(dataclasses.replace(layer, resize=resize) if resizes else layer)
    evens += is_even
  if resize and not any(layer.resize for layer in layers):
    raise ValueError(f"resize is {resize!r}, and no layer goes from LR maps alone to HR maps alone")
  if residual:
    hidden = _in_blocks(layers[1:-1], residual)
    layers = [layers[0], *hidden, layers[-1]]
  has_skip = bicubic_skip or identity_skip
  last = dataclasses.replace(layers[-1], activation="", gain=LAST_GAIN[has_skip])
  return Network(
    scale,
    (*layers[:-1], last),
    bicubic_first,
    bicubic_skip,
    execution=execution,
    dims=dims,
    identity_skip=identity_skip,
    mid_input=mid_input,
    mid_output=mid_output,
  )


def _in_blocks(hidden: Sequence[Layer], residual: Residual) -> list[Layer]:
  """Hidden layers as residual blocks of two."""
  if len(hidden) % 2:
    raise ValueError(f"residual blocks are two hidden layers each, and there are {len(hidden)}")

  def second(layer: Layer) -> Layer:
    added = dataclasses.replace(layer, adds=2, residual_scale=residual.scale)
    return dataclasses.replace(added, activation="", gain=residual.gain)

  return [second(layer) if i % 2 else layer for i, layer in enumerate(hidden)]


def lr_network(
  scale: int = 2,
  features: int = 32,
  depth: int = 4,
  kernel_size: int = 3,
  first_kernel_size: int = 5,
  activation: str = "relu",
  bicubic_skip: bool = True,
  residual: Residual | None = None,
) -> Network:
  """The note's LR network: LR maps only, shuffled to the HR image at the end (Section 3)."""
  states = (Maps(lr=features),) * (depth + 1)
  sizes = kernel_size, 0, first_kernel_size
  return scheduled_network(scale, states, *sizes, activation, bicubic_skip, residual=residual)


def hr_network(
  scale: int = 2,
  features: int = 8,
  depth: int = 4,
  kernel_size: int = 6,
  first_kernel_size: int = 5,
  activation: str = "relu",
  bicubic_skip: bool = True,
  upsampling: str = "bicubic",
  execution: str = "hr_space",
  untied: bool = False,
  residual: Residual | None = None,
) -> Network:
  """The note's HR network: it upsamples first, then convolves HR maps with one kernel a map.

  `upsampling="bicubic"` interpolates before the first layer, of `first_kernel_size` HR pixels. With
  "transposed_conv" the first layer is a transposed convolution, whose kernel spans
  `first_kernel_size * scale` HR pixels. `untied` gives each phase of every HR map its own kernels
  and biases on the same windows.
  """
  if upsampling not in UPSAMPLINGS:
    raise ValueError(f"upsampling must be {' or '.join(UPSAMPLINGS)}, not {upsampling!r}")
  return scheduled_network(
    scale,
    (Maps(hr=features),) * (depth + 1),
    hr_kernel_size=kernel_size,
    first_kernel_size=first_kernel_size,
    activation=activation,
    bicubic_skip=bicubic_skip,
    bicubic_first=upsampling == "bicubic",
    target=Maps(hr=1),
    tied=not untied,
    execution=execution,
    residual=residual,
  )


def lifted(network: Network) -> Network:
  """The network of LR maps alone whose kernels are those of `network` in LR space.

  It reads the same image: where that has HR maps, so have the inputs of its first layer.

  Raises:
    ValueError: HR layers are not padded, and lose HR pixels at borders.
  """
  layers = []
  for layer in network.layers:
    low, high = layer.padding_in_lr_space(network.scale)
    inputs, outputs = (
      Maps(maps.channels(network.phases)) for maps in (layer.inputs, layer.outputs)
    )
    is_first = layer is network.layers[0]
    if is_first and not network.bicubic_first:
      inputs = layer.inputs
    name = "first" if is_first else layer.name
    if layer.from_hr_to_hr and layer.padding == "valid":
      raise ValueError(f"{layer.name} must be padded: in LR space it cannot lose HR pixels")
    in_lr_space = dataclasses.replace(
      layer,
      name=name,
      inputs=inputs,
      outputs=outputs,
      kernel_size=1 + low + high,
      hr_kernel_size=0,
      tied=True,
      extra_at_start=low > high,
      transposed_size=0,
      resize="",
      crosses=True,
    )
    layers.append(in_lr_space)
  return network.clone(layers=tuple(layers))


def note_networks(features: int, execution: str = "hr_space", **fields: Any) -> dict[str, Network]:
  """The networks whose containment is known, of `features` LR maps or as many phases of HR maps.

  By the names of arms: the note's pair at x2 ("lr" and "hr"), HR with learned upsampling, the same
  with phases untied, and the subset of LR whose phases are tied.
  """
  hr: dict[str, Any] = {"features": features // 4, "execution": execution, **fields}
  learned = {**hr, "upsampling": "transposed_conv"}
  return {
    "lr": lr_network(features=features, **fields),
    "hr": hr_network(**hr),
    "hr_learned": hr_network(**learned),
    "hr_untied": hr_network(untied=True, **learned),
    "lr_tied": hr_network(kernel_size=5, **learned),
  }


def lift_network(network: Network, params: Any) -> tuple[Network, Any]:
  """Lifts a network with its parameters to one of LR maps alone that computes the same.

  Equal up to the border. The lifted parameters are independent of each other and can be trained
  further. If `fits(K, r, k)` (operators/lifting.py) holds for all HR kernels K, and the upsampling
  is learned, they are parameters of an LR network with kernels k: the network is a member of that
  family. The note's own pair does not fit: a 6x6 at r = 2 lifts to 4x4.
  """
  lr_network, lr_params = lifted(network), {}
  for layer, lr_layer in zip(network.layers, lr_network.layers, strict=True):
    blocks = layer.blocks(network.phases, network.dims)
    kernels = {key: params[layer.name][block.name] for key, block in blocks.items()}
    kernel, _ = lr_kernel(layer, kernels, network.scale)
    vectors = [name for name in ("bias", "slope") if name in params[layer.name]]
    lr_params[lr_layer.name] = {"kernel": kernel} | {
      name: by_channel(params[layer.name][name], layer, network.phases) for name in vectors
    }
  return lr_network, lr_params


def untie_network(network: Network, params: Any) -> tuple[Network, Any]:
  """Gives each phase of every HR map kernels and biases of its own, equal to those that it shared.

  The network computes the same, at the same MACs, until its parameters are trained further.
  """
  untied = network.clone(
    layers=tuple(dataclasses.replace(layer, tied=False) for layer in network.layers)
  )
  repeated = {}
  for layer, free in zip(network.layers, untied.layers, strict=True):
    blocks = free.blocks(network.phases, network.dims)
    columns = {block.name: block.shape[-1] for block in blocks.values()}
    columns["bias"] = free.biases(network.phases)
    # Phases vary slowest: all maps of the first phase come first.
    repeated[layer.name] = {
      name: jnp.tile(leaf, columns.get(name, leaf.shape[-1]) // leaf.shape[-1])
      for name, leaf in params[layer.name].items()
    }
  return untied, repeated


def nearest(network: Network, lr_params: Any) -> Any:
  """The parameters of a network whose lift is nearest to these parameters of its `lifted` network.

  With `lift_network` after it, this is the orthogonal projection onto the network's family: tied
  weights and biases become their mean, and taps that no HR kernel reaches become zero.

  Raises:
    ValueError: a layer is a resize-convolution, whose lift does not copy its weights but adds them.
  """
  resizes = [layer.name for layer in network.layers if layer.resize]
  if resizes:
    raise ValueError(f"{', '.join(resizes)} resizes: lifted weights are sums, and have no mean")
  leaf = jax.tree.leaves(lr_params)[0]
  channels = 1 if network.bicubic_first else sum(dataclasses.astuple(network.layers[0].inputs))
  images = jnp.zeros((1, *(2 * network.scale,) * network.dims, channels), leaf.dtype)
  shapes = jax.eval_shape(network.init, jax.random.key(0), images)["params"]
  zero = 0 * leaf.ravel()[0].astype(int)  # which varies over a mesh as the parameters do
  params = jax.tree.map(lambda like: jnp.full(like.shape, zero, leaf.dtype), shapes)
  # The lift copies: its transpose sums over copies.
  _, transpose = jax.vjp(lambda params: lift_network(network, params)[1], params)
  ones = jax.tree.map(lambda like: jnp.full(like.shape, 1 + zero, leaf.dtype), lr_params)
  (sums,), (copies,) = transpose(lr_params), transpose(ones)
  return jax.tree.map(jnp.divide, sums, copies)
