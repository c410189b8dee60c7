"""Compiles the native convolution on first use, and loads it.

A compiled library is kept in the user's cache folder under the name
`SOURCE-KEY-DIGEST.so`: the key is of everything that it was made from, the digest of its own bytes.
It appears there whole, by renaming, and is loaded only if its bytes have that digest.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jaxlib
from jax import ffi

from sr_jax.config import CACHE
from sr_jax.runtime.console import log

if sys.platform != "win32":
  import fcntl

SOURCE = Path(__file__).with_name("conv.cc")
COMPILERS = ("c++", "g++", "clang++")
# Without -ffast-math, which takes NaN and infinity for impossible.
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden")
ARITHMETIC = ("-ffp-contract=fast", "-fno-math-errno")
TARGETS = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler knows
TIME_LIMIT = 120.0  # seconds of one call of the compiler
TEMPORARY = "compiling-"
TRIAL = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"


class UnavailableError(RuntimeError):
  """There is no native library here; the message is the reason, in one sentence."""


def load(source: Path = SOURCE) -> ctypes.CDLL:
  """The library of a C++ file, compiled if this is its first use; a process tries only once.

  Raises:
    UnavailableError: it cannot be compiled, kept or loaded here; again at every later call.
  """
  outcome = _load_once(source)
  if isinstance(outcome, UnavailableError):
    raise UnavailableError(str(outcome))
  return outcome


@functools.cache
def _load_once(source: Path) -> ctypes.CDLL | UnavailableError:
  try:
    return ctypes.CDLL(str(build(source)))
  except UnavailableError as error:
    return error
  except OSError as error:  # as of a folder from which no program may be run
    return UnavailableError(f"the compiled library cannot be loaded ({error})")


def build(source: Path = SOURCE) -> Path:
  """The path of a C++ file's library, whose bytes were just checked; compiles it if need be.

  Of several processes one compiles and the others wait for it.

  Raises:
    UnavailableError: it cannot be compiled or kept here.
  """
  if sys.platform == "win32":
    raise UnavailableError("nothing is compiled on Windows")
  try:
    text, compiler, folder = source.read_bytes(), find_compiler(), _folder()
    name = f"{source.stem}-{_key(text, compiler)}"
    if (path := _whole(folder, name)) is not None:
      return path
    with _locked(folder):
      return _whole(folder, name) or _compile(text, compiler, folder, name)
  except OSError as error:
    where = f"{error.filename}: " if error.filename else ""
    raise UnavailableError(f"the library cannot be made ({where}{error.strerror})") from error


def cpu() -> str:
  """The model of this machine's processor and its features."""
  names = ("model name", "flags", "Features", "CPU implementer", "CPU variant", "CPU part")
  try:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    lines = []
  described = {line for line in lines if line.partition(":")[0].strip() in names}
  return "\n".join([platform.machine(), *(sorted(described) or [platform.processor()])])


def find_compiler() -> list[str]:
  """The compiler's path, and the arguments that $CXX may add to it."""
  given = shlex.split(os.environ.get("CXX", ""))
  for name in given[:1] or COMPILERS:
    if path := shutil.which(name):
      return [str(Path(path).absolute()), *given[1:]]
  missing = f"CXX={given[0]} is not a program" if given else f"none of {', '.join(COMPILERS)} is"
  raise UnavailableError(f"no C++ compiler: {missing} on PATH")


def _folder() -> Path:
  """The folder of compiled libraries, which nobody else may write to."""
  try:
    cache = Path(CACHE).expanduser()
  except RuntimeError as error:
    raise UnavailableError(f"no cache folder: {CACHE} is not known; set XDG_CACHE_HOME") from error
  folder = cache / "native"
  cache.mkdir(mode=0o700, parents=True, exist_ok=True)
  folder.mkdir(mode=0o700, exist_ok=True)
  for path in (cache, folder):
    about = path.stat()
    if about.st_uid != os.geteuid():
      raise UnavailableError(f"{path} belongs to another user ({about.st_uid}); set XDG_CACHE_HOME")
    # Debian and Red Hat give every user a group of the user's own number, with write permission.
    writable = 0o002 if about.st_gid == about.st_uid else 0o022
    if about.st_mode & (0o077 if path == folder else writable):
      mode = f"{about.st_mode & 0o777:o}"
      raise UnavailableError(f"{path} is open to other users (mode {mode}); chmod 700 {path}")
  return folder


def _key(text: bytes, compiler: list[str]) -> str:
  version = _run([*compiler, "--version"])
  made_from = [
    compiler,
    version,
    FLAGS,
    ARITHMETIC,
    TARGETS,
    sys.platform,
    cpu(),
    jaxlib.__version__,
  ]
  return hashlib.sha256(text + repr(made_from).encode()).hexdigest()[:32]


def _whole(folder: Path, name: str) -> Path | None:
  """The library of this name whose bytes have the digest in its file's name, if any."""
  for path in folder.glob(f"{name}-*.so"):
    with contextlib.suppress(OSError):  # another process may just remove a damaged one
      if path.name == _file_name(name, path):
        return path
  return None


def _file_name(name: str, path: Path) -> str:
  return f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()}.so"


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
  """Holds the folder's lock, which ends with the process, however that ends."""
  deadline = time.monotonic() + 2 * TIME_LIMIT
  with (folder / "lock").open("a") as file:
    while True:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
      except BlockingIOError as error:
        if time.monotonic() > deadline:
          raise UnavailableError(f"another process does not give {file.name} back") from error
        time.sleep(0.05)
    yield


def _compile(text: bytes, compiler: list[str], folder: Path, name: str) -> Path:
  """Compiles a library and moves it to its place; the lock is held."""
  for path in folder.glob(f"{TEMPORARY}*"):  # of a process that was killed
    shutil.rmtree(path, ignore_errors=True)
  for path in folder.glob(f"{name}-*.so"):  # damaged
    path.unlink()
  with tempfile.TemporaryDirectory(
    prefix=TEMPORARY, dir=folder, ignore_cleanup_errors=True
  ) as temporary:
    log("Compiling the native convolution, once for this machine")
    made = Path(temporary, "library.so")
    include = ["-I", ffi.include_dir(), "-x", "c++", "-", "-o", str(made)]
    for target in TARGETS:
      try:
        # What is compiled is what the key was made of, even if the file has changed since.
        _run([*compiler, *FLAGS, *ARITHMETIC, *target, *include], text, temporary)
        break
      except UnavailableError as error:
        if not target or not re.search("native'|=native", str(error)):
          raise
    try:  # in another process: a library that is not whole may end the one that loads it
      _run([sys.executable, "-I", "-c", TRIAL, str(made)])
    except UnavailableError as error:
      raise UnavailableError(f"{compiler[0]} made no library that loads: {error}") from error
    return made.replace(folder / _file_name(name, made))


def _run(command: list[str], text: bytes = b"", temporary: str | None = None) -> str:
  """Runs a program with a text as its input and returns its output; ends what it started."""
  environment = {**os.environ, "LC_ALL": "C", **({"TMPDIR": temporary} if temporary else {})}
  pipe, program = subprocess.PIPE, command[0]
  try:
    with subprocess.Popen(
      command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, process_group=0
    ) as process:
      try:
        output, errors = process.communicate(text, timeout=TIME_LIMIT)
      except BaseException:
        with contextlib.suppress(ProcessLookupError):
          os.killpg(process.pid, signal.SIGKILL)  # a compiler is several processes
        raise
  except subprocess.TimeoutExpired as error:
    raise UnavailableError(f"{program} took longer than {TIME_LIMIT:g} seconds") from error
  except OSError as error:
    raise UnavailableError(f"{program} cannot be run ({error.strerror})") from error
  if process.returncode == 0:
    return output.decode(errors="replace")
  lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
  reason = next((line for line in lines if "error" in line.lower()), (lines or ["no message"])[0])
  code = process.returncode
  how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
  raise UnavailableError(f"{program} failed ({how}): {reason[:300]}")
