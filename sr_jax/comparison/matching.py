"""The width of a user's own network that makes it cost what another network costs."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from fractions import Fraction

from sr_jax.config import InputError
from sr_jax.networks import AnyNetwork, OwnNetwork
from sr_jax.networks.budget import budget, parameter_count

COSTS = {"macs": "MACs", "parameters": "parameters"}  # that are counted
MAX_WIDTH = 4096  # that is tried
MAX_DIVISOR = 16  # of widths, as the number of heads of attention
MAX_ROUNDING = 64  # to multiples of which networks round widths
MAX_DEVIATION = 0.25  # from the cost to match

Widen = Callable[[int], OwnNetwork]  # a checked network by its width


def closest_width(cost: str, widen: Widen, target: Fraction, entry: str) -> tuple[int, Fraction]:
  """The width whose cost, which grows with it, comes closest to a target, and this cost.

  Widths with which the network cannot be made, as those that heads of attention do not divide, are
  passed over.

  Raises:
    InputError: no width up to `MAX_WIDTH` can be made, or comes within `MAX_DEVIATION`.
  """
  cost_of(narrowest(widen), cost)  # raises at once what all widths would
  costs: dict[int, Fraction] = {}

  def first_of(widths: Sequence[int]) -> int | None:
    """The first of some widths with which the network can be made."""
    for width in widths:
      with contextlib.suppress(InputError):
        costs[width] = cost_of(widen(width), cost)
        return width
    return None

  power = 1
  while power <= MAX_WIDTH:
    width = first_of(range(power, min(2 * power, power + MAX_DIVISOR)))
    if width and (costs[width] >= target or (width > MAX_ROUNDING and len({*costs.values()}) == 1)):
      break  # wide enough, or the argument changes nothing
    power *= 2
  low = max((width for width in costs if costs[width] < target), default=0)
  high = min((width for width in costs if costs[width] >= target), default=0)
  while high - low > 1:
    middle = (low + high) // 2
    width = first_of(range(middle, high))
    if width is not None and costs[width] < target:
      low = width
    else:
      high = middle
  width = min(costs, key=lambda each: abs(costs[each] - target))
  if abs(costs[width] - target) > MAX_DEVIATION * target:
    raise InputError(
      f"{entry} comes closest to the {float(target):g} {COSTS[cost]} of the first arm with "
      f"{float(costs[width]):g}, where the argument that --match names is {width}; name another "
      "argument, or change the others by --own_arguments"
    )
  return width, costs[width]


def narrowest(widen: Widen) -> OwnNetwork:
  """The network of the smallest width with which it can be made.

  Raises:
    InputError: what is wrong with a width of 1, if none of the first can.
  """
  for width in range(1, MAX_DIVISOR + 1):
    with contextlib.suppress(InputError):
      return widen(width)
  return widen(1)


@functools.lru_cache(maxsize=256)
def cost_of(network: AnyNetwork, cost: str) -> Fraction:
  """What a network costs, of `COSTS`."""
  if cost == "parameters" and isinstance(network, OwnNetwork):
    return Fraction(parameter_count(network))
  return Fraction(getattr(budget(network), cost))
