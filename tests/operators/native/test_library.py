import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sr_jax.operators.native import library
from sr_jax.operators.native.library import UnavailableError

ROOT = Path(__file__).parents[3]
COMPILER = next(filter(None, map(shutil.which, library.COMPILERS)), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler on PATH")
ANSWER = """extern "C" __attribute__((visibility("default"))) int answer() { return %d; }\n"""
LOAD = """
import pathlib, sys
from sr_jax.operators.native import library
print(library.load(pathlib.Path(sys.argv[1])).answer())
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  """An empty cache folder of the user's; no compiler is chosen."""
  monkeypatch.setattr(library, "CACHE", str(tmp_path / "cache" / "sr_jax"))
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.delenv("CXX", raising=False)
  return tmp_path / "cache" / "sr_jax" / "native"


@pytest.fixture
def source(tmp_path):
  path = tmp_path / "tiny.cc"
  path.write_text(ANSWER % 42)
  return path


@pytest.fixture
def compiler(tmp_path, monkeypatch):
  """Makes a shell script the compiler; every call but that for its version is in a log."""
  script, log = tmp_path / "fake-c++", tmp_path / "log"

  def use(body):
    script.write_text(
      f'#!/bin/sh\n[ "$1" = --version ] && echo 1.0 && exit\necho "$@" >> {log}\n'
      f'while [ $# -gt 1 ]; do rest="$rest $1"; shift; done\nout=$1\n{body}\n'
    )
    script.chmod(0o700)
    monkeypatch.setenv("CXX", str(script))
    return log

  return use


def calls(log):
  return log.read_text().splitlines()


REAL = f"{COMPILER} $rest $out"


def start(source):
  return subprocess.Popen(
    [sys.executable, "-c", LOAD, str(source)],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )


@needs_compiler
def test_a_library_is_compiled_once_and_kept_for_the_user_alone(source, cache, compiler):
  log = compiler(REAL)
  assert library.load(source).answer() == 42
  assert library.load(source) is library.load(source)
  path = library.build(source)
  assert len(calls(log)) == 1
  assert path.parent == cache
  assert sorted(cache.iterdir()) == sorted([cache / "lock", path])
  assert cache.stat().st_mode & 0o777 == 0o700
  assert cache.parent.stat().st_mode & 0o777 == 0o700


@needs_compiler
def test_the_headers_of_xla_are_at_hand(source):
  source.write_text('#include "xla/ffi/api/ffi.h"\n' + ANSWER % 7)
  assert library.load(source).answer() == 7


@needs_compiler
def test_not_a_number_and_infinity_are_numbers_like_any_other(source):
  source.write_text(
    'extern "C" __attribute__((visibility("default"))) int answer() {\n'
    "  volatile float zero = 0; float infinity = 1 / zero, nan = zero / zero;\n"
    "  return (nan != nan) + 2 * (infinity > 3e38f) + 4 * __builtin_isnan(infinity * zero); }\n"
  )
  assert library.load(source).answer() == 7


def test_without_a_compiler(source, tmp_path, monkeypatch):
  monkeypatch.setenv("PATH", str(tmp_path))
  with pytest.raises(UnavailableError, match=r"no C\+\+ compiler: none of c\+\+, g\+\+, clang\+\+"):
    library.load(source)
  monkeypatch.setenv("CXX", "missing-c++ -v")
  with pytest.raises(UnavailableError, match=r"CXX=missing-c\+\+ is not a program on PATH"):
    library.build(source)


@pytest.mark.parametrize(
  ("body", "reason"),
  [
    ("echo In function f: >&2; echo '<stdin>:3: error: no' >&2; exit 1", "<stdin>:3: error: no"),
    ("echo No space left on device >&2; exit 3", r"\(exit code 3\): No space left on device"),
    ("exit 1", "no message"),
    ("echo half > $out; kill -9 $$", "killed by signal 9"),
    ("exit 0", "made no library that loads"),
    ("printf '\\177ELF' > $out", "made no library that loads"),
  ],
)
def test_a_compiler_that_fails_leaves_nothing(body, reason, source, cache, compiler):
  log = compiler(body)
  for _ in range(2):  # a process tries once
    with pytest.raises(UnavailableError, match=reason) as error:
      library.load(source)
    assert "\n" not in str(error.value)
  assert len(calls(log)) == 1
  assert [path.name for path in cache.iterdir()] == ["lock"]


@needs_compiler
def test_after_a_compiler_that_failed_a_good_one_is_used(source, compiler):
  compiler("echo half > $out; kill -9 $$")
  with pytest.raises(UnavailableError, match="killed by signal 9"):
    library.build(source)
  compiler(REAL)
  assert library.build(source).is_file()


def test_a_compiler_that_takes_too_long_is_ended(source, tmp_path, compiler, monkeypatch):
  monkeypatch.setattr(library, "TIME_LIMIT", 0.5)
  compiler(f"sleep 60 & echo $! > {tmp_path / 'pid'}; wait")
  with pytest.raises(UnavailableError, match=r"took longer than 0\.5 seconds"):
    library.load(source)
  pid = (tmp_path / "pid").read_text().strip()
  state = Path("/proc", pid, "stat")
  assert not state.exists() or ") Z " in state.read_text()


@needs_compiler
@pytest.mark.parametrize("known", ["-mcpu=native", "-O3"])
def test_a_target_that_the_compiler_does_not_know_is_left_out(known, source, compiler):
  log = compiler(
    'for a in $rest; do case $a in -march=native|-mcpu=native) [ "$a" = '
    f"{known} ] && exec {COMPILER} -O3 -shared -fPIC -x c++ - -o $out; "
    f"echo \"error: unknown value 'native' for $a\" >&2; exit 1;; esac; done; {REAL}"
  )
  assert library.build(source).is_file()
  used = [set(re.findall(r"-m\w+=native", line)) for line in calls(log)]
  everything = [{"-march=native"}, {"-mcpu=native"}, set()]
  assert used == (everything[:2] if known == "-mcpu=native" else everything)


def test_an_error_in_the_source_is_not_taken_for_an_unknown_target(source, compiler):
  log = compiler("echo 'operators/native/conv.cc:3: error: native' >&2; exit 1")
  with pytest.raises(UnavailableError, match="error: native"):
    library.build(source)
  assert len(calls(log)) == 1


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755])
def test_a_folder_that_is_open_to_others_is_not_used(mode, source, cache, compiler):
  log = compiler("exit 1")
  cache.mkdir(parents=True)
  cache.chmod(mode)
  with pytest.raises(UnavailableError, match=f"open to other users .mode {mode:o}.; chmod 700"):
    library.load(source)
  assert not log.exists()


def test_a_folder_in_one_that_others_may_write_to_is_not_used(source, cache, compiler):
  compiler("exit 1")
  cache.mkdir(parents=True, mode=0o700)
  cache.parent.chmod(0o777)
  with pytest.raises(UnavailableError, match=f"{cache.parent} is open to other users"):
    library.load(source)


def test_a_folder_of_another_user_is_not_used(source, cache, tmp_path, compiler, monkeypatch):
  compiler("exit 1")
  theirs = tmp_path / "theirs"
  theirs.mkdir(mode=0o700)
  cache.parent.mkdir(parents=True, mode=0o700)
  cache.symlink_to(theirs)
  if os.geteuid() == 0:
    os.chown(theirs, 12345, 12345)
  else:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
  with pytest.raises(UnavailableError, match="belongs to another user"):
    library.load(source)


def test_a_cache_that_cannot_be_made(source, cache, compiler):
  compiler("exit 1")
  cache.parent.parent.mkdir()
  cache.parent.write_text("a file, which even root cannot take for a folder")
  with pytest.raises(UnavailableError, match=r"cannot be made \(.*sr_jax: File exists\)"):
    library.load(source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_cache_that_is_read_only(source, cache, compiler):
  compiler("exit 1")
  cache.mkdir(parents=True, mode=0o700)
  cache.chmod(0o500)
  with pytest.raises(UnavailableError, match="Permission denied"):
    library.build(source)


def test_a_source_that_is_missing(tmp_path):
  with pytest.raises(UnavailableError, match=r"missing\.cc: No such file"):
    library.load(tmp_path / "missing.cc")


def test_nothing_is_compiled_on_windows(source, monkeypatch):
  monkeypatch.setattr(sys, "platform", "win32")
  with pytest.raises(UnavailableError, match="Windows"):
    library.load(source)


@needs_compiler
@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "name", "removed"])
def test_a_damaged_library_is_compiled_anew(damage, source, cache, compiler):
  log = compiler(REAL)
  path = library.build(source)
  whole = path.read_bytes()
  if damage == "byte":
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
  elif damage == "name":
    path.rename(path.with_name(path.name.replace(path.stem[-8:], "0" * 8)))
  elif damage == "removed":
    path.unlink()
  else:
    path.write_bytes(whole[: len(whole) // 2 * (damage == "cut")])
  again = library.build(source)
  assert len(calls(log)) == 2
  assert again.read_bytes() == whole
  assert sorted(cache.iterdir()) == sorted([cache / "lock", again])


@needs_compiler
@pytest.mark.parametrize("changed", ["cpu", "source", "flags", "jaxlib", "compiler"])
def test_whatever_a_library_is_made_from_makes_another(changed, source, tmp_path, monkeypatch):
  path = library.build(source)
  if changed == "cpu":
    monkeypatch.setattr(library, "cpu", lambda: "another")
  elif changed == "source":
    source.write_text(ANSWER % 43)
  elif changed == "flags":
    monkeypatch.setattr(library, "ARITHMETIC", ("-ffp-contract=off",))
  elif changed == "jaxlib":
    monkeypatch.setattr(library.jaxlib, "__version__", "0")
  else:
    other = tmp_path / "other-c++"
    other.symlink_to(COMPILER)
    monkeypatch.setenv("CXX", str(other))
  other = library.build(source)
  assert other.name != path.name
  assert path.is_file()
  if changed == "source":
    assert library.load(source).answer() == 43


@needs_compiler
def test_of_two_processes_one_compiles_and_the_other_waits(source, compiler):
  log = compiler(f"sleep 1; {REAL}")
  processes = [start(source) for _ in range(2)]
  outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
  assert [lines[-1] for lines in outputs] == ["42", "42"]
  assert sorted(map(len, outputs)) == [1, 2]  # one says that it compiles
  assert len(calls(log)) == 1


@needs_compiler
def test_a_process_that_is_killed_while_it_compiles_leaves_the_next_a_clean_start(
  source, cache, tmp_path, compiler
):
  pid = tmp_path / "pid"
  compiler(f"echo half > $out; echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 60")
  with start(source) as process:
    deadline = time.monotonic() + 60
    while not pid.exists() and time.monotonic() < deadline:
      time.sleep(0.02)
    process.kill()
  assert list(cache.glob("compiling-*/library.so"))
  compiler(REAL)
  assert library.load(source).answer() == 42
  assert not list(cache.glob("compiling-*"))
  os.killpg(int(pid.read_text()), signal.SIGKILL)  # the compiler, which outlives its caller


def test_the_processor_is_described_by_its_features():
  description = library.cpu().lower()
  assert platform.machine().lower() in description
  if Path("/proc/cpuinfo").exists():
    assert {"sse2", "asimd"} & set(description.split())
