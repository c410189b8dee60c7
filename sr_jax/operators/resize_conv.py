"""A resize-convolution as the transposed convolution that it is.

It interpolates LR maps by a fixed rule to the HR grid and convolves them there (Odena et al. 2016,
"Deconvolution and Checkerboard Artifacts"). That is linear and commutes with shifts by an LR pixel:
a transposed convolution, whose kernel is composed of the fixed one and the learned one.
"""

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.operators.conversion import AnyArray

RESIZES = ("nearest", "linear")


def resize_taps(resize: str, scale: int) -> Float[np.ndarray, " taps"]:
  """The weights of the HR pixels, along an axis, that an LR pixel is spread over by a resize.

  Nearest: its own r pixels. Linear: a triangle about its centre, as pixels are areas; 2 r taps if r
  is even, else 2 r - 1. Without a border each HR pixel's weights sum to 1.
  """
  if resize == "nearest":
    return np.ones(scale)
  side = 2 * scale - scale % 2
  return 1 - np.abs(np.arange(side) - (side - 1) / 2) / scale


def resize_conv_to_deconv(
  kernel: Float[AnyArray, "*kernel i o"], resize: str, scale: int
) -> Float[Array, "*deconv i o"]:
  """The kernel of the transposed convolution of stride r that equals a resize, then a convolution.

  LR maps are zero outside the image, and so interpolated beyond its border; `kernel`, of an odd
  side k, reads the result. With s = len(resize_taps(...)) its side is s + k - 1, and cropped by
  (s + k - 1 - r) / 2 on both sides it writes r pixels for each LR pixel. Made of pads, products and
  sums alone, so that it has the kernel's precision, whatever that of convolutions is.
  """
  taps, axes = resize_taps(resize, scale), kernel.ndim - 2
  composed = lax.rev(jnp.asarray(kernel), tuple(range(axes)))  # `conv` correlates
  for axis in range(axes):
    shifted = [
      float(tap)
      * jnp.pad(
        composed, [(i, len(taps) - 1 - i) if a == axis else (0, 0) for a in range(kernel.ndim)]
      )
      for i, tap in enumerate(taps)
    ]
    composed = sum(shifted[1:], shifted[0])
  return composed
