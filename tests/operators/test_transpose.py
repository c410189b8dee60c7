"""The drop-in against `jax.lax.conv_transpose`: values, gradients, transformations, bad input."""

import contextlib
import functools
import re

import jax
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export, lax
from jax import numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from sr_jax.operators import conv_transpose
from sr_jax.operators import transpose as module
from sr_jax.operators.conv import Computation, computing

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


@contextlib.contextmanager
def always_in_lr_space():
  """Replaces the rules that choose the form, in programs compiled inside."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module, "lr_form_is_faster", lambda *_: True)
    patch.setattr(module, "lr_gradient_is_faster", lambda *_: True)
    jax.clear_caches()
    yield
  jax.clear_caches()


@pytest.mark.parametrize("form", ["by rule", "LR"])
@bounded
@given(layers())
def test_values_and_gradients_are_those_of_lax(form, layer):
  x_shape, kernel_shape, arguments = layer
  with jax.enable_x64(), always_in_lr_space() if form == "LR" else contextlib.nullcontext():
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


# Both rules choose the LR form for this layer, and XLA's own for the other.
LR_LAYER, OWN_LAYER = ((2, 6, 5, 4), (4, 4, 4, 8), (2, 2)), ((2, 6, 5, 4), (3, 3, 4, 8), (1, 1))


def make_layer(shapes, dtype=np.float32):
  *shapes, strides = shapes
  layer = functools.partial(conv_transpose, strides=strides, padding="SAME")
  theirs = functools.partial(lax.conv_transpose, strides=strides, padding="SAME")
  return layer, theirs, *arrays(*shapes, dtype=dtype)


@pytest.mark.parametrize("shapes", [LR_LAYER, OWN_LAYER])
def test_forward_mode_works_if_asked_for(shapes):
  layer, theirs, x, kernel = make_layer(shapes)
  tangents = x * x, kernel + 1
  forward = functools.partial(layer, forward_mode=True)
  y, dy = jax.jvp(forward, (x, kernel), tangents)
  expected, right = jax.jvp(theirs, (x, kernel), tangents)
  assert_close((y, dy), (expected, right), 1e-5)
  with pytest.raises(TypeError, match="forward-mode"):
    jax.jvp(layer, (x, kernel), tangents)


@pytest.mark.parametrize("shapes", [LR_LAYER, OWN_LAYER])
def test_second_derivatives_are_those_of_lax(shapes):
  def gradient_norm(function):
    first = jax.grad(lambda x, kernel: (function(x, kernel) ** 3).sum(), (0, 1))
    return lambda *arguments: sum((g**2).sum() for g in first(*arguments))

  with jax.enable_x64():
    layer, theirs, x, kernel = make_layer(shapes, np.float64)
    second = jax.jit(jax.grad(gradient_norm(layer), (0, 1)))(x, kernel)
    assert_close(second, jax.grad(gradient_norm(theirs), (0, 1))(x, kernel), 1e-8)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_of_values_and_gradients(axes):
  with jax.enable_x64():
    layer, theirs, x, kernel = make_layer(LR_LAYER, np.float64)
    x, kernel = (
      a if axis is None else jnp.stack([a, 2 * a, a + 1])
      for a, axis in zip((x, kernel), axes, strict=True)
    )
    for function in (lambda f: f, lambda f: jax.grad(lambda *a: (f(*a) ** 2).sum(), (0, 1))):
      batched = (jax.vmap(function(f), axes)(x, kernel) for f in (layer, theirs))
      assert_close(*batched, 1e-9)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int8, jnp.complex64])
def test_other_dtypes_are_those_of_lax(dtype):
  layer, theirs, x, kernel = make_layer(LR_LAYER)
  x, kernel = (3 * x).astype(dtype), (3 * kernel).astype(dtype)
  y, expected = layer(x, kernel), theirs(x, kernel)
  assert y.dtype == expected.dtype
  np.testing.assert_allclose(
    y.astype(jnp.complex64), expected.astype(jnp.complex64), rtol=0.02, atol=0.5
  )
  if dtype is jnp.bfloat16:
    wide, right = (f(x, kernel, preferred_element_type=jnp.float32) for f in (layer, theirs))
    assert_close(wide, right, 1e-4)
    dy = jnp.ones_like(wide)
    wider = functools.partial(layer, preferred_element_type=jnp.float32)
    assert [g.dtype for g in gradients(wider, x, kernel, dy)] == [dtype, dtype]


def test_a_replicated_kernel_inside_shard_map():
  """As the page says, with the axis that x varies over."""
  layer, theirs, x, kernel = make_layer(LR_LAYER)
  mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

  def gradient(function, x, kernel):
    return jax.grad(lambda *arguments: (function(*arguments) ** 2).sum(), (0, 1))(x, kernel)

  def on_one_device(x, kernel):
    varying = functools.partial(lax.pcast, axis_name="batch", to="varying")
    return gradient(lambda x, kernel: layer(x, varying(kernel)), x, kernel)

  specs = P("batch"), P()
  sharded = jax.jit(jax.shard_map(on_one_device, mesh=mesh, in_specs=specs, out_specs=specs))
  assert_close(sharded(x, kernel), gradient(theirs, x, kernel), 1e-4)


def count_strided(text):
  """Convolutions of zero-filled or strided images in the text of a program."""
  return len(re.findall(r"lhs_dilate = \[2|rhs_dilate = \[2|stride = \[2", text))


def test_the_gradient_on_cpu_has_no_zeros_inserted_and_on_others_is_xlas():
  layer, theirs, x, kernel = make_layer(LR_LAYER)
  dy = theirs(x, kernel)

  def lowered(function, platform):
    program = jax.jit(functools.partial(gradients, function))
    exported = export.export(program, platforms=[platform])(x, kernel, dy)
    return exported.mlir_module()

  assert count_strided(lowered(theirs, "cpu")) == 2
  assert count_strided(lowered(layer, "cpu")) == 0
  for platform in ("cuda", "tpu"):
    assert count_strided(lowered(layer, platform)) == 2


def test_rules_take_the_form_that_was_measured_faster():
  """Some rows of benchmarks/conv_transpose.py, whose ratios are far from 1."""

  def choice(x, kernel, strides):
    sizes = kernel[:-2]
    layer = module.Layer(
      strides, module._zeros("SAME", sizes, strides, False), (1,) * len(sizes), None, None
    )
    return module.lr_form_is_faster(x, kernel, layer), module.lr_gradient_is_faster(
      x, kernel, layer
    )

  assert choice((16, 4, 4, 512), (4, 4, 512, 256), (2, 2)) == (False, True)  # DCGAN
  assert choice((1, 64, 64, 128), (2, 2, 128, 64), (2, 2)) == (False, True)  # U-Net
  assert choice((1, 32, 32, 21), (16, 16, 21, 21), (8, 8)) == (True, True)  # FCN
  assert choice((1, 16, 1024), (25, 1024, 512), (4,)) == (True, True)  # WaveGAN
  assert choice((1, 16, 16, 16, 32), (2, 2, 2, 32, 16), (2, 2, 2)) == (True, True)  # V-Net
  assert choice((1, 64, 64, 32), (3, 3, 32, 32), (1, 1)) == (False, False)  # no stride
  assert choice((2, 32, 32, 32), (1, 1, 32, 32), (2, 2)) == (False, False)  # mostly zeros


X, KERNEL = jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 3, 2))
BAD = {
  "rank": ((X[0], KERNEL, (2, 2), "SAME"), "must both have 1 to 3 spatial axes, and as many"),
  "no axes": ((X[0, 0], KERNEL[0, 0], (), "SAME"), "must both have 1 to 3 spatial axes"),
  "channels": ((X, KERNEL[:, :, :2], (2, 2), "SAME"), "takes 2 input channels, x has 3"),
  "strides": ((X, KERNEL, (2,), "SAME"), r"strides must be 2 whole numbers .* not \(2,\)"),
  "zero": ((X, KERNEL, (2, 0), "SAME"), r"strides must be 2 whole numbers .* not \(2, 0\)"),
  "one number": ((X, KERNEL, 2, "SAME"), "strides must be 2 whole numbers .* not 2"),
  "dilation": ((X, KERNEL, (2, 2), "SAME", (1,)), r"rhs_dilation must be 2 .* not \(1,\)"),
  "name": ((X, KERNEL, (2, 2), "CIRCULAR"), "'SAME', 'VALID' or 2 pairs, not 'CIRCULAR'"),
  "pairs": ((X, KERNEL, (2, 2), ((1, 1),)), r"2 pairs of whole numbers, .* not \(\(1, 1\),\)"),
  "numbers": ((X, KERNEL, (2, 2), (1, 1)), r"2 pairs of whole numbers, .* not \(1, 1\)"),
  "fraction": ((X, KERNEL, (2, 2), ((0.5, 1),) * 2), "2 pairs of whole numbers, .* not .*0.5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(monkeypatch, case):
  # As outside pytest, where nothing checks the annotations.
  monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
  arguments, message = BAD[case]
  with pytest.raises(ValueError, match=message):
    conv_transpose(*arguments)


def test_the_ambient_precision_of_convolutions_changes_nothing():
  x = jax.random.normal(jax.random.key(0), (1, 6, 6, 6, 8))
  kernel = jax.random.normal(jax.random.key(1), (2, 2, 2, 8, 4))
  with computing(Computation("canonical", "bfloat16")):
    inside = conv_transpose(x, kernel, (2, 2, 2), "SAME")
  np.testing.assert_array_equal(inside, conv_transpose(x, kernel, (2, 2, 2), "SAME"))
  expected = lax.conv_transpose(x, kernel, (2, 2, 2), "SAME", precision="highest")
  np.testing.assert_allclose(inside, expected, rtol=1e-5, atol=1e-5)


def test_a_symbolic_batch_can_be_exported():
  (batch,) = export.symbolic_shape("b")
  x = jax.ShapeDtypeStruct((batch, 8, 8, 4), np.float32)
  kernel = jax.ShapeDtypeStruct((4, 4, 4, 8), np.float32)
  exported = export.export(jax.jit(lambda x, k: conv_transpose(x, k, (2, 2), "SAME")))(x, kernel)
  assert exported.out_avals[0].shape[1:] == (16, 16, 8)
