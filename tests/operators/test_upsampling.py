"""The three implementations against the note's own numbers, direct summation, and each other."""

import functools

import jax
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv, zero_insertion_conv

IMPLEMENTATIONS = (zero_insertion_conv, transposed_conv, sub_pixel_conv)
implementations = pytest.mark.parametrize("layer", IMPLEMENTATIONS)


def scatter(x, kernel, scale, padding):
  """T by its definition: every input adds one scaled copy of the kernel to the output."""
  axes = len(padding)
  space, sizes = x.shape[1:-1], kernel.shape[:axes]
  scales = (scale,) * axes if isinstance(scale, int) else scale
  full = [r * (n - 1) + size for r, n, size in zip(scales, space, sizes, strict=True)]
  y = np.zeros((x.shape[0], *full, kernel.shape[-1]))
  for index in np.ndindex(space):
    starts = [r * i for r, i in zip(scales, index, strict=True)]
    window = tuple(slice(at, at + size) for at, size in zip(starts, sizes, strict=True))
    y[:, *window] += np.tensordot(x[:, *index], kernel, axes=(1, axes))
  around = [(max(0, -low), max(0, -high)) for low, high in padding]
  y = np.pad(y, [(0, 0), *around, (0, 0)])
  kept = (slice(max(0, low), -high if high > 0 else None) for low, high in padding)
  return y[:, *kept]


@st.composite
def layers(draw, axes):
  """Shapes of a layer: kernels not square, K < r, K no multiple of r, every crop that leaves M."""
  scale = tuple(draw(st.integers(1, 4)) for _ in range(axes))
  largest = (9, 6, 4)[axes - 1]
  space, sizes, padding = [], [], []
  for r in scale:
    n, size = draw(st.integers(1, 4)), draw(st.integers(1, largest))
    full = r * (n - 1) + size
    low = draw(st.integers(-2, min(size, full - 1)))
    high = draw(st.integers(-3, min(size, full - 1 - low)))
    space.append(n)
    sizes.append(size)
    padding.append((low, high))
  batch, inputs, outputs = (draw(st.integers(1, 3)) for _ in range(3))
  return (
    scale if len(set(scale)) > 1 else scale[0],
    (batch, *space, inputs),
    (*sizes, inputs, outputs),
    tuple(padding),
  )


@pytest.mark.parametrize(("axes", "examples"), [(1, 30), (2, 16), (3, 12)])
def test_the_three_agree_with_the_definition_in_value_and_gradient(axes, examples):
  @settings(deadline=None, derandomize=True, database=None, max_examples=examples)
  @given(layers(axes))
  def agree(layer):
    scale, x_shape, kernel_shape, padding = layer
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=x_shape), rng.normal(size=kernel_shape)
    expected = scatter(x, kernel, scale, padding)
    weight = rng.normal(size=expected.shape)

    @jax.jit
    def everything(x, kernel):
      results = []
      for implementation in IMPLEMENTATIONS:
        forward = functools.partial(implementation, scale=scale, padding=padding)
        y, backward = jax.vjp(forward, x, kernel)
        results.append((y, *backward(jnp.asarray(weight))))
      return results

    (y0, dx0, dkernel0), *others = everything(x, kernel)
    np.testing.assert_allclose(y0, expected, rtol=1e-12, atol=1e-12)
    for y, dx, dkernel in others:
      np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
      np.testing.assert_allclose(dx, dx0, rtol=1e-12, atol=1e-12)
      np.testing.assert_allclose(dkernel, dkernel0, rtol=1e-12, atol=1e-12)

  with jax.enable_x64():
    agree()


@implementations
def test_the_notes_one_dimensional_example(layer):
  """Fig. 3: f = (1, 2, 3, 4) correlated, that is T of it reversed, and deconvolved (Fig. 2)."""
  x = jnp.arange(1.0, 6.0).reshape(1, 5, 1)
  f = jnp.arange(1.0, 5.0).reshape(4, 1, 1)
  sub_pixel = layer(x, f[::-1], 2, ((2, 2),)).ravel()  # q = (1, 1): p = K - 1 - q
  np.testing.assert_array_equal(sub_pixel, [10, 7, 16, 11, 22, 15, 28, 19])
  deconvolution = layer(x, f, 2, ((2, 2),)).ravel()
  np.testing.assert_array_equal(deconvolution, [5, 8, 9, 14, 13, 20, 17, 26])


@implementations
def test_the_notes_filter_of_three_taps(layer):
  """f = (1, 2, 3): phases of different lengths, f1 = (2) and f2 = (1, 3)."""
  x = jnp.arange(1.0, 6.0).reshape(1, 5, 1)
  f = jnp.arange(1.0, 4.0).reshape(3, 1, 1)
  y = layer(x, f[::-1], 2, ((1, 1),)).ravel()
  np.testing.assert_array_equal(y, [2, 7, 4, 11, 6, 15, 8, 19, 10])
  y = layer(x, f[::-1], 2, ((1, 0),)).ravel()
  np.testing.assert_array_equal(y, [2, 7, 4, 11, 6, 15, 8, 19, 10, 5])


@implementations
@pytest.mark.parametrize(
  ("q", "total", "first_row"),
  [
    ((1, 3), 15422, [188, 174, 232, 214, 276, 254, 136, 124]),
    ((2, 2), 15232, [11, 34, 31, 56, 51, 78, 71, 40]),
    ((3, 1), 14232, [16, 15, 46, 43, 76, 71, 106, 99]),
  ],
)
def test_the_notes_two_dimensional_example(layer, q, total, first_row):
  """Fig. 4 and 5: 4x4 on 4x4 to 8x8, for the three alignments its picture can mean."""
  x = jnp.arange(1.0, 17.0).reshape(1, 4, 4, 1)
  f = jnp.arange(1.0, 17.0).reshape(4, 4, 1, 1)
  p = (3 - q[0], 3 - q[1])
  y = layer(x, f[::-1, ::-1], 2, (p, p))
  assert y.shape == (1, 8, 8, 1)
  np.testing.assert_array_equal(y[0, 0, :, 0], first_row)
  assert float(y.sum()) == total


def test_the_three_compile_to_three_programs():
  """XLA folds zeros that it can see into the convolution: (a) would be timed as (b)."""
  if jax.default_backend() != "cpu":
    pytest.skip("reads what XLA's CPU compiler makes of a convolution")
  x, kernel = jnp.ones((1, 8, 8, 2)), jnp.ones((6, 6, 2, 3))
  dilated, windows = [], []
  for layer in IMPLEMENTATIONS:
    jitted = jax.jit(functools.partial(layer, scale=2, padding=((2, 2), (2, 2))))
    program = jitted.lower(x, kernel).compile().as_text()
    dilated.append("lhs_dilate=2x2" in program)
    windows.append("size=3x3" in program)
  assert dilated == [False, True, False]
  assert windows == [False, False, True]


@implementations
def test_maps_over_members(layer):
  rng = np.random.default_rng(1)
  x = jnp.asarray(rng.normal(size=(2, 1, 3, 4, 2)), jnp.float32)
  kernels = jnp.asarray(rng.normal(size=(2, 4, 3, 2, 1)), jnp.float32)
  apply = functools.partial(layer, scale=2, padding=((1, 0), (0, 1)))
  mapped = jax.vmap(apply)(x, kernels)
  for member in range(2):
    np.testing.assert_allclose(mapped[member], apply(x[member], kernels[member]), rtol=1e-5)


X, KERNEL = np.ones((1, 4, 4, 2), np.float32), np.ones((3, 3, 2, 1), np.float32)
BAD = {
  "rank": (X, KERNEL, 2, ((1, 1),), r"kernel \(3, 3, 2, 1\) needs padding of 2 pairs"),
  "pairs": (X, KERNEL, 2, (1, 1), r"kernel \(3, 3, 2, 1\) needs padding of 2 pairs"),
  "half": (X, KERNEL, 2, ((0.5, 0), (0, 0)), "2 pairs of whole numbers"),
  "kernel_crop": (X, KERNEL, 2, ((4, 0), (0, 0)), r"padding \(\(4, 0\).*at most \(3, 3\)"),
  "output_crop": (X[:, :1], KERNEL, 2, ((2, 1), (0, 0)), r"padding .* leave \(0, 9\) samples"),
  "scale": (X, KERNEL, 2.0, ((1, 1), (1, 1)), "scale must be a whole number.*2.0"),
  "no_scale": (X, KERNEL, 0, ((1, 1), (1, 1)), "scale must be a whole number.*0"),
  "channels": (X[..., :1], KERNEL, 2, ((1, 1), (1, 1)), r"needs 2 input channels, x .* has 1"),
  "space": (X[:, 0], KERNEL, 2, ((1, 1), (1, 1)), r"x must be \(batch, \*space, in\)"),
  "integer_x": (X.astype(np.uint8), KERNEL, 2, ((1, 1), (1, 1)), "x .* not uint8"),
  "integer_kernel": (X, KERNEL.astype(np.int32), 2, ((1, 1), (1, 1)), "kernel .* not int32"),
  "empty": (X, KERNEL[:0], 2, ((0, 0), (0, 0)), r"nothing empty, not \(0, 3, 2, 1\)"),
}


@implementations
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(monkeypatch, layer, case):
  # As outside pytest, where nothing checks the annotations.
  monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
  *arguments, message = BAD[case]
  with pytest.raises(ValueError, match=message):
    layer(*arguments)
