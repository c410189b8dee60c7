"""Where a user's own network is: its class, its module's file, and what goes wrong in its code."""

import contextlib
import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from flax import linen as nn
from flax import nnx

from sr_jax.config import InputError

SOURCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
WHERE = "from the folder where this was started or from what is installed"


def load_class(source: str) -> type:
  """The class that a source names, as "module:Class"; imports its module.

  Raises:
    InputError: it is malformed, its module cannot be imported, or it is no class of a Flax module.
  """
  module_name, name = _parts(source)
  with sentences(f"{source}: the module {module_name} cannot be imported, {WHERE}"):
    module = importlib.import_module(module_name)
  if not hasattr(module, name):
    file = getattr(module, "__file__", None)
    raise InputError(f"{source}: {module.__name__}{f' ({file})' if file else ''} has no {name}")
  module_class = getattr(module, name)
  if not (isinstance(module_class, type) and issubclass(module_class, nn.Module | nnx.Module)):
    raise InputError(f"{source} is no class of a flax.linen.Module or flax.nnx.Module")
  return module_class


def code_of(source: str) -> str:
  """Ten hexadecimal digits of the file of the module that a source names, which change if it does.

  Nothing is imported, so that it can be compared before the module is. Of a module without a file
  they are "". Files that the module imports are not seen.

  Raises:
    InputError: there is no such module, or its file cannot be read.
  """
  module_name, _ = _parts(source)
  with sentences(f"{source}: the module {module_name} cannot be looked for"):
    spec = _spec_of(module_name)
    if spec is None:
      raise InputError(f"{source}: the module {module_name} cannot be imported, {WHERE}")
    if not spec.has_location or spec.origin is None:
      return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:10]


def _spec_of(module_name: str) -> ModuleSpec | None:
  """As `importlib.util.find_spec`, which imports the packages that a module is in."""
  importlib.invalidate_caches()
  spec, path, parts = None, None, module_name.split(".")
  for i in range(len(parts)):
    name = ".".join(parts[: i + 1])
    specs = (finder.find_spec(name, path) for finder in sys.meta_path)
    spec = next(filter(None, specs), None)
    path = spec.submodule_search_locations if spec else None
    if spec is None or (path is None and name != module_name):
      return None
  return spec


def _parts(source: str) -> tuple[str, str]:
  """The names of the module and of the class."""
  if not SOURCE.fullmatch(source):
    raise InputError(f"{source} is not MODULE:CLASS, as in mypackage.mymodule:MyNetwork")
  module_name, _, name = source.partition(":")
  return module_name, name


@contextlib.contextmanager
def sentences(what: str | Callable[[], str]) -> Iterator[None]:
  """Turns any error of the user's code into an InputError: what failed, and why."""
  try:
    yield
  except InputError:
    raise
  except (Exception, SystemExit) as error:  # a script that reads its command line may exit
    reason = next(iter(str(error).strip().splitlines()), "")
    phrase = what if isinstance(what, str) else what()
    raise InputError(f"{phrase} ({type(error).__name__}: {reason})") from error


@contextlib.contextmanager
def guarding(source: str, problem: str) -> Iterator[None]:
  """Likewise, where a network that passed its checks is applied; names it in every InputError."""
  try:
    with sentences("its code fails on images of another size"):
      yield
  except InputError as error:
    raise InputError(f"{source} {problem}: {error}") from error
