"""Whether the channels of trained LR networks form HR maps: how far groups of R act as its phases.

Three measurements of every seed of an arm, of its hidden kernels, since only those between HR maps
are tied:

- the share of the energy of every layer's kernel that is tied, in the best order of channels
  (`tie_search.py`); kernels whose filters changed places at random are searched alike, as the null;
- PSNR on test photographs after kernels are replaced by their tied part and the biases of a map by
  their mean, for all maps, half of them and the most tied of every state, and the same in random
  orders;
- the same of positive controls: HR networks lifted to LR space, their channels shuffled.

`combining_verdict.py` has the rule by which these decide.
"""

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sr_jax.comparison.projection import (
  hr_counterpart,
  interleave,
  kernels_of,
  project,
  shuffle,
  state_of,
)
from sr_jax.comparison.run import Run
from sr_jax.comparison.tie_search import permuted, search
from sr_jax.comparison.ties import Orders, map_shares, random_orders, shares, structure_of
from sr_jax.comparison.titles import titled
from sr_jax.comparison.train import eval_form, eval_params
from sr_jax.data.images import Photo
from sr_jax.evaluation import scoring
from sr_jax.networks import Network
from sr_jax.networks.pair import lift_network
from sr_jax.runtime import processes
from sr_jax.runtime.console import log
from sr_jax.training import population
from sr_jax.training.population import Population
from sr_jax.training.sharding import make_mesh, shard_members, without_padding

COMBINING = "combining"  # in results.json
DRAWS = 19  # of the null, so that the least p-value of a seed is 0.05
PHOTOS = 12  # test photographs, evenly spaced, that projected networks are scored on
SIDE = 192  # HR pixels of their middle
DETAIL = 96  # HR pixels on a side of pictures
ABOUT_AS_MUCH = 0.005  # of a share, within which any of two maps is taken as the most tied
Results = dict[str, Any]


def measure(
  arms: Sequence[str],
  controls: Sequence[str],
  run: Run,
  results: Results,
  trained: Mapping[str, Population],
) -> Results:
  """Measures how far these LR arms form HR maps, as part of a run's results.

  `controls` are trained arms of HR maps alone, of K = r (k - 1) + 1 taps. Without any, the
  counterpart of every LR arm with random parameters is its control.
  """
  records, of_controls = {}, {}
  count = run.recipe.seeds
  for name in arms:
    log(f"Looking for HR maps in {titled(name)}")
    params, _ = eval_params(trained[name].state, count)
    network, form = _network_of(trained[name]), eval_form(trained[name])
    records[name] = _record(network, _on_host(params, count), form, run)
    if not controls:
      hr, mesh = random_control(network), make_mesh(count, batch=1)
      members = shard_members(mesh, population.make_members(range(count), [1.0]))
      params = population.initialise(hr, "control", members, mesh).params
      of_controls[f"{name}_random"] = _control(hr, _on_host(params, count), form, run)
  for name in controls:
    log(f"Looking for HR maps in {titled(name)}, lifted and shuffled")
    params, _ = eval_params(trained[name].state, count)
    form = eval_form(trained[name])
    network = _network_of(trained[name])
    of_controls[name] = _control(network, _on_host(params, count), form, run)
  detail = middle(run.photos.test[0], DETAIL, run.recipe.scale)
  return {
    COMBINING: {
      "photographs": [photo.name for photo in _photos(run)],
      "detail": {"photograph": detail.name, "picture": encode(detail.hr)},
      "arms": records,
      "controls": of_controls,
    }
  }


def _network_of(population: Population) -> Network:
  """The network of an arm of the family, not of a user's own."""
  assert isinstance(population.network, Network)
  return population.network


def _on_host(params: Any, count: int) -> Any:
  return without_padding(processes.to_host(params), count)


def random_control(network: Network) -> Network:
  """The HR counterpart of an LR network, where no layer starts at zero: zeros have no ties."""
  counterpart = hr_counterpart(network)
  layers = (dataclasses.replace(layer, gain=layer.gain or 1.0) for layer in counterpart.layers)
  return counterpart.clone(layers=tuple(layers))


def _control(network: Network, params: Any, form: str, run: Run) -> Results:
  """The record of an HR network, lifted to LR space, its channels shuffled."""
  lr = lift_network(network, jax.tree.map(lambda array: array[0], params))[0]
  lifted = jax.vmap(lambda member: lift_network(network, member)[1])(params)
  structure, kernels = structure_of(lr), kernels_of(lr, lifted)
  rng = np.random.default_rng(0)
  orders = random_orders(len(kernels), kernels.shape[-1], structure, rng)
  return _record(lr, shuffle(lr, lifted, orders), form, run)


def _record(network: Network, params: Any, form: str, run: Run) -> Results:
  """All that is measured of a network, `params` with an axis of seeds; finite ones alone."""
  structure, all_kernels = structure_of(network), kernels_of(network, params)
  leaves = jax.tree.leaves(params)
  seeds = [i for i in range(len(all_kernels)) if all(np.isfinite(leaf[i]).all() for leaf in leaves)]
  record: Results = {"seeds": seeds, "layers": [layer.name for layer in network.layers[1:-1]]}
  if not seeds:
    return record
  params, kernels = jax.tree.map(lambda leaf: np.asarray(leaf)[seeds], params), all_kernels[seeds]
  best_orders, measured = [], []
  for seed, own in zip(seeds, kernels, strict=True):
    rng = np.random.default_rng(seed)
    draws = np.stack([own, *(permuted(own, network.dims, rng) for _ in range(DRAWS))])
    orders = search(draws, structure, seed)
    measured.append(shares(draws, orders, structure))
    best_orders.append(orders[0])
  orders = np.stack(best_orders)
  by_seed = np.stack(measured)
  maps = orders.shape[-1] // structure.phases
  at_random = random_orders(len(seeds), orders.shape[2], structure, np.random.default_rng(seeds))
  versions = {"untied": params}
  for tied_maps in sorted({1, maps // 2, maps} - {0}):
    versions[f"tied_{tied_maps}"] = project(network, params, orders, tied_maps)
    versions[f"random_{tied_maps}"] = project(network, params, at_random, tied_maps)
  mesh, photos = make_mesh(len(seeds), batch=1), _photos(run)
  psnr = {}
  for name, version in versions.items():
    members = shard_members(mesh, version)
    scores = scoring.score(network, members, photos, mesh, form)[: len(seeds)]
    psnr[name] = [member["psnr"] for member in scores]
  return record | {
    "shares": by_seed[:, 0].tolist(),
    "null": by_seed[:, 1:].tolist(),
    "maps": maps,
    "psnr": psnr,
    "pictures": _pictures(network, params, kernels, orders, at_random, run),
  }


def _pictures(
  network: Network, params: Any, kernels: np.ndarray, orders: Orders, at_random: Orders, run: Run
) -> Results:
  """The most tied map of the first seed, and R random channels of the same state, interleaved.

  Maps with a channel that hardly varies in the picture are passed over where there are others. Of
  those that are tied about as much, it is the one that varies most.
  """
  structure, scale = structure_of(network), network.scale
  tied_shares = map_shares(kernels[:1], orders[:1], structure)[0]
  classes, maps = tied_shares.shape
  member = jax.tree.map(lambda array: array[0], params)
  lr = middle(run.photos.test[0], DETAIL, scale).lr
  last = {number: state for state, number in enumerate(structure.classes)}
  states = [state_of(network, member, last[number], lr) for number in range(classes)]
  varies = np.array(
    [np.ptp(np.quantile(each, [0.05, 0.95], axis=(0, 1)), axis=0) for each in states]
  )
  by_map = np.take_along_axis(varies, orders[0], axis=1).reshape(classes, -1, maps)
  is_alive = by_map.min(axis=1) > 0
  ranks = np.where(is_alive | ~is_alive.any(), tied_shares, -1)
  near_best = ranks > ranks.max() - ABOUT_AS_MUCH
  best = np.where(near_best, by_map.mean(axis=1), -1).argmax()
  number, place = (int(each) for each in np.unravel_index(best, ranks.shape))
  pictures = {
    name: interleave(states[number][..., choice[0, number, place::maps]], scale)
    for name, choice in (("tied", orders), ("random", at_random))
  }
  return {
    "state": last[number],
    "share": float(tied_shares[number, place]),
    **{name: encode(normalised(picture)) for name, picture in pictures.items()},
  }


def _photos(run: Run) -> list[Photo]:
  """The middle of some test photographs, on which projected networks are scored."""
  photos = run.photos.test
  places = np.linspace(0, len(photos) - 1, min(PHOTOS, len(photos)))
  return [middle(photos[int(place)], SIDE, run.recipe.scale) for place in places]


def middle(photo: Photo, side: int, scale: int) -> Photo:
  """The middle of a photograph, at most so many HR pixels on a side."""
  sizes = [min(side // scale, length) for length in photo.lr.shape]
  starts = [(length - size) // 2 for length, size in zip(photo.lr.shape, sizes, strict=True)]
  lr, hr = (
    tuple(slice(r * start, r * (start + size)) for start, size in zip(starts, sizes, strict=True))
    for r in (1, scale)
  )
  return dataclasses.replace(photo, hr=photo.hr[hr], lr=photo.lr[lr])


def normalised(picture: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
  """A picture from its least to its greatest values, but for the most extreme, as 8 bits."""
  low, high = np.percentile(picture, [0.5, 99.5])
  return scoring.to_uint8((picture - low) / max(high - low, 1e-12))


def encode(picture: UInt8[np.ndarray, "h w"]) -> str:
  """A picture as text: the base 64 of its PNG."""
  buffer = io.BytesIO()
  Image.fromarray(picture).save(buffer, format="png")
  return base64.b64encode(buffer.getvalue()).decode()
