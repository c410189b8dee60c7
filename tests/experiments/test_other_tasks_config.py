"""What the flags of a comparison over tasks may be."""

import pytest

from experiments.other_tasks import Config
from sr_jax.config import InputError


def test_the_skip_alone_is_an_explicit_form():
  assert Config(arms=("lr", "skip"), tasks=("super_resolution",)).arm_names() == ("lr", "skip")


@pytest.mark.parametrize("arms", [("lr",), ("lr", "lr_plain"), ("half",)])
def test_networks_without_the_reference_or_a_form_are_refused(arms):
  with pytest.raises(InputError, match="some of transposed, nearest, linear, half, skip"):
    Config(arms=arms, tasks=("denoising",))
