"""A run for TensorBoard, made anew from the files that the run keeps for itself.

There is one folder an arm, so that TensorBoard draws the arms in one chart, and beside them the
configuration with the effect, and an example. A file that has changed is replaced by a newer one,
which tells TensorBoard to forget the steps of the older: a resumed training repeats none.
"""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sr_jax.config import InputError
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import metrics

PREFIX = "events.out.tfevents."
MEASURED = ("training_psnr", "validation_psnr")


def check_installed() -> None:
  """Refuses to start without the package.

  Raises:
    InputError: it is not there.
  """
  try:
    import tensorboardX  # noqa: F401, PLC0415  # is optional
  except ImportError as error:
    raise InputError(
      f'--tensorboard needs tensorboardX: pip install -e ".[tensorboard]" ({error})'
    ) from error


def write(
  run_dir: RunFolder,
  about: dict[str, Any],
  lines: Sequence[dict[str, Any]],
  results: dict[str, Any] | None,
) -> None:
  """Writes what the run has measured so far; the same again leaves the same files.

  Raises:
    OSError: it could not be written.
  """
  # Metrics hold no times, so that a rerun has the same: all events are of when the run was begun.
  began = time.mktime(time.strptime(about["began"][:19], "%Y-%m-%dT%H:%M:%S"))
  for arm in dict.fromkeys(line["arm"] for line in lines):
    scalars = (_scalars(line) for line in lines if line["arm"] == arm)
    _replace(run_dir.tensorboard / arm, scalars, began)
  _replace(run_dir.tensorboard, _whole_run(run_dir, about["config"], results), began)


def write_finished(run_dir: RunFolder) -> None:
  """Writes what a finished run has measured, from its files."""
  lines = metrics.read(run_dir.metrics)
  write(run_dir, read_json(run_dir.config), lines, read_json(run_dir.results))


def _scalars(line: dict[str, Any]) -> tuple[int, Any]:
  """The step of a line of metrics, and its numbers in dB: every member's, and their mean."""
  from tensorboardX.proto.summary_pb2 import Summary  # noqa: PLC0415

  values = []
  for name in MEASURED:
    tag = f"{line['stage']}/{name}"
    psnr = {i: value for i, value in enumerate(line.get(name, ())) if value is not None}
    if psnr:
      mean = math.fsum(psnr.values()) / len(psnr)
      values.append(Summary.Value(tag=f"{tag}/mean", simple_value=mean))
    values += [
      Summary.Value(tag=f"{tag}/member_{i}", simple_value=value) for i, value in psnr.items()
    ]
  return line["step"], Summary(value=values)


def _whole_run(
  run_dir: RunFolder, config: dict[str, Any], results: dict[str, Any] | None
) -> Iterator[tuple[int, Any]]:
  """The configuration and, of a finished run, its effect and its example."""
  from tensorboardX.proto.summary_pb2 import Summary  # noqa: PLC0415
  from tensorboardX.summary import hparams  # noqa: PLC0415

  fields = {
    name: ",".join(map(str, value)) if isinstance(value, list) else value
    for name, value in config.items()
  }
  effect: dict[str, float] = {}
  if results:
    test = results.get("verdict", {}).get("test", {})
    effect = {
      f"effect_db/{name}": test[name]
      for name in ("mean", "low", "high")
      if test.get(name) is not None
    }
  step = config.get("steps", 0)
  for summary in hparams(fields, effect):
    yield 0, summary
  for tag, value in effect.items():
    yield step, Summary(value=[Summary.Value(tag=tag, simple_value=value)])
  picture = run_dir.figures / "example.png"
  if picture.exists():
    with Image.open(picture) as opened:
      width, height = opened.size
    png = picture.read_bytes()
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    yield step, Summary(value=[Summary.Value(tag="example", image=image)])


def _replace(folder: Path, summaries: Iterator[tuple[int, Any]], began: float) -> None:
  """Makes these the events of a folder; nothing changes if they are."""
  from tensorboardX import RecordWriter  # noqa: PLC0415
  from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415

  start = SessionLog(status=SessionLog.SessionStatus.Value("START"))
  events = [
    Event(wall_time=began, file_version="brain.Event:2"),
    Event(wall_time=began, step=0, session_log=start),  # forget what another file has of these
    *(Event(wall_time=began, step=step, summary=summary) for step, summary in summaries),
  ]
  folder.mkdir(parents=True, exist_ok=True)
  before = sorted(folder.glob(f"{PREFIX}*"))
  fresh = folder / "fresh"
  writer = RecordWriter(str(fresh))
  for event in events:
    writer.write(event.SerializeToString(deterministic=True))
  writer.flush()
  writer.close()
  if len(before) == 1 and before[0].read_bytes() == fresh.read_bytes():
    fresh.unlink()
    return
  fresh.rename(folder / f"{PREFIX}{time.time_ns()}")
  _remove(before)


def _remove(files: Sequence[Path]) -> None:
  for path in files:
    path.unlink()
