"""The report of a comparison over tasks: its figures, and the sections of its two pages."""

from pathlib import Path

import numpy as np

from sr_jax.comparison.explicit_pool import BEST
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import task_title, titled
from sr_jax.report import pages, task_tables
from sr_jax.report.model import Answer, Bullets, Figure, Json, Note, Section, Table
from sr_jax.report.tables import Rows
from sr_jax.runtime.run_folder import RunFolder

WHAT = {
  "super_resolution": "Luminance, shrunk by MATLAB's bicubic, to what it was.",
  "denoising": "Luminance with white Gaussian noise of sigma 25/255 to luminance without.",
  "deblocking": "Luminance after JPEG of quality 10 to what it was; an LR pixel is a JPEG block.",
  "deblocking_x2": "The same with LR pixels of 2 x 2, to tell the task from its scale.",
  "demosaicing": "A Bayer mosaic, packed into 4 LR maps, to the RGB photograph.",
  "segmentation": "Luminance to a class for every HR pixel.",
  "flow": "Two frames, the second a smooth warp of the first, to where each pixel came from.",
  "flow_x4": "The same with LR pixels of 4 x 4, to tell the task from its scale.",
  "autoencoding": "Luminance through a bottleneck of LR maps back to itself.",
  "filtering": "Luminance to the result of a slow edge-preserving filter.",
  "signal": "A signal, shrunk by the bicubic kernel, to what it was.",
  "volume": "A volume, shrunk by the bicubic kernel along each axis, to what it was.",
}
OF_FLOW = "The input is the first frame; hue is the direction of the flow, brightness its length."
LOOKS = {
  "flow": OF_FLOW,
  "flow_x4": OF_FLOW,
  "segmentation": "Colours are classes.",
  "demosaicing": "The input is the mosaic in gray, as a camera stores it.",
  "volume": "This is the middle slice across the shortest axis.",
}
MEASURES = {
  "psnr": "PSNR in dB, neither clipped nor rounded to 8 bits",
  "iou": "intersection over union, averaged over classes",
  "epe_db": "end-point error, in dB below 1 HR pixel",
}


def write(run_dir: RunFolder, results: Json, timing: Json, about: Json) -> None:
  """Draws the figures of a finished run and writes its report.

  The data are those of results.json, with a verdict, timing.json and config.json. Pictures of tasks
  are shown where the run has saved them, as figures/TASK.png.
  """
  from sr_jax.report import figures, task_figures  # noqa: PLC0415  # Matplotlib takes seconds

  run_dir.figures.mkdir(exist_ok=True)
  folder = run_dir.figures
  for name, draw in (("forest", task_figures.forest), ("periodicity", task_figures.periodicity)):
    if (figure := draw(results)) is not None:
      figures.save(figure, folder / f"{name}.png")
  _, *sentences, limits = results["verdict"]["sentences"]  # the first is in the answer
  report = Section(
    "Is explicit upsampling necessary in any task, at equal compute?",
    _answer(results),
    Section(
      "Tasks on one axis",
      Figure(
        folder / "forest.png",
        "Forest plot of what every explicit form brings in every task and over tasks, in percent "
        "of what LR gains over no network; the tables below have the numbers.",
        task_figures.ABOUT_FOREST,
      ),
      Table(task_tables.rows_of_tasks(results)),
      Section("Over tasks", Table(task_tables.rows_of_pooled(results))),
      Section(
        "Every arm in every task", Table(task_tables.rows_of_effects(results)), is_folded=True
      ),
      Bullets(sentences),
    ),
    Section(
      "Scores",
      Table(task_tables.rows_of_scores(results)),
      Note(f"Higher is better. {'; '.join(_measures(results))}. Means over seeds and test images."),
    ),
    *(_task(name, results, timing, folder) for name in results["tasks"]),
    Section(
      "Do errors repeat with the phases?",
      Figure(
        folder / "periodicity.png",
        "Forest plot of the phase periodicity of the error of every explicit form less that of "
        "LR's, in dB, in every task and over tasks; the table below has the scores.",
        task_figures.ABOUT_PERIODICITY,
      ),
      Section(
        "Phase periodicity of every arm (dB)",
        Table(task_tables.rows_of_periodicity(results)),
        is_folded=True,
      ),
    ),
    Section("Limits", limits),
    pages.reproduce(results, _times_of_tasks(timing), about, "Wall time of every task"),
  )
  pages.write(run_dir, report)


def _answer(results: Json) -> Answer:
  """The decision, and what the best form of each task brings over tasks."""
  verdict = results["verdict"]
  share = verdict["pooled"][BEST]["share"]
  effect, interval = "", "no interval"
  if share["mean"] is not None:
    effect = f"{100 * share['mean']:+.1f} %"
  if share["low"] is not None:
    interval = f"over tasks, {100 * share['low']:+.1f} to {100 * share['high']:+.1f} %"
  about = (
    "The large number is what the best explicit form of each task brings, in percent of what "
    f"{titled(LR)} gains over no network, averaged over tasks, with its 95 % interval."
  )
  return Answer(verdict["decision"], effect, interval, [*verdict["sentences"][:1], about])


def _measures(results: Json) -> list[str]:
  measures = dict.fromkeys(record["task"]["measure"] for record in results["tasks"].values())
  return [f"{name}: {MEASURES[name]}" for name in measures]


def _task(name: str, results: Json, timing: Json, folder: Path) -> Section:
  """What a task is, its picture, scores, effects and costs."""
  from sr_jax.report import task_pictures  # noqa: PLC0415  # Matplotlib takes seconds

  record, verdict = results["tasks"][name], results["verdict"]
  alone = {**results, "tasks": {name: record}}
  alone["verdict"] = {**verdict, "tasks": {name: verdict["tasks"][name]}}
  task, images = record["task"], record["images"]
  counts = ", ".join(f"{len(images[split])} {split}" for split in ("train", "validation", "test"))
  shown = task_pictures.ABOUT_STRETCH if task["dims"] == 1 else task_pictures.ABOUT_DETAIL
  title = task_title(name)
  return Section(
    title[0].upper() + title[1:],
    f"{WHAT[name]} r = {task['scale']}, d = {task['dims']}. No network: {task['no_network']}. "
    f"Images: {counts}.",
    Figure(
      folder / f"{name}.png",
      f"{title} of one test image: the input, no network, {titled(LR)}, an explicit form, "
      "and the truth, with their scores.",
      f"{LOOKS.get(name, '')} {shown}".strip(),
    ),
    Table(_without_task(task_tables.rows_of_effects(alone))),
    Section(
      "Scores and costs of every arm",
      Table(_without_task(task_tables.rows_of_scores(alone))),
      Table(_without_task(task_tables.rows_of_costs(alone, timing))),
      is_folded=True,
    ),
    Section(
      f"Mean validation score ({task['measure']}) in the search for a learning rate",
      Table(_search_rows(record)),
      is_folded=True,
    ),
    Bullets(record["notes"]),
  )


def _without_task(rows: Rows) -> Rows:
  """A table of one task without its first column, the task."""
  return [row[1:] for row in rows]


def _search_rows(record: Json) -> Rows:
  """The mean validation score of every arm at every rate of the search; diverged are counted."""
  key = f"validation_{record['task']['measure']}"
  searched = {name: arm for name, arm in record["arms"].items() if arm["search"]}
  rates = sorted({run["learning_rate"] for arm in searched.values() for run in arm["search"]})
  rows = [["arm", "chosen rate", *(f"{rate:g}" for rate in rates)]]
  for name, arm in searched.items():
    row = [titled(name), f"{arm['learning_rate']:g}"]
    for rate in rates:
      scores = [run[key] for run in arm["search"] if run["learning_rate"] == rate]
      finite = [score for score in scores if score is not None]
      phrases = [f"{np.mean(finite):.3f}"] if finite else []
      if lost := len(scores) - len(finite):
        phrases.append(f"{lost} of {len(scores)} diverged")
      row.append(", ".join(phrases) or "-")
    rows.append(row)
  return rows


def _times_of_tasks(timing: Json) -> Json:
  """The whole wall time of each task in place of its phases."""
  seconds = {name: sum(own["phase_seconds"].values()) for name, own in timing["tasks"].items()}
  return {
    "device": timing["device"],
    "phase_seconds": {task_title(name): total for name, total in seconds.items()},
  }
