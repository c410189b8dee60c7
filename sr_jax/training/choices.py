"""What a run chooses by measuring time, before its first step: kept with the run and used again.

A choice decides rounding at least, and the width of an arm that is matched in time. So a run that
goes on takes what it began with, and the same choices, given as `--measured=NAME:CHOICE,...`, make
the same bits in another folder.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from jax.sharding import Mesh

from sr_jax.config import InputError
from sr_jax.data.patches import Store
from sr_jax.networks import EXECUTIONS, Network
from sr_jax.operators.conv import Computation
from sr_jax.runtime.console import log
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import autotune, population
from sr_jax.training.population import Population
from sr_jax.training.sharding import one_by_one, shard_members
from sr_jax.training.timing import step_seconds

MEASURE = "auto"
WIDTHS = ("a number of maps",)
TARGET = "target"


def parse(measured: Sequence[str], allowed: Mapping[str, Collection[str]]) -> dict[str, str]:
  """The choices given by `--measured`, by name.

  Args:
    measured: "auto" alone, or each "NAME:CHOICE"; what is not given is measured.
    allowed: the choices that a run makes, by name; `WIDTHS` stands for any width.

  Raises:
    InputError: an entry is not understood, or nothing of that name is chosen in this run.
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
    choices = allowed[name]
    is_width = choices == WIDTHS and re.fullmatch(r"[1-9]\d*", choice)
    if choice not in choices and not is_width:
      raise InputError(f"--measured={entry}: {name} may be {' or '.join(choices)}")
    given[name] = choice
  return given


@dataclasses.dataclass(frozen=True)
class Stopwatch:
  """Times the very programs that a run trains with.

  Attributes:
    batch: patches in a batch.
    patch: side of a patch in LR pixels.
    members: how many the timed population has.
    precision: of products.
    mesh: the population's devices.
    store: the run's training images, from `sharding.upload`.
  """

  batch: int
  patch: int
  members: int
  precision: str
  mesh: Mesh
  store: Store

  def seconds(
    self, networks: Mapping[str, Network], form: str | None = None
  ) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds a training step takes one member of each network, the networks taking turns.

    Args:
      networks: by name.
      form: of their convolutions; the fastest of each if it is not given.

    Returns:
      the seconds, and the form of each network's convolutions.
    """
    members = shard_members(self.mesh, population.make_members(range(self.members), [1e-4]))
    timed = {}
    for name, network in networks.items():
      state = population.initialise(network, name, members, self.mesh)
      computation = Computation(precision=self.precision)
      fresh = Population(network, state, members, self.mesh, computation)
      if not one_by_one(self.mesh):
        computation = computation._replace(form=form or fastest(self._form_seconds(fresh)))
      timed[name] = fresh._replace(computation=computation)
    seconds = step_seconds(timed, self.store, self.batch, self.patch)
    return seconds, {name: fresh.computation.form for name, fresh in timed.items()}

  def _form_seconds(self, fresh: Population) -> dict[str, float]:
    return autotune.form_seconds(fresh, self.store, self.batch, self.patch)


class Choices:
  """The choices of one run.

  Args:
    run_dir: the run's folder, which is open; a file in it keeps choices and times.
    given: choices that are not measured, from `parse`.
    stopwatch: measures the others.

  Attributes:
    taken: every choice of this run so far, by name.
  """

  def __init__(self, run_dir: RunFolder, given: Mapping[str, str], stopwatch: Stopwatch) -> None:
    self.taken: dict[str, str] = {}
    self._file, self._given, self._stopwatch = run_dir.choices, given, stopwatch
    self._kept: dict[str, Any] = broadcast_from_primary(
      lambda: read_json(self._file) if self._file.exists() else {}
    )

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
      log(f"{name}: {choice}, by the time of a training step ({times})")
    self.taken[name] = self._given.get(name) or self._kept[name]["choice"]
    return self.taken[name]

  def fastest(self, name: str, networks: Mapping[str, Network]) -> str:
    """The name of the network that trains fastest, of several."""
    return self._network(name, networks, fastest)

  def max_width(self, name: str, target: Network, candidates: Mapping[int, Network]) -> int:
    """The largest width whose training step takes no longer than that of `target`.

    A wider network can be the faster one, since some widths suit the device's registers.

    Args:
      name: of the arm that gets the width.
      target: the network whose time is to be matched.
      candidates: networks by their width.
    """
    networks = {TARGET: target, **{str(width): network for width, network in candidates.items()}}
    return int(self._network(name, networks, max_width))

  def _network(self, name: str, networks: Mapping[str, Network], pick: Callable[..., str]) -> str:
    """Picks one of several networks; its population is to have the form that it was timed in."""
    population_name = f"{name}/{self._stopwatch.members}"
    timed: dict[str, tuple[float, str]] = {}

    def measure() -> dict[str, float]:
      seconds, forms = self._stopwatch.seconds(networks, self._given.get(population_name))
      timed.update({key: (seconds[key], forms[key]) for key in seconds})
      return seconds

    choice = self.choose(name, measure, pick)
    if choice in timed and not one_by_one(self._stopwatch.mesh):
      seconds, form = timed[choice]
      self.choose(population_name, lambda: {form: seconds}, fastest)
    return choice


def reproducing(results: Mapping[str, Any]) -> dict[str, Any]:
  """The configuration, as JSON data, that makes a run's bits again: nothing is measured any more.

  Where all HR networks were faster in the same execution, `hr_execution` says it.
  """
  config, taken = dict(results["config"]), dict(results["choices"])
  executions = {name: choice for name, choice in taken.items() if choice in EXECUTIONS}
  if config.get("hr_execution") == MEASURE and len(set(executions.values())) == 1:
    config["hr_execution"] = next(iter(executions.values()))
    taken = {name: choice for name, choice in taken.items() if name not in executions}
  config["measured"] = [f"{name}:{choice}" for name, choice in taken.items()] or [MEASURE]
  return config


def fastest(seconds: Mapping[str, float]) -> str:
  """The choice that takes the least time."""
  return min(seconds, key=lambda choice: seconds[choice])


def max_width(seconds: Mapping[str, float]) -> str:
  """The largest of the widths that take no longer than the target; if none does, the fastest."""
  widths = {name: value for name, value in seconds.items() if name != TARGET}
  quick = [width for width, value in widths.items() if value <= seconds[TARGET]]
  return max(quick, key=int) if quick else fastest(widths)
