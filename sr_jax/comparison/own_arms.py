"""Networks of the user's own as arms of a comparison, their width matched to the first arm's cost.

An entry of an experiment's list of arms that has a colon, "mypackage.mymodule:MyNetwork", is one;
the arm is called MyNetwork.
"""

import contextlib
import dataclasses
import json
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any, ClassVar

from sr_jax.comparison.matching import COSTS, Widen, closest_width, cost_of, narrowest
from sr_jax.comparison.recipe import Recipe
from sr_jax.config import InputError, setting
from sr_jax.networks import AnyNetwork, OwnNetwork, own_network
from sr_jax.networks.budget import Arm, uncounted
from sr_jax.networks.own import check_on_patches
from sr_jax.runtime.console import log
from sr_jax.training.choices import TARGET, WIDTHS, Choices

NONE, TIME = "none", "time"
GIVEN = ("scale", "rngs")  # arguments that are no widths
# Of the width with as many MACs, those whose time is measured.
TIMED = tuple(Fraction(eighths, 8) for eighths in (2, 3, 4, 5, 6, 8, 10, 12))


@dataclasses.dataclass(frozen=True)
class OwnArmsRecipe(Recipe):
  """The recipe of a comparison that the user's own networks can join."""

  own_arguments: str = setting(
    "{}",
    "keyword arguments of your own networks among the arms (as mypackage.mymodule:MyNetwork), as "
    'JSON: {"MyNetwork": {"blocks": 5}}',
    is_json=True,
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
    own = [arm_name(entry) for entry in entries if is_own(entry)]
    names = self.arm_names()
    for name in own:
      if name == name.lower():
        raise InputError(
          f"--{self.ENTRIES}: the class {name} needs a capital letter in its name, since names "
          "without are those of networks of this package; rename it"
        )
      alike = [other for other in names if other.casefold() == name.casefold()]
      if len(alike) > 1:  # some file systems ignore capitals
        raise InputError(
          f"--{self.ENTRIES}: two arms would be called {' and '.join(alike)}; rename the class"
        )
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
    if argument in GIVEN:
      raise InputError(
        f"--match={self.match}: {argument} is given by the run; name another argument"
      )
    if self.match != NONE and not self._matched_entries():
      raise InputError(
        f"--match={self.match} is for networks of your own after the first arm of --{self.ENTRIES}"
      )
    for name in map(arm_name, self._matched_entries()):
      if argument in by_name.get(name, {}):
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
    timed = self._matched_entries() if self.match.startswith(TIME) else ()
    return {**super().choices(), **{arm_name(entry): WIDTHS for entry in timed}}

  def refuse_unknown(self, known: Collection[str]) -> None:
    """Refuses an entry that is no network of the user's own and not among the known names.

    Raises:
      InputError: there is one.
    """
    for entry in getattr(self, self.ENTRIES):
      if not is_own(entry) and entry not in known:
        raise InputError(
          f"--{self.ENTRIES}={entry} is not supported; choose from {', '.join(known)}, or name a "
          "class of your own, as mypackage.mymodule:MyNetwork"
        )

  def own_arms(self, first: AnyNetwork | None) -> tuple[Arm, ...]:
    """The own networks of a run, but for those matched in time, whose candidates are checked.

    `first` is the network of the first arm, None where that is an own one or not known yet.

    Raises:
      InputError: a network cannot be compared (see `own_network`) or counted, or no width of it
        comes near to the cost to match.
    """
    arms: list[Arm] = []
    matched = self._matched_entries()
    for entry in filter(is_own, getattr(self, self.ENTRIES)):
      if entry not in matched:
        arms.append(_arm(self._network(entry), entry))
        first = arms[-1].network if arm_name(entry) == self.arm_names()[0] else first
      elif self.match.startswith(TIME):
        self._candidates(entry, _known(first, self))
      else:
        arms.append(self._matched(entry, _known(first, self)))
    return tuple(arms)

  def complete(self, arms: Sequence[Arm], choices: Choices) -> tuple[Arm, ...]:
    """All arms of a run, in its order: these, the first among them, and those matched in time.

    Prints a warning about each of which some work is not in its MACs.
    """
    first = next(arm.network for arm in arms if arm.name == self.arm_names()[0])
    timed = self._matched_entries() if self.match.startswith(TIME) else ()
    in_order = self.in_order((*arms, *(self._in_time(entry, first, choices) for entry in timed)))
    for arm in in_order:
      if names := uncounted(arm.network):
        log(f"WARNING: {', '.join(names)} of {arm.name} cannot be counted, so it costs more MACs")
    return in_order

  def in_order(self, arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Arms in the order of the run."""
    by_name = {arm.name: arm for arm in arms}
    return tuple(by_name[name] for name in self.arm_names() if name in by_name)

  def _matched_entries(self) -> tuple[str, ...]:
    """The own networks that are matched to the first arm."""
    entries = getattr(self, self.ENTRIES) if self.match != NONE else ()
    first = self.arm_names()[:1]
    return tuple(entry for entry in entries if is_own(entry) and arm_name(entry) not in first)

  def _network(self, entry: str, **more: Any) -> OwnNetwork:
    """An own network with its arguments and more, checked, also on the patches of the training."""
    arguments = {**_parse_arguments(self.own_arguments).get(arm_name(entry), {}), **more}
    network = own_network(entry, self.scale, json.dumps(arguments, sort_keys=True))
    check_on_patches(network, self.batch, self.patch)
    return network

  def _widen(self, entry: str) -> Widen:
    """A network by the value of the argument to match."""
    argument = self.match.partition(":")[2]
    return lambda width: self._network(entry, **{argument: width})

  def _matched(self, entry: str, first: AnyNetwork) -> Arm:
    """The own network that costs what the first arm costs, as nearly as a whole number can."""
    cost, _, argument = self.match.partition(":")
    widen, target = self._widen(entry), cost_of(first, cost)
    if cost == "macs" and (names := uncounted(narrowest(widen))):
      raise InputError(
        f"--match={self.match}: {', '.join(names)} of {entry} cannot be counted; match parameters "
        "or time instead"
      )
    width, reached = closest_width(cost, widen, target, entry)
    compared = f"as many {COSTS[cost]} as"
    if reached != target:
      more = "more" if reached > target else "fewer"
      compared = f"{abs(float(reached / target - 1)):.1%} {more} {COSTS[cost]} than"
    return _arm(widen(width), f"{entry}, {argument}={width}: {compared} {self.arm_names()[0]}")

  def _candidates(self, entry: str, first: AnyNetwork) -> dict[int, OwnNetwork]:
    """The networks whose time is measured, by width: around the MACs of the first arm.

    Where MACs cannot be counted, around its parameters.

    Raises:
      InputError: as of `own_arms`.
    """
    widen = self._widen(entry)
    cost = "parameters" if uncounted(narrowest(widen)) else "macs"
    near, _ = closest_width(cost, widen, cost_of(first, cost), entry)
    candidates = {}
    for width in sorted({round(near * part) for part in TIMED} - {0}):
      with contextlib.suppress(InputError):  # as of a width that heads do not divide
        candidates[width] = widen(width)
    return candidates

  def _in_time(self, entry: str, first: AnyNetwork, choices: Choices) -> Arm:
    """The widest candidate whose training step takes no longer than that of the first arm."""
    candidates, argument = self._candidates(entry, first), self.match.partition(":")[2]
    width = choices.max_width(arm_name(entry), first, candidates)
    tried, than = ", ".join(map(str, candidates)), self.arm_names()[0]
    note = f"{entry}, {argument}={width}, for the time of {than}, of {tried}"
    seconds = choices.seconds(arm_name(entry))
    if seconds and seconds[str(width)] > seconds[TARGET]:
      ratio = seconds[str(width)] / seconds[TARGET]
      note = (
        f"{entry}, {argument}={width}, the fastest of {tried}: none is as fast as {than}, and this "
        f"takes {ratio:.2f} times as long"
      )
    return _arm(self._network(entry, **{argument: width}), note)  # one given need not be tried


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
    by_name = json.loads(text, object_pairs_hook=_object)
  except (ValueError, RecursionError) as error:
    raise InputError(f"--own_arguments={text[:200]} is no JSON ({error})") from error
  if not isinstance(by_name, dict) or not all(isinstance(v, dict) for v in by_name.values()):
    raise InputError(
      f"--own_arguments={text} must hold an object of arguments for each network by its name, as "
      '{"MyNetwork": {"blocks": 5}}'
    )
  return by_name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """An object of JSON, whose names differ."""
  names = [name for name, _ in pairs]
  if twice := sorted({name for name in names if names.count(name) > 1}):
    raise ValueError(f"it names {', '.join(twice)} twice")
  return dict(pairs)
