"""What can be tuned of a training beside its rate, each member of a population having its own.

All of it is arrays of the members, so that one compiled program trains them all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32

from sr_jax.data.patches import HostOrDevice
from sr_jax.networks import AnyNetwork, OwnNetwork

CLIP = 0.05  # cuts early spikes alone, which could otherwise kill all ReLUs of a layer for good
WARMUP = 0.1  # of all steps


class Hyperparameters(NamedTuple):
  """How a member is trained.

  Attributes:
    learning_rate: peak of the schedule.
    first_rate: factor of the first layer's rate.
    last_rate: factor of the last layer's rate.
    gain: factor of the initial variance of every kernel but the last.
    last_gain: factor of the initial variance of the last kernel.
    contrast: factor of the image that the first layer reads, see `TunedMembers`.
    warmup: share of all steps over which the rate rises.
    clip: the largest norm of all gradients together.
  """

  learning_rate: float
  first_rate: float = 1.0
  last_rate: float = 1.0
  gain: float = 1.0
  last_gain: float = 1.0
  contrast: float = 1.0
  warmup: float = WARMUP
  clip: float = CLIP


class TunedMembers(NamedTuple):
  """The members of a population, each with `Hyperparameters` of its own; arrays of equal length.

  A contrast c is the first kernel's initial values and its rate times c. To Adam, whose steps do
  not depend on the scale of a gradient, that is the same as to multiply the image: a kernel c W on
  an image x is W on c x. It differs where gradients are clipped, or as small as Adam's epsilon.
  """

  seed: Int32[HostOrDevice, "*m"]  # of the initialisation (with the arm's name) and the batches
  learning_rate: Float32[HostOrDevice, "*m"]
  first_rate: Float32[HostOrDevice, "*m"]
  last_rate: Float32[HostOrDevice, "*m"]
  gain: Float32[HostOrDevice, "*m"]
  last_gain: Float32[HostOrDevice, "*m"]
  contrast: Float32[HostOrDevice, "*m"]
  warmup: Float32[HostOrDevice, "*m"]
  clip: Float32[HostOrDevice, "*m"]


def make_tuned_members(
  seeds: Sequence[int], hyperparameters: Sequence[Hyperparameters]
) -> TunedMembers:
  """A member of each seed and its hyperparameters, as NumPy arrays."""
  columns = np.array(hyperparameters, np.float32).T
  return TunedMembers(np.array(seeds, np.int32), *columns)


def scale_initial(network: AnyNetwork, params: Any, member: TunedMembers) -> Any:
  """The initial parameters of a member, with its gains and its contrast.

  A user's own network has no layers that are known, and stays as it is.
  """
  if isinstance(network, OwnNetwork):
    return params
  first, last = network.layers[0].name, network.layers[-1].name
  scaled = {}
  for name, layer in params.items():
    factor = jnp.sqrt(member.last_gain if name == last else member.gain)
    factor = factor * member.contrast if name == first else factor
    scaled[name] = _kernels_times(factor, layer)
  return scaled


def scale_updates(network: AnyNetwork, updates: Any, member: TunedMembers) -> Any:
  """The updates of a member's parameters, at the rates of its first and last layer.

  Those of a user's own network stay as they are.
  """
  if isinstance(network, OwnNetwork):
    return updates
  first, last = network.layers[0].name, network.layers[-1].name
  times_rate = jax.tree.map(lambda update: update * member.first_rate, updates[first])
  return updates | {
    first: _kernels_times(member.contrast, times_rate),
    last: jax.tree.map(lambda update: update * member.last_rate, updates[last]),
  }


def _kernels_times(factor: HostOrDevice, layer: dict[str, Array]) -> dict[str, Array]:
  """A layer's parameters, its kernels times a factor; biases and slopes are vectors."""
  return {name: leaf * factor if leaf.ndim > 1 else leaf for name, leaf in layer.items()}
