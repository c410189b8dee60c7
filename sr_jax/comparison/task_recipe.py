"""The recipe of one task, and its networks: where and how they upsample, at equal cost."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.comparison.executions import by_rule
from sr_jax.comparison.recipe import Recipe
from sr_jax.comparison.task_arms import ARMS, HALF, LR, PLAIN, RESIZES, SKIP
from sr_jax.config import Execution, InputError, setting
from sr_jax.data import luminance_cache
from sr_jax.data.images import luminance_alone
from sr_jax.data.labels import load_labels
from sr_jax.data.luminance_cache import Item, read_colour
from sr_jax.data.pairs import Pair
from sr_jax.data.signals import load_signals
from sr_jax.data.sources import Photos, select
from sr_jax.data.splits import SPLITS, ArraySets
from sr_jax.data.volumes import load_volumes
from sr_jax.networks import Maps, Network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.pair import scheduled_network
from sr_jax.tasks.segmentation import Segmentation
from sr_jax.tasks.super_resolution import SuperResolution
from sr_jax.tasks.task import Task

SIGNAL_SIDE = 8192  # samples of a test signal that are scored
SLAB = 12  # voxels
UPSCALING = SuperResolution()


@dataclasses.dataclass(frozen=True)
class TaskRecipe(Recipe):
  """How the networks of one task are trained, and on what."""

  scale: int = setting(2, "the step between the two grids, r", choices=(2, 3, 4, 8))
  task: Task = UPSCALING
  features: int = setting(32, "channels of every state in LR space, n", at_least=1)
  depth: int = setting(2, "hidden layers of a decoder", at_least=1)
  kernel_size: int = setting(3, "kernel in LR pixels, k", choices=(1, 3, 5, 7))
  arms: tuple[str, ...] = setting(ARMS, "networks", choices=ARMS)
  crop: int = setting(0, "side of the middle of test images that is scored; 0: all", at_least=0)
  labels: str = setting("", "folder of labels of the photographs")
  source: str = setting("", "of signals or volumes")

  def arm_names(self) -> tuple[str, ...]:
    """The networks of the task."""
    return tuple(name for name in self.arms if is_arm_of(name, self.task))

  def load(self, execution: Execution) -> Photos:
    """Reads what the task's pairs are made from, and makes them.

    Raises:
      InputError: as the functions that read photographs, signals, volumes and labels.
    """
    if self.task.dims == 1:
      signals = load_signals(self.source, self.scale * self.patch)
      return self._pairs_of(signals, (SIGNAL_SIDE,))
    if self.task.dims == 3:
      return self._pairs_of(load_volumes(self.source, SLAB, self.scale * self.patch), ())
    photos = self.photographs(execution, luminance_alone)
    pixels = self._pixels(photos, execution)
    labels = self._labels(pixels)
    sides = (self.crop, self.crop) if self.crop else ()

    def pair(name: str, image: np.ndarray, cut: Callable[[Any], Any]) -> Pair:
      if labels is not None and isinstance(self.task, Segmentation):
        return self.task.pair(name, cut(image), cut(labels[name]))
      return self.task.pair(name, cut(image))

    made = {
      split: [pair(*item, middle(sides if split != "train" else ())) for item in by_name.items()]
      for split, by_name in pixels.items()
    }
    self._check(made)
    return Photos(made.pop("train"), made.pop("validation"), made, photos.notes)

  def _pixels(self, photos: Photos, execution: Execution) -> dict[str, dict[str, np.ndarray]]:
    """The pixels of photographs by split and name.

    Luminance is as `photos` has it, cropped to whole LR pixels; colour, and what has labels, is as
    the files have it.
    """
    names = {split: [pair.name for pair in pairs] for split, pairs in _sets(photos).items()}
    if not (self.task.in_colour or self.labels):
      return {split: {p.name: p.target for p in pairs} for split, pairs in _sets(photos).items()}
    images = self.find_images(execution).sets
    items = {split: {item.name: item for item in images[split]} for split in images}
    cache = Path(execution.data_dir).expanduser()

    def read(item: Item) -> np.ndarray:
      return read_colour(item) if self.task.in_colour else luminance_cache.read(item, cache)

    return {split: {name: read(items[split][name]) for name in names[split]} for split in names}

  def _labels(self, pixels: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray] | None:
    """The labels of photographs, if they are given.

    Raises:
      InputError: as `load_labels`; or two photographs have one name.
    """
    if not self.labels:
      return None
    shapes: dict[str, tuple[int, ...]] = {}
    for by_name in pixels.values():
      if twice := sorted(shapes.keys() & by_name.keys()):
        raise InputError(
          f"--labels: two photographs are called {twice[0]}, and labels are found by name; rename "
          "one of them"
        )
      shapes |= {name: image.shape for name, image in by_name.items()}
    return load_labels(self.labels, shapes)

  def _pairs_of(self, arrays: ArraySets, sides: tuple[int, ...]) -> Photos:
    """The pairs of signals or volumes; of those to score the middle."""
    made = {
      split: [
        self.task.pair(name, middle(sides if split != "train" else ())(array))
        for name, array in arrays.sets[split].items()
      ]
      for split in SPLITS
    }
    self._check(made)
    photos = Photos(made["train"], made["validation"], {"test": made["test"]}, arrays.notes)
    return select(photos, self.distinct, self.data_fraction, self.validation_images)

  def _check(self, made: dict[str, list[Pair]]) -> None:
    """Refuses training pairs that hold no patch, and others of which there is nothing to score."""
    for pair in made["train"]:
      sides = self.task.layout.lr_shape(pair)
      if min(sides) < self.patch:
        raise InputError(
          f"{pair.name} has {' x '.join(map(str, sides))} LR pixels for {self.task.name}, and a "
          f"patch takes {self.patch} along each axis; leave it out of what is trained on"
        )
    for pair in itertools.chain.from_iterable(made[split] for split in made if split != "train"):
      if pair.input.min() == pair.input.max():
        raise InputError(
          f"the middle of {pair.name}, which {self.task.name} scores, is constant; leave it out"
        )


def _sets(photos: Photos) -> dict[str, list[Pair]]:
  return {"train": photos.train, "validation": photos.validation, **photos.tests}


def middle(sides: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
  """Cuts the middle out of an array: at most so many values along its first axes; all of none."""

  def cut(array: np.ndarray) -> np.ndarray:
    lengths = array.shape[: len(sides)]
    kept = [min(side, length) for side, length in zip(sides, lengths, strict=True)]
    begins = [(length - side) // 2 for side, length in zip(kept, lengths, strict=True)]
    return array[tuple(slice(a, a + side) for a, side in zip(begins, kept, strict=True))]

  return cut


def is_arm_of(name: str, task: Task) -> bool:
  """Whether a task has this network: skips are between maps of the same kind."""
  if name == SKIP:
    return isinstance(task, SuperResolution)
  return name != PLAIN or bool(task.fields.get("identity_skip"))


def arms(recipe: TaskRecipe) -> tuple[Arm, ...]:
  """The networks of a task, each of which has to cost exactly what LR costs.

  Raises:
    InputError: its channels are no whole number of HR maps, or of halves of them.
  """
  lr = budget(network_of(LR, recipe)).macs
  return tuple(
    Arm(name, network_of(name, recipe), lr, 0.0, note_of(name, recipe))
    for name in recipe.arm_names()
  )


def network_of(name: str, recipe: TaskRecipe) -> Network:
  """A network of a task.

  Its decoder has the same first state in all but `half`, n LR maps, from which `transposed`,
  `nearest` and `linear` upsample at once, and `lr` at the end.
  """
  task, n, scale = recipe.task, recipe.features, recipe.scale
  phases = scale**task.dims
  maps = hr_maps(recipe)
  lr, hr, half = Maps(n), Maps(hr=maps), Maps(n - phases * (maps // 2), maps // 2)
  states = {HALF: (half,) * (recipe.depth + 1)}.get(name, (lr,) * (recipe.depth + 1))
  target = Maps(lr=phases * task.outputs.hr)
  if name in RESIZES:
    states, target = (lr, *(hr,) * recipe.depth), task.outputs
  encoder = (lr, task.bottleneck) if task.bottleneck else ()
  fields = {**task.fields, **({"identity_skip": False} if name == PLAIN else {})}
  network = scheduled_network(
    scale=scale,
    states=(*encoder, *states),
    kernel_size=recipe.kernel_size,
    bicubic_skip=name == SKIP,
    target=target,
    dims=task.dims,
    inputs=task.inputs,
    resize=RESIZES.get(name, ""),
    **fields,
  )
  if task.bottleneck:  # a code is not rectified
    layers = [*network.layers]
    layers[1] = dataclasses.replace(layers[1], activation="", gain=1.0)
    network = network.clone(layers=tuple(layers))
  return by_rule(network, "fewer")


def hr_maps(recipe: TaskRecipe) -> int:
  """HR maps that fill a state.

  Raises:
    InputError: they are no whole number, or cannot be halved.
  """
  phases = recipe.scale**recipe.task.dims
  maps, rest = divmod(recipe.features, phases)
  if rest or not maps or (maps % 2 and HALF in recipe.arms):
    raise InputError(
      f"{recipe.task.name}: {recipe.features} channels are no even number of HR maps of "
      f"{phases} phases; use a multiple of {2 * phases}"
    )
  return maps


def note_of(name: str, recipe: TaskRecipe) -> str:
  """What a network is, in a line."""
  n, k, maps = recipe.features, recipe.kernel_size, hr_maps(recipe)
  size, dims = k * recipe.scale, recipe.task.dims

  def kernel(side: int) -> str:
    return "x".join([str(side)] * dims)

  end = f"{n} LR maps of {kernel(k)}, shuffled at the end"
  early = f"{n} LR maps, then {maps} HR maps of {kernel(size)}, upsampled by "
  return {
    LR: end,
    "transposed": f"{early}a transposed convolution of {kernel(size)}",
    "nearest": f"{early}nearest neighbour and a convolution of {kernel(k)}",
    "linear": f"{early}linear interpolation and a convolution of {kernel(k)}",
    HALF: f"{n - recipe.scale**dims * (maps // 2)} LR maps of {kernel(k)} and {maps // 2} HR maps "
    f"of {kernel(size)} in every state",
    SKIP: f"{end}, added to a cubic interpolation of the input",
    PLAIN: f"{end}, not added to the input",
  }[name]
