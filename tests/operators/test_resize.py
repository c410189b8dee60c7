import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sr_jax.operators.resize import downscale, imresize, upscale_bicubic, upscale_taps


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reproduces_matlab_bit_for_bit(shared_data, scale):
  for path in sorted((shared_data / "Set5").glob("*.png")):
    rgb = np.asarray(Image.open(path).convert("RGB"))
    height, width = (side - side % scale for side in rgb.shape[:2])
    matlab = np.asarray(Image.open(shared_data / "Set5_matlab_lr" / f"x{scale}" / path.name))
    ours = imresize(rgb[:height, :width], 1 / scale, border="clamp")
    np.testing.assert_array_equal(ours, matlab, err_msg=path.name)


def test_shrinking_by_two_uses_the_widened_kernel():
  # Pixel 15 lies 2.5, 0.5, -1.5 and -3.5 pixels from the outputs 6 to 9: cubic(distance / 2) / 2.
  impulse = np.zeros((32, 8))
  impulse[15] = 1
  shrunk = imresize(impulse, 0.5)[:, 0]
  np.testing.assert_allclose(shrunk[6:10], np.array([-9, 111, 29, -3]) / 256, atol=1e-15)


def test_matches_the_taps_of_the_note_at_scale_two():
  np.testing.assert_allclose(
    upscale_taps(2)[:, 0], [-0.0234375, 0.2265625, 0.8671875, -0.0703125, 0.0], atol=1e-15
  )
  np.testing.assert_allclose(upscale_taps(2)[:, 1], upscale_taps(2)[::-1, 0], atol=1e-15)


@pytest.mark.parametrize(("border", "edge"), [("mirror", 1.09375), ("clamp", 1.0703125)])
def test_the_border_rules_differ_by_the_second_pixel_beyond(border, edge):
  # Taps of the first output: -0.0234375, 0.2265625, 0.8671875, -0.0703125, on pixels -2 to 1.
  # Pixel -1 is pixel 0 by both rules; pixel -2 is pixel 1 in the mirror, pixel 0 when clamped.
  impulse = np.zeros((8, 4))
  impulse[0] = 1
  np.testing.assert_allclose(imresize(impulse, 2, border)[0], edge, atol=1e-15)


def test_uint8_is_rounded_and_clipped_between_the_passes_and_floats_are_not():
  # One line (0, a), mirrored: (-0.09375, 0.203125, 0.796875, 1.09375) a; rows first.
  image = np.array([[0, 0], [0, 100]], np.uint8)
  line = np.array([-0.09375, 0.203125, 0.796875, 1.09375])
  np.testing.assert_allclose(imresize(image / 1.0, 2), 100 * np.outer(line, line), atol=1e-12)
  between = np.array([0, 20, 80, 109])  # of -9.375, 20.3125, 79.6875, 109.375
  once = np.array([[0, 0, 0, 0], [0, 4, 16, 22], [0, 16, 64, 88], [0, 22, 87, 119]])
  np.testing.assert_array_equal(once, np.outer(between, line).clip(0).round())
  np.testing.assert_array_equal(imresize(image, 2), once)  # the corner's float rounds to 120


@pytest.mark.parametrize("factor", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
@pytest.mark.parametrize("border", ["mirror", "clamp"])
def test_keeps_constants_and_mirrors_with_the_image(factor, border):
  rng = np.random.default_rng(0)
  np.testing.assert_allclose(imresize(np.full((24, 12), 0.3), factor, border), 0.3, atol=1e-14)
  x = rng.random((24, 12))
  turned = imresize(x[::-1].T, factor, border)
  np.testing.assert_allclose(turned, imresize(x, factor, border)[::-1].T, atol=1e-14)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_network_form_equals_imresize_to_the_border(scale):
  x = np.random.default_rng(0).random((7, 5))
  with jax.enable_x64():
    ours = upscale_bicubic(jnp.asarray(x)[None, :, :, None], scale)[0, :, :, 0]
    np.testing.assert_allclose(ours, imresize(x, scale), atol=1e-14)


@pytest.mark.parametrize("factor", [1 / 3, 2, 3])
@pytest.mark.parametrize("shape", [(24, 30), (1, 30, 2), (24, 1, 0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_part_is_what_the_whole_has_there_to_the_bit(factor, shape, dtype):
  image = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
  whole = imresize(image, factor)
  for begin, end in ((0, 1), (0, 8), (3, 5), (7, 8)):
    part = tuple(slice(min(begin, n - 1), min(end, n)) for n in whole.shape[:2])
    found = imresize(image, factor, part=part)
    np.testing.assert_array_equal(found, whole[part])
    assert found.dtype == whole.dtype


@pytest.mark.parametrize("scale", [2, 3])
def test_downscale_resizes_every_axis_as_imresize_resizes_two(scale):
  volume = np.random.default_rng(0).random((12, 18, 7)).astype(np.float32)
  planes = imresize(volume, 1 / scale)  # whose third axis is of channels and stays
  np.testing.assert_array_equal(downscale(volume[:, :, 0], scale), planes[:, :, 0])
  lines = planes.reshape(-1, 7)
  small = downscale(volume, scale)
  assert small.shape == (12 // scale, 18 // scale, -(-7 // scale))
  for line, expected in zip(lines, small.reshape(len(lines), -1), strict=True):
    np.testing.assert_array_equal(downscale(line, scale), expected)
  # A line is an image of equal rows.
  rows = imresize(np.tile(lines[0], (2 * scale, 1)), 1 / scale)
  np.testing.assert_allclose(downscale(lines[0], scale), rows[0], atol=1e-14)
