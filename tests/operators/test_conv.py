import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sr_jax.operators.conv import conv, same_padding

SHAPES = [
  ((2, 9, 3), (4, 3, 5), ((1, 2),)),
  ((2, 7, 6, 3), (3, 3, 3, 4), ((1, 1), (1, 1))),
  ((1, 8, 7, 2), (6, 4, 2, 3), ((3, 2), (0, 5))),
  ((2, 6, 6, 2), (3, 2, 2, 2), ((-1, 2), (1, -1))),
  ((1, 4, 5, 6, 2), (2, 3, 2, 2, 3), ((0, 1), (1, 1), (2, -1))),
]


def plain_conv(x, kernel, padding):
  space = "DHW"[-len(padding) :]
  return lax.conv_general_dilated(
    x,
    kernel,
    (1,) * len(padding),
    padding,
    dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
  )


@pytest.mark.parametrize(("x_shape", "kernel_shape", "padding"), SHAPES)
def test_values_and_gradients_equal_autodiff_of_the_plain_convolution(
  x_shape, kernel_shape, padding
):
  with jax.enable_x64():
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], x_shape, jnp.float64)
    kernel = jax.random.normal(keys[1], kernel_shape, jnp.float64)
    y, ours = jax.vjp(lambda x, k: conv(x, k, padding), x, kernel)
    expected, theirs = jax.vjp(lambda x, k: plain_conv(x, k, padding), x, kernel)
    dy = jax.random.normal(keys[2], y.shape, jnp.float64)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    for ours_one, theirs_one in zip(ours(dy), theirs(dy), strict=True):
      np.testing.assert_allclose(ours_one, theirs_one, atol=1e-12)


def test_one_output_is_the_sum_over_its_window():
  x, kernel = np.arange(5.0), np.array([1.0, 10.0, 100.0])
  y = conv(jnp.asarray(x)[None, :, None], jnp.asarray(kernel)[:, None, None], ((1, 1),))
  np.testing.assert_array_equal(y[0, :, 0], [100, 210, 321, 432, 43])


@pytest.mark.parametrize("kernel_size", range(1, 9))
@pytest.mark.parametrize("extra_at_start", [False, True])
def test_same_padding_keeps_the_length(kernel_size, extra_at_start):
  low, high = same_padding(kernel_size, extra_at_start=extra_at_start)
  assert low + high == kernel_size - 1
  assert (low - high) == ((kernel_size % 2 == 0) and (1 if extra_at_start else -1))


def convolution_layouts(function, *args):
  """The layouts of all convolutions in what XLA is given to compile."""
  text = jax.jit(function).lower(*args).as_text(dialect="hlo")
  return set(re.findall(r"dim_labels=(\S+?)[,\s]", text))


def test_gradients_are_canonical_inside_a_loop():
  # XLA:CPU brings convolutions into this layout outside loops only; any other one is 20 x slower.
  x, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 3))

  def descend(convolution, kernel):
    def loss(k):
      return convolution(convolution(x, k, ((1, 1), (1, 1))), k, ((1, 1), (1, 1))).sum()

    return lax.fori_loop(0, 9, lambda _, k: k - jax.grad(loss)(k), kernel)

  assert convolution_layouts(lambda k: descend(conv, k), kernel) == {"b01f_01io->b01f"}
  assert convolution_layouts(lambda k: descend(plain_conv, k), kernel) != {"b01f_01io->b01f"}


@pytest.mark.parametrize(
  ("x_shape", "kernel_shape", "padding", "says"),
  [
    ((1, 4, 4, 2), (3, 3, 3, 1), ((1, 1), (1, 1)), "wants 3 input channels"),
    ((1, 4, 4, 2), (3, 2, 1), ((1, 1),), "same number of spatial axes"),
    ((1, 4, 4, 2), (3, 3, 2, 1), ((1, 1),), "same number of spatial axes"),
  ],
)
def test_bad_input_is_named(x_shape, kernel_shape, padding, says):
  with pytest.raises(ValueError, match=says):
    conv(jnp.zeros(x_shape), jnp.zeros(kernel_shape), padding)
