"""The module against `flax.linen.ConvTranspose`, and how other libraries use the operator."""

import dataclasses
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from sr_jax.networks import ConvTranspose
from sr_jax.operators import conv_transpose
from sr_jax.operators.conversion import deconv_to_lr
from sr_jax.operators.frameworks import phase_to_channel_major, torch_to_deconv

bounded = settings(deadline=None, derandomize=True, database=None, max_examples=30)


@st.composite
def layers(draw):
  """The fields of a layer, and the shape of its input."""
  axes = draw(st.integers(1, 3))
  sizes, strides, dilation, space = (
    tuple(draw(st.integers(least, most)) for _ in range(axes))
    for least, most in ((1, 4), (1, 3), (1, 2), (2, 4))
  )
  pairs = tuple((draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(axes))
  paddings = ["SAME", "VALID", "CIRCULAR", "CIRCULAR", 2, tuple(range(axes)), pairs]
  numbers = [None, 2, strides]
  fields = {
    "features": 3,
    "kernel_size": sizes[0] if axes == 1 else sizes,
    "strides": draw(st.sampled_from(numbers)),
    "padding": draw(st.sampled_from(paddings)),
    "kernel_dilation": draw(st.sampled_from([None, dilation])),
    "use_bias": draw(st.booleans()),
    "transpose_kernel": draw(st.booleans()),
    "bias_init": nn.initializers.normal(),
    "dtype": draw(st.sampled_from([None, jnp.float64])),
    "precision": draw(st.sampled_from([None, "highest"])),
  }
  if draw(st.booleans()):
    shape = (*sizes, 3, 2) if fields["transpose_kernel"] else (*sizes, 2, 3)
    fields["mask"] = jnp.asarray(np.random.default_rng(0).integers(0, 2, shape))
  batch = draw(st.sampled_from([(), (2,), (2, 1)]))
  return fields, (*batch, *space, 2)


@bounded
@given(layers())
def test_parameters_outputs_and_gradients_are_those_of_flax(layer):
  fields, shape = layer
  with jax.enable_x64():
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape))
    theirs, ours = nn.ConvTranspose(**fields), ConvTranspose(**fields)
    expected, right_params = theirs.init_with_output(jax.random.key(0), x)
    y, params = ours.init_with_output(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, params, right_params)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-11)

    def gradient(module):
      return jax.grad(lambda params, x: (module.apply(params, x) ** 2).sum(), (0, 1))(params, x)

    for value, right in zip(*(jax.tree.leaves(gradient(m)) for m in (ours, theirs)), strict=True):
      np.testing.assert_allclose(value, right, rtol=1e-9, atol=1e-9)


def test_it_has_the_fields_and_the_name_of_flax():
  fields = [
    [(f.name, f.default) for f in dataclasses.fields(module) if f.name not in ("parent", "name")]
    for module in (ConvTranspose, nn.ConvTranspose)
  ]
  assert fields[0] == fields[1]

  class Decoder(nn.Module):
    layer: type

    @nn.compact
    def __call__(self, x):
      return self.layer(2, (4, 4), (2, 2))(x)

  x = jnp.ones((1, 4, 4, 3))
  params, right = (Decoder(m).init(jax.random.key(3), x) for m in (ConvTranspose, nn.ConvTranspose))
  jax.tree.map(np.testing.assert_array_equal, params, right)
  np.testing.assert_allclose(
    Decoder(ConvTranspose).apply(right, x), Decoder(nn.ConvTranspose).apply(params, x), rtol=1e-5
  )


def test_dtypes_are_those_of_flax():
  x = jnp.ones((1, 4, 4, 3), jnp.bfloat16)
  for fields in (
    {"dtype": jnp.bfloat16},
    {"param_dtype": jnp.bfloat16},
    {"dtype": jnp.bfloat16, "preferred_element_type": jnp.float32},
    {"dtype": jnp.float16},
  ):
    y, expected = (
      module(2, (4, 4), (2, 2), **fields).init_with_output(jax.random.key(0), x)[0]
      for module in (ConvTranspose, nn.ConvTranspose)
    )
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(
      y.astype(jnp.float32), expected.astype(jnp.float32), rtol=0.05, atol=0.02
    )


def test_a_mask_of_another_shape_is_refused():
  layer = ConvTranspose(2, (3,), mask=jnp.ones((3, 1, 2)))
  with pytest.raises(ValueError, match=r"mask \(3, 1, 2\) must have .* kernel, \(3, 3, 2\)"):
    layer.init(jax.random.key(0), jnp.ones((1, 8, 3)))


PAGE = Path(__file__).parents[2] / "docs" / "CONV_TRANSPOSE.md"


def lines_for(library):
  """The lines that the page tells users of a library to write."""
  (lines,) = re.findall(rf"<!-- {library}: .*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
  return lines


@pytest.mark.parametrize("padding", [1, ((1, 0), (0, 2))])
def test_the_line_for_equinox(padding):
  equinox = pytest.importorskip("equinox")
  options = {"stride": (2, 3), "padding": padding, "dilation": (2, 1)}
  layer = equinox.nn.ConvTranspose2d(3, 4, (3, 5), **options, key=jax.random.key(0))
  x = jax.random.normal(jax.random.key(1), (3, 6, 7))
  names = {"layer": layer, "x": x, "conv_transpose": conv_transpose}
  exec(lines_for("equinox"), names)
  np.testing.assert_allclose(names["y"], layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "padding", "output_padding"), [(4, 1, 0), (3, 1, 1), (6, 2, 0)])
def test_the_lines_for_torch(size, padding, output_padding):
  torch = pytest.importorskip("torch")
  layer = torch.nn.ConvTranspose2d(4, 6, size, 2, padding, output_padding, groups=2)
  x = torch.randn(2, 4, 5, 7)
  names = {"layer": layer, "x": x, "np": np, "torch": torch, "deconv_to_lr": deconv_to_lr}
  names |= {name: getattr(torch.nn.functional, name) for name in ("conv2d", "pad", "pixel_shuffle")}
  names |= {f.__name__: f for f in (torch_to_deconv, phase_to_channel_major)}
  exec(lines_for("torch"), names)
  np.testing.assert_allclose(
    names["y"].detach().numpy(), layer(x).detach().numpy(), rtol=1e-5, atol=1e-5
  )
