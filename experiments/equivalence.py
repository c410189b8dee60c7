"""Is a deconvolution a convolution in LR space? The note's identities, shown one by one.

Walks through Shi et al. (2016, arXiv 1609.07009) in order: the two matrices of one dimension (Fig.
2 and 3), the four phases of two (Fig. 4 to 7), a trained sub-pixel layer drawn as the deconvolution
it is, the lift of HR networks to LR space, theorems on which networks contain which, and a verdict,
computed here, on those sentences of the note that `claims` lists and on the speed; others of the
note are not judged.

  python launch.py --experiment=equivalence
  python launch.py --experiment=equivalence --checkpoint=runs/matched_flops-HASH
  python launch.py --experiment=equivalence --checkpoint=runs/espcn-HASH
"""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from sr_jax.config import Execution, InputError, check, setting
from sr_jax.data import patches, sources
from sr_jax.identities import claims, theorems
from sr_jax.identities import figures as kernel_figures
from sr_jax.identities import report as identities_report
from sr_jax.networks import Network, lr_network
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.lifting import fits, lift_conv
from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv
from sr_jax.report import figures
from sr_jax.runtime import preemption
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.profiling import PhaseClock
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder, open_run, run_name
from sr_jax.training import population
from sr_jax.training.checkpoints import load_arrays
from sr_jax.training.population import Population
from sr_jax.training.restore import FINAL
from sr_jax.training.sharding import make_mesh, replicate, upload
from sr_jax.training.timing import in_both_executions, step_seconds

PATCH, BATCH, RATE = 17, 16, 4e-3
DRAWN = 4  # input maps of the trained kernel
SUB_PIXEL_ARMS = ("lr", "espcn")  # arms whose last layer is a sub-pixel one, of any experiment

ONE_PROCESS = True  # on as many devices as it has
# It takes a minute and keeps no checkpoint, on the sample photographs.
EXECUTION = ("workdir", "distributed", "compile_cache", "profile", "require_accelerator")


@dataclasses.dataclass(frozen=True)
class Config:
  """Where the drawn kernels come from."""

  checkpoint: str = setting(
    "", "run whose arm lr or espcn has its last layer drawn; empty: train one"
  )
  scale: int = setting(3, "upscaling factor of the network trained here", choices=(2, 3, 4))
  features: int = setting(32, "its maps", at_least=1)
  steps: int = setting(1000, "its training steps", at_least=1)

  def __post_init__(self) -> None:
    check(self)
    ours = dataclasses.fields(self)[1:]
    ignored = [field.name for field in ours if getattr(self, field.name) != field.default]
    if self.checkpoint and ignored:
      raise InputError(f"--{' and --'.join(ignored)}: the network is that of --checkpoint")


Draw = Callable[[str, Figure], None]  # saves a figure under a name


class Layer(NamedTuple):
  """A trained sub-pixel layer, and where it is from in words."""

  kernel: np.ndarray  # (k, k, maps, r^2)
  scale: int  # r
  source: str


def headline(run_dir: RunFolder) -> dict[str, str]:
  """How many of the judged sentences a finished run found to be what."""
  results, timing = (read_json(path) for path in (run_dir.results, run_dir.timing))
  verdicts = [row[2] for row in identities_report.rows(results, timing)[1:]]
  return {word: str(verdicts.count(word)) for word in ("right", "right when", "loose", "wrong")}


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Computes, draws and reports; returns the seconds of its phases."""
  del execution  # what is in EXECUTION is launch.py's
  layer, about = None, {}
  if config.checkpoint:  # before the folder: it may be refused, and may have changed since
    layer = _read_layer(RunFolder(Path(config.checkpoint).expanduser()))
    digest = hashlib.sha256(layer.kernel.tobytes()).hexdigest()[:16]
    about = {"layer": f"{layer.source}, {digest}"}
  open_run(run_dir, "equivalence", config, about)
  if run_dir.is_finished:
    log(f"This run is finished; nothing is computed again. {run_dir}")
    _report(read_json(run_dir.results), read_json(run_dir.timing), run_dir)
    return {}
  clock = PhaseClock()
  if layer is None:
    with clock.phase("train a layer"):
      layer = _train_layer(config)
  run_dir.figures.mkdir(exist_ok=True)

  def draw(name: str, figure: Any) -> None:
    figures.save(figure, run_dir.figures / f"{name}.png")

  with clock.phase("compute"):
    results = _compute(layer, draw)
  preemption.raise_if_requested()
  with clock.phase("time steps"):
    seconds = _time_pair()
  device = describe_devices()
  speed = dataclasses.asdict(claims.same_speed(seconds, device))
  timing = {"device": device, "step_seconds": seconds, "speed": speed}
  write_json(run_dir.timing, timing)
  write_json(run_dir.results, results)
  _report(results, timing, run_dir)
  return clock.seconds


def _compute(layer: Layer, draw: Draw) -> dict[str, Any]:
  """Computes and draws the identities of every section; returns the contents of results.json."""
  log("Section 1: one dimension")
  results: dict[str, Any] = {"experiment": "equivalence", "one_dimension": one_dimension(draw)}
  log("Section 2: two dimensions, a trained layer, one to three axes")
  results["two_dimensions"] = two_dimensions(draw)
  results["trained_layer"] = trained_layer(layer, draw)
  differences = claims.deviations_of_three_implementations([(d, 2, 4, 2) for d in (1, 2, 3)])
  results["axes"] = [
    {"axes": d, "difference": value} for d, value in enumerate(differences, start=1)
  ]
  log("Section 3: the lift, theorems, and a verdict on sentences of all three sections")
  draw_lift(draw)
  results["lift"] = [
    {"kernel": size, "lr_pixels": claims.tied_share(size, 2, 3)[0], "fits": fits(size, 2, 3)}
    for size in (3, 4, 5, 6)
  ]
  results["theorems"] = [dataclasses.asdict(theorem) for theorem in theorems.theorems()]
  results["sentences"] = [dataclasses.asdict(finding) for finding in claims.findings()]
  return results


def one_dimension(draw: Draw) -> dict[str, Any]:
  """Fig. 2 and 3: x of five samples, r = 2, f = (1, 2, 3, 4) and then f = (1, 2, 3)."""
  x = np.arange(1.0, 6)

  def matrix(filter_: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """The layer as a matrix: what it makes of each unit vector."""
    unit_vectors, kernel = jnp.eye(5)[:, :, None], jnp.asarray(filter_)[:, None, None]
    return np.asarray(transposed_conv(unit_vectors, kernel, 2, (padding,)))[:, :, 0].T

  with jax.enable_x64():
    four, three = np.arange(1.0, 5), np.arange(1.0, 4)
    # The sub-pixel convolution with padding (1, 1) is T of the reversed filter: p = K - 1 - q.
    transposed, sub_pixel = matrix(four, (2, 2)), matrix(four[::-1], (2, 2))
    lr_kernel, _, _ = deconv_to_lr(four[:, None, None], 2, ((2, 2),))
    filters = np.asarray(lr_kernel)[:, 0].T
    three_taps = matrix(three[::-1], (1, 1))
    short, _, _ = deconv_to_lr(three[::-1, None, None], 2, ((1, 1),))
    results = {
      "transposed": (transposed @ x).tolist(),
      "sub_pixel": (sub_pixel @ x).tolist(),
      "sub_pixel_of_three_taps": (three_taps @ x).tolist(),
      "lr_filters": filters.tolist(),
      "lr_filters_of_three_taps": np.asarray(short)[:, 0].T.tolist(),
    }
  draw("one_dimension", kernel_figures.matrices(transposed, sub_pixel, three_taps, filters, 2))
  return results


def two_dimensions(draw: Draw) -> dict[str, Any]:
  """Fig. 4 to 7: a 4x4 image and a 4x4 filter, both 1 to 16, r = 2, to 8x8."""
  x = np.arange(1.0, 17).reshape(4, 4)
  with jax.enable_x64():
    sums: dict[str, Any] = {}
    for q in (1, 2, 3):
      kernel = x[::-1, ::-1, None, None]  # the note correlates: T's kernel is the reversed one
      padding = ((3 - q, 3 - (4 - q)),) * 2
      image = jnp.asarray(x)[None, :, :, None]
      y = np.asarray(sub_pixel_conv(image, jnp.asarray(kernel), 2, padding))[0, :, :, 0]
      lr_kernel, _, _ = deconv_to_lr(kernel, 2, padding)
      sums[f"q={q}"] = {"sum": float(y.sum()), "lr_kernel_size": int(lr_kernel.shape[0])}
      if q == 1:
        filters = np.moveaxis(np.asarray(lr_kernel)[:, :, 0], -1, 0)
        taps, low = kernel[:, :, 0, 0], padding[0][0]
        drawn = kernel_figures.phases_in_two_dimensions(x, taps, filters, y, 2, low)
        draw("two_dimensions", drawn)
  return sums


def trained_layer(layer: Layer, draw: Draw) -> dict[str, Any]:
  """A trained (r^2, n, k, k) layer as the (1, n, k r, k r) deconvolution, there and back."""
  edge = (layer.kernel.shape[0] - 1) // 2
  lr_padding, crop = ((edge, edge),) * 2, (0, 0)
  deconv, padding = lr_to_deconv(layer.kernel, layer.scale, lr_padding, crop)
  back = deconv_to_lr(deconv, layer.scale, padding)
  strongest = np.argsort(-(layer.kernel**2).sum(axis=(0, 1, 3)))[:DRAWN].tolist()
  drawn = kernel_figures.conversion(layer.kernel, np.asarray(deconv), layer.scale, strongest)
  draw("trained_layer", drawn)
  return {
    "source": layer.source,
    "lr_kernel": list(layer.kernel.shape),
    "deconvolution": list(deconv.shape),
    "padding": [list(pair) for pair in padding],
    "round_trip_is_bit_exact": bool(np.array_equal(back[0], layer.kernel))
    and back[1:] == (lr_padding, crop),
  }


def draw_lift(draw: Draw) -> None:
  """Which HR tap stands where in the lifted kernel, for a size that fits 3x3 and the note's 6x6."""
  pairs = []
  for size in (5, 6):
    numbers = np.arange(1.0, size * size + 1, dtype=np.float32).reshape(size, size, 1, 1)
    low, high = (size - 1) // 2, size // 2
    lifted, _ = lift_conv(numbers, 2, ((low, high),) * 2)
    pairs.append((size, np.asarray(lifted) - 1))
  draw("lift", kernel_figures.lift(pairs, 2))


def _read_layer(run: RunFolder) -> Layer:
  """The last layer of the LR network of a run, or of its ESPCN: that of the first finite member.

  Raises an InputError if the folder is no such run, or has no such layer yet or a finite one.
  """
  about = read_json(run.config)
  name = run_name(run, about)
  arm = next((name for name in SUB_PIXEL_ARMS if name in about.get("arms", ())), None)
  if arm is None:
    raise InputError(
      f"--checkpoint: {run} has no arm {' or '.join(SUB_PIXEL_ARMS)}, which ends in a sub-pixel "
      "layer; give the folder of a matched_flops or espcn run"
    )
  step, tree, _ = load_arrays(run.checkpoints(arm, FINAL))
  for seed, kernel in zip(tree["members"]["seed"], tree["params"]["last"]["kernel"], strict=True):
    if np.isfinite(kernel).all():
      return Layer(kernel, about["config"]["scale"], f"{name}, {arm}, step {step}, seed {seed}")
  raise InputError(f"--checkpoint: every member of arm {arm} of {run} diverged")


def _train_layer(config: Config) -> Layer:
  """The last layer of an LR network of one hidden layer, trained here."""
  log(f"Training an LR network at scale {config.scale} for {config.steps} steps")
  network = lr_network(scale=config.scale, features=config.features, depth=1)
  _, state, members, mesh, _ = _member_of(network, "equivalence")
  store = replicate(mesh, _sample_photos(config.scale))
  train_steps = population.make_train_steps(network, BATCH, PATCH, mesh)
  state, _ = train_steps(state, members, store, 0, config.steps, config.steps)
  kernel = np.asarray(state.params["last"]["kernel"][0])
  return Layer(kernel, config.scale, f"{config.steps} steps on the sample photographs")


def _time_pair() -> dict[str, float]:
  """Time of a training step of the note's two networks, the HR one in both executions."""
  pair: dict[str, Network] = {"lr": claims.LR_PAIR, "hr": claims.HR_PAIR}
  timed = in_both_executions({name: _member_of(network, name) for name, network in pair.items()})
  return step_seconds(timed, upload(_sample_photos(claims.LR_PAIR.scale)), BATCH, PATCH)


def _sample_photos(scale: int) -> patches.Store:
  return patches.make_store(sources.load("sample_photos", scale, PATCH).train, PATCH)


def _member_of(network: Network, name: str) -> Population:
  """A fresh population of a single member."""
  mesh = make_mesh(1, BATCH)
  members = replicate(mesh, population.make_members([0], [RATE]))
  return Population(network, population.initialise(network, name, members, mesh), members, mesh)


def _report(results: dict[str, Any], timing: dict[str, Any], run_dir: RunFolder) -> None:
  """Writes the report and prints the verdicts."""
  identities_report.write(run_dir, results, timing)
  rows = identities_report.rows(results, timing)
  log("\n" + table([row[:3] for row in rows]))
  for row in rows[1:]:
    log(f"\n{row[1]}: {row[2]}.\n  {row[3]}")
  for statement, word, evidence in identities_report.theorem_rows(results)[1:]:
    log(f"\n{statement}: {word}.\n  {evidence}")
  log(f"\nReport: {run_dir.report}, and report.md beside it")
