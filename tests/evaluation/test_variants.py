"""The known errors of the field, each on images where its size can be worked out by hand."""

import math

import numpy as np
import pytest

from sr_jax.evaluation import variants
from sr_jax.evaluation.metrics import to_db


def flat(*colour):
  return np.broadcast_to(np.array(colour, np.uint8), (20, 20, len(colour)))


def db(name, image, truth):
  return to_db(variants.errors_by_variant(image, truth, 2)[name])


def test_not_shaving_counts_the_border():
  image = flat(50, 50, 50).copy()
  image[:2] = 90
  found = variants.errors_by_variant(image[:, :, 0], flat(50)[:, :, 0], 2)
  assert found[variants.PROTOCOL] == 0
  assert found[variants.NOT_SHAVED] == 40**2 * 2 / 20


def test_six_more_pixels_are_shaved_as_by_edsr():
  image = flat(50, 50, 50).copy()
  image[7] = 90  # shaved off with 2 + 6 pixels, and not with 2
  by_variant = variants.errors_by_variant(image[:, :, 0], flat(50)[:, :, 0], 2)
  assert by_variant[variants.PROTOCOL] == 40**2 / 16
  assert by_variant[variants.EDSR_SHAVED] == 0
  image[8] = 90
  by_variant = variants.errors_by_variant(image[:, :, 0], flat(50)[:, :, 0], 2)
  assert by_variant[variants.EDSR_SHAVED] == 40**2 / 4


def test_nothing_may_be_left_by_six_more_pixels():
  assert (
    variants.errors_by_variant(flat(1)[:16, :, 0], flat(5)[:16, :, 0], 2)[variants.EDSR_SHAVED]
    is None
  )
  assert (
    variants.errors_by_variant(flat(1)[:17, :, 0], flat(5)[:17, :, 0], 2)[variants.EDSR_SHAVED]
    == 16
  )


MEANS = {variants.PROTOCOL: 30.0, variants.NOT_SHAVED: 30.2, variants.RGB: None, "other": 28.7}


@pytest.mark.parametrize(
  ("expected", "words"),
  [
    (
      28.6,
      "28.60 dB was expected, the protocol gives 30.00 dB: the habit that comes closest is "
      "'other', 28.70 dB (0.10 dB away)",
    ),
    (30.3, "'no pixels shaved off', 30.20 dB (0.10 dB away)"),
    (29.9, "29.90 dB was expected, the protocol gives 30.00 dB: no habit comes closer"),
    (30.0, "no habit comes closer"),
    (35.0, "'no pixels shaved off', 30.20 dB (4.80 dB away)"),
  ],
)
def test_the_habit_that_explains_an_expected_number_best_is_named(expected, words):
  assert words in variants.explain_expected(expected, MEANS)


def test_full_range_costs_1_32_db():
  black, white = flat(0, 0, 0), flat(255, 255, 255)
  assert db(variants.PROTOCOL, black, white) == pytest.approx(20 * math.log10(255 / 219))  # 1.32
  assert db(variants.FULL_RANGE, black, white) == pytest.approx(0)


def test_full_range_of_a_luminance_file_is_stretched():
  y = flat(16)[:, :, 0]
  assert db(variants.PROTOCOL, y, flat(255, 255, 255)) == pytest.approx(20 * math.log10(255 / 219))
  assert db(variants.FULL_RANGE, y, flat(255, 255, 255)) == pytest.approx(0)


def test_rounding_hides_errors_under_half_a_level():
  found = variants.errors_by_variant(flat(0, 0, 3), flat(0, 0, 0), 2)
  assert found[variants.PROTOCOL] == 0
  assert found[variants.NOT_ROUNDED] == pytest.approx((24.966 * 3 / 255) ** 2)


def test_the_miscopied_weight_darkens_red_by_one_level():
  found = variants.errors_by_variant(flat(255, 0, 0), flat(0, 0, 0), 2)
  assert found[variants.PROTOCOL] == (81 - 16) ** 2
  assert found[variants.MISCOPIED] == (80 - 16) ** 2


def test_rgb_counts_every_channel():
  assert variants.errors_by_variant(flat(9, 0, 0), flat(0, 0, 0), 2)[variants.RGB] == 27


def test_gray_files_are_the_same_by_every_formula_and_luminance_has_no_colour():
  gray, truth = flat(40)[:, :, 0], flat(45)[:, :, 0]
  assert set(variants.errors_by_variant(gray, truth, 2).values()) == {25.0}
  found = variants.errors_by_variant(gray, flat(1, 2, 3), 2)
  assert {name for name, error in found.items() if error is None} == {
    variants.MISCOPIED,
    variants.NOT_ROUNDED,
    variants.RGB,
  }
