"""Every test runs on four CPU devices, so that a mesh is more than the trivial one."""

from pathlib import Path

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling is most of what the tests do; what is computed needs no optimised machine code. Where
# bits are compared between programs, and in every process a test starts, it is optimised.
jax.config.update("jax_disable_most_optimizations", True)

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
  """The field's own image sets, which are not part of the project."""
  if not SHARED.is_dir():
    pytest.skip("the image sets (T91, Set5, ...) are not beside this checkout")
  return SHARED


@pytest.fixture
def optimised():
  """Programs compiled during the test are optimised: for bits, and where much is computed."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)
