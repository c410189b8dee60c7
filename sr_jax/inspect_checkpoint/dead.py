"""Dead hidden units: those whose output is the same number everywhere."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import images_in, read_luminance
from sr_jax.networks import Network
from sr_jax.networks.layers import ACTIVATIONS, Conv

SIDE = 48  # of a probe, in LR pixels


def probes() -> Float[Array, "b h w 1"]:
  """The middle of every photograph that the package holds, taken as LR luminance in 0..1."""
  middles = []
  for path in images_in(SAMPLE_PHOTOS):
    pixels = read_luminance(path)
    top, left = ((side - SIDE) // 2 for side in pixels.shape)
    middles.append(pixels[top : top + SIDE, left : left + SIDE])
  return jax.numpy.asarray(np.stack(middles)[..., None] / np.float32(255))


def dead_units(
  network: Network, params: Any, lr: Float[Array, "b h w 1"]
) -> dict[str, tuple[list[int], int]]:
  """Units that pass nothing on: after the activation, one number at every pixel of every image.

  A unit is a bias of a layer that an activation follows. With ReLU dead units are those never
  positive on these images (or whose kernel is zero); with PReLU or tanh, those whose kernel sees
  nothing that varies, or which are saturated to the last bit. A unit may live on other images.

  Args:
    network: the Flax module.
    params: its parameters, of one member.
    lr: images, as from `probes`.

  Returns:
    the dead units and the number of all, by layer, the last layer left out.
  """
  # Of the published networks, those without the field have ReLU, or PReLU within `Conv`.
  activation, _ = ACTIVATIONS[getattr(network, "activation", "relu")]

  @jax.jit
  def vary(params: Any, lr: Array) -> dict[str, Array]:
    _, seen = network.apply(
      {"params": params},
      lr,
      capture_intermediates=lambda module, _: isinstance(module, Conv),
      mutable=["intermediates"],
    )
    found = {}
    for layer in network.layers[:-1]:
      (y,) = seen["intermediates"][layer.name]["__call__"]
      y = y if layer.slopes else activation(y)
      # Phases of one HR map share a bias: they are one unit.
      units = y.reshape(-1, y.shape[-1] // layer.biases, layer.biases)
      found[layer.name] = units.min(axis=(0, 1)) != units.max(axis=(0, 1))  # NaN is not dead
    return found

  return {
    name: (np.flatnonzero(~np.asarray(alive)).tolist(), len(alive))
    for name, alive in vary(params, lr).items()
  }
