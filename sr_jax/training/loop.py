"""Trains one population to the end of its schedule, from its latest checkpoint if there is one."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from sr_jax.data.patches import Store
from sr_jax.runtime import preemption, processes
from sr_jax.runtime.console import TrainingProgress
from sr_jax.training.dispatch import DispatchSizer
from sr_jax.training.lbfgs import Patches
from sr_jax.training.losses import LINE, Losses, Training
from sr_jax.training.metrics import MetricsLog
from sr_jax.training.population import Population, State
from sr_jax.training.saver import Saver
from sr_jax.training.sharding import replicate_integers

TRACED_DISPATCH = 3  # the first ones compile


def train(
  training: Training,
  train_steps: Callable,
  fresh: Population,
  store: Store | Patches,
  validate: Callable[[State], Any],
  saver: Saver,
  metrics: MetricsLog,
  on_corrupt: str = "stop",
  trace: Path | None = None,
) -> State:
  """Trains a fresh population and returns its state after the last step.

  The host stays one dispatch ahead: it reads a dispatch's losses while the next one runs. With
  several processes, they are read when the next one has ended.

  The latest checkpoint of `saver` is continued; where that is damaged, `on_corrupt` says whether to
  "stop" or to go on from the "previous" one. `validate` gives a number per member, logged as
  `validation_psnr`, or by the name of the training's measure. `trace` is the folder for a trace of
  a dispatch in which nothing compiles.

  Raises:
    Interrupted: a signal asked to stop; everything done is saved.
  """
  name, key = {"arm": training.arm, "stage": training.stage}, f"validation_{training.measure}"
  step, state, about = saver.checkpoints.restore(fresh.state, fresh.members, on_corrupt)
  logged = metrics.rewind(step, **name)
  validated = {line["step"] for line in logged if key in line}
  progress = TrainingProgress(f"{training.arm} {training.stage}", step, training.steps)
  losses = Losses(training, metrics, progress, step, state, about.get(LINE, {}))
  sizer = DispatchSizer()
  votes = processes.AllReduceMax(lambda: (preemption.requested(), saver.due(), sizer.step_seconds))

  def save(wait: bool = False) -> None:
    losses.read(sizer.end)
    saver.save(step, state, fresh.members, losses.begun_line(), wait)

  def validate_once() -> None:
    if step in training.validate_at and step not in validated:
      save(wait=True)  # since validation may take long, and a signal does not wait for it
      with preemption.at_once() if not processes.is_multiprocess() else contextlib.nullcontext():
        metrics.append(step=step, **name, **{key: validate(state)})

  try:
    with preemption.deferred():
      try:
        validate_once()  # a run may have been stopped in the middle of it
        signal: float = 0 if processes.is_multiprocess() else preemption.requested()
        while step < training.steps and not signal:
          stop = min(step + sizer.steps, losses.next_line(step))
          votes.cast()
          sizer.begin(stop - step)
          with _tracing(trace if sizer.dispatches == TRACED_DISPATCH else None) as wait_for:
            wait_for(state)
            span = replicate_integers(fresh.mesh, step, stop, training.steps)
            with jax.transfer_guard("disallow"):  # the devices wait for nothing else from the host
              state, total = train_steps(state, fresh.members, store, *span, losses.total)
            wait_for(total)
          preemption.must_save(True)
          step = stop
          losses.add(step, total)
          losses.read(sizer.end, but_the_last=sizer.dispatches > 2)  # the first two are timed
          validate_once()
          signal, due, step_seconds = votes.result()
          sizer.update(step_seconds)
          if due:
            save()
        if signal:
          preemption.request(int(signal))
      except preemption.Interrupted:
        pass  # in a validation: what was trained is saved all the same
      save(wait=True)
  finally:
    progress.close()
    preemption.must_save(False)
  return state


@contextlib.contextmanager
def _tracing(folder: Path | None) -> Iterator[Callable[[Any], Any]]:
  """Writes a trace where a folder is given, and yields a function that waits for the devices."""
  if folder is None:
    yield lambda tree: None
  else:
    with jax.profiler.trace(str(folder), create_perfetto_trace=True):
      yield jax.block_until_ready
