import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sr_jax.operators.conv import FORMS, TERMS, Computation, computing, conv, same_padding

SHAPES = [
  ((2, 9, 3), (4, 3, 5), ((1, 2),)),
  ((2, 7, 6, 3), (3, 3, 3, 4), ((1, 1), (1, 1))),
  ((1, 8, 7, 2), (6, 4, 2, 3), ((3, 2), (0, 5))),
  ((2, 6, 6, 2), (3, 2, 2, 2), ((-1, 2), (1, -1))),
  ((1, 4, 5, 6, 2), (2, 3, 2, 2, 3), ((0, 1), (1, 1), (2, -1))),
  ((4, 36, 36, 16), (3, 2, 16, 17), ((1, 1), (0, 1))),  # whose kernel gradient is summed in parts
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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("x_shape", "kernel_shape", "padding"), SHAPES)
def test_values_and_gradients_equal_autodiff_of_the_plain_convolution(
  x_shape, kernel_shape, padding, form
):
  with jax.enable_x64():
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], x_shape, jnp.float64)
    kernel = jax.random.normal(keys[1], kernel_shape, jnp.float64)
    y, ours = jax.vjp(lambda x, k: conv(x, k, padding, Computation(form)), x, kernel)
    expected, theirs = jax.vjp(lambda x, k: plain_conv(x, k, padding), x, kernel)
    dy = jax.random.normal(keys[2], y.shape, jnp.float64)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    for ours_one, theirs_one in zip(ours(dy), theirs(dy), strict=True):
      np.testing.assert_allclose(ours_one, theirs_one, atol=1e-12, rtol=1e-12)


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


def kernel_gradient_shapes(x_shape, outputs):
  """Shapes of what the convolutions of a 3x3 layer's kernel gradient give."""
  x, kernel = jnp.zeros(x_shape), jnp.zeros((3, 3, x_shape[-1], outputs))
  gradient = jax.grad(lambda k: (conv(x, k, ((1, 1), (1, 1))) ** 2).sum())
  text = jax.jit(gradient).lower(kernel).as_text(dialect="hlo")
  shapes = re.findall(r"f32\[([\d,]+)\]\S* convolution\(", text)
  return [tuple(map(int, shape.split(","))) for shape in shapes][1:]  # the first is y


def test_kernel_gradients_are_convolutions_to_many_channels():
  # On CPU one to 4 channels takes as long as one to 32.
  assert kernel_gradient_shapes((2, 9, 9, 32), 4) == [(4, 3, 3, 32)]
  assert kernel_gradient_shapes((2, 9, 9, 4), 32) == [(4, 3, 3, 32)]


def test_no_convolution_of_a_gradient_has_a_kernel_larger_than_its_image():
  # XLA:CPU then takes 20 times as long: without padding, dy is smaller than x.
  for inputs, outputs in ((32, 4), (4, 32)):
    x, kernel = jnp.zeros((2, 9, 9, inputs)), jnp.zeros((3, 3, inputs, outputs))
    gradient = jax.grad(lambda k, x=x: (conv(x, k, ((0, 0), (0, 0))) ** 2).sum())
    text = jax.jit(gradient).lower(kernel).as_text(dialect="hlo")
    shapes = dict(re.findall(r"(\S+) = f32\[([\d,]+)\]", text))
    for image, window in re.findall(r"convolution\((\S+), (\S+)\)", text):
      rows = int(shapes[image].split(",")[1]), int(shapes[window].split(",")[0])
      assert rows[1] <= rows[0], text


def test_kernel_gradients_of_large_batches_are_summed_in_parts():
  assert len(kernel_gradient_shapes((16, 17, 17, 32), 32)) == 1  # one step of the default recipe
  assert 16 * 17 * 17 <= TERMS < 64 * 32 * 32 / 8
  assert len(kernel_gradient_shapes((64, 32, 32, 32), 32)) == 16
  assert len(kernel_gradient_shapes((64, 32, 32, 8), 8)) == 1  # Eigen does these


def test_matrix_products_stay_products_under_vmap_where_convolutions_are_grouped():
  x, kernel = jnp.zeros((3, 2, 8, 8, 4)), jnp.zeros((3, 3, 3, 4, 4))

  def gradient(form):
    def loss(kernel, x):
      return (conv(x, kernel, ((1, 1), (1, 1)), Computation(form)) ** 2).sum()

    return jax.jit(jax.vmap(jax.grad(loss))).lower(kernel, x).as_text(dialect="hlo")

  assert "group_count" in gradient("canonical")
  assert "group_count" in gradient("plain")
  assert "convolution" not in gradient("matrix_product")


@pytest.mark.parametrize("form", [form for form in FORMS if form != "native"])
def test_precision_is_that_of_the_products(form):
  x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 2))

  def loss(kernel, precision):
    with computing(Computation(form, precision)):
      return (conv(x, kernel, ((1, 1), (1, 1))) ** 2).sum()

  gradient = jax.value_and_grad(loss)
  exact, coarse = gradient(kernel, "float32"), gradient(kernel, "bfloat16")
  assert coarse[1].dtype == jnp.float32
  off = np.abs(coarse[1] - exact[1]).max() / np.abs(exact[1]).max()
  assert 1e-4 < off < 2e-2
  words = {
    precision: jax.jit(gradient, static_argnums=1).lower(kernel, precision).as_text(dialect="hlo")
    for precision in ("float32", "tf32", "bfloat16")
  }
  assert "operand_precision={highest,highest}" in words["float32"]
  assert "highest" not in words["tf32"]
  assert "operand_precision={high,high}" in words["tf32"]
  assert "bf16[" in words["bfloat16"]
  assert "bf16[" not in words["float32"]


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_rounds_operands_and_neither_sums_nor_results(form):
  keys = jax.random.split(jax.random.key(0), 3)
  x, kernel, dy = (
    jax.random.normal(key, shape)
    for key, shape in zip(keys, [(2, 8, 8, 3), (3, 3, 3, 2), (2, 7, 9, 2)], strict=True)
  )
  padding = ((1, 0), (1, 2))

  def products(precision, *operands):
    y, pull = jax.vjp(lambda a, b: conv(a, b, padding, Computation(form, precision)), *operands[:2])
    return y, *pull(operands[2])

  rounded = [a.astype(jnp.bfloat16).astype(jnp.float32) for a in (x, kernel, dy)]
  exact = products("float32", *rounded)
  for result, expected in zip(products("bfloat16", x, kernel, dy), exact, strict=True):
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  ("x_shape", "kernel_shape", "padding", "says"),
  [
    ((1, 4, 4, 2), (3, 3, 3, 1), ((1, 1), (1, 1)), "needs 3 input channels"),
    ((1, 4, 4, 2), (3, 2, 1), ((1, 1),), "same number of spatial axes"),
    ((1, 4, 4, 2), (3, 3, 2, 1), ((1, 1),), "same number of spatial axes"),
  ],
)
def test_bad_input_is_named(x_shape, kernel_shape, padding, says):
  with pytest.raises(ValueError, match=says):
    conv(jnp.zeros(x_shape), jnp.zeros(kernel_shape), padding)
