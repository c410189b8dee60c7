"""Holds what the layout of the code promises."""

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from experiments import (
  capacity,
  dose,
  equivalence,
  espcn,
  explicit_skip,
  matched_flops,
  nested,
  other_tasks,
  residual,
  what_share,
  when_to_upscale,
)
from sr_jax.comparison.recipe import CommonRecipe, Recipe
from sr_jax.comparison.task_recipe import TaskRecipe
from sr_jax.config import Execution
from sr_jax.sweep.options import Launch

ROOT = Path(__file__).parents[1]
CODE = [ROOT / "launch.py", *ROOT.glob("sr_jax/**/*.py"), *ROOT.glob("experiments/*.py")]
EXAMPLES = [*ROOT.glob("examples/*.py")]

# A module imports only from its own row and the rows above it.
LAYERS = [
  {"config"},
  {"runtime"},
  {"operators"},
  {"data", "networks"},
  {"training"},
  {"evaluation"},
  {"tasks"},
  {"comparison"},
  {"report"},
  {"capacity", "identities"},
  {"inspect_checkpoint", "runner", "upscale"},
  {"experiments"},
  {"flags", "sweep"},
  {"launch"},
]


def part(module):
  names = module.split(".")
  return names[1] if names[0] == "sr_jax" and len(names) > 1 else names[0]


def imports(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module:
      whole = {f"{node.module}.{alias.name}" for alias in node.names}
      yield from whole if node.module == "sr_jax" else {node.module}
    elif isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)


def test_imports_point_one_way():
  rank = {name: i for i, layer in enumerate(LAYERS) for name in layer}
  for path in CODE:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module == "sr_jax.__init__":
      continue
    for name in imports(path):
      if name.split(".")[0] in ("sr_jax", "experiments", "launch"):
        assert rank[part(name)] <= rank[part(module)], f"{module} imports {name}"


def test_examples_are_a_users_own_code():
  for path in EXAMPLES:
    names = {name.split(".")[0] for name in imports(path)}
    assert not names & {"sr_jax", "experiments", "launch"}, path


def test_no_private_modules_of_jax_and_nothing_is_evaluated():
  for path in CODE:
    text = path.read_text()
    assert "jax._src" not in text, path
    assert not re.search(r"\b(eval|exec|pickle)\b\s*[.(]", text), path


# What a config is called where it is read.
HOLDERS = {"config", "recipe", "execution", "launch", "options"}


def last_name(node):
  return node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)


def read_of(trees, holders):
  """Attributes read of what has one of these names: of `plan.config.steps` it is steps."""
  return {
    node.attr
    for tree in trees
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute) and last_name(node.value) in holders
  }


def methods(cls):
  """What a config class and those it extends do, but for the checks of its values."""
  for part in cls.__mro__[:-1]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    yield from (node for node in functions if node.name != "__post_init__")


@pytest.mark.parametrize(
  "cls",
  [
    matched_flops.Config,
    espcn.Config,
    capacity.Config,
    dose.Config,
    equivalence.Config,
    when_to_upscale.Config,
    residual.Config,
    explicit_skip.Config,
    nested.Config,
    other_tasks.Config,
    TaskRecipe,
    what_share.Config,
    Execution,
    Launch,
  ],
)
def test_every_field_is_read_somewhere(cls):
  names = {field.name for field in dataclasses.fields(cls)}
  trees = [ast.parse(path.read_text()) for path in CODE]
  # What several recipes share is handed on to each of them.
  recipes = [Recipe] if issubclass(cls, CommonRecipe) else []
  own = set().union(*(read_of(methods(each), {"self"}) for each in (cls, *recipes)))
  assert names - read_of(trees, HOLDERS) - own == set()


def test_a_field_that_nothing_reads_is_found():
  @dataclasses.dataclass
  class Config:
    read: int = 0
    unread: int = 0

    def __post_init__(self):
      assert self.unread >= 0

    def twice(self):
      return 2 * self.read

  assert read_of(methods(Config), {"self"}) == {"read"}
  assert read_of([ast.parse("layer.scale + plan.config.steps")], HOLDERS) == {"steps"}


def test_tensorflow_and_matplotlib_are_not_imported_to_train():
  code = "import sys, sr_jax.runner; print([m for m in sys.modules if '.' not in m])"
  run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert "'tensorflow'" not in run.stdout
  assert "'tensorflow_datasets'" not in run.stdout
  assert "'matplotlib'" not in run.stdout
