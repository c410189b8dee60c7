"""The networks, as Flax modules.

All take low-resolution (LR) luminance with values in 0..1 and give the high-resolution (HR) one,
`(batch, h, w, 1) -> (batch, scale * h, scale * w, 1)`. Their `layers` say what they cost.
"""

from typing import Any

from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.networks.layers import Layer
from sr_jax.networks.pair import HRNetwork, LiftedNetwork, LRNetwork, lift_network
from sr_jax.networks.published import ESPCN, FSRCNN, SRCNN

__all__ = [
  "ESPCN",
  "FSRCNN",
  "SRCNN",
  "HRNetwork",
  "LRNetwork",
  "Layer",
  "LiftedNetwork",
  "Network",
  "apply",
  "lift_network",
  "upscale",
  "without_margin",
]

Network = LRNetwork | HRNetwork | LiftedNetwork | ESPCN | SRCNN | FSRCNN


def upscale(
  network: Network, params: Any, lr: Float[Array, "b h w 1"]
) -> Float[Array, "b rh rw 1"]:
  """What a network with these parameters makes of LR luminance.

  Where a network has no output within its `margin`, the image is first extended by its edge pixels.
  """
  around = (network.margin, network.margin)
  output: Any = apply(network, params, jnp.pad(lr, ((0, 0), around, around, (0, 0)), mode="edge"))
  return output


def apply(
  network: Network, params: Any, lr: Float[Array, "b h w 1"]
) -> Float[Array, "b rh2 rw2 1"]:
  """The network's output for LR patches, less `margin` on each side."""
  output: Any = network.apply({"params": params}, lr)
  return output


def without_margin(network: Network, hr: Float[Array, "b rh rw 1"]) -> Float[Array, "b rh2 rw2 1"]:
  """The part of HR patches that the network's output is to equal."""
  border = network.scale * network.margin
  return hr[:, border : hr.shape[1] - border, border : hr.shape[2] - border]
