"""Command lines: what argparse reads into a dataclass, and what is refused."""

import dataclasses

import pytest

from sr_jax.config import InputError, setting
from sr_jax.runtime import command_line


@dataclasses.dataclass(frozen=True)
class Arguments:
  target: str = setting(command_line.REQUIRED, "where it goes")
  files: tuple[str, ...] = command_line.words("what is copied, 100 % of it")
  count: int = setting(1, "how often", at_least=1)
  rate: float | None = setting(None, "how fast", above=0)
  kind: str = setting("a", "which", choices=("a", "b"))
  overwrite: bool = setting(False, "replace")

  def __post_init__(self):
    if self.kind == "b" and self.rate is None:
      raise InputError("--kind=b needs --rate")


def run(*given, main=lambda arguments: None):
  return command_line.run(main, Arguments, ["copy", *given])


def parsed(*given):
  received = []

  def main(arguments):
    received.append(arguments)

  assert run(*given, main=main) == 0
  return received[0]


def test_flags_may_follow_files_and_take_their_value_either_way():
  assert parsed("--target=x") == Arguments("x")
  assert parsed("1.png", "--target", "x", "2.png", "--count=3", "--rate", "0.5", "--overwrite") == (
    Arguments("x", ("1.png", "2.png"), count=3, rate=0.5, overwrite=True)
  )


@pytest.mark.parametrize(
  ("given", "sentence"),
  [
    ([], "--target is missing"),
    (["--target="], "--target is missing"),
    (["--target"], "--target: expected one argument"),
    (["--count=2.5"], "--count=2.5 must be a whole number"),
    (["--count=0"], "--count=0 must be at least 1"),
    (["--rate=much"], "--rate=much must be a number"),
    (["--rate=nan"], "--rate=nan must be a finite number"),
    (["--rate=-1"], "--rate=-1.0 must be greater than 0"),
    (["--kind=c"], "--kind=c is not supported; choose from a, b"),
    (["--target=x", "--kind=b"], "--kind=b needs --rate"),
    (["--overwrite=yes"], "--overwrite"),
    (["--coun=2"], "unrecognized arguments: --coun=2"),
  ],
)
def test_bad_input_is_one_sentence(given, sentence, capsys):
  assert run(*given) == 2
  out, err = capsys.readouterr()
  assert sentence in err
  assert err.startswith(f"{__name__}: ")
  assert (out, err.count("\n")) == ("", 1)


def test_help_prints_the_docstring_of_the_module_and_every_flag(capsys):
  assert run("--help", main=lambda arguments: 1) == 0
  out = capsys.readouterr().out
  assert __doc__.splitlines()[0] in out
  assert "what is copied, 100 % of it" in out
  assert all(f"--{name}" in out for name in ("target", "count", "rate", "kind", "overwrite"))


def fail(error):
  def main(arguments):
    raise error

  return main


def test_the_exit_code_is_what_the_command_ended_with(capsys):
  assert run("--target=x", main=lambda arguments: 1) == 1
  assert run("--target=x", main=fail(OSError(28, "No space left on device", "a.png"))) == 2
  assert capsys.readouterr().err.endswith("a.png: No space left on device\n")
  assert run("--target=x", main=fail(KeyboardInterrupt())) == 130
  with pytest.raises(ZeroDivisionError):  # a bug shows its traceback
    run("--target=x", main=fail(ZeroDivisionError()))


def test_a_mistyped_flag_is_told_which_one_may_be_meant():
  with pytest.raises(InputError, match=r"unrecognized arguments.*did you mean --target"):
    command_line.parse(Arguments, ["--tagret=x"], "")
