import numpy as np
from scipy.fft import dctn

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import read_luminance
from sr_jax.tasks.autoencoding import Autoencoding, zigzag

TASK = Autoencoding()
PHOTO = read_luminance(SAMPLE_PHOTOS / "wine.webp")[:64, :80]
PAIR = TASK.pair("wine", PHOTO)


def test_zigzag_is_jpegs():
  expected = [[0, 1, 5, 6], [2, 4, 7, 12], [3, 8, 11, 13], [9, 10, 14, 15]]
  np.testing.assert_array_equal(zigzag(4), expected)
  np.testing.assert_array_equal(zigzag(8)[0], [0, 1, 5, 6, 14, 15, 27, 28])
  np.testing.assert_array_equal(zigzag(8)[:, 0], [0, 2, 3, 9, 10, 20, 21, 35])


def test_no_network_keeps_eight_values_of_each_block():
  output = TASK.without_network(PAIR)[..., 0]
  first = zigzag(8) < 8
  assert first.sum() == TASK.bottleneck.lr
  for row, column in np.ndindex(8, 10):
    block = slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
    coefficients = dctn(output[block])
    np.testing.assert_allclose(coefficients[~first], 0, atol=1e-12)
    np.testing.assert_allclose(coefficients[first], dctn(PHOTO[block] / 255)[first], atol=1e-12)


def test_no_network_is_better_than_means_of_blocks():
  means = PHOTO.reshape(8, 8, 10, 8).mean(axis=(1, 3)).repeat(8, axis=0).repeat(8, axis=1) / 255
  score = TASK.score(TASK.without_network(PAIR), PAIR)["psnr"]
  assert score > TASK.score(means[..., None], PAIR)["psnr"] + 2
