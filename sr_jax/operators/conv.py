"""The one convolution that every network here calls, with gradients that stay fast in a loop.

XLA's CPU backend brings convolutions into its canonical layout in the entry computation only
(jax issue 12868): the two convolutions that autodiff derives run about 20 times slower inside
`scan`, `while_loop` or `lax.map`. Here both are written in canonical layout from the start.
"""

import functools
from collections.abc import Sequence

import jax
from jax import lax
from jaxtyping import Array, Float

Padding = tuple[tuple[int, int], ...]


def same_padding(kernel_size: int, *, extra_at_start: bool = False) -> tuple[int, int]:
  """Zeros before and after an axis that keep its length under a kernel of `kernel_size`.

  An even kernel has one zero more on one side: at the end, or at the start if asked.
  """
  fewer, more = (kernel_size - 1) // 2, kernel_size // 2
  return (more, fewer) if extra_at_start else (fewer, more)


def conv(
  x: Float[Array, "b *space c"], kernel: Float[Array, "*kernel i o"], padding: Sequence
) -> Float[Array, "b *out o"]:
  """Correlates x with a kernel, stride 1, in full float32 (no TF32, no bfloat16 passes).

  Differentiable in reverse mode, any number of times; not in forward mode (`jax.jvp`).

  y[b, m, o] = sum over (a, i) of kernel[a, i, o] x[b, m + a - low, i], zero outside x.

  Args:
    x: `(batch, *space, in)`, any number d of spatial axes.
    kernel: `(*kernel, in, out)`.
    padding: d pairs `(low, high)` of zeros added to the spatial axes; negative ones crop.

  Raises:
    ValueError: ranks, channels or padding of x and kernel do not belong together.
  """
  if x.ndim != kernel.ndim or len(padding) != x.ndim - 2:
    raise ValueError(
      f"conv: x {x.shape}, kernel {kernel.shape} and {len(padding)} padding pairs must all have "
      "the same number of spatial axes"
    )
  if x.shape[-1] != kernel.shape[-2]:
    raise ValueError(
      f"conv: kernel {kernel.shape} wants {kernel.shape[-2]} input channels, x {x.shape} has "
      f"{x.shape[-1]}"
    )
  return _conv(x, kernel, tuple((int(low), int(high)) for low, high in padding))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x: Array, kernel: Array, padding: Padding) -> Array:
  space = "DHW"[-len(padding) :] if len(padding) <= 3 else None
  if space is None:
    raise ValueError(f"conv: at most 3 spatial axes, not {len(padding)}")
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(1,) * len(padding),
    padding=padding,
    dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    precision=lax.Precision.HIGHEST,
  )


def _forward(x: Array, kernel: Array, padding: Padding) -> tuple[Array, tuple[Array, Array]]:
  return _conv(x, kernel, padding), (x, kernel)


def _backward(padding: Padding, saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
  x, kernel = saved
  space = tuple(range(len(padding)))
  # dx: the kernel reversed, channels swapped, and what the forward pass left of a full padding.
  mirrored = lax.rev(kernel, space).swapaxes(-1, -2)
  full = tuple(
    (size - 1 - low, size - 1 - high)
    for size, (low, high) in zip(kernel.shape, padding, strict=False)
  )
  dx = _conv(dy, mirrored, full)
  # dkernel: x correlated with dy, the batch being summed over as channels.
  to_batch = (x.ndim - 1, *range(1, x.ndim - 1), 0)
  to_kernel = (*range(1, x.ndim - 1), 0, x.ndim - 1)
  dkernel = _conv(x.transpose(to_batch), dy.transpose(to_kernel), padding).transpose(to_kernel)
  return dx, dkernel


_conv.defvjp(_forward, _backward)
