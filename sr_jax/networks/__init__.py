"""The network family, as one Flax module, and networks of the user's own beside it.

Also a faster `ConvTranspose`, for any network.

A super-resolution network maps low-resolution (LR) luminance in 0..1 to high-resolution (HR)
luminance, `(batch, h, w, 1) -> (batch, scale * h, scale * w, 1)`. The family has networks of one to
three dimensions, from LR or HR images of several maps to HR images of several maps. Costs follow
from a network's `layers`, those of a user's own from its computation: see budget.py.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config import InputError
from sr_jax.networks.conv_transpose import ConvTranspose as ConvTranspose  # for users
from sr_jax.networks.maps import Layer, Maps
from sr_jax.networks.network import Network, crop_border
from sr_jax.networks.own import OwnNetwork, own_network
from sr_jax.networks.own_source import code_of
from sr_jax.networks.pair import hr_network, lr_network
from sr_jax.networks.published import espcn, fsrcnn, srcnn

AnyNetwork = Network | OwnNetwork

# What runs of before the family described: a function and its arguments.
NAMED: dict[str, Callable[..., Network]] = {
  "LRNetwork": lr_network,
  "HRNetwork": hr_network,
  "ESPCN": espcn,
  "SRCNN": srcnn,
  "FSRCNN": fsrcnn,
}


def describe(network: AnyNetwork) -> dict[str, Any]:
  """A network as JSON data, every field of it and of its layers; `build` reads it."""
  if isinstance(network, OwnNetwork):
    return {**dataclasses.asdict(network), "code": network.code}
  names = [
    f.name for f in dataclasses.fields(network) if f.name not in ("layers", "parent", "name")
  ]
  layers = [dataclasses.asdict(layer) for layer in network.layers]
  return {**{name: getattr(network, name) for name in names}, "layers": layers}


def build(description: dict[str, Any]) -> AnyNetwork:
  """Makes a network from what `describe` returned, also in versions before the family.

  Raises:
    InputError: this version has no such network, or a user's own is not what and where it was.
  """
  try:
    if "source" in description:
      return _own(**description)
    if "kind" in description:
      kind = description["kind"]
      fields = {key: description[key] for key in description.keys() - {"kind"}}
      return NAMED[kind](**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
    layers = tuple(
      Layer(**{**layer, **{key: Maps(**layer[key]) for key in ("inputs", "outputs")}})
      for layer in description["layers"]
    )
    return Network(**{**description, "layers": layers})
  except InputError:
    raise
  except (KeyError, TypeError, ValueError) as error:
    kind = description.get("kind", "the one described")
    raise InputError(
      f"this version of sr_jax has no network like {kind} ({error}); the revision that config.json "
      "names can read it"
    ) from error


def _own(code: str, **fields: Any) -> OwnNetwork:
  """A network of the user's own, whose module is imported if it is what it was."""
  source = fields["source"]
  if code_of(source) != code:
    raise InputError(
      f"the module of {source} was changed since it was trained, and is not imported: restore it "
      "to open the run, or train it anew in another folder"
    )
  return own_network(**fields)


def upscale(
  network: AnyNetwork, params: Any, lr: Float[Array, "b *space c"]
) -> Float[Array, "b *space2 c2"]:
  """Upscales LR images, first extended by their edge pixels if the network has a `margin`."""
  sides = ((network.margin, network.margin),) * (lr.ndim - 2)
  extended = jnp.pad(lr, ((0, 0), *sides, (0, 0)), mode="edge")
  output: Any = network.apply({"params": params}, extended)
  return output


def squared_error(
  network: AnyNetwork,
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
