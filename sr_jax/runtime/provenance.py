"""What a result depends on apart from its configuration: code, packages, devices."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "sr_jax")


@functools.cache
def provenance() -> dict[str, str]:
  """The code revision, package versions and devices that a result depends on."""
  return {
    "revision": _revision(),
    "python": platform.python_version(),
    **{name: _version(name) for name in PACKAGES},
    "device": describe_devices(),
  }


def describe_devices() -> str:
  """The devices that JAX uses, in words."""
  devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
  if jax.process_count() > 1:
    devices += f" in {jax.process_count()} processes"
  if jax.default_backend() == "cpu":
    devices += f" ({platform.machine()}, {os.cpu_count()} cores)"
  return devices


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return "not installed"


def _revision() -> str:
  """The git revision of this code, marked if files differ from it; "unknown" outside its checkout.

  An installed package may lie in somebody else's repository, whose revision says nothing of it.
  """
  package = Path(__file__).resolve().parents[1]
  try:
    top, head = _git(package, "rev-parse", "--show-toplevel", "HEAD").split("\n")
    if Path(top).resolve() != package.parent:
      return "unknown"
    _git(package, "ls-files", "--error-unmatch", "__init__.py")
    return head + (" with changes" if _git(package, "status", "--porcelain") else "")
  except (OSError, ValueError, subprocess.CalledProcessError):
    return "unknown"


def _git(folder: Path, *arguments: str) -> str:
  command = ["git", "-C", str(folder), *arguments]
  return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
