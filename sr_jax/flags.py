"""The command line of an experiment: flags from its dataclasses, `--help`, and presets."""

import dataclasses
import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from absl import flags

from sr_jax.config import (
  Execution,
  InputError,
  accepts,
  as_flags,
  changes,
  is_tuple,
  scalar_type,
)
from sr_jax.sweep.options import Launch

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class FieldParser(flags.ArgumentParser):
  """Parses "1,2,3" as values of a config field; commas separate them where it `is_list`.

  Those inside of a value of JSON do not.
  """

  def __init__(self, kind: type, is_list: bool, is_json: bool = False) -> None:
    self.kind, self.is_list, self.is_json = kind, is_list, is_json

  def parse(self, argument: str) -> list[Any]:
    """All values of the list; a single one of a plain value."""
    texts = [argument]
    if self.is_list:
      texts = _split_json(argument) if self.is_json else argument.split(",")
    if len(texts) > 1 and not all(text.strip() for text in texts):
      raise ValueError(f"{argument!r} has an empty value")
    return [self._parse_value(text.strip()) for text in texts]

  def _parse_value(self, text: str) -> Any:
    try:
      return BOOLEANS[text.lower()] if self.kind is bool else self.kind(text)
    except (ValueError, KeyError) as error:
      raise ValueError(f"{text!r} is not {KINDS[self.kind]}") from error


def _split_json(text: str) -> list[str]:
  """The values of a list of JSON, as they are written."""
  parts, rest = [], text
  while True:
    start = len(rest) - len(rest.lstrip())
    try:
      _, end = json.JSONDecoder().raw_decode(rest, start)
    except (ValueError, RecursionError) as error:
      raise ValueError(f"{text[:200]!r} is no JSON ({error})") from error
    parts.append(rest[start:end])
    rest = rest[end:].lstrip()
    if not rest:
      return parts
    if rest[0] != ",":
      raise ValueError(f"{text[:200]!r} has more than JSON and commas: {rest[:20]!r}")
    rest = rest[1:]


class CommandLine(NamedTuple):
  """What the flags of an experiment say.

  `values` holds those of each config field, in the order of the command line; of a tuple field it
  holds the tuple alone.
  """

  values: dict[str, list[Any]]
  execution: Execution
  launch: Launch


def parse(argv: Sequence[str], name: str, experiment: ModuleType) -> CommandLine:
  """Parses the flags of an experiment; `argv` begins with the name of the program.

  The experiment is a module with `Config` and, if it does not use all of Execution, `EXECUTION`.

  Raises:
    InputError: a flag is unknown, malformed, or not used by this experiment.
    flags.Error: as absl says it.
  """
  parsed = flags.FlagValues()
  classes = (Execution, Launch, experiment.Config)
  fields = {field.name: field for cls in classes for field in dataclasses.fields(cls)}
  single = (*_names(Execution), *_names(Launch))
  for field_name, field in fields.items():
    kind = scalar_type(field)
    about = accepts(experiment.Config, field_name)
    parser = FieldParser(kind, field_name not in single, about["is_json"])
    flag = flags.Flag(parser, None, field_name, None, about["help"], boolean=kind is bool)
    flags.DEFINE_flag(flag, parsed)
  try:
    extra = parsed(list(argv))[1:]
  except ValueError as error:  # how absl says that --noFLAG takes no value
    raise InputError(str(error)) from error
  if extra:
    raise InputError(f"flags look like --name=value; found {' '.join(extra)!r}")
  words = [word.lstrip("-").partition("=")[0] for word in argv]
  order = sorted(fields, key=lambda flag: words.index(flag) if flag in words else len(words))
  given = {flag: parsed[flag].value or () for flag in order if parsed[flag].present}
  values = {
    flag: [tuple(items)] if is_tuple(fields[flag]) else [*items] for flag, items in given.items()
  }
  _refuse_unused(name, experiment, values)
  execution, launch = _take(Execution, values), _take(Launch, values)
  return CommandLine(values, execution, launch)


def preset(name: str | None, experiment: ModuleType) -> Any:
  """The config that flags override: the preset's, which must be known, or the defaults."""
  presets = getattr(experiment, "PRESETS", {})
  if name is None:
    return experiment.Config()
  if name not in presets:
    known = f"choose from {', '.join(presets)}" if presets else "this experiment has none"
    raise InputError(f"--preset={name} is not known; {known}")
  return presets[name]


def help_text(name: str, experiment: ModuleType) -> str:
  """The experiment's docstring, and every flag with its default, meaning and choices."""
  lines = [f"python launch.py --experiment={name} [flags]\n", experiment.__doc__ or ""]
  for title, cls in (
    ("Flags", experiment.Config),
    ("Flags that change no result", Execution),
    ("Flags that say which points of a sweep are run, and where", Launch),
  ):
    lines.append(f"{title}:")
    for field in dataclasses.fields(cls):
      if cls is Execution and field.name not in _used(experiment):
        continue
      default = getattr(cls(), field.name)
      text = ",".join(map(str, default)) if is_tuple(field) else str(default)
      limits = accepts(cls, field.name)
      choices = f" ({', '.join(map(str, limits['choices']))})" if limits["choices"] else ""
      lines.append(f"  --{field.name}={text}\n      {limits['help']}{choices}")
  for preset_name, config in getattr(experiment, "PRESETS", {}).items():
    lines.append(f"--preset={preset_name} is {as_flags(changes(experiment.Config(), config))}")
  lines.append("A flag of a scalar field takes a comma list: the product of all lists is run.")
  return "\n".join(lines)


def _names(cls: type) -> list[str]:
  return [field.name for field in dataclasses.fields(cls)]


def _used(experiment: ModuleType) -> tuple[str, ...]:
  """The fields of Execution that an experiment uses: all, unless it names them."""
  return getattr(experiment, "EXECUTION", tuple(_names(Execution)))


def _refuse_unused(name: str, experiment: ModuleType, values: dict[str, list[Any]]) -> None:
  """Refuses flags that would be ignored, whatever their values."""
  used = _used(experiment)
  unused = sorted(f"--{flag}" for flag in values if flag in _names(Execution) and flag not in used)
  if unused:
    them = "it" if len(unused) == 1 else "them"
    raise InputError(f"--experiment={name} does not use {' and '.join(unused)}; leave {them} out")


def _take(cls: Any, values: dict[str, list[Any]]) -> Any:
  """Takes the fields of an Execution or a Launch out of the values, and builds it."""
  return cls(**{name: values.pop(name)[0] for name in _names(cls) if name in values})
