r"""Does the advantage of LR maps grow with the parameters that they have more?

The claim of Shi et al. (2016, arXiv 1609.07009, Section 3): at equal multiply-accumulates n LR maps
stand against n / R HR maps, R = r^d, "where d is the spatial dimension", so that hidden layers of
LR maps have R times the parameters, and thus more representation power. If it is the parameters,
the advantage grows with log R, on one line for scan lines, images and volumes:

- grids: R = 2, 4, 8 of scan lines (d = 1), 4, 9, 16 of photographs (d = 2), 8 of a head (d = 3).
- lr: n = 8 R LR maps of k = 3 in every state, and one shuffle at the end.
- hr_learned: n / R = 8 HR maps of K = 3 r in every state, behind a transposed convolution. With 3
  hidden layers an even number of them have even kernels (r = 2, 4, 8) or none (r = 3), so that on
  no grid its output is shifted by half an HR pixel.

Both cost exactly the same. Both are added to a cubic interpolation of their input, as in
`matched_flops`: it has no weights, and in a short training without it much of what tells networks
apart is how soon they learn to interpolate. Patches have about as many HR values on every grid.
Signals and volumes are those of `other_tasks`.

Fixed before the run:

- The dose is log2 R, and the response lr - hr_learned as a share of what lr gains over cubic
  interpolation: a unit that all grids share.
- A line by a random-effects regression over grids, whose tau is how grids deviate from it beyond
  their errors. It is one line if the 95 % interval of its slope is above zero and that of tau below
  5 % of the gain. `sr_jax/comparison/dose.py` has all rules.
- Dimensions differ in what is upscaled, too: a line for all of them is evidence for the parameters,
  but where they are apart, it may be the images.
- A member that diverged leaves its seed out; one that ends below interpolation stays in, and is
  named.

After trials on the sample photographs, before the confirmatory run: nothing is decided of networks
that only interpolate, and steps and rates became those with which hr_learned learns more.

On the sample photographs; then, of the field's sets in the folder SETS:

  python launch.py --experiment=dose
  python launch.py --experiment=dose --preset=confirmatory --manual_dir=SETS
"""

import dataclasses
import functools
from typing import Any

from sr_jax.comparison import dose
from sr_jax.comparison.dose import grid_name
from sr_jax.comparison.dose_sentences import HR
from sr_jax.comparison.executions import by_rule
from sr_jax.comparison.several import SeveralRecipes, check_sources
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.task_recipe import TaskRecipe
from sr_jax.config import Execution, InputError, setting
from sr_jax.data.volumes import what_is_missing
from sr_jax.networks import Maps, Network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.pair import scheduled_network
from sr_jax.report import dose_report
from sr_jax.runner.tasks import Part, Plan, run_tasks
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.tasks.super_resolution import SuperResolution

GRIDS = ("1:2", "1:4", "1:8", "2:2", "2:3", "2:4", "3:2")
# LR values along a side of a patch, of about 2,300 HR values; a slab of a head is 12 voxels thick.
PATCHES = {1: {2: 1152, 4: 576, 8: 288}, 2: {2: 24, 3: 16, 4: 12}, 3: {2: 6}}


@dataclasses.dataclass(frozen=True)
class Config(SeveralRecipes):
  """The recipe, the grids and the networks."""

  steps: int = 500
  batch: int = 4
  learning_rate: tuple[float, ...] = (5e-4, 2e-3)
  search_steps: int = 250
  grids: tuple[str, ...] = setting(GRIDS, "d:r, dimensions and upscaling factor", choices=GRIDS)
  hr_maps: int = setting(8, "maps of the HR network, n / R", at_least=1)
  depth: int = setting(3, "hidden layers", at_least=0)

  def __post_init__(self) -> None:
    """Checks every field."""
    super().__post_init__()
    self.refuse_unread("grids", {dims_and_scale(grid)[0] for grid in self.grids}, {})

  def arm_names(self) -> tuple[str, ...]:
    """The networks of all grids."""
    return (LR, HR)

  def choices(self) -> dict[str, tuple[str, ...]]:
    """What is chosen by measuring, by name: on each grid what other experiments choose once."""
    return self.choices_of([grid_name(*dims_and_scale(grid)) for grid in self.grids])


@dataclasses.dataclass(frozen=True)
class GridRecipe(TaskRecipe):
  """How the two networks of a grid are trained, and on what."""

  arms: tuple[str, ...] = setting((LR, HR), "networks", choices=(LR, HR))


def recipe_of(grid: str, config: Config) -> GridRecipe:
  """The recipe of a grid, as "2:3", of a run."""
  dims, scale = dims_and_scale(grid)
  return GridRecipe(
    **config.common_of(grid_name(dims, scale)),
    scale=scale,
    patch=PATCHES[dims][scale],
    task=SuperResolution(scale, dims, middle=0.0 if dims == 1 else 0.5),
    features=config.hr_maps * scale**dims,
    depth=config.depth,
    crop=config.crop,
    source={1: config.signal, 3: config.volume}.get(dims, ""),
  )


def dims_and_scale(grid: str) -> tuple[int, int]:
  """The dimensions and the scale, d and r, of a grid as "2:3"."""
  dims, scale = map(int, grid.split(":"))
  return dims, scale


def arms(recipe: GridRecipe) -> tuple[Arm, Arm]:
  """The two networks of a grid, which cost exactly the same."""
  n, k, size = recipe.features, recipe.kernel_size, recipe.kernel_size * recipe.scale
  phases = recipe.scale**recipe.task.dims
  maps = n // phases
  lr, hr = Maps(lr=n), Maps(hr=maps)
  kernel, large = ("x".join([str(side)] * recipe.task.dims) for side in (k, size))
  networks = {
    LR: _network(recipe, lr, Maps(lr=phases)),
    HR: by_rule(_network(recipe, hr, Maps(hr=1)), "fewer"),
  }
  notes = {
    LR: f"{n} LR maps of {kernel}, shuffled at the end",
    HR: f"{maps} HR maps of {large}, behind a transposed convolution",
  }
  macs = budget(networks[LR]).macs
  first, second = (Arm(name, networks[name], macs, 0.0, notes[name]) for name in (LR, HR))
  return first, second


def _network(recipe: GridRecipe, state: Maps, target: Maps) -> Network:
  return scheduled_network(
    scale=recipe.scale,
    states=(state,) * (recipe.depth + 1),
    kernel_size=recipe.kernel_size,
    bicubic_skip=True,
    target=target,
    dims=recipe.task.dims,
    inputs=recipe.task.inputs,
    **recipe.task.fields,
  )


def present_grids(config: Config) -> tuple[list[str], list[str]]:
  """The grids of a run whose data can be had here, and sentences on those that are left out.

  Raises:
    InputError: there is none.
  """
  volumes = [grid for grid in config.grids if dims_and_scale(grid)[0] == 3]
  missing = what_is_missing(config.volume) if volumes else ""
  if not missing:
    return list(config.grids), []
  kept = [grid for grid in config.grids if grid not in volumes]
  if not kept:
    raise InputError(f"--grids={','.join(volumes)} cannot be read: {missing}")
  return kept, [f"d = 3 is left out: {missing}."]


def check_data(config: Config, execution: Execution) -> None:
  """Refuses photographs, signals or volumes that are not there, without reading any."""
  present, _ = present_grids(config)
  dims = {dims_and_scale(grid)[0] for grid in present}
  check_sources(config, dims, execution)


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  return dose.headline(read_json(run_dir.results))


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Trains and scores both networks of every grid, then fits; returns the seconds of each grid."""
  plan = Plan(
    kind="grids",
    present=functools.partial(present_grids, config),
    part=functools.partial(part_of, config=config),
    decide=dose.decide,
    report=report,
  )
  return run_tasks("dose", plan, config, execution, run_dir)


def part_of(grid: str, config: Config) -> Part:
  """A grid of a run."""
  dims, scale = dims_and_scale(grid)
  recipe, about = recipe_of(grid, config), {"dims": dims, "scale": scale}
  return Part(grid_name(dims, scale), f"d = {dims}, r = {scale}", recipe, arms(recipe), about)


def report(
  run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]
) -> None:
  """Writes the report of a finished run and prints its table."""
  dose_report.write(run_dir, results, timing, about)
  log("\n" + table(dose_report.rows(results)))


PRESETS = {
  "confirmatory": Config(
    data="tfds:T91",
    distinct=True,
    validation_data="BSD200",
    validation_images=12,
    test_data=("BSD100",),
    steps=1000,
    seeds=4,
    # HR networks of large R interpolate for up to 400 steps before they learn more, and for good at
    # rates of 2e-3: a shorter search chooses among rates that all seem the same.
    learning_rate=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
    search_steps=400,
  ),
}
