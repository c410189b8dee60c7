"""Draws docs/figures/upscaled.png: `python -m docs.draw_upscaled --run=RUN`.

A detail of a packaged photograph, reduced and enlarged again by bicubic interpolation and by the
network of a finished run, as `python -m sr_jax.upscale` does it, beside the original.
"""

import dataclasses
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sr_jax.config import setting
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.operators.resize import imresize
from sr_jax.report.figures import STYLE, save
from sr_jax.runtime.command_line import REQUIRED, run
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import restore as trained
from sr_jax.upscale.__main__ import upscale_image

PHOTO, TOP, LEFT, SIDE = "chelsea", 80, 150, 120
FILE = Path(__file__).parent / "figures" / "upscaled.png"


@dataclasses.dataclass(frozen=True)
class Arguments:
  """The command line."""

  run: str = setting(REQUIRED, "folder of a finished run")


def _resized(pixels: np.ndarray, factor: float) -> np.ndarray:
  return np.floor(imresize(pixels.astype(float), factor).clip(0, 255) + 0.5).astype(np.uint8)


def main(arguments: Arguments) -> None:
  """Draws the figure with the run's first arm."""
  by = trained.load(RunFolder(Path(arguments.run).expanduser()))
  scale = by.network.scale
  whole = np.asarray(Image.open(SAMPLE_PHOTOS / f"{PHOTO}.webp").convert("RGB"))
  height, width = (side - side % scale for side in whole.shape[:2])
  whole = whole[:height, :width]
  small = _resized(whole, 1 / scale)
  upscaled = upscale_image(Image.fromarray(small), PHOTO, by)
  shown = {
    "small": np.kron(small, np.ones((scale, scale, 1), np.uint8)),
    "bicubic": _resized(small, scale),
    f"{by.arm.upper()}, trained for {by.step:,} steps": np.asarray(upscaled),
    "as it was": whole,
  }
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
      axes.imshow(image[TOP : TOP + SIDE, LEFT : LEFT + SIDE])
      axes.set_title(title)
      axes.axis("off")
  save(figure, FILE)


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
