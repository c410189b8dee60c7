"""LR networks of which groups of channels are made the phases of HR maps, and shuffled ones."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Float

from sr_jax.comparison.ties import Orders, structure_of, tied
from sr_jax.networks import Maps, Network
from sr_jax.operators.shuffle import depth_to_space, space_to_depth


def kernels_of(network: Network, params: Any) -> np.ndarray:
  """The hidden kernels `(members, layers, *kernel, n, n)` of parameters with a member axis."""
  hidden = network.layers[1:-1]
  return np.stack([np.asarray(params[layer.name]["kernel"]) for layer in hidden], axis=1)


def project(network: Network, params: Any, orders: Orders, maps: int | None = None) -> Any:
  """Parameters with a member axis whose channels act as HR maps, in these orders.

  Kernels between HR maps become their nearest tied ones, and biases and slopes the mean over the
  phases of a map: the orthogonal projection onto the lifts of HR networks. `maps` are how many of
  every state, the first in the order; the other channels stay LR maps.
  """
  structure = structure_of(network)
  phases, channels = structure.phases, orders.shape[-1]
  is_tied = np.arange(channels) % (channels // phases) < (maps or channels)
  masks = np.take_along_axis(np.broadcast_to(is_tied, orders.shape), np.argsort(orders), axis=2)
  projected = {name: dict(arrays) for name, arrays in params.items()}
  for layer, number in zip(network.layers[:-1], structure.classes, strict=True):
    order, mask = orders[:, number], masks[:, number]
    for name in {"bias", "slope"} & params[layer.name].keys():
      vector = np.asarray(params[layer.name][name])
      by_phase = np.take_along_axis(vector, order, axis=1).reshape(len(order), phases, -1)
      means = np.tile(by_phase.mean(axis=1), phases)
      means = np.take_along_axis(means, np.argsort(order), axis=1)
      projected[layer.name][name] = np.where(mask, means, vector)
  for layer, (reads, writes) in zip(network.layers[1:-1], structure.layers, strict=True):
    kernel = np.asarray(params[layer.name]["kernel"])
    flat = kernel.reshape(len(kernel), -1, channels, channels)
    nearest = tied(flat, orders[:, reads], orders[:, writes], structure)
    both = masks[:, reads, :, None] & masks[:, writes, None, :]
    projected[layer.name]["kernel"] = np.where(both[:, None], nearest, flat).reshape(kernel.shape)
  return projected


def shuffle(network: Network, params: Any, orders: Orders) -> Any:
  """Parameters with a member axis that compute the same, their channels in these orders."""
  classes = structure_of(network).classes
  ends = [None, *(orders[:, number] for number in classes), None]
  shuffled: dict[str, dict[str, np.ndarray]] = {}
  for layer, reads, writes in zip(network.layers, ends, ends[1:], strict=False):
    shuffled[layer.name] = {
      name: _reordered(np.asarray(array), reads, writes)
      for name, array in params[layer.name].items()
    }
  return shuffled


def _reordered(
  array: np.ndarray, reads: np.ndarray | None, writes: np.ndarray | None
) -> np.ndarray:
  """A kernel or a vector with a member axis, its inputs and outputs in these orders."""
  if writes is not None:
    array = np.take_along_axis(array, _along(writes, array.ndim, -1), axis=-1)
  if reads is not None and array.ndim > 2:
    array = np.take_along_axis(array, _along(reads, array.ndim, -2), axis=-2)
  return array


def _along(order: np.ndarray, ndim: int, axis: int) -> np.ndarray:
  """Orders `(members, n)` as an array of so many axes, n along one of them."""
  return order.reshape(len(order), *(1,) * (ndim + axis - 1), -1, *(1,) * (-axis - 1))


def hr_counterpart(network: Network) -> Network:
  """The network of HR maps alone, each state's channels as its phases, whose lift is this one."""
  first, *hidden, last = network.layers
  state = Maps(hr=first.outputs.lr // network.phases)
  layers = [dataclasses.replace(first, outputs=state)]
  for layer in hidden:
    taps = network.scale * (layer.kernel_size - 1) + 1
    in_hr_space = dataclasses.replace(
      layer, kernel_size=0, hr_kernel_size=taps, inputs=state, outputs=state
    )
    layers.append(in_hr_space)
  return network.clone(layers=(*layers, dataclasses.replace(last, inputs=state)))


def state_of(
  network: Network, params: Any, state: int, lr: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w n"]:
  """The channels of a state of an LR network for one image, luminance in 0..1.

  `params` are of one network, without a member axis.
  """
  until = network.clone(layers=network.layers[: state + 1], bicubic_skip=False)
  arrays = jax.tree.map(jnp.asarray, params)
  maps: Any = until.apply({"params": arrays}, jnp.asarray(lr)[None, :, :, None])
  return np.asarray(space_to_depth(maps, network.scale))[0]


def interleave(phases: Float[np.ndarray, "h w r"], scale: int) -> Float[np.ndarray, "rh rw"]:
  """R channels as the phases of one HR map."""
  return np.asarray(depth_to_space(jnp.asarray(phases)[None], scale))[0, :, :, 0]
