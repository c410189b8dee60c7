"""Scores every member of a population, and bicubic interpolation, on whole photographs."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float32, UInt8

from sr_jax.data.images import Photo
from sr_jax.data.patches import Crops, Store, cut
from sr_jax.evaluation.metrics import mse, score_image, shave, to_db
from sr_jax.networks import Network, squared_error, upscale
from sr_jax.networks.layers import crop_border
from sr_jax.operators.resize import imresize, upscale_bicubic
from sr_jax.runtime import processes
from sr_jax.training.sharding import each_member

Scores = dict[str, list[float | None]]  # "psnr" and "ssim" of one member, image by image


def to_uint8(y: np.ndarray) -> np.ndarray:
  """Finite luminance as 8 bits: clipped to 0..1, rounded half up."""
  return np.floor(y.clip(0, 1) * 255 + 0.5).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def make_upscale(network: Network, mesh: Mesh) -> Callable:
  """A jitted function that upscales one image with every member; each image shape compiles once.

  Returns:
    `upscale(params, lr) -> sr`: `(h, w)` LR luminance to `(members, rh, rw)` HR luminance, both
    float32 with values in 0..1 (the result is not clipped).
  """

  def upscale_member(params: Any, lr: Float32[Array, "h w"]) -> Float32[Array, "rh rw"]:
    return upscale(network, params, lr[None, :, :, None])[0, :, :, 0]

  return jax.jit(each_member(upscale_member, mesh))


def upscale_all(
  network: Network, params: Any, photos: Sequence[Photo], mesh: Mesh
) -> Iterator[tuple[Photo, dict[int, UInt8[np.ndarray, "rh rw"] | None]]]:
  """Yields every photograph with the 8-bit output of each member, None where it is not finite.

  Members are numbered; each process gets those on its devices.
  """
  upscale_photo = make_upscale(network, mesh)
  pending = upscale_photo(params, photos[0].lr)
  for i, photo in enumerate(photos):
    output = pending
    if i + 1 < len(photos):  # the device computes the next output while the host scores this one
      pending = upscale_photo(params, photos[i + 1].lr)
    members = processes.local_rows(output).items()
    yield photo, {i: to_uint8(sr) if np.isfinite(sr).all() else None for i, sr in members}


def _measure(
  network: Network,
  params: Any,
  photos: Sequence[Photo],
  mesh: Mesh,
  measure: Callable[[np.ndarray, np.ndarray], Any],
  not_finite: Any,
) -> list[list[Any]]:
  """`measure(sr, hr)`, or `not_finite`, of every member of all processes on every photograph."""
  measured = [
    [(i, not_finite if sr is None else measure(sr, photo.hr)) for i, sr in members.items()]
    for photo, members in upscale_all(network, params, photos, mesh)
  ]
  values: dict[int, list[Any]] = {}
  for images in processes.all_gather(lambda: measured):
    for member, value in itertools.chain.from_iterable(images):
      values.setdefault(member, []).append(value)
  return [values[member] for member in sorted(values)]


def score(network: Network, params: Any, photos: Sequence[Photo], mesh: Mesh) -> list[Scores]:
  """PSNR and SSIM of every member on every photograph, by protocol A.

  Returns:
    `Scores` of each member; None for an image on which its output is not finite.
  """
  by_protocol = functools.partial(score_image, scale=network.scale)
  members = _measure(network, params, photos, mesh, by_protocol, (None, None))
  return [
    Scores(psnr=[psnr for psnr, _ in pairs], ssim=[ssim for _, ssim in pairs]) for pairs in members
  ]


def pooled_psnr(
  network: Network, params: Any, photos: Sequence[Photo], mesh: Mesh
) -> list[float | None]:
  """PSNR of every member's squared error averaged over the photographs; None if not finite.

  Learning rates are chosen by it. Like the training loss, it depends most on the photographs with
  most error; a mean of dB depends most on smooth ones, whose 40 dB a trace of brightness changes by
  half a dB.
  """

  def error(sr: np.ndarray, hr: np.ndarray) -> float:
    return mse(shave(sr, network.scale), shave(hr, network.scale))

  errors = _measure(network, params, photos, mesh, error, np.nan)
  by_image = list(zip(*errors, strict=True))
  means = np.mean(by_image, axis=0).tolist()
  return [None if math.isnan(mean) else to_db(mean) for mean in means]


def pooled_psnr_of_bicubic(photos: Sequence[Photo], scale: int) -> float:
  """PSNR of bicubic interpolation's squared error, averaged as `pooled_psnr` does."""
  errors = [mse(shave(bicubic(p, scale), scale), shave(p.hr, scale)) for p in photos]
  return to_db(float(np.mean(errors)))


def bicubic(photo: Photo, scale: int) -> UInt8[np.ndarray, "h w"]:
  """The photograph's LR image upscaled by bicubic interpolation, in double precision."""
  return to_uint8(imresize(imresize(photo.hr / 255.0, 1 / scale), scale))


def score_bicubic(photos: Sequence[Photo], scale: int) -> Scores:
  """PSNR and SSIM of bicubic interpolation on every photograph, by protocol A."""
  scores = [score_image(bicubic(photo, scale), photo.hr, scale) for photo in photos]
  return Scores(psnr=[psnr for psnr, _ in scores], ssim=[ssim for _, ssim in scores])


def training_psnr(
  network: Network, params: Any, store: Store, crops: Crops, patch: int, mesh: Mesh, margin: int
) -> list[list[float | None]]:
  """Training PSNR in dB of every member on every training image.

  The error is that of the training loss (not rounded), pooled over an image's patches in `crops`,
  the same number for each image, without `margin` LR pixels on each side: the largest margin of the
  networks that are compared, so that all are measured on the same pixels.
  """
  images = int(store.lr_start.shape[0])

  def patch_errors(params: Any, store: Store, crops: Crops) -> Array:
    def error(crop: Crops) -> Array:
      lr, hr = cut(store, jax.tree.map(lambda x: x[None], crop), patch, network.scale)
      return squared_error(network, params, lr, hr, margin)

    return jax.lax.map(error, crops, batch_size=64)

  errors = processes.to_host(jax.jit(each_member(patch_errors, mesh))(params, store, crops))
  return [_by_image(member, images) for member in errors.astype(np.float64)]


def training_psnr_of_bicubic(
  store: Store, crops: Crops, patch: int, scale: int, margin: int
) -> list[float | None]:
  """Training PSNR of bicubic interpolation, measured as `training_psnr` measures networks."""
  lr, hr = jax.jit(cut, static_argnums=(2, 3))(store, crops, patch, scale)
  upscaled = jax.jit(upscale_bicubic, static_argnums=1)(lr, scale)
  squared = crop_border((upscaled - hr) ** 2, scale * margin)
  errors = np.asarray(squared, np.float64).mean(axis=(1, 2, 3))
  return _by_image(errors, int(store.lr_start.shape[0]))


def _by_image(errors: np.ndarray, images: int) -> list[float | None]:
  """Training PSNR by image, from the errors of equally many patches of each."""
  decibels = [to_db(error, peak=1.0) for error in errors.reshape(images, -1).mean(axis=1).tolist()]
  return [None if math.isnan(db) else db for db in decibels]
