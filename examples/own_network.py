"""Three networks of the field, written as anybody would, to be compared with those of sr_jax.

  python launch.py --experiment=matched_flops --arms=lr,examples.own_network:EDSR \
    --match=macs:features

Each maps LR luminance in 0..1, `(batch, h, w, 1)`, to HR luminance, `(batch, scale * h,
scale * w, 1)`. None needs anything of sr_jax.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx


def pixel_shuffle(x: jax.Array, scale: int) -> jax.Array:
  """`(b, h, w, scale**2)` to `(b, scale * h, scale * w, 1)`."""
  batch, height, width, _ = x.shape
  x = x.reshape(batch, height, width, scale, scale).swapaxes(2, 3)
  return x.reshape(batch, scale * height, scale * width, 1)


def enlarged(x: jax.Array, scale: int) -> jax.Array:
  """The nearest LR pixel of every HR pixel, to which the networks add."""
  return jnp.repeat(jnp.repeat(x, scale, axis=1), scale, axis=2)


class EDSR(nn.Module):
  """EDSR (Lim et al. 2017, arXiv 1707.02921): residual blocks without normalisation."""

  scale: int = 2
  features: int = 64
  blocks: int = 5

  @nn.compact
  def __call__(self, x: jax.Array) -> Any:
    """Maps LR luminance to HR luminance."""
    first = y = nn.Conv(self.features, (3, 3), name="first")(x - 0.5)
    for i in range(self.blocks):
      z = nn.relu(nn.Conv(self.features, (3, 3), name=f"block_{i}_in")(y))
      y = y + nn.Conv(self.features, (3, 3), name=f"block_{i}_out")(z)
    y = first + nn.Conv(self.features, (3, 3), name="body")(y)
    y = nn.Conv(self.scale**2, (3, 3), name="last")(y)
    return enlarged(x, self.scale) + pixel_shuffle(y, self.scale)


class SPAN(nn.Module):
  """SPAN (Wan et al. 2023, arXiv 2311.12770): attention without parameters.

  A block weighs its own maps by a sigmoid of them, less a half, which is symmetric about zero.
  """

  scale: int = 2
  features: int = 48
  blocks: int = 3

  @nn.compact
  def __call__(self, x: jax.Array) -> Any:
    """Maps LR luminance to HR luminance."""
    first = y = nn.Conv(self.features, (3, 3), name="first")(x - 0.5)
    for i in range(self.blocks):
      z = nn.silu(nn.Conv(self.features, (3, 3), name=f"block_{i}_a")(y))
      z = nn.silu(nn.Conv(self.features, (3, 3), name=f"block_{i}_b")(z))
      z = nn.Conv(self.features, (3, 3), name=f"block_{i}_c")(z)
      y = (y + z) * (nn.sigmoid(z) - 0.5)
    y = nn.Conv(self.features, (1, 1), name="join")(jnp.concatenate([first, y], axis=-1))
    y = nn.Conv(self.scale**2, (3, 3), name="last")(y)
    return enlarged(x, self.scale) + pixel_shuffle(y, self.scale)


class ChannelAttention(nnx.Module):
  """Weighs maps by a function of their means over the whole image."""

  def __init__(self, features: int, reduced: int, *, rngs: nnx.Rngs) -> None:
    self.down = nnx.Linear(features, reduced, rngs=rngs)
    self.up = nnx.Linear(reduced, features, rngs=rngs)

  def __call__(self, x: jax.Array) -> jax.Array:
    """Weighs the maps of each image."""
    means = x.mean(axis=(1, 2), keepdims=True)
    return x * nnx.sigmoid(self.up(nnx.relu(self.down(means))))


class RCAN(nnx.Module):
  """RCAN (Zhang et al. 2018, arXiv 1807.02758): residual blocks with channel attention."""

  def __init__(
    self, scale: int = 2, features: int = 64, blocks: int = 4, *, rngs: nnx.Rngs
  ) -> None:
    self.scale = scale

    def conv(inputs: int, outputs: int) -> nnx.Conv:
      return nnx.Conv(inputs, outputs, (3, 3), rngs=rngs)

    def block() -> nnx.Sequential:
      attention = ChannelAttention(features, max(1, features // 16), rngs=rngs)
      layers = conv(features, features), nnx.relu, conv(features, features), attention
      return nnx.Sequential(*layers)

    self.first, self.last = conv(1, features), conv(features, scale**2)
    self.blocks = nnx.List([block() for _ in range(blocks)])

  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps LR luminance to HR luminance."""
    y = self.first(x - 0.5)
    for block in self.blocks:
      y = y + block(y)
    return enlarged(x, self.scale) + pixel_shuffle(self.last(y), self.scale)
