import dataclasses
import json
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import matched_flops, smoke
from sr_jax.config import (
  Execution,
  InputError,
  accepts,
  as_flags,
  check,
  differences,
  digest,
  flag_words,
  setting,
  to_dict,
)
from sr_jax.flags import parse
from sr_jax.report import pages


@dataclasses.dataclass(frozen=True)
class Config:
  steps: int = setting(3, "how many", at_least=1)
  rate: tuple[float, ...] = setting((0.1,), "how fast", above=0)
  kind: str = setting("a", "which", choices=("a", "b"))
  skip: bool = setting(True, "whether")


def test_is_json_and_the_flags_that_make_it():
  data = to_dict(Config(steps=7, rate=(0.5, 0.25), kind="b", skip=False))
  assert json.loads(json.dumps(data)) == data
  assert as_flags(data) == "--steps=7 --rate=0.5,0.25 --kind=b --skip=False"


def test_flags_are_quoted_for_the_shell_and_their_words_are_not():
  data = {"data": "folder:/my photos", "steps": 7, "tests": ["a b", "$HOME"]}
  assert as_flags(data) == "'--data=folder:/my photos' --steps=7 '--tests=a b,$HOME'"
  assert flag_words(data) == ["--data=folder:/my photos", "--steps=7", "--tests=a b,$HOME"]


# What a flag can hold: a comma parts values, and space around them is dropped.
ODD = st.text("ab /'\"$*\\`!#~;&|<>()[]{}?=%\n\té-").map(lambda text: f"folder:{text}".rstrip())


@settings(deadline=None, max_examples=25)
@given(data=ODD, tests=st.lists(ODD, min_size=1, max_size=3, unique=True))
def test_a_command_that_is_printed_gives_the_same_config(data, tests):
  config = smoke.Config(data=data, test_data=tuple(tests), bicubic_skip=False)
  command = pages.command({"experiment": "smoke", "config": to_dict(config), "choices": {}})
  python, program, experiment, *words = shlex.split(command)
  assert (python, program, experiment) == ("python", "launch.py", "--experiment=smoke")
  fields = {name: values[0] for name, values in parse(["", *words], "smoke", smoke).values.items()}
  assert smoke.Config(**fields) == config


def test_a_run_is_named_by_all_of_its_config_and_its_experiment():
  plain = to_dict(Config())
  names = {digest("x", plain), digest("y", plain)}
  for field, value in {"steps": 4, "rate": [0.2], "kind": "b", "skip": False}.items():
    names.add(digest("x", plain | {field: value}))
  assert len(names) == 6
  assert digest("x", dict(reversed(plain.items()))) == digest("x", plain)


def test_differences_name_the_fields():
  assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == [
    "b is 2, expected 4",
    "c is 3, expected absent",
    "d is absent, expected 5",
  ]


@pytest.mark.parametrize(
  ("change", "says"),
  [
    ({"steps": 0}, "--steps=0 must be at least 1"),
    ({"steps": 1.5}, "--steps=1.5 must be int"),
    ({"steps": True}, "--steps=True must be int"),
    ({"rate": ()}, "--rate is empty"),
    ({"rate": (0.1, -1.0)}, "--rate=-1.0 must be greater than 0"),
    ({"rate": (0.1, 0.1)}, "--rate=0.1,0.1 names a value twice"),
    ({"rate": (float("nan"),)}, "--rate=nan must be a finite number"),
    ({"kind": "c"}, "--kind=c is not supported; choose from a, b"),
  ],
)
def test_bad_values_are_named(change, says):
  with pytest.raises(InputError, match=says):
    check(Config(**change))


@pytest.mark.parametrize("cls", [matched_flops.Config, smoke.Config, Execution])
def test_the_defaults_are_accepted_and_explained(cls):
  check(cls())
  assert all(accepts(cls, field.name)["help"] for field in dataclasses.fields(cls))
