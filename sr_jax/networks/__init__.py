"""The networks, as Flax modules; and a faster `ConvTranspose`, for any network.

The networks map low-resolution (LR) luminance in 0..1 to high-resolution (HR) luminance, `(batch,
h, w, 1) -> (batch, scale * h, scale * w, 1)`. Their costs follow from their `layers`.
"""

import dataclasses
from typing import Any

from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config import InputError
from sr_jax.networks.conv_transpose import ConvTranspose as ConvTranspose  # for users
from sr_jax.networks.layers import crop_border
from sr_jax.networks.pair import HRNetwork, LiftedNetwork, LRNetwork
from sr_jax.networks.published import ESPCN, FSRCNN, SRCNN

Network = LRNetwork | HRNetwork | LiftedNetwork | ESPCN | SRCNN | FSRCNN
KINDS: dict[Any, Any] = {k.__name__: k for k in (LRNetwork, HRNetwork, ESPCN, SRCNN, FSRCNN)}


def describe(network: Network) -> dict[str, Any]:
  """A network as JSON data, its kind and every field; `build` reads it."""
  fields = [f.name for f in dataclasses.fields(network) if f.name not in ("parent", "name")]
  return {"kind": type(network).__name__, **{name: getattr(network, name) for name in fields}}


def build(description: dict[str, Any]) -> Network:
  """Makes a network from what `describe` returned.

  Raises:
    InputError: this version has no such network.
  """
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in description.items()}
  try:
    network: Network = KINDS[fields.pop("kind")](**fields)
  except (KeyError, TypeError) as error:
    raise InputError(f"this version of sr_jax has no network like {description}") from error
  return network


def upscale(
  network: Network, params: Any, lr: Float[Array, "b h w 1"]
) -> Float[Array, "b rh rw 1"]:
  """Upscales LR luminance, first extended by its edge pixels if the network has a `margin`."""
  sides = (network.margin, network.margin)
  extended = jnp.pad(lr, ((0, 0), sides, sides, (0, 0)), mode="edge")
  output: Any = network.apply({"params": params}, extended)
  return output


def squared_error(
  network: Network,
  params: Any,
  lr: Float[Array, "b h w 1"],
  hr: Float[Array, "b rh rw 1"],
  margin: int | None = None,
) -> Float[Array, ""]:
  """The training loss: mean squared error over patches, less `margin` LR pixels on each side.

  The default is the network's own margin, within which it has no output; a larger one is cropped.
  """
  margin = network.margin if margin is None else margin
  output: Any = network.apply({"params": params}, lr)
  output = crop_border(output, network.scale * (margin - network.margin))
  return jnp.mean((output - crop_border(hr, network.scale * margin)) ** 2)
