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

On the sample photographs; then, of the field's sets in the folder SETS:

  python launch.py --experiment=dose
  python launch.py --experiment=dose --preset=confirmatory --manual_dir=SETS
"""

import dataclasses
from typing import Any

from sr_jax.comparison import dose
from sr_jax.comparison.dose import HR, LR, grid_name
from sr_jax.comparison.executions import by_rule
from sr_jax.comparison.recipe import CommonRecipe
from sr_jax.comparison.task_recipe import TaskRecipe
from sr_jax.config import Execution, InputError, setting, to_dict
from sr_jax.data.finding import find
from sr_jax.data.volumes import MNI152, what_is_missing
from sr_jax.networks import Maps, Network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.pair import scheduled_network
from sr_jax.report import dose_report
from sr_jax.runner import run_task
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder, open_run
from sr_jax.tasks.super_resolution import SuperResolution

GRIDS = ("1:2", "1:4", "1:8", "2:2", "2:3", "2:4", "3:2")
# LR values along a side of a patch, of about 2,300 HR values; a slab of a head is 12 voxels thick.
PATCHES = {1: {2: 1152, 4: 576, 8: 288}, 2: {2: 24, 3: 16, 4: 12}, 3: {2: 6}}


@dataclasses.dataclass(frozen=True)
class Config(CommonRecipe):
  """The recipe, the grids and the networks."""

  steps: int = 500
  batch: int = 4
  learning_rate: tuple[float, ...] = (5e-4, 2e-3)
  search_steps: int = 250
  grids: tuple[str, ...] = setting(GRIDS, "d:r, dimensions and upscaling factor", choices=GRIDS)
  hr_maps: int = setting(8, "maps of the HR network, n / R", at_least=1)
  depth: int = setting(3, "hidden layers", at_least=0)
  crop: int = setting(160, "side of the middle of test photographs to score; 0: all", at_least=0)
  signal: str = setting("sample_photos", "for d = 1: scan lines of sample_photos, or folder:WAVS")
  volume: str = setting(MNI152, f"for d = 3: {MNI152}, nilearn's template, or folder:VOLUMES")

  def arm_names(self) -> tuple[str, ...]:
    """The networks of all grids."""
    return (LR, HR)


@dataclasses.dataclass(frozen=True)
class GridRecipe(TaskRecipe):
  """How the two networks of a grid are trained, and on what."""

  arms: tuple[str, ...] = setting((LR, HR), "networks", choices=(LR, HR))


def recipe_of(grid: str, config: Config) -> GridRecipe:
  """The recipe of a grid, as "2:3", of a run."""
  dims, scale = dims_and_scale(grid)
  common = {field.name: getattr(config, field.name) for field in dataclasses.fields(CommonRecipe)}
  return GridRecipe(
    **common,
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
  """Refuses photographs that are not there, without reading any."""
  if any(dims_and_scale(grid)[0] == 2 for grid in config.grids):
    find(config.data, config.validation_data, config.test_data, execution)


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  return dose.headline(read_json(run_dir.results))


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Trains and scores both networks of every grid, then fits; returns the seconds of each grid."""
  present, notes = present_grids(config)
  about, _ = broadcast_from_primary(lambda: open_run(run_dir, "dose", config, {}))
  was_finished = run_dir.is_finished
  grids: dict[str, Any] = {}
  times: dict[str, Any] = {}
  for place, grid in enumerate(present, start=1):
    dims, scale = dims_and_scale(grid)
    log(f"\nd = {dims}, r = {scale} ({place} of {len(present)})")
    name, recipe = grid_name(dims, scale), recipe_of(grid, config)
    results, times[name] = run_task(
      f"dose_{name}", arms(recipe), recipe, execution, run_dir.task(name)
    )
    grids[name] = {**results, "dims": dims, "scale": scale}
  results = {"experiment": "dose", "config": to_dict(config), "grids": grids, "notes": notes}
  results["verdict"] = dose.decide(results)
  seconds = {name: sum(each["phase_seconds"].values()) for name, each in times.items()}
  timing = {"device": describe_devices(), "grids": times, "phase_seconds": seconds}

  def finish() -> None:
    if not was_finished:
      write_json(run_dir.timing, timing)
      write_json(run_dir.results, results)
    dose_report.write(run_dir, results, timing, about)
    log("\n" + table(dose_report.rows(results)) + "\n")
    log("\n".join([*results["verdict"]["sentences"], *notes]))
    log(f"\nReport: {run_dir.report}, and report.md beside it")

  broadcast_from_primary(finish)
  return {} if was_finished else seconds


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
