"""The conversions against the note's numbers and their formulas."""

import math

import jax
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from sr_jax.operators.conv import conv
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.shuffle import depth_to_space
from sr_jax.operators.upsampling import transposed_conv

bounded = settings(deadline=None, derandomize=True, database=None, max_examples=25)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_tap_goes_where_the_formula_says(scale):
  """All crops of all kernels up to 7: the taps, their number, and when none of them is padding."""
  for size in range(1, 8):
    kernel = np.arange(1, size + 1, dtype=np.float32).reshape(size, 1, 1)
    for low in range(-1, size + 1):
      high = (low * 5 + size) % (size + 3) - 2  # some end or other: it must not matter to the taps
      lr_kernel, ((left, right),), (crop,) = deconv_to_lr(kernel, scale, ((low, high),))
      taps = left + -(-low // scale) + 1
      expected = np.zeros((taps, 1, scale), np.float32)
      for t, phase in np.ndindex(taps, scale):
        a = phase + low - scale * (t - left)
        expected[t, 0, phase] = kernel[a, 0, 0] if 0 <= a < size else 0
      np.testing.assert_array_equal(lr_kernel, expected)
      assert left == (size - 1 - low) // scale
      # One input sample gives r (1 + left + right - k + 1) outputs before the crop at the end.
      assert scale * (left + right + 2 - taps) - crop == size - low - high
      assert crop in range(scale)
      bijection = size % scale == 0 and low % scale == 0
      assert (lr_kernel.size == size) == bijection


@st.composite
def lr_layers(draw):
  axes = draw(st.integers(1, 3))
  sizes, scale = ([draw(st.integers(1, 3)) for _ in range(axes)] for _ in range(2))
  padding, crop = [], []
  for size, r in zip(sizes, scale, strict=True):
    drop = draw(st.integers(0, r - 1))
    fewest = 0 if drop else -1  # fewer would drop whole LR pixels
    padding.append((draw(st.integers(-1, size + 1)), draw(st.integers(fewest, size + 1))))
    crop.append(drop)
  inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
  shape = (*sizes, inputs, math.prod(scale) * outputs)
  return shape, scale if len(set(scale)) > 1 else scale[0], tuple(padding), tuple(crop)


@bounded
@given(lr_layers())
def test_lr_to_deconv_and_back_is_exact_for_any_lr_layer(layer):
  shape, scale, lr_padding, crop = layer
  lr_kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  kernel, padding = lr_to_deconv(lr_kernel, scale, lr_padding, crop)
  assert kernel.size == lr_kernel.size
  scales = scale if isinstance(scale, list) else (scale,) * len(padding)
  assert all(low % r == 0 for r, (low, _) in zip(scales, padding, strict=True))
  back, back_padding, back_crop = deconv_to_lr(kernel, scale, padding)
  np.testing.assert_array_equal(back, lr_kernel)
  assert (back_padding, back_crop) == (lr_padding, crop)


@st.composite
def deconv_layers(draw):
  axes = draw(st.integers(1, 3))
  scale = tuple(draw(st.integers(1, 4)) for _ in range(axes))
  sizes = [draw(st.integers(1, 6)) for _ in range(axes)]
  padding = [(draw(st.integers(-2, size)), draw(st.integers(-2, size))) for size in sizes]
  return scale, (*sizes, 2, 3), tuple(padding)


@bounded
@given(deconv_layers())
def test_deconv_to_lr_and_back_is_the_kernel_with_zeros_around_it(layer):
  """Exactly the kernel, with no zeros, where it is a bijection: K = k r and p0 = 0 (mod r)."""
  scale, shape, padding = layer
  kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  lr_kernel, lr_padding, crop = deconv_to_lr(kernel, scale, padding)
  back, back_padding = lr_to_deconv(lr_kernel, scale, lr_padding, crop)
  sizes = shape[:-2]
  starts = [-low % r for r, (low, _) in zip(scale, padding, strict=True)]
  ends = [-(size + at) % r for r, size, at in zip(scale, sizes, starts, strict=True)]
  around = list(zip(starts, ends, strict=True))
  np.testing.assert_array_equal(back, np.pad(kernel, [*around, (0, 0), (0, 0)]))
  # The zeros are cropped again: both are the same layer.
  assert back_padding == tuple(
    (low + start, high + end) for (low, high), (start, end) in zip(padding, around, strict=True)
  )


@pytest.mark.parametrize(
  ("low", "left", "phases"),
  [
    (2, 0, [[[6, 8], [14, 16]], [[5, 7], [13, 15]], [[2, 4], [10, 12]], [[1, 3], [9, 11]]]),
    (0, 1, [[[6, 8], [14, 16]], [[5, 7], [13, 15]], [[2, 4], [10, 12]], [[1, 3], [9, 11]]]),
    (
      1,  # The symmetric crop: no four 2x2 kernels, but 3x3 ones of which 5 taps are zero.
      1,
      [
        [[1, 3, 0], [9, 11, 0], [0, 0, 0]],
        [[0, 2, 4], [0, 10, 12], [0, 0, 0]],
        [[0, 0, 0], [5, 7, 0], [13, 15, 0]],
        [[0, 0, 0], [0, 6, 8], [0, 14, 16]],
      ],
    ),
  ],
)
def test_the_four_colours_of_figure_5(low, left, phases):
  f = np.arange(1.0, 17.0, dtype=np.float32).reshape(4, 4, 1, 1)
  padding = ((low, 2 - low),) * 2
  lr_kernel, lr_padding, crop = deconv_to_lr(f[::-1, ::-1].copy(), 2, padding)
  np.testing.assert_array_equal(np.moveaxis(lr_kernel[:, :, 0], -1, 0), phases)
  assert lr_padding[0][0] == lr_padding[1][0] == left
  assert crop == (0, 0)


def test_the_phases_of_three_taps():
  """f = (1, 2, 3): f1 = (2), here with the zero that makes it as long as f2 = (1, 3)."""
  f = np.array([1.0, 2.0, 3.0], np.float32).reshape(3, 1, 1)
  lr_kernel, lr_padding, crop = deconv_to_lr(f[::-1].copy(), 2, ((1, 1),))
  np.testing.assert_array_equal(lr_kernel[:, 0], [[2, 1], [0, 3]])
  assert (lr_padding, crop) == (((0, 1),), (1,))


def test_the_notes_9_32_3_3_is_1_32_9_9():
  with jax.enable_x64():
    o, i, a, b = np.ogrid[:9, :32, :3, :3]
    lr_kernel = np.sin(1 + o + 9 * (i + 32 * (a + 3 * b))).transpose(2, 3, 1, 0)
    kernel, padding = lr_to_deconv(lr_kernel, 3, ((1, 1), (1, 1)), (0, 0))
    assert kernel.shape == (9, 9, 32, 1)
    assert padding == ((3, 3), (3, 3))
    taps = [kernel[0, 0, :3, 0], kernel[8, 8, :3, 0], kernel[4, 5, :3, 0]]
    expected = [
      [-0.8010263365563672, 0.9765454567377191, -0.9784938989230919],
      [0.4121184852417566, -0.750987246771676, 0.956375928404503],
      [0.9482534313435556, -0.9948359739965252, 0.8645968916959479],
    ]
    np.testing.assert_allclose(taps, expected, rtol=1e-12)
    h, w, i = np.ogrid[:4, :5, :32]
    x = jnp.asarray(np.cos(i + 2 * h + 3 * w))[None]
    y = transposed_conv(x, kernel, 3, padding)
    assert y.shape == (1, 12, 15, 1)
    np.testing.assert_allclose(y.sum(), -0.4732484750752819, rtol=1e-11)
    np.testing.assert_allclose((y**2).sum(), 107.11646963106296, rtol=1e-12)
    np.testing.assert_allclose(y[0, 0, 0, 0], -0.41512927189646986, rtol=1e-11)
    same = depth_to_space(conv(x, jnp.asarray(lr_kernel), ((1, 1), (1, 1))), 3)
    np.testing.assert_allclose(y, same, rtol=1e-12, atol=1e-12)


KERNEL, LR = np.ones((3, 3, 2, 4), np.float32), np.ones((2, 2, 3, 8), np.float32)
ONES = ((1, 1), (1, 1))
BAD = {
  "rank": (deconv_to_lr, (KERNEL, 2, ((1, 1),)), r"kernel \(3, 3, 2, 4\) needs padding of 2 pairs"),
  "vector": (deconv_to_lr, (KERNEL[0, 0], 2, ()), r"with a spatial axis .* not \(2, 4\)"),
  "crop": (deconv_to_lr, (KERNEL, 2, ((1, 4), (1, 1))), r"crops more than the kernel .*\(3, 3\)"),
  "scale": (deconv_to_lr, (KERNEL, 1.5, ONES), "scale must be a whole number.*1.5"),
  "integer": (deconv_to_lr, (KERNEL.astype(np.int8), 2, ONES), "kernel .* not int8"),
  "phases": (lr_to_deconv, (LR[..., :6], 2, ONES, (0, 0)), "6 output channels.* multiple of 4"),
  "lr_rank": (lr_to_deconv, (LR, 2, ONES[:1], (0, 0)), "lr_kernel .* needs lr_padding of 2"),
  "lr_integer": (lr_to_deconv, (LR.astype(int), 2, ONES, (0, 0)), "lr_kernel .* floating point"),
  "drop": (lr_to_deconv, (LR, 2, ONES, (0, 2)), r"crop must be 2 whole numbers in \[0, scale\)"),
  "drops": (lr_to_deconv, (LR, 2, ONES, (0,)), r"crop must be 2 .* found \(0,\)"),
  "lr_left": (lr_to_deconv, (LR, 2, ((-2, 1), (1, 1)), (0, 0)), "drops whole LR pixels"),
  "lr_right": (lr_to_deconv, (LR, 2, ((1, -1), (1, 1)), (1, 0)), "drops whole LR pixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(monkeypatch, case):
  # As outside pytest, where nothing checks the annotations.
  monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
  function, arguments, message = BAD[case]
  with pytest.raises(ValueError, match=message):
    function(*arguments)
