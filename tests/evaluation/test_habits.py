"""Each habit, committed on a photograph and found again; and none where there is none."""

import functools

import numpy as np
import pytest

from sr_jax.data.colour import luminance
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import images_in, read_pixels
from sr_jax.evaluation import habits
from sr_jax.evaluation.metrics import score_image
from sr_jax.operators.resize import imresize

PHOTOS = {path.stem: path for path in images_in(SAMPLE_PHOTOS)}
PALE = {"friends": 1, "leaves": 1, "hubble": 1, "camera": 0, "brick": 0}  # of that colour, at least


def to_bytes(pixels):
  return np.floor(pixels.clip(0, 255) + 0.5).astype(np.uint8)


@functools.cache
def photo(name):
  return read_pixels(PHOTOS[name])[60:216, 40:208]


@functools.cache
def bicubic(name, scale=2):
  """An honest restoration: made small and large again."""
  return to_bytes(imresize(imresize(photo(name).astype(float), 1 / scale), scale))


def full_range(rgb):
  return to_bytes(rgb @ np.array([0.299, 0.587, 0.114]))


def best(image, truth, scale=2):
  return habits.best_habit(habits.undo_habits(image, truth, scale))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_no_honest_restoration_is_given_a_hint(scale):
  for name in PHOTOS:
    image, truth = bicubic(name, scale), photo(name)
    gray = luminance(image)
    assert best(image, truth, scale) is None, name
    assert best(gray, truth, scale) is None, name
    assert best(gray, luminance(truth), scale) is None, name
    assert (
      best(
        to_bytes(imresize(luminance(truth), 1 / scale)).repeat(scale, 0).repeat(scale, 1),
        truth,
        scale,
      )
      is None
    ), name


def test_photographs_of_little_colour_are_among_them():
  for name, least in PALE.items():
    colourfulness = np.ptp(photo(name).astype(int), axis=2)
    assert np.median(colourfulness) <= 10, name
    assert colourfulness.max() >= least, name


def test_noise_alone_is_no_habit():
  """Compressed from 255 levels to 219 it is smaller, and its PSNR 1.32 dB better."""
  noise = np.random.default_rng(0).normal(113, 60, (80, 80))
  truth = np.full((80, 80), 113, np.uint8)
  by_habit = habits.undo_habits(to_bytes(noise), truth, 2)
  before, _ = score_image(to_bytes(noise), truth, 2)
  assert by_habit[habits.FULL_RANGE].psnr > before + 1
  assert habits.best_habit(by_habit) is None


def test_swapped_channels_are_found():
  for name in ("astronaut", "coffee", "flower", "china"):
    habit = best(bicubic(name)[:, :, ::-1], photo(name))
    assert habit == habits.SWAPPED, name


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "leaves", "china"])
def test_luminance_in_full_range_is_found(name, scale):
  assert best(full_range(bicubic(name, scale)), photo(name), scale) == habits.FULL_RANGE


@pytest.mark.parametrize("name", ["astronaut", "coffee", "leaves", "china"])
def test_luminance_of_16_to_235_beside_gray_references_is_found(name):
  assert best(luminance(bicubic(name)), full_range(photo(name))) == habits.NARROW_RANGE


@pytest.mark.parametrize(("down", "right"), [(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, -1)])
def test_content_that_is_shifted_is_found_with_its_direction(down, right):
  image = np.roll(bicubic("coffee"), (down, right), axis=(0, 1))
  habit = best(image, photo("coffee"))
  assert habit == habits.shift_habit(down, right)
  words = {(1, 0): "1 down", (-1, 0): "1 up", (0, 1): "1 right", (0, -1): "1 left"}
  words |= {(1, -1): "1 down and 1 left", (-1, -1): "1 up and 1 left"}
  assert f"({words[down, right]})" in habit.description


def test_undoing_gives_what_the_honest_image_scores():
  image, truth = bicubic("astronaut"), photo("astronaut")
  psnr, _ = score_image(luminance(image), luminance(truth), 2)
  assert habits.undo_habits(image[:, :, ::-1], truth, 2)[habits.SWAPPED].psnr == psnr
  moved = np.roll(image, 1, axis=0)
  assert habits.undo_habits(moved, truth, 2)[habits.shift_habit(1, 0)].psnr == pytest.approx(
    psnr, abs=0.01
  )
  gray = habits.undo_habits(full_range(image), truth, 2)[habits.FULL_RANGE].psnr
  assert gray == pytest.approx(psnr, abs=0.05)  # rounded twice


def test_the_offset_of_a_cropped_image_is_found():
  image, truth = luminance(bicubic("coffee")), luminance(photo("coffee"))
  height, width = truth.shape
  for (top, left), (rows, columns) in (((1, 0), (1, 1)), ((1, 2), (2, 2)), ((0, 1), (0, 1))):
    part = image[top : height - rows + top, left : width - columns + left]
    offset, db = habits.best_offset(part, truth, 2)
    assert offset == (top, left)
    assert db == pytest.approx(score_image(image, truth, 2)[0], abs=0.3)


def test_the_offset_of_an_image_that_is_larger_is_found():
  truth = luminance(photo("coffee"))
  larger = np.pad(luminance(bicubic("coffee")), ((1, 0), (0, 2)), mode="edge")
  offset, _ = habits.best_offset(larger, truth, 2)
  assert offset == (-1, 0)


@pytest.mark.parametrize("shape", [(40, 90), (4, 4), (156, 150)])
def test_images_of_another_size_altogether_have_no_offset(shape):
  assert habits.best_offset(np.zeros(shape, np.uint8), luminance(photo("coffee")), 2) is None


def test_an_offset_that_does_not_stand_out_is_none():
  flat = np.full((40, 40), 90, np.uint8)
  assert habits.best_offset(flat[1:], flat, 2) is None


SHIFT = habits.shift_habit(1, 0)


def scored(name, psnr, **after):
  """An image whose PSNR is `psnr`, and that with habits undone."""
  names = {"swapped": habits.SWAPPED, "shift": SHIFT}
  by_habit = {names[k]: habits.Corrected(db, db - psnr) for k, db in after.items()}
  return name, psnr, by_habit


def test_the_folder_has_the_habit_of_its_mean_and_exceptions_are_named():
  scores = [
    scored("a.png", 20.0, swapped=30.0, shift=20.0),
    scored("b.png", 22.0, swapped=31.0, shift=20.0),
    scored("c.png", 30.0, swapped=29.0, shift=22.0),
    scored("d.png", 20.0, swapped=20.0, shift=25.0),
  ]
  assert habits.folder_habit(scores) == (habits.SWAPPED, 27.5)
  folder, single = habits.describe_habits(scores)
  assert "red and blue are swapped in 2 of 4 images" in folder
  assert "27.50 dB, not 23.00 dB" in folder
  assert "not in c.png, d.png" in folder
  assert "BGR" in folder
  assert single.startswith("d.png: content is shifted by a pixel (1 down)")
  assert "25.00 dB, not 20.00 dB" in single


def test_a_folder_without_a_habit_names_the_images_that_have_it():
  scores = [
    scored("a.png", 20.0, swapped=24.0),
    scored("b.png", 30.0, swapped=20.0),
    scored("gray.png", 30.0),
  ]
  assert habits.folder_habit(scores) is None
  (hint,) = habits.describe_habits(scores)
  assert hint.startswith("a.png: red and blue are swapped")


def test_a_little_better_is_no_habit():
  assert habits.describe_habits([scored("a.png", 30.0, swapped=31.49)]) == []
  assert len(habits.describe_habits([scored("a.png", 30.0, swapped=31.51)])) == 1
