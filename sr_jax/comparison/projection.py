"""LR networks of which groups of channels are made the phases of HR maps, and equivalent ones."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Float

from sr_jax.comparison.ties import Orders, ratio, structure_of, tied
from sr_jax.networks import Maps, Network
from sr_jax.operators.shuffle import depth_to_space, space_to_depth

SWEEPS = 200  # at most, of `balanced`
MIN_CHANGE = 1e-10  # of the logarithm of a factor


def kernels_of(network: Network, params: Any) -> np.ndarray:
  """The hidden kernels `(members, layers, *kernel, n, n)` of parameters with a member axis."""
  hidden = network.layers[1:-1]
  return np.stack([np.asarray(params[layer.name]["kernel"]) for layer in hidden], axis=1)


def balanced(network: Network, params: Any) -> Any:
  """Parameters with a member axis that compute the same, their channels of comparable strength.

  Positive factors of channels pass through a ReLU, so that they are arbitrary, and phases of an HR
  map may differ by them. They are chosen by the energy of hidden kernels, which all phases of an HR
  map share in a network of HR maps: as much of it into a channel as out of it, or the same for all
  channels of a state that no hidden layer writes, or none reads. Every layer counts alike. Channels
  without energy stay as they are, and so do networks with tanh, which have no such factors.
  """
  if any(layer.activation == "tanh" for layer in network.layers):
    return params
  structure, kernels = structure_of(network), kernels_of(network, params).astype(float)
  energies = (kernels**2).sum(axis=tuple(range(2, kernels.ndim - 2)))  # (members, layers, n, n)
  logs = np.zeros((len(kernels), max(structure.classes) + 1, kernels.shape[-1]))
  for _ in range(SWEEPS):
    before = logs.copy()
    for number in range(logs.shape[1]):
      logs[:, number] += _log_factors(energies, logs, number, structure.layers)
    if np.abs(logs - before).max() < MIN_CHANGE:
      break
  factors = [np.exp(logs[:, number]) for number in structure.classes]
  ones = np.ones((len(kernels), 1))
  scaled: dict[str, dict[str, np.ndarray]] = {}
  for layer, reads, writes in zip(network.layers, [ones, *factors], [*factors, ones], strict=True):
    scaled[layer.name] = dict(params[layer.name])
    for name, vector in {"kernel": writes[:, None] / reads[:, :, None], "bias": writes}.items():
      array = np.asarray(params[layer.name][name])
      by_axis = vector.reshape(len(array), *(1,) * (array.ndim - vector.ndim), *vector.shape[1:])
      scaled[layer.name][name] = (array * by_axis).astype(array.dtype)
  return scaled


def _log_factors(
  energies: Float[np.ndarray, "b l n n2"],
  logs: Float[np.ndarray, "b classes n"],
  number: int,
  layers: list[tuple[int, int]],
) -> Float[np.ndarray, "b n"]:
  """What balances the channels of one class, in the logarithm, beside what factors they have."""
  into, out_of = [], []
  for layer, (reads, writes) in enumerate(layers):
    if number in (reads, writes):
      energy = energies[:, layer] * np.exp(2 * (logs[:, None, writes] - logs[:, reads, :, None]))
      energy = ratio(energy, energy.sum(axis=(1, 2), keepdims=True))
      if reads == number:
        out_of.append(energy.sum(axis=2))
      if writes == number:
        into.append(energy.sum(axis=1))
  sides = [(sign, np.sum(side, axis=0)) for sign, side in ((1, out_of), (-1, into)) if side]
  has_energy = np.all([energy > 0 for _, energy in sides], axis=0)
  own = np.zeros(has_energy.shape)
  for sign, energy in sides:
    own += sign * np.log(np.where(has_energy, energy, 1)) / (2 * len(sides))
  count = np.maximum(has_energy.sum(axis=1, keepdims=True), 1)
  return np.where(has_energy, own - own.sum(axis=1, keepdims=True) / count, 0)


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


def hr_counterpart(network: Network, maps: int | None = None) -> Network:
  """The network in whose states channels are phases of HR maps, whose lift has these kernel sizes.

  All channels of the LR network are, or those of this number of HR maps; the others stay LR maps.
  """
  first, *hidden, last = network.layers
  channels = first.outputs.lr
  maps = maps or channels // network.phases
  state = Maps(lr=channels - network.phases * maps, hr=maps)
  layers = [dataclasses.replace(first, outputs=state)]
  for layer in hidden:
    size, taps = layer.kernel_size, network.scale * (layer.kernel_size - 1) + 1
    with_hr_maps = dataclasses.replace(
      layer,
      kernel_size=size if state.lr else 0,
      hr_kernel_size=taps,
      inputs=state,
      outputs=state,
    )
    layers.append(with_hr_maps)
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
