"""Segmentation: a class for every HR pixel."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float64, Int, Integer, Num, UInt8
from scipy.ndimage import gaussian_filter
from scipy.special import softmax

from sr_jax.config import InputError
from sr_jax.data.images import pair_of
from sr_jax.data.pairs import Layout, Pair
from sr_jax.networks.maps import Maps
from sr_jax.tasks.task import Picture, Task

SIGMA = 3.0  # HR pixels, of the window in which mean and deviation are taken
BANDS = (0.35, 0.5)  # of the local mean; dark, middle, bright
DEVIATION = 0.05  # local standard deviation from which a place is textured
COMPUTED_CLASSES = 2 * (len(BANDS) + 1)
RAREST = 1e-6  # frequency of a class that is absent, whose logarithm must be finite
# Dark, middle and bright, smooth and then textured: blues and oranges of ColorBrewer; then Set1.
COLOURS = np.array(
  [
    *[(8, 81, 156), (66, 146, 198), (158, 202, 225), (166, 54, 3), (241, 105, 19), (253, 190, 133)],
    *[(228, 26, 28), (77, 175, 74), (152, 78, 163), (255, 255, 51), (166, 86, 40), (247, 129, 191)],
  ],
  np.uint8,
)


@dataclasses.dataclass(frozen=True)
class Segmentation(Task):
  """A photograph -> the class of each pixel, from LR maps at scale 4.

  Without labels, classes are computed: three bands of the local mean, by smooth or textured as the
  local standard deviation says. A pixel alone does not decide them, a window of about 25 pixels
  does. FCN (Long et al. 2015, arXiv 1411.4038) upsamples by transposed convolutions, DUC (Wang et
  al. 2018, arXiv 1702.08502) by LR maps and a shuffle. No network: the same answer everywhere,
  the classes as frequent as they are in that photograph; the best answer that ignores the pixels.

  Attributes:
    classes: 6 of those that are computed; of labels, one more than the greatest.
  """

  scale: int = 4
  classes: int = COMPUTED_CLASSES
  name: ClassVar[str] = "segmentation"
  measure: ClassVar[str] = "iou"
  unit: ClassVar[str] = ""
  trains_on_psnr: ClassVar[bool] = False
  no_network: ClassVar[str] = (
    "an oracle: the class that is most frequent in this photograph, everywhere"
  )
  fields: ClassVar[Mapping[str, Any]] = {"mid_output": 0.0}

  @property
  def outputs(self) -> Maps:
    """A logit for each class."""
    return Maps(hr=self.classes)

  @property
  def layout(self) -> Layout:
    """Targets are one label a pixel, whatever the number of classes."""
    return super().layout._replace(target_maps=1, target_dtype="int32")

  def pair(
    self,
    name: str,
    pixels: UInt8[np.ndarray, "h w"],
    labels: Integer[np.ndarray, "..."] | None = None,
  ) -> Pair:
    """Labels the photograph; uint8 -> int32.

    Args:
      name: of the photograph.
      pixels: its luminance.
      labels: `(h, w)` in 0..classes - 1; None computes them.

    Raises:
      InputError: labels do not fit the photograph or the number of classes.
    """
    if labels is None:
      labels = computed_labels(pixels)
    elif labels.shape != pixels.shape:
      raise InputError(
        f"{name} is an image of {pixels.shape} pixels and has {labels.shape} labels; give each "
        "pixel one label"
      )
    if labels.min() < 0 or labels.max() >= self.classes:
      raise InputError(
        f"{name} has labels from {labels.min()} to {labels.max()}, and {self.classes} classes are "
        f"0 to {self.classes - 1}; change the labels or the number of classes"
      )
    photo, labels = (self.cropped(name, image, self.scale) for image in (pixels, labels))
    return pair_of(name, photo, labels.astype(np.int32))

  def loss(
    self, output: Float[Array, "b *space c"], target: Integer[Array, "b *space k"]
  ) -> Float[Array, ""]:
    """The mean cross-entropy of the softmax, in nats."""
    losses = optax.softmax_cross_entropy_with_integer_labels(output, target[..., 0])
    return jnp.mean(losses)

  def score(self, output: Float[np.ndarray, "h w c"], pair: Pair) -> dict[str, float]:
    """Mean IoU and the share of pixels that are right; NaN where an output is not finite.

    The intersection over union is averaged over the classes that the photograph or the answer has.
    """
    if not np.isfinite(output).all():
      return {"iou": math.nan, "accuracy": math.nan}
    answer = output.argmax(axis=-1)
    both = self.classes * pair.target + answer
    confusion = np.bincount(both.ravel(), minlength=self.classes**2)
    confusion = confusion.reshape(self.classes, self.classes)
    right = confusion.diagonal()
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return {
      "iou": float(np.mean(right[union > 0] / union[union > 0])),
      "accuracy": float(right.sum() / confusion.sum()),
    }

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "h w c"]:
    """The logarithm of the classes' frequencies, at every pixel."""
    counts = np.bincount(pair.target.ravel(), minlength=self.classes)
    logits = np.log(np.maximum(counts / pair.target.size, RAREST))
    return np.broadcast_to(logits, (*pair.target.shape, self.classes)).copy()

  def error(self, output: Float[np.ndarray, "h w c"], pair: Pair) -> Float64[np.ndarray, "h w c"]:
    """The probability of each class, less 1 where it is the right one."""
    return softmax(output.astype(np.float64), axis=-1) - np.eye(self.classes)[pair.target]

  def picture(self, values: Num[np.ndarray, "..."]) -> Picture:
    """The colours of labels `(h, w)`, or of the likeliest classes."""
    labels = values.argmax(axis=-1) if values.ndim > self.dims else values
    return COLOURS[labels % len(COLOURS)]


def computed_labels(pixels: UInt8[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
  """Dark, middle and bright in 0..2, and 3 more where textured; local moments have a Gaussian."""
  values = pixels / 255
  mean, mean_square = (gaussian_filter(moment, SIGMA) for moment in (values, values**2))
  deviation = np.sqrt(np.maximum(mean_square - mean**2, 0))
  return np.digitize(mean, BANDS) + (len(BANDS) + 1) * (deviation >= DEVIATION)
