"""Command lines declared as frozen dataclasses and read by argparse.

A command is a function of an instance of such a class. A field that `sr_jax.config.setting`
declares is a flag, a required one if it has no default; `words` declares the field of the words
that belong to no flag, such as file names.
"""

import argparse
import dataclasses
import difflib
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sr_jax.config import InputError, accepts, check_value
from sr_jax.runtime import console

Arguments = TypeVar("Arguments")
REQUIRED = dataclasses.MISSING  # as the default of a `setting`
KINDS = {int: "a whole number", float: "a number"}


def words(text: str) -> Any:
  """A field of type `tuple[str, ...]` for the words that belong to no flag."""
  return dataclasses.field(default=(), metadata={"help": text, "words": True})


def run(
  main: Callable[[Arguments], int | None],
  arguments: type[Arguments],
  argv: Sequence[str] | None = None,
) -> int:
  """Runs a command on a command line, by default the process's, and returns its exit code.

  --help prints the docstring of the module of `main` above the flags. The code is what `main`
  returns, 0 for None; 2 for bad input, which one sentence on standard error explains; 130 if the
  user interrupts it.
  """
  module = sys.modules[main.__module__]
  spec = module.__spec__
  name = spec.name.removesuffix(".__main__") if spec else Path(str(module.__file__)).name
  try:
    parsed = parse(arguments, (sys.argv if argv is None else argv)[1:], module.__doc__ or "")
    return 0 if parsed is None else main(parsed) or 0
  except InputError as error:
    console.error(f"{name}: {' '.join(str(error).split())}")
  except OSError as error:
    path = f"{error.filename}: " if error.filename else ""
    console.error(f"{name}: {path}{error.strerror or error}")
  except KeyboardInterrupt:
    console.error(f"\n{name}: stopped; files that it has written are complete")
    return 130
  return 2


class _Parser(argparse.ArgumentParser):
  def error(self, message: str) -> NoReturn:
    _, _, word = message.partition("unrecognized arguments: --")
    known = [option.lstrip("-") for option in self._option_string_actions]
    near = difflib.get_close_matches(word.partition("=")[0], known, 1)
    guess = f"did you mean --{near[0]}? " if word and near else ""
    raise InputError(f"{message}; {guess}--help lists the flags")


def parse(arguments: type[Arguments], given: Sequence[str], about: str) -> Arguments | None:
  """The arguments that a command line gives, checked; None if it asks for help, which is printed.

  Raises an InputError if a flag is unknown or missing, or its value is not accepted.
  """
  formatter = argparse.RawDescriptionHelpFormatter
  parser = _Parser(
    usage=argparse.SUPPRESS, description=about, formatter_class=formatter, allow_abbrev=False
  )
  fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, arguments))}
  for name, field in fields.items():
    text = accepts(arguments, name)["help"].replace("%", "%%")
    options: dict[str, Any] = {"help": text, "default": argparse.SUPPRESS}
    if "words" in field.metadata:
      parser.add_argument(name, nargs="*", **options)
    elif field.type is bool:
      parser.add_argument(f"--{name}", action="store_true", **options)
    else:
      parser.add_argument(f"--{name}", metavar="VALUE", **options)
  try:
    values = vars(parser.parse_intermixed_args(given))
  except SystemExit:  # argparse has printed the help
    return None
  for name, value in values.items():
    if isinstance(value, list):
      values[name] = tuple(value)
    else:
      values[name] = _value(fields[name], value)
      check_value(name, values[name], type(values[name]), accepts(arguments, name))
  for name, field in fields.items():
    if field.default is REQUIRED and values.get(name, "") == "":
      raise InputError(f"--{name} is missing; --help explains it")
  return arguments(**values)


def _value(field: dataclasses.Field, given: str | bool) -> Any:
  for kind, described in KINDS.items():
    if kind in (field.type, *typing.get_args(field.type)):
      try:
        return kind(given)
      except ValueError as error:
        raise InputError(f"--{field.name}={given} must be {described}") from error
  return given
