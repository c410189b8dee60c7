import os
import signal

import jax
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.networks import LRNetwork
from sr_jax.run_folder import Unsaved
from sr_jax.training import interruption, metrics, population, sharding
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.loop import Saver, Training, steps_per_dispatch, train

STEPS = 3 * steps_per_dispatch() + 7
NETWORK = LRNetwork(features=4, depth=1)
NOISE = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)


def run(folder, validate=lambda state: [1.0, 2.0]):
  mesh = sharding.make_mesh(2, 4)
  members = sharding.shard_members(mesh, population.make_members([0, 1], [3e-3]))
  store = sharding.replicate(mesh, patches.make_store([make_photo("n", NOISE, 2)], 6))
  checkpoints = Checkpoints(folder / "checkpoints", 2)
  unsaved = Unsaved()
  try:
    state = train(
      Training("lr", "final", 2, STEPS, frozenset([25, STEPS])),
      population.make_train_steps(NETWORK, 4, 6, mesh),
      population.initialise(NETWORK, "lr", members, mesh),
      members,
      store,
      validate,
      Saver(checkpoints, {}, 1e9, unsaved, "lr final"),
      metrics.MetricsLog(folder / "metrics.jsonl", unsaved),
    )
  finally:
    checkpoints.close()
  return jax.tree.map(np.asarray, state), metrics.read(folder / "metrics.jsonl")


def test_a_stopped_training_goes_on_to_the_same_bits_and_metrics(tmp_path):
  for name in ("whole", "stopped"):
    (tmp_path / name).mkdir()
  whole, lines = run(tmp_path / "whole")

  def interrupt(state):
    os.kill(os.getpid(), signal.SIGTERM)  # arrives in the middle of the loop
    return [1.0, 2.0]

  with pytest.raises(interruption.Interrupted) as stop, interruption.installed():
    run(tmp_path / "stopped", interrupt)
  assert stop.value.exit_code == 143
  stopped = metrics.read(tmp_path / "stopped" / "metrics.jsonl")
  assert max(line["step"] for line in stopped) == 25
  assert not any("validation_psnr" in line for line in stopped)  # it was in the middle of that

  # What a kill leaves: lines beyond the checkpoint, a torn last line, another training's lines.
  with (tmp_path / "stopped" / "metrics.jsonl").open("a") as file:
    file.write('{"step": 45, "arm": "lr", "stage": "final", "training_psnr": [0, 0]}\n')
    file.write('{"step": 99, "arm": "hr", "stage": "final"}\n{"step": 1')
  resumed, resumed_lines = run(tmp_path / "stopped")
  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  ours = [line for line in resumed_lines if line["arm"] == "lr"]
  for line, expected in zip(ours, lines, strict=True):
    assert line.keys() == expected.keys()
    assert line["step"] == expected["step"]
    for key in line.keys() & {"training_psnr", "validation_psnr"}:
      assert line[key] == pytest.approx(expected[key], rel=1e-6)  # dispatches were cut otherwise
  assert {"step": 99, "arm": "hr", "stage": "final"} in resumed_lines


def test_a_finished_training_is_only_loaded(tmp_path):
  whole, lines = run(tmp_path)
  again, lines_again = run(tmp_path, validate=lambda state: pytest.fail("trained again"))
  jax.tree.map(np.testing.assert_array_equal, whole, again)
  assert lines == lines_again
  assert [line["step"] for line in lines if "validation_psnr" in line] == [25, STEPS]
  assert [line["step"] for line in lines if "training_psnr" in line][-1] == STEPS
