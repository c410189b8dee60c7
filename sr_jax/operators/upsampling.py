"""Three implementations of one layer, of the note's Sections 1 and 2 (Fig. 1 to 7).

All three compute T(g; r, p0, p1) of an x with 1 to 3 spatial axes, from the same arguments; they
differ in their multiplications. Per output value and channel pair, zero insertion takes K^d
multiply-accumulates, of which all but about (K/r)^d are by a zero; the LR convolution takes
k^d = (K/r)^d where `deconv_to_lr` is a bijection. A crop may be at most K and leave at least one of
the M outputs of each axis.
"""

from collections.abc import Sequence

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.operators.conv import Padding, conv, mirrored_padding
from sr_jax.operators.conversion import AnyArray, check_deconv, deconv_to_lr
from sr_jax.operators.shuffle import Scale, depth_to_space, per_axis


def zero_insertion_conv(
  x: Float[Array, "b *space i"],
  kernel: Float[Array, "*kernel i o"],
  scale: Scale,
  padding: Sequence,
) -> Float[Array, "b *out o"]:
  """The sub-pixel convolution as in Fig. 3 of the note: zeros between the pixels.

  Inserts r - 1 zeros, pads with q = (K - 1 - p0, K - 1 - p1), and correlates with the reversed
  kernel: S(flip g; q) = T(g; p).
  """
  padding, _ = _check(x, kernel, scale, padding)
  gaps = (r - 1 for r in per_axis(scale, len(padding)))
  mirrored = mirrored_padding(kernel.shape[:-2], padding)
  edges = [(*pair, gap) for pair, gap in zip(mirrored, gaps, strict=True)]
  with_zeros = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
  # Without the barrier XLA compiles the same program as for transposed_conv.
  with_zeros = lax.optimization_barrier(with_zeros)
  return conv(with_zeros, lax.rev(kernel, tuple(range(len(edges)))), ((0, 0),) * len(edges))


def transposed_conv(
  x: Float[Array, "b *space i"],
  kernel: Float[Array, "*kernel i o"],
  scale: Scale,
  padding: Sequence,
) -> Float[Array, "b *out o"]:
  """The deconvolution as defined in Fig. 2 of the note: the transpose of a strided convolution.

  The convolution goes from y to x, x[i] = sum_a g[a] y[r i + a - p0], and is the matrix of Fig. 2;
  this is its transposed matrix, as JAX's own autodiff derives it for XLA.
  """
  padding, lengths = _check(x, kernel, scale, padding)
  space = "DHW"[-len(lengths) :]

  def strided(y: Array) -> Array:
    return lax.conv_general_dilated(
      y,
      kernel,
      window_strides=per_axis(scale, len(lengths)),
      padding=padding,
      dimension_numbers=(f"N{space}C", f"{space}OI", f"N{space}C"),
      precision=lax.Precision.HIGHEST,
    )

  output = jax.ShapeDtypeStruct((x.shape[0], *lengths, kernel.shape[-1]), x.dtype)
  (y,) = jax.linear_transpose(strided, output)(x)
  return y


def sub_pixel_conv(
  x: Float[Array, "b *space i"],
  kernel: Float[Array, "*kernel i o"],
  scale: Scale,
  padding: Sequence,
) -> Float[Array, "b *out o"]:
  """The efficient sub-pixel convolution (the note, Fig. 5 to 7): convolve in LR, then shuffle.

  `deconv_to_lr` selects the kernel's phases, one convolution applies them to x, and
  `depth_to_space` interleaves the r^d results.
  """
  padding, lengths = _check(x, kernel, scale, padding)
  lr_kernel, lr_padding, _ = deconv_to_lr(kernel, scale, padding)
  y = depth_to_space(conv(x, lr_kernel, lr_padding), scale)
  # The crop of deconv_to_lr is the part beyond M.
  return lax.slice(y, (0,) * y.ndim, (x.shape[0], *lengths, kernel.shape[-1]))


def conversion_error(
  kernel: Float[AnyArray, "*kernel i o"], scale: Scale, padding: Sequence
) -> float:
  """The largest difference of `sub_pixel_conv` from `transposed_conv` on a random input.

  It is divided by the largest output; about 1e-6 is float32's rounding.
  """
  pairs = check_deconv(kernel, scale, padding)
  shape = (1, *(max(size, 8) for size in kernel.shape[:-2]), kernel.shape[-2])
  x = jax.random.normal(jax.random.key(0), shape, kernel.dtype)
  exact = transposed_conv(x, jnp.asarray(kernel), scale, pairs)
  difference = sub_pixel_conv(x, jnp.asarray(kernel), scale, pairs) - exact
  return float(jnp.abs(difference).max() / jnp.abs(exact).max())


def _check(
  x: Array, kernel: Array, scale: Scale, padding: Sequence
) -> tuple[Padding, tuple[int, ...]]:
  """Checks the arguments; returns the padding as pairs and the output length M of each axis."""
  pairs = check_deconv(kernel, scale, padding)
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(f"x {x.shape} must be of floating point, not {x.dtype}")
  if x.ndim != kernel.ndim or len(pairs) > 3:
    raise ValueError(
      f"x must be (batch, *space, in) with the 1 to 3 spatial axes of kernel {kernel.shape}, not "
      f"{x.shape}"
    )
  if x.shape[-1] != kernel.shape[-2]:
    raise ValueError(
      f"kernel {kernel.shape} needs {kernel.shape[-2]} input channels, x {x.shape} has "
      f"{x.shape[-1]}"
    )
  lengths = tuple(
    r * (n - 1) + size - low - high
    for r, n, size, (low, high) in zip(
      per_axis(scale, len(pairs)), x.shape[1:-1], kernel.shape[:-2], pairs, strict=True
    )
  )
  if min(lengths) < 1:
    raise ValueError(
      f"padding {pairs} crops more than the output has: x {x.shape}, kernel {kernel.shape} and "
      f"scale {scale} leave {lengths} samples; each axis must keep at least 1"
    )
  return pairs, lengths
