"""The search for the orders of channels in which most of the energy of kernels is tied.

The best orders solve a quadratic assignment problem. `search` swaps pairs of channels of a state,
for as long as that gains, and goes from state to state. It starts from random orders and from
channels with equal statistics: the filters of two phases of a map differ by a shift, which a power
spectrum does not show and the centre of their energy does. Then it goes on from the best order with
the less tied half of its maps shuffled, again and again.

Kernels and orders are those of `sr_jax/comparison/ties.py`.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from sr_jax.comparison.ties import (
  Orders,
  Structure,
  flatten,
  random_orders,
  ranked,
  ratio,
  shares,
  sources_of,
)

RANDOM_STARTS = 2  # beside the one from statistics
RESHUFFLES = 30  # of all but the most tied half of the maps of the best orders, after these
MIN_GAIN = 1e-5  # of a swap, in shares of a layer's energy; less is rounding
MAX_SWEEPS = 30
BALANCING = 20  # scalings of a permuted kernel to the energies of its channels


def permuted(
  kernels: Float[np.ndarray, "l *kernel n n2"], dims: int, rng: np.random.Generator
) -> Float[np.ndarray, "l *kernel n n2"]:
  """Kernels without an order: filters of every layer change places between pairs of channels.

  Then they are scaled, so that every channel reads and writes about as much energy as before.
  """
  flat = flatten(kernels[None], dims)[0].astype(float)
  result = []
  for layer in flat:
    taps, inputs, outputs = layer.shape
    filters = layer.reshape(taps, -1)[:, rng.permutation(inputs * outputs)].reshape(layer.shape)
    for axis in (1, 2) * BALANCING:
      others = tuple({0, 1, 2} - {axis})
      wanted, energy = ((x**2).sum(axis=others, keepdims=True) for x in (layer, filters))
      filters = filters * np.sqrt(ratio(wanted, energy))
    result.append(filters)
  return np.stack(result).reshape(kernels.shape).astype(kernels.dtype)


def search(
  kernels: Float[np.ndarray, "b l *kernel n n2"], structure: Structure, seed: int
) -> Orders:
  """The orders of most tied energy, averaged over layers, of several starts; maps sorted.

  Every layer counts alike, whatever its energy.
  """
  rng = np.random.default_rng(seed)
  flat = flatten(kernels, structure.dims)
  flat = ratio(flat, np.sqrt((flat**2).sum(axis=(2, 3, 4), keepdims=True)))
  starts = [start_from_statistics(flat, structure)]
  for _ in range(RANDOM_STARTS):
    starts.append(random_orders(len(flat), flat.shape[-1], structure, rng))
  repeated = np.concatenate([flat] * len(starts)).astype(np.float32)
  improved = _ascend(repeated, np.concatenate(starts), structure)
  orders = improved.reshape(len(starts), *starts[0].shape)
  totals = [shares(kernels, each, structure).sum(axis=1) for each in orders]
  best = np.argmax(totals, axis=0)
  best_orders, total = orders[best, np.arange(len(flat))], np.max(totals, axis=0)
  flat, maps = flat.astype(np.float32), flat.shape[-1] // structure.phases
  is_free = np.arange(flat.shape[-1]) % maps >= maps // 2
  for _ in range(RESHUFFLES):
    reshuffled = ranked(kernels, best_orders, structure)
    reshuffled[..., is_free] = rng.permuted(reshuffled[..., is_free], axis=2)
    improved = _ascend(flat, reshuffled, structure)
    totals_now = shares(kernels, improved, structure).sum(axis=1)
    gains = totals_now > total
    best_orders = np.where(gains[:, None, None], improved, best_orders)
    total = np.maximum(total, totals_now)
  return ranked(kernels, best_orders, structure)


def _ascend(flat: np.ndarray, orders: np.ndarray, structure: Structure) -> np.ndarray:
  """Improves the order of one class after another, until none gains."""
  orders, transposed = orders.copy(), np.ascontiguousarray(np.swapaxes(flat, -1, -2))
  active = np.arange(len(flat))
  for _ in range(MAX_SWEEPS):
    gains = np.zeros(len(active))
    for number in range(orders.shape[1]):
      grams = [
        _gram(flat[active, layer], orders[active, reads], structure, True)
        for layer, (reads, writes) in enumerate(structure.layers)
        if number == writes
      ]
      grams += [
        _gram(transposed[active, layer], orders[active, writes], structure, False)
        for layer, (reads, writes) in enumerate(structure.layers)
        if number == reads
      ]
      orders[active, number], gained = swap(sum(grams[1:], grams[0]), orders[active, number])
      gains += gained
    active = active[gains > MIN_GAIN]
    if not len(active):
      break
  return orders


def _gram(
  kernels: np.ndarray, others: np.ndarray, structure: Structure, writes: bool
) -> Float[np.ndarray, "b r n r n"]:
  """What a layer's tied energy gains of two channels as two phases of a map.

  `[phase, channel, phase', channel']` is the product of the HR kernels that the weights of both
  channels are in these phases, by R. The last axis of the kernels is that of the channels, whose
  order is sought; the one before is in the orders `others`.
  """
  count, taps, _, channels = kernels.shape
  phases = structure.phases
  size = round(taps ** (1 / structure.dims))
  tap, phase = sources_of(structure.scale, size, structure.dims, writes)  # each (D, R)
  by_phase = others.reshape(count, phases, -1)
  rows = tap.T[None, :, :, None] * channels + by_phase[:, phase.T]  # (b, R, D, M)
  aligned = kernels.reshape(count, -1, channels)[np.arange(count)[:, None, None, None], rows]
  aligned = aligned.reshape(count, phases, -1, channels)
  # A product for each pair of phases: so small, BLAS starts no threads, which would take ten times
  # as long where other processes compute.
  products = np.swapaxes(aligned, 2, 3)[:, :, None] @ aligned[:, None]
  return np.swapaxes(products, 2, 3) / phases


def swap(
  gram: Float[np.ndarray, "b r n r n"], order: Int[np.ndarray, "b n"]
) -> tuple[Int[np.ndarray, "b n"], Float[np.ndarray, " b"]]:
  """Swaps the pair of channels that gains most, again and again; returns the gains in all.

  What is maximised is the sum of `gram[phase, channel, phase', channel']` over the pairs of
  channels of every map, each with itself and both ways with the others.
  """
  count, phases, channels = gram.shape[:3]
  maps = channels // phases
  order, gains = order.copy(), np.zeros(count)
  alone = np.einsum("bpcpc->bpc", gram)
  slots = np.arange(channels)
  phase_of = slots // maps
  same = np.arange(maps)[:, None, None] + maps * np.arange(phases)[None, :, None]  # (M, R, 1)
  first, second = (x.ravel() for x in np.broadcast_arrays(same, np.swapaxes(same, 1, 2)))
  active = np.arange(count)
  while len(active):
    b, now = active[:, None], order[active]
    rows = gram[b, phase_of, now].reshape(len(active), phases, maps, phases, channels)
    pairs = np.moveaxis(rows.sum(axis=1), 1, 2) - np.einsum("bpmpc->bpmc", rows)
    values = (alone[active][:, :, None] + 2 * pairs).reshape(len(active), channels, channels)
    moved = np.take_along_axis(values, now[:, None], axis=2)  # of slot s, by the channel in s'
    here = np.einsum("bss->bs", moved)
    gain = moved + np.swapaxes(moved, 1, 2) - here[:, :, None] - here[:, None]
    # Two channels of the same map each count the other where it was, and their pair twice.
    c, c2, p, p2 = now[:, first], now[:, second], phase_of[first], phase_of[second]
    gain[:, first, second] += 2 * (
      gram[b, p2, c, p, c2] + gram[b, p, c, p2, c2] - gram[b, p, c, p2, c] - gram[b, p, c2, p2, c2]
    )
    gain[:, slots, slots] = 0
    flat = gain.reshape(len(active), -1)
    best = flat.argmax(axis=1)
    gained = np.take_along_axis(flat, best[:, None], axis=1)[:, 0]
    is_better = gained > MIN_GAIN
    active, best = active[is_better], best[is_better]
    gains[active] += gained[is_better]
    slot, other = best // channels, best % channels
    order[active, slot], order[active, other] = order[active, other], order[active, slot]
  return order, gains


def start_from_statistics(flat: Float[np.ndarray, "b l t n n2"], structure: Structure) -> Orders:
  """Orders by what is equal for all phases of an HR map, and what differs between them.

  Equal are the power spectra of a channel's filters, into it and out of it, summed over the other
  channels. Its centre of energy lies the farther ahead the later its phase where it is written, and
  the farther behind where it is read, because an HR kernel reaches equally far from every phase.
  """
  phases, dims = structure.phases, structure.dims
  size, channels = round(flat.shape[2] ** (1 / dims)), flat.shape[-1]
  filters = flat.reshape(*flat.shape[:2], *(size,) * dims, channels, channels)
  padded, axes = (2 * size - 1,) * dims, tuple(range(2, 2 + dims))
  power = np.abs(np.fft.fftn(filters, padded, axes)) ** 2
  power = power.reshape(*flat.shape[:2], -1, channels, channels) / power[0, 0, ..., 0, 0].size
  at = np.stack(np.meshgrid(*[np.arange(size) - size // 2] * dims, indexing="ij"), -1)
  moments = np.einsum("td,bltio->bldio", at.reshape(-1, dims), flat**2)
  corners = np.stack(np.meshgrid(*[np.arange(structure.scale)] * dims, indexing="ij"), -1)
  places = corners.reshape(-1, dims)
  orders = []
  for number in range(max(structure.classes) + 1):
    reading = [layer for layer, (reads, _) in enumerate(structure.layers) if reads == number]
    writing = [layer for layer, (_, writes) in enumerate(structure.layers) if writes == number]
    spectra = np.concatenate(
      [power[:, writing].sum(axis=3), power[:, reading].sum(axis=4)], axis=1
    ).reshape(len(flat), -1, channels)
    centres = moments[:, writing].sum(axis=(1, 3)) - moments[:, reading].sum(axis=(1, 4))
    groups = _group(spectra, phases)  # (b, M, R)
    order = np.empty((len(flat), phases, channels // phases), int)
    for b, m in np.ndindex(groups.shape[:2]):
      group = groups[b, m]
      rows, columns = linear_sum_assignment(places @ centres[b][:, group], maximize=True)
      order[b, rows, m] = group[columns]
    orders.append(order.reshape(len(flat), channels))
  return np.stack(orders, axis=1)


def _group(features: Float[np.ndarray, "b f n"], size: int) -> Int[np.ndarray, "b m size"]:
  """Groups of channels near each other: greedily, tightest first, then by swaps."""
  count, _, channels = features.shape
  products = np.swapaxes(features, 1, 2) @ features
  squares = np.einsum("bcc->bc", products)
  distances = np.maximum(squares[:, :, None] + squares[:, None] - 2 * products, 0)
  left, groups = distances + np.zeros_like(distances), []
  for _ in range(channels // size):
    nearest = np.argsort(left, axis=2, kind="stable")[:, :, :size]
    sums = np.take_along_axis(left, nearest, axis=2).sum(axis=2)
    group = nearest[np.arange(count), sums.argmin(axis=1)]
    groups.append(group)
    for b in range(count):
      left[b, group[b]] = left[b][:, group[b]] = np.inf
  order = np.stack(groups, axis=2).reshape(count, channels)
  scale = distances.mean(axis=(1, 2), keepdims=True)
  relative = ratio(distances, scale)
  gram = np.broadcast_to(-relative[:, None, :, None], (count, size, channels, size, channels))
  order, _ = swap(gram, order)
  return np.swapaxes(order.reshape(count, size, -1), 1, 2)
