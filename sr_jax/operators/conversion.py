"""Deconvolution kernels as the low-resolution (LR) convolutions they are, and back.

The note (arXiv 1609.07009, Sections 1 and 2) in one operator. A deconvolution (transposed
convolution) of scale r scatters: on each axis, with `padding` (p0, p1) saying what is cropped,

  T(g; r, p0, p1):  y[m] = sum_i x[i] g[m + p0 - r i],  0 <= m < r (N - 1) + K - p0 - p1.

Output r s + phi meets only the taps a = phi + p0 (mod r) of g: these are the note's phase filters
(f1 and f2 of Fig. 3, the four colours of Fig. 5), and r^d LR convolutions with them, interleaved by
`depth_to_space`, are the deconvolution. All formulas hold axis by axis. The LR convolution
correlates, as `conv` does, so the taps of each phase come out reversed.
"""

import operator
from collections.abc import Sequence

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, Shaped

from sr_jax.operators.conv import Padding
from sr_jax.operators.shuffle import depth_to_space, space_to_depth

AnyArray = Array | np.ndarray


def deconv_to_lr(
  kernel: Float[AnyArray, "*kernel i o"], scale: int, padding: Sequence
) -> tuple[Float[Array, "*lr_kernel i ro"], Padding, tuple[int, ...]]:
  """Turns a deconvolution kernel into the equal LR convolution (the note, Fig. 5 to 7).

  With `W, lr_padding, crop = deconv_to_lr(g, r, padding)`, T(g; r, padding) of x is
  `depth_to_space(conv(x, W, lr_padding), r)` less its last `crop` samples. On each axis

    W[t, i, phi, o] = g[phi + p0 - r (t - L), i, o]  (0 where that leaves g),
    L = (K - 1 - p0) // r,  R = ceil(p0 / r),  k = L + R + 1 taps,
    lr_padding = (L, ceil((K - p0 - p1) / r) - 1 + R),  crop = -(K - p0 - p1) mod r.

  A bijection, without a multiplication or a rounding, exactly when K = k r and p0 = 0 (mod r): the
  note's (o r^2, i, k, k) <-> (o, i, k r, k r), and `lr_to_deconv` gives the very kernel back.
  Otherwise (K not a multiple of r, as the note's f = (1, 2, 3), or p0 between two LR pixels, as
  with K = 4, r = 2, p0 = 1) it is an injection: W is equal to the deconvolution all the same, but
  has taps that are zero because of where they are, and `lr_to_deconv` gives g back with those
  zeros around it. If K < r, whole phases are zero (a checkerboard).

  Args:
    kernel: `(*K, in, out)`, g above; any number of spatial axes.
    scale: upscaling factor r >= 1, of all axes.
    padding: d pairs (p0, p1), what T crops from the full output. At most K; negative ones add
      outputs (PyTorch's `output_padding` is in p1).

  Returns:
    The correlation kernel `(*k, in, scale**d * out)`, phase-major as `depth_to_space` reads it; the
    zeros its input is padded with, d pairs (negative ones crop); d numbers of samples to drop from
    the end after the shuffle.

  Raises:
    ValueError: kernel, scale and padding do not belong together, or a crop exceeds the kernel.
  """
  padding = check_deconv(kernel, scale, padding)
  sizes = kernel.shape[:-2]
  lr_padding, crop, embed = [], [], []
  for size, (low, high) in zip(sizes, padding, strict=True):
    left, right = (size - 1 - low) // scale, -(-low // scale)
    kept = size - low - high
    lr_padding.append((left, -(-kept // scale) - 1 + right))
    crop.append(-kept % scale)
    # The kernel that has the same LR form and is aligned: zeros around g, fewer than r a side.
    start = right * scale - low
    embed.append((start, (left + right + 1) * scale - size - start))
  aligned = jnp.pad(kernel, (*embed, (0, 0), (0, 0)))
  # Tap a = r (k - 1 - t) + phi of an aligned kernel is tap t of phase phi: its own space_to_depth.
  phases = space_to_depth(aligned.reshape(1, *aligned.shape[:-2], -1), scale)[0]
  phases = phases.reshape(*phases.shape[:-1], scale ** len(sizes), *kernel.shape[-2:])
  phases = lax.rev(phases.swapaxes(-3, -2), tuple(range(len(sizes))))
  return phases.reshape(*phases.shape[:-2], -1), tuple(lr_padding), tuple(crop)


def lr_to_deconv(
  lr_kernel: Float[AnyArray, "*lr_kernel i ro"],
  scale: int,
  lr_padding: Sequence,
  crop: Sequence[int],
) -> tuple[Float[Array, "*kernel i o"], Padding]:
  """Turns an LR convolution and its shuffle into the equal deconvolution; always possible.

  The note's (9, 32, 3, 3) -> (1, 32, 9, 9). On each axis K = r k and

    g[a, i, o] = W[k - 1 - a // r, i, a mod r, o],  p0 = r (k - 1 - L),  p1 = r (k - 1 - R) + crop

  for an LR input padded with (L, R). `deconv_to_lr` gives exactly the arguments back.

  Args:
    lr_kernel: `(*k, in, scale**d * out)`, W above, phase-major.
    scale: upscaling factor r >= 1.
    lr_padding: d pairs of zeros the LR input is padded with; at least -1.
    crop: d numbers in [0, r): the samples dropped from the end after the shuffle.

  Returns:
    The kernel `(*K, in, out)` of T and its padding, d pairs (p0, p1).

  Raises:
    ValueError: the arguments do not belong together.
  """
  lr_padding = check_kernel("lr_kernel", lr_kernel, scale, "lr_padding", lr_padding)
  sizes, axes = lr_kernel.shape[:-2], len(lr_padding)
  phases = scale**axes
  if lr_kernel.shape[-1] % phases:
    raise ValueError(
      f"lr_kernel {lr_kernel.shape} has {lr_kernel.shape[-1]} output channels; with scale {scale} "
      f"and {axes} spatial axes it wants a multiple of {phases}"
    )
  if (
    not isinstance(crop, Sequence)
    or len(crop) != axes
    or any(drop not in range(scale) for drop in crop)
  ):
    raise ValueError(
      f"crop must be {axes} whole numbers in [0, scale), scale being {scale}; found {crop!r}"
    )
  padding = tuple(
    (scale * (size - 1 - left), scale * (size - 1 - right) + int(drop))
    for size, (left, right), drop in zip(sizes, lr_padding, crop, strict=True)
  )
  if any(max(pair) > scale * size for size, pair in zip(sizes, padding, strict=True)):
    raise ValueError(
      f"lr_padding {lr_padding} with crop {tuple(crop)} drops whole LR pixels at the border of an "
      f"lr_kernel {lr_kernel.shape}: as a deconvolution it would crop {padding}, more than its "
      f"kernel's {tuple(scale * size for size in sizes)}"
    )
  taps = lax.rev(jnp.asarray(lr_kernel), tuple(range(axes)))
  taps = taps.reshape(*sizes, lr_kernel.shape[-2], phases, -1).swapaxes(-3, -2)
  kernel = depth_to_space(taps.reshape(1, *sizes, -1), scale)[0]
  return kernel.reshape(*kernel.shape[:-1], lr_kernel.shape[-2], -1), padding


def flax_to_deconv(
  kernel: Float[AnyArray, "*kernel i o"],
  scale: int,
  padding: str | int | Sequence,
  *,
  transpose_kernel: bool = False,
) -> tuple[Float[Array, "*kernel i2 o2"], Padding]:
  """Reads the kernel of a Flax `ConvTranspose` (or of `lax.conv_transpose`) as T's.

  By default Flax correlates zero-stuffed input with the kernel: it is the *sub-pixel* convolution
  of the note, T of the reversed kernel. With `transpose_kernel` it is T itself, its kernel stored
  `(*K, out, in)`. A padding in numbers pads the zero-stuffed input with q: p = K - 1 - q.

  Args:
    kernel: the layer's parameter `kernel`.
    scale: its `strides`, the same on all axes; no dilation.
    padding: its `padding`: "SAME", "VALID", a number, or a number or pair for each axis.
    transpose_kernel: its `transpose_kernel`.

  Returns:
    The kernel `(*K, in, out)` of T and its padding, d pairs (p0, p1).

  Raises:
    ValueError: kernel, scale and padding do not belong together; another padding by name.
  """
  axes = kernel.ndim - 2
  if isinstance(padding, str):
    if padding not in {"SAME", "VALID"}:
      raise ValueError(f"padding must be 'SAME', 'VALID' or numbers, not {padding!r}")
    check_kernel("kernel", kernel, scale, "padding", ((0, 0),) * axes)
    crops = tuple(_named_crop(size, scale, padding) for size in kernel.shape[:-2])
  else:
    numbers = (padding,) * axes if not isinstance(padding, Sequence) else padding
    pairs = tuple(q if isinstance(q, Sequence) else (q, q) for q in numbers)
    pairs = check_kernel("kernel", kernel, scale, "padding", pairs)
    crops = tuple(
      (size - 1 - low, size - 1 - high)
      for size, (low, high) in zip(kernel.shape[:-2], pairs, strict=True)
    )
  if transpose_kernel:
    taps = jnp.asarray(kernel).swapaxes(-1, -2)
  else:
    taps = lax.rev(jnp.asarray(kernel), tuple(range(axes)))
  return taps, check_deconv(taps, scale, crops)


def torch_to_deconv(
  weight: Float[AnyArray, "i o *kernel"],
  scale: int,
  padding: int | Sequence[int] = 0,
  output_padding: int | Sequence[int] = 0,
  *,
  out_channels: int,
) -> tuple[Float[Array, "*kernel i o"], Padding]:
  """Reads the weight of a PyTorch `ConvTranspose1d`, `2d` or `3d` as the kernel of T.

  PyTorch's `padding` p and `output_padding` e are T's crops (p, p - e). Its weight is
  `(in, out / groups, *K)`, so that (8, 1, 3) is a layer of 8 -> 1 channels, or one of 8 -> 8 in 8
  groups: `out_channels` tells which. Grouped layers are refused.

  Args:
    weight: the layer's `weight`, `(in, out, *K)`; its `dilation` must be 1.
    scale: its `stride`, the same on all axes.
    padding: its `padding`, one number or one for each axis.
    output_padding: its `output_padding`, likewise; less than `scale`, as PyTorch demands.
    out_channels: its `out_channels`.

  Returns:
    The kernel `(*K, in, out)` of T and its padding, d pairs (p0, p1).

  Raises:
    ValueError: weight, stride and paddings do not belong together; the layer is grouped.
  """
  axes = weight.ndim - 2
  if axes < 1:
    raise ValueError(f"weight must be (in, out, *kernel) with a spatial axis, not {weight.shape}")
  _check_ungrouped(weight.shape, out_channels)
  kernel = jnp.moveaxis(jnp.asarray(weight), (0, 1), (-2, -1))
  crops = tuple(padding) if isinstance(padding, Sequence) else (padding,) * axes
  extra = (
    tuple(output_padding) if isinstance(output_padding, Sequence) else (output_padding,) * axes
  )
  try:
    crops, extra = tuple(map(operator.index, crops)), tuple(map(operator.index, extra))
  except TypeError as error:
    raise ValueError(
      f"padding and output_padding must be whole numbers, not {padding!r} and {output_padding!r}"
    ) from error
  if len(crops) != axes or len(extra) != axes:
    raise ValueError(
      f"weight {weight.shape} has {axes} spatial axes; padding {crops} and output_padding {extra} "
      "must have one number for each"
    )
  pairs = check_deconv(kernel, scale, [(p, p - e) for p, e in zip(crops, extra, strict=True)])
  if min(crops) < 0:
    raise ValueError(f"padding {crops} must be at least 0, as PyTorch demands")
  if not all(0 <= e < scale for e in extra):
    raise ValueError(
      f"output_padding {extra} must be at least 0 and less than the stride, {scale}, as PyTorch "
      "demands of layers without dilation"
    )
  return kernel, pairs


def _check_ungrouped(shape: tuple[int, ...], out_channels: int) -> None:
  """Compares the channels of a PyTorch weight with its layer's."""
  inputs, outputs = shape[:2]
  if out_channels == outputs:
    return
  channels = f"weight {shape} has {outputs} output channels, but out_channels is {out_channels}"
  groups, rest = divmod(out_channels, max(outputs, 1))
  if groups < 2 or rest or inputs % groups:
    raise ValueError(
      f"{channels}: in (in, out, *kernel) the two must be equal; is it a ConvTranspose's weight?"
    )
  raise ValueError(
    f"{channels}: its groups are {groups}, and grouped layers are not read; read each group by "
    f"itself, weight[:{inputs // groups}] and so on, with out_channels={outputs}"
  )


def channel_to_phase_major(x: Shaped[AnyArray, "*any c"], phases: int) -> Shaped[Array, "*any c"]:
  """Reorders the last axis from channel c * phases + phase to channel phase * C + c.

  The first is the order of PyTorch's `pixel_shuffle` (ONNX: CRD), the second that of
  `depth_to_space` (TensorFlow's; ONNX: DCR). They differ when there is more than one output
  channel. For maps, for kernels whose last axis is the output, and for biases.

  Args:
    x: `(..., C * phases)`.
    phases: scale**d for d spatial axes.

  Raises:
    ValueError: the last axis is not a multiple of phases.
  """
  _check_phases(x, phases)
  x = jnp.asarray(x)
  return x.reshape(*x.shape[:-1], -1, phases).swapaxes(-1, -2).reshape(x.shape)


def phase_to_channel_major(x: Shaped[AnyArray, "*any c"], phases: int) -> Shaped[Array, "*any c"]:
  """Inverse of `channel_to_phase_major`, for weights that `pixel_shuffle` shall read."""
  _check_phases(x, phases)
  x = jnp.asarray(x)
  return x.reshape(*x.shape[:-1], phases, -1).swapaxes(-1, -2).reshape(x.shape)


def check_kernel(
  name: str, kernel: AnyArray, scale: int, padding_name: str, padding: Sequence
) -> Padding:
  """The padding as pairs of whole numbers, after checking that all three belong together.

  Raises:
    ValueError: names the argument, what was found and what is wanted.
  """
  if not isinstance(scale, int) or scale < 1:
    raise ValueError(f"scale must be a whole number of at least 1, not {scale!r}")
  if not jnp.issubdtype(kernel.dtype, jnp.floating):
    raise ValueError(f"{name} {kernel.shape} must be of floating point, not {kernel.dtype}")
  axes = kernel.ndim - 2
  if axes < 1 or 0 in kernel.shape:
    raise ValueError(
      f"{name} must be (*kernel, in, out) with a spatial axis and nothing empty, not {kernel.shape}"
    )
  wanted = f"{name} {kernel.shape} wants {padding_name} to be {axes} pairs of whole numbers"
  try:
    pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)
  except (TypeError, ValueError) as error:
    raise ValueError(f"{wanted}, not {padding!r}") from error
  if len(pairs) != axes:
    raise ValueError(f"{wanted}, not {padding!r}")
  return pairs


def check_deconv(kernel: AnyArray, scale: int, padding: Sequence) -> Padding:
  """`check_kernel` for T: no crop may exceed the kernel.

  Raises:
    ValueError: names the argument, what was found and what is wanted.
  """
  pairs = check_kernel("kernel", kernel, scale, "padding", padding)
  if any(max(pair) > size for size, pair in zip(kernel.shape[:-2], pairs, strict=True)):
    raise ValueError(
      f"padding {pairs} crops more than the kernel {kernel.shape} has: each number may be at most "
      f"{kernel.shape[:-2]}, axis by axis"
    )
  return pairs


def _named_crop(size: int, scale: int, padding: str) -> tuple[int, int]:
  """SAME leaves r N outputs; VALID all that an input reaches, and r for the last input at least."""
  if padding == "VALID":
    return 0, min(0, size - scale)
  low = max(0, (size - scale) // 2)
  return low, size - scale - low


def _check_phases(x: AnyArray, phases: int) -> None:
  if not isinstance(phases, int) or phases < 1 or x.shape[-1] % phases:
    raise ValueError(f"x {x.shape}: its last axis must be a multiple of phases, {phases!r}")
