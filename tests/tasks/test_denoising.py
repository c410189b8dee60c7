import numpy as np

from sr_jax.tasks.denoising import SIGMA, Denoising


def test_noise_is_white_of_the_stated_sigma_and_the_names_own():
  flat = np.full((200, 200), 128, np.uint8)
  noise = Denoising().pair("a", flat).input - np.float32(128 / 255)
  assert abs(noise.mean()) < 4 * SIGMA / 200
  assert abs(noise.std() / SIGMA - 1) < 4 / (200 * np.sqrt(2))
  assert abs((noise[1:] * noise[:-1]).mean() / SIGMA**2) < 4 / 200
  other = Denoising().pair("b", flat).input - np.float32(128 / 255)
  assert abs((noise * other).mean() / SIGMA**2) < 4 / 200


def test_no_network_scores_the_noise():
  task = Denoising()
  pair = task.pair("a", np.full((200, 200), 250, np.uint8))
  assert pair.input.max() > 1  # not clipped
  psnr = task.score(task.without_network(pair), pair)["psnr"]
  np.testing.assert_allclose(psnr, -20 * np.log10(25 / 255), atol=0.1)
