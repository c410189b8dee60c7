"""What HR layers and LR layers have in common, measured through the lift, in float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.networks import Network, upscale
from sr_jax.networks.pair import lift_network, lifted, nearest
from sr_jax.operators.conv import same_padding
from sr_jax.operators.lifting import lift_conv

EXACT_LIFT = 1e-10  # of float64 sums in another order, through a whole network


def deviation_of_lift(network: Network) -> float:
  """Largest difference between a random network and its lift, in float64."""
  return deviation_of_inclusion(network, lifted(network))


def deviation_of_inclusion(network: Network, larger: Network) -> float:
  """Largest difference between a random network and a larger one that has its weights, in float64.

  The larger one's lift must have the layers of the network's; if not, the difference is infinite.
  """
  if lifted(network).layers != lifted(larger).layers:
    return float("inf")
  with jax.enable_x64():
    params = random_params(network)

    def deviation(params: Any, x: jax.Array) -> jax.Array:
      copied = nearest(larger, lift_network(network, params)[1])
      return jnp.abs(upscale(network, params, x) - upscale(larger, copied, x)).max()

    return float(jax.jit(deviation)(params, np.random.default_rng(1).random((1, 9, 8, 1))))


def random_params(network: Network) -> Any:
  """Parameters as at the start of training, and noise on all of them, biases too."""
  params = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda p: np.asarray(p) + 0.1 * rng.standard_normal(p.shape), params)


def tied_share(kernel_size: int, scale: int, lr_kernel_size: int) -> tuple[int, float]:
  """How one HR layer and one LR layer of a map a phase overlap, measured by linear algebra.

  Returns:
    how many LR pixels a side a lifted random HR kernel really uses, and which part (0 to 1) of a
    random LR kernel no lifted HR kernel reproduces.
  """
  with jax.enable_x64():
    taps, phases = kernel_size**2, scale**2
    padding = (same_padding(kernel_size),) * 2
    basis = jnp.eye(taps).reshape(kernel_size, kernel_size, 1, taps)
    lr_basis, _ = lift_conv(basis, scale, padding)
    side = lr_basis.shape[0]
    lifted = np.asarray(lr_basis).reshape(side, side, phases, phases, taps)
    used = np.flatnonzero(np.abs(lifted).sum(axis=(1, 2, 3, 4)))
    room = max(side, lr_kernel_size)
    rng = np.random.default_rng(0)
    wanted = np.zeros((room, room, phases, phases))
    edge = (room - lr_kernel_size) // 2
    window = slice(edge, edge + lr_kernel_size)
    wanted[window, window] = rng.standard_normal((lr_kernel_size, lr_kernel_size, phases, phases))
    padded = np.zeros((room, room, phases, phases, taps))
    padded[:side, :side] = lifted
    family = padded.reshape(-1, taps)
    nearest = family @ np.linalg.lstsq(family, wanted.ravel(), rcond=None)[0]
    missing = np.linalg.norm(wanted.ravel() - nearest) / np.linalg.norm(wanted)
    return int(used[-1] - used[0] + 1), float(missing)


def compare_layers(size: str, lr_size: str, needed: str | None, missing: float) -> str:
  """Which of one HR and one LR layer contains the other, in words.

  Args:
    size: of the HR kernel, as 6x6.
    lr_size: of the LR kernel.
    needed: LR pixels that the lifted HR kernel uses, where those are more than `lr_size`.
    missing: which part (0 to 1) of a random LR kernel no lifted HR kernel reproduces.
  """
  hr, lr = f"HR layer of {size}", f"LR layer of {lr_size}"
  too_large = f"a lifted {hr} uses {needed} LR pixels"
  unreached = f"{missing:.0%} of a random {lr} no {hr} reproduces"
  contains_lr = missing < EXACT_LIFT
  if needed is None:
    return f"every {hr} is one {lr}, {'and' if contains_lr else 'but'} " + (
      "the other way round" if contains_lr else unreached
    )
  if contains_lr:
    return f"every {lr} is one {hr}, but {too_large}"
  return f"of single layers neither contains the other: {too_large}, and {unreached}"
