import numpy as np

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import read_luminance
from sr_jax.operators.resize import imresize
from sr_jax.tasks.autoencoding import Autoencoding

TASK = Autoencoding()
PHOTO = read_luminance(SAMPLE_PHOTOS / "wine.webp")[:64, :80]
PAIR = TASK.pair("wine", PHOTO)


def test_a_photograph_is_its_own_target():
  np.testing.assert_array_equal(PAIR.input, PHOTO)
  np.testing.assert_array_equal(PAIR.target, PHOTO)


def test_no_network_is_the_photograph_shrunk_and_interpolated():
  output = TASK.without_network(PAIR)[..., 0]
  np.testing.assert_allclose(output, imresize(imresize(PHOTO / 255, 1 / 8), 8), atol=1e-12)
