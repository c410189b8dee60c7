"""Which families of networks contain which: theorems, each held up by computation.

A family is all functions that a network computes, whatever its parameters. That it lies within
another follows from the lift, which copies parameters; here random parameters are copied, and the
outputs compared in double precision. That it is smaller follows from dimensions: the Jacobian of
the larger has a rank above the parameters of the smaller (`capacity.certificate`; of small siblings
here, of whole size in the part `certificate` of experiments/capacity.py). That a family does not
lie within another follows as well from a pixel that only its outputs depend on. What computation
does not confirm is said not to be shown.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.capacity.certificate import Certificate, certify
from sr_jax.comparison.titles import titled
from sr_jax.identities.layer_overlap import EXACT_LIFT, deviation_of_inclusion, random_params
from sr_jax.networks import Network, upscale
from sr_jax.networks.budget import budget, lr_windows
from sr_jax.networks.pair import lifted, note_networks

FEATURES, DEPTH = 32, 4  # the note's networks
SMALL_FEATURES, SMALL_DEPTH, IMAGES = 8, 1, 4  # whose ranks are shown here, and on how many images


@dataclasses.dataclass(frozen=True)
class Theorem:
  """A statement about families of networks, and whether computation confirms it."""

  statement: str
  is_shown: bool
  evidence: str


def whole(name: str) -> Network:
  """A network of a family, of the note's size."""
  return family(name, FEATURES, DEPTH)


def family(name: str, features: int, depth: int) -> Network:
  """A network of a family: of `features` LR maps, or of as many phases of HR maps.

  "lift" is the network of free 4x4 LR kernels that the note's HR network lifts to.
  """
  known = note_networks(features, depth=depth)
  return lifted(known["hr"]) if name == "lift" else known[name]


def theorems() -> list[Theorem]:
  """All theorems, with what confirms them."""
  return [
    _strictly_inside(
      "LR tied (HR 5x5, learned upsampling) is strictly contained in LR", "lr_tied", "lr"
    ),
    _strictly_inside(
      "HR learned is strictly contained in HR untied, in which each phase has its own kernels",
      "hr_learned",
      "hr_untied",
    ),
    _strictly_inside(
      "HR 6x6 is strictly contained in the network of free 4x4 LR kernels that it lifts to",
      "hr",
      "lift",
    ),
    neither_contains_the_other(),
  ]


def _strictly_inside(statement: str, inner: str, outer: str) -> Theorem:
  """By a copy of random parameters, and by a rank."""
  contained, container = whole(inner), whole(outer)
  deviation = deviation_of_inclusion(contained, container)
  shown, parameters = _rank_above(inner, outer)
  large, small = budget(container), budget(contained)
  macs = large.macs / small.macs
  cost = "the same MACs" if macs == 1 else f"{float(macs):.2f} times the MACs"
  is_contained = deviation < EXACT_LIFT
  parameters_ratio = large.parameters / small.parameters
  return Theorem(
    statement,
    is_contained and shown.rank > parameters,
    f"{'contained' if is_contained else 'not shown to be contained'}: random parameters of the "
    f"smaller, copied into the larger, compute the same to {deviation:.0e}; strictly: "
    f"{_in_words(inner, outer, shown, parameters)}; at whole size the larger takes {cost} "
    f"({float(large.macs):g} and {float(small.macs):g} a HR pixel) and has {parameters_ratio:.1f} "
    f"times the parameters ({large.parameters:,} and {small.parameters:,})",
  )


def neither_contains_the_other() -> Theorem:
  """LR 3x3 and HR 6x6, of equal cost: by a rank, and by what the outputs depend on."""
  shown, parameters = _rank_above("hr", "lr")
  offset, of_hr, of_lr = unseen_pixel(whole("hr"), whole("lr"))
  sees_more = offset > 0 and abs(of_hr) > EXACT_LIFT and of_lr == 0
  sight = (
    f"an output of HR depends on an LR pixel {offset} pixels away (with {abs(of_hr):.0e} of its "
    f"largest derivative), as no output of LR does ({of_lr:g})"
  )
  return Theorem(
    "Of the note's own pair, LR 3x3 and HR 6x6, neither contains the other",
    sees_more and shown.rank > parameters,
    f"HR does not contain LR: {_in_words('hr', 'lr', shown, parameters)}; LR "
    f"{'does not contain' if sees_more else 'is not shown not to contain'} HR: {sight}",
  )


def _rank_above(inner: str, outer: str) -> tuple[Certificate, int]:
  """What is shown of small siblings of the larger family; and the parameters of the smaller."""
  parameters = budget(family(inner, SMALL_FEATURES, SMALL_DEPTH)).parameters
  larger = family(outer, SMALL_FEATURES, SMALL_DEPTH)
  return certify(larger, parameters + 1, images=IMAGES), parameters


def _in_words(inner: str, outer: str, shown: Certificate, parameters: int) -> str:
  smaller, larger = ("the lift" if name == "lift" else titled(name) for name in (inner, outer))
  of_size = f"of {SMALL_FEATURES} LR maps and {SMALL_DEPTH} hidden layer"
  if shown.rank <= parameters:
    return f"the Jacobian of {larger} {of_size} is not shown to have a rank above {parameters}"
  return (
    f"the Jacobian of {larger} {of_size} has a rank of at least {shown.rank} (its smallest "
    f"singular value is {shown.ratio:,.0f} times what rounding errors could amount to), and "
    f"{smaller} has {parameters} parameters"
  )


def unseen_pixel(network: Network, other: Network) -> tuple[int, float, float]:
  """How outputs of two random networks move with a pixel that the other one's windows leave out.

  Returns:
    by how many LR pixels it lies before or after the output's own LR pixel, along one axis, 0 if
    the windows of the first network are no larger; and the derivatives of an output of both, as
    shares of the largest with respect to any pixel.
  """
  windows, others = lr_windows(network), lr_windows(other)
  if windows is None or others is None:
    raise ValueError("a network that depends on the whole image has no windows")
  reaches = [
    (max(-first, last), last >= -first, phase) for phase, (first, last) in enumerate(windows)
  ]
  reach, is_after, phase = max(reaches)
  if reach <= max(max(-first, last) for first, last in others):
    return 0, 0.0, 0.0
  centre, scale = reach + 1, network.scale
  pixel = centre + reach if is_after else centre - reach
  x = np.random.default_rng(0).random((1, 2 * centre + 1, 2 * centre + 1, 1))
  shares = []
  with jax.enable_x64():
    for each in (network, other):

      def output(x: jax.Array, params: Any, each: Network = each) -> jax.Array:
        return upscale(each, params, x)[0, scale * centre + phase, scale * centre, 0]

      gradient = jax.jit(jax.grad(output))(jnp.asarray(x), random_params(each))[0, :, :, 0]
      shares.append(float(gradient[pixel, centre] / jnp.abs(gradient).max()))
  return reach, shares[0], shares[1]
