import functools
import json

import jax
import numpy as np
import pytest

from experiments import capacity
from experiments.capacity import Config, networks
from sr_jax.capacity import fitting, jacobian, noise
from sr_jax.config import Execution, InputError
from sr_jax.networks import upscale
from sr_jax.networks.pair import lift_network
from sr_jax.runtime.run_folder import RunFolder


def test_the_tied_network_lifts_into_the_lr_network():
  four = networks(8, depth=1)
  x = jax.random.normal(jax.random.key(0), (1, 6, 5, 1))
  params = jax.jit(four["lr_tied"].init)(jax.random.key(1), x)["params"]
  lifted, lr_params = lift_network(four["lr_tied"], params)
  assert lifted.layers == four["lr"].layers
  tied = upscale(four["lr_tied"].clone(execution="hr_space"), params, x)
  free = upscale(four["lr"], lr_params, x)
  np.testing.assert_allclose(tied, free, atol=1e-5)


def test_bad_values_are_refused():
  with pytest.raises(InputError, match="--parts=jacobi is not supported"):
    Config(parts=("jacobi",))
  with pytest.raises(InputError, match="--seeds=1 must be at least 2"):
    Config(seeds=1)


@pytest.mark.slow
def test_every_part_is_measured_once_and_reported(tmp_path, tiny_folder, monkeypatch):
  small = networks(4, depth=0)
  # As many programs to compile as there are networks, and pairs of teacher and student.
  small |= {"hr": small["lr_tied"], "hr_learned": small["lr"]}
  monkeypatch.setattr(capacity, "networks", lambda features, **more: small)
  for module, name in ((jacobian, "rank_of"), (noise, "memorise"), (noise, "imitate")):
    monkeypatch.setattr(module, name, functools.cache(getattr(module, name)))
  monkeypatch.setattr(capacity, "BATCH", 4)
  monkeypatch.setattr(capacity, "PATCH", 5)
  monkeypatch.setattr(capacity, "TEACHERS", ("lr", "hr_learned"))
  monkeypatch.setattr(fitting, "PATCHES_PER_IMAGE", 2)
  monkeypatch.setattr(noise, "COUNTS", (1, 2))
  monkeypatch.setattr(noise, "TEACHER_SIDE", 4)
  monkeypatch.setattr(noise, "BATCH", 2)
  monkeypatch.setattr(jacobian, "IMAGES", 1)
  config = Config(
    data=f"folder:{tiny_folder / 'data'}",
    seeds=2,
    learning_rate=(4e-3, 8e-3),
    lengths=(3, 6),
    noise_steps=5,
  )
  run_dir = RunFolder(tmp_path / "run")
  capacity.main(config, Execution(), run_dir)
  results = json.loads(run_dir.results.read_text())
  assert list(results["parts"]) == list(capacity.PARTS)
  assert all(len(values) == 2 for values in results["parts"]["fit"]["lr"].values())
  assert results["parts"]["imitate"]["lr"].keys() == {"lr", "hr_learned"}
  parameters = {name: fits["parameters"] for name, fits in results["parts"]["memorise"].items()}
  assert parameters["lr"] == sum(x.size for x in jax.tree.leaves(_params(small["lr"])))
  text = run_dir.markdown_report.read_text()
  for words in ("## Rank of the Jacobian", "figures/capacity.png", "--parts=jacobian,linear,fit"):
    assert words in text
  assert (run_dir.figures / "capacity.png").exists()
  page = run_dir.report.read_text()
  assert "<h2>Rank of the Jacobian</h2>" in page
  assert 'src="data:image/png' in page

  # What is there is not measured again, what is missing is: here everything but one part.
  run_dir.part("linear").unlink()
  ran = []
  for part, measure in capacity.MEASURE.items():
    monkeypatch.setitem(
      capacity.MEASURE, part, lambda *a, p=part, m=measure: ran.append(p) or m(*a)
    )
  capacity.main(config, Execution(), run_dir)
  assert ran == ["linear"]
  assert json.loads(run_dir.results.read_text()) == results


def _params(network):
  return jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 8, 8, 1)))["params"]
