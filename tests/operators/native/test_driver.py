"""The C++ of the native convolution, built with sanitizers and compared with sums in float64."""

import platform
import subprocess
from pathlib import Path

import pytest

from sr_jax.operators.native import library

DRIVER = Path(__file__).with_name("driver.cc")
SANITIZERS = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CPUINFO = Path("/proc/cpuinfo")
TARGETS = ["native"]
if platform.machine() in {"x86_64", "AMD64"}:  # vectors of 4, and of 8 where there are
  has_avx2 = CPUINFO.exists() and " avx2 " in CPUINFO.read_text()
  TARGETS += ["x86-64", *(["x86-64-v3"] if has_avx2 else [])]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_random_shapes_agree_and_no_access_is_out_of_bounds(target, tmp_path):
  try:
    compiler = library.find_compiler()
  except library.UnavailableError as error:
    pytest.skip(str(error))
  flags = ["-std=c++17", "-O1", f"-march={target}", *library.ARITHMETIC, *SANITIZERS]
  program = tmp_path / "driver"
  include = ["-I", str(library.SOURCE.parent), str(DRIVER), "-o", str(program)]
  subprocess.run([*compiler, *flags, *include], check=True)
  run = subprocess.run([program], check=False, capture_output=True, text=True)
  assert run.returncode == 0, run.stdout + run.stderr
  assert run.stdout == "400 shapes agree\n"
