"""Which channels of an LR network are most like the phases of HR maps.

A convolution from HR to HR maps of K = r (k - 1) + 1 taps is, in LR space, one of k taps whose
weights are tied over the phases (operators/lifting.py). Kernels of LR networks have some of their
energy, their sum of squares, in that subspace, once the n channels of every state are put in an
order: channel `order[phase * M + map]` is this phase of this one of M = n / R HR maps. An order is
of a state: of the layer that writes it and of the layer that reads it, and of all states that
residual connections add to each other.

Kernels are `(batch, layers, *kernel, n, n)` here, orders `(batch, classes, n)`.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sr_jax.networks import Network

Orders = Int[np.ndarray, "b classes n"]


class Structure(NamedTuple):
  """What a search has to know of a network beside its kernels.

  Attributes:
    scale: upscaling factor r.
    dims: spatial axes d.
    classes: of every state, in order, the number of its order; hidden layer i reads state i and
      writes state i + 1.
  """

  scale: int
  dims: int
  classes: tuple[int, ...]

  @property
  def phases(self) -> int:
    """R = r^d."""
    return self.scale**self.dims

  @property
  def layers(self) -> list[tuple[int, int]]:
    """The classes that every hidden layer reads and writes."""
    return list(zip(self.classes, self.classes[1:], strict=False))


def structure_of(network: Network) -> Structure:
  """The structure of an LR network.

  Raises:
    ValueError: its states are not n LR maps each, n a multiple of R, or its hidden kernels are not
      of one odd size, or it adds states one layer apart.
  """
  states, hidden = {layer.outputs for layer in network.layers[:-1]}, network.layers[1:-1]
  sizes = {layer.kernel_size for layer in hidden}
  is_lr = len(states) == 1 and not next(iter(states)).hr
  if not is_lr or next(iter(states)).lr % network.phases:
    raise ValueError(f"states must be equally many LR maps, a multiple of R, not {states}")
  if len(sizes) != 1 or not next(iter(sizes)) % 2:
    raise ValueError(f"hidden layers must have kernels of one odd size, not {sizes or 'none'}")
  structure = Structure(network.scale, network.dims, states_of(network))
  if any(reads == writes for reads, writes in structure.layers):
    raise ValueError("a state must not be added to the one after it")
  return structure


def states_of(network: Network) -> tuple[int, ...]:
  """The class of every state: states that are added to each other share an order of channels."""
  classes: list[int] = []
  for place, layer in enumerate(network.layers[:-1]):
    is_new = not 0 < layer.adds <= place
    classes.append(max(classes, default=-1) + 1 if is_new else classes[place - layer.adds])
  return tuple(classes)


@functools.cache
def _taps(scale: int, size: int, dims: int) -> Int[np.ndarray, "t r r2"]:
  """The HR tap that an LR tap is, from each phase to each phase; -1 where it is none.

  Along an axis, LR tap t from phase phi to phase phi' is HR tap r t + phi - phi' (`lift_conv`).
  """
  taps = scale * (size - 1) + 1
  lr_tap, before, after = np.ogrid[:size, :scale, :scale]
  along = scale * lr_tap + before - after
  is_tap = (along >= 0) & (along < taps)
  table, exists = np.zeros((1, 1, 1), int), np.ones((1, 1, 1), bool)
  for _ in range(dims):
    shape = [a * b for a, b in zip(table.shape, along.shape, strict=True)]
    table = table[:, None, :, None, :, None] * taps + along[None, :, None, :, None, :]
    exists = exists[:, None, :, None, :, None] & is_tap[None, :, None, :, None, :]
    table, exists = table.reshape(shape), exists.reshape(shape)
  return np.where(exists, table, -1)


@functools.cache
def sources_of(scale: int, size: int, dims: int, writes: bool) -> Int[np.ndarray, "2 taps r"]:
  """The LR tap, and the phase on the other side, of each HR tap into (or from) each phase."""
  table = _taps(scale, size, dims)
  sources = np.zeros((2, table.max() + 1, table.shape[-1]), int)
  for tap, before, after in np.argwhere(table >= 0):
    own, other = (after, before) if writes else (before, after)
    sources[:, table[tap, before, after], own] = tap, other
  return sources


def _hr_sums(
  kernels: Float[np.ndarray, "b t n n2"],
  reads: np.ndarray,
  writes: np.ndarray,
  structure: Structure,
) -> Float[np.ndarray, "b taps m m2"]:
  """The sum over the R copies of every weight of HR kernels, in orders `(b, n)` of channels."""
  count, phases = len(kernels), structure.phases
  size = round(kernels.shape[1] ** (1 / structure.dims))
  ordered = _in_order(kernels, reads, writes).reshape(count, -1, phases, *_maps(kernels, phases))
  sources = sources_of(structure.scale, size, structure.dims, writes=True)
  parts = [
    ordered[..., phase, :][:, sources[0, :, phase], sources[1, :, phase]] for phase in range(phases)
  ]
  return np.sum(parts, axis=0)


def _maps(kernels: np.ndarray, phases: int) -> tuple[int, int, int]:
  maps = kernels.shape[-1] // phases
  return maps, phases, maps


def _in_order(kernels: np.ndarray, reads: np.ndarray, writes: np.ndarray) -> np.ndarray:
  kernels = np.take_along_axis(kernels, reads[:, None, :, None], axis=2)
  return np.take_along_axis(kernels, writes[:, None, None, :], axis=3)


def tied(
  kernels: Float[np.ndarray, "b t n n2"],
  reads: np.ndarray,
  writes: np.ndarray,
  structure: Structure,
) -> Float[np.ndarray, "b t n n2"]:
  """The nearest tied kernels: the orthogonal projection of kernels in these orders."""
  sums = _hr_sums(kernels, reads, writes, structure) / structure.phases
  size = round(kernels.shape[1] ** (1 / structure.dims))
  table = _taps(structure.scale, size, structure.dims)
  lifted = np.where((table < 0)[..., None, None], 0, sums[:, table])  # (b, t, R, R', M, M')
  lifted = np.moveaxis(lifted, 3, 4).reshape(kernels.shape)
  return _in_order(lifted, np.argsort(reads), np.argsort(writes))


def shares(
  kernels: Float[np.ndarray, "b l *kernel n n2"], orders: Orders, structure: Structure
) -> Float[np.ndarray, "b l"]:
  """The share of every layer's energy that is tied."""
  in_ties, all_of_it = _energies(kernels, orders, structure)
  return ratio(in_ties.sum(axis=(2, 3)), all_of_it.sum(axis=(2, 3)))


def _energies(
  kernels: np.ndarray, orders: Orders, structure: Structure
) -> tuple[np.ndarray, np.ndarray]:
  """Tied energy, and all energy, from every HR map to every HR map: `(b, layers, M, M')`."""
  flat = flatten(kernels, structure.dims)
  in_ties, all_of_it = [], []
  for layer, (reads, writes) in enumerate(structure.layers):
    args = flat[:, layer], orders[:, reads], orders[:, writes]
    in_ties.append((_hr_sums(*args, structure) ** 2).sum(axis=1) / structure.phases)
    squares = (_in_order(*args) ** 2).sum(axis=1)
    by_map = squares.reshape(len(flat), structure.phases, *_maps(squares, structure.phases))
    all_of_it.append(by_map.sum(axis=(1, 3)))
  return np.stack(in_ties, 1), np.stack(all_of_it, 1)


def map_shares(
  kernels: Float[np.ndarray, "b l *kernel n n2"], orders: Orders, structure: Structure
) -> Float[np.ndarray, "b classes m"]:
  """The share that is tied of the energy into and out of every HR map."""
  both = []
  totals = (kernels**2).sum(axis=tuple(range(2, kernels.ndim)))[:, :, None, None]
  for energies in _energies(kernels, orders, structure):
    energy = ratio(energies, totals)
    by_class = np.zeros((len(kernels), orders.shape[1], energy.shape[-1]))
    for layer, (reads, writes) in enumerate(structure.layers):
      by_class[:, reads] += energy[:, layer].sum(axis=2)
      by_class[:, writes] += energy[:, layer].sum(axis=1)
    both.append(by_class)
  return ratio(both[0], both[1])


def ranked(
  kernels: Float[np.ndarray, "b l *kernel n n2"], orders: Orders, structure: Structure
) -> Orders:
  """The same orders with the maps of every state sorted: most tied first."""
  best_first = np.argsort(-map_shares(kernels, orders, structure), axis=2, kind="stable")
  by_map = orders.reshape(*orders.shape[:2], structure.phases, -1)
  return np.take_along_axis(by_map, best_first[:, :, None], axis=3).reshape(orders.shape)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
  """A part by the whole, where there is any; else the part, which is 0."""
  return part / np.where(whole > 0, whole, 1)


def flatten(kernels: np.ndarray, dims: int) -> np.ndarray:
  """Kernels `(b, l, *kernel, n, n2)` with one axis for all taps."""
  return kernels.reshape(*kernels.shape[:2], -1, *kernels.shape[2 + dims :])


def random_orders(
  count: int, channels: int, structure: Structure, rng: np.random.Generator
) -> Orders:
  """Orders drawn at random: `(count, classes, n)`."""
  shape = count, max(structure.classes) + 1, channels
  return rng.permuted(np.broadcast_to(np.arange(channels), shape), axis=2)
