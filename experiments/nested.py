r"""Is it representation, or is it training? Networks untied from the very function they compute.

The claim of Shi et al. (2016, arXiv 1609.07009, Section 3): at the same cost, an LR network has
r^2 times the parameters of an HR network and "thus more representation power". Two networks that
are trained from scratch differ in more than that: in initialisation, in the shape of the loss, in
how soon a plateau is left. Here neither has such an excuse. A network is trained; then its weights
are untied, which changes nothing that it computes; and both are trained on, the tied one as it is,
on the same batches:

- hr_learned to hr_untied: each phase of an HR map gets kernels and biases of its own, of the same
  windows. The MACs are the same, the parameters 3.8 times as many.
- lr_tied to lr: HR kernels of 5x5, which lift to LR kernels of 3x3: the tied subset of LR.
- hr to hr_lifted: the note's HR network, of 6x6 kernels, and its lift: LR kernels of 4x4 that share
  nothing, at 1.77 times the MACs.

In each pair the untied network contains the tied one. At the optimum of the training loss it fits
no worse, and strictly better only if it represents what the tied one cannot.

Fixed before the run:

- Adam: tied networks are trained at one rate from scratch. Both of a pair are then trained for as
  many steps more, with a fresh schedule, on batches that are new to both, at two rates, of which
  each takes the better on validation photographs, by the mean over seeds.
- L-BFGS, from the same starts: all gradients of fixed patches, with a line search, so that there is
  no noise, no schedule and no rate to be lucky with. What it fits decides; on other photographs
  it may well get worse, since patches are few.
- A pair shows that "more representation power is used" if its untied network fits training patches
  better by more than 0.05 dB both by Adam and by L-BFGS, with Holm's adjustment for three pairs,
  and if its tied self, at the pace of its last iterations, would need more than it was given to
  catch up.
  `sr_jax/comparison/nested_verdict.py` has all rules, and decides.

On the sample photographs; then, of the field's sets in the folder SETS:

  python launch.py --experiment=nested
  python launch.py --experiment=nested --preset=confirmatory --manual_dir=SETS
"""

import dataclasses
import functools
from typing import Any

from sr_jax.comparison import nested, nested_verdict, note_arms, recipe
from sr_jax.comparison.executions import hr_execution_setting, in_faster_execution
from sr_jax.comparison.nested import PAIRS, NestedRecipe
from sr_jax.comparison.note_arms import NoteRecipe
from sr_jax.config import Execution, setting
from sr_jax.networks.budget import Arm
from sr_jax.networks.network import EXECUTIONS
from sr_jax.networks.pair import lifted
from sr_jax.report import nested_report
from sr_jax.runner import explaining_damage, save, start
from sr_jax.runtime import preemption
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import MEASURE, Choices

OF_THE_NOTE = ("hr_learned", "hr_untied", "lr_tied", "lr", "hr")  # arms of `matched_flops`, too

ONE_PROCESS = True  # on as many devices as it has


@dataclasses.dataclass(frozen=True)
class Config(NestedRecipe):
  """The recipe and the networks."""

  features: int = setting(32, "maps of the LR network, n", at_least=1)
  depth: int = setting(4, "hidden layers of all networks", at_least=0)
  hr_execution: str = hr_execution_setting("tied networks")

  def __post_init__(self) -> None:
    """Checks every field and the networks."""
    super().__post_init__()
    arms(self)

  def arm_names(self) -> tuple[str, ...]:
    """The networks, each tied one before its untied self."""
    return tuple(name for pair in PAIRS for name in (pair.tied, pair.untied))

  def choices(self) -> dict[str, tuple[str, ...]]:
    """The form of each population's convolutions, and the execution of tied networks."""
    forms = next(iter(super().choices().values()))
    by_size = {f"{arm}/{size}": forms for arm in self.arm_names() for size in self.sizes()}
    tied = [pair.tied for pair in PAIRS] if self.hr_execution == MEASURE else []
    return {**by_size, **dict.fromkeys(tied, EXECUTIONS)}


@functools.lru_cache(maxsize=64)
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks of a run, tied ones in the execution of the setting."""
  of_the_note = NoteRecipe(
    arms=OF_THE_NOTE,
    scale=config.scale,
    features=config.features,
    depth=config.depth,
    hr_execution=config.hr_execution,
  )
  known = {arm.name: arm for arm in note_arms.arms(of_the_note)}
  hr: Any = known["hr"].network
  free = lifted(hr)
  sizes = " and ".join(
    dict.fromkeys(f"{k}x{k}" for k in (layer.kernel_size for layer in free.layers))
  )
  note = f"{config.features} maps of {sizes} in LR space, bicubic first, depth {config.depth}"
  known["hr_lifted"] = Arm("hr_lifted", free, None, 0.0, note)
  return tuple(known[name] for name in config.arm_names())


def measured(config: Config, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run, each in the faster execution where that is measured."""
  return in_faster_execution(arms(config), config.hr_execution, choices)


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  return dict(read_json(run_dir.results)["verdict"]["findings"])


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Trains and scores all pairs, then decides; returns the seconds of each phase."""
  plan = functools.partial(measured, config)
  run = start("nested", plan, config, execution, run_dir)
  if run.is_finished:
    with explaining_damage(str(run_dir.results), "the run"):
      report(run_dir, read_json(run_dir.results), read_json(run_dir.timing), run.about)
    return {}
  patches = nested.draw_fixed_patches(config, run)
  trained: dict[str, nested.Trained] = {}
  with run.unsaved.ending():
    for pair in PAIRS:
      preemption.raise_if_requested()
      with run.clock.phase(f"train {pair.tied} and {pair.untied}"):
        both = nested.train_pair(pair, config, patches, run)
        trained |= dict(zip((pair.tied, pair.untied), both, strict=True))
  log("Scoring the test photographs")
  with run.clock.phase("evaluate"):
    results = nested.score(trained, config, patches, run)
  run.unsaved.check()
  results |= nested_verdict.decide(results)
  timing = {"device": describe_devices(), "phase_seconds": run.clock.seconds}
  save(run, results, timing)
  report(run_dir, results, timing, run.about)
  return run.clock.seconds


def report(
  run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]
) -> None:
  """Writes the report of a finished run, and prints its table and sentences."""
  nested_report.write(run_dir, results, timing, about)
  log("\n" + table(nested_report.rows(results)) + "\n")
  for sentence in results["verdict"]["sentences"]:
    log(sentence)
  log(f"\nReport: {run_dir.report}, and report.md beside it")


PRESETS = {
  # With the native convolution HR maps are faster in HR space.
  "confirmatory": Config(
    hr_execution="hr_space",
    data="tfds:T91",
    distinct=True,
    validation_data="BSD200",
    validation_images=12,
    test_data=("BSD100+Set14+unused",),
    steps=6000,
    seeds=6,
    lbfgs_seeds=4,
    lbfgs_iterations=300,
    lbfgs_patches=512,
  ),
}
