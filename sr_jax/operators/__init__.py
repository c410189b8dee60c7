"""Pure functions on arrays, with any number d of spatial axes unless a function says otherwise.

Conventions of this package, and the letters that its docstrings use:

- `scale` is the whole factor r >= 1 between high (HR) and low resolution (LR), on every axis, or
  where a function says `Scale` one for each.
- Arrays are channels-last: maps `(batch, *space, channels)`, kernels `(*kernel, in, out)`.
- `padding` is d pairs (low, high), for the two ends of each axis. For a convolution they are zeros
  and negative numbers crop; for a deconvolution they are crops and negative numbers add outputs.
- LR channels that are the r^d phases of C HR maps are phase-major: channel phase * C + c, phases
  counted row first.
- Formulas are written for one axis and hold axis by axis. T is the deconvolution (transposed
  convolution) of N samples x with a kernel g of K taps, cropped by (p0, p1):

    T(g; r, p0, p1):  y[m] = sum_i x[i] g[m + p0 - r i],  0 <= m < M = r (N - 1) + K - p0 - p1.

- Arguments that do not match raise a ValueError that names the argument and what it must be.

"The note" is Shi et al. (2016), arXiv 1609.07009.
"""

from sr_jax.operators.transpose import conv_transpose

__all__ = ["conv_transpose"]
