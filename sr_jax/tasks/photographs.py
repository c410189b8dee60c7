"""Super-resolution of photographs, as the field trains and scores it."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from jax.sharding import Mesh

from sr_jax.data.pairs import Pair
from sr_jax.data.patches import Crops, Store
from sr_jax.evaluation import scoring
from sr_jax.evaluation.scoring import Scores
from sr_jax.networks import AnyNetwork
from sr_jax.training.objective import Upscaling
from sr_jax.training.sharding import local_view, on_mesh


@dataclasses.dataclass(frozen=True)
class Photographs(Upscaling):
  """HR luminance of photographs from LR luminance, scored by protocol A of the field.

  Attributes:
    measure: the score that decides; higher is better.
    baseline: what is scored where there is no network.
    trains_on_psnr: whether the loss is a mean squared error of values in 0..1.
  """

  measure: ClassVar[str] = "psnr"
  baseline: ClassVar[str] = "bicubic"
  trains_on_psnr: ClassVar[bool] = True

  def validate_members(
    self, network: AnyNetwork, params: Any, pairs: Sequence[Pair], mesh: Mesh, form: str
  ) -> list[float | None]:
    """The score of every member by which rates are chosen: errors pooled over photographs."""
    return scoring.pooled_psnr(network, params, pairs, mesh, form)

  def score_members(
    self, network: AnyNetwork, params: Any, pairs: Sequence[Pair], mesh: Mesh, form: str
  ) -> list[Scores]:
    """PSNR and SSIM of every member on every photograph."""
    return scoring.score(network, params, pairs, mesh, form)

  def score_training(
    self,
    network: AnyNetwork,
    params: Any,
    store: Store,
    crops: Crops,
    patch: int,
    mesh: Mesh,
    margin: int,
    form: str,
  ) -> list[list[float | None]]:
    """Training PSNR of every member on every training photograph; the store is uploaded."""
    images = on_mesh(mesh, store)
    return scoring.training_psnr(network, params, images, crops, patch, mesh, margin, form)

  def score_baseline(self, pairs: Sequence[Pair]) -> Scores:
    """PSNR and SSIM of bicubic interpolation on every photograph."""
    return scoring.score_bicubic(pairs, self.scale)

  def validate_baseline(self, pairs: Sequence[Pair]) -> float:
    """The PSNR of bicubic interpolation, errors pooled over photographs."""
    return scoring.pooled_psnr_of_bicubic(pairs, self.scale)

  def score_training_baseline(
    self, store: Store, crops: Crops, patch: int, margin: int
  ) -> list[float | None]:
    """Training PSNR of bicubic interpolation on every training photograph."""
    images = local_view(store)
    return scoring.training_psnr_of_bicubic(images, crops, patch, self.scale, margin)
