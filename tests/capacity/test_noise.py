import numpy as np
import pytest

from sr_jax.capacity import noise
from sr_jax.capacity.noise import imitate, largest_fitted, memorise
from sr_jax.networks import hr_network, lr_network

PLAIN = {"depth": 0, "bicubic_skip": False}


@pytest.mark.parametrize(
  ("errors", "largest"),
  [
    ({1: [0.0], 2: [0.05, 0.14], 3: [0.2, 0.2]}, 2),
    ({1: [0.2], 2: [0.0]}, 0),  # what comes after a failure does not count
    ({1: [0.0], 2: [np.nan], 4: [0.0]}, 1),
    ({4: [0.3], 1: [0.0], 2: [0.1]}, 2),
  ],
)
def test_the_largest_count_that_is_fitted(errors, largest):
  assert largest_fitted(errors) == largest


def test_a_member_is_trained_on_its_own_count_of_patches(monkeypatch):
  monkeypatch.setattr(noise, "COUNTS", (1, 12, 24))
  network = lr_network(features=8, **PLAIN)  # 500 parameters for 64, 768 and 1536 values
  errors = memorise(network, 2, (1e-2, 2e-2), 400)
  assert [len(values) for values in errors.values()] == [2, 2, 2]
  assert max(errors[1]) < 1e-6
  assert min(errors[12]) > 0.05
  assert 2 * max(errors[12]) < min(errors[24])
  assert max(errors[24]) < 0.8


def test_a_student_learns_its_own_kind_and_not_what_lies_outside():
  lr = lr_network(features=4, **PLAIN)
  tied = hr_network(
    features=1, kernel_size=5, upsampling="transposed_conv", execution="lr_space", **PLAIN
  )
  of_tied, of_lr = (imitate(teacher, lr, 2, (1e-2,), 500) for teacher in (tied, lr))
  back = imitate(lr, tied, 2, (1e-2,), 500)
  assert min(*of_tied, *of_lr) > 3
  assert np.mean(back) < min(np.mean(of_tied), np.mean(of_lr)) - 2
