"""The lift: an HR-space convolution as the LR-space convolution that computes the same.

`space_to_depth` turns a convolution of an HR map into a convolution of LR maps. Zero padding,
pointwise activations and residual additions commute with it too, as do biases, repeated for each
phase, so that whole networks lift. This makes the note's "more representation power" (Section 3) a
statement about sets of functions: see `fits`.
"""

from collections.abc import Sequence

from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.operators.conv import Padding
from sr_jax.operators.conversion import AnyArray, check_kernel
from sr_jax.operators.shuffle import check_whole, space_to_depth


def lift_conv(
  kernel: Float[AnyArray, "*kernel i o"], scale: int, padding: Sequence
) -> tuple[Float[Array, "*lr_kernel ri ro"], Padding]:
  """The LR convolution that equals a given HR convolution on `space_to_depth` maps.

  With `W, lr_padding = lift_conv(F, r, padding)` and h of r N samples an axis, borders included,

    space_to_depth(conv(h, F, padding), r) = conv(space_to_depth(h, r), W, lr_padding)
    W[t, (phi, i), (phi', o)] = F[r (t - L) + phi - phi' + q, i, o]  (0 where that leaves F),
    L = ceil(q / r),  R = ceil((K - 1 - q) / r),  k = 1 + L + R taps,  lr_padding = (L, R)

  where padding (q, K - 1 - q) must keep the length of h. Each weight of F appears r^d times, once
  for each output phase. Made of pads and slices only, so that gradients are deterministic.
  """
  pairs = check_kernel("kernel", kernel, scale, "padding", padding)
  sizes, axes = kernel.shape[:-2], len(pairs)
  if any(low + high != size - 1 for size, (low, high) in zip(sizes, pairs, strict=True)):
    raise ValueError(
      f"padding {pairs} must keep the length of what kernel {kernel.shape} convolves: pairs that "
      f"sum to {tuple(size - 1 for size in sizes)}"
    )
  lr_padding = tuple((-(-low // scale), -(-high // scale)) for low, high in pairs)
  taps = jnp.asarray(kernel)
  for axis, ((low, high), (left, right)) in enumerate(zip(pairs, lr_padding, strict=True)):
    # Seen from output phase phi', input sample n = r t + phi of the LR window is tap
    # n - phi' + q - r L: the same taps, one sample later for each phase.
    length = scale * (1 + left + right)
    zeros = (scale * left - low + scale - 1, scale * right - high + scale - 1)
    taps = jnp.pad(taps, [zeros if i == axis else (0, 0) for i in range(taps.ndim)])
    starts = range(scale - 1, -1, -1)
    taps = jnp.stack([lax.slice_in_dim(taps, s, s + length, axis=axis) for s in starts], axis=-2)
  lr_kernel = space_to_depth(taps.reshape(1, *taps.shape[:axes], -1), scale)[0]
  channels = (scale**axes * count for count in kernel.shape[-2:])
  return lr_kernel.reshape(*lr_kernel.shape[:-1], *channels), lr_padding


def lift_untied_conv(
  kernel: Float[AnyArray, "*kernel i ro"], scale: int, padding: Sequence
) -> tuple[Float[Array, "*lr_kernel ri ro"], Padding]:
  """The LR convolution that computes each phase of the output with its own HR kernel.

  With equal kernels, which are phase-major in the last axis, it is that of `lift_conv`.
  """
  phases = scale ** len(padding)
  lifted = [lift_conv(part, scale, padding) for part in jnp.split(kernel, phases, axis=-1)]
  outputs = kernel.shape[-1] // phases
  parts = [w[..., phi * outputs : (phi + 1) * outputs] for phi, (w, _) in enumerate(lifted)]
  return jnp.concatenate(parts, axis=-1), lifted[0][1]


def fits(kernel_size: int, scale: int, lr_kernel_size: int) -> bool:
  """Whether an HR convolution of K taps is an LR convolution of k: K <= r (k - 1) + 1.

  Exactly then some padding (q, K - 1 - q) lifts to at most k taps, every q = 0 (mod r) does, and,
  if k is odd, so does q in the middle, within (k - 1) / 2 LR pixels of zeros on each side.

  When it fits, an HR layer on n / r^d maps is an LR layer on n maps whose weights are tied over
  the phases. HR networks of such layers are then a strict subset of the LR networks, for r > 1,
  where the first layer lifts as well: a learned one does, one after bicubic interpolation takes
  more taps. r = 2 and k = 3 hold K <= 5.

  When not, neither contains the other. The note's own pair, K = 6 = k r for k = 3, is of this
  kind: a lifted 6x6 needs 4x4, while an LR 3x3 is a 6x6 on windows aligned to blocks of r, with
  one kernel for each phase, which no single HR kernel is.
  """
  check_whole(kernel_size=kernel_size, scale=scale, lr_kernel_size=lr_kernel_size)
  return kernel_size <= scale * (lr_kernel_size - 1) + 1
