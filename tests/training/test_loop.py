import contextlib
import os
import signal

import jax
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_photo
from sr_jax.networks import LRNetwork
from sr_jax.training import interruption, metrics, population, sharding
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.loop import Training, steps_per_dispatch, train

STEPS = 3 * steps_per_dispatch() + 7
NETWORK = LRNetwork(features=4, depth=1)
NOISE = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)


def run(folder, validate=lambda state: [1.0, 2.0]):
  mesh = sharding.make_mesh(2, 4)
  members = sharding.shard_members(mesh, population.make_members([0, 1], [3e-3]))
  store = sharding.replicate(mesh, patches.make_store([make_photo("n", NOISE, 2)], 6))
  checkpoints = Checkpoints(folder / "checkpoints")
  try:
    state = train(
      Training("lr", "final", STEPS, frozenset([25, STEPS])),
      population.make_train_steps(NETWORK, 4, 6, mesh),
      population.initialise(NETWORK, "lr", members, mesh),
      members,
      store,
      validate,
      checkpoints,
      metrics.MetricsLog(folder / "metrics.jsonl"),
      {},
      1e9,
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

  before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
  interruption.install()
  try:
    with pytest.raises(interruption.Interrupted) as stop:
      run(tmp_path / "stopped", interrupt)
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
  assert stop.value.exit_code == 143
  interruption.install()  # forget it
  assert max(line["step"] for line in metrics.read(tmp_path / "stopped" / "metrics.jsonl")) == 25

  # What a kill leaves: lines beyond the checkpoint, a torn last line, another training's lines.
  with (tmp_path / "stopped" / "metrics.jsonl").open("a") as file:
    file.write('{"step": 45, "arm": "lr", "stage": "final", "training_psnr": [0, 0]}\n')
    file.write('{"step": 99, "arm": "hr", "stage": "final"}\n{"step": 1')
  resumed, resumed_lines = run(tmp_path / "stopped")
  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  assert [line for line in resumed_lines if line["arm"] == "lr"] == lines
  assert {"step": 99, "arm": "hr", "stage": "final"} in resumed_lines


def test_a_finished_training_is_only_loaded(tmp_path):
  whole, lines = run(tmp_path)
  again, lines_again = run(tmp_path, validate=lambda state: pytest.fail("trained again"))
  jax.tree.map(np.testing.assert_array_equal, whole, again)
  assert lines == lines_again
  assert [line["step"] for line in lines if "validation_psnr" in line] == [25, STEPS]
  assert [line["step"] for line in lines if "training_psnr" in line][-1] == STEPS


def test_a_signal_that_python_swallowed_is_raised_later():
  before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
  interruption.install()
  try:
    with contextlib.suppress(interruption.Interrupted):  # as a weak reference's callback does
      os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(interruption.Interrupted) as stop:
      interruption.raise_if_requested()
  finally:
    interruption.install()
    for number, handler in before.items():
      signal.signal(number, handler)
  assert stop.value.exit_code == 143


def test_a_signal_outside_the_loop_stops_at_once():
  before = signal.getsignal(signal.SIGINT)
  interruption.install()
  try:
    with pytest.raises(interruption.Interrupted) as stop:
      os.kill(os.getpid(), signal.SIGINT)
  finally:
    interruption.install()
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
  assert stop.value.exit_code == 130
