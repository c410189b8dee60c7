"""The Jacobian of a plain network with a bound of the rounding error of every entry.

A running error analysis (Higham 2002, "Accuracy and Stability of Numerical Algorithms", Section
3.3) of the forward and the backward pass: beside each array stands a bound of how far it is from
what exact arithmetic would give. A computed sum of k products, in any order, is off by at most
gamma(k) = k u / (1 - k u) times the sum of their magnitudes, where u is the unit roundoff.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from sr_jax.networks import Network
from sr_jax.networks.pair import lift_network, lifted
from sr_jax.operators.conv import Computation, conv, mirrored_padding
from sr_jax.operators.resize import bicubic_phases

BIAS = 0.02  # standard deviation
TANH = 64  # units of roundoff, relative: what is assumed of `jnp.tanh` (8 were measured)


class Stack(NamedTuple):
  """LR convolutions with an activation between them."""

  kernels: list[Float[Array, "k k i o"]]
  biases: list[Float[Array, " o"]]
  paddings: tuple[tuple[int, int], ...]
  activation: str  # "relu" or "tanh"


class Bounded(NamedTuple):
  """Computed values, and bounds of their errors."""

  value: Array
  error: Array


class Rows(NamedTuple):
  """The rows of a Jacobian that one image gives."""

  values: Float[Array, "outputs weights"]
  errors: Float[Array, "outputs weights"]  # bounds
  clearance: Float[Array, ""]  # least |pre-activation| of a hidden unit, in bounds of its error


def gamma(terms: int, unit: float) -> float:
  """How far a computed sum of so many products is off, relative to the sum of magnitudes."""
  return terms * unit / (1 - terms * unit)


def random_stack(network: Network, seed: int) -> tuple[Stack, Int[np.ndarray, " parameters"]]:
  """A network with random parameters as LR convolutions, and which of their weights are its own.

  Kernels are as at the start of training, less their mean over what they read: hidden values are
  positive with ReLU, and their mean would leave some units nearly always on or off, whose columns
  are nearly dependent. Biases are drawn as well. Weights are counted layer by layer, kernel before
  bias; those that are not the network's own are zero.

  Raises:
    ValueError: the network is no sequence of padded convolutions with one activation, or its lift
      copies a weight more than once.
  """
  hidden = {layer.activation for layer in network.layers[:-1]}
  plain = all(layer.padding == "same" and not layer.adds for layer in network.layers)
  exact = network.contrast == 1 and (network.scale == 2 or not network.bicubic_first)
  if not plain or not exact or hidden not in ({"relu"}, {"tanh"}) or network.layers[-1].activation:
    raise ValueError(f"no plain sequence of padded convolutions with ReLU or tanh: {network}")
  weights, biases = jax.random.split(jax.random.key(seed))
  params = jax.jit(network.init)(weights, jnp.zeros((1, 8, 8, 1)))["params"]
  flat, unravel = ravel_pytree(params)
  noise = unravel(BIAS * jax.random.normal(biases, flat.shape, flat.dtype))

  def moved(leaf: Array, noise: Array) -> Array:
    if leaf.ndim == 1:
      return leaf + noise
    return leaf - leaf.mean(range(leaf.ndim - 1), keepdims=True)

  params = jax.tree.map(moved, params, noise)
  numbers = unravel(jnp.arange(1, flat.size + 1, dtype=flat.dtype))
  lift = jax.jit(lambda params: lift_network(network, params)[1])
  lr_params, numbers = lift(params), lift(numbers)
  layers = lifted(network).layers
  leaves = [(layer.name, leaf) for layer in layers for leaf in ("kernel", "bias")]
  numbered = np.concatenate([np.ravel(numbers[name][leaf]) for name, leaf in leaves])
  own = np.flatnonzero(numbered)
  if not np.array_equal(np.sort(numbered[own]), np.arange(1, flat.size + 1)):
    raise ValueError(f"weights are tied over phases, so that the lift repeats them: {network}")
  kernels, shifts = ([lr_params[name][leaf] for name, leaf in leaves[i::2]] for i in (0, 1))
  paddings = tuple(layer.padding_in_lr_space(network.scale) for layer in layers)
  return Stack(kernels, shifts, paddings, hidden.pop()), own


def inputs_of(network: Network, x: Float[Array, "1 h w 1"]) -> Float[Array, "1 h w i"]:
  """What the first layer reads of an image whose values are multiples of 2^-10: exactly that.

  The bicubic weights at r = 2 are multiples of 2^-7 an axis, so that nothing is rounded.
  """
  x = x - network.mid_input
  return bicubic_phases(x, network.scale) if network.bicubic_first else x


def rows_of_image(stack: Stack, x: Float[Array, "1 h w i"]) -> Rows:
  """The derivatives of all phases of all pixels with respect to all weights of the stack.

  Computes in the precision of x. With ReLU the bounds hold where `clearance` is above 1.
  """
  outputs = stack.kernels[-1].shape[-1]
  pixels = x.shape[1] * x.shape[2]
  one_hot = np.eye(pixels * outputs, dtype=x.dtype).reshape(-1, *x.shape[1:3], outputs)
  kernels, biases = ([leaf.astype(x.dtype) for leaf in leaves] for leaves in stack[:2])
  return _rows(kernels, biases, x, one_hot, paddings=stack.paddings, activation=stack.activation)


@functools.partial(jax.jit, static_argnames=("paddings", "activation"))
def _rows(
  kernels: list[Array],
  biases: list[Array],
  x: Array,
  one_hot: Array,  # of each output; an argument, or XLA would convolve it while compiling
  *,
  paddings: tuple[tuple[int, int], ...],
  activation: str,
) -> Rows:
  unit = float(jnp.finfo(x.dtype).eps) / 2
  states, slopes, clearances = [Bounded(x, jnp.zeros_like(x))], [], []
  for kernel, bias, padding in zip(kernels[:-1], biases, paddings, strict=False):
    z = _convolved(states[-1], kernel, padding, unit, bias)
    clearances.append(jnp.min(jnp.abs(z.value) / z.error))
    state, slope = _activated(z, activation, unit)
    states.append(state)
    slopes.append(slope)
  delta = Bounded(one_hot, jnp.zeros_like(one_hot))
  blocks: list[Bounded] = []
  for i in reversed(range(len(kernels))):
    kernel, padding = kernels[i], paddings[i]
    blocks[:0] = _weight_derivatives(delta, states[i], len(kernel), padding, unit)
    if i > 0:
      mirrored = lax.rev(kernel, (0, 1)).swapaxes(2, 3)
      pair, _ = mirrored_padding(kernel.shape[:2], (padding, padding))
      delta = _product(_convolved(delta, mirrored, pair, unit), slopes[i - 1], unit)
  values, errors = (jnp.concatenate([block[i] for block in blocks], 1) for i in (0, 1))
  return Rows(values, errors, jnp.min(jnp.stack(clearances)))


def _convolved(
  x: Bounded,
  kernel: Float[Array, "k k i o"],
  padding: tuple[int, int],
  unit: float,
  bias: Float[Array, " o"] | None = None,
) -> Bounded:
  """W x + b, off by gamma (|W| |x| + |b|) and by |W| times the error of x."""
  pairs, plain = (padding, padding), Computation("plain")
  value = conv(x.value, kernel, pairs, plain, bias=bias)
  bound = gamma(kernel[..., 0].size + 1, unit)
  rounding = None if bias is None else bound * jnp.abs(bias)
  error = conv(bound * jnp.abs(x.value) + x.error, jnp.abs(kernel), pairs, plain, bias=rounding)
  return Bounded(value, error)


def _activated(z: Bounded, activation: str, unit: float) -> tuple[Bounded, Bounded]:
  """The activation and its slope; at ReLU for errors that leave the sign as it is."""
  if activation == "relu":
    slope = (z.value > 0).astype(z.value.dtype)
    return Bounded(slope * z.value, slope * z.error), Bounded(slope, jnp.zeros_like(slope))
  h = jnp.tanh(z.value)
  error = z.error + TANH * unit * jnp.abs(h)  # slopes are at most 1
  return Bounded(h, error), Bounded(1 - h * h, error * (2 * jnp.abs(h) + error) + 3 * unit)


def _product(x: Bounded, y: Bounded, unit: float) -> Bounded:
  value = x.value * y.value
  from_y = (jnp.abs(x.value) + x.error) * y.error
  return Bounded(value, unit * jnp.abs(value) + x.error * jnp.abs(y.value) + from_y)


def _weight_derivatives(
  delta: Bounded, state: Bounded, size: int, padding: tuple[int, int], unit: float
) -> tuple[Bounded, Bounded]:
  """Derivatives with respect to a kernel and a bias: sums over pixels of delta times state."""
  outputs, height, width, _ = delta.value.shape
  bound = gamma(height * width, unit)
  rounded = bound * jnp.abs(delta.value) + delta.error

  def correlate(signal: Array, read: Array) -> Float[Array, "outputs kkio"]:
    by_pixel = signal.reshape(outputs, height * width, -1)
    windows = _windows(read, size, padding)
    return jnp.einsum("rpo,pk->rko", by_pixel, windows).reshape(outputs, -1)

  errors = correlate(rounded, jnp.abs(state.value))
  errors += correlate(jnp.abs(delta.value) + delta.error, state.error)
  kernel = Bounded(correlate(delta.value, state.value), errors)
  return kernel, Bounded(delta.value.sum((1, 2)), rounded.sum((1, 2)))


def _windows(
  x: Float[Array, "1 h w i"], size: int, padding: tuple[int, int]
) -> Float[Array, "hw kki"]:
  """What each tap of a kernel reads at each pixel."""
  _, height, width, _ = x.shape
  padded = jnp.pad(x, ((0, 0), padding, padding, (0, 0)))
  taps = itertools.product(range(size), repeat=2)
  read = [padded[0, a : a + height, b : b + width] for a, b in taps]
  return jnp.stack(read, axis=2).reshape(height * width, -1)
