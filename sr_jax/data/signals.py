"""Reads signals, of one dimension: audio files, or scan lines of the sample photographs."""

import functools
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.io import wavfile

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.data.finding import sample_photos
from sr_jax.data.splits import ArraySets, divide_folder, drop_copies

SUFFIXES = (".wav", ".flac")
SAMPLES = "sample_photos"
SCAN_LINES = 64  # of a photograph


def load_signals(source: str, min_length: int) -> ArraySets:
  """Reads the signals of a source by split.

  Args:
    source: "folder:PATH" of .wav and .flac files, with subfolders train, validation and test, or a
      tenth of the files (2 to 100) held out for each of the latter two; or "sample_photos": of each
      sample photograph the `scan_lines`.
    min_length: the fewest samples that a signal may have.

  Returns:
    Arrays `(samples,)` of float32 in -1..1. Several channels are averaged.

  Raises:
    InputError: unknown source, no files or too few, or a file that is damaged, not supported,
      too short or constant, or holds samples that are no numbers in -1..1.
  """
  if source == SAMPLES:
    photos = {
      split: {item.name: scan_lines(luminance(item.decode())) for item in items}
      for split, items in sample_photos().items()
    }
    for name, signal in {**photos["train"], **photos["validation"], **photos["test"]}.items():
      _check(signal, f"the sample photograph {name}", min_length)
    return ArraySets(photos, [])
  files = find_signals(source)
  sets: dict[str, dict[str, np.ndarray]] = {split: {} for split in files}
  rates: dict[str, int] = {}
  mixed = []
  for split, paths in files.items():
    for name, path in paths.items():
      rate, channels = _read(path)
      sets[split][name] = channels.mean(axis=1, dtype=np.float64).astype(np.float32)
      _check(sets[split][name], str(path), min_length)
      rates[path.name] = rate
      if channels.shape[1] > 1:
        mixed.append(path.name)
  notes = [f"Channels are averaged in {_count(len(mixed))}."] if mixed else []
  if len(set(rates.values())) > 1:
    slow, *_, fast = sorted(rates, key=lambda file: (rates[file], file))
    notes.append(
      f"Sample rates differ, from {rates[slow]} Hz of {slow} to {rates[fast]} Hz of {fast}; no "
      "signal is resampled."
    )
  return ArraySets(sets, notes + drop_copies(sets, "--signal"))


def find_signals(source: str) -> dict[str, dict[str, Path]]:
  """The files of a source by split and name, none of which is read; none of the sample photographs.

  Raises:
    InputError: unknown source, no files or too few.
  """
  if source == SAMPLES:
    return {}
  if not source.startswith("folder:") or source == "folder:":
    raise InputError(f"--signal={source} is not supported; use {SAMPLES} or folder:PATH")
  return divide_folder("--signal", source, SUFFIXES, "signal")


def scan_lines(gray: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, " n"]:
  """Evenly spaced rows end to end, 64 or all, every second one reversed: luminance / 255 - 1/2."""
  count = min(SCAN_LINES, len(gray))
  rows = gray[(2 * np.arange(count) + 1) * len(gray) // (2 * count)]
  rows[1::2] = rows[1::2, ::-1]
  return (rows.ravel() / 255 - 0.5).astype(np.float32)


def _count(files: int) -> str:
  return "1 file" if files == 1 else f"{files} files"


def _check(signal: Float32[np.ndarray, " n"], where: str, min_length: int) -> None:
  if not signal.size:
    raise InputError(f"{where} is empty; remove it")
  if signal.size < min_length:
    raise InputError(f"{where} has {signal.size} samples and needs at least {min_length}")
  if signal.min() == signal.max():
    raise InputError(f"{where} is constant, which has no PSNR; remove it")


def _read(path: Path) -> tuple[int, Float[np.ndarray, "n channels"]]:
  """The sample rate of an audio file in Hz, and its samples in -1..1."""
  read = _read_wav if path.suffix.lower() == ".wav" else functools.partial(_read_flac, _soundfile())
  try:
    rate, samples = read(path)
  except Exception as error:  # damaged files make the parsers raise any kind
    raise InputError(f"{path} cannot be read as audio ({error}); remove or replace it") from error
  if not np.isfinite(samples).all():
    raise InputError(f"{path} holds NaN or infinite samples; remove or replace it")
  if samples.size and (peak := np.abs(samples).max()) > 1:
    raise InputError(f"{path} has samples up to {peak:.4g} and they must be in -1..1; normalise it")
  return rate, samples[:, None] if samples.ndim == 1 else samples


def _read_wav(path: Path) -> tuple[int, Float[np.ndarray, "..."]]:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that are no samples
    warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
    rate, samples = wavfile.read(path)
  if samples.dtype.kind == "f":
    return rate, samples
  # Integers fill their type from the top, 24 bits those of an int32; 8 bits are unsigned.
  half = 2.0 ** (8 * samples.dtype.itemsize - 1)
  return rate, samples / half - (samples.dtype.kind == "u")


def _read_flac(soundfile: ModuleType, path: Path) -> tuple[int, Float[np.ndarray, "..."]]:
  samples, rate = soundfile.read(path)
  return rate, samples


def _soundfile() -> ModuleType:
  try:
    import soundfile  # noqa: PLC0415  # an extra
  except (ImportError, OSError) as error:  # OSError: without the C library
    raise InputError(
      f'FLAC needs soundfile ({error}); install it by `pip install -e ".[audio]"`, or save WAV'
    ) from error
  return soundfile
