import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import read_luminance
from sr_jax.tasks import deblocking
from sr_jax.tasks.deblocking import Deblocking, jpeg

PHOTO = read_luminance(SAMPLE_PHOTOS / "wine.webp")[:124, :100]


def jumps(image):
  """The mean step from a column to the next, by the place of the next in its block."""
  steps = np.abs(np.diff(image.astype(float), axis=1)).mean(axis=0)
  return np.array([steps[(place - 1) % 8 :: 8].mean() for place in range(8)])


def test_blocks_begin_at_multiples_of_eight():
  pair = Deblocking(scale=2).pair("wine", PHOTO)
  assert pair.input.shape == (120, 96)
  assert jumps(pair.input).argmax() == 0
  assert jumps(pair.input)[0] > 1.3 * np.median(jumps(pair.input))
  assert jumps(pair.target)[0] < 1.3 * np.median(jumps(pair.target))
  # A block depends on its own pixels alone.
  np.testing.assert_array_equal(pair.input[16:24, 40:48], jpeg(pair.target[16:24, 40:48]))


def test_a_mirrored_pair_is_one_again_and_a_transposed_one_is_not():
  photo = np.ascontiguousarray(PHOTO[:120, :96])
  mirrored, transposed = jpeg(photo[:, ::-1].copy())[:, ::-1], jpeg(photo.T.copy()).T
  assert np.abs(jpeg(photo).astype(float) - mirrored).mean() < 0.1
  assert np.abs(jpeg(photo).astype(float) - transposed).mean() > 0.5
  assert not Deblocking.has_symmetries


def test_another_quality_is_another_digest(monkeypatch):
  before = Deblocking().pair("wine", PHOTO)
  monkeypatch.setattr(deblocking, "QUALITY", 11)
  assert Deblocking().pair("wine", PHOTO).digest != before.digest


def test_no_network_scores_the_jpeg():
  task = Deblocking()
  pair = task.pair("wine", PHOTO)
  mse = np.mean((pair.input.astype(float) - pair.target) ** 2)
  psnr = task.score(task.without_network(pair), pair)["psnr"]
  np.testing.assert_allclose(psnr, 10 * np.log10(255**2 / mse))
  assert 25 < psnr < 33  # of quality 10


def test_a_scale_that_does_not_divide_the_blocks_is_refused():
  with pytest.raises(InputError, match="its scale divides 8, and is not 3"):
    Deblocking(scale=3)
