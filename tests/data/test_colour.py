import numpy as np

from sr_jax.data.colour import from_ycbcr, luminance, to_ycbcr

RNG = np.random.default_rng(0)


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


def test_ycbcr_of_known_colours():
  # MATLAB's rgb2ycbcr of black, white, red, green and blue
  colours = np.array([[0, 0, 0], [255] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
  expected = [[16, 128, 128], [235, 128, 128], [81, 90, 240], [145, 54, 34], [41, 240, 110]]
  np.testing.assert_array_equal(to_ycbcr(colours[None])[0].round(), expected)


def test_ycbcr_there_and_back():
  rgb = RNG.integers(0, 256, (40, 50, 3), np.uint8)
  np.testing.assert_allclose(from_ycbcr(to_ycbcr(rgb)), rgb, rtol=0, atol=1e-10)
