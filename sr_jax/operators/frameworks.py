"""Kernels of Flax, PyTorch and ONNX layers, read as those of `conversion` and `depth_to_space`.

Dilated kernels get their zeros, and those of grouped layers become block-diagonal: they are then
kernels like any other. A grouped LR convolution would save multiplications by those zeros, but its
channels are ordered by group, not by phase, and XLA:CPU takes 2 to 8 times as long over it.
"""

import operator
from collections.abc import Sequence

from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, Shaped

from sr_jax.operators.conv import Padding, mirrored_padding
from sr_jax.operators.conversion import AnyArray, check_deconv, check_kernel, dilated
from sr_jax.operators.shuffle import Scale, per_axis


def flax_to_deconv(
  kernel: Float[AnyArray, "*kernel i o"],
  scale: Scale,
  padding: str | int | Sequence,
  *,
  transpose_kernel: bool = False,
  dilation: Scale = 1,
) -> tuple[Float[Array, "*wide i2 o2"], Padding]:
  """Reads a Flax `ConvTranspose` (or `lax.conv_transpose`) as the kernel and padding of T.

  By default Flax correlates the input, with zeros inserted, with the kernel: this is the
  *sub-pixel* convolution of the note, T of the reversed kernel. With `transpose_kernel` it is T
  itself, with a kernel `(*K, out, in)`. A padding q in numbers is p = K - 1 - q.

  Args:
    kernel: the layer's parameter `kernel`.
    scale: its `strides`.
    padding: its `padding`: "SAME", "VALID", a number, or a number or pair for each axis.
    transpose_kernel: its `transpose_kernel`.
    dilation: its `kernel_dilation`.
  """
  axes = kernel.ndim - 2
  check_kernel("kernel", kernel, scale, "padding", ((0, 0),) * axes)
  taps = dilated(kernel, dilation)
  sizes = taps.shape[:-2]
  if isinstance(padding, str):
    if padding not in {"SAME", "VALID"}:
      raise ValueError(f"padding must be 'SAME', 'VALID' or numbers, not {padding!r}")
    scales = per_axis(scale, axes)
    crops = tuple(named_crop(size, r, padding) for size, r in zip(sizes, scales, strict=True))
  else:
    numbers = (padding,) * axes if not isinstance(padding, Sequence) else padding
    pairs = tuple(q if isinstance(q, Sequence) else (q, q) for q in numbers)
    pairs = check_kernel("kernel", kernel, scale, "padding", pairs)
    crops = mirrored_padding(sizes, pairs)
  taps = taps.swapaxes(-1, -2) if transpose_kernel else lax.rev(taps, tuple(range(axes)))
  return taps, check_deconv(taps, scale, crops)


def torch_to_deconv(
  weight: Float[AnyArray, "i o *kernel"],
  scale: Scale,
  padding: Scale = 0,
  output_padding: Scale = 0,
  *,
  out_channels: int,
  dilation: Scale = 1,
) -> tuple[Float[Array, "*wide i2 o2"], Padding]:
  """Reads a PyTorch `ConvTranspose1d`, `2d` or `3d` as the kernel and padding of T.

  All arguments are the layer's own; `scale` is its stride. PyTorch's padding p and output padding e
  are T's crops (p, p - e), of the kernel with the zeros of its dilation.

  Its weight is `(in, out / groups, *K)`, so that (8, 1, 3) is a layer of 8 -> 1 channels, or one of
  8 -> 8 in 8 groups: `out_channels` decides.
  """
  axes = weight.ndim - 2
  if axes < 1:
    raise ValueError(f"weight must be (in, out, *kernel) with a spatial axis, not {weight.shape}")
  kernel = dilated(_ungrouped(weight, _groups(weight.shape, out_channels)), dilation)
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
      f"weight {weight.shape} has {axes} spatial axes, of which padding {crops} and "
      f"output_padding {extra} must have one number for each"
    )
  pairs = check_deconv(kernel, scale, [(p, p - e) for p, e in zip(crops, extra, strict=True)])
  if min(crops) < 0:
    raise ValueError(f"padding {crops} must be at least 0, as PyTorch demands")
  limits = tuple(map(max, per_axis(scale, axes), per_axis(dilation, axes, "dilation")))
  if not all(0 <= e < limit for e, limit in zip(extra, limits, strict=True)):
    raise ValueError(
      f"output_padding {extra} must be at least 0 and less than the stride, {scale}, or the "
      f"dilation, {dilation}, as PyTorch demands"
    )
  return kernel, pairs


def onnx_to_deconv(
  weight: Float[AnyArray, "i o *kernel"],
  *,
  input_shape: Sequence[int] | None = None,
  auto_pad: str | bytes = "NOTSET",
  dilations: Sequence[int] | None = None,
  group: int = 1,
  kernel_shape: Sequence[int] | None = None,
  output_padding: Sequence[int] | None = None,
  output_shape: Sequence[int] | None = None,
  pads: Sequence[int] | None = None,
  strides: Sequence[int] | None = None,
) -> tuple[Float[Array, "*wide i2 o2"], tuple[int, ...], Padding]:
  """Reads an ONNX `ConvTranspose` as the kernel, scale and padding of T.

  `sub_pixel_conv(x, *onnx_to_deconv(weight, **attributes))` then is the node without its bias, as
  ONNX defines it: SAME gives r N samples, also where ONNX Runtime has fewer, a kernel being smaller
  than its stride.

  Args:
    weight: the node's W, `(in, out / group, *K)`.
    input_shape: the samples of its input on each spatial axis, which `output_shape` needs.
    auto_pad: this and what follows are the node's attributes, with ONNX's defaults.
    dilations: of the kernel, of each axis.
    group: of the channels.
    kernel_shape: has to be K.
    output_padding: added at the end of each axis.
    output_shape: the samples of the output on each spatial axis; `pads` is then ignored.
    pads: crops, those at the start of all axes before those at the end.
    strides: the scale of each axis.
  """
  axes = weight.ndim - 2
  if axes < 1:
    raise ValueError(f"weight must be (in, out, *kernel) with a spatial axis, not {weight.shape}")
  if not isinstance(group, int) or group < 1 or weight.shape[0] % group:
    raise ValueError(f"group must divide the {weight.shape[0]} channels of weight, not {group!r}")
  if kernel_shape is not None and tuple(kernel_shape) != weight.shape[2:]:
    raise ValueError(f"weight {weight.shape} has not the kernel_shape {tuple(kernel_shape)}")
  pad_mode = auto_pad.decode() if isinstance(auto_pad, bytes) else auto_pad
  if pad_mode not in {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}:
    raise ValueError(f"auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, not {auto_pad!r}")
  scales = per_axis(strides or (1,) * axes, axes, "strides")
  kernel = dilated(_ungrouped(weight, group), per_axis(dilations or 1, axes, "dilations"))
  extra = _numbers("output_padding", output_padding or (0,) * axes, axes)
  edges = _numbers("pads", pads or (0,) * (2 * axes), 2 * axes)
  crops = list(zip(edges[:axes], edges[axes:], strict=True))
  if output_shape is not None:
    if input_shape is None:
      raise ValueError("output_shape needs input_shape, the samples of the input on each axis")
    lengths = _numbers("output_shape", output_shape, axes)
    samples = _numbers("input_shape", input_shape, axes)
  elif pad_mode.startswith("SAME"):
    lengths, samples = scales, (1,) * axes  # whatever the input: r times its length
  if output_shape is not None or pad_mode.startswith("SAME"):
    full = (
      r * (n - 1) + size + e
      for r, n, size, e in zip(scales, samples, kernel.shape[:-2], extra, strict=True)
    )
    total = [long - length for long, length in zip(full, lengths, strict=True)]
    halves = [max(0, crop) // 2 for crop in total]
    if pad_mode != "SAME_UPPER":
      halves = [max(0, crop) - half for crop, half in zip(total, halves, strict=True)]
    crops = [(half, crop - half) for half, crop in zip(halves, total, strict=True)]
  padding = [(low, high - e) for (low, high), e in zip(crops, extra, strict=True)]
  return kernel, scales, check_deconv(kernel, scales, padding)


def _numbers(name: str, numbers: Sequence[int], count: int) -> tuple[int, ...]:
  """Checks the length of an ONNX attribute."""
  if len(numbers) != count:
    raise ValueError(f"{name} must be {count} whole numbers, not {numbers!r}")
  return tuple(map(operator.index, numbers))


def _groups(shape: tuple[int, ...], out_channels: int) -> int:
  """The groups of a PyTorch layer, from the shape of its weight and its output channels."""
  inputs, outputs = shape[:2]
  groups, rest = divmod(out_channels, max(outputs, 1))
  if groups < 1 or rest or inputs % groups:
    raise ValueError(
      f"weight {shape} has {outputs} output channels in each group, but out_channels is "
      f"{out_channels}, which must be a multiple by a divisor of {inputs}, the input channels of "
      "(in, out / groups, *kernel); is it a ConvTranspose's weight?"
    )
  return groups


def _ungrouped(weight: AnyArray, groups: int) -> Array:
  """The kernel `(*K, in, out)` of a weight `(in, out / groups, *K)`, block-diagonal if grouped."""
  kernel = jnp.moveaxis(jnp.asarray(weight), (0, 1), (-2, -1))
  if groups == 1:
    return kernel
  *sizes, inputs, outputs = kernel.shape
  blocks = kernel.reshape(*sizes, groups, inputs // groups, 1, outputs)
  own = jnp.eye(groups, dtype=bool).reshape(*(1 for _ in sizes), groups, 1, groups, 1)
  return jnp.where(own, blocks, 0).reshape(*sizes, inputs, groups * outputs)


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


def named_crop(size: int, scale: int, padding: str) -> tuple[int, int]:
  """The crop for r N outputs (SAME), or for all, at least r after the last input (VALID)."""
  if padding == "VALID":
    return 0, min(0, size - scale)
  low = max(0, (size - scale) // 2)
  return low, size - scale - low


def _transpose_channels(x: AnyArray, phases: int, split: tuple[int, int]) -> Array:
  if not isinstance(phases, int) or phases < 1 or x.shape[-1] % phases:
    raise ValueError(f"x {x.shape}: its last axis must be a multiple of phases, {phases!r}")
  return jnp.asarray(x).reshape(*x.shape[:-1], *split).swapaxes(-1, -2).reshape(x.shape)
