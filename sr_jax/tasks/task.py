"""What a task is: how a pair is made, what a network reads and writes, its loss and its score."""

import abc
import dataclasses
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float64, Num, UInt8

from sr_jax.config import InputError
from sr_jax.data.pairs import Layout, Pair
from sr_jax.evaluation.metrics import to_db
from sr_jax.evaluation.periodicity import phase_periodicity
from sr_jax.evaluation.scoring import Scores, measure_outputs
from sr_jax.networks import AnyNetwork
from sr_jax.networks.maps import Maps

Picture = UInt8[np.ndarray, "h w *c"]  # gray, or RGB


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
  """From images to images of one value a pixel, both on the HR grid; children change what differs.

  Attributes:
    scale: HR pixels along an LR pixel, r: the step between the two grids of its networks.
    dims: spatial axes.
    name: of the task in flags, folders and tables.
    inputs: maps that a network reads.
    measure: the key of `score` that decides; higher is better.
    unit: of that score, empty for a share.
    no_network: what `without_network` gives, in words.
    trains_on_psnr: whether the loss is a mean squared error of values in 0..1.
    has_symmetries: whether a pair that is mirrored, or whose axes are swapped, is a pair again.
    in_colour: whether `pair` takes RGB rather than luminance.
    bottleneck: the state between an encoder and a decoder, of a task that has both.
  """

  scale: int
  dims: int = dataclasses.field(default=2, init=False)
  name: ClassVar[str]
  inputs: ClassVar[Maps] = Maps(hr=1)
  measure: ClassVar[str] = "psnr"
  unit: ClassVar[str] = "dB"
  no_network: ClassVar[str]
  baseline: ClassVar[str] = "no_network"  # the key of what no network scores
  trains_on_psnr: ClassVar[bool] = True
  has_symmetries: ClassVar[bool] = True
  in_colour: ClassVar[bool] = False
  bottleneck: ClassVar[Maps | None] = None

  @property
  def outputs(self) -> Maps:
    """Maps that a network writes, all on the HR grid (it may write them as phases)."""
    return Maps(hr=1)

  @property
  def fields(self) -> Mapping[str, Any]:
    """Further fields of its networks."""
    return {}

  @property
  def layout(self) -> Layout:
    """How the arrays of its pairs lie."""
    return Layout(
      scale=self.scale,
      dims=self.dims,
      input_is_hr=bool(self.inputs.hr),
      input_maps=self.inputs.hr or self.inputs.lr,
      target_maps=self.outputs.hr,
      has_symmetries=self.has_symmetries,
    )

  @abc.abstractmethod
  def pair(self, name: str, pixels: UInt8[np.ndarray, "h w *c"]) -> Pair:
    """What a network reads and should write of a photograph, the same at every call.

    Sides are cropped to multiples of the scale. What is random is seeded by the name.

    Raises:
      InputError: the photograph is too small, or not what the task takes.
    """

  def loss(
    self, output: Float[Array, "b *space c"], target: Float[Array, "b *space c"]
  ) -> Float[Array, ""]:
    """What is minimised: the mean squared error."""
    return jnp.mean((output - target) ** 2)

  def training_loss(self, network: AnyNetwork, params: Any, inputs: Array, targets: Array) -> Array:
    """The loss of a batch of pairs."""
    output: Any = network.apply({"params": params}, inputs)
    return self.loss(output, targets)

  def score(self, output: Float[np.ndarray, "*space c"], pair: Pair) -> dict[str, float]:
    """Measures of an output, in float64; NaN where it is not finite.

    PSNR in dB with peak 1 over all pixels and maps, neither clipped nor rounded to 8 bits.
    """
    return {"psnr": to_db(float(np.mean(self.error(output, pair) ** 2)), peak=1.0)}

  def without_network(self, pair: Pair) -> Float64[np.ndarray, "*space c"]:
    """What no network gives, as an output."""
    return self.values(pair.input)

  def error(
    self, output: Float[np.ndarray, "*space c"], pair: Pair
  ) -> Float64[np.ndarray, "*space c"]:
    """The output less what it should be, value by value."""
    return output.astype(np.float64) - self.values(pair.target)

  def values(self, array: Num[np.ndarray, "..."]) -> Float64[np.ndarray, "*space c"]:
    """An array of a pair in float64 with its axis of maps; uint8 in 0..1."""
    if array.dtype == np.uint8:
      array = array / 255
    return array.astype(np.float64).reshape(*array.shape[: self.dims], -1)

  def all_scores(self, output: Float[np.ndarray, "*space c"], pair: Pair) -> dict[str, Any]:
    """The scores of an output, and the phase periodicity of its error in dB."""
    periodicity = phase_periodicity(self.error(output, pair), self.scale)
    return {**self.score(output, pair), "periodicity": periodicity}

  def score_members(
    self, network: AnyNetwork, params: Any, pairs: Sequence[Pair], mesh: Mesh, form: str
  ) -> list[Scores]:
    """All scores of every member on every pair, by measure; None where an output is not finite."""
    by_member = measure_outputs(network, params, pairs, mesh, form, self.all_scores, None)
    finite = [scores for member in by_member for scores in member if scores is not None]
    keys = [*finite[0]] if finite else [*self.score_baseline(pairs[:1])]
    return [
      {key: [None if scores is None else scores[key] for scores in member] for key in keys}
      for member in by_member
    ]

  def validate_members(
    self, network: AnyNetwork, params: Any, pairs: Sequence[Pair], mesh: Mesh, form: str
  ) -> list[float | None]:
    """The mean over pairs of the score that decides, of every member; None if not finite."""

    def decides(output: np.ndarray, pair: Pair) -> float:
      return self.score(output, pair)[self.measure]

    by_member = measure_outputs(network, params, pairs, mesh, form, decides, np.nan)
    means = [float(np.mean(member)) for member in by_member]
    return [None if math.isnan(mean) else mean for mean in means]

  def score_training(self, *_: Any) -> list[list[float | None]]:
    """Nothing: only photographs are scored on the patches that they are trained on."""
    return []

  def score_baseline(self, pairs: Sequence[Pair]) -> Scores:
    """All scores of what no network gives."""
    scores = [self.all_scores(self.without_network(pair), pair) for pair in pairs]
    return {key: [each[key] for each in scores] for key in scores[0]}

  def validate_baseline(self, pairs: Sequence[Pair]) -> float:
    """The mean over pairs of the score of what no network gives."""
    scores = [self.score(self.without_network(pair), pair)[self.measure] for pair in pairs]
    return float(np.mean(scores))

  def score_training_baseline(self, *_: Any) -> list[float | None]:
    """Nothing, as `score_training`."""
    return []

  def picture(self, values: Num[np.ndarray, "..."]) -> Picture | None:
    """A picture of an output, or of a target; None where there is none, as of signals."""
    return to_picture(self.values(values))

  def input_picture(self, pair: Pair) -> Picture | None:
    """A picture of the input on the HR grid; None where there is none."""
    values = self.values(pair.input)
    if not self.layout.input_is_hr:
      values = values.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
    return to_picture(values)

  def cropped(
    self, name: str, pixels: Num[np.ndarray, "..."], multiple: int, margin: int = 0
  ) -> Num[np.ndarray, "..."]:
    """Crops each side, at its end, to a multiple and two margins.

    Raises:
      InputError: a side is too short.
    """
    sides, margins = pixels.shape[: self.dims], 2 * margin
    if min(sides) < multiple + margins:
      raise InputError(
        f"{name} is {' x '.join(map(str, sides))} in size, and {self.name} needs at least "
        f"{multiple + margins} along each side; leave it out"
      )
    return pixels[tuple(slice(side - (side - margins) % multiple) for side in sides)]


def to_picture(values: Float[np.ndarray, "h w c"]) -> Picture:
  """8 bits of one or three maps in 0..1: clipped, rounded half up."""
  pixels = np.floor(values.clip(0, 1) * 255 + 0.5).astype(np.uint8)
  return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def random_of(name: str) -> np.random.Generator:
  """Random numbers that a name alone decides."""
  return np.random.default_rng(zlib.crc32(name.encode()))
