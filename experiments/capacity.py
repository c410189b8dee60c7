"""What can the networks represent and fit, apart from photographs they have not seen?

"More representation power" (Shi et al. 2016, arXiv 1609.07009, Section 3) need not show in test
scores, and test scores need not come from it. Measurements of the note's LR network, of its HR
network with bicubic and with learned upsampling, and of LR with its phases tied (HR 5x5, learned:
the strict subset of LR):

  jacobian   rank of the derivative of all outputs with respect to all parameters
  linear     the best linear filters, by least squares: no optimiser, no luck
  fit        PSNR on training patches, for schedules of several lengths
  memorise   how many patches of white noise with random targets are fitted
  imitate    teacher and student: who learns what the other computes

One more, of networks of 32 LR maps, takes ten minutes of a processor and is made where it is asked
for. Its rule: a network of P parameters contains another only if the rank of the other's Jacobian
is at most P. So one column more than the largest of HR, HR learned and LR tied has parameters is
drawn of LR and of HR untied, and must be shown to be independent, rounding errors included
(sr_jax/capacity/certificate.py), with ReLU and with tanh.

  certificate  a proof that HR, HR learned and LR tied do not contain LR, nor HR untied

  python launch.py --experiment=capacity
  python launch.py --experiment=capacity --preset=certificate
  python launch.py --experiment=capacity --manual_dir=SETS --data=tfds:T91 --test_data=Set5,Set14
"""

import dataclasses
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sr_jax.capacity import certificate, fitting, jacobian, noise
from sr_jax.capacity import report as capacity_report
from sr_jax.capacity.fitting import Photographs
from sr_jax.config import Execution, check, setting, to_dict
from sr_jax.data import patches, sources
from sr_jax.data.finding import find
from sr_jax.data.sources import Photos
from sr_jax.evaluation.linear import LinearModel, mean_psnr
from sr_jax.networks import Network
from sr_jax.networks.budget import budget
from sr_jax.networks.pair import note_networks
from sr_jax.runtime import preemption
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder, open_run
from sr_jax.training import population
from sr_jax.training.sharding import upload

PARTS = ("jacobian", "linear", "fit", "memorise", "imitate")
ALL_PARTS = (*PARTS, "certificate")
LINEAR = (("lr", 3), ("lr", 5), ("hr", 5), ("hr", 6))
FOUR = ("lr", "hr", "hr_learned", "lr_tied")
TEACHERS = ("lr", "hr", "lr_tied")  # and students
BATCH, PATCH, SCALE = 16, 17, 2
CERTIFIED = 32  # LR maps of the networks of part certificate

ONE_PROCESS = True  # on as many devices as it has
SETS = ("manual_dir", "data_dir")
# It keeps whole measurements rather than checkpoints, and chooses its meshes.
EXECUTION = ("workdir", "distributed", "compile_cache", "profile", "require_accelerator", *SETS)


@dataclasses.dataclass(frozen=True)
class Config:
  """What is measured, on what, and for how long."""

  parts: tuple[str, ...] = setting(PARTS, "measurements to make", choices=ALL_PARTS)
  data: str = setting("sample_photos", "photographs to fit: sample_photos, folder:PATH, tfds:NAME")
  test_data: tuple[str, ...] = setting(("held_out",), "photographs to score linear filters on")
  seeds: int = setting(3, "members of every training", at_least=2)
  learning_rate: tuple[float, ...] = setting(
    (4e-3, 8e-3), "peak rates; of each seed's trainings the best fit counts", above=0
  )
  lengths: tuple[int, ...] = setting(
    (200, 800, 2400), "schedules of part fit, in steps", at_least=1
  )
  noise_steps: int = setting(3000, "of parts memorise and imitate", at_least=1)

  def __post_init__(self) -> None:
    check(self)


PRESETS = {"certificate": Config(parts=("certificate",))}


def networks(features: int, **fields: Any) -> dict[str, Network]:
  """The four networks, with `features` LR maps or as many phases of HR maps."""
  known = note_networks(features, execution="lr_space", **fields)
  return {name: known[name] for name in FOUR}


def measure_jacobian(config: Config, photos: Photos) -> dict[str, Any]:
  """Ranks at random parameters, of networks of 8 LR or 2 HR maps and one hidden layer."""
  return {
    activation: {
      name: jacobian.rank_of(network, seed=0)._asdict()
      for name, network in networks(8, depth=1, activation=activation).items()
    }
    for activation in ("tanh", "relu")
  }


def measure_certificate(config: Config, photos: Photos) -> dict[str, Any]:
  """Ranks that LR and HR untied are shown to have, against the parameters of smaller networks."""
  shown: dict[str, dict[str, Any]] = {}
  for activation in ("relu", "tanh"):
    known = note_networks(CERTIFIED, activation=activation)
    smaller = {name: budget(known[name]).parameters for name in ("hr", "hr_learned", "lr_tied")}
    columns = 1 + max(smaller.values())
    shown[activation] = {}
    for name in ("lr", "hr_untied"):
      certified = certificate.certify(known[name], columns)
      shown[activation][name] = certified._asdict()
      log(
        f"certificate: {name}, {activation}: rank of at least {certified.rank:,}; its smallest "
        f"singular value is {certified.ratio:.0f} times what rounding could be"
      )
  return {"smaller": smaller, "shown": shown}


def measure_linear(config: Config, photos: Photos) -> dict[str, Any]:
  """PSNR of the best linear filters on the photographs they are fitted to and on test sets."""
  psnr = {}
  for grid, size in LINEAR:
    model = LinearModel(grid, size, SCALE)
    model.fit(photos.train)
    psnr[model.name] = {"train": mean_psnr(model, photos.train, rounded=False)} | {
      name: mean_psnr(model, test_set, rounded=True) for name, test_set in photos.tests.items()
    }
  return psnr


def measure_fit(config: Config, photos: Photos) -> dict[str, Any]:
  """Training PSNR of every seed at its best rate, after schedules of several lengths."""
  data = _photographs(photos)
  members = population.make_members(range(config.seeds), config.learning_rate)
  psnr: dict[str, dict[str, list[float]]] = {}
  for name, network in networks(32).items():
    for steps in config.lengths:
      params = fitting.train(network, name, members, steps, data)
      by_member = fitting.training_psnr(network, params, data)
      best = np.reshape(by_member, (config.seeds, -1)).max(axis=1)
      psnr.setdefault(name, {})[str(steps)] = best.tolist()
      log(f"fit: {name}, {steps} steps: {best.mean():.3f} dB")
  return psnr


def measure_memorise(config: Config, photos: Photos) -> dict[str, Any]:
  """How many noise patches are fitted, in all and in target values a parameter."""
  fits = {}
  for name, network in networks(8, depth=1, bicubic_skip=False).items():
    errors = noise.memorise(network, config.seeds, config.learning_rate, config.noise_steps)
    count = noise.largest_fitted(errors)
    parameters = budget(network).parameters
    values = count * (SCALE * noise.SIDE) ** 2
    fits[name] = {
      "errors": {str(key): value for key, value in errors.items()},
      "largest": count,
      "parameters": parameters,
      "values_a_parameter": values / parameters,
    }
    log(f"memorise: {name} fits {count} patches, {values / parameters:.2f} values a parameter")
  return fits


def measure_imitate(config: Config, photos: Photos) -> dict[str, Any]:
  """Error of every network as the student of every other, and of its own kind."""
  small = networks(16, depth=2, bicubic_skip=False)
  psnr: dict[str, dict[str, list[float]]] = {}
  seeds, rates, steps = config.seeds, config.learning_rate, config.noise_steps
  for teacher, student in itertools.product(TEACHERS, repeat=2):
    by_seed = noise.imitate(small[teacher], small[student], seeds, rates, steps)
    psnr.setdefault(teacher, {})[student] = by_seed
    log(f"imitate: {student} learns {teacher} to {np.mean(by_seed):.1f} dB below its variance")
  return psnr


def _photographs(photos: Photos) -> Photographs:
  store = upload(patches.make_store(photos.train, PATCH))
  return Photographs(photos.train, store, BATCH, PATCH)


MEASURE: dict[str, Callable[[Config, Photos], dict[str, Any]]] = {
  "jacobian": measure_jacobian,
  "linear": measure_linear,
  "fit": measure_fit,
  "memorise": measure_memorise,
  "imitate": measure_imitate,
  "certificate": measure_certificate,
}


def check_data(config: Config, execution: Execution) -> None:
  """Refuses photographs that are missing, without reading any."""
  find(config.data, "held_out", config.test_data, execution)


def headline(run_dir: RunFolder) -> dict[str, str]:
  """The parts that a finished run has measured."""
  return {"parts": " ".join(read_json(run_dir.results)["parts"])}


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Makes every measurement that the run has not made yet; returns the seconds of those."""
  photos = sources.load(config.data, SCALE, PATCH, "held_out", config.test_data, execution)
  photos = dataclasses.replace(photos, train=[*photos.train, *photos.validation])  # none chooses
  about, changes = open_run(run_dir, "capacity", config, {"pixels": photos.fingerprint()})
  for change in changes:
    log(f"WARNING: since this run was begun, {change}; its bits may differ")
  log(f"Run folder: {run_dir}\n")
  kept = [part for part in config.parts if run_dir.part(part).exists()]
  parts = {part: _measure(part, config, photos, run_dir) for part in config.parts}
  results = {
    "experiment": "capacity",
    "config": to_dict(config),
    "parts": {part: measured["found"] for part, measured in parts.items()},
    "notes": photos.notes,
  }
  seconds = {part: measured["seconds"] for part, measured in parts.items()}
  timing = {"device": describe_devices(), "phase_seconds": seconds}
  if run_dir.is_finished:
    timing = read_json(run_dir.timing)
  else:
    write_json(run_dir.timing, timing)
    write_json(run_dir.results, results)
  capacity_report.write(run_dir, results, timing, about)
  for part, rows in capacity_report.tables(results).items():
    log(f"\n{table(rows)}\n\n{capacity_report.sentence(part, results)}")
  log(f"\nReport: {run_dir.report}, and report.md beside it")
  return {part: value for part, value in seconds.items() if part not in kept}


def _measure(part: str, config: Config, photos: Photos, run_dir: RunFolder) -> dict[str, Any]:
  """Makes a measurement and writes it, with its seconds, or reads it where the run has it."""
  file = run_dir.part(part)
  if file.exists():
    return read_json(file)
  preemption.raise_if_requested()
  log(f"Measuring {part}")
  began = time.monotonic()
  measured: dict[str, Any] = {"found": MEASURE[part](config, photos)}
  measured["seconds"] = time.monotonic() - began
  file.parent.mkdir(exist_ok=True)
  write_json(file, measured)
  return measured
