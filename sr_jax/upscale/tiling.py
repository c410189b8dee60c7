"""Upscales an image of any size in tiles, which together are what the whole image gives.

Every tile is a window of the image on which the network runs as it is: where the window ends with
the image, the network's own padding is that of the whole image; where it ends within, what its
padding reaches is dropped, and the next tile has it. So in exact arithmetic there is no seam.

In float32 an output pixel is the same sum wherever it lies, but XLA may order its terms by the
shape of the input, and promises nothing. As found by experiment, with 2 threads and with 16, and
held by the tests, XLA on CPU orders them alike in all inputs of at least a thousand pixels, and
tiles and whole are equal bit for bit. (A strip of 1 x 64 pixels may differ from one of 1 x 300 in
the last bit.) So tiles of a strip are long: they have the pixels of a square one. An image smaller
than a tile is one tile. On GPU, where cuDNN chooses algorithms by shape, tiles and whole are equal
to rounding.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float32

from sr_jax.networks import Network
from sr_jax.operators.resize import BICUBIC_REACH

SIDE = 256  # of a tile in LR pixels: 64 maps of three times that take 150 MB

Part = tuple[slice, slice]  # rows and columns


class Tile(NamedTuple):
  """One tile.

  Attributes:
    window: what the network is given, of the image extended by its `margin`.
    kept: what is kept of its output, in HR pixels.
    part: where that belongs in the HR image.
  """

  window: Part
  kept: Part
  part: Part


def reach(network: Network) -> int:
  """LR pixels on each side of its own that an output can depend on."""

  def one_side(after: int) -> int:
    lr = hr = 0
    for layer in network.layers:
      low, _ = layer.padding
      if layer.stride > 1:
        taps = low + layer.stride - 1 if after else layer.kernel_size - 1 - low
        lr += taps // layer.stride
      elif layer.grid == "lr":
        lr += layer.padding[after]
      else:
        hr += layer.padding[after]
    return lr + math.ceil(hr / network.scale)

  body = max(one_side(0), one_side(1)) + (BICUBIC_REACH if network.bicubic_first else 0)
  return max(body, BICUBIC_REACH) if network.bicubic_skip else body


def plan(network: Network, height: int, width: int, side: int = SIDE) -> list[Tile]:
  """The tiles of an image, row by row; all have one shape, so that one program serves them.

  Args:
    network: what upscales.
    height: of the image in LR pixels.
    width: likewise.
    side: of a tile, raised where the network's reach would leave little of it. Of an image that is
      lower or narrower than that, tiles have as many pixels, or are the whole.
  """
  dropped = max(reach(network) - network.margin, 0)
  side = max(side, 4 * dropped)
  columns = min(width, side**2 // min(height, side))
  rows = min(height, side**2 // columns)
  return [
    Tile(*zip(*pair, strict=True))
    for pair in itertools.product(
      _along(height, rows, dropped, network), _along(width, columns, dropped, network)
    )
  ]


def _along(
  length: int, size: int, dropped: int, network: Network
) -> Iterator[tuple[slice, slice, slice]]:
  """Window, what is kept of it, and where that belongs, of each tile along one axis."""
  scale, end = network.scale, 0
  starts = range(0, length - 2 * dropped, size - 2 * dropped) if size < length else [0]
  for start in (min(one, length - size) for one in starts):
    begin, end = end, start + size - (dropped if start + size < length else 0)
    yield (
      slice(start, start + size + 2 * network.margin),
      slice(scale * (begin - start), scale * (end - start)),
      slice(scale * begin, scale * end),
    )


@functools.lru_cache(maxsize=16)
def _make_upscale(network: Network) -> Callable:
  def one(params: Any, window: Float32[Array, "h w"]) -> Float32[Array, "rh rw"]:
    output: Any = network.apply({"params": params}, window[None, :, :, None])
    return output[0, :, :, 0]

  return jax.jit(one)


def upscale_tiles(
  network: Network, params: Any, lr: Float32[np.ndarray, "h w"], tiles: Sequence[Tile]
) -> Iterator[tuple[Part, Float32[np.ndarray, "rh rw"]]]:
  """Upscales an image tile by tile.

  Args:
    network: what upscales.
    params: of one member.
    lr: luminance with values in 0..1.
    tiles: as `plan` gives them.

  Yields:
    `(part, sr)`: rows and columns of the HR image, and its luminance there, not clipped. Every
    pixel belongs to one part.
  """
  run = _make_upscale(network)
  extended = np.pad(lr, network.margin, mode="edge")
  params = jax.device_put(params)
  ahead = run(params, extended[tiles[0].window])
  for tile, following in itertools.zip_longest(tiles, tiles[1:]):
    output = ahead
    if following:  # the device works on it while the host has this one
      ahead = run(params, extended[following.window])
    yield tile.part, np.asarray(output)[tile.kept]
