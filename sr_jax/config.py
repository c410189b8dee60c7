"""What a run is made of: frozen dataclasses, checked, hashed, written as JSON and as flags.

`Config` classes (one per experiment file) hold what changes results and are hashed into the run
folder's name. `Execution` holds what does not.
"""

import dataclasses
import hashlib
import json
import math
import os
import shlex
import typing
from collections.abc import Mapping, Sequence
from typing import Any

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "sr_jax")


class InputError(ValueError):
  """Something the user gave is wrong; the message is one sentence that says what to change."""


class NotSavedError(Exception):
  """A run went as far as it could, but not all of it is on disk."""


def setting(
  default: Any,
  text: str,
  *,
  choices: Sequence[Any] = (),
  at_least: int | float | None = None,
  above: int | float | None = None,
  is_json: bool = False,
) -> Any:
  """A dataclass field with its one line of help and the values it accepts; text may hold JSON."""
  limits = {"choices": tuple(choices), "at_least": at_least, "above": above}
  accepts = {"help": text, **limits, "is_json": is_json}
  return dataclasses.field(default=default, metadata=accepts)


@dataclasses.dataclass(frozen=True)
class Execution:
  """Where and how a run is executed; shared by all experiments, never part of a run's name."""

  workdir: str = setting("runs", "parent of the run folders")
  checkpoint_every_seconds: float = setting(60.0, "time between checkpoints", above=0)
  on_corrupt: str = setting(
    "stop",
    "at a damaged checkpoint: stop, or go on from the previous one",
    choices=("stop", "previous"),
  )
  mesh: str = setting(
    "auto", "devices along the axes, as member:4,data:2; auto: from their number and the population"
  )
  distributed: str = setting(
    "auto",
    "several processes make one run: on, off, or auto: where the cluster says that there are some",
    choices=("auto", "on", "off"),
  )
  heartbeat_seconds: int = setting(
    100, "after which a process that the others do not hear of is taken for dead", at_least=1
  )
  compile_cache: str = setting(
    os.path.join(CACHE, "xla"), "folder of the persistent compile cache; empty for none"
  )
  profile: bool = setting(
    False,
    "say where the time goes; of a comparison, write a trace for Perfetto into the run's folder",
  )
  require_accelerator: bool = setting(False, "stop if JAX finds no GPU or TPU")
  tensorboard: bool = setting(
    False, "also write what is measured to RUN/tensorboard, after every training"
  )
  manual_dir: str = setting(
    "~/datasets", "where your own image sets lie: tfds:Set5 is the photographs of its folder Set5"
  )
  data_dir: str = setting(
    os.path.join(CACHE, "data"), "where sets are prepared (TFDS's data_dir) and luminance is cached"
  )

  def __post_init__(self) -> None:
    check(self)


def accepts(cls: type, name: str) -> Mapping[str, Any]:
  """The `setting` of a field, also where a subclass only overrides its default."""
  for base in cls.__mro__:
    field = getattr(base, "__dataclass_fields__", {}).get(name)
    if field is not None and field.metadata:
      return field.metadata
  return setting(None, "").metadata


def scalar_type(field: dataclasses.Field) -> type:
  """`int`, `float`, `bool` or `str`: a field's type, or its elements' for a tuple field."""
  annotation: Any = field.type
  return typing.get_args(annotation)[0] if is_tuple(field) else annotation


def is_tuple(field: dataclasses.Field) -> bool:
  """Whether a field is a tuple: it then owns its commas and cannot be swept."""
  return typing.get_origin(field.type) is tuple


def check(config: Any) -> None:
  """Checks every field of a config (or Execution) against its `setting`.

  Raises an InputError that names the flag, the value found and the values accepted.
  """
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    values = value if is_tuple(field) else (value,)
    if is_tuple(field) and not values:
      raise InputError(f"--{field.name} is empty; give at least one value")
    if len(set(values)) < len(values):
      raise InputError(f"{_flag(field.name, value)} names a value twice")
    limits = accepts(type(config), field.name)
    for element in values:
      check_value(field.name, element, scalar_type(field), limits)


def check_value(name: str, value: Any, kind: type, limits: Mapping[str, Any]) -> None:
  """Checks a value against the type and the `accepts` of its field, as `check` does."""
  if not isinstance(value, (int, float) if kind is float else kind) or (
    isinstance(value, bool) and kind is not bool
  ):
    raise InputError(f"--{name}={value!r} must be {kind.__name__}")
  if isinstance(value, float) and not math.isfinite(value):
    raise InputError(f"--{name}={value} must be a finite number")
  if limits["choices"] and value not in limits["choices"]:
    allowed = ", ".join(str(choice) for choice in limits["choices"])
    raise InputError(f"--{name}={value} is not supported; choose from {allowed}")
  if limits["at_least"] is not None and value < limits["at_least"]:
    raise InputError(f"--{name}={value} must be at least {limits['at_least']}")
  if limits["above"] is not None and value <= limits["above"]:
    raise InputError(f"--{name}={value} must be greater than {limits['above']}")


def to_dict(config: Any) -> dict[str, Any]:
  """A config as JSON data: tuples become lists."""
  return {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in dataclasses.asdict(config).items()
  }


def changes(base: Any, config: Any) -> dict[str, Any]:
  """The fields of a config, as JSON data, that are not those of `base`."""
  plain = to_dict(base)
  return {name: value for name, value in to_dict(config).items() if value != plain[name]}


def flag_words(data: dict[str, Any]) -> list[str]:
  """A config (as JSON data) as the flags that make it, a word each."""
  return [_flag(name, value) for name, value in data.items()]


def _flag(name: str, value: Any) -> str:
  return f"--{name}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}"


def as_flags(data: dict[str, Any]) -> str:
  """A config (as JSON data) as the flags that make it, quoted for a shell."""
  return shlex.join(flag_words(data))


def digest(experiment: str, data: dict[str, Any]) -> str:
  """Ten hexadecimal digits that name a run: a hash of its experiment and configuration."""
  text = json.dumps([experiment, data], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:10]


def differences(actual: dict[str, Any], expected: dict[str, Any]) -> list[str]:
  """One phrase per field in which two configurations (as JSON data) differ."""
  missing = object()
  phrases = []
  for name in sorted(actual.keys() | expected.keys()):
    a, b = actual.get(name, missing), expected.get(name, missing)
    if a != b:
      sides = ["absent" if side is missing else json.dumps(side) for side in (a, b)]
      phrases.append(f"{name} is {sides[0]}, expected {sides[1]}")
  return phrases
