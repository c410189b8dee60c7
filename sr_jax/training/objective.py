"""What members learn: which arrays they read and write, and the loss."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array

from sr_jax.data.pairs import Layout
from sr_jax.networks import AnyNetwork, squared_error


@runtime_checkable
class Objective(Protocol):
  """What members learn. It is hashable: programs are kept by it."""

  def __hash__(self) -> int: ...

  @property
  def layout(self) -> Layout:
    """How the arrays of training pairs lie."""

  def training_loss(self, network: AnyNetwork, params: Any, inputs: Array, targets: Array) -> Array:
    """The loss of a batch, a scalar."""


@dataclasses.dataclass(frozen=True)
class Upscaling:
  """HR luminance from LR luminance, by the mean squared error: super-resolution of photographs."""

  scale: int

  @property
  def layout(self) -> Layout:
    """LR and HR images of one map."""
    return Layout(self.scale)

  def training_loss(self, network: AnyNetwork, params: Any, inputs: Array, targets: Array) -> Array:
    """The mean squared error, less the network's margin."""
    return squared_error(network, params, inputs, targets)
