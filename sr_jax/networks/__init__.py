"""The networks, as Flax modules.

All take low-resolution (LR) luminance with values in 0..1 and give the high-resolution (HR) one,
`(batch, h, w, 1) -> (batch, scale * h, scale * w, 1)`. Their `layers` say what they cost.
"""

import dataclasses
from typing import Any

from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config import InputError
from sr_jax.networks.layers import Layer, without_border
from sr_jax.networks.pair import (
  EXECUTIONS,
  HRNetwork,
  LiftedNetwork,
  LRNetwork,
  has_two_executions,
  lift_network,
)
from sr_jax.networks.published import ESPCN, FSRCNN, SRCNN

__all__ = [
  "ESPCN",
  "EXECUTIONS",
  "FSRCNN",
  "SRCNN",
  "HRNetwork",
  "LRNetwork",
  "Layer",
  "LiftedNetwork",
  "Network",
  "build",
  "describe",
  "has_two_executions",
  "lift_network",
  "squared_error",
  "upscale",
]

Network = LRNetwork | HRNetwork | LiftedNetwork | ESPCN | SRCNN | FSRCNN
KINDS: dict[Any, Any] = {
  kind.__name__: kind for kind in (LRNetwork, HRNetwork, ESPCN, SRCNN, FSRCNN)
}


def describe(network: Network) -> dict[str, Any]:
  """A network as JSON data: its kind and every field; `build` makes it again."""
  fields = [f.name for f in dataclasses.fields(network) if f.name not in ("parent", "name")]
  return {"kind": type(network).__name__, **{name: getattr(network, name) for name in fields}}


def build(description: dict[str, Any]) -> Network:
  """The network that `describe` described.

  Raises:
    InputError: there is no such network.
  """
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in description.items()}
  try:
    found: Network = KINDS[fields.pop("kind")](**fields)
  except (KeyError, TypeError) as error:
    raise InputError(f"this version of sr_jax has no network like {description}") from error
  return found


def upscale(
  network: Network, params: Any, lr: Float[Array, "b h w 1"]
) -> Float[Array, "b rh rw 1"]:
  """What a network with these parameters makes of LR luminance.

  Where a network has no output within its `margin`, the image is first extended by its edge pixels.
  """
  around = (network.margin, network.margin)
  extended = jnp.pad(lr, ((0, 0), around, around, (0, 0)), mode="edge")
  output: Any = network.apply({"params": params}, extended)
  return output


def squared_error(
  network: Network,
  params: Any,
  lr: Float[Array, "b h w 1"],
  hr: Float[Array, "b rh rw 1"],
  margin: int | None = None,
) -> Float[Array, ""]:
  """The training loss: mean squared error over patches, less a margin around them.

  Args:
    network: has no output within its own margin.
    params: its parameters.
    lr: patches.
    hr: what they should become.
    margin: LR pixels to leave out on each side, at least the network's own, which is the default.
  """
  margin = network.margin if margin is None else margin
  output: Any = network.apply({"params": params}, lr)
  output = without_border(output, network.scale * (margin - network.margin))
  return jnp.mean((output - without_border(hr, network.scale * margin)) ** 2)
