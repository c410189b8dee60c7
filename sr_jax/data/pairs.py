"""What networks learn from: pairs of what they read and what they should write."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Num


@dataclasses.dataclass(frozen=True)
class Pair:
  """What a network reads and what it should write.

  An array is `(*space)` of a single map, `(*space, maps)` of several; the sides of one on the HR
  grid are `scale` times those on the LR grid. uint8 holds 255ths; other dtypes are as they are.

  Attributes:
    name: in results.
    input: that a network reads; of super-resolution the LR image.
    target: that it should write, on the HR grid; of super-resolution the HR image.
    digest: of what both were made from, or of both.
  """

  name: str
  input: Num[np.ndarray, "..."]
  target: Num[np.ndarray, "..."]
  digest: str


class Layout(NamedTuple):
  """How the arrays of pairs lie: what is the same for all pairs of a task.

  Attributes:
    scale: HR pixels along an LR pixel, r.
    dims: spatial axes d.
    input_is_hr: whether inputs are on the HR grid, as targets are.
    input_maps: values of an input at a pixel.
    target_maps: values of a target at a pixel.
    has_symmetries: whether a pair that is mirrored, or whose axes are swapped, is a pair again.
    target_dtype: of targets on the device.
  """

  scale: int
  dims: int = 2
  input_is_hr: bool = False
  input_maps: int = 1
  target_maps: int = 1
  has_symmetries: bool = True
  target_dtype: str = "float32"

  @property
  def input_factor(self) -> int:
    """Pixels of an input along an LR pixel."""
    return self.scale if self.input_is_hr else 1

  def lr_shape(self, pair: Pair) -> tuple[int, ...]:
    """LR pixels along the axes of a pair."""
    return tuple(side // self.input_factor for side in pair.input.shape[: self.dims])


def values_of(array: Num[np.ndarray, "..."], dims: int) -> Num[np.ndarray, "*space c"]:
  """An array of a pair with an axis of maps; bytes become float32 in 0..1."""
  values = array.astype(np.float32) / 255 if array.dtype == np.uint8 else array
  return values if values.ndim > dims else values[..., None]
