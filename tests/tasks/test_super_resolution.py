import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.operators.resize import imresize
from sr_jax.tasks.super_resolution import SuperResolution, interpolate

RNG = np.random.default_rng(0)
SHAPES = {1: (50,), 2: (26, 31), 3: (9, 12, 10)}


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_signals_images_and_volumes(dims):
  task = SuperResolution(scale=3, dims=dims)
  values = RNG.random(SHAPES[dims], np.float32)
  pair = task.pair("noise", values)
  sides = tuple(side - side % 3 for side in values.shape)
  np.testing.assert_array_equal(pair.target, values[tuple(map(slice, sides))])
  assert pair.input.shape == tuple(side // 3 for side in sides)
  output = task.without_network(pair)
  assert output.shape == (*sides, 1)
  mse = np.mean((output[..., 0] - pair.target) ** 2)
  np.testing.assert_allclose(task.score(output, pair)["psnr"], -10 * np.log10(mse))
  assert task.layout.dims == dims
  assert (task.picture(pair.target) is None) == (task.input_picture(pair) is None) == (dims == 1)


def test_an_image_is_resized_as_by_matlab():
  pixels = RNG.integers(0, 256, (24, 30), np.uint8)
  task = SuperResolution(scale=2)
  pair = task.pair("noise", pixels)
  np.testing.assert_allclose(pair.input, imresize(pixels / 255, 1 / 2), rtol=1e-6, atol=1e-7)
  expected = imresize(pair.input.astype(float), 2)
  np.testing.assert_allclose(task.without_network(pair)[..., 0], expected, atol=1e-12)
  assert task.score(task.values(pixels), pair)["psnr"] == 100


def test_interpolation_goes_axis_by_axis():
  axes = [RNG.random(5), RNG.random(2), RNG.random(1)]
  volume = np.einsum("i,j,k->ijk", *axes)
  expected = np.einsum("i,j,k->ijk", *(interpolate(axis, 4) for axis in axes))
  np.testing.assert_allclose(interpolate(volume, 4), expected, atol=1e-12)
  columns = imresize(axes[0][:, None].repeat(2, axis=1), 4)
  np.testing.assert_allclose(interpolate(axes[0], 4), columns[:, 0], atol=1e-12)


def test_a_volume_is_shown_by_its_middle_slice():
  task = SuperResolution(scale=2, dims=3)
  volume = np.zeros((6, 4, 8), np.float32)
  volume[:, 2] = 1  # the second axis is the shortest
  assert (task.picture(volume) == 255).all()
  picture = task.input_picture(task.pair("slice", volume))
  assert picture.shape == (6, 8)
  np.testing.assert_array_equal(picture[::2, ::2], picture[1::2, 1::2])


def test_what_is_not_an_array_of_finite_numbers_of_its_axes_is_refused():
  task = SuperResolution(scale=2, dims=1, middle=0.0)
  assert task.fields == {"mid_input": 0.0, "mid_output": 0.0}
  with pytest.raises(InputError, match=r"stereo has 2 axes \(9, 2\), and must have 1"):
    task.pair("stereo", np.zeros((9, 2), np.float32))
  with pytest.raises(InputError, match="torn has values that are not finite"):
    task.pair("torn", np.array([0, np.nan, 1], np.float32))
  with pytest.raises(InputError, match="short is 1 in size, and super_resolution needs at least 2"):
    task.pair("short", np.zeros(1, np.float32))
