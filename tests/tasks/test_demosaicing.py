import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.tasks.demosaicing import Demosaicing

TASK = Demosaicing()
RGB = np.random.default_rng(0).integers(1, 256, (12, 16, 3), np.uint8)


def test_the_mosaic_has_each_colour_at_its_sites():
  mosaic = TASK.mosaic(TASK.pair("noise", RGB))
  for row, column in np.ndindex(12, 16):
    colour = "RGB".index(("RG", "GB")[row % 2][column % 2])
    expected = np.zeros(3)
    expected[colour] = RGB[row, column, colour] / 255
    np.testing.assert_array_equal(mosaic[row, column], expected)


def test_bilinear_interpolation_keeps_what_was_measured_and_averages_its_neighbours():
  pair = TASK.pair("noise", RGB)
  output, mosaic = TASK.without_network(pair), TASK.mosaic(pair)
  np.testing.assert_allclose(output[mosaic > 0], mosaic[mosaic > 0], atol=1e-15)
  np.testing.assert_allclose(output[3, 4, 0], RGB[[2, 4], 4, 0].mean() / 255)  # red at a green
  np.testing.assert_allclose(output[3, 5, 0], RGB[2:5:2, 4:7:2, 0].mean() / 255)  # red at a blue
  greens = RGB[[1, 3, 2, 2], [4, 4, 3, 5], 1]
  np.testing.assert_allclose(output[2, 4, 1], greens.mean() / 255)  # green at a red
  np.testing.assert_allclose(output[11, 15, 1], RGB[[10, 11], [15, 14], 1].mean() / 255)


def test_bilinear_interpolation_is_exact_of_planes_and_of_a_colour_up_to_the_border():
  row, column = np.indices((12, 16))
  plane = np.stack([row + column, 2 * row, 3 * column + 7], axis=2).astype(np.uint8)
  pair = TASK.pair("plane", plane)
  inner = TASK.error(TASK.without_network(pair), pair)[1:-1, 1:-1]
  np.testing.assert_allclose(inner, 0, atol=1e-15)
  flat = TASK.pair("flat", np.full((6, 4, 3), (10, 100, 200), np.uint8))
  np.testing.assert_allclose(TASK.error(TASK.without_network(flat), flat), 0, atol=1e-15)


def test_the_score_is_over_all_colours():
  pair = TASK.pair("noise", RGB)
  output = TASK.values(RGB)
  output[..., 2] += 0.3
  np.testing.assert_allclose(TASK.score(output, pair)["psnr"], -10 * np.log10(0.3**2 / 3))


def test_a_gray_photograph_is_refused():
  with pytest.raises(InputError, match="old is gray, and demosaicing learns from colour"):
    TASK.pair("old", RGB[..., 0])
