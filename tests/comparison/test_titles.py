import pytest

from sr_jax.comparison.titles import task_title, titled


@pytest.mark.parametrize(
  ("name", "title"),
  [
    ("hr_k3_learned", "HR k3 learned"),
    ("h4_k5", "h = 4, K = 5"),
    ("lr_plain", "LR plain"),
    ("half", "Half"),
    ("transposed", "Transposed"),
    ("MyNetwork", "MyNetwork"),
  ],
)
def test_an_arm_has_a_title(name, title):
  assert titled(name) == title


def test_a_task_has_a_title():
  assert task_title("super_resolution") == "super-resolution"
  assert task_title("deblocking_x2") == "deblocking x2"
