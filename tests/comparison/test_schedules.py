import itertools
import math

import numpy as np
import pytest

from sr_jax.comparison import schedules
from sr_jax.comparison.schedules import design, effect_of, half, lattice, name_of, parse

FACTORS = [*((i,) for i in range(5)), *((i, i + 1) for i in range(4))]
DESIGNS = {"all": lattice(5, 8), "half": half(5, 8)}


def sign(schedule, positions):
  return math.prod(1 if schedule[i] else -1 for i in positions)


def value(weights, psnr):
  return sum(weight * psnr[name] for name, weight in weights.items())


def test_a_schedule_is_read_from_its_name():
  assert parse(name_of((8, 0, 12))) == (8, 0, 12)
  assert [parse(name) for name in ("lr", "8", "8-", "8--8", "-8", "8-x")] == [None] * 6


def test_half_of_the_lattice_has_an_odd_number_of_hr_states():
  assert len(set(DESIGNS["all"])) == 32
  assert len(set(DESIGNS["half"])) == 16
  assert {sum(map(bool, each)) for each in DESIGNS["half"]} == {1, 3, 5}
  assert {sign(each, range(5)) for each in DESIGNS["half"]} == {1}  # the defining relation


@pytest.mark.parametrize("name", DESIGNS)
def test_effects_are_orthogonal(name):
  columns = np.array([[*effect_of(each, DESIGNS[name]).values()] for each in FACTORS])
  np.testing.assert_allclose(columns @ columns.T, 4 / len(DESIGNS[name]) * np.eye(len(FACTORS)))
  np.testing.assert_allclose(columns.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("name", DESIGNS)
def test_planted_effects_are_recovered(name):
  rng = np.random.default_rng(0)
  planted = dict(zip(FACTORS, rng.normal(size=len(FACTORS)), strict=True))
  planted[0, 2] = 1.3  # an interaction that nobody asks for
  psnr = {
    name_of(each): 30 + sum(size / 2 * sign(each, i) for i, size in planted.items())
    for each in DESIGNS[name]
  }
  for positions in FACTORS:
    assert value(effect_of(positions, DESIGNS[name]), psnr) == pytest.approx(planted[positions])


def test_the_half_mixes_positions_with_four_others_and_pairs_with_three():
  def mixed(positions):
    weights = effect_of(positions, DESIGNS["half"])
    return [
      others
      for count in range(1, 6)
      for others in itertools.combinations(range(5), count)
      if others != positions
      and abs(value(weights, {name_of(e): sign(e, others) for e in DESIGNS["half"]})) > 1e-12
    ]

  assert mixed((1,)) == [(0, 2, 3, 4)]
  assert mixed((1, 2)) == [(0, 3, 4)]


def test_the_largest_design_that_is_there_is_analysed():
  names = [name_of(each) for each in DESIGNS["all"]]
  halved = [name_of(each) for each in DESIGNS["half"]]
  assert design(["lr", *names], 5, 8) == DESIGNS["all"]
  assert design([*halved, "0-0-0-0-0"], 5, 8) == DESIGNS["half"]
  assert design(halved[1:], 5, 8) == []
  assert design([name_of(each) for each in half(3, 8)], 3, 8) == []  # positions mix with pairs


def test_blocks_and_controls():
  assert [name_of(each) for each in schedules.blocks(5, 8).values()] == [
    "0-0-0-0-0",
    "8-8-8-0-0",
    "0-8-8-8-0",
    "0-0-8-8-8",
    "8-8-8-8-8",
  ]
  assert [*map(name_of, schedules.controls(5, 8))] == ["8-0-0-0-0", "0-8-0-8-0"]
  for positions in range(3, 8):
    none, early, *middle, late, every = schedules.blocks(positions, 2).values()
    assert early == late[::-1]
    assert len({none, early, *middle, late, every}) == (4 if positions == 3 else 5)
    assert {sum(each) for each in (early, *middle, late)} == {sum(early)}
    for each in schedules.controls(positions, 2):
      assert all(not (a and b) for a, b in itertools.pairwise(each))
