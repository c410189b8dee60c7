"""Kernels of Flax and PyTorch layers, read as the kernels of `conversion` and `depth_to_space`."""

import operator
from collections.abc import Sequence

from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, Shaped

from sr_jax.operators.conv import Padding, mirrored_padding
from sr_jax.operators.conversion import AnyArray, check_deconv, check_kernel


def flax_to_deconv(
  kernel: Float[AnyArray, "*kernel i o"],
  scale: int,
  padding: str | int | Sequence,
  *,
  transpose_kernel: bool = False,
) -> tuple[Float[Array, "*kernel i2 o2"], Padding]:
  """Reads a Flax `ConvTranspose` (or `lax.conv_transpose`) as the kernel and padding of T.

  By default Flax correlates the input, with zeros inserted, with the kernel: this is the
  *sub-pixel* convolution of the note, T of the reversed kernel. With `transpose_kernel` it is T
  itself, with a kernel `(*K, out, in)`. A padding q in numbers is p = K - 1 - q.

  Args:
    kernel: the layer's parameter `kernel`.
    scale: its `strides`, the same on all axes; no dilation.
    padding: its `padding`: "SAME", "VALID", a number, or a number or pair for each axis.
    transpose_kernel: its `transpose_kernel`.
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
    crops = mirrored_padding(kernel.shape[:-2], pairs)
  taps = jnp.asarray(kernel)
  taps = taps.swapaxes(-1, -2) if transpose_kernel else lax.rev(taps, tuple(range(axes)))
  return taps, check_deconv(taps, scale, crops)


def torch_to_deconv(
  weight: Float[AnyArray, "i o *kernel"],
  scale: int,
  padding: int | Sequence[int] = 0,
  output_padding: int | Sequence[int] = 0,
  *,
  out_channels: int,
) -> tuple[Float[Array, "*kernel i o"], Padding]:
  """Reads a PyTorch `ConvTranspose1d`, `2d` or `3d` as the kernel and padding of T.

  All arguments are the layer's own; `scale` is its stride, the same on all axes, and its dilation
  must be 1. PyTorch's padding p and output padding e are T's crops (p, p - e).

  Its weight is `(in, out / groups, *K)`, so that (8, 1, 3) is a layer of 8 -> 1 channels, or one of
  8 -> 8 in 8 groups: `out_channels` decides. Grouped layers are refused.
  """
  axes = weight.ndim - 2
  if axes < 1:
    raise ValueError(f"weight must be (in, out, *kernel) with a spatial axis, not {weight.shape}")
  _check_ungrouped(weight.shape, out_channels)
  kernel = jnp.moveaxis(jnp.asarray(weight), (0, 1), (-2, -1))
  try:
    crops, extra = (
      tuple(map(operator.index, numbers if isinstance(numbers, Sequence) else (numbers,) * axes))
      for numbers in (padding, output_padding)
    )
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
  """Refuses a PyTorch weight whose channels are not those of an ungrouped layer."""
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
    f"{channels}: its groups are {groups}, and grouped layers are not supported; read each group "
    f"by itself, weight[:{inputs // groups}] and so on, with out_channels={outputs}"
  )


def channel_to_phase_major(x: Shaped[AnyArray, "*any c"], phases: int) -> Shaped[Array, "*any c"]:
  """Reorders the last axis from channel c * phases + phase to channel phase * C + c, r^d phases.

  The first is the order of PyTorch's `pixel_shuffle` (ONNX: CRD), the second that of
  `depth_to_space` (TensorFlow's; ONNX: DCR). They differ when there is more than one output
  channel. For maps, for kernels whose last axis is the output, and for biases.
  """
  return _transpose_channels(x, phases, (-1, phases))


def phase_to_channel_major(x: Shaped[AnyArray, "*any c"], phases: int) -> Shaped[Array, "*any c"]:
  """Inverse of `channel_to_phase_major`, for weights that `pixel_shuffle` is to use."""
  return _transpose_channels(x, phases, (phases, -1))


def _named_crop(size: int, scale: int, padding: str) -> tuple[int, int]:
  """The crop for r N outputs (SAME), or for all, at least r after the last input (VALID)."""
  if padding == "VALID":
    return 0, min(0, size - scale)
  low = max(0, (size - scale) // 2)
  return low, size - scale - low


def _transpose_channels(x: AnyArray, phases: int, split: tuple[int, int]) -> Array:
  if not isinstance(phases, int) or phases < 1 or x.shape[-1] % phases:
    raise ValueError(f"x {x.shape}: its last axis must be a multiple of phases, {phases!r}")
  return jnp.asarray(x).reshape(*x.shape[:-1], *split).swapaxes(-1, -2).reshape(x.shape)
