"""Where the wall time of a run goes."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import jax

# Lowering to StableHLO, and XLA's work or, with a warm cache, reading what it did before.
COMPILATION = (
  "/jax/core/compile/jaxpr_to_mlir_module_duration",
  "/jax/core/compile/backend_compile_duration",
)


class PhaseClock:
  """Measures the wall time of each phase of a run: `seconds`, in the order in which they ended."""

  def __init__(self) -> None:
    self.seconds: dict[str, float] = {}

  @contextlib.contextmanager
  def phase(self, name: str) -> Iterator[None]:
    """Measures what happens within it."""
    began = time.monotonic()
    yield
    self.seconds[name] = time.monotonic() - began


class CompileClock:
  """Adds up the seconds that JAX spends compiling, from now on."""

  def __init__(self) -> None:
    self.seconds, self.programs = 0.0, 0
    jax.monitoring.register_event_duration_secs_listener(self._add)

  def _add(self, event: str, duration_secs: float, **_: str | int) -> None:
    if event in COMPILATION:
      self.seconds += duration_secs
      self.programs += event == COMPILATION[-1]


def rows(profile: dict[str, Any]) -> list[list[str]]:
  """A run's `profile.json` as a table: seconds of every phase, and of compiling within them."""
  cells = [[name, f"{seconds:.2f}"] for name, seconds in profile["seconds"].items()]
  compiling = f"of which {profile['programs']} programs are compiled or loaded"
  return [["phase", "seconds"], *cells, [compiling, f"{profile['compile_seconds']:.2f}"]]
