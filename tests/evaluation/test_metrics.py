import math

import numpy as np
import pytest

from sr_jax.data.images import make_photo, read_luminance
from sr_jax.evaluation.metrics import mse, shave, ssim, to_db
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


def test_shaving_takes_the_border_off():
  np.testing.assert_array_equal(shave(NOISE, 3), NOISE[3:-3, 3:-3])


@pytest.mark.parametrize(
  ("name", "scale", "db", "similarity"),
  [
    ("Set5", 2, 33.66, 0.9299),
    ("Set5", 3, 30.39, 0.8682),
    ("Set5", 4, 28.42, 0.8104),
    ("Set14", 2, 30.23, 0.8687),
    ("Set14", 3, 27.54, 0.7736),
    ("Set14", 4, 26.00, 0.7019),
  ],
)
def test_bicubic_reaches_the_published_numbers(shared_data, name, scale, db, similarity):
  photos = [
    make_photo(path.stem, read_luminance(path), scale)
    for path in sorted((shared_data / name).iterdir())
  ]
  scores = score_bicubic(photos, scale)
  assert np.mean(scores["psnr"]) == pytest.approx(db, abs=0.01)
  assert np.mean(scores["ssim"]) == pytest.approx(similarity, abs=1e-4)
