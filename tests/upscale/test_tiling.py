import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.networks import Maps, espcn, fsrcnn, hr_network, lr_network, srcnn, upscale
from sr_jax.networks.budget import budget
from sr_jax.networks.own import own_network
from sr_jax.networks.pair import scheduled_network
from sr_jax.upscale.tiling import plan_tiles, reach, upscale_tiles

SIDE = 40
NETWORKS = {
  "lr": lr_network(features=8, depth=2),
  "hr": hr_network(features=4, depth=2),
  "hr-learned": hr_network(features=4, depth=1, upsampling="transposed_conv"),
  "hr-untied": hr_network(features=2, depth=1, execution="lr_space", untied=True),
  "mixed": scheduled_network(2, [Maps(4, 1), Maps(8), Maps(0, 2)]),
  "espcn": espcn(),
  "srcnn": srcnn(),
  "srcnn-same": srcnn(2, padding="same"),
  "fsrcnn": fsrcnn(),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
# One tile, a row more than one, and strips, whose tiles have as many pixels as others.
SIZES = [(2, 31), (41, 83), (18, 301), (1, 3500), (3500, 1)]
FAST_SIZES = [(41, 83), (1, 3500)]


def params_of(network):
  """Parameters with biases, which padding must not meet twice."""
  side = 8 + 2 * network.margin
  params = network.init(jax.random.key(0), jnp.zeros((1, side, side, 1)))["params"]
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda x: x + rng.normal(0, 0.05, x.shape).astype(np.float32), params)


def noise(*shape):
  return np.random.default_rng(1).random(shape, np.float32)


def whole(network, params, lr):
  run = jax.jit(lambda params, x: upscale(network, params, x))
  return np.asarray(run(params, lr[None, :, :, None]))[0, :, :, 0]


def tiled(network, params, lr, side):
  out = np.full([network.scale * length for length in lr.shape], np.nan, np.float32)
  for part, sr in upscale_tiles(network, params, lr, plan_tiles(network, *lr.shape, side)):
    assert np.isnan(out[part]).all()  # every pixel once
    out[part] = sr
  return out


def assert_tiles_are_the_whole(network, size, side=SIDE):
  params, lr = params_of(network), noise(*size)
  expected, found = whole(network, params, lr), tiled(network, params, lr, side)
  exact = jax.default_backend() == "cpu"
  np.testing.assert_allclose(found, expected, rtol=0, atol=0 if exact else 1e-5)


@pytest.mark.usefixtures("optimised")
@every_network
@pytest.mark.parametrize("size", FAST_SIZES)
def test_tiles_are_the_whole_bit_for_bit(network, size):
  assert_tiles_are_the_whole(network, size)


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@every_network
@pytest.mark.parametrize("size", [size for size in SIZES if size not in FAST_SIZES])
def test_so_they_are_of_other_sizes(network, size):
  assert_tiles_are_the_whole(network, size)


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("network", [lr_network(), hr_network()], ids=["lr", "hr"])
def test_so_are_the_tiles_that_are_used(network):
  assert_tiles_are_the_whole(network, (300, 523), 256)


@every_network
def test_an_output_depends_on_pixels_within_reach_alone(network):
  params, middle, scale = params_of(network), 20, network.scale
  lr = noise(41, 41)
  own = (slice(scale * middle, scale * (middle + 1)),) * 2
  expected = whole(network, params, lr)[own]

  def changes(row):
    other = lr.copy()
    other[row, middle] = 1e4  # not NaN, which kernels in LR space multiply by zeros
    return (whole(network, params, other)[own] != expected).any()

  pixels = reach(network)
  assert not changes(middle - pixels - 1)
  assert not changes(middle + pixels + 1)
  assert changes(middle - pixels) or changes(middle + pixels)
  assert budget(network).receptive_field <= scale * (2 * pixels + 1)


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (40, 40), (500, 39), (39, 500), (2000, 3)])
@pytest.mark.parametrize("depth", [1, 40])
def test_tiles_are_alike_and_no_smaller_than_asked(size, depth):
  tiles = plan_tiles(lr_network(depth=depth), *size, SIDE)
  shapes = {tuple(s.stop - s.start for s in tile.window) for tile in tiles}
  ((rows, columns),) = shapes
  assert rows * columns > SIDE**2 - max(size) or (rows, columns) == size
  if depth == 1:
    assert rows * columns <= SIDE**2
  assert all(0 <= s.start < s.stop <= n for t in tiles for s, n in zip(t.window, size, strict=True))


OWN = """
import jax.numpy as jnp
from flax import linen as nn
from examples.own_network import pixel_shuffle

class Strided(nn.Module):
  zeros: bool = False
  @nn.compact
  def __call__(self, x):
    y = nn.Conv(2, (3, 3), strides=(2, 2))(x)
    y = y.repeat(2, 1).repeat(2, 2)[:, :x.shape[1], :x.shape[2]]
    init = nn.initializers.zeros if self.zeros else nn.initializers.lecun_normal()
    return pixel_shuffle(nn.Conv(4, (3, 3), kernel_init=init)(y), 2)
"""


@pytest.mark.parametrize("zeros", ["true", "false"])
def test_an_own_network_that_strides_is_applied_to_whole_images(zeros, tmp_path, monkeypatch):
  (tmp_path / "own_strided.py").write_text(OWN)
  monkeypatch.syspath_prepend(tmp_path)
  network = own_network("own_strided:Strided", 2, f'{{"zeros": {zeros}}}')
  assert reach(network) is None
  (tile,) = plan_tiles(network, 100, 70, SIDE)
  assert (tile.window, tile.part) == (
    (slice(0, 100), slice(0, 70)),
    (slice(0, 200), slice(0, 140)),
  )


def test_an_own_network_of_convolutions_is_applied_to_tiles():
  network = own_network("examples.own_network:EDSR", 2, '{"features": 2, "blocks": 1}')
  assert reach(network) == 5
  assert len(plan_tiles(network, 100, 70, SIDE)) > 1
  assert_tiles_are_the_whole(network, (41, 83))
  rcan = own_network("examples.own_network:RCAN", 2, '{"features": 2, "blocks": 1}')
  assert reach(rcan) is None
  assert len(plan_tiles(rcan, 100, 70, SIDE)) == 1
