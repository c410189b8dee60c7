"""Scores a folder of super-resolved images: PSNR and SSIM of luminance, as the field measures them.

  python -m sr_jax.evaluation --reference=DIR --restored=DIR --scale=3

Images are paired by name: a restored one's begins with its reference's, from which endings such as
_GT, _HR, _SRF_3 and x3 are taken off first (baby_GT: baby, baby_x3, babyx3, baby_SRF_3_espcn).
Restored images are 8-bit files, not shaved. A gray one holds luminance (protocol A); of an RGB one
Y of ITU-R BT.601 (16..235, rounded) is computed (protocol B), as of the reference. Gray references
are taken as they are. References are cropped to a multiple of the scale; `scale` pixels are shaved
off every side; the means are over images, of dB. A second table says what the same images score in
the variants that make published numbers disagree, and, with --expected=DB, which of them comes
closest to that. A hint is given where a habit spoils the comparison (swapped channels, luminance in
another range, content shifted by a pixel): where undoing it gains 1.5 dB or more.
"""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sr_jax.config import InputError, setting
from sr_jax.evaluation.folders import Score, pair_images, score_folder
from sr_jax.evaluation.habits import describe_habits, folder_habit
from sr_jax.evaluation.metrics import MAX_PSNR, to_db
from sr_jax.evaluation.variants import EDSR_SHAVED, PROTOCOL, RGB, explain_expected
from sr_jax.runtime.command_line import REQUIRED, run
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import write_json


@dataclasses.dataclass(frozen=True)
class Arguments:
  """The command line."""

  reference: str = setting(REQUIRED, "folder of the original images")
  restored: str = setting(REQUIRED, "folder of the super-resolved images")
  scale: int = setting(REQUIRED, "upscaling factor, a whole number", at_least=1)
  expected: float | None = setting(None, "expected mean PSNR in dB, as from a paper", above=0)
  json: str = setting("", "file ending in .json to write the scores to")

  def __post_init__(self) -> None:
    """Refuses a file that could not be written once everything is scored."""
    path = Path(self.json).expanduser()
    if self.json and (path.suffix != ".json" or not path.parent.is_dir()):
      raise InputError(f"--json={path} must end in .json and lie in a folder that exists")


def main(argv: Sequence[str]) -> int:
  """Scores the folder that a command line names and returns the exit code."""
  return run(score, Arguments, argv)


def score(arguments: Arguments) -> None:
  """Scores a folder, prints the tables and the hints, and writes them as JSON."""
  folders = (Path(name).expanduser() for name in (arguments.reference, arguments.restored))
  pairs = pair_images(*folders)
  width = max(len("mean of 1000"), *(len(path.name) for path, _ in pairs))
  log(f"{'image':<{width}}  PSNR (dB)    SSIM  luminance\n" + "-" * (width + 31))
  scores = []
  for result in score_folder(pairs, arguments.scale):  # printed at once: large images take seconds
    log(f"{result.name:<{width}}  {result.psnr:9.2f}  {result.ssim:.4f}  {result.luminance}")
    scores.append(result)
  psnr, ssim = (float(np.mean([getattr(s, name) for s in scores])) for name in ("psnr", "ssim"))
  log(f"{f'mean of {len(scores)}':<{width}}  {psnr:9.2f}  {ssim:.4f}")
  if any(s.psnr == MAX_PSNR for s in scores):
    log(f"\nEqual images count as {MAX_PSNR:g} dB.")
  variants = dict(_variants(scores))
  rows = [["mean PSNR", "dB", "change"]]
  for name, db in variants.items():
    rows.append([name, "-", "-"] if db is None else [name, f"{db:.2f}", f"{db - psnr:+z.2f}"])
  log(f"\nThe same images as others measure them:\n\n{table(rows)}")
  if variants[RGB] is None:
    log("(- takes restored images in colour)")
  if variants[EDSR_SHAVED] is None:
    log("(- takes larger images)")
  scored = [(s.name, s.psnr, s.corrected) for s in scores]
  if arguments.expected is not None:
    whole = folder_habit(scored)
    means = variants | ({whole[0].description: whole[1]} if whole else {})
    log(f"\n{explain_expected(arguments.expected, means)}")
  hints = describe_habits(scored)
  for hint in hints:
    log(f"\nHint: {hint}")
  if arguments.json:
    images = {s.name: {"psnr": s.psnr, "ssim": s.ssim, "luminance": s.luminance} for s in scores}
    data = {"scale": arguments.scale, "images": images, "mean": {"psnr": psnr, "ssim": ssim}}
    data |= {"variants": variants, "hints": hints}
    write_json(Path(arguments.json).expanduser(), data)


def _variants(scores: Sequence[Score]) -> Iterator[tuple[str, float | None]]:
  """Mean PSNR by variant; None where an image has none."""
  for name in scores[0].errors:
    errors = [score.errors[name] for score in scores]
    known = [error for error in errors if error is not None]
    yield name, float(np.mean([*map(to_db, known)])) if len(known) == len(scores) else None
    if name == PROTOCOL:
      yield "errors averaged over images before dB", to_db(float(np.mean(known)))


if __name__ == "__main__":
  sys.exit(main(sys.argv))
