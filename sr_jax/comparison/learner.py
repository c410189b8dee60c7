"""LR networks that learn which states to upscale, by gates between free and tied kernels.

A gate s in [0, 1] says whether channels are the phases of HR maps: one gate for each state between
two layers, to learn when to upscale; or one for each HR map, the same in all states, to learn what
share. From channels of gate s to channels of gate s', a kernel W acts as

  W - g (W - P(W)),  g = s s',

where P projects onto the kernels that HR maps allow (`nearest` and its lift): an LR layer where a
gate is 0, an HR layer where both are 1. Biases likewise. Weights are fitted to some of the training
photographs, and gates to the others: on the same photographs free weights fit no worse. Both move
in every step, each while the other is held still.
"""

import itertools
import zlib
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit
from jaxtyping import Array, Float

from sr_jax.comparison.run import Run
from sr_jax.comparison.score import PATCHES_PER_IMAGE
from sr_jax.data import patches
from sr_jax.data.pairs import Layout
from sr_jax.evaluation import scoring
from sr_jax.networks import Network, squared_error
from sr_jax.networks.pair import lift_network, nearest
from sr_jax.operators.conv import Computation, computing
from sr_jax.training import population
from sr_jax.training.dispatch import train_unlogged
from sr_jax.training.population import Members, batch_key
from sr_jax.training.sharding import each_member, make_mesh, on_mesh, shard_members, upload

HELD_OUT = 4  # every fourth training photograph, or the last of fewer, fits gates, not weights
# A gate is the logistic function of so many times its parameter, which Adam moves by no more than
# its rate a step.
SHARPNESS = 3.0
LEARNED, SHUFFLED = "learned", "shuffled"
VARIANTS = {  # g where it starts, whether gates learn, whether ties join channels of no common map
  LEARNED: (0.5, True, False),
  SHUFFLED: (0.5, True, True),
  "frozen at 0": (0.0, False, False),
  "frozen at 0.5": (0.5, False, False),
  "frozen at 1": (1.0, False, False),
}

Gates = dict[str, Float[Array, " gates"]]  # of the state that each layer but the last writes
Over = Literal["states", "maps"]


class Learner(NamedTuple):
  """A member: the seed and rate of `Members`, and its row of `VARIANTS`."""

  seed: Any
  learning_rate: Any
  tie: Any
  learns: Any
  shuffled: Any


def learn(
  lr: Network, tied: Network, arm: str, rate: float, over: Over, form: str, run: Run
) -> dict[str, dict[str, Any]]:
  """Trains every variant with every seed of a run.

  `tied` is the network of HR maps alone whose lift has the shapes of `lr`. Weights start as those
  of the arm `arm`, but for their variance.

  Returns:
    by variant, "gates" `[seed][state]`, or `[seed][map]`, and "held_out", every seed's PSNR in dB
    on patches of the photographs that fit gates; None for what diverged.
  """
  recipe, seeds = run.recipe, run.recipe.seeds
  mesh = make_mesh(seeds * len(VARIANTS), batch=1)
  tie, learns, shuffled = (np.array(column) for column in zip(*VARIANTS.values(), strict=True))
  seed = np.tile(np.arange(seeds, dtype=np.int32), len(VARIANTS))
  columns = (tie.astype(np.float32), learns.astype(np.float32), shuffled)
  rates = np.full(len(seed), rate, np.float32)
  learners = Learner(seed, rates, *(column.repeat(seeds) for column in columns))
  learners = shard_members(mesh, learners)
  members = Members(learners.seed, learners.learning_rate)

  def begin(fresh: tuple[Any, Learner]) -> Any:
    return with_gates(*fresh, lr, tied, over)

  weights = population.initialise(lr, arm, members, mesh).params
  start = jax.jit(each_member(begin, mesh))((weights, learners))
  state = population.start_from(lr, start, mesh)

  every = min(HELD_OUT, len(run.photos.train))
  parts = [run.photos.train[i::every] for i in range(every)]
  fitted = [photo for part in parts[:-1] for photo in part] or parts[-1]
  stores = [upload(patches.make_store(photos, recipe.patch)) for photos in (fitted, parts[-1])]
  data = tuple(on_mesh(mesh, store) for store in stores)
  computation = Computation(form, recipe.precision)

  def error(params: Any, gates: Gates, learner: Learner, step: Array, store: Any) -> Array:
    crops = patches.draw(store, batch_key(learner.seed, step), recipe.batch)
    images = patches.cut(store, crops, recipe.patch, Layout(recipe.scale))
    with computing(computation):
      return squared_error(lr, effective(params, gates, learner, lr, tied), *images)

  def loss(params: Any, learner: Learner, step: Array, data: Any) -> Array:
    gates, hold = gates_of(params, learner, lr), jax.lax.stop_gradient
    of_weights = error(params, hold(gates), learner, step, data[0])
    return of_weights + error(hold(params), gates, learner, step, data[1])

  train_steps = population.train_steps_on(loss, lr, mesh)
  state = train_unlogged(train_steps, state, learners, data, recipe.steps)

  def finish(trained: tuple[Any, Learner]) -> tuple[Array, Any]:
    params, learner = trained
    gates = gates_of(params, learner, lr)
    by_state = jnp.stack(list(gates.values()))
    chosen = by_state[:, 0] if over == "states" else by_state[0]
    return chosen, effective(params, gates, learner, lr, tied)

  gates, params = jax.jit(each_member(finish, mesh))((state.params, learners))
  by_member = [
    [float(gate) if np.isfinite(gate) else None for gate in member] for member in np.asarray(gates)
  ]
  crops = patches.fixed_crops(parts[-1], recipe.patch, PATCHES_PER_IMAGE)
  fits = scoring.training_psnr(lr, params, data[1], crops, recipe.patch, mesh, 0, form)
  held_out = [None if None in fit else float(np.mean(np.array(fit, float))) for fit in fits]
  return {
    variant: {
      "gates": by_member[i * seeds : (i + 1) * seeds],
      "held_out": held_out[i * seeds : (i + 1) * seeds],
    }
    for i, variant in enumerate(VARIANTS)
  }


def with_gates(weights: Any, learner: Learner, lr: Network, tied: Network, over: Over) -> Any:
  """Parameters to start from: gates all alike, and kernels whose gated variance is as initialised.

  A kernel of variance 1 has, gated, the variance p + (1 - p) (1 - g)^2: its projection, a share p
  of its dimensions, is left as it is.
  """
  start = logit(jnp.clip(jnp.sqrt(learner.tie), 1e-3, 1 - 1e-3)) / SHARPNESS
  gates = {layer.name: jnp.full(1, start) for layer in lr.layers[:-1]}
  if over == "maps":
    gates = {lr.layers[0].name: jnp.full(tied.layers[0].outputs.hr, start)}
  params = {}
  for layer, tied_layer in zip(lr.layers, tied.layers, strict=True):
    share = tied_layer.weights(tied.phases, tied.dims) / layer.weights(lr.phases, lr.dims)
    variance = share + (1 - share) * (1 - learner.tie) ** 2
    own = dict(weights[layer.name])
    own["kernel"] = own["kernel"] / jnp.sqrt(variance)
    params[layer.name] = own | ({"gate": gates[layer.name]} if layer.name in gates else {})
  return params


def gates_of(params: Any, learner: Learner, lr: Network) -> Gates:
  """The gates of every state, in order; those that do not learn are where they started."""
  fixed, shared = jnp.sqrt(learner.tie), params[lr.layers[0].name]["gate"]
  gates = {layer.name: params[layer.name].get("gate", shared) for layer in lr.layers[:-1]}
  return {
    name: jnp.where(learner.learns > 0, jax.nn.sigmoid(SHARPNESS * gate), fixed)
    for name, gate in gates.items()
  }


def effective(params: Any, gates: Gates, learner: Learner, lr: Network, tied: Network) -> Any:
  """The parameters of the LR network that gates make of these: in part projected onto `tied`.

  For a shuffled learner, the channels of every kernel are put in a random order before, each side
  of each layer in another, and back after: as many weights are tied, of no common HR map.
  """
  names, phases = [layer.name for layer in lr.layers], lr.phases
  orders = {name: _orders(name, params[name]["kernel"], learner, lr) for name in names}
  weights = {
    name: {
      "kernel": params[name]["kernel"][..., rows, :][..., columns],
      "bias": params[name]["bias"][columns],
    }
    for name, (rows, columns) in orders.items()
  }
  _, projected = lift_network(tied, nearest(tied, weights))
  by_state = [_by_channel(gate, lr.layers[0].outputs.lr, phases) for gate in gates.values()]
  ends = [jnp.ones(1), *by_state, jnp.ones(1)]
  result = {}
  for name, (before, after) in zip(names, itertools.pairwise(ends), strict=True):
    own, on_ties, (rows, columns) = weights[name], projected[name], orders[name]
    tie = jnp.outer(before, after).reshape(1, 1, len(before), len(after))
    kernel = own["kernel"] - tie * (own["kernel"] - on_ties["kernel"])
    bias = own["bias"] - after * (own["bias"] - on_ties["bias"])
    back = jnp.argsort(rows), jnp.argsort(columns)
    result[name] = {"kernel": kernel[..., back[0], :][..., back[1]], "bias": bias[back[1]]}
  return result


def _orders(name: str, kernel: Array, learner: Learner, lr: Network) -> list[Array]:
  """The order of a kernel's inputs and of its outputs: random if shuffled, but for the image's."""
  key = jax.random.fold_in(jax.random.key(learner.seed), zlib.crc32(name.encode()))
  is_image = name == lr.layers[0].name, name == lr.layers[-1].name
  orders = []
  for side, (size, keeps) in enumerate(zip(kernel.shape[-2:], is_image, strict=True)):
    shuffled, plain = jax.random.permutation(jax.random.fold_in(key, side), size), np.arange(size)
    orders.append(plain if keeps else jnp.where(learner.shuffled, shuffled, plain))
  return [jnp.asarray(order) for order in orders]


def _by_channel(gates: Array, channels: int, phases: int) -> Float[Array, " channels"]:
  """The gate of every channel, of one for all or for each HR map; phases are outermost."""
  return jnp.tile(jnp.repeat(gates, channels // phases // len(gates)), phases)
