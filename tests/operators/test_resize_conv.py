"""A resize-convolution in its two forms, in float64."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from sr_jax.operators.conv import conv
from sr_jax.operators.resize_conv import RESIZES, resize_conv_to_deconv, resize_taps
from sr_jax.operators.upsampling import sub_pixel_conv


def test_linear_taps_are_a_triangle_about_the_pixel():
  np.testing.assert_allclose(resize_taps("linear", 2), [0.25, 0.75, 0.75, 0.25])
  np.testing.assert_allclose(resize_taps("linear", 3), np.array([1, 2, 3, 2, 1]) / 3)
  np.testing.assert_allclose(resize_taps("linear", 4), np.array([1, 3, 5, 7, 7, 5, 3, 1]) / 8)
  np.testing.assert_array_equal(resize_taps("nearest", 3), [1, 1, 1])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("resize", RESIZES)
def test_it_is_a_resize_of_zero_extended_maps_and_then_a_convolution(resize, dims):
  rng, size, border = np.random.default_rng(dims), 5 if dims < 3 else 3, 3
  with jax.enable_x64():
    x = jnp.asarray(rng.standard_normal((2, *(4, 3, 2)[:dims], 2)))
    kernel = jnp.asarray(rng.standard_normal((*(size,) * dims, 2, 3)))

    def explicit(x, kernel, scale):
      # JAX clamps at borders, which here are zeros that the kernel does not read.
      wide = jnp.pad(x, ((0, 0), *((border, border),) * dims, (0, 0)))
      sides = [scale * length for length in wide.shape[1:-1]]
      hr = jax.image.resize(wide, (len(x), *sides, 2), resize)
      cut = slice(scale * border - size // 2, -(scale * border - size // 2))
      return conv(hr[:, *(cut,) * dims], kernel, ((0, 0),) * dims)

    def composed(x, kernel, scale):
      deconv = resize_conv_to_deconv(kernel, resize, scale)
      crop = (deconv.shape[0] - scale) // 2
      return sub_pixel_conv(x, deconv, scale, ((crop, crop),) * dims)

    @jax.jit
    def compute(x, kernel):
      return [(composed(x, kernel, r), explicit(x, kernel, r)) for r in (2, 3, 4)]

    for y, expected in compute(x, kernel):
      assert y.dtype == jnp.float64
      np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)
