"""Habits that spoil a comparison, and what restored images score with each of them undone.

Swapped channels, luminance in another range, and content that is shifted by a pixel cost several
dB, and look like a bad network. A habit is reported only if undoing it gains `MIN_GAIN`, as it does
not on an honest restoration. The gain is that of the protocol's PSNR, except for two habits that
hardly change it: of PSNR of RGB for swapped channels, since pale colours keep their luminance, and
of PSNR of coarse luminance (means of 8 x 8 pixels) for another range, since missing detail costs as
much.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from sr_jax.data.colour import luminance
from sr_jax.evaluation.metrics import Gray, Pixels, mse, shave, to_db

MIN_GAIN = 1.5  # dB; pure noise gains 1.32 when it is compressed from 255 levels to 219
BLOCK = 8


class Habit(NamedTuple):
  """Something that was done to restored images and not to their references."""

  description: str  # a clause
  remedy: str  # a phrase


SWAPPED = Habit("red and blue are swapped", "save them as RGB (OpenCV reads and writes BGR)")
FULL_RANGE = Habit(
  "luminance is in full range (0..255, not 16..235)", "save 16 + 219 / 255 of it, or RGB"
)
NARROW_RANGE = Habit(
  "luminance is in 16..235, that of the gray references in full range (0..255)",
  "save 255 / 219 of what is above 16",
)


def shift_habit(down: int, right: int) -> Habit:
  """The habit of content shifted by a pixel down, right, or both; by -1 up or left."""
  directions = filter(None, (("", "1 down", "1 up")[down], ("", "1 right", "1 left")[right]))
  return Habit(
    f"content is shifted by a pixel ({' and '.join(directions)})",
    "look for a crop or a padding of only one side in what made them",
  )


SHIFTS = [(down, right) for down, right in itertools.product((0, 1, -1), repeat=2) if down or right]


class Corrected(NamedTuple):
  """The score of an image with a habit undone, in dB."""

  psnr: float  # by the protocol
  gain: float  # of luminance, of RGB or of coarse luminance, whichever shows the habit


def undo_habits(
  image: Pixels, truth: UInt8[np.ndarray, "h w *d"], scale: int
) -> dict[Habit, Corrected]:
  """Scores a restored image, luminance or RGB, with each habit undone that it can have.

  Its reference, `truth`, is cropped likewise and may be gray only if it is. `scale` pixels, at
  least 1, are shaved off every side.
  """
  y, true_y = luminance(image), luminance(truth)
  before = _psnr(y, true_y, scale)
  by_habit = {}
  for down, right in SHIFTS:  # what wraps around is shaved off
    psnr = _psnr(np.roll(y, (-down, -right), axis=(0, 1)), true_y, scale)
    by_habit[shift_habit(down, right)] = Corrected(psnr, psnr - before)
  if image.ndim == 3:
    swapped = image[:, :, ::-1]
    gain = _psnr(swapped, truth, scale) - _psnr(image, truth, scale)
    return by_habit | {SWAPPED: Corrected(_psnr(luminance(swapped), true_y, scale), gain)}
  levels, before = y.astype(np.float64), _coarse_psnr(y, true_y, scale)
  ranges = {FULL_RANGE: 16 + levels * (219 / 255)}
  if truth.ndim == 2:
    ranges[NARROW_RANGE] = (levels - 16) * (255 / 219)
  for habit, values in ranges.items():
    corrected = np.floor(values.clip(0, 255) + 0.5).astype(np.uint8)
    gain = _coarse_psnr(corrected, true_y, scale) - before
    by_habit[habit] = Corrected(_psnr(corrected, true_y, scale), gain)
  return by_habit


def _psnr(image: Pixels, truth: Pixels, border: int) -> float:
  return to_db(mse(image, truth, border))


def _coarse_psnr(image: Gray, truth: Gray, border: int) -> float:
  """PSNR of means over blocks, of which at least one must fit."""
  error = shave(image, border).astype(np.float64) - shave(truth, border)
  rows, columns = (side // BLOCK for side in error.shape)
  blocks = error[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
  return to_db(float((blocks.mean(axis=(1, 3)) ** 2).mean()))


def best_offset(
  image: Gray, truth: UInt8[np.ndarray, "h2 w2"], scale: int
) -> tuple[tuple[int, int], float] | None:
  """Finds where an image lies in its reference if their sizes differ by up to `scale` pixels.

  Returns:
    row and column of the reference at which the image begins (negative: before it), and the PSNR
    there, `scale` pixels shaved off every side of what the two share; None if the sizes differ by
    more, or no place is better than all others by `MIN_GAIN`.
  """
  extra = [whole - part for whole, part in zip(truth.shape, image.shape, strict=True)]
  common = np.minimum(truth.shape, image.shape)
  if max(map(abs, extra)) > scale or common.min() <= 2 * scale:
    return None
  rows, columns = (range(min(0, pixels), max(0, pixels) + 1) for pixels in extra)
  scores = []
  for top, left in itertools.product(rows, columns):
    shared = _crop(image, -top, -left, common), _crop(truth, top, left, common)
    scores.append((_psnr(*shared, scale), (top, left)))
  (best, place), *others = sorted(scores, reverse=True)
  return None if others and best - others[0][0] < MIN_GAIN else (place, best)


def _crop(pixels: Gray, top: int, left: int, shape: np.ndarray) -> UInt8[np.ndarray, "h2 w2"]:
  top, left = max(top, 0), max(left, 0)
  return pixels[top : top + shape[0], left : left + shape[1]]


def best_habit(by_habit: Mapping[Habit, Corrected]) -> Habit | None:
  """The habit whose undoing gains most; None if that is less than `MIN_GAIN`."""
  best = max(by_habit, key=lambda habit: by_habit[habit].gain, default=None)
  return best if best and by_habit[best].gain >= MIN_GAIN else None


# An image's name, its PSNR, and the result of `undo_habits`.
Scored = tuple[str, float, Mapping[Habit, Corrected]]


def folder_habit(scores: Sequence[Scored]) -> tuple[Habit, float] | None:
  """The habit that gains most in the mean over a folder, and the mean PSNR with it undone in all.

  None if it gains less than `MIN_GAIN`.
  """
  means = {}
  for habit in {habit: None for _, _, by_habit in scores for habit in by_habit}:
    by_image = [by_habit.get(habit, Corrected(psnr, 0.0)) for _, psnr, by_habit in scores]
    means[habit] = Corrected(*(float(mean) for mean in np.mean(by_image, axis=0)))
  best = best_habit(means)
  return (best, means[best].psnr) if best else None


def describe_habits(scores: Sequence[Scored]) -> list[str]:
  """Sentences on the habit of a folder, if it has one, and on images with another habit."""
  by_image = {name: best_habit(by_habit) for name, _, by_habit in scores}
  sentences = []
  common, mean = folder_habit(scores) or (None, None)
  if common:
    without = [name for name, habit in by_image.items() if habit != common]
    exceptions = f" (not in {', '.join(without)})" if without else ""
    before = float(np.mean([psnr for _, psnr, _ in scores]))
    sentences.append(
      f"{common.description} in {len(scores) - len(without)} of {len(scores)} images{exceptions}; "
      f"undone in all, the mean is {mean:.2f} dB, not {before:.2f} dB: {common.remedy}"
    )
  for name, psnr, by_habit in scores:
    if (habit := by_image[name]) and habit != common:
      sentences.append(
        f"{name}: {habit.description}; undone, it has {by_habit[habit].psnr:.2f} dB, not "
        f"{psnr:.2f} dB: {habit.remedy}"
      )
  return sentences
