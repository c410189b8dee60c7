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

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from sr_jax.config import InputError
from sr_jax.evaluation.folders import Score, pair_images, score_folder
from sr_jax.evaluation.habits import describe_habits, folder_habit
from sr_jax.evaluation.metrics import MAX_PSNR, to_db
from sr_jax.evaluation.variants import EDSR_SHAVED, PROTOCOL, RGB, explain_expected
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import write_json


def main(argv: Sequence[str]) -> int:
  """Scores what the command line names and returns the exit code."""
  try:
    return _main(argv)
  except (InputError, flags.Error) as error:
    print(f"sr_jax.evaluation: {' '.join(str(error).split())}", file=sys.stderr)
  except OSError as error:
    print(f"sr_jax.evaluation: {error.filename}: {error.strerror}", file=sys.stderr)
  return 2


def _main(argv: Sequence[str]) -> int:
  asked = flags.FlagValues()
  flags.DEFINE_string("reference", None, "folder of the original images", asked)
  flags.DEFINE_string("restored", None, "folder of the super-resolved images", asked)
  flags.DEFINE_string("scale", None, "upscaling factor, a whole number", asked)
  flags.DEFINE_string("expected", None, "mean PSNR in dB that was expected, as from a paper", asked)
  flags.DEFINE_string("json", None, "file ending in .json to write the scores to", asked)
  flags.DEFINE_boolean("help", False, "explain this command", asked, short_name="h")
  try:
    extra = asked(list(argv))[1:]
  except ValueError as error:  # how absl says that --nohelp takes no value
    raise InputError(str(error)) from error
  if asked.help:
    log(f"{__doc__}\nFlags:")
    for name in ("reference", "restored", "scale", "expected", "json"):
      log(f"  --{name}\n      {asked[name].help}")
    return 0
  if extra:
    raise InputError(f"flags look like --name=value; found {' '.join(extra)!r}")
  for name in ("reference", "restored", "scale"):
    if not asked[name].value:
      raise InputError(f"--{name} is missing; --help says what it is")
  if not re.fullmatch(r"[1-9][0-9]{0,3}", asked.scale):
    raise InputError(f"--scale={asked.scale} must be a whole number, at least 1")
  expected = None
  if asked.expected is not None:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", asked.expected) or not float(asked.expected):
      raise InputError(f"--expected={asked.expected} must be a PSNR in dB, such as 32.55")
    expected = float(asked.expected)
  file = None
  if asked.json:
    file = Path(asked.json).expanduser()
    if file.suffix != ".json" or not file.parent.is_dir():
      raise InputError(f"--json={file} must end in .json and lie in a folder that exists")
  return _score(Path(asked.reference), Path(asked.restored), int(asked.scale), expected, file)


def _score(
  reference: Path, restored: Path, scale: int, expected: float | None, file: Path | None
) -> int:
  pairs = pair_images(reference.expanduser(), restored.expanduser())
  width = max(len("mean of 1000"), *(len(path.name) for path, _ in pairs))
  log(f"{'image':<{width}}  PSNR (dB)    SSIM  luminance\n" + "-" * (width + 31))
  scores = []
  for score in score_folder(pairs, scale):  # said one by one, since large images take seconds
    log(f"{score.name:<{width}}  {score.psnr:9.2f}  {score.ssim:.4f}  {score.luminance}")
    scores.append(score)
  psnr, ssim = (float(np.mean([getattr(s, name) for s in scores])) for name in ("psnr", "ssim"))
  log(f"{f'mean of {len(scores)}':<{width}}  {psnr:9.2f}  {ssim:.4f}")
  if any(score.psnr == MAX_PSNR for score in scores):
    log(f"\nEqual images count as {MAX_PSNR:g} dB.")
  variants = dict(_variants(scores))
  rows = [
    [name, *(("-", "-") if db is None else (f"{db:.2f}", f"{round(db - psnr, 2) + 0.0:+.2f}"))]
    for name, db in variants.items()
  ]
  log("\nThe same images as others measure them:\n")
  log(table([["mean PSNR", "dB", "change"], *rows]))
  if variants[RGB] is None:
    log("(- takes restored images in colour)")
  if variants[EDSR_SHAVED] is None:
    log("(- takes larger images)")
  scored = [(score.name, score.psnr, score.corrected) for score in scores]
  if expected is not None:
    whole = folder_habit(scored)
    means = variants | ({whole[0].description: whole[1]} if whole else {})
    log(f"\n{explain_expected(expected, means)}")
  sentences = describe_habits(scored)
  for sentence in sentences:
    log(f"\nHint: {sentence}")
  if file is not None:
    images = {s.name: {"psnr": s.psnr, "ssim": s.ssim, "luminance": s.luminance} for s in scores}
    write_json(
      file,
      {
        "scale": scale,
        "images": images,
        "mean": {"psnr": psnr, "ssim": ssim},
        "variants": variants,
        "hints": sentences,
      },
    )
  return 0


def _variants(scores: Sequence[Score]) -> Iterator[tuple[str, float | None]]:
  """Mean PSNR by variant; None where an image has none."""
  for name in scores[0].errors:
    errors = [score.errors[name] for score in scores]
    known = [to_db(error) for error in errors if error is not None]
    yield name, float(np.mean(known)) if len(known) == len(scores) else None
    if name == PROTOCOL:
      pooled = float(np.mean([error for error in errors if error is not None]))
      yield "errors averaged over images before dB", to_db(pooled)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
