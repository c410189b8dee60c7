import numpy as np

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import read_luminance
from sr_jax.tasks.filtering import CONDUCTANCE, ITERATIONS, STEP, Filtering, diffuse

PHOTO = read_luminance(SAMPLE_PHOTOS / "wine.webp")[:64, :80]


def variation(image):
  return sum(np.abs(np.diff(image, axis=axis)).sum() for axis in (0, 1))


def test_diffusion_smooths_texture_and_keeps_edges_and_the_mean():
  image = PHOTO / 255
  filtered = diffuse(image)
  assert variation(filtered) < 0.8 * variation(image)
  np.testing.assert_allclose(filtered.mean(), image.mean(), rtol=1e-12)
  assert image.min() <= filtered.min() <= filtered.max() <= image.max()

  noise = 0.02 * np.random.default_rng(0).standard_normal((40, 40))
  smooth = diffuse(np.where(np.arange(40) < 20, 0.2, 0.8) + noise)
  assert max(smooth[:, :20].std(), smooth[:, 20:].std()) < noise.std() / 3
  np.testing.assert_allclose((smooth[:, 20] - smooth[:, 19]).mean(), 0.6, atol=0.01)


def test_of_small_differences_it_is_the_heat_equation():
  row, column = np.indices((12, 12)) + 0.5
  # An eigenvector of the Laplacian that has no slope at the border.
  wave = np.cos(np.pi * 2 * row / 12) * np.cos(np.pi * 3 * column / 12)
  eigenvalue = 4 - 2 * np.cos(np.pi * 2 / 12) - 2 * np.cos(np.pi * 3 / 12)
  image = 1e-4 * CONDUCTANCE * wave
  expected = image * (1 - STEP * eigenvalue) ** ITERATIONS
  np.testing.assert_allclose(diffuse(image), expected, atol=1e-6 * image.max())


def test_no_network_scores_the_photograph():
  task = Filtering()
  pair = task.pair("wine", PHOTO)
  psnr = -10 * np.log10(np.mean((PHOTO / 255 - diffuse(PHOTO / 255)) ** 2))
  np.testing.assert_allclose(task.score(task.without_network(pair), pair)["psnr"], psnr, rtol=1e-6)
