"""Deconvolution kernels as the low-resolution (LR) convolutions they are, and back.

This is Sections 1 and 2 of the note as one operator. Output r s + phi of T(g; r, p0, p1) meets
only the taps a = phi + p0 (mod r) of g: these are the note's phase filters (f1 and f2 of Fig. 3,
the four colours of Fig. 5), and r^d LR convolutions with them, interleaved by `depth_to_space`, are
the deconvolution. `conv` correlates, so the taps of each phase come out reversed.
"""

import functools
import math
import operator
from collections.abc import Sequence

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.operators.conv import Padding
from sr_jax.operators.shuffle import Scale, depth_to_space, per_axis, space_to_depth

AnyArray = Array | np.ndarray


def deconv_to_lr(
  kernel: Float[AnyArray, "*kernel i o"], scale: Scale, padding: Sequence
) -> tuple[Float[Array, "*lr_kernel i ro"], Padding, tuple[int, ...]]:
  """Turns a deconvolution kernel into the equal LR convolution (the note, Fig. 5 to 7).

  With `W, lr_padding, crop = deconv_to_lr(g, r, padding)`, T(g; r, padding) of x is
  `depth_to_space(conv(x, W, lr_padding), r)` without the last `crop` samples of each axis:

    W[t, i, phi, o] = g[phi + p0 - r (t - L), i, o]  (0 where that leaves g),
    L = (K - 1 - p0) // r,  R = ceil(p0 / r),  k = L + R + 1 taps,
    lr_padding = (L, ceil((K - p0 - p1) / r) - 1 + R),  crop = -(K - p0 - p1) mod r.

  A bijection, without a multiplication or a rounding, exactly when K = k r and p0 = 0 (mod r): the
  note's (o r^2, i, k, k) <-> (o, i, k r, k r), and `lr_to_deconv` returns the same kernel.
  Otherwise (K not a multiple of r, as the note's f = (1, 2, 3), or p0 between two LR pixels, as
  with K = 4, r = 2, p0 = 1) it is an injection: W still equals the deconvolution, but has taps that
  are zero by their place, and `lr_to_deconv` returns g with those zeros around it. If K < r, whole
  phases are zero (a checkerboard). A crop may be at most K. The scale may differ between axes; a
  dilated kernel is one with zeros between its taps (`dilated`).
  """
  padding = check_deconv(kernel, scale, padding)
  sizes = kernel.shape[:-2]
  scales = per_axis(scale, len(sizes))
  lr_padding, crop, embed = [], [], []
  for size, r, (low, high) in zip(sizes, scales, padding, strict=True):
    left, right = (size - 1 - low) // r, -(-low // r)
    kept = size - low - high
    lr_padding.append((left, -(-kept // r) - 1 + right))
    crop.append(-kept % r)
    # The kernel that has the same LR form and is aligned: zeros around g, fewer than r a side.
    start = right * r - low
    embed.append((start, (left + right + 1) * r - size - start))
  return _phases(kernel, scales, tuple(embed)), tuple(lr_padding), tuple(crop)


# One program, where it is called outside of any: each of its operations would be compiled alone.
@functools.partial(jax.jit, static_argnums=(1, 2), inline=True)
def _phases(kernel: Array, scales: tuple[int, ...], embed: Padding) -> Array:
  """The LR kernel of a kernel with these zeros around it, which align it."""
  axes = len(embed)
  aligned = jnp.pad(kernel, (*embed, (0, 0), (0, 0)))
  # Tap a = r (k - 1 - t) + phi of an aligned kernel is tap t of phase phi: its own space_to_depth.
  phases = space_to_depth(aligned.reshape(1, *aligned.shape[:-2], -1), scales)[0]
  phases = phases.reshape(*phases.shape[:-1], math.prod(scales), *kernel.shape[-2:])
  phases = lax.rev(phases.swapaxes(-3, -2), tuple(range(axes)))
  return phases.reshape(*phases.shape[:-2], -1)


def lr_to_deconv(
  lr_kernel: Float[AnyArray, "*lr_kernel i ro"], scale: Scale, lr_padding: Sequence, crop: Sequence
) -> tuple[Float[Array, "*kernel i o"], Padding]:
  """Turns any LR convolution with its shuffle into the kernel and padding of a deconvolution.

  The note's (9, 32, 3, 3) -> (1, 32, 9, 9). The arguments are what `deconv_to_lr` returns: W, its
  padding (L, R), of at least -1, and a crop in [0, r). K = r k and

    g[a, i, o] = W[k - 1 - a // r, i, a mod r, o],  p0 = r (k - 1 - L),  p1 = r (k - 1 - R) + crop.
  """
  lr_padding = check_kernel("lr_kernel", lr_kernel, scale, "lr_padding", lr_padding)
  sizes, axes = lr_kernel.shape[:-2], len(lr_padding)
  scales = per_axis(scale, axes)
  phases = math.prod(scales)
  if lr_kernel.shape[-1] % phases:
    raise ValueError(
      f"lr_kernel {lr_kernel.shape} has {lr_kernel.shape[-1]} output channels; with scale {scale} "
      f"and {axes} spatial axes it must be a multiple of {phases}"
    )
  drops = crop if isinstance(crop, Sequence) else ()
  if len(drops) != axes or any(d not in range(r) for d, r in zip(drops, scales, strict=True)):
    raise ValueError(
      f"crop must be {axes} whole numbers in [0, scale), scale being {scale}; found {crop!r}"
    )
  padding = tuple(
    (r * (size - 1 - left), r * (size - 1 - right) + int(drop))
    for size, r, (left, right), drop in zip(sizes, scales, lr_padding, crop, strict=True)
  )
  full = tuple(r * size for r, size in zip(scales, sizes, strict=True))
  if any(max(pair) > size for size, pair in zip(full, padding, strict=True)):
    raise ValueError(
      f"lr_padding {lr_padding} with crop {tuple(crop)} drops whole LR pixels at the border of an "
      f"lr_kernel {lr_kernel.shape}: as a deconvolution it would crop {padding}, more than its "
      f"kernel's {full}"
    )
  return _interleaved(lr_kernel, scales), padding


@functools.partial(jax.jit, static_argnums=1, inline=True)
def _interleaved(lr_kernel: Array, scales: tuple[int, ...]) -> Array:
  """The deconvolution kernel whose phases are those of an LR kernel."""
  *sizes, inputs, _ = lr_kernel.shape
  taps = lax.rev(lr_kernel, tuple(range(len(sizes))))
  taps = taps.reshape(*sizes, inputs, math.prod(scales), -1).swapaxes(-3, -2)
  kernel = depth_to_space(taps.reshape(1, *sizes, -1), scales)[0]
  return kernel.reshape(*kernel.shape[:-1], inputs, -1)


def dilated(kernel: Float[AnyArray, "*kernel i o"], dilation: Scale) -> Float[Array, "*wide i o"]:
  """Inserts dilation - 1 zeros between the taps of each spatial axis."""
  steps = per_axis(dilation, kernel.ndim - 2, "dilation")
  taps = jnp.asarray(kernel)
  between = (*((0, 0, step - 1) for step in steps), (0, 0, 0), (0, 0, 0))
  return lax.pad(taps, jnp.zeros((), taps.dtype), between)


def check_kernel(
  name: str, kernel: AnyArray, scale: Scale, padding_name: str, padding: Sequence
) -> Padding:
  """Checks that kernel, scale and padding match; returns the padding as pairs of whole numbers."""
  if not jnp.issubdtype(kernel.dtype, jnp.floating):
    raise ValueError(f"{name} {kernel.shape} must be of floating point, not {kernel.dtype}")
  axes = kernel.ndim - 2
  if axes < 1 or 0 in kernel.shape:
    raise ValueError(
      f"{name} must be (*kernel, in, out) with a spatial axis and nothing empty, not {kernel.shape}"
    )
  per_axis(scale, axes)
  try:
    pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)
    if len(pairs) == axes:
      return pairs
  except (TypeError, ValueError):
    pass
  raise ValueError(
    f"{name} {kernel.shape} needs {padding_name} of {axes} pairs of whole numbers, not {padding!r}"
  )


def check_deconv(kernel: AnyArray, scale: Scale, padding: Sequence) -> Padding:
  """As `check_kernel`, and checks that no crop of the deconvolution exceeds the kernel."""
  pairs = check_kernel("kernel", kernel, scale, "padding", padding)
  if any(max(pair) > size for size, pair in zip(kernel.shape[:-2], pairs, strict=True)):
    raise ValueError(
      f"padding {pairs} crops more than the kernel {kernel.shape} has: each number may be at most "
      f"{kernel.shape[:-2]}, axis by axis"
    )
  return pairs
