"""A drop-in for `jax.lax.conv_transpose` that trains several times faster on CPU.

XLA:CPU takes long over the two gradients of a convolution with zeros inserted. The same layer is an
LR convolution followed by `depth_to_space` (the note, Fig. 5 to 7), whose gradients are ordinary
convolutions: those of `conv`. The forward pass takes whichever form is faster.
"""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Shaped

from sr_jax.operators.conv import DEFAULT, Padding, conv, mirrored_padding
from sr_jax.operators.conversion import AnyArray, deconv_to_lr, dilated
from sr_jax.operators.frameworks import named_crop
from sr_jax.operators.shuffle import depth_to_space


class Layer(NamedTuple):
  """What is static of a transposed convolution: a number or pair for each spatial axis.

  Attributes:
    strides: the zeros inserted between input samples, plus 1.
    padding: zeros around the input after that; negative numbers crop.
    dilation: the zeros inserted between taps, plus 1.
    precision: of the products where XLA computes it with zeros inserted.
    dtype: of the result.
  """

  strides: tuple[int, ...]
  padding: Padding
  dilation: tuple[int, ...]
  precision: Any
  dtype: Any


def conv_transpose(
  x: Shaped[AnyArray, "..."],
  kernel: Shaped[AnyArray, "..."],
  strides: Sequence[int],
  padding: str | Sequence[Sequence[int]],
  rhs_dilation: Sequence[int] | None = None,
  dimension_numbers: Any = None,
  transpose_kernel: bool = False,
  precision: Any = None,
  preferred_element_type: Any = None,
  use_consistent_padding: bool = False,
  *,
  forward_mode: bool = False,
) -> Shaped[Array, "..."]:
  """Transposed convolution with the arguments and values of `jax.lax.conv_transpose`.

  On CPU the gradients of floating-point arrays are those of an equal LR convolution, in full
  precision whatever `precision` is; elsewhere, and for other types, they are XLA's own. Inside
  `jax.shard_map`, a replicated kernel needs `jax.lax.pcast(kernel, axis, to="varying")`.

  Args:
    x: `(batch, *space, in)` of 1 to 3 spatial axes, unless `dimension_numbers` says otherwise.
    kernel: `(*kernel, in, out)`, or `(*kernel, out, in)` with `transpose_kernel`; likewise.
    strides: the factor of each spatial axis.
    padding: "SAME", "VALID", or a pair for each axis: zeros around the input between whose samples
      zeros were inserted. With `use_consistent_padding` the padding of the convolution whose
      transpose this is, as PyTorch's.
    rhs_dilation: the dilation of the kernel, of each axis.
    dimension_numbers: as `jax.lax.conv_general_dilated` takes them; channels-last by default.
    transpose_kernel: whether to reverse the kernel in space and to swap its channels.
    precision: of the products, where XLA's own transposed convolution is used.
    preferred_element_type: the dtype of sums and result.
    use_consistent_padding: how to read pairs of `padding`, also in a jax whose own has no such
      argument.
    forward_mode: keeps XLA's own form, slow gradients included, which `jax.jvp` can differentiate.

  Returns:
    `(batch, *out, out)`, with r (N - 1) + (low + high of padding) - d (K - 1) + 1 samples an axis
    of N samples, K taps, stride r and dilation d.

  Raises:
    ValueError: the kernel, strides, dilation or padding do not match x.
  """
  x, kernel = jnp.asarray(x), jnp.asarray(kernel)
  axes = x.ndim - 2
  if axes not in (1, 2, 3) or kernel.ndim != x.ndim:
    raise ValueError(
      f"conv_transpose: x {x.shape} and kernel {kernel.shape} must both have 1 to 3 spatial axes, "
      "and as many"
    )
  letters = "DHW"[-axes:]
  layout = dimension_numbers or (f"N{letters}C", f"{letters}IO", f"N{letters}C")
  numbers = lax.conv_dimension_numbers(x.shape, kernel.shape, layout)
  (batch, channels, *space), (outputs, inputs, *window) = numbers.lhs_spec, numbers.rhs_spec
  x = x.transpose(batch, *space, channels)
  kernel = kernel.transpose(*window, inputs, outputs)
  if transpose_kernel:
    kernel = lax.rev(kernel, tuple(range(axes))).swapaxes(-1, -2)
  if x.shape[-1] != kernel.shape[-2]:
    raise ValueError(
      f"conv_transpose: the kernel takes {kernel.shape[-2]} input channels, x has {x.shape[-1]} "
      f"(kernel as (*kernel, in, out): {kernel.shape}, x as (batch, *space, in): {x.shape})"
    )
  steps = _factors("strides", strides, axes)
  dilation = _factors("rhs_dilation", (1,) * axes if rhs_dilation is None else rhs_dilation, axes)
  sizes = [d * (size - 1) + 1 for size, d in zip(kernel.shape, dilation, strict=False)]
  zeros = _zeros(padding, sizes, steps, use_consistent_padding)
  dtype = jnp.result_type(preferred_element_type or x.dtype)
  precision = tuple(precision) if isinstance(precision, list) else precision
  layer = Layer(steps, zeros, dilation, precision, dtype)
  is_floating = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype == kernel.dtype
  has_symbols = not all(isinstance(size, int) for size in (*x.shape, *kernel.shape))
  if forward_mode or has_symbols or not is_floating or _is_empty(x.shape, kernel.shape, layer):
    y = _zero_inserted(x, kernel, layer)
  else:
    y = _conv_transpose(x, kernel, layer)
  batch, channels, *space = numbers.out_spec
  return jnp.moveaxis(y, range(y.ndim), (batch, *space, channels))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_transpose(x: Array, kernel: Array, layer: Layer) -> Array:
  return _value(x, kernel, layer)


# Both are compiled as a whole where they are called outside of any program.
@functools.partial(jax.jit, static_argnums=2, inline=True)
def _value(x: Array, kernel: Array, layer: Layer) -> Array:
  default = functools.partial(_zero_inserted, layer=layer)
  if not lr_form_is_faster(x.shape, kernel.shape, layer):
    return default(x, kernel)
  on_cpu = functools.partial(_in_lr_space, layer=layer)
  y: Array = lax.platform_dependent(x, kernel, cpu=on_cpu, default=default)
  return y


@functools.partial(jax.jit, static_argnums=0, inline=True)
def _backward(layer: Layer, saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
  def transposed(form: Any, x: Array, kernel: Array, dy: Array) -> tuple[Array, Array]:
    gradients: tuple[Array, Array] = jax.vjp(functools.partial(form, layer=layer), x, kernel)[1](dy)
    return gradients

  on_cpu, default = (functools.partial(transposed, form) for form in (_in_lr_space, _zero_inserted))
  x, kernel = saved
  if not lr_gradient_is_faster(x.shape, kernel.shape, layer):
    return default(x, kernel, dy)
  gradients: tuple[Array, Array] = lax.platform_dependent(
    x, kernel, dy, cpu=on_cpu, default=default
  )
  return gradients


_conv_transpose.defvjp(lambda x, kernel, layer: (_value(x, kernel, layer), (x, kernel)), _backward)


def _zero_inserted(x: Array, kernel: Array, layer: Layer) -> Array:
  """As `jax.lax.conv_transpose` computes it: zeros between the samples of x."""
  space = "DHW"[-len(layer.strides) :]
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(1,) * len(space),
    padding=layer.padding,
    lhs_dilation=layer.strides,
    rhs_dilation=layer.dilation,
    dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    precision=layer.precision,
    preferred_element_type=layer.dtype,
  )


def _in_lr_space(x: Array, kernel: Array, layer: Layer) -> Array:
  """The same by an LR convolution with the kernel's phases, and `depth_to_space`."""
  lengths = _lengths(x.shape, kernel.shape, layer)
  kernel = dilated(kernel.astype(layer.dtype), layer.dilation)
  kernel = lax.rev(kernel, tuple(range(kernel.ndim - 2)))
  sizes = kernel.shape[:-2]
  whole = mirrored_padding(sizes, layer.padding)
  crops = _lr_crops(sizes, layer)
  lr_kernel, lr_padding, _ = deconv_to_lr(kernel, layer.strides, crops)
  # Zeros here, so that the result is not larger than x: XLA:CPU takes 20 times as long where a
  # kernel, as dy is in the kernel's gradient, is larger than its image.
  taps = lr_kernel.shape
  more = [max(0, low + high + 1 - k) for (low, high), k in zip(lr_padding, taps, strict=False)]
  edges = ((0, 0, 0), *((0, extra, 0) for extra in more), (0, 0, 0))
  x = lax.pad(x.astype(layer.dtype), jnp.zeros((), layer.dtype), edges)
  rest = tuple((low, high - extra) for (low, high), extra in zip(lr_padding, more, strict=True))
  y = depth_to_space(conv(x, lr_kernel, rest, DEFAULT), layer.strides)
  starts = [low - crop for (low, _), (crop, _) in zip(whole, crops, strict=True)]
  for axis, (start, length) in enumerate(zip(starts, lengths, strict=True), start=1):
    y = lax.slice_in_dim(y, start, start + length, axis=axis)
  return y


def _lr_crops(sizes: Sequence[int], layer: Layer) -> Padding:
  """What of the crops of a deconvolution its LR kernel takes; the rest is cut from the result."""
  crops = []
  for size, r, (low, high) in zip(
    sizes, layer.strides, mirrored_padding(sizes, layer.padding), strict=True
  ):
    crop = min(low, size)
    if -crop % r + size > -(-size // r) * r:
      crop -= crop % r  # else it would be zeros in the LR kernel, one tap more of each phase
    crops.append((crop, min(high, size)))
  return tuple(crops)


class Cost(NamedTuple):
  """What the LR form of a layer costs on CPU, from the shapes of x and kernel.

  Attributes:
    border: LR pixels of the result for each of x, of which there are more at the borders.
    work: multiply-accumulates over those of each tap with each input sample.
    phases: phases for each tap, that is what is shuffled over what XLA's own form adds up.
  """

  border: float
  work: float
  phases: float


def lr_form_is_faster(x: Sequence[int], kernel: Sequence[int], layer: Layer) -> bool:
  """Whether the forward pass is faster in LR space on CPU.

  XLA's own form is a matrix product and a sum over windows, with no multiplication by a zero; it
  takes up to 300 times as long in 3 dimensions and where the kernel is larger than x. The numbers
  fit what benchmarks/conv_transpose.py measures, in multiply-accumulates that take as long.
  """
  cost = _cost(x, kernel, layer)
  if not _is_strided(x, layer) or cost.border >= 3:
    return False
  if len(layer.strides) == 3 or all(k > n for k, n in zip(kernel[:-2], x[1:-1], strict=True)):
    return True
  inputs, outputs = kernel[-2:]
  if outputs < 8 and (outputs > 1 or cost.border > 1):  # which fill a CPU's vectors badly
    return False
  rearranged = 100 * inputs / math.prod(x[:-1])
  return (cost.work - 1) * inputs + 70 * cost.phases + rearranged < 55


def lr_gradient_is_faster(x: Sequence[int], kernel: Sequence[int], layer: Layer) -> bool:
  """Whether the gradients are faster in LR space on CPU: almost always, if it has a stride.

  Not where most of the LR kernel is zeros, as with a dilation or a kernel smaller than the stride.
  """
  cost = _cost(x, kernel, layer)
  most_work = 4 if len(layer.strides) == 3 else 8
  is_sparse = cost.phases > 1 or cost.work > most_work
  return _is_strided(x, layer) and cost.border < 3 and not is_sparse


def _is_empty(x: Sequence[int], kernel: Sequence[int], layer: Layer) -> bool:
  return min(*x, *kernel, *_lengths(x, kernel, layer)) < 1


def _is_strided(x: Sequence[int], layer: Layer) -> bool:
  """Whether zeros are inserted at all, which is not so between the samples of a single pixel."""
  return max(layer.strides) > 1 and max(x[1:-1]) > 1


def _cost(x: Sequence[int], kernel: Sequence[int], layer: Layer) -> Cost:
  sizes = _sizes(kernel, layer)
  border, work = 1.0, 1.0
  for n, taps, size, r, crop in zip(
    x[1:-1], kernel[:-2], sizes, layer.strides, _lr_crops(sizes, layer), strict=True
  ):
    outputs = n - 1 - (sum(crop) - size) // r
    border *= outputs / n
    work *= outputs / n * -(-size // r) * r / taps
  return Cost(border, work, math.prod(layer.strides) / math.prod(kernel[:-2]))


def _sizes(kernel: Sequence[int], layer: Layer) -> tuple[int, ...]:
  """The kernel's size on each axis, zeros of the dilation included, from its shape."""
  return tuple(d * (taps - 1) + 1 for taps, d in zip(kernel[:-2], layer.dilation, strict=True))


def _lengths(x: Sequence[int], kernel: Sequence[int], layer: Layer) -> tuple[int, ...]:
  """Output samples of each axis, from the shapes of x and the kernel."""
  return tuple(
    r * (n - 1) + 1 + low + high - (size - 1)
    for n, size, r, (low, high) in zip(
      x[1:-1], _sizes(kernel, layer), layer.strides, layer.padding, strict=True
    )
  )


def _factors(name: str, factors: Sequence[int], axes: int) -> tuple[int, ...]:
  """Strides or dilation, checked: whole numbers of at least 1, one for each axis."""
  try:
    numbers = tuple(map(operator.index, factors))
  except TypeError:
    numbers = ()
  if len(numbers) != axes or min(numbers) < 1:
    raise ValueError(
      f"conv_transpose: {name} must be {axes} whole numbers of at least 1, one for each spatial "
      f"axis, not {factors!r}"
    )
  return numbers


def _zeros(
  padding: str | Sequence[Sequence[int]],
  sizes: Sequence[int],
  strides: Sequence[int],
  is_consistent: bool,
) -> Padding:
  """Zeros around the input, from the padding and the kernel's size with its dilation."""
  if isinstance(padding, str):
    padding = padding.upper()
    if padding not in {"SAME", "VALID"}:
      raise ValueError(
        f"conv_transpose: padding must be 'SAME', 'VALID' or {len(sizes)} pairs, not {padding!r}"
      )
    crops = tuple(named_crop(size, r, padding) for size, r in zip(sizes, strides, strict=True))
    return mirrored_padding(sizes, crops)
  try:
    pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)
  except (TypeError, ValueError):
    pairs = ()
  if len(pairs) != len(sizes):
    raise ValueError(
      f"conv_transpose: padding must be 'SAME', 'VALID' or {len(sizes)} pairs of whole numbers, "
      f"one for each spatial axis, not {padding!r}"
    )
  return mirrored_padding(sizes, pairs) if is_consistent else pairs
