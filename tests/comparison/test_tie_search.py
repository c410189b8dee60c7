"""The search for tied channels: it finds back what was tied, and nothing in random kernels."""

import numpy as np
import pytest

from sr_jax.comparison import tie_search, ties
from sr_jax.comparison.ties import Structure
from sr_jax.networks import hr_network, lr_network
from sr_jax.networks.pair import Residual
from sr_jax.operators.lifting import lift_conv

PLAIN = Structure(2, 2, (0, 1, 2, 3, 4))
RESIDUAL = Structure(2, 2, (0, 1, 0, 2, 0))
SCALE_3 = Structure(3, 2, (0, 1, 2))
ON_A_LINE = Structure(2, 1, (0, 1, 2))
CHANNELS = {PLAIN: 32, RESIDUAL: 16, SCALE_3: 18, ON_A_LINE: 16}


def hidden_ties(structure, noise=0.0, seed=0):
  """Tied kernels of random HR kernels, in random orders, with this share of noise; the orders."""
  rng = np.random.default_rng(seed)
  channels, size = CHANNELS[structure], 2 * structure.scale + 1
  orders = ties.random_orders(1, channels, structure, rng)
  kernels = []
  for reads, writes in structure.layers:
    maps = channels // structure.phases
    hr = rng.standard_normal((*(size,) * structure.dims, maps, maps)).astype(np.float32)
    padding = ((structure.scale, structure.scale),) * structure.dims
    lifted = np.asarray(lift_conv(hr, structure.scale, padding)[0], np.float64)
    mixed = np.sqrt(1 - noise) * lifted / lifted.std()
    mixed = mixed + np.sqrt(noise) * rng.standard_normal(mixed.shape)
    back = (np.argsort(orders[0, number]) for number in (reads, writes))
    kernels.append(mixed[(..., *np.ix_(*back))])
  return np.stack(kernels)[None], orders


@pytest.mark.parametrize("structure", CHANNELS, ids=["plain", "residual", "scale 3", "one axis"])
def test_hidden_ties_are_found_back(structure):
  kernels, true_orders = hidden_ties(structure)
  np.testing.assert_allclose(ties.shares(kernels, true_orders, structure), 1)
  orders = tie_search.search(kernels, structure, seed=0)
  np.testing.assert_allclose(ties.shares(kernels, orders, structure), 1, rtol=1e-12)
  np.testing.assert_allclose(ties.map_shares(kernels, orders, structure), 1, rtol=1e-12)


@pytest.mark.parametrize("structure", [PLAIN, RESIDUAL], ids=["plain", "residual"])
@pytest.mark.parametrize("noise", [0.1, 0.2])
def test_ties_are_found_below_noise(structure, noise):
  kernels, true_orders = hidden_ties(structure, noise)
  orders = tie_search.search(kernels, structure, seed=0)
  best, truth = (ties.shares(kernels, each, structure).mean() for each in (orders, true_orders))
  assert best == pytest.approx(truth, abs=0.005)
  assert truth > 1 - noise


def test_more_ties_of_half_the_channels_are_found_from_the_best_order_on(monkeypatch):
  kernels, true_orders = hidden_ties(RESIDUAL)
  rng = np.random.default_rng(1)
  for layer, (reads, writes) in enumerate(RESIDUAL.layers):  # whose other half is LR maps
    is_hr = [np.argsort(true_orders[0, number]) % 4 < 2 for number in (reads, writes)]
    noise = rng.standard_normal(kernels[0, layer].shape) * 1.6 * kernels[0, layer].std()
    kernels[0, layer] = np.where(np.outer(*is_hr), kernels[0, layer], noise)
  best = ties.shares(kernels, tie_search.search(kernels, RESIDUAL, seed=0), RESIDUAL).mean()
  assert best > ties.shares(kernels, true_orders, RESIDUAL).mean()
  monkeypatch.setattr(tie_search, "RESHUFFLES", 0)
  starts = ties.shares(kernels, tie_search.search(kernels, RESIDUAL, seed=0), RESIDUAL).mean()
  assert best > starts + 0.01


def test_random_kernels_are_tied_as_their_dimensions_say():
  rng = np.random.default_rng(0)
  kernels = rng.standard_normal((20, 4, 3, 3, 32, 32))
  at_random = ties.shares(kernels, ties.random_orders(20, 32, PLAIN, rng), PLAIN)
  dimensions = 5**2 * 8**2 / (3**2 * 32**2)
  assert at_random.mean() == pytest.approx(dimensions, rel=0.02)
  orders = tie_search.search(kernels[:4], PLAIN, seed=0)
  best = ties.shares(kernels[:4], orders, PLAIN).mean()
  assert dimensions + 0.02 < best < dimensions + 0.1  # selection
  draws = np.stack([tie_search.permuted(each, 2, rng) for each in kernels[:4]])
  null = ties.shares(draws, tie_search.search(draws, PLAIN, seed=0), PLAIN).mean()
  assert best == pytest.approx(null, abs=0.01)


def test_permuted_kernels_keep_filters_and_energies_but_no_ties():
  kernels, _ = hidden_ties(PLAIN)
  kernels = kernels[0] * np.exp(np.random.default_rng(1).standard_normal((1, 1, 1, 32, 1)))
  draw = tie_search.permuted(kernels, 2, np.random.default_rng(0))
  for axes in ((1, 2, 3), (1, 2, 4)):
    np.testing.assert_allclose((draw**2).sum(axes), (kernels**2).sum(axes), rtol=1e-3)
  directions = [
    np.unique(np.round(abs(x[:, 0, 1] / x[:, 1, 1]).ravel(), 9)) for x in (kernels, draw)
  ]
  np.testing.assert_allclose(*directions, rtol=1e-6)  # of filters, which are only scaled
  orders = tie_search.search(draw[None], PLAIN, seed=0)
  assert ties.shares(draw[None], orders, PLAIN).max() < 0.35


def test_the_search_is_a_function_of_its_seed():
  kernels = np.random.default_rng(0).standard_normal((1, 4, 3, 3, 16, 16))
  first, again, other = (tie_search.search(kernels, RESIDUAL, seed) for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_a_swap_gains_what_it_says():
  rng = np.random.default_rng(0)
  gram = rng.standard_normal((3, 4, 8, 4, 8))
  gram = gram + np.transpose(gram, (0, 3, 4, 1, 2))

  def total(order):
    phase, group = np.divmod(np.arange(8), 2)
    pairs = np.argwhere(group[:, None] == group)
    return np.array(
      [
        sum(gram[b, phase[i], row[i], phase[j], row[j]] for i, j in pairs)
        for b, row in enumerate(order)
      ]
    )

  before = rng.permuted(np.tile(np.arange(8), (3, 1)), axis=1)
  after, gains = tie_search.swap(gram, before)
  np.testing.assert_allclose(total(after) - total(before), gains)
  assert (gains > 0).all()
  for i, j in np.argwhere(np.triu(np.ones((8, 8)), 1)):  # no swap is left that gains
    swapped = after.copy()
    swapped[:, [i, j]] = after[:, [j, i]]
    assert (total(swapped) <= total(after) + tie_search.MIN_GAIN).all()


def test_added_states_share_an_order():
  assert ties.states_of(lr_network(depth=4)) == (0, 1, 2, 3, 4)
  assert ties.states_of(lr_network(depth=4, residual=Residual())) == (0, 1, 0, 2, 0)


@pytest.mark.parametrize(
  ("network", "complaint"),
  [
    (lr_network(features=30), "multiple of R"),
    (hr_network(), "LR maps"),
    (lr_network(depth=0), "hidden layers"),
    (lr_network(kernel_size=4), "one odd size"),
  ],
)
def test_networks_without_such_ties_are_refused(network, complaint):
  with pytest.raises(ValueError, match=complaint):
    ties.structure_of(network)


def test_a_layer_of_zeros_has_no_tied_share():
  kernels, true_orders = hidden_ties(RESIDUAL)
  kernels[:, 1] = 0
  orders = tie_search.search(kernels, RESIDUAL, seed=0)
  for each in (orders, true_orders):
    np.testing.assert_allclose(ties.shares(kernels, each, RESIDUAL), [[1, 0, 1, 1]])
  draw = tie_search.permuted(kernels[0], 2, np.random.default_rng(0))
  assert not draw[1].any()
