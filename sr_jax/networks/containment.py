"""Which networks contain others by construction: every function of one is a function of the other.

A network of HR maps is an LR network whose weights are tied (operators/lifting.py). So a network of
as many channels and layers contains it where its kernels reach at least as far and are tied no
more. This says what can be computed, not what training finds; and where it says nothing, a network
may still contain another in a way that is not seen from shapes.
"""

import itertools
from collections.abc import Mapping

from sr_jax.networks.maps import Layer
from sr_jax.networks.network import Network
from sr_jax.networks.own import OwnNetwork

FIELDS = ("scale", "dims", "bicubic_first", "bicubic_skip", "contrast", "identity_skip")


def contains(outer: Network, inner: Network) -> bool:
  """Whether every function of the inner network is one of the outer, by a lift of its weights.

  False of equal networks, and of layers that mix LR and HR maps, resize, or learn slopes.
  """
  if outer.layers == inner.layers or len(outer.layers) != len(inner.layers):
    return False
  if any(getattr(outer, field) != getattr(inner, field) for field in FIELDS):
    return False
  pairs = zip(outer.layers, inner.layers, strict=True)
  return all(_layer_contains(*pair, inner.scale, inner.dims) for pair in pairs)


def containing_pairs(networks: Mapping[str, Network | OwnNetwork]) -> list[tuple[str, str]]:
  """The names of each network and of another that it contains; users' own are left out."""
  known = {name: network for name, network in networks.items() if isinstance(network, Network)}
  return [(a, b) for a, b in itertools.permutations(known, 2) if contains(known[a], known[b])]


def _layer_contains(outer: Layer, inner: Layer, scale: int, dims: int) -> bool:
  """Whether a layer computes all that another does, states being written as LR channels."""
  ends = [(outer.inputs, inner.inputs), (outer.outputs, inner.outputs)]
  is_mixed = any(maps.is_mixed for pair in ends for maps in pair)
  is_special = any(
    each.resize or each.transposed_size or each.padding == "valid" or each.activation == "prelu"
    for each in (outer, inner)
  )
  alike = {"activation", "adds", "residual_scale"}
  differs = any(getattr(outer, field) != getattr(inner, field) for field in alike)
  channels = [a.channels(scale**dims) == b.channels(scale**dims) for a, b in ends]
  if is_mixed or is_special or differs or not all(channels):
    return False
  if outer.from_hr_to_hr:  # tied kernels of more HR pixels, or one for each phase
    has_same_maps = all(a == b for a, b in ends)
    reaches = _covers(outer.hr_padding, inner.hr_padding)
    return has_same_maps and reaches and (inner.tied or not outer.tied)
  # An HR map has one bias for all of its phases, where LR maps have one each.
  has_fewer_biases = bool(outer.outputs.hr and inner.outputs.lr)
  reach = outer.padding_in_lr_space(scale), inner.padding_in_lr_space(scale)
  return not has_fewer_biases and _covers(*reach)


def _covers(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
  """Whether a window reaches at least as far on both sides."""
  return all(a >= b for a, b in zip(outer, inner, strict=True))
