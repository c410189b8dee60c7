import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sr_jax.data.images import make_pair, read_luminance
from sr_jax.evaluation.metrics import mse, score_image, shave, ssim, to_db
from sr_jax.evaluation.scoring import score_bicubic

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)


def test_psnr_of_a_known_error():
  image = np.full((10, 10), 100, np.uint8)
  assert to_db(mse(image, image + 1)) == pytest.approx(20 * math.log10(255))
  assert to_db(mse(image, image - 5)) == pytest.approx(20 * math.log10(51))
  assert to_db(mse(image, image)) == 100
  assert math.isnan(to_db(math.nan))


def test_ssim_equals_its_definition_window_by_window():
  other = np.clip(NOISE.astype(int) + 20, 0, 255).astype(np.uint8)
  at = np.arange(-5, 6)
  window = np.exp(-np.add.outer(at**2, at**2) / (2 * 1.5**2))
  window /= window.sum()
  values = []
  for row in range(30):
    for column in range(20):
      x, y = (i[row : row + 11, column : column + 11].astype(float) for i in (NOISE, other))
      mean_x, mean_y = (window * x).sum(), (window * y).sum()
      var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
      both = (window * (x - mean_x) * (y - mean_y)).sum()
      c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
      values.append(
        (2 * mean_x * mean_y + c1)
        * (2 * both + c2)
        / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
      )
  assert ssim(NOISE, other) == pytest.approx(np.mean(values), abs=1e-12)
  assert ssim(NOISE, NOISE) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("error", [1, 9, 60])
def test_agrees_with_scikit_image(error):
  # Where definitions coincide: biased variances, and the mean over windows within the image.
  noise = np.random.default_rng(1).integers(-error, error + 1, NOISE.shape)
  other = np.clip(NOISE + noise, 0, 255).astype(np.uint8)
  theirs = structural_similarity(
    NOISE, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
  )
  assert ssim(NOISE, other) == pytest.approx(theirs, abs=1e-12)
  db = peak_signal_noise_ratio(NOISE, other, data_range=255)
  assert to_db(mse(NOISE, other)) == pytest.approx(db, abs=1e-12)


def test_shaving_takes_the_border_off():
  np.testing.assert_array_equal(shave(NOISE, 3), NOISE[3:-3, 3:-3])


def test_as_many_pixels_are_shaved_as_the_scale():
  for border, wrong in ((3, False), (4, True)):
    image = NOISE ^ 128
    image[border:-border, border:-border] = NOISE[border:-border, border:-border]
    db, similarity = score_image(image, NOISE, 3)
    assert (db < 20) is wrong
    assert (similarity < 1 - 1e-6) is wrong


@pytest.mark.parametrize(
  ("name", "scale", "db", "similarity"),
  [
    ("Set5", 2, 33.66, 0.9299),
    ("Set5", 3, 30.39, 0.8682),
    ("Set5", 4, 28.42, 0.8104),
    ("Set14", 2, 30.23, 0.8687),
    ("Set14", 3, 27.54, 0.7736),
    ("Set14", 4, 26.00, 0.7019),
    ("BSD100", 2, 29.56, 0.8431),
    ("BSD100", 3, 27.21, 0.7384),
    ("BSD100", 4, 25.96, 0.6674),
  ],
)
def test_bicubic_reaches_the_published_numbers(shared_data, name, scale, db, similarity):
  photos = [
    make_pair(path.stem, read_luminance(path), scale)
    for path in sorted((shared_data / name).iterdir())
  ]
  scores = score_bicubic(photos, scale)
  assert np.mean(scores["psnr"]) == pytest.approx(db, abs=0.01)
  assert np.mean(scores["ssim"]) == pytest.approx(similarity, abs=1e-4)
