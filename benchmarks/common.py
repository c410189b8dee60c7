"""What all benchmarks share: a flag for the file of what they measured, and how they end."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sr_jax.config import InputError, setting
from sr_jax.runtime.console import log
from sr_jax.runtime.files import write_json
from sr_jax.runtime.provenance import describe_devices

Blocks = dict[str, str]  # the text between the marks of a page, by the name of the marks


@dataclasses.dataclass(frozen=True)
class Arguments:
  """The command line of every benchmark."""

  out: str = setting("", "JSON file to write")

  def __post_init__(self) -> None:
    """Refuses a file that could not be written after everything is measured."""
    if not Path(self.out).expanduser().parent.is_dir():
      raise InputError(f"--out={self.out} must lie in a folder that exists")

  def write(self, benchmark: str, **measured: Any) -> dict[str, Any]:
    """Writes what was measured, with the devices, to --out, if it is given; returns it."""
    data = {"benchmark": benchmark, "device": describe_devices(), **measured}
    if self.out:
      write_json(Path(self.out).expanduser(), data)
    return data


def show(blocks: Callable[[dict[str, Any]], Blocks], data: dict[str, Any]) -> None:
  """Prints what the pages show of a benchmark."""
  log("\n" + "\n\n".join(blocks(data).values()))
