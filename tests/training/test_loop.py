import json
import os
import signal

import jax
import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import lr_network
from sr_jax.runtime import preemption
from sr_jax.runtime.files import Unsaved
from sr_jax.training import dispatch as dispatching
from sr_jax.training import metrics, population, sharding
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.training.dispatch import DispatchSizer, steps_per_dispatch
from sr_jax.training.loop import train
from sr_jax.training.losses import Training
from sr_jax.training.population import Population
from sr_jax.training.saver import Saver

STEPS = 3 * steps_per_dispatch() + 7
NETWORK = lr_network(features=4, depth=1)
NOISE = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)


def run(folder, validate=lambda state: [1.0, 2.0], every_seconds=1e9, wrap=lambda steps: steps):
  mesh = sharding.make_mesh(2, 4)
  members = sharding.shard_members(mesh, population.make_members([0, 1], [3e-3]))
  store = sharding.replicate(mesh, patches.make_store([make_pair("n", NOISE, 2)], 6))
  checkpoints = Checkpoints(folder / "checkpoints", 2)
  unsaved = Unsaved()
  state = population.initialise(NETWORK, "lr", members, mesh)
  try:
    state = train(
      Training("lr", "final", 2, STEPS, frozenset([25, STEPS])),
      wrap(population.make_train_steps(NETWORK, 4, 6, mesh)),
      Population(NETWORK, state, members, mesh),
      store,
      validate,
      Saver(checkpoints, {}, every_seconds, unsaved, "lr final"),
      metrics.MetricsLog(folder / "metrics.jsonl", unsaved),
    )
  finally:
    checkpoints.close()
  return jax.tree.map(np.asarray, state), metrics.read(folder / "metrics.jsonl")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A training that nothing happened to: its state, and the bytes of its metrics."""
  folder = tmp_path_factory.mktemp("whole")
  state, _ = run(folder)
  return state, (folder / "metrics.jsonl").read_bytes()


def dispatch(monkeypatch, steps, stop_at=0):
  """Has dispatches take so many steps, and a signal come while the one numbered `stop_at` runs."""
  begin = DispatchSizer.begin

  def begin_or_stop(self, count):
    begin(self, count)
    if self.dispatches == stop_at:
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(DispatchSizer, "begin", begin_or_stop)
  monkeypatch.setattr(
    DispatchSizer, "update", lambda self, step_seconds: setattr(self, "steps", steps)
  )


def stop_in_a_line(folder, monkeypatch, stop_at):
  """Begins a training, which a signal stops after so many dispatches."""
  with monkeypatch.context() as patch:
    dispatch(patch, 3, stop_at)
    with pytest.raises(preemption.Interrupted), preemption.installed():
      run(folder)


def assert_as_whole(folder, state, whole):
  jax.tree.map(np.testing.assert_array_equal, whole[0], state)
  assert (folder / "metrics.jsonl").read_bytes() == whole[1]


def test_a_training_stopped_in_a_validation_goes_on_to_the_same_bits_and_metrics(tmp_path, whole):
  def interrupt(state):
    os.kill(os.getpid(), signal.SIGTERM)  # arrives in the middle of the loop
    return [1.0, 2.0]

  with pytest.raises(preemption.Interrupted) as stop, preemption.installed():
    run(tmp_path, interrupt)
  assert stop.value.exit_code == 143
  stopped = metrics.read(tmp_path / "metrics.jsonl")
  assert max(line["step"] for line in stopped) == 25
  assert not any("validation_psnr" in line for line in stopped)  # it was in the middle of that

  # What a kill leaves: lines beyond the checkpoint, and a torn last line.
  with (tmp_path / "metrics.jsonl").open("a") as file:
    file.write('{"step": 45, "arm": "lr", "stage": "final", "training_psnr": [0, 0]}\n{"step": 1')
  assert_as_whole(tmp_path, run(tmp_path)[0], whole)


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_metrics_do_not_depend_on_how_long_dispatches_are(tmp_path, whole, steps, monkeypatch):
  dispatch(monkeypatch, steps)
  assert_as_whole(tmp_path, run(tmp_path)[0], whole)


@pytest.mark.parametrize("stop_at", [1, 4, 9])
def test_a_line_that_a_stop_cuts_is_the_mean_of_all_its_steps(
  tmp_path, whole, stop_at, monkeypatch
):
  stop_in_a_line(tmp_path, monkeypatch, stop_at)
  (*_, step) = sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
  assert step % steps_per_dispatch()
  assert_as_whole(tmp_path, run(tmp_path)[0], whole)


def test_saves_in_the_middle_of_lines_change_no_metrics(tmp_path, whole, monkeypatch):
  dispatch(monkeypatch, 7)
  assert_as_whole(tmp_path, run(tmp_path, every_seconds=1e-9)[0], whole)


def test_a_checkpoint_that_has_no_losses_of_a_begun_line_is_continued(tmp_path, whole, monkeypatch):
  stop_in_a_line(tmp_path, monkeypatch, stop_at=4)
  restore = Checkpoints.restore  # of an earlier version
  monkeypatch.setattr(Checkpoints, "restore", lambda *given: (*restore(*given)[:2], {}))
  state, lines = run(tmp_path)
  jax.tree.map(np.testing.assert_array_equal, whole[0], state)
  expected = [json.loads(line) for line in whole[1].splitlines()]
  assert [line["step"] for line in lines] == [line["step"] for line in expected]
  assert lines[0] != expected[0]  # the mean of the rest
  assert lines[1:] == expected[1:]


class Clock:
  """Seconds that a test lets pass."""

  def __init__(self, monkeypatch):
    self.now = 100.0
    monkeypatch.setattr(dispatching.time, "monotonic", lambda: self.now)

  def dispatches(self, sizer, step_seconds, count):
    """Dispatches whose steps take so long, the host one ahead; the steps of each."""
    taken = []
    for _ in range(count):
      taken.append(sizer.steps)
      sizer.begin(sizer.steps)
      if sizer.dispatches > 1:
        self.now += step_seconds * taken[-2] if len(taken) > 1 else step_seconds
        sizer.end()
        sizer.update(sizer.step_seconds)
    return taken


def test_dispatches_get_as_long_as_their_steps_allow(monkeypatch):
  clock, sizer = Clock(monkeypatch), DispatchSizer()
  longest = steps_per_dispatch()
  assert clock.dispatches(sizer, 1e-3, 10)[-1] == longest
  # A busy machine, for some time or for one step, changes their length for no longer than that.
  assert clock.dispatches(sizer, 0.5, 20)[-1] == 2
  assert clock.dispatches(sizer, 1e-3, 1200)[-1] == longest
  assert clock.dispatches(sizer, 9.0, 20)[-1] == 1
  assert clock.dispatches(sizer, 1e-3, 1200)[-1] == longest


def test_one_slow_step_at_the_beginning_does_not_keep_dispatches_short(monkeypatch):
  clock, sizer = Clock(monkeypatch), DispatchSizer()
  clock.now += 30  # compiles
  clock.dispatches(sizer, 2.0, 3)
  assert sizer.steps == 1
  assert clock.dispatches(sizer, 2e-3, 600)[-1] == steps_per_dispatch()


def test_what_the_host_does_between_dispatches_is_not_taken_for_their_time(monkeypatch):
  clock, sizer = Clock(monkeypatch), DispatchSizer()
  for _ in range(50):
    sizer.begin(1)
    clock.now += 0.25
    sizer.end()
    sizer.update(sizer.step_seconds)
    clock.now += 100.0  # a validation
  assert sizer.step_seconds == pytest.approx(0.25)
  assert sizer.steps == 4


def test_steps_that_copy_a_number_to_the_devices_implicitly_are_refused(tmp_path):
  def careless(train_steps):
    def steps(state, members, store, start, stop, steps, losses):
      return train_steps(state, members, store, start, stop, STEPS, losses)

    return steps

  with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
    run(tmp_path, wrap=careless)


def test_a_finished_training_is_only_loaded(tmp_path):
  whole, lines = run(tmp_path)
  again, lines_again = run(tmp_path, validate=lambda state: pytest.fail("trained again"))
  jax.tree.map(np.testing.assert_array_equal, whole, again)
  assert lines == lines_again
  assert [line["step"] for line in lines if "validation_psnr" in line] == [25, STEPS]
  assert [line["step"] for line in lines if "training_psnr" in line][-1] == STEPS
