"""Networks of the user's own as arms of a comparison, their width matched to the first arm's cost.

An entry of an experiment's list of arms that has a colon, "mypackage.mymodule:MyNetwork", is one;
the arm is called MyNetwork.
"""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, ClassVar

from sr_jax.comparison.recipe import Recipe
from sr_jax.config import InputError, setting
from sr_jax.networks import AnyNetwork, OwnNetwork, own_network
from sr_jax.networks.budget import Arm, budget, parameter_count, uncounted
from sr_jax.runtime.console import log
from sr_jax.training.choices import WIDTHS, Choices

NONE, TIME = "none", "time"
COSTS = {"macs": "MACs", "parameters": "parameters"}  # that are counted
MAX_WIDTH = 4096  # that is tried
MAX_DIVISOR = 16  # of widths, as the number of heads of attention
MAX_DEVIATION = 0.25  # from the cost to match
# Of the width with as many MACs, those whose time is measured.
TIMED = tuple(Fraction(eighths, 8) for eighths in (2, 3, 4, 5, 6, 8, 10, 12))

Widen = Callable[[int], OwnNetwork]  # a network by its width


@dataclasses.dataclass(frozen=True)
class OwnArmsRecipe(Recipe):
  """The recipe of a comparison that the user's own networks can join."""

  own_arguments: str = setting(
    "{}",
    "keyword arguments of your own networks among the arms (as mypackage.mymodule:MyNetwork), as "
    'JSON: {"MyNetwork": {"blocks": 5}}',
  )
  match: str = setting(
    NONE,
    "the argument of your own networks that is chosen so that they cost what the first arm costs, "
    "as macs:features, parameters:features or time:features; none: they are as they are",
  )

  ENTRIES: ClassVar[str] = "arms"  # the field that lists the arms

  def __post_init__(self) -> None:
    """Checks what names own networks, before any is imported, then every field."""
    # Another order or spacing of the same arguments names no other run.
    by_name = _parse_arguments(self.own_arguments)
    object.__setattr__(self, "own_arguments", json.dumps(by_name, sort_keys=True))
    entries: tuple[str, ...] = getattr(self, self.ENTRIES)
    names = [arm_name(entry) for entry in entries]
    for entry, name in zip(entries, names, strict=True):
      alike = [other for other in names if other.casefold() == name.casefold()]
      if is_own(entry) and len(alike) > 1:  # some file systems ignore capitals
        raise InputError(
          f"--{self.ENTRIES}={entry}: two arms would be called {' and '.join(alike)}; rename the "
          "class"
        )
    own = [name for entry, name in zip(entries, names, strict=True) if is_own(entry)]
    if unknown := by_name.keys() - {*own}:
      raise InputError(
        f"--own_arguments names {', '.join(sorted(unknown))}, and the networks of your own in "
        f"--{self.ENTRIES} are {', '.join(own) or 'none'}"
      )
    cost, _, argument = self.match.partition(":")
    is_match = cost in (*COSTS, TIME) and argument.isidentifier()
    if self.match != NONE and not is_match:
      raise InputError(
        f"--match={self.match} is not understood; give {NONE}, or one of {', '.join(COSTS)} and "
        f"{TIME} with an argument, as macs:features"
      )
    if self.match != NONE and not [entry for entry in entries[1:] if is_own(entry)]:
      raise InputError(
        f"--match={self.match} is for networks of your own after the first arm of --{self.ENTRIES}"
      )

    for name in own:
      if argument and argument in by_name.get(name, {}) and name != names[0]:
        raise InputError(
          f"--own_arguments gives {argument} of {name}, which --match={self.match} chooses; leave "
          "it out of one of them"
        )
    super().__post_init__()

  def arm_names(self) -> tuple[str, ...]:
    """The arms; own networks by the names of their classes."""
    return tuple(map(arm_name, getattr(self, self.ENTRIES)))

  def choices(self) -> dict[str, tuple[str, ...]]:
    """Also the widths of own networks that are matched in time."""
    entries = getattr(self, self.ENTRIES) if self.match.startswith(TIME) else ()
    return {**super().choices(), **{arm_name(e): WIDTHS for e in entries[1:] if is_own(e)}}

  def own_arms(self, first: AnyNetwork | None) -> tuple[Arm, ...]:
    """The own networks of a run, but for those matched in time.

    `first` is the network of the first arm, None where that is an own one or not known yet.

    Raises:
      InputError: a network cannot be compared (see `own_network`) or counted, or no width of it
        comes near to the cost to match.
    """
    arms: list[Arm] = []
    for i, entry in enumerate(getattr(self, self.ENTRIES)):
      if is_own(entry) and (i == 0 or self.match == NONE):
        arms.append(_arm(self._network(entry), entry))
        first = arms[0].network if i == 0 else first
      elif is_own(entry) and self.match.startswith(TIME):
        _near_macs(self._widen(entry), _known(first, self), entry)  # refuses before the run starts
      elif is_own(entry):
        arms.append(self._matched(entry, _known(first, self)))
    return tuple(arms)

  def in_time(self, first: AnyNetwork, choices: Choices) -> tuple[Arm, ...]:
    """The own networks of a run that are matched in time: their widths are measured.

    Each is the widest of some candidates whose training step takes no longer than that of `first`.
    """
    entries = getattr(self, self.ENTRIES)[1:] if self.match.startswith(TIME) else ()
    arms = []
    for entry in filter(is_own, entries):
      widen, argument = self._widen(entry), self.match.partition(":")[2]
      near = _near_macs(widen, first, entry)
      candidates = {}
      for width in sorted({round(near * part) for part in TIMED} - {0}):
        with contextlib.suppress(InputError):
          candidates[width] = _checked(widen(width))
      width = choices.max_width(arm_name(entry), first, candidates)
      network = _checked(widen(width))  # a given width need not be a candidate
      tried = ", ".join(map(str, candidates))
      note = f"{entry}, {argument}={width}, for the time of {self.arm_names()[0]}, of {tried}"
      arms.append(_arm(network, note))
    return tuple(arms)

  def in_order(self, arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Arms in the order of the run."""
    by_name = {arm.name: arm for arm in arms}
    return tuple(by_name[name] for name in self.arm_names() if name in by_name)

  def _network(self, entry: str) -> OwnNetwork:
    arguments = _parse_arguments(self.own_arguments).get(arm_name(entry), {})
    return own_network(entry, self.scale, json.dumps(arguments, sort_keys=True))

  def _widen(self, entry: str) -> Widen:
    """A network by the value of the argument to match; not checked yet, since many are tried."""
    argument = self.match.partition(":")[2]
    arguments = _parse_arguments(self.own_arguments).get(arm_name(entry), {})

    def widen(width: int) -> OwnNetwork:
      text = json.dumps({**arguments, argument: width}, sort_keys=True)
      return OwnNetwork(entry, self.scale, text)

    return widen

  def _matched(self, entry: str, first: AnyNetwork) -> Arm:
    """The own network that costs what the first arm costs, as nearly as a whole number can."""
    cost, _, argument = self.match.partition(":")
    widen, target = self._widen(entry), _cost(first, cost)
    width, reached = closest_width(cost, widen, target, entry)
    network = _checked(widen(width))
    if cost == "macs" and (names := uncounted(network)):
      raise InputError(
        f"--match={self.match}: {', '.join(names)} of {entry} cannot be counted; match parameters "
        "or time instead"
      )
    compared = f"as many {COSTS[cost]} as"
    if reached != target:
      more = "more" if reached > target else "fewer"
      compared = f"{abs(float(reached / target - 1)):.1%} {more} {COSTS[cost]} than"
    note = f"{entry}, {argument}={width}: {compared} {self.arm_names()[0]}"
    return _arm(network, note)


def is_own(entry: str) -> bool:
  """Whether an entry of a list of arms is a network of the user's own."""
  return ":" in entry


def arm_name(entry: str) -> str:
  """The name of an arm by its entry: that of the class, of an own network."""
  return entry.rpartition(":")[2]


def sources(config_class: type, config: dict[str, Any]) -> set[str]:
  """The own networks that a config names, as JSON data, which making the config would import."""
  entries = config.get(getattr(config_class, "ENTRIES", ""), [])
  return {entry for entry in entries if is_own(entry)}


def warn_uncounted(arms: Sequence[Arm]) -> None:
  """Prints a warning about each network some of whose work is not in its MACs."""
  for arm in arms:
    if names := uncounted(arm.network):
      log(f"WARNING: {', '.join(names)} of {arm.name} cannot be counted, so it costs more MACs")


def closest_width(cost: str, widen: Widen, target: Fraction, entry: str) -> tuple[int, Fraction]:
  """The width whose cost, which grows with it, comes closest to a target, and this cost.

  Widths with which the network cannot be made, as those that heads of attention do not divide, are
  passed over.

  Raises:
    InputError: no width up to `MAX_WIDTH` can be made, or comes within `MAX_DEVIATION`.
  """
  costs: dict[int, Fraction] = {}

  def first_of(widths: Sequence[int]) -> int | None:
    """The first of some widths with which the network can be made."""
    for width in widths:
      with contextlib.suppress(InputError):
        costs[width] = _cost(widen(width), cost)
        return width
    return None

  power = 1
  while power <= MAX_WIDTH:
    narrower = max(costs, default=0)
    width = first_of(range(power, min(2 * power, power + MAX_DIVISOR)))
    if width and (costs[width] >= target or costs[width] == costs.get(narrower)):
      break  # wide enough, or the argument changes nothing
    power *= 2
  if not costs:
    _cost(widen(1), cost)  # raises what is wrong with it
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


def _near_macs(widen: Widen, first: AnyNetwork, entry: str) -> int:
  """The width with about as many MACs as the first arm, from which times are tried."""
  return closest_width("macs", widen, _cost(first, "macs"), entry)[0]


@functools.lru_cache(maxsize=256)
def _cost(network: AnyNetwork, cost: str) -> Fraction:
  if cost == "parameters" and isinstance(network, OwnNetwork):
    return Fraction(parameter_count(network))
  return Fraction(getattr(budget(network), cost))


def _checked(network: OwnNetwork) -> OwnNetwork:
  return own_network(network.source, network.scale, network.arguments)


def _known(first: AnyNetwork | None, config: OwnArmsRecipe) -> AnyNetwork:
  if first is None:
    raise InputError(
      f"--match={config.match}: the width of the first arm, {config.arm_names()[0]}, is only "
      "measured in the run; put another one first"
    )
  return first


def _arm(network: OwnNetwork, note: str) -> Arm:
  names = uncounted(network)
  return Arm(
    network.name, network, None, 0.0, note + f"; not counted: {', '.join(names)}" * bool(names)
  )


def _parse_arguments(text: str) -> dict[str, dict[str, Any]]:
  try:
    by_name = json.loads(text)
  except ValueError as error:
    raise InputError(f"--own_arguments={text} is no JSON ({error})") from error
  if not isinstance(by_name, dict) or not all(isinstance(v, dict) for v in by_name.values()):
    raise InputError(
      f"--own_arguments={text} must hold an object of arguments for each network by its name, as "
      '{"MyNetwork": {"blocks": 5}}'
    )
  return by_name
