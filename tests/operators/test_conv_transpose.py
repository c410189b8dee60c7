"""The drop-in against `jax.lax.conv_transpose`: values, gradients, transformations, bad input."""

import functools
import re

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax import numpy as jnp

from sr_jax.operators import conv_transpose as module
from sr_jax.operators.conv_transpose import conv_transpose

bounded = settings(deadline=None, derandomize=True, database=None, max_examples=30)
LAYOUTS = {1: ("NCH", "OIH", "NCH"), 2: ("NCHW", "OIHW", "NHWC"), 3: ("NDHWC", "IODHW", "NCDHW")}


@st.composite
def layers(draw):
  """The shapes of x and kernel, and the other arguments of lax.conv_transpose."""
  axes = draw(st.integers(1, 3))
  numbers = st.integers(1, 3)
  space, sizes, strides, dilation = (
    [draw(st.integers(1, most)) for _ in range(axes)] for most in (4, 4, 3, 2)
  )
  zeros = st.tuples(st.integers(-3, 5), st.integers(-3, 5))
  padding = draw(st.sampled_from(["SAME", "VALID", "pairs"]))
  arguments = {
    "padding": [draw(zeros) for _ in range(axes)] if padding == "pairs" else padding,
    "rhs_dilation": draw(st.sampled_from([None, dilation])),
    "transpose_kernel": draw(st.booleans()),
    "use_consistent_padding": draw(st.booleans()),
    "strides": strides,
  }
  inputs, outputs = draw(numbers), draw(numbers)
  x, kernel = [draw(st.integers(0, 2)), *space, inputs], [*sizes, inputs, outputs]
  if arguments["transpose_kernel"]:
    kernel[-2:] = outputs, inputs
  if draw(st.booleans()):
    layout = LAYOUTS[axes]
    names = ("N" + "DHW"[-axes:] + "C", "DHW"[-axes:] + "IO")
    if axes == 1:
      names = ("NHC", "HIO")
    x, kernel = (
      [dict(zip(name, shape, strict=True))[letter] for letter in letters]
      for name, shape, letters in zip(names, (x, kernel), layout[:2], strict=True)
    )
    arguments["dimension_numbers"] = layout
  return tuple(x), tuple(kernel), arguments


def arrays(*shapes, dtype=np.float64):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def gradients(layer, x, kernel, dy):
  return jax.vjp(layer, x, kernel)[1](dy)


def assert_close(values, expected, tolerance=1e-11):
  for value, right in zip(jax.tree.leaves(values), jax.tree.leaves(expected), strict=True):
    assert value.dtype == right.dtype
    np.testing.assert_allclose(value, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("form", ["by rule", "LR"])
@bounded
@given(layers())
def test_values_and_gradients_are_those_of_lax(form, layer):
  x_shape, kernel_shape, arguments = layer
  with jax.enable_x64(), pytest.MonkeyPatch.context() as patch:
    if form == "LR":
      patch.setattr(module, "lr_form_is_faster", lambda *_: True)
      patch.setattr(module, "lr_gradient_is_faster", lambda *_: True)
      jax.clear_caches()
    x, kernel = arrays(x_shape, kernel_shape)
    reference = dict(arguments)
    if not isinstance(reference["padding"], str):
      reference["padding"] = tuple(reference["padding"])
    theirs = functools.partial(lax.conv_transpose, **reference)
    ours = functools.partial(conv_transpose, **arguments)
    try:
      expected = theirs(x, kernel)
    except ValueError as error:  # what crops more than there is, lax refuses itself
      with pytest.raises(ValueError, match=re.escape(str(error).splitlines()[0])):
        ours(x, kernel)
      return
    assert_close(ours(x, kernel), expected)
    (dy,) = arrays(expected.shape)
    assert_close(gradients(ours, x, kernel, dy), gradients(theirs, x, kernel, dy))
  jax.clear_caches()
