"""What a run chooses by measuring time, before its first step: kept with the run and used again.

A choice decides rounding at least, and the width of an arm that is matched in time. So a run that
goes on takes what it began with, and the same choices, given as `--measured=NAME:CHOICE,...`, make
the same bits in another folder.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from jax.sharding import Mesh

from sr_jax.config import InputError
from sr_jax.data.patches import Store
from sr_jax.networks import AnyNetwork
from sr_jax.networks.network import EXECUTIONS
from sr_jax.operators.conv import FORMS, Computation
from sr_jax.runtime.console import log
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import autotune, population
from sr_jax.training.objective import Objective
from sr_jax.training.population import Population
from sr_jax.training.sharding import shard_members
from sr_jax.training.timing import step_seconds

MEASURE = "auto"
WIDTHS = ("a number of maps",)
TARGET = "target"
CONVOLUTION = "convolution"  # of all populations, where only one is available


def parse(measured: Sequence[str], allowed: Mapping[str, Collection[str]]) -> dict[str, str]:
  """The choices given by `--measured`, by name: "auto" alone, or each "NAME:CHOICE".

  Raises an InputError if an entry is not understood, or not among the choices that a run makes,
  `allowed` by name, where `WIDTHS` stands for any width. What is not given is measured.
  """
  if tuple(measured) == (MEASURE,):
    return {}
  given: dict[str, str] = {}
  for entry in measured:
    name, colon, choice = entry.partition(":")
    if not colon or name in given:
      raise InputError(f"--measured={entry} is not NAME:CHOICE, each name once, as hr:lr_space")
    if name not in allowed:
      raise InputError(
        f"--measured={entry}: nothing of the name {name} is chosen in this run; choose from "
        f"{', '.join(allowed)}"
      )
    is_width = allowed[name] == WIDTHS and re.fullmatch(r"[1-9]\d*", choice)
    if choice not in allowed[name] and not is_width:
      raise InputError(f"--measured={entry}: {name} may be {' or '.join(allowed[name])}")
    given[name] = choice
  return given


class Stopwatch(NamedTuple):
  """Times the networks of a run as it trains them.

  A batch has `batch` patches of `patch` LR pixels a side from `store`, the run's training images
  from `sharding.upload`; the timed population has `members` members on the devices of `mesh`, and
  convolutions of one of the `forms`, from `autotune.forms_of`. It learns the `objective`; None is
  super-resolution of photographs.
  """

  batch: int
  patch: int
  members: int
  precision: str
  mesh: Mesh
  store: Store
  forms: tuple[str, ...]
  objective: Objective | None = None

  def gradients(
    self, networks: Mapping[str, AnyNetwork], form: str | None = None
  ) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds that the gradients of one member of each network take, the networks taking turns.

    Their convolutions have the given form, or else the fastest of each; it is returned, too.
    """
    forms = (form,) if form else self.forms
    seconds = autotune.form_seconds(
      self._fresh(networks), self.batch, self.patch, forms, self.objective
    )
    chosen = {name: fastest(by_form) for name, by_form in seconds.items()}
    return {name: seconds[name][form] for name, form in chosen.items()}, chosen

  def steps(
    self, networks: Mapping[str, AnyNetwork], form: str | None = None
  ) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of whole training steps, by the very programs that a run trains with, likewise."""
    fresh = self._fresh(networks)
    if form or len(self.forms) == 1:
      chosen = dict.fromkeys(networks, form or self.forms[0])
    else:
      _, chosen = self.gradients(networks)
    for name, best in chosen.items():
      fresh[name] = fresh[name]._replace(computation=Computation(best, self.precision))
    return step_seconds(fresh, self.store, self.batch, self.patch, self.objective), chosen

  def _fresh(self, networks: Mapping[str, AnyNetwork]) -> dict[str, Population]:
    """A population of each network, before its first step."""
    members = shard_members(self.mesh, population.make_members(range(self.members), [1e-4]))
    computation = Computation(precision=self.precision)
    populations = {}
    for name, network in networks.items():
      state = population.initialise(network, name, members, self.mesh)
      populations[name] = Population(network, state, members, self.mesh, computation)
    return populations


class Choices:
  """The choices of one run: `taken` has every one so far, by name.

  A file in the run's folder, which is open, keeps choices and times. Those that are `given`, from
  `parse`, are not measured.
  """

  def __init__(self, run_dir: RunFolder, given: Mapping[str, str], stopwatch: Stopwatch) -> None:
    self.taken: dict[str, str] = {}
    self._file, self._given, self._stopwatch = run_dir.choices, given, stopwatch
    self._kept: dict[str, Any] = broadcast_from_primary(
      lambda: read_json(self._file) if self._file.exists() else {}
    )
    self._check_forms()

  @property
  def forms(self) -> tuple[str, ...]:
    """The forms of convolution that a population of the run may have."""
    return self._stopwatch.forms

  def choose(
    self, name: str, measure: Callable[[], dict[str, float]], pick: Callable[..., str]
  ) -> str:
    """The choice of this name: the given one, the one kept, or one picked from measured seconds."""
    if name not in self._given and name not in self._kept:
      seconds = measure()
      choice = pick(seconds)
      self._kept[name] = {"choice": choice, "seconds": seconds, "device": describe_devices()}
      broadcast_from_primary(lambda: write_json(self._file, self._kept))
      times = ", ".join(f"{key} {1e3 * value:.2f} ms" for key, value in seconds.items())
      log(f"{name}: {choice}, by its time ({times})")
    self.taken[name] = self._given.get(name) or self._kept[name]["choice"]
    return self.taken[name]

  def keep_only_form(self) -> None:
    """Keeps the form of all convolutions where there is only one, for when the run goes on."""
    if len(self.forms) == 1 and CONVOLUTION not in self._kept:
      kept = {"choice": self.forms[0], "seconds": {}, "device": describe_devices()}
      self._kept[CONVOLUTION] = kept
      broadcast_from_primary(lambda: write_json(self._file, self._kept))
    if CONVOLUTION in self._kept:
      self.taken[CONVOLUTION] = self._kept[CONVOLUTION]["choice"]
      self._stopwatch = self._stopwatch._replace(forms=(self.taken[CONVOLUTION],))

  def _check_forms(self) -> None:
    """Refuses forms of convolution that were taken or given and that nothing here can compute."""
    for name, form in self._given.items():
      if form in FORMS and form not in self.forms:
        raise InputError(
          f"--measured={name}:{form}: convolutions are {' or '.join(self.forms)} here; leave it out"
        )
    for name, kept in list(self._kept.items()):
      if kept["choice"] == "native" and "native" not in self.forms:
        raise InputError(
          f"this run was begun with the native convolution ({self._file}: {name}), which is not "
          "available here; continue it where it is, or begin another run with --convolution=xla"
        )
      if kept["choice"] in FORMS and kept["choice"] not in self.forms:
        del self._kept[name]  # measured on devices of another kind

  def fastest(self, name: str, networks: Mapping[str, AnyNetwork]) -> str:
    """The name of the network whose gradients take the least time, of several."""
    return self._network(name, networks, self._stopwatch.gradients, fastest)

  def max_width(self, name: str, target: AnyNetwork, candidates: Mapping[int, AnyNetwork]) -> int:
    """The width of an arm: the largest whose training step takes no longer than that of `target`.

    A wider network can be the faster one, since some widths suit the device's registers.
    """
    networks = {TARGET: target, **{str(width): network for width, network in candidates.items()}}
    return int(self._network(name, networks, self._stopwatch.steps, max_width))

  def seconds(self, name: str) -> dict[str, float]:
    """The times by which a choice was made, also `TARGET`'s; none where it was given."""
    is_kept = name in self._kept and name not in self._given
    return self._kept[name]["seconds"] if is_kept else {}

  def _network(
    self,
    name: str,
    networks: Mapping[str, AnyNetwork],
    stopwatch: Callable[..., tuple[dict[str, float], dict[str, str]]],
    pick: Callable[..., str],
  ) -> str:
    """Picks one of several networks; its population is to have the form that it was timed in."""
    population_name = f"{name}/{self._stopwatch.members}"
    timed: list[dict[str, Any]] = []

    def measure() -> dict[str, float]:
      timed.extend(stopwatch(networks, self._given.get(population_name)))
      return timed[0]

    choice = self.choose(name, measure, pick)
    if timed and len(self.forms) > 1:
      seconds, forms = timed
      self.choose(population_name, lambda: {forms[choice]: seconds[choice]}, fastest)
    return choice


def reproducing(results: Mapping[str, Any]) -> dict[str, Any]:
  """The configuration, as JSON data, that makes a run's bits again: nothing is measured any more.

  Where all HR networks were faster in the same execution, or all networks by the same convolution,
  `hr_execution` or `convolution` says it.
  """
  config, taken = dict(results["config"]), dict(results["choices"])
  executions = {name: choice for name, choice in taken.items() if choice in EXECUTIONS}
  if config.get("hr_execution") == MEASURE and len(set(executions.values())) == 1:
    config["hr_execution"] = next(iter(executions.values()))
    taken = {name: choice for name, choice in taken.items() if name not in executions}
  convolutions = {form: name for name, form in autotune.CPU_FORMS.items()}
  forms = {name: choice for name, choice in taken.items() if choice in convolutions}
  if config.get("convolution") == MEASURE and len(set(forms.values())) == 1:
    config["convolution"] = convolutions[next(iter(forms.values()))]
    taken = {name: choice for name, choice in taken.items() if name not in forms}
  config["measured"] = [f"{name}:{choice}" for name, choice in taken.items()] or [MEASURE]
  return config


def fastest(seconds: Mapping[str, float]) -> str:
  """The choice that takes the least time."""
  return min(seconds, key=seconds.__getitem__)


def max_width(seconds: Mapping[str, float]) -> str:
  """The largest of the widths that take no longer than the target; if none does, the fastest."""
  widths = {name: value for name, value in seconds.items() if name != TARGET}
  quick = [width for width, value in widths.items() if value <= seconds[TARGET]]
  return max(quick, key=int) if quick else fastest(widths)
