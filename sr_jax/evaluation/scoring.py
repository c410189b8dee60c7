"""Scores every member of a population, and bicubic interpolation, on whole photographs.

`form` is of the convolutions (operators/conv.py); scores are in float32, whatever it is.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float32, UInt8

from sr_jax.data.pairs import Layout, Pair, values_of
from sr_jax.data.patches import Crops, Store, cut
from sr_jax.evaluation.metrics import mse, score_image, to_db
from sr_jax.networks import AnyNetwork, Network, crop_border, squared_error, upscale
from sr_jax.operators.conv import DEFAULT, Computation, computing
from sr_jax.operators.resize import imresize, upscale_bicubic
from sr_jax.runtime import processes
from sr_jax.training.sharding import each_member

Scores = dict[str, list[float | None]]  # "psnr" and "ssim" of one member, image by image


def to_uint8(y: np.ndarray) -> np.ndarray:
  """Finite luminance as 8 bits: clipped to 0..1, rounded half up."""
  return np.floor(y.clip(0, 1) * 255 + 0.5).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def make_upscale(network: AnyNetwork, mesh: Mesh, form: str = DEFAULT.form) -> Callable:
  """A jitted `upscale(params, lr)` of one image by every member; each image shape compiles once.

  It takes what the network reads, `(*space, maps)`, to what it writes, `(members, *space, maps)`,
  both float32 and not clipped; an image and its HR image, luminance in 0..1, have one map.
  """

  def upscale_member(params: Any, x: Float32[Array, "*space c"]) -> Float32[Array, "*space2 c2"]:
    with computing(Computation(form)):
      return upscale(network, params, x[None])[0]

  return jax.jit(each_member(upscale_member, mesh))


def _measure(
  network: AnyNetwork,
  params: Any,
  photos: Sequence[Pair],
  mesh: Mesh,
  form: str,
  measure: Callable[[np.ndarray, np.ndarray], Any],
  not_finite: Any,
) -> list[list[Any]]:
  """`measure(sr, hr)`, or `not_finite`, of every member of all processes on every photograph."""

  def of_luminance(output: np.ndarray, photo: Pair) -> Any:
    return measure(to_uint8(output[..., 0]), photo.target)

  return measure_outputs(network, params, photos, mesh, form, of_luminance, not_finite)


def measure_outputs(
  network: AnyNetwork,
  params: Any,
  pairs: Sequence[Pair],
  mesh: Mesh,
  form: str,
  measure: Callable[[np.ndarray, Pair], Any],
  not_finite: Any,
) -> list[list[Any]]:
  """`measure(output, pair)`, or `not_finite`, of every member of all processes on every pair.

  Outputs are `(*space, maps)`, float32.
  """
  upscale_pair = make_upscale(network, mesh, form)
  dims = network.dims if isinstance(network, Network) else 2
  measured: list[tuple[int, Any]] = []  # by this process: the members on its devices
  pending = upscale_pair(params, values_of(pairs[0].input, dims))
  for pair, next_pair in itertools.zip_longest(pairs, pairs[1:]):
    outputs = pending
    if next_pair:  # the device computes its output while the host measures this one
      pending = upscale_pair(params, values_of(next_pair.input, dims))
    for member, output in processes.local_rows(outputs).items():
      value = measure(output, pair) if np.isfinite(output).all() else not_finite
      measured.append((member, value))
  values: dict[int, list[Any]] = {}
  for member, value in itertools.chain.from_iterable(processes.all_gather(lambda: measured)):
    values.setdefault(member, []).append(value)
  return [values[member] for member in sorted(values)]


def score(
  network: AnyNetwork, params: Any, photos: Sequence[Pair], mesh: Mesh, form: str = DEFAULT.form
) -> list[Scores]:
  """PSNR and SSIM of each member on each photograph, by protocol A; None if not finite."""
  by_protocol = functools.partial(score_image, scale=network.scale)
  pairs = _measure(network, params, photos, mesh, form, by_protocol, (None, None))
  return list(map(_scores, pairs))


def _scores(pairs: list[tuple[float | None, float | None]]) -> Scores:
  return Scores(psnr=[psnr for psnr, _ in pairs], ssim=[ssim for _, ssim in pairs])


def pooled_psnr(
  network: AnyNetwork, params: Any, photos: Sequence[Pair], mesh: Mesh, form: str = DEFAULT.form
) -> list[float | None]:
  """PSNR of every member's squared error averaged over the photographs; None if not finite.

  Learning rates are chosen by it. Like the training loss, it depends most on the photographs with
  most error; a mean of dB depends most on smooth ones, whose 40 dB a trace of brightness changes by
  half a dB.
  """
  error = functools.partial(mse, border=network.scale)
  by_member = _measure(network, params, photos, mesh, form, error, np.nan)
  means = np.mean(list(zip(*by_member, strict=True)), axis=0).tolist()
  return [None if math.isnan(mean) else to_db(mean) for mean in means]


def pooled_psnr_of_bicubic(photos: Sequence[Pair], scale: int) -> float:
  """PSNR of bicubic interpolation's squared error, averaged as `pooled_psnr` does."""
  return to_db(float(np.mean([mse(bicubic(p, scale), p.target, scale) for p in photos])))


def bicubic(photo: Pair, scale: int) -> UInt8[np.ndarray, "h w"]:
  """The photograph's LR image upscaled by bicubic interpolation, in double precision."""
  return to_uint8(imresize(imresize(photo.target / 255.0, 1 / scale), scale))


def score_bicubic(photos: Sequence[Pair], scale: int) -> Scores:
  """PSNR and SSIM of bicubic interpolation on every photograph, by protocol A."""
  return _scores([score_image(bicubic(photo, scale), photo.target, scale) for photo in photos])


def training_psnr(
  network: AnyNetwork,
  params: Any,
  store: Store,
  crops: Crops,
  patch: int,
  mesh: Mesh,
  margin: int,
  form: str = DEFAULT.form,
) -> list[list[float | None]]:
  """Training PSNR in dB of every member on every training image.

  The error is that of the training loss (not rounded), pooled over an image's patches in `crops`,
  the same number for each image, without `margin` LR pixels on each side: the largest margin of the
  networks that are compared, so that all are measured on the same pixels.
  """

  def patch_errors(params: Any, store: Store, crops: Crops) -> Array:
    def error(crop: Crops) -> Array:
      lr, hr = cut(store, jax.tree.map(lambda x: x[None], crop), patch, Layout(network.scale))
      with computing(Computation(form)):
        return squared_error(network, params, lr, hr, margin)

    return jax.lax.map(error, crops, batch_size=64)

  errors = processes.to_host(jax.jit(each_member(patch_errors, mesh))(params, store, crops))
  return [_by_image(member, len(store.start)) for member in errors.astype(np.float64)]


def training_psnr_of_bicubic(
  store: Store, crops: Crops, patch: int, scale: int, margin: int
) -> list[float | None]:
  """Training PSNR of bicubic interpolation, measured as `training_psnr` measures networks."""
  lr, hr = jax.jit(cut, static_argnums=(2, 3))(store, crops, patch, Layout(scale))
  upscaled = jax.jit(upscale_bicubic, static_argnums=1)(lr, scale)
  squared = crop_border((upscaled - hr) ** 2, scale * margin)
  errors = np.asarray(squared, np.float64).mean(axis=(1, 2, 3))
  return _by_image(errors, len(store.start))


def _by_image(errors: np.ndarray, images: int) -> list[float | None]:
  """Training PSNR by image, from the errors of equally many patches of each."""
  decibels = [to_db(error, peak=1.0) for error in errors.reshape(images, -1).mean(axis=1).tolist()]
  return [None if math.isnan(db) else db for db in decibels]
