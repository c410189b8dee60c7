"""The readers of layers against Flax, PyTorch's own outputs, and the nodes that ONNX ships."""

import itertools
import math
import pathlib
import warnings

import jax
import jaxtyping
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from sr_jax.operators.conv import conv
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.frameworks import (
  channel_to_phase_major,
  flax_to_deconv,
  onnx_to_deconv,
  phase_to_channel_major,
  torch_to_deconv,
)
from sr_jax.operators.shuffle import depth_to_space
from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv

compiled = jax.jit(sub_pixel_conv, static_argnums=(2, 3))
bounded = settings(deadline=None, derandomize=True, database=None, max_examples=25)


def test_same_is_aligned_for_every_other_multiple_of_the_scale():
  """Where a SAME deconvolution is an LR convolution without structural zeros."""
  for scale, expected in ((2, [2, 6, 10]), (3, [3, 9, 15]), (4, [4, 12, 20])):
    aligned = []
    for size in range(scale, 5 * scale + 1):
      _, ((low, high),) = flax_to_deconv(jnp.ones((size, 1, 1)), scale, "SAME")
      assert size - low - high == scale
      if size % scale == 0 and low % scale == 0:
        aligned.append(size)
    assert aligned == expected


FLAX = [
  (kernel_size, scale, padding)
  for kernel_size, scale in [((6, 6), 2), ((4, 5), 2), ((3, 4), 3), ((9, 7), 3), ((2, 1), 4)]
  for padding in ("SAME", "VALID", 2, ((0, 1), (2, 0)), ((-1, 2), (1, 3)))
] + [((5,), 2, "SAME"), ((3,), 2, [1]), ((3, 2, 4), 2, "SAME"), ((3, 2, 4), 2, "VALID")]


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_flax_conv_transpose(transpose_kernel):
  rng = np.random.default_rng(2)
  with jax.enable_x64():
    for kernel_size, scale, padding in FLAX:
      layer = nn.ConvTranspose(
        features=3,
        kernel_size=kernel_size,
        strides=(scale,) * len(kernel_size),
        padding=padding,
        transpose_kernel=transpose_kernel,
        use_bias=False,
        param_dtype=jnp.float64,
      )
      x = jnp.asarray(rng.normal(size=(1, *(4, 3, 3)[: len(kernel_size)], 2)))
      channels = (3, 2) if transpose_kernel else (2, 3)
      weights = jnp.asarray(rng.normal(size=(*kernel_size, *channels)))
      expected = layer.apply({"params": {"kernel": weights}}, x)
      kernel, crops = flax_to_deconv(weights, scale, padding, transpose_kernel=transpose_kernel)
      y = compiled(x, kernel, scale, crops)
      message = f"{kernel_size}, scale {scale}, {padding}"
      np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12, err_msg=message)


def torch_cases(kind):
  path = pathlib.Path(__file__).with_name("torch_reference.npz")
  with np.load(path) as arrays:
    names = [name for name in arrays.files if name.startswith(kind)]
    for name, group in itertools.groupby(names, key=lambda name: name.rpartition("/")[0]):
      fields = {key.rpartition("/")[2]: arrays[key] for key in group}
      x, weight, y = (fields[key].astype(np.float32) for key in ("x", "weight", "y"))
      yield name, np.moveaxis(x, 1, -1), weight, np.moveaxis(y, 1, -1), fields["settings"].tolist()


def test_torch_conv_transpose():
  """Equal, not close: all values are small whole numbers."""
  cases = list(torch_cases("transposed"))
  assert len(cases) == 13
  for name, x, weight, expected, (strides, padding, output_padding) in cases:
    outputs = weight.shape[1]
    kernel, crops = torch_to_deconv(
      weight, strides[0], padding, output_padding, out_channels=outputs
    )
    for layer in (compiled, transposed_conv):
      y = layer(jnp.asarray(x), kernel, strides[0], crops)
      np.testing.assert_array_equal(y, expected, err_msg=name)
    if len(set(padding)) == len(set(output_padding)) == 1:
      _, as_numbers = torch_to_deconv(
        weight, strides[0], padding[0], output_padding[0], out_channels=outputs
      )
      assert as_numbers == crops


def test_a_torch_weight_is_not_read_without_the_layers_channels():
  """(8, 1, 3) may be 8 -> 1 channels, or 8 groups of 1 -> 1: the weight alone does not tell."""
  weight = np.ones((8, 1, 3), np.float32)
  with pytest.raises(TypeError, match="out_channels"):
    torch_to_deconv(weight, 2, 1)
  assert torch_to_deconv(weight, 2, 1, out_channels=1)[0].shape == (3, 8, 1)


def test_a_grouped_torch_layer_is_a_layer_of_each_group():
  """By its definition, y[2 i + a, 2 group + o]."""
  weight = np.random.default_rng(0).integers(-4, 5, (4, 2, 3)).astype(np.float32)
  x = np.random.default_rng(1).integers(-4, 5, (1, 5, 4)).astype(np.float32)
  expected = np.zeros((1, 2 * 4 + 3, 4), np.float32)
  for i, a, group, channel, o in np.ndindex(5, 3, 2, 2, 2):
    tap = weight[2 * group + channel, o, a]
    expected[0, 2 * i + a, 2 * group + o] += tap * x[0, i, 2 * group + channel]
  kernel, crops = torch_to_deconv(weight, 2, out_channels=4)
  assert kernel.shape == (3, 4, 4)
  np.testing.assert_array_equal(compiled(jnp.asarray(x), kernel, 2, crops), expected)


@st.composite
def framework_layers(draw):
  """Axes, then for each of them samples, taps, scale, dilation, crop and output padding."""
  axes = draw(st.integers(1, 3))
  rows = []
  for _ in range(axes):
    samples, taps, scale = draw(st.integers(2, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation, crop = draw(st.integers(1, 2)), draw(st.integers(0, 1))
    rows.append((samples, taps, scale, dilation, crop, draw(st.integers(0, scale - 1))))
  return tuple(zip(*rows, strict=True)), draw(st.integers(1, 3))


def whole_numbers(*shape):
  return np.random.default_rng(math.prod(shape)).integers(-4, 5, shape).astype(np.float32)


@bounded
@given(framework_layers())
def test_strides_dilation_and_groups_of_torch(layer):
  torch = pytest.importorskip("torch")
  (space, sizes, scale, dilation, crop, extra), groups = layer
  x, weight = whole_numbers(2, 2 * groups, *space), whole_numbers(2 * groups, 3, *sizes)
  transposed = getattr(torch.nn.functional, f"conv_transpose{len(space)}d")
  arguments = [torch.from_numpy(x), torch.from_numpy(weight), None, scale, crop, extra]
  try:
    expected = transposed(*arguments, groups, dilation).numpy()
  except RuntimeError:  # PyTorch refuses most layers without an output
    return
  if 0 in expected.shape:
    return
  kernel, crops = torch_to_deconv(
    weight, scale, crop, extra, out_channels=3 * groups, dilation=dilation
  )
  y = transposed_conv(jnp.asarray(np.moveaxis(x, 1, -1)), kernel, scale, crops)
  np.testing.assert_array_equal(y, np.moveaxis(expected, 1, -1))


@bounded
@given(framework_layers(), st.sampled_from(["SAME", "VALID", "pairs"]), st.booleans())
def test_strides_and_dilation_of_flax(layer, padding, transpose_kernel):
  (space, sizes, scale, dilation, low, high), _ = layer
  flax_layer = nn.ConvTranspose(
    features=3,
    kernel_size=sizes,
    strides=scale,
    padding=tuple(zip(low, high, strict=True)) if padding == "pairs" else padding,
    kernel_dilation=dilation,
    transpose_kernel=transpose_kernel,
    use_bias=False,
  )
  x = jnp.asarray(whole_numbers(2, *space, 2))
  weights = whole_numbers(*sizes, *((3, 2) if transpose_kernel else (2, 3)))
  expected = flax_layer.apply({"params": {"kernel": jnp.asarray(weights)}}, x)
  if 0 in expected.shape:
    return
  kernel, crops = flax_to_deconv(
    weights, scale, flax_layer.padding, transpose_kernel=transpose_kernel, dilation=dilation
  )
  lr_kernel, lr_padding, _ = deconv_to_lr(kernel, scale, crops)
  y = depth_to_space(conv(x, lr_kernel, lr_padding), scale)
  y = y[tuple(slice(length) for length in expected.shape)]
  np.testing.assert_array_equal(y, expected)


def onnx_nodes():
  """The cases that ONNX ships for its ConvTranspose: name, attributes, inputs and output."""
  collect = pytest.importorskip("onnx.backend.test.case.node").collect_testcases
  with warnings.catch_warnings(action="ignore"):  # of the cases of other nodes
    cases = collect("ConvTranspose")
  for case in cases:
    (node,) = case.model.graph.node
    attributes = {a.name: onnx_value(a) for a in node.attribute}
    for (x, weight), (y,) in case.data_sets:
      yield case.name, attributes, x, weight, y


def onnx_value(attribute):
  return pytest.importorskip("onnx").helper.get_attribute_value(attribute)


def test_the_nodes_that_onnx_ships():
  names = []
  for name, attributes, x, weight, expected in onnx_nodes():
    kernel, scale, crops = onnx_to_deconv(weight, input_shape=x.shape[2:], **attributes)
    for layer in (compiled, transposed_conv):
      y = layer(jnp.asarray(np.moveaxis(x, 1, -1)), kernel, scale, crops)
      np.testing.assert_array_equal(y, np.moveaxis(expected, 1, -1), err_msg=name)
    names.append(name)
  assert len(names) >= 11
  assert {"test_convtranspose_1d", "test_convtranspose_group_2"} <= set(names)


def test_torch_pixel_shuffle():
  cases = list(torch_cases("shuffled"))
  assert len(cases) == 2
  for name, x, weight, expected, scale in cases:
    channel_major = weight.transpose(2, 3, 1, 0)
    lr_kernel = channel_to_phase_major(channel_major, scale**2)
    lr_padding = tuple((size // 2, size // 2) for size in lr_kernel.shape[:2])
    y = depth_to_space(conv(jnp.asarray(x), lr_kernel, lr_padding), scale)
    np.testing.assert_array_equal(y, expected, err_msg=name)
    # The whole way: PyTorch's pixel_shuffle network as a deconvolution.
    kernel, padding = lr_to_deconv(lr_kernel, scale, lr_padding, (0, 0))
    y = transposed_conv(jnp.asarray(x), kernel, scale, padding)
    np.testing.assert_array_equal(y, expected, err_msg=name)
    back = phase_to_channel_major(lr_kernel, scale**2)
    np.testing.assert_array_equal(back, channel_major)
    assert not np.array_equal(lr_kernel, channel_major)


def read_torch(weight, scale, padding=0, output_padding=0, out_channels=4):
  return torch_to_deconv(weight, scale, padding, output_padding, out_channels=out_channels)


def read_onnx(**attributes):
  return onnx_to_deconv(TORCH, **attributes)


KERNEL, LR = np.ones((3, 3, 2, 4), np.float32), np.ones((2, 2, 3, 8), np.float32)
TORCH = np.ones((2, 4, 3, 3), np.float32)
BAD = {
  "name": (flax_to_deconv, (KERNEL, 2, "CIRCULAR"), "'SAME', 'VALID' or numbers, not 'CIRCULAR'"),
  "flax_scale": (flax_to_deconv, (KERNEL, (2, 2, 2), "SAME"), "scale must be .* 2 of them"),
  "flax_rank": (flax_to_deconv, (KERNEL, 2, (1, 1, 1)), "needs padding of 2 pairs"),
  "torch_rank": (read_torch, (TORCH, 2, (1, 1, 1)), r"weight \(2, 4, 3, 3\) has 2 spatial"),
  "torch_2d": (read_torch, (TORCH[:, :, 0, 0], 2), r"weight must be \(in, out, \*kernel\)"),
  "torch_channels": (read_torch, (TORCH, 2, 1, 0, 3), r"has 4 .* out_channels is 3, which"),
  "torch_transposed": (read_torch, (TORCH, 2, 1, 0, 2), r"has 4 .* out_channels is 2, which"),
  "torch_no_channels": (read_torch, (TORCH, 2, 1, 0, 0), r"has 4 .* out_channels is 0, which"),
  "torch_groups": (read_torch, (TORCH, 2, 1, 0, 12), r"is 12, .* divisor of 2, the input"),
  "torch_output_padding": (read_torch, (TORCH, 2, 1, 2), r"output_padding \(2, 2\) .* stride, 2"),
  "torch_one_axis": (read_torch, (TORCH, 2, 1, (0, 3)), r"output_padding \(0, 3\) .* stride, 2"),
  "torch_stride_1": (read_torch, (TORCH, 1, 1, 1), r"output_padding \(1, 1\) .* stride, 1"),
  "torch_negative_output": (read_torch, (TORCH, 2, 1, -1), r"output_padding \(-1, -1\) .* stride"),
  "torch_negative": (read_torch, (TORCH, 2, (0, -1)), r"padding \(0, -1\) .* at least 0"),
  "torch_large": (read_torch, (TORCH, 2, 4), r"crops more than the kernel"),
  "torch_fraction": (read_torch, (TORCH, 2, 0.5), r"must be whole numbers, not 0.5"),
  "torch_stride": (
    read_torch,
    (TORCH, 0, 1),
    r"scale must be a whole number of at least 1, .* not 0",
  ),
  "torch_strides": (read_torch, (TORCH, (2, 0), 1), r"scale must be a whole number.*\(2, 0\)"),
  "onnx_group": (read_onnx, {"group": 3}, r"group must divide the 2 channels .* not 3"),
  "onnx_kernel": (read_onnx, {"kernel_shape": [3, 2]}, r"has not the kernel_shape \(3, 2\)"),
  "onnx_auto_pad": (read_onnx, {"auto_pad": "SAME"}, r"auto_pad must be .* not 'SAME'"),
  "onnx_strides": (read_onnx, {"strides": [2]}, r"strides must be .* not \[2\]"),
  "onnx_pads": (read_onnx, {"pads": [1, 1]}, r"pads must be 4 whole numbers, not \[1, 1\]"),
  "onnx_output_shape": (read_onnx, {"output_shape": [8, 8]}, "output_shape needs input_shape"),
  "order": (channel_to_phase_major, (LR, 3), r"x \(2, 2, 3, 8\): .* multiple of phases, 3"),
  "back": (phase_to_channel_major, (LR, 3), r"x \(2, 2, 3, 8\): .* multiple of phases, 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(monkeypatch, case):
  # As outside pytest, where nothing checks the annotations.
  monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
  function, arguments, message = BAD[case]
  with pytest.raises(ValueError, match=message):
    function(**arguments) if isinstance(arguments, dict) else function(*arguments)
