"""Variants of measuring an image's squared error, by which published numbers differ."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Num, UInt8

from sr_jax.data.colour import luminance, unrounded_luminance
from sr_jax.evaluation.metrics import Pixels, shave

PROTOCOL = "as the protocol says"
NOT_SHAVED = "no pixels shaved off"
EDSR_SHAVED = "scale + 6 pixels shaved off, as by EDSR"
FULL_RANGE = "Y in full range (0..255, not 16..235)"
MISCOPIED = "Y with 64.738 for 65.738, a common slip"
NOT_ROUNDED = "Y not rounded"
RGB = "RGB, not Y"
FROM_RGB: dict[str, Callable] = {
  FULL_RANGE: lambda rgb: _round(rgb @ np.array([0.299, 0.587, 0.114])),
  MISCOPIED: lambda rgb: _round(16 + rgb @ (np.array([64.738, 129.057, 25.064]) / 256)),
  NOT_ROUNDED: unrounded_luminance,
  RGB: lambda rgb: rgb,
}


def errors_by_variant(
  image: Pixels, truth: UInt8[np.ndarray, "h w *d"], scale: int
) -> dict[str, float | None]:
  """Mean squared error, in squared gray levels, by the protocol and by the field's variants of it.

  Args:
    image: gray, or RGB; variants that need it in colour, or larger, give None.
    truth: the same; may be RGB even if `image` is gray.
    scale: pixels to shave off every side.
  """
  y, true_y = luminance(image), luminance(truth)
  errors: dict[str, float | None] = {
    PROTOCOL: _mse(y, true_y, scale),
    NOT_SHAVED: _mse(y, true_y, 0),
    EDSR_SHAVED: _mse(y, true_y, scale + 6) if min(y.shape) > 2 * (scale + 6) else None,
  }
  if image.ndim == truth.ndim == 2:
    return errors | dict.fromkeys(FROM_RGB, errors[PROTOCOL])
  if image.ndim == 3:
    return errors | {
      name: _mse(convert(image), convert(truth), scale) for name, convert in FROM_RGB.items()
    }
  stretched = _round((image - 16.0) * (255 / 219))
  full_range = _mse(stretched, FROM_RGB[FULL_RANGE](truth), scale)
  return errors | dict.fromkeys(FROM_RGB, None) | {FULL_RANGE: full_range}


def explain_expected(expected: float, means: Mapping[str, float | None]) -> str:
  """A sentence on which habit's mean PSNR, None if not measured, comes closest to `expected`."""
  known = {name: db for name, db in means.items() if db is not None}
  closest = min(known, key=lambda name: abs(known[name] - expected))
  start = f"{expected:.2f} dB was expected, the protocol gives {known[PROTOCOL]:.2f} dB: "
  if closest == PROTOCOL:
    return f"{start}no habit comes closer"
  psnr, away = known[closest], abs(known[closest] - expected)
  return f"{start}the habit that comes closest is {closest!r}, {psnr:.2f} dB ({away:.2f} dB away)"


def _mse(image: Num[np.ndarray, "h w *c"], truth: Num[np.ndarray, "h w *c"], border: int) -> float:
  error = shave(image, border).astype(np.float64) - shave(truth, border)
  return float((error * error).mean())


def _round(values: np.ndarray) -> np.ndarray:
  return np.floor(values.clip(0, 255) + 0.5)
