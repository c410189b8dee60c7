"""The lift against its formula, and as the theorem it is: the same function, to the border."""

import itertools

import jax
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from sr_jax.operators.conv import conv, same_padding
from sr_jax.operators.lifting import fits, lift_conv, lift_untied_conv
from sr_jax.operators.shuffle import depth_to_space, space_to_depth


@st.composite
def hr_convs(draw):
  axes, scale = draw(st.integers(1, 3)), draw(st.integers(1, 4))
  sizes = [draw(st.integers(1, (9, 7, 4)[axes - 1])) for _ in range(axes)]
  # Any side of the padding, and beyond: what counts is that the length is kept.
  lows = [draw(st.integers(-1, size)) for size in sizes]
  padding = tuple((low, size - 1 - low) for low, size in zip(lows, sizes, strict=True))
  return scale, (*sizes, draw(st.integers(1, 3)), draw(st.integers(1, 3))), padding


def test_a_lifted_conv_computes_the_same_and_passes_the_gradient_to_the_hr_kernel():
  @settings(deadline=None, derandomize=True, database=None, max_examples=16)
  @given(hr_convs())
  def same(layer):
    scale, shape, padding = layer
    axes = len(padding)
    rng = np.random.default_rng(0)
    h = jnp.asarray(rng.normal(size=(2, *(scale * n for n in (3, 2, 2)[:axes]), shape[-2])))
    kernel = jnp.asarray(rng.normal(size=shape))
    weight = jnp.asarray(rng.normal(size=(*h.shape[:-1], shape[-1])))

    def in_lr_space(h, kernel):
      lr_kernel, lr_padding = lift_conv(kernel, scale, padding)
      return depth_to_space(conv(space_to_depth(h, scale), lr_kernel, lr_padding), scale)

    @jax.jit
    def both(h, kernel):
      y, backward = jax.vjp(lambda h, kernel: conv(h, kernel, padding), h, kernel)
      lifted, lifted_backward = jax.vjp(in_lr_space, h, kernel)
      return (y, *backward(weight)), (lifted, *lifted_backward(weight))

    for expected, found in zip(*both(h, kernel), strict=True):
      np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)

  with jax.enable_x64():
    same()


def test_an_untied_conv_gives_each_phase_what_its_own_kernel_gives():
  scale, padding = 2, ((1, 2), (2, 1))
  rng = np.random.default_rng(0)
  h = jnp.asarray(rng.normal(size=(1, 6, 8, 3)), jnp.float32)
  kernels = jnp.asarray(rng.normal(size=(4, 4, 3, 4 * 2)), jnp.float32)
  lr_kernel, lr_padding = lift_untied_conv(kernels, scale, padding)
  found = depth_to_space(conv(space_to_depth(h, scale), lr_kernel, lr_padding), scale)
  for row, column in itertools.product(range(scale), repeat=2):
    phase = 2 * (scale * row + column)
    expected = conv(h, kernels[..., phase : phase + 2], padding)
    at = np.s_[:, row::scale, column::scale]
    np.testing.assert_allclose(found[at], expected[at], atol=1e-4)


@pytest.mark.parametrize(("size", "q", "scale"), [(6, 2, 2), (6, 3, 2), (5, 2, 3), (1, 0, 3)])
def test_every_weight_goes_where_the_formula_says(size, q, scale):
  kernel = np.arange(1.0, 4 * size + 1, dtype=np.float32).reshape(size, 2, 2)
  lr_kernel, ((left, right),) = lift_conv(kernel, scale, ((q, size - 1 - q),))
  taps = 1 + left + right
  assert (left, right) == (-(-q // scale), -(-(size - 1 - q) // scale))
  expected = np.zeros((taps, scale, 2, scale, 2), np.float32)
  for t, phase, out_phase in np.ndindex(taps, scale, scale):
    b = scale * (t - left) + phase - out_phase + q
    if 0 <= b < size:
      expected[t, phase, :, out_phase] = kernel[b]
  np.testing.assert_array_equal(lr_kernel, expected.reshape(taps, 2 * scale, 2 * scale))


@pytest.mark.parametrize(("scale", "size", "depth"), [(2, 6, 4), (2, 5, 3), (3, 4, 3)])
def test_a_stack_of_lifted_convs_is_the_hr_stack(scale, size, depth):
  """Paddings that take turns, biases, relu and a skip; forward and every gradient."""
  rng = np.random.default_rng(3)
  maps = [2, *[3] * (depth - 1), 2]
  layers = list(itertools.pairwise(maps))
  paddings = [(same_padding(size, extra_at_start=i % 2 == 1),) * 2 for i in range(depth)]

  def stack(params, h, lift):
    y = space_to_depth(h, scale) if lift else h
    skip = y
    for i, ((kernel, bias), padding) in enumerate(zip(params, paddings, strict=True)):
      here = padding
      if lift:
        kernel, here = lift_conv(kernel, scale, padding)  # noqa: PLW2901
        bias = jnp.tile(bias, scale**2)  # noqa: PLW2901
      y = conv(y, kernel, here) + bias.reshape(1, 1, 1, -1)
      y = jax.nn.relu(y) if i + 1 < depth else y
    y += skip
    return depth_to_space(y, scale) if lift else y

  with jax.enable_x64():
    params = [
      (
        jnp.asarray(rng.normal(size=(size, size, i, o)) / size),
        jnp.asarray(rng.normal(size=(o,))),
      )
      for i, o in layers
    ]
    h = jnp.asarray(rng.normal(size=(2, 4 * scale, 3 * scale, 2)))
    weight = jnp.asarray(rng.normal(size=h.shape))

    @jax.jit
    def both(params, h):
      y, backward = jax.vjp(lambda params, h: stack(params, h, lift=False), params, h)
      lifted, lifted_backward = jax.vjp(lambda params, h: stack(params, h, lift=True), params, h)
      return (y, backward(weight)), (lifted, lifted_backward(weight))

    in_hr, in_lr = both(params, h)
    for expected, found in zip(jax.tree.leaves(in_hr), jax.tree.leaves(in_lr), strict=True):
      np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_fits_is_what_the_lift_needs():
  for scale in range(1, 5):
    for size in range(1, 13):
      taps = [lifted_taps(size, scale, q) for q in range(0, size, scale)]
      # One number of taps for every aligned side ...
      assert len(set(taps)) == 1
      # ... and no side needs fewer.
      assert taps[0] == min(lifted_taps(size, scale, q) for q in range(size))
      for lr_size in range(1, 13):
        assert fits(size, scale, lr_size) == (taps[0] <= lr_size)
        if lr_size % 2:  # centred: within the LR kernel's own padding on both sides
          sides = [-(-side // scale) for side in same_padding(size)]
          assert fits(size, scale, lr_size) == (max(sides) <= lr_size // 2)


def lifted_taps(size, scale, q):
  kernel = jax.ShapeDtypeStruct((size, 1, 1), jnp.float32)
  lifted = jax.eval_shape(lambda kernel: lift_conv(kernel, scale, ((q, size - 1 - q),))[0], kernel)
  return lifted.shape[0]


def test_the_notes_6x6_needs_4x4():
  assert fits(5, 2, 3)
  assert not fits(6, 2, 3)
  for extra_at_start in (False, True):
    padding = (same_padding(6, extra_at_start=extra_at_start),) * 2
    lr_kernel, _ = lift_conv(jnp.ones((6, 6, 8, 8)), 2, padding)
    assert lr_kernel.shape == (4, 4, 32, 32)
    # An LR pixel is 4 HR pixels of 6x6 with 8 maps each: executed against nominal work.
    assert round(lr_kernel.size / (4 * 6 * 6 * 8 * 8), 2) == 1.78
  lr_kernel, lr_padding = lift_conv(jnp.ones((5, 5, 8, 8)), 2, ((2, 2), (2, 2)))
  assert lr_kernel.shape == (3, 3, 32, 32)
  assert lr_padding == ((1, 1), (1, 1))


KERNEL = np.ones((3, 4, 2, 2), np.float32)
BAD = {
  "rank": (lift_conv, (KERNEL, 2, ((1, 1),)), r"kernel \(3, 4, 2, 2\) needs padding of 2 pairs"),
  "length": (lift_conv, (KERNEL, 2, ((1, 1), (1, 1))), r"must keep the length .* to \(2, 3\)"),
  "scale": (lift_conv, (KERNEL, 0.5, ((1, 1), (1, 2))), "scale must be a whole number.*0.5"),
  "integer": (lift_conv, (KERNEL.astype(int), 2, ((1, 1), (1, 2))), "kernel .* floating point"),
  "size": (fits, (2.5, 2, 3), "kernel_size must be a whole number .* not 2.5"),
  "lr_size": (fits, (2, 2, 0), "lr_kernel_size must be a whole number .* not 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(monkeypatch, case):
  # As outside pytest, where nothing checks the annotations.
  monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
  function, arguments, message = BAD[case]
  with pytest.raises(ValueError, match=message):
    function(*arguments)
