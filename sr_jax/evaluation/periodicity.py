"""How strongly an error repeats with the phases of depth-to-space: the checkerboards of a network.

PSNR does not tell an error that repeats every `scale` HR pixels from another of the same energy.
Such an error has its energy at the phase frequencies, the multiples of 1 / scale along every axis
(Odena et al. 2016, "Deconvolution and checkerboard artifacts", show them in images).
"""

import itertools
import math

import numpy as np
from jaxtyping import Float

BLOCK = 16  # LR pixels, the side of a block
MIN_BLOCK = 6  # LR pixels; in fewer, neighbours of one phase frequency are those of the next
NEIGHBOURS = (2, 3)  # bins: the Hann window spreads a tone over the bins up to 1 away
MAX_RATIO = 100.0  # dB, where neighbours have no energy: a mean must stay finite
# Of the error's power; less than this at all the frequencies compared is float64 rounding.
ROUNDING = 1e-24


def phase_periodicity(error: Float[np.ndarray, "*space c"], scale: int) -> float | None:
  """Energy of an error at the phase frequencies over that at their neighbours, in dB.

  At 0 dB the error has there what it has at frequencies beside them. The power spectrum is Welch's
  (1967): a mean over channels and over blocks of 16 LR pixels a side that overlap by half, each
  under a Hann window. So a pattern counts also where its sign or strength varies slowly over the
  image, and the strong low frequencies of an error do not leak into others. The neighbours are 2
  and 3 bins away, since those 1 away share the energy of a tone; and only along axes where the
  phase frequency is not zero: the spectra of images have ridges along the axes, and a bin on a
  ridge has its neighbours there.

  The spectrum of an image's error is not flat, which moves the score by some dB either way, and a
  strong line at a neighbour lowers it; so compare outputs for the same image. The error of bicubic
  interpolation of the photographs of Set5 is at -5 to 1 dB, to which a pattern of one gray level
  adds about 10 dB at scale 2 and 1 to 6 dB at 4. Of a single block it scatters by several dB.

  Args:
    error: output less target on the HR grid, with 1 to 3 spatial axes; in any unit.
    scale: HR pixels per LR pixel along every axis, at least 2.

  Returns:
    10 log10 of the ratio of mean powers, from -100 to 100; NaN for an error that is not finite;
    None where the error has no energy at these frequencies, as where it is constant, or the image
    is less than 6 LR pixels along an axis. Of an image smaller than a block, the block is all whole
    LR pixels.

  Raises:
    ValueError: scale is below 2, where there are no phases.
  """
  if scale < 2:
    raise ValueError(f"scale must be at least 2 for an output to have phases, not {scale}")
  if not np.isfinite(error).all():
    return math.nan
  lr_shape = [side // scale for side in error.shape[:-1]]
  if min(lr_shape) < MIN_BLOCK:
    return None
  block = [min(BLOCK, side) for side in lr_shape]
  power = _welch(error, lr_shape, block, scale)
  bins = _phase_bins(block, scale)
  phase_power = float(np.mean([power[at] for at in bins]))
  # Phase frequencies count alike, however many neighbours each has.
  neighbour_power = float(np.mean([np.mean([power[at] for at in bins[key]]) for key in bins]))
  if phase_power + neighbour_power <= ROUNDING * power.sum():
    return None
  smallest = 10 ** (-MAX_RATIO / 10)
  ratio = max(phase_power, neighbour_power * smallest) / max(
    neighbour_power, phase_power * smallest
  )
  return 10 * math.log10(ratio)


def _welch(
  error: Float[np.ndarray, "*space c"], lr_shape: list[int], block: list[int], scale: int
) -> Float[np.ndarray, "*block"]:
  """Power spectrum averaged over channels and half overlapping blocks, which reach every border."""
  window = np.ones(())
  for side in block:
    hr_side = scale * side
    window = window[..., None] * np.sin(np.pi * np.arange(hr_side) / hr_side) ** 2
  starts = []
  for length, side in zip(lr_shape, block, strict=True):
    count = 1 + math.ceil(2 * (length - side) / side)
    starts.append(np.linspace(0, length - side, count).astype(int) * scale)
  space = tuple(range(len(block)))
  power = np.zeros(window.shape)
  corners = list(itertools.product(*starts))
  for corner in corners:
    part = tuple(slice(at, at + scale * side) for at, side in zip(corner, block, strict=True))
    spectrum = np.fft.fftn(error[part].astype(np.float64) * window[..., None], axes=space)
    power += np.mean(spectrum.real**2 + spectrum.imag**2, axis=-1)
  return power / len(corners)


def _phase_bins(block: list[int], scale: int) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
  """The index of the bin at each phase frequency, and those of its neighbours."""
  bins = {}
  for phase in itertools.product(range(scale), repeat=len(block)):
    if not any(phase):
      continue
    # A frequency of 1 / scale is bin B / scale of a block of B HR pixels: its side in LR pixels.
    at = [part * side for part, side in zip(phase, block, strict=True)]
    neighbours = []
    for axis in np.flatnonzero(phase):
      for shift in (*NEIGHBOURS, *(-distance for distance in NEIGHBOURS)):
        moved = at.copy()
        moved[axis] = (moved[axis] + shift) % (scale * block[axis])
        neighbours.append(tuple(moved))
    bins[tuple(at)] = neighbours
  return bins
