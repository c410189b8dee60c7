import numpy as np
import pytest

from sr_jax.config import Execution
from sr_jax.data import sources
from sr_jax.data.images import make_pair
from sr_jax.data.pairs import Pair
from sr_jax.evaluation.linear import LinearModel, mean_psnr
from sr_jax.operators.resize import imresize

RNG = np.random.default_rng(0)

# Mean PSNR on T91 (results as they are), Set5 and Set14 (rounded to 8 bits).
REFERENCE = {
  ("lr", 3): (32.892, 34.342, 30.837),
  ("lr", 5): (33.427, 35.036, 31.297),
  ("hr", 5): (32.996, 34.482, 30.916),
  ("hr", 6): (33.144, 34.662, 31.049),
}


def test_the_reference_comes_out(shared_data, tmp_path):
  execution = Execution(manual_dir=str(shared_data), data_dir=str(tmp_path))
  photos = sources.load("tfds:T91", 2, 17, "held_out", ("Set5", "Set14"), execution)
  train = [*photos.train, *photos.validation]
  assert len(train) == 91
  for (grid, size), expected in REFERENCE.items():
    model = LinearModel(grid, size, 2)
    model.fit(train)
    psnr = (
      mean_psnr(model, train, rounded=False),
      mean_psnr(model, photos.tests["Set5"], rounded=True),
      mean_psnr(model, photos.tests["Set14"], rounded=True),
    )
    assert psnr == pytest.approx(expected, abs=0.01), (grid, size)


@pytest.mark.parametrize(("grid", "size", "scale"), [("lr", 3, 2), ("lr", 2, 3), ("hr", 4, 2)])
def test_known_filters_are_found_again(grid, size, scale, monkeypatch):
  known = LinearModel(grid, size, scale)
  known.weights = RNG.normal(size=known.weights.shape)
  lr = RNG.random((20, 17)).astype(np.float32)
  hr = known.predict(lr)
  model = LinearModel(grid, size, scale)
  # Photographs are 8 bits, which the known result is not: it is handed over as it is.
  monkeypatch.setattr(model, "_phases", lambda _: known._phases(hr - 0.5))
  model.fit([Pair("any", lr, np.zeros(hr.shape, np.uint8), "")])
  np.testing.assert_allclose(model.weights, known.weights, atol=1e-6)


def test_one_tap_behind_bicubic_is_near_bicubic():
  image = np.asarray(imresize(RNG.random((30, 26)), 2).clip(0, 1) * 255, np.uint8)
  photo = make_pair("smooth", image, 2)
  model = LinearModel("hr", 1, 2)
  model.weights = np.array([[1.0], [0.0]])
  bicubic = imresize(photo.input.astype(np.float64), 2)
  np.testing.assert_allclose(model.predict(photo.input), bicubic, atol=1e-12)
  before = mean_psnr(model, [photo], rounded=False)
  model.fit([photo])
  after = mean_psnr(model, [photo], rounded=False)
  assert after > before - 0.2  # fitted with the border, scored without
