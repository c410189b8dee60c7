r"""Is explicit upsampling necessary in any other application?

The first open question of Shi et al. (2016, arXiv 1609.07009): "Is explicit upsampling using
bicubic interpolation or deconvolution necessary in any other applications?" They name segmentation,
flow estimation, generative models and style transfer as users of the deconvolution, and promise
"r^d channels where d is the spatial dimension". Here networks of LR maps alone, shuffled to the HR
grid at the end, meet networks that upsample explicitly, in tasks other than super-resolution and in
one and three dimensions, at exactly the same multiply-accumulates:

- lr: n LR maps in every state, and one shuffle.
- transposed: a transposed convolution after the first state, and n / r^d HR maps from there.
- nearest, linear: the same, but for an interpolation and a convolution after it.
- half: half the channels HR maps in every state.
- skip: lr, added to a cubic interpolation of its input (tasks from LR to HR values of one kind).
- lr_plain: lr without the identity around the network, which all others have, of tasks from HR to
  HR values of one kind. An identity upsamples nothing.

The tasks, in `sr_jax/tasks/`, say what is read and written, and what no network gives. d = 1 and
d = 3 are super-resolution: of scan lines of the photographs, or of --signal=folder:WAVS, and of a
head in slabs (`pip install -e ".[volumes]"`; without it the task is left out), or of
--volume=folder:VOLUMES.

The rules, in full in `sr_jax/comparison/explicit_forms.py`:

- The effect of a form in a task is its score less that of lr, as a share of what lr gains over no
  network: a unit that all tasks share. Less than 5 % of that gain, and of PSNR less than 0.05 dB,
  is taken as nothing that matters.
- By task, each form helps, hurts, is equivalent or undecided, as the interval over seeds and images
  says; and explicit upsampling helps, is not needed or is undecided by the form that is best on
  validation images. That a task helps is adjusted for the number of tasks.
- Over tasks, a random effect for each form, with the interval of Hartung and Knapp. deblocking_x2
  and flow_x4 are the same tasks as deblocking and flow on other grids, and are not pooled.
- The energy of the errors at the phase frequencies, beside the score, since PSNR does not show
  checkerboards.
- A member that diverged leaves its seed out; one that ends below no network stays in, and is named.

Changed after scores of a first run had been seen: skip was counted among the forms, the 0.05 dB and
the adjustment were added, and a form can help where lr gains nothing; flow_x4 was to be pooled, but
lr learned nothing in it, so that flow was added, on the grids on which lr learns on the sample
photographs; and what no network gives in autoencoding was the block DCT with as many values, which
no network reached.

On the sample photographs; then, of the field's sets in the folder SETS:

  python launch.py --experiment=other_tasks
  python launch.py --experiment=other_tasks --preset=confirmatory --manual_dir=SETS
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sr_jax.comparison import explicit_effects, explicit_forms, task_recipe
from sr_jax.comparison.run import Run
from sr_jax.comparison.several import SeveralRecipes, check_sources
from sr_jax.comparison.task_arms import ARMS, FORMS, HALF, LR, RESIZES
from sr_jax.comparison.task_recipe import TaskRecipe
from sr_jax.config import Execution, InputError, setting
from sr_jax.data.labels import count_classes, find_labels
from sr_jax.data.pairs import Pair
from sr_jax.data.volumes import what_is_missing
from sr_jax.report import task_pictures, task_report, task_tables
from sr_jax.runner import outputs_of
from sr_jax.runner.tasks import Part, Plan, run_tasks
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.tasks.autoencoding import Autoencoding
from sr_jax.tasks.deblocking import Deblocking
from sr_jax.tasks.demosaicing import Demosaicing
from sr_jax.tasks.denoising import Denoising
from sr_jax.tasks.filtering import Filtering
from sr_jax.tasks.flow import Flow
from sr_jax.tasks.segmentation import COMPUTED_CLASSES, Segmentation
from sr_jax.tasks.super_resolution import SuperResolution
from sr_jax.tasks.task import Task
from sr_jax.training.population import Population


class Shape(NamedTuple):
  """A task, the channels of its networks and the side of a patch in LR pixels."""

  task: Task
  features: int
  patch: int


# On images n = 16 r: layers cost the same at every scale, 2,304 multiply-accumulates a HR pixel.
TASKS = {
  "super_resolution": Shape(SuperResolution(2), 32, 16),
  "denoising": Shape(Denoising(2), 32, 16),
  "deblocking": Shape(Deblocking(8), 128, 5),
  "deblocking_x2": Shape(Deblocking(2), 32, 16),
  "demosaicing": Shape(Demosaicing(), 32, 16),
  "segmentation": Shape(Segmentation(4), 64, 8),
  "flow": Shape(Flow(2), 32, 16),
  "flow_x4": Shape(Flow(4), 64, 8),
  "autoencoding": Shape(Autoencoding(8), 128, 5),
  "filtering": Shape(Filtering(2), 32, 16),
  "signal": Shape(SuperResolution(2, dims=1, middle=0.0), 32, 128),
  "volume": Shape(SuperResolution(2, dims=3), 32, 6),
}
NOT_POOLED = ("deblocking_x2", "flow_x4")
SEGMENTATION, SIGNAL, VOLUME = "segmentation", "signal", "volume"


@dataclasses.dataclass(frozen=True)
class Config(SeveralRecipes):
  """The recipe, the tasks and the networks."""

  steps: int = 800
  batch: int = 4
  search_steps: int = 60
  tasks: tuple[str, ...] = setting(
    tuple(name for name in TASKS if name not in NOT_POOLED), "to learn", choices=tuple(TASKS)
  )
  arms: tuple[str, ...] = setting(
    tuple(name for name in (LR, *FORMS) if name != "nearest"),
    "networks, of which lr is the reference",
    choices=ARMS,
  )
  depth: int = setting(2, "hidden layers", at_least=1)
  labels: str = setting(
    "", "folder of labels for segmentation: PNG, or BSDS500's .mat; empty: computed ones"
  )

  def __post_init__(self) -> None:
    """Checks every field, and the networks of every task."""
    super().__post_init__()
    if LR not in self.arms or not {*FORMS} & {*self.arms}:
      raise InputError(
        f"--arms={','.join(self.arms)}: explicit forms are compared with {LR}; give {LR} and some "
        f"of {', '.join(FORMS)}"
      )
    if SEGMENTATION not in self.tasks:
      self.refuse("labels", "tasks", SEGMENTATION)
    dims = {TASKS[name].task.dims for name in self.tasks}
    self.refuse_unread("tasks", dims, {1: SIGNAL, 3: VOLUME})
    for name in self.tasks:
      recipe = recipe_of(name, self)
      if not {*FORMS} & {*recipe.arm_names()}:  # skips are of some tasks only
        raise InputError(
          f"--arms={','.join(self.arms)}: {name} has no such explicit form; add one of "
          f"{', '.join((*RESIZES, HALF))}, or leave {name} out of --tasks"
        )
      task_recipe.arms(recipe)

  def arm_names(self) -> tuple[str, ...]:
    """The networks of all tasks."""
    return self.arms

  def choices(self) -> dict[str, tuple[str, ...]]:
    """What is chosen by measuring, by name: in each task what other experiments choose once."""
    return self.choices_of(self.tasks)


def recipe_of(name: str, config: Config, classes: int = COMPUTED_CLASSES) -> TaskRecipe:
  """The recipe of a task of a run; `classes` are those of segmentation."""
  shape = TASKS[name]
  task = Segmentation(shape.task.scale, classes) if name == SEGMENTATION else shape.task
  return TaskRecipe(
    **config.common_of(name),
    scale=task.scale,
    patch=shape.patch,
    task=task,
    features=shape.features,
    depth=config.depth,
    arms=config.arms,
    crop=config.crop,
    labels=config.labels if name == SEGMENTATION else "",
    source={SIGNAL: config.signal, VOLUME: config.volume}.get(name, ""),
  )


def present_tasks(config: Config) -> tuple[list[str], list[str]]:
  """The tasks of a run whose data can be had here, and sentences on those that are left out.

  Raises an InputError if none is left.
  """
  if VOLUME in config.tasks and (missing := what_is_missing(config.volume)):
    if config.tasks == (VOLUME,):
      raise InputError(f"--tasks={VOLUME}: {missing}")
    return [name for name in config.tasks if name != VOLUME], [f"{VOLUME} is left out: {missing}."]
  return list(config.tasks), []


def check_data(config: Config, execution: Execution) -> None:
  """Refuses photographs, labels, signals or volumes that are not there, without reading any."""
  names, _ = present_tasks(config)
  check_sources(config, {TASKS[name].task.dims for name in names}, execution)
  if config.labels:
    find_labels(config.labels)


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  return explicit_forms.headline(read_json(run_dir.results))


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Trains and scores every task, then compares over tasks; returns the seconds of each task."""
  plan = Plan(
    kind="tasks",
    present=functools.partial(present_tasks, config),
    part=functools.partial(part_of, config=config, run_dir=run_dir),
    decide=explicit_forms.decide,
    report=report,
  )
  return run_tasks("other_tasks", plan, config, execution, run_dir)


def part_of(name: str, config: Config, run_dir: RunFolder) -> Part:
  """A task of a run."""
  has_labels = name == SEGMENTATION and config.labels
  classes = count_classes(config.labels) if has_labels else COMPUTED_CLASSES
  recipe = recipe_of(name, config, classes)
  about = {"task": describe(name, recipe.task)}
  path = run_dir.figures / f"{name}.png"
  show = functools.partial(draw_example, task=recipe.task, path=path)
  return Part(name, name, recipe, task_recipe.arms(recipe), about, show)


def report(
  run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]
) -> None:
  """Writes the report of a finished run and prints its tables."""
  task_report.write(run_dir, results, timing, about)
  log("\n" + table(task_tables.rows_of_effects(results)))
  log("\n" + table(task_tables.rows_of_pooled(results)))


def draw_example(
  run: Run, results: dict[str, Any], trained: dict[str, Population], task: Task, path: Path
) -> Callable[[], None]:
  """What draws an example of a task: its input, what LR and the best form make of it, its truth."""
  pair = example(results, run)
  members = {arm: about["members"] for arm, about in results["arms"].items()}
  shown = [LR, explicit_effects.best_on_validation(members, task.measure)]
  outputs = outputs_of(pair, [arm for arm in shown if arm], trained, run)

  def draw() -> None:
    if len(outputs) == len(shown):  # both have a seed that did not diverge
      path.parent.mkdir(exist_ok=True)
      task_pictures.draw(pair, task, outputs, path)

  return draw


def example(results: dict[str, Any], run: Run) -> Pair:
  """The test image of a task on which lr gains about as much as it does on the median one."""
  measure = run.recipe.task.measure
  members = [member["test"][measure] for member in results["arms"][LR]["members"]]
  scores = np.mean(np.array(members, float), axis=0)
  gains = scores - np.array(results["no_network"]["test"][measure], float)
  order = np.argsort(np.where(np.isfinite(gains), gains, -np.inf))
  return run.photos.test[order[len(order) // 2]]


def describe(name: str, task: Task) -> dict[str, Any]:
  """A task as JSON data."""
  return {
    "name": name,
    "scale": task.scale,
    "dims": task.dims,
    "inputs": dataclasses.asdict(task.inputs),
    "outputs": dataclasses.asdict(task.outputs),
    "measure": task.measure,
    "unit": task.unit,
    "no_network": task.no_network,
    "pooled": name not in NOT_POOLED,
  }


PRESETS = {
  "confirmatory": Config(
    tasks=tuple(TASKS),
    arms=ARMS,
    batch=8,
    data="tfds:T91",
    distinct=True,
    validation_data="BSD200",
    validation_images=12,
    test_data=("BSD100",),
    steps=2000,
    seeds=4,
    learning_rate=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
    search_steps=200,
  ),
}
