"""Every test runs on four CPU devices, so that a mesh is more than the trivial one."""

from pathlib import Path

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
  """The field's own image sets, which are not part of the project."""
  if not SHARED.is_dir():
    pytest.skip("the image sets (T91, Set5, ...) are not beside this checkout")
  return SHARED
