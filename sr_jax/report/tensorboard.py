"""A run for TensorBoard: curves of every arm, the configuration with the effect, and an example.

There is one folder an arm, so that TensorBoard draws the arms in one chart. The files are made
anew whenever the run has something new; TensorBoard forgets what it has read of older ones.
"""

import contextlib
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sr_jax.config import InputError
from sr_jax.report.model import Json
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import metrics

MEASURED = ("training_", "validation_")  # and what, as "psnr"


def check_installed() -> None:
  """Raises an InputError if the package is not installed."""
  try:
    import tensorboardX  # noqa: F401, PLC0415  # is optional
  except ImportError as error:
    needed = 'tensorboardX: pip install -e ".[tensorboard]"'
    raise InputError(f"--tensorboard needs {needed} ({error})") from error


def write(run_dir: RunFolder, about: Json, lines: Sequence[Json], results: Json | None) -> None:
  """Replaces the events of a run by those of what it has measured so far.

  The data are those of config.json, metrics.jsonl and results.json; results are None while the run
  is not finished. Raises an OSError if the events could not be written.
  """
  # Metrics hold no times, so that a rerun has the same: all events are of when the run was begun.
  began = time.mktime(time.strptime(about["began"][:19], "%Y-%m-%dT%H:%M:%S"))
  for leftover in run_dir.path.glob("tensorboard.*"):
    shutil.rmtree(leftover, ignore_errors=True)
  fresh, old = (run_dir.path / f"tensorboard.{name}" for name in ("new", time.time_ns()))
  for arm in dict.fromkeys(line["arm"] for line in lines):
    _write_events(fresh / arm, _curves(line for line in lines if line["arm"] == arm), began)
  _write_events(fresh, _whole_run(run_dir, about["config"], results or {}), began)
  if run_dir.tensorboard.exists():  # TensorBoard may hold files open, which NFS does not remove
    run_dir.tensorboard.rename(old)
  fresh.rename(run_dir.tensorboard)
  shutil.rmtree(old, ignore_errors=True)


def write_finished(run_dir: RunFolder) -> None:
  """Writes what a finished run has measured, from its files."""
  lines = metrics.read(run_dir.metrics)
  write(run_dir, read_json(run_dir.config), lines, read_json(run_dir.results))


def _curves(lines: Iterable[Json]) -> Iterator[tuple[int, Any]]:
  """Steps and what was measured at them: the score of every member, and their mean."""
  from tensorboardX.summary import scalar  # noqa: PLC0415

  for line in lines:
    for name in (key for key in line if key.startswith(MEASURED)):
      finite = {i: value for i, value in enumerate(line[name]) if value is not None}
      tags = {f"member_{i}": value for i, value in finite.items()}
      if finite:
        tags["mean"] = statistics.fmean(finite.values())
      for tag, value in tags.items():
        yield line["step"], scalar(f"{line['stage']}/{name}/{tag}", value)


def _whole_run(run_dir: RunFolder, config: Json, results: Json) -> Iterator[tuple[int, Any]]:
  """The configuration and, of a finished run, its effect and its example."""
  from tensorboardX.summary import hparams, image, scalar  # noqa: PLC0415

  fields = {k: ",".join(map(str, v)) if isinstance(v, list) else v for k, v in config.items()}
  if "task" in config:
    fields |= {"task": ",".join(f"{k}={v}" for k, v in config["task"].items())}
  test = results.get("verdict", {}).get("test", {})
  limits = {name: test.get(name) for name in ("mean", "low", "high")}
  effect = {f"effect_db/{name}": value for name, value in limits.items() if value is not None}
  step = config.get("steps", 0)
  yield from ((0, summary) for summary in hparams(fields, effect))
  yield from ((step, scalar(tag, value)) for tag, value in effect.items())
  picture = run_dir.figures / "example.png"
  if picture.exists():
    with Image.open(picture) as opened:
      yield step, image("example", np.asarray(opened.convert("RGB")), dataformats="HWC")


def _write_events(folder: Path, summaries: Iterable[tuple[int, Any]], began: float) -> None:
  """Writes the one file of events of a folder.

  SummaryWriter would write from a thread, and wait for it without end on a full disk.
  """
  from tensorboardX.event_file_writer import EventsWriter  # noqa: PLC0415
  from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415

  folder.mkdir(parents=True, exist_ok=True)
  # The names of newer files come later, so that TensorBoard goes on to them.
  writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
  with contextlib.closing(writer):
    # Steps of older files are forgotten.
    writer.write_event(Event(step=0, session_log=SessionLog(status=SessionLog.START)))
    for step, summary in summaries:
      writer.write_event(Event(wall_time=began, step=step, summary=summary))
