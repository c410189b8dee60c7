"""Upscales an image of any size in tiles without seams.

Every tile is a window of the image on which the network runs unchanged. At the border of the image
the network's padding is that of the whole image; at any other edge, outputs that depend on padding
are dropped, and the next tile computes them. In exact arithmetic the result is that of the whole
image.

In float32 an output pixel is the same sum in any tile, but XLA may order its terms by the shape of
the input. In experiments with 2 and with 16 threads, and in the tests, XLA on CPU orders them alike
for all inputs of at least a thousand pixels, and the bits are those of the whole image. (A strip of
1 x 64 pixels may differ from one of 1 x 300 in the last bit.) So tiles of a strip are long, with as
many pixels as a square tile. An image smaller than a tile is one tile. On GPU, where cuDNN chooses
algorithms by shape, the results are equal to rounding.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float32

from sr_jax.networks import AnyNetwork, Network, OwnNetwork
from sr_jax.networks.budget import lr_windows
from sr_jax.networks.counting import DRAWS, draw
from sr_jax.networks.own import abstract_params
from sr_jax.networks.own_source import guarding

SIDE = 256  # of a tile in LR pixels: 64 maps of three times that take 150 MB

Part = tuple[slice, slice]  # rows and columns
Slices = tuple[slice, slice, slice]  # those of a tile along one axis


class Tile(NamedTuple):
  """One tile."""

  window: Part  # the network's input, in the image extended by its `margin`
  kept: Part  # the part of its output that is kept, in HR pixels
  part: Part  # the place of that part in the HR image


def reach(network: AnyNetwork) -> int | None:
  """LR pixels on each side that an output pixel can depend on.

  None where tiles would leave seams: it depends on the whole image or, in a user's own network, on
  where in the image it is.
  """
  windows = lr_windows(network)
  if windows is None:
    return None
  pixels = max(max(-first, last) for first, last in windows)
  return pixels if isinstance(network, Network) or _shifts(network, pixels) else None


@functools.lru_cache(maxsize=16)
def _shifts(network: OwnNetwork, pixels: int) -> bool:
  """Whether a network's output moves with its input by one pixel, as strided ones' does not.

  Parameters are drawn: at the start, a layer of zeros could hide it.
  """
  side, scale = 2 * pixels + 16, network.scale
  rng, params = np.random.default_rng(0), abstract_params(network)
  noise = rng.random((side + 1, side + 1), np.float32)
  inside = slice(scale * (pixels + 1), scale * (side - pixels))
  moved_inside = slice(inside.start - scale, inside.stop - scale)
  upscale, is_seen = _make_upscale(network), False
  for size, signs in DRAWS:
    drawn = jax.tree.map(functools.partial(draw, rng, size, signs), params)
    with guarding(network.source, "cannot be upscaled in tiles"):
      whole, moved = (np.asarray(upscale(drawn, x)) for x in (noise[:-1, :-1], noise[1:, 1:]))
    pair = whole[inside, inside], moved[moved_inside, moved_inside]
    if not np.isfinite(pair).all():
      continue
    is_seen = True
    if not np.allclose(*pair, rtol=0, atol=1e-4 * np.abs(pair).max()):
      return False
  return is_seen


def plan_tiles(network: AnyNetwork, height: int, width: int, side: int = SIDE) -> list[Tile]:
  """The tiles of an image, row by row, all of the same shape, so that they share one program.

  All sides are in LR pixels. That of a tile is raised if the network's reach would leave little of
  it. For an image that is lower or narrower, tiles have as many pixels, or one is the whole image;
  so it is if tiles would leave seams.
  """
  pixels = None if max(height, width) <= side else reach(network)
  dropped = 0 if pixels is None else max(pixels - network.margin, 0)
  side = max(side, height, width) if pixels is None else max(side, 4 * dropped)
  columns = min(width, side**2 // min(height, side))
  rows = min(height, side**2 // columns)
  along_height = _tiles_along(height, rows, dropped, network)
  along_width = _tiles_along(width, columns, dropped, network)
  pairs = itertools.product(along_height, along_width)
  return [Tile(*zip(*pair, strict=True)) for pair in pairs]


def _tiles_along(length: int, size: int, dropped: int, network: AnyNetwork) -> Iterator[Slices]:
  """Yields the slices of each `Tile` along one axis."""
  scale, end = network.scale, 0
  starts = range(0, length - 2 * dropped, size - 2 * dropped) if size < length else [0]
  for start in (min(start, length - size) for start in starts):
    begin, end = end, start + size - (dropped if start + size < length else 0)
    yield (
      slice(start, start + size + 2 * network.margin),
      slice(scale * (begin - start), scale * (end - start)),
      slice(scale * begin, scale * end),
    )


@functools.lru_cache(maxsize=16)
def _make_upscale(network: AnyNetwork) -> Callable:
  def upscale(params: Any, window: Float32[Array, "h w"]) -> Float32[Array, "rh rw"]:
    output: Any = network.apply({"params": params}, window[None, :, :, None])
    return output[0, :, :, 0]

  return jax.jit(upscale)


def upscale_tiles(
  network: AnyNetwork, params: Any, lr: Float32[np.ndarray, "h w"], tiles: Sequence[Tile]
) -> Iterator[tuple[Part, Float32[np.ndarray, "rh rw"]]]:
  """Upscales an image, luminance in 0..1, tile by tile, with the parameters of one member.

  Yields:
    `(part, sr)`: rows and columns of the HR image, and its luminance there, not clipped. Every
    pixel is in one part.
  """
  upscale = _make_upscale(network)
  extended = np.pad(lr, network.margin, mode="edge")
  params = jax.device_put(params)
  pending = upscale(params, extended[tiles[0].window])
  for tile, next_tile in itertools.zip_longest(tiles, tiles[1:]):
    output = pending
    if next_tile:  # the device computes it while the host uses this one
      pending = upscale(params, extended[next_tile.window])
    yield tile.part, np.asarray(output)[tile.kept]
