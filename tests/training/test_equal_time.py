import json

import pytest

from sr_jax.networks import LRNetwork
from sr_jax.training import equal_time
from sr_jax.training.equal_time import widest


@pytest.mark.parametrize(
  ("seconds", "aim", "width"),
  [
    ({"4": 1.0, "8": 2.0, "12": 3.0}, 2.5, 8),
    ({"4": 1.0, "8": 5.0, "12": 2.0}, 2.5, 12),  # a wider one may suit the device better
    ({"4": 3.0, "8": 5.0}, 2.5, 4),
  ],
)
def test_the_widest_that_is_as_fast(seconds, aim, width):
  assert widest(seconds, aim) == width


def test_a_width_is_measured_once_and_then_kept(tmp_path, capsys):
  networks = {width: LRNetwork(features=width, depth=0) for width in (1, 2)}
  asked = ("wide", LRNetwork(features=64, depth=2), networks, 2, 6, 2, tmp_path / "run")
  assert equal_time.width_of(*asked) == 2
  assert "wide: a width of 2 takes" in capsys.readouterr().out
  file = tmp_path / "run" / equal_time.FILE
  kept = json.loads(file.read_text())
  assert kept["wide"]["seconds"].keys() == {"1", "2"}
  kept["wide"]["width"] = 1
  file.write_text(json.dumps(kept))
  assert equal_time.width_of(*asked) == 1
