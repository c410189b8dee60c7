"""What a member's scores say of it."""

import pytest

from sr_jax.comparison.score import status


@pytest.mark.parametrize(
  ("test", "training", "elsewhere", "expected"),
  [
    ([31.0, 32.0], [31.0, 32.0], [30.0], "ok"),
    ([29.0, 29.5], [31.0, 32.0], [30.0], "below bicubic"),
    ([29.0, 29.5], [20.0, 21.0], [20.0], "did not learn"),  # far worse than bicubic, and finite
    ([31.0, 32.0], [30.0, 30.0], [30.0], "did not learn"),  # what a network with a dead layer is
    ([31.0, None], [31.0, 32.0], [30.0], "diverged"),
    ([31.0, 32.0], [31.0, None], [30.0], "diverged"),
    ([31.0, 32.0], [31.0, 32.0], [None], "diverged"),  # on validation, or a further test set
  ],
)
def test_only_what_is_not_finite_diverged(test, training, elsewhere, expected):
  bicubic = {"test": {"psnr": [30.0, 30.0]}, "training": {"psnr": [30.0, 30.0]}}
  assert status(test, training, elsewhere, bicubic) == expected


def test_below_what_no_network_gives_is_said_in_words():
  nothing = {"test": {"psnr": [30.0]}}
  assert status([29.0], None, [30.0], nothing, "no_network") == "below no network"
