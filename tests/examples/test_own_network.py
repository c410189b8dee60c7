import jax
import numpy as np
import pytest

from sr_jax.networks.budget import budget, lr_windows, uncounted
from sr_jax.networks.own import own_network


def macs_of(name, n, blocks, scale):
  """MACs per HR pixel by hand."""
  hidden = {"EDSR": 2 * blocks + 1, "SPAN": 3 * blocks, "RCAN": 2 * blocks}[name]
  join = 2 * n * n if name == "SPAN" else 0
  return (9 * n + 9 * n * n * hidden + join + 9 * n * scale**2) / scale**2


@pytest.mark.parametrize("name", ["EDSR", "SPAN", "RCAN"])
@pytest.mark.parametrize("scale", [2, 3])
def test_costs_what_its_layers_cost(name, scale):
  network = own_network(f"examples.own_network:{name}", scale, '{"blocks": 2, "features": 4}')
  assert float(budget(network).macs) == pytest.approx(macs_of(name, 4, 2, scale), rel=1e-12)
  assert uncounted(network) == ()


def test_an_hr_pixel_depends_on_what_the_kernels_reach_or_on_the_whole_image():
  edsr = own_network("examples.own_network:EDSR", 2, '{"blocks": 1, "features": 3}')
  assert lr_windows(edsr) == [(-5, 5)] * 2
  rcan = own_network("examples.own_network:RCAN", 2, '{"blocks": 1, "features": 3}')
  assert budget(rcan).receptive_field is None


@pytest.mark.parametrize("name", ["EDSR", "SPAN", "RCAN"])
def test_starts_near_the_nearest_pixel(name):
  network = own_network(f"examples.own_network:{name}", 2, '{"blocks": 2, "features": 8}')
  x = np.random.default_rng(0).random((1, 6, 6, 1), np.float32)
  params = network.init(jax.random.key(0), jax.numpy.asarray(x))
  y = np.asarray(network.apply(params, jax.numpy.asarray(x)))
  assert y.shape == (1, 12, 12, 1)
  assert np.corrcoef(y.ravel(), x.repeat(2, 1).repeat(2, 2).ravel())[0, 1] > 0.3
