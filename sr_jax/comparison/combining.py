"""Whether the channels of trained LR networks form HR maps: how far groups of R act as its phases.

Three measurements of every seed of an arm, of its hidden kernels, since only those between HR maps
are tied, after channels are brought to comparable strength (`projection.balanced`):

- the share of the energy of every layer's kernel that is tied, in the best order of channels
  (`tie_search.py`); kernels whose filters changed places at random are searched alike, as the null;
- PSNR on test photographs after kernels are replaced by their tied part and the biases of a map by
  their mean, for all maps and for the most tied half of every state, and for as many in random
  orders, on average;
- the same of two positive controls, trained briefly: networks of which all channels, or half of
  them, are phases of HR maps, lifted to LR space, their channels shuffled.

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
  balanced,
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
from sr_jax.data.pairs import Pair
from sr_jax.evaluation import scoring
from sr_jax.networks import Network
from sr_jax.networks.pair import lift_network
from sr_jax.runtime import processes
from sr_jax.runtime.console import log
from sr_jax.training import population
from sr_jax.training.dispatch import train_unlogged
from sr_jax.training.population import Population
from sr_jax.training.sharding import make_mesh, on_mesh, shard_members, without_padding

COMBINING = "combining"  # in results.json
DRAWS = 9  # of the null
RANDOM_ORDERS = 2  # of channels, over which PSNR is averaged
CONTROL_STEPS = 300  # of training, at most
PHOTOS = 12  # test photographs, evenly spaced, that projected networks are scored on
SIDE = 192  # HR pixels of their middle
DETAIL = 96  # HR pixels on a side of pictures
ABOUT_AS_MUCH = 0.005  # of a share, within which any of two maps is taken as the most tied
Results = dict[str, Any]


def measure(
  arms: Sequence[str], run: Run, results: Results, trained: Mapping[str, Population]
) -> Results:
  """Measures how far these LR arms form HR maps, as part of a run's results.

  The controls of each arm are trained here, all seeds at the arm's learning rate.
  """
  records: Results = {}
  of_controls: Results = {}
  count = run.recipe.seeds
  for name in arms:
    log(f"Looking for HR maps in {titled(name)}")
    params, _ = eval_params(trained[name].state, count)
    network, form = _network_of(trained[name]), eval_form(trained[name])
    records[name] = _record(network, _on_host(params, count), form, run)
    rate, maps = results["arms"][name]["learning_rate"], network.layers[0].outputs.lr
    maps //= network.phases
    for kind, hr_maps in {"hr": maps, "half": half_of(maps)}.items():
      control = hr_counterpart(network, hr_maps)
      log(f"Training a control of {titled(name)}: {hr_maps} HR maps in every state")
      fitted = _train(control, f"{name}_{kind}", rate, trained[name], run)
      of_controls.setdefault(name, {})[kind] = _control(control, fitted, form, run)
  detail = middle(run.photos.test[0], DETAIL, run.recipe.scale)
  return {
    COMBINING: {
      "photographs": [photo.name for photo in _photos(run)],
      "detail": {"photograph": detail.name, "picture": encode(detail.target)},
      "arms": records,
      "controls": of_controls,
    }
  }


def half_of(maps: int) -> int:
  """Half of so many maps, rounded up."""
  return -(-maps // 2)


def _network_of(population: Population) -> Network:
  """The network of an arm of the family, not of a user's own."""
  assert isinstance(population.network, Network)
  return population.network


def _on_host(params: Any, count: int) -> Any:
  return without_padding(processes.to_host(params), count)


def _train(network: Network, name: str, rate: float, arm: Population, run: Run) -> Any:
  """Parameters on the host of a control of an arm, every seed after a short schedule."""
  recipe, count = run.recipe, run.recipe.seeds
  mesh = make_mesh(count, recipe.batch, run.execution.mesh)
  members = shard_members(mesh, population.make_members(range(count), [rate]))
  state = population.initialise(network, name, members, mesh)
  how = recipe.batch, recipe.patch, mesh, arm.computation
  train_steps = population.make_train_steps(network, *how)
  steps = min(recipe.steps, CONTROL_STEPS)
  state = train_unlogged(train_steps, state, members, on_mesh(mesh, run.store), steps)
  return _on_host(eval_params(state, count)[0], count)


def _control(network: Network, params: Any, form: str, run: Run) -> Results:
  """The record of a network with HR maps, lifted to LR space, its channels shuffled."""
  lr = lift_network(network, jax.tree.map(lambda array: array[0], params))[0]
  lifted = jax.vmap(lambda member: lift_network(network, member)[1])(params)
  structure, kernels = structure_of(lr), kernels_of(lr, lifted)
  rng = np.random.default_rng(0)
  orders = random_orders(len(kernels), kernels.shape[-1], structure, rng)
  return _record(lr, shuffle(lr, lifted, orders), form, run)


def _record(network: Network, params: Any, form: str, run: Run) -> Results:
  """All that is measured of a network, `params` with an axis of seeds.

  Seeds with parameters, or a PSNR after kernels are tied, that are not finite are left out.
  """
  structure, leaves = structure_of(network), jax.tree.leaves(params)
  layers = [layer.name for layer in network.layers[1:-1]]
  seeds = [i for i in range(len(leaves[0])) if all(np.isfinite(leaf[i]).all() for leaf in leaves)]
  record: Results = {"seeds": [], "of_seeds": len(leaves[0]), "layers": layers}
  if not seeds:
    return record
  params = balanced(network, jax.tree.map(lambda leaf: np.asarray(leaf)[seeds], params))
  kernels = kernels_of(network, params)
  best_orders, measured = [], []
  for seed, own in zip(seeds, kernels, strict=True):
    rng = np.random.default_rng(seed)
    draws = np.stack([own, *(permuted(own, network.dims, rng) for _ in range(DRAWS))])
    orders = search(draws, structure, seed)
    measured.append(shares(draws, orders, structure))
    best_orders.append(orders[0])
  orders, by_seed = np.stack(best_orders), np.stack(measured)
  rng = np.random.default_rng(seeds)
  at_random = [
    random_orders(len(seeds), orders.shape[2], structure, rng) for _ in range(RANDOM_ORDERS)
  ]
  half = half_of(orders.shape[-1] // structure.phases)
  mesh, photos = make_mesh(len(seeds), batch=1), _photos(run)

  def psnr_of(version: Any) -> np.ndarray:
    scores = scoring.score(network, shard_members(mesh, version), photos, mesh, form)
    return np.array([member["psnr"] for member in scores[: len(seeds)]], float)  # None becomes NaN

  psnr = {
    "untied": psnr_of(params),
    "tied": psnr_of(project(network, params, orders)),
    "half_tied": psnr_of(project(network, params, orders, half)),
    "half_random": np.mean([psnr_of(project(network, params, x, half)) for x in at_random], axis=0),
  }
  kept = np.isfinite(list(psnr.values())).all(axis=(0, 2))
  if not kept.any():
    return record
  member = jax.tree.map(lambda array: array[kept.argmax()], params)
  drawn = kernels[kept][:1], orders[kept][:1], at_random[0][kept][:1]
  return record | {
    "seeds": np.array(seeds)[kept].tolist(),
    "shares": by_seed[kept, 0].tolist(),
    "null": by_seed[kept, 1:].tolist(),
    "psnr": {name: values[kept].tolist() for name, values in psnr.items()},
    "pictures": _pictures(network, member, *drawn, run),
  }


def _pictures(
  network: Network, member: Any, kernels: np.ndarray, orders: Orders, at_random: Orders, run: Run
) -> Results:
  """The most tied map of one member, and R random channels of the same state, interleaved.

  Maps with a channel that hardly varies in the picture are passed over where there are others. Of
  those that are tied about as much, it is the one that varies most.
  """
  structure, scale = structure_of(network), network.scale
  tied_shares = map_shares(kernels, orders, structure)[0]
  classes, maps = tied_shares.shape
  lr = middle(run.photos.test[0], DETAIL, scale).input
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


def _photos(run: Run) -> list[Pair]:
  """The middle of some test photographs, on which projected networks are scored."""
  photos = run.photos.test
  places = np.linspace(0, len(photos) - 1, min(PHOTOS, len(photos)))
  return [middle(photos[int(place)], SIDE, run.recipe.scale) for place in places]


def middle(photo: Pair, side: int, scale: int) -> Pair:
  """The middle of a photograph, at most so many HR pixels on a side."""
  sizes = [min(side // scale, length) for length in photo.input.shape]
  starts = [(length - size) // 2 for length, size in zip(photo.input.shape, sizes, strict=True)]
  lr, hr = (
    tuple(slice(r * start, r * (start + size)) for start, size in zip(starts, sizes, strict=True))
    for r in (1, scale)
  )
  return dataclasses.replace(photo, input=photo.input[lr], target=photo.target[hr])


def normalised(picture: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
  """A picture from its least to its greatest values, but for the most extreme, as 8 bits."""
  low, high = np.percentile(picture, [0.5, 99.5])
  return scoring.to_uint8((picture - low) / max(high - low, 1e-12))


def encode(picture: UInt8[np.ndarray, "h w"]) -> str:
  """A picture as text: the base 64 of its PNG."""
  buffer = io.BytesIO()
  Image.fromarray(picture).save(buffer, format="png")
  return base64.b64encode(buffer.getvalue()).decode()
