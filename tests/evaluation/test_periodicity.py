import math

import numpy as np
import pytest

from sr_jax.evaluation.periodicity import phase_periodicity

# Scale, and the LR shape of an image of a few blocks.
CASES = [
  (2, (400,)),
  (3, (300,)),
  (8, (200,)),
  (2, (48, 40)),
  (3, (40, 33)),
  (4, (32, 40)),
  (8, (24, 32)),
  (2, (24, 20, 16)),
  (3, (16, 16, 16)),
]


def noise(scale, lr_shape, channels=1, seed=0):
  shape = (*(scale * side for side in lr_shape), channels)
  return np.random.default_rng(seed).standard_normal(shape)


def phase_pattern(scale, lr_shape, seed=1):
  """A value of its own for every phase, repeated over the image: mean 0, mean square 1."""
  values = np.random.default_rng(seed).standard_normal((scale,) * len(lr_shape))
  values -= values.mean()
  return np.tile(values / values.std(), lr_shape)[..., None]


def slow(scale, lr_shape, period=120):
  """A wave of slowly changing sign along every axis, its period in LR pixels."""
  wave = np.ones(())
  for side in lr_shape:
    wave = wave[..., None] * np.cos(2 * np.pi * np.arange(scale * side) / (scale * period) + 0.7)
  return wave[..., None]


@pytest.mark.parametrize(("scale", "lr_shape"), CASES)
def test_white_noise_is_at_zero_decibels(scale, lr_shape):
  scores = [phase_periodicity(noise(scale, lr_shape, 8, seed), scale) for seed in range(4)]
  assert np.mean(scores) == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize(("scale", "lr_shape"), CASES)
def test_a_phase_pattern_stands_out(scale, lr_shape):
  white = noise(scale, lr_shape)
  base = phase_periodicity(white, scale)
  pattern = phase_pattern(scale, lr_shape)
  assert phase_periodicity(white + pattern, scale) > base + 5
  assert phase_periodicity(white + 3 * pattern, scale) > base + 12
  assert phase_periodicity(pattern, scale) == 100  # nothing beside it: the limit


@pytest.mark.parametrize(("scale", "lr_shape"), CASES)
def test_a_pattern_of_slowly_changing_sign_stands_out(scale, lr_shape):
  modulated = phase_pattern(scale, lr_shape) * slow(scale, lr_shape)
  modulated /= modulated.std()
  white = noise(scale, lr_shape)
  assert phase_periodicity(modulated, scale) > 15
  assert phase_periodicity(white + 3 * modulated, scale) > phase_periodicity(white, scale) + 10


@pytest.mark.parametrize("scale", [2, 4])
def test_a_checkerboard_under_the_spectrum_of_an_image_stands_out(scale):
  # An error whose power falls with the square of the frequency, and one in twenty of it regular.
  shape = (64 * scale // 2, 96 * scale // 2)
  frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in shape), indexing="ij"))
  spectrum = np.fft.fft2(noise(1, shape)[..., 0]) / (frequency + 0.02)
  error = np.fft.ifft2(spectrum).real[..., None]
  error /= error.std()
  lr_shape = tuple(side // scale for side in shape)
  pattern = phase_pattern(scale, lr_shape) / math.sqrt(20)
  smooth = phase_periodicity(error, scale)
  assert abs(smooth) < 2.5
  assert phase_periodicity(error + pattern, scale) > smooth + 5


def test_strong_low_frequencies_do_not_leak():
  white = noise(4, (32, 32))
  base = phase_periodicity(white, 4)
  ramp = np.linspace(-100, 100, 128)[:, None, None]
  assert phase_periodicity(white + 50, 4) == pytest.approx(base, abs=1e-9)
  assert phase_periodicity(white + ramp, 4) == pytest.approx(base, abs=0.5)


@pytest.mark.parametrize("period", [2.5, 3, 8, 16])
def test_other_frequencies_do_not_count(period):
  # At scale 4 the phase frequencies are those of periods 4, 2 and 4/3.
  wave = np.cos(2 * np.pi * np.arange(160) / period)[:, None, None] * np.ones((160, 1))
  white = noise(4, (40, 40))
  base = phase_periodicity(white, 4)
  assert phase_periodicity(white + wave, 4) == pytest.approx(base, abs=0.3)


def test_a_ridge_of_the_spectrum_along_an_axis_does_not_count():
  # Stripes of noise: all of it at frequencies of zero along the other axis.
  scores = []
  for seed in range(6):
    stripes = np.random.default_rng(seed).standard_normal((512, 1, 16)) * np.ones((64, 1))
    scores.append(phase_periodicity(stripes, 2))
  assert np.mean(scores) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("factor", [1e-6, -1, 1e4])
def test_amplitude_does_not_matter(factor):
  error = noise(2, (24, 24)) + phase_pattern(2, (24, 24))
  score = phase_periodicity(error, 2)
  assert phase_periodicity(factor * error, 2) == pytest.approx(score, abs=1e-9)
  assert phase_periodicity((factor * error).astype(np.float32), 2) == pytest.approx(score, abs=1e-4)


def test_the_place_of_the_pattern_does_not_matter():
  white, pattern = noise(3, (24, 24)), phase_pattern(3, (24, 24))
  score = phase_periodicity(pattern + 0.1 * white, 3)
  for shift in (3, 6):
    moved = np.roll(pattern + 0.1 * white, (shift, shift), axis=(0, 1))
    assert phase_periodicity(moved, 3) == pytest.approx(score, abs=1)
  swapped = np.swapaxes(pattern + 0.1 * white, 0, 1)
  assert phase_periodicity(swapped, 3) == pytest.approx(score, abs=1e-9)


def test_channels_are_averaged():
  white, pattern = noise(2, (24, 24), 2), phase_pattern(2, (24, 24))
  both = np.concatenate([white[..., :1] + pattern, white[..., 1:]], axis=-1)
  scores = [phase_periodicity(part, 2) for part in (white, both, both[..., :1])]
  assert scores[0] < scores[1] < scores[2]


def test_a_small_image_is_a_block_of_whole_lr_pixels():
  white, pattern = noise(4, (7, 9)), phase_pattern(4, (7, 9))
  error = 0.2 * white + pattern
  score = phase_periodicity(error, 4)
  assert score > 10
  # Three HR rows that are no LR row are not read.
  padded = np.concatenate([error, np.full((3, 36, 1), 9.0)])
  assert phase_periodicity(padded, 4) == score
  assert phase_periodicity(error[:20], 4) is None


def test_errors_without_an_answer():
  assert phase_periodicity(np.zeros((64, 64, 1)), 2) is None
  assert phase_periodicity(np.full((64, 64, 3), 0.1), 2) is None
  assert math.isnan(phase_periodicity(np.full((64, 64, 1), np.nan), 2))
  with pytest.raises(ValueError, match="at least 2"):
    phase_periodicity(np.ones((64, 1)), 1)
