"""Where the wall time of a run goes."""

import jax

# Lowering to StableHLO, and XLA's work or, with a warm cache, reading what it did before.
COMPILATION = (
  "/jax/core/compile/jaxpr_to_mlir_module_duration",
  "/jax/core/compile/backend_compile_duration",
)


class CompileClock:
  """Adds up the seconds that JAX spends compiling, from now on."""

  def __init__(self) -> None:
    self.seconds = 0.0
    self.programs = 0
    jax.monitoring.register_event_duration_secs_listener(self._hear)

  def _hear(self, event: str, duration_secs: float, **_: str | int) -> None:
    if event in COMPILATION:
      self.seconds += duration_secs
      self.programs += event == COMPILATION[-1]
