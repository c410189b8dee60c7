"""Habits that spoil a comparison: what restored images score once each of them is undone.

Swapped channels, luminance in another range, and content that is shifted by a pixel cost several
dB, and look like a bad network. A habit is reported only where undoing it gains `LEAST_GAIN`, which
it does not on an honest restoration. The gain is that of the protocol's PSNR, but for two habits
which that hardly feels: that of RGB where channels are swapped, since pale colours keep their
luminance, and that of coarse luminance (means of 8 x 8 pixels) where its range is another, since
missing detail costs as much.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from sr_jax.data.colour import luminance
from sr_jax.evaluation.metrics import mse, shave, to_db

# In dB, more than what is nothing but noise gains by being compressed from 255 levels to 219: 1.32.
LEAST_GAIN = 1.5
BLOCK = 8


@dataclasses.dataclass(frozen=True)
class Habit:
  """Something that was done to restored images and not to their references.

  Attributes:
    what: a clause that says what is so.
    mend: what to do about it.
  """

  what: str
  mend: str


SWAPPED = Habit("red and blue are swapped", "save them as RGB (OpenCV reads and writes BGR)")
FULL_RANGE = Habit(
  "luminance is in full range (0..255, not 16..235)", "save 16 + 219 / 255 of it, or RGB"
)
NARROW_RANGE = Habit(
  "luminance is in 16..235, that of the gray references in full range (0..255)",
  "save 255 / 219 of what is above 16",
)


def shifted(down: int, right: int) -> Habit:
  """The habit of content that lies one pixel lower, more to the right, or both; -1 is the reverse.

  Args:
    down: -1, 0 or 1.
    right: likewise.
  """
  vertical = ("", "1 down", "1 up")[down]
  horizontal = ("", "1 right", "1 left")[right]
  return Habit(
    f"content is shifted by a pixel ({' and '.join(filter(None, (vertical, horizontal)))})",
    "look for a crop or a padding of one side alone in what made them",
  )


SHIFTS = [(down, right) for down, right in itertools.product((0, 1, -1), repeat=2) if down or right]


class Undone(NamedTuple):
  """What an image scores with a habit undone.

  Attributes:
    psnr: in dB, by the protocol.
    gain: by which it is judged, in dB: of luminance, of RGB or of coarse luminance.
  """

  psnr: float
  gain: float


def undone(
  image: UInt8[np.ndarray, "h w *c"], truth: UInt8[np.ndarray, "h w *d"], scale: int
) -> dict[Habit, Undone]:
  """What an image scores with each habit undone that it can have.

  Args:
    image: restored: luminance, or RGB.
    truth: its reference, cropped likewise: RGB, or gray if `image` is.
    scale: pixels shaved off every side, at least 1.
  """
  y, true_y = luminance(image), luminance(truth)
  # What comes round at the other side is shaved off.
  moved = {shifted(*by): np.roll(y, (-by[0], -by[1]), axis=(0, 1)) for by in SHIFTS}
  before = _psnr(y, true_y, scale)
  scores = {habit: _psnr(other, true_y, scale) for habit, other in moved.items()}
  by_habit = {habit: Undone(psnr, psnr - before) for habit, psnr in scores.items()}
  if image.ndim == 3:
    swapped = image[:, :, ::-1]
    gain = _psnr(swapped, truth, scale) - _psnr(image, truth, scale)
    return by_habit | {SWAPPED: Undone(_psnr(luminance(swapped), true_y, scale), gain)}
  levels, before = y.astype(np.float64), _coarse_psnr(y, true_y, scale)
  ranges = {FULL_RANGE: 16 + levels * (219 / 255)}
  if truth.ndim == 2:
    ranges[NARROW_RANGE] = (levels - 16) * (255 / 219)
  for habit, values in ranges.items():
    mended = np.floor(values.clip(0, 255) + 0.5).astype(np.uint8)
    gain = _coarse_psnr(mended, true_y, scale) - before
    by_habit[habit] = Undone(_psnr(mended, true_y, scale), gain)
  return by_habit


def _psnr(
  image: UInt8[np.ndarray, "h w *c"], truth: UInt8[np.ndarray, "h w *c"], border: int
) -> float:
  return to_db(mse(shave(image, border), shave(truth, border)))


def _coarse_psnr(
  image: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], border: int
) -> float:
  """PSNR of means over blocks, of which at least one must fit."""
  error = shave(image, border).astype(np.float64) - shave(truth, border)
  rows, columns = (side // BLOCK for side in error.shape)
  blocks = error[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
  return to_db(float((blocks.mean(axis=(1, 3)) ** 2).mean()))


def best_offset(
  image: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h2 w2"], scale: int
) -> tuple[tuple[int, int], float] | None:
  """Where in its reference an image lies whose size is another, by up to `scale` pixels.

  Args:
    image: restored luminance.
    truth: that of the whole reference.
    scale: pixels shaved off every side of what the two share.

  Returns:
    row and column of the reference at which the image begins (negative: before it), and the PSNR
    there; None if the sizes differ by more, or no place is better than all others by `LEAST_GAIN`.
  """
  more = [whole - part for whole, part in zip(truth.shape, image.shape, strict=True)]
  smaller = np.minimum(truth.shape, image.shape)
  if max(map(abs, more)) > scale or smaller.min() <= 2 * scale:
    return None
  rows, columns = (range(min(0, extra), max(0, extra) + 1) for extra in more)
  fits = []
  for top, left in itertools.product(rows, columns):
    shared = _start(image, -top, -left, smaller), _start(truth, top, left, smaller)
    fits.append((_psnr(*shared, scale), (top, left)))
  fits.sort(reverse=True)
  if len(fits) > 1 and fits[0][0] - fits[1][0] < LEAST_GAIN:
    return None
  return fits[0][1], fits[0][0]


def _start(
  pixels: UInt8[np.ndarray, "h w"], top: int, left: int, shape: np.ndarray
) -> UInt8[np.ndarray, "h2 w2"]:
  top, left = max(top, 0), max(left, 0)
  return pixels[top : top + shape[0], left : left + shape[1]]


def best_of(by_habit: Mapping[Habit, Undone]) -> Habit | None:
  """The habit whose undoing gains most; None if that is less than `LEAST_GAIN`."""
  best = max(by_habit, key=lambda habit: by_habit[habit].gain, default=None)
  return best if best and by_habit[best].gain >= LEAST_GAIN else None


Scored = tuple[str, float, Mapping[Habit, Undone]]  # an image's name, PSNR, and what `undone` gives


def of_folder(scores: Sequence[Scored]) -> tuple[Habit, float] | None:
  """The habit that explains most of a folder, and the mean PSNR with it undone in every image.

  None if that gains less than `LEAST_GAIN` in the mean.
  """
  means = {}
  for habit in {habit: None for _, _, by_habit in scores for habit in by_habit}:
    own = [by_habit.get(habit, Undone(psnr, 0.0)) for _, psnr, by_habit in scores]
    means[habit] = Undone(*(float(mean) for mean in np.mean(own, axis=0)))
  best = best_of(means)
  return (best, means[best].psnr) if best else None


def hints(scores: Sequence[Scored]) -> list[str]:
  """Sentences on the habit of a folder, if it has one, and on images that differ from it."""
  by_image = {name: best_of(by_habit) for name, _, by_habit in scores}
  sentences = []
  whole = of_folder(scores)
  if whole:
    habit, mean = whole
    others = [name for name, own in by_image.items() if own != habit]
    exceptions = f" (not in {', '.join(others)})" if others else ""
    before = float(np.mean([psnr for _, psnr, _ in scores]))
    sentences.append(
      f"{habit.what} in {len(scores) - len(others)} of {len(scores)} images{exceptions}; undone in "
      f"all, the mean is {mean:.2f} dB, not {before:.2f} dB: {habit.mend}"
    )
  for name, psnr, by_habit in scores:
    own = by_image[name]
    if own and not (whole and own == whole[0]):
      sentences.append(
        f"{name}: {own.what}; undone, it has {by_habit[own].psnr:.2f} dB, not {psnr:.2f} dB: "
        f"{own.mend}"
      )
  return sentences
