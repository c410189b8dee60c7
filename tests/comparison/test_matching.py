import json
from fractions import Fraction

import pytest

from sr_jax.comparison.matching import closest_width
from sr_jax.config import InputError
from sr_jax.networks.own import own_network

EDSR = "examples.own_network:EDSR"


def parameters(width):
  """Of EDSR with one block, by hand."""
  return 10 * width + 3 * (9 * width**2 + width) + 36 * width + 4


@pytest.mark.parametrize(
  ("divisor", "target", "expected"),
  [(1, parameters(9) + 20, 9), (1, parameters(10) - 20, 10), (3, parameters(10), 9)],
)
def test_the_closest_width_that_can_be_made_is_found(divisor, target, expected):
  def widen(width):
    if width % divisor:
      raise InputError("heads do not divide it")
    return own_network(EDSR, 2, json.dumps({"features": width, "blocks": 1}))

  width, reached = closest_width("parameters", widen, Fraction(target), EDSR)
  assert (width, reached) == (expected, parameters(expected))


def test_a_target_below_all_widths_is_refused():
  def widen(width):
    return own_network(EDSR, 2, json.dumps({"features": width, "blocks": 1}))

  closest = f"comes closest to the 10 parameters of the first arm with {parameters(1)}, where"
  with pytest.raises(InputError, match=closest):
    closest_width("parameters", widen, Fraction(10), EDSR)


def test_what_is_wrong_with_every_width_is_said_at_once():
  tried = []

  def widen(width):
    tried.append(width)
    raise InputError(f"no width is like {width}")

  with pytest.raises(InputError, match=r"no width is like 1$"):
    closest_width("parameters", widen, Fraction(10), EDSR)
  assert max(tried) <= 16
