import numpy as np
import pytest

from sr_jax.operators.colour import luminance, upscale_rgb
from sr_jax.operators.resize import imresize

RNG = np.random.default_rng(0)


def bicubic(y):
  return imresize(y, 2)


def test_luminance_of_known_colours():
  # MATLAB's rgb2ycbcr of black, white, red, green and blue; 64.738 for 65.738 makes red 80
  colours = np.array([[0, 0, 0], [255] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
  np.testing.assert_array_equal(luminance(colours[None])[0], [16, 235, 81, 145, 41])


def test_luminance_is_the_formula_in_whole_numbers():
  rgb = RNG.integers(0, 256, (200, 200, 3), np.uint8)
  thousandths = rgb.astype(np.int64) @ np.array([65481, 128553, 24966]) + 16 * 255_000
  np.testing.assert_array_equal(luminance(rgb), (thousandths + 127_500) // 255_000)


def test_gray_is_its_own_luminance():
  gray = RNG.integers(0, 256, (4, 5), np.uint8)
  np.testing.assert_array_equal(luminance(gray), gray)


def test_colour_enlarged_with_bicubic_luminance_is_bicubic_rgb():
  rgb = RNG.integers(0, 256, (7, 9, 3), np.uint8)
  expected = imresize(rgb.astype(np.float64), 2).clip(0, 255)
  assert np.abs(upscale_rgb(rgb, 2, bicubic) - expected).max() < 0.5 + 1e-4  # Y passes in float32


def test_the_luminance_asked_for_comes_back_from_the_colour_image():
  rgb = RNG.integers(90, 160, (6, 8, 3), np.uint8)  # far enough from 0 and 255 to stay within
  seen = []

  def nearest(y):
    seen.append(y)
    return y.repeat(2, axis=0).repeat(2, axis=1)

  upscaled = upscale_rgb(rgb, 2, nearest)
  assert upscaled.shape == (12, 16, 3)
  np.testing.assert_allclose(seen[0] * 255, luminance(rgb), atol=0.5 + 1e-4)
  # RGB is rounded to whole levels, by which Y moves half a level at most, and Y is rounded again
  assert np.abs(luminance(upscaled).astype(int) - nearest(seen[0]) * 255).max() <= 1


def test_gray_stays_gray_and_a_flat_colour_stays_what_it_is():
  gray = RNG.integers(0, 256, (6, 6, 1), np.uint8).repeat(3, axis=2)
  upscaled = upscale_rgb(gray, 2, bicubic)
  np.testing.assert_array_equal(upscaled, upscaled[:, :, :1].repeat(3, axis=2))
  flat = np.broadcast_to(np.array([250, 3, 120], np.uint8), (6, 6, 3))
  np.testing.assert_array_equal(
    upscale_rgb(flat, 2, bicubic), np.broadcast_to(flat[:1, :1], (12, 12, 3))
  )


@pytest.mark.parametrize("level", [-3.0, 3.0])
def test_what_lies_beyond_the_colours_is_clipped(level):
  rgb = np.full((4, 4, 3), 128, np.uint8)
  upscaled = upscale_rgb(rgb, 2, lambda y: np.full((8, 8), level, np.float32))
  assert (upscaled == (0 if level < 0 else 255)).all()
