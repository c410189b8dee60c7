"""Dead hidden units, whose output is the same number everywhere."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import images_in, read_luminance
from sr_jax.networks import Network
from sr_jax.networks.network import Conv

SIDE = 48  # of an image, in LR pixels


def sample_crops() -> Float[Array, "b h w 1"]:
  """The centre of every packaged photograph, as LR luminance in 0..1."""
  crops = []
  for path in images_in(SAMPLE_PHOTOS):
    pixels = read_luminance(path)
    top, left = ((side - SIDE) // 2 for side in pixels.shape)
    crops.append(pixels[top : top + SIDE, left : left + SIDE])
  return jax.numpy.asarray(np.stack(crops)[..., None] / np.float32(255))


def dead_units(
  network: Network, params: Any, lr: Float[Array, "b h w 1"]
) -> dict[str, tuple[list[int], int]]:
  """The dead units of one member, and the number of all units, by layer but the last.

  Dead is the same output at every pixel of every image, after the activation. A unit is a bias of a
  layer with an activation. With ReLU dead units are never positive on these images (or their kernel
  is zero); with PReLU or tanh their input does not vary, or they are saturated to the last bit. On
  other images a unit may vary.
  """

  @jax.jit
  def vary(params: Any, lr: Array) -> dict[str, Array]:
    capture: dict[str, Any] = {"capture_intermediates": lambda module, _: isinstance(module, Conv)}
    _, seen = network.apply({"params": params}, lr, mutable=["intermediates"], **capture)
    varies = {}
    for layer in network.layers[:-1]:
      (y,) = seen["intermediates"][layer.name]["__call__"]
      maps = jnp.split(y, [layer.outputs.lr], axis=-1)
      if layer.tied and layer.outputs.hr:  # phases share a bias: they are one unit
        maps[1] = maps[1].reshape(-1, layer.outputs.hr)
      units = [values.reshape(-1, values.shape[-1]) for values in maps if values.size]
      # NaN is not dead.
      varies[layer.name] = jnp.concatenate([y.min(axis=0) != y.max(axis=0) for y in units])
    return varies

  alive = vary(params, lr)
  return {
    layer.name: (np.flatnonzero(~np.asarray(alive[layer.name])).tolist(), len(alive[layer.name]))
    for layer in network.layers[:-1]
  }
