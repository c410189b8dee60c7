import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from sr_jax.operators import native_conv
from sr_jax.operators.conv import Computation, conv
from sr_jax.operators.native.library import UnavailableError

try:
  native_conv.register()
except UnavailableError as error:
  pytest.skip(f"no native convolution: {error}", allow_module_level=True)

NATIVE = Computation("native")
SAME = ((1, 1), (1, 1))


def exact(x, kernel, padding, bias, relu):
  """XLA's convolution of float64."""
  space = "DHW"[-len(padding) :]
  dimensions = (f"N{space}C", f"{space}IO", f"N{space}C")
  y = lax.conv_general_dilated(
    x, kernel, (1,) * len(padding), padding, dimension_numbers=dimensions
  )
  if bias is not None:
    y = y + bias.reshape((1,) * len(padding) + (1, -1))
  return jax.nn.relu(y) if relu else y


def native(x, kernel, padding, bias, relu):
  return conv(x, kernel, padding, NATIVE, bias=bias, relu=relu)


def normal(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


@st.composite
def layers(draw):
  """Shapes of x and kernel, padding, whether there are a bias and a ReLU."""
  axes = draw(st.integers(1, 3))
  most = (40, 14, 7)[axes - 1]
  space, window, padding = [], [], []
  for _ in range(axes):
    size, taps = draw(st.integers(1, most)), draw(st.integers(1, 7))
    low, high = draw(st.integers(-2, taps + 1)), draw(st.integers(-2, taps + 1))
    if min(low, 0) + min(high, 0) + size < 1 or size + low + high < taps:
      low, high = taps - 1, 0
    space, window, padding = [*space, size], [*window, taps], [*padding, (low, high)]
  channels = st.sampled_from((1, 2, 3, 4, 5, 8, 9, 11, 12, 16, 17, 31, 32, 33, 48))
  batch, inputs, outputs = draw(st.integers(0, 3)), draw(channels), draw(channels)
  shapes = (batch, *space, inputs), (*window, inputs, outputs)
  return *shapes, tuple(padding), draw(st.booleans()), draw(st.booleans())


@settings(max_examples=15, deadline=None)
@given(layers(), st.integers(0, 2**32 - 1))
def test_values_and_gradients_are_those_of_xla_to_rounding(layer, seed):
  x_shape, kernel_shape, padding, has_bias, relu = layer
  x, kernel = normal(seed, *x_shape), normal(seed + 1, *kernel_shape)
  bias = normal(seed + 2, kernel_shape[-1]) if has_bias else None
  y, pull = jax.vjp(lambda *of: native(*of[:2], padding, of[2], relu), x, kernel, bias)
  dy = normal(seed + 3, *y.shape)
  with jax.enable_x64():
    arguments = [a if a is None else jnp.asarray(a, jnp.float64) for a in (x, kernel, bias)]
    expected, exact_pull = jax.vjp(lambda *of: exact(*of[:2], padding, of[2], relu), *arguments)
    # Where y is about zero, float32 and float64 may take different sides of the ReLU.
    dy = np.where(np.abs(expected) < 1e-4, 0, dy) if relu else dy
    theirs = exact_pull(jnp.asarray(dy, jnp.float64))
  ours = pull(jnp.asarray(dy, jnp.float32))
  assert y.dtype == jnp.float32
  for result, correct in zip(
    jax.tree.leaves((y, ours)), jax.tree.leaves((expected, theirs)), strict=True
  ):
    scale = np.abs(correct).max(initial=1.0)
    np.testing.assert_allclose(result, correct, atol=1e-5 * scale, rtol=0)


X, KERNEL, BIAS = normal(0, 2, 6, 5, 3), normal(1, 3, 3, 3, 4), normal(2, 4)


def loss_of(function):
  return lambda x, kernel, bias: (function(x, kernel, SAME, bias, True) ** 2).sum()


def assert_same(ours, theirs, tolerance=2e-4):
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("arguments", [0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_any_of_the_gradients(arguments):
  ours, theirs = (jax.grad(loss_of(f), arguments)(X, KERNEL, BIAS) for f in (native, exact))
  assert_same(ours, theirs)


def test_forward_mode_and_second_derivatives_fall_back():
  tangents = normal(3, *X.shape), normal(4, *KERNEL.shape), normal(5, *BIAS.shape)
  primals = X, KERNEL, BIAS
  assert_same(*(jax.jvp(loss_of(f), primals, tangents) for f in (native, exact)))
  assert_same(*(jax.jacfwd(loss_of(f), 1)(*primals) for f in (native, exact)))
  assert_same(*(jax.hessian(loss_of(f), (0, 1, 2))(*primals) for f in (native, exact)), 1e-3)

  def penalty(function):
    gradient = jax.grad(loss_of(function), 1)
    return jax.grad(lambda kernel: (gradient(X, kernel, BIAS) ** 2).sum())(KERNEL)

  assert_same(*(penalty(f) / 1e3 for f in (native, exact)))


@pytest.mark.parametrize("axes", [(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0)])
def test_vmap_maps(axes):
  stacked = normal(6, 2, *X.shape), normal(7, 2, *KERNEL.shape), normal(8, 2, *BIAS.shape)
  fixed = X, KERNEL, BIAS
  arguments = [s if a == 0 else f for s, f, a in zip(stacked, fixed, axes, strict=True)]
  ours, theirs = (
    jax.vmap(jax.value_and_grad(loss_of(f), (0, 1, 2)), axes)(*arguments) for f in (native, exact)
  )
  assert_same(ours, theirs)


def test_loops_checkpoints_and_meshes():
  def descend(function):
    gradient = jax.grad(jax.checkpoint(loss_of(function)), 1)
    return jax.jit(lambda k: lax.fori_loop(0, 3, lambda _, k: k - 1e-4 * gradient(X, k, BIAS), k))

  assert_same(*(descend(f)(KERNEL) for f in (native, exact)))
  mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))

  def shard_gradient(x, kernel, bias):
    varying = lax.pcast((kernel, bias), "data", to="varying")
    return lax.psum(jax.grad(loss_of(native), (1, 2))(x, *varying), "data")

  sharded = jax.shard_map(
    shard_gradient, mesh=mesh, in_specs=(P("data"), P(), P()), out_specs=(P(), P())
  )
  expected = jax.grad(loss_of(exact), (1, 2))(X, KERNEL, BIAS)
  assert_same(jax.jit(sharded)(X, KERNEL, BIAS), expected)


@pytest.mark.parametrize("is_sharded", [(True, False), (False, True)])
def test_operands_that_vary_over_different_axes_of_a_mesh(is_sharded):
  mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
  x_spec, kernel_spec = (P("data") if sharded else P() for sharded in is_sharded)
  kernels = jnp.concatenate([KERNEL, 2 * KERNEL]) if is_sharded[1] else KERNEL

  def gradients(function):
    def local(x, kernel):
      return jax.grad(lambda *both: (function(*both, SAME, None, True) ** 2).sum(), (0, 1))(
        x, kernel
      )

    specs = (x_spec, kernel_spec)
    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=specs))(X, kernels)

  assert_same(gradients(native), gradients(exact))


def test_a_batch_in_parts_has_the_same_bits():
  whole = native(X, KERNEL, SAME, BIAS, True)
  parts = [native(X[i : i + 1], KERNEL, SAME, BIAS, True) for i in range(len(X))]
  np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_what_is_not_finite_stays_within_its_windows():
  x = X.at[0, 2, 2, 1].set(np.nan).at[1, 0, 0, 0].set(np.inf).at[1, 5, 4, 0].set(-np.inf)
  for bias, relu in ((BIAS, True), (None, False)):
    ours, theirs = (f(x, KERNEL, SAME, bias, relu) for f in (native, exact))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_array_equal(np.isinf(ours), np.isinf(theirs))
    finite = np.isfinite(theirs)
    np.testing.assert_allclose(ours[finite], theirs[finite], rtol=1e-5, atol=1e-5)


def test_no_convolution_of_xla_is_left_in_training():
  step = jax.jit(jax.value_and_grad(loss_of(native), (1, 2)))
  text = step.lower(X, KERNEL, BIAS).as_text()
  assert "stablehlo.convolution" not in text
  assert text.count("sr_jax_conv_gradient") == text.count('"sr_jax_conv"') == 1 or (
    text.count("@sr_jax_conv(") == text.count("@sr_jax_conv_gradient(") == 1
  )


@pytest.mark.parametrize(
  ("dtype", "precision"), [(jnp.bfloat16, "float32"), (jnp.float32, "bfloat16")]
)
def test_what_is_not_float32_is_computed_by_xla(dtype, precision):
  x, kernel = jnp.asarray(X, dtype), jnp.asarray(KERNEL, dtype)
  results = [conv(x, kernel, SAME, Computation(f, precision)) for f in ("native", "canonical")]
  np.testing.assert_array_equal(*results)


def test_a_bias_of_another_length_is_refused():
  with pytest.raises(ValueError, match=r"needs a bias \(4,\), not \(3,\)"):
    conv(X, KERNEL, SAME, NATIVE, bias=jnp.zeros(3))
