"""At equal compute, does a network in LR space represent more than one that upsamples first?

The claim of Shi et al. (2016, arXiv 1609.07009, Section 3): with n = 32 maps of 3x3 in LR space
against n / r^2 = 8 maps of 6x6 in HR space, both networks cost the same, and the LR network has
r^2 times the parameters and "thus more representation power".

The test: all networks get the same photographs, batches, steps, seeds and learning rates to
choose from. The verdict is the mean over test photographs of the paired PSNR difference LR - HR,
with an interval over seeds and photographs; the fit of training patches is compared likewise.

  python launch.py --experiment=matched_flops

The same question asked with controls, of the field's sets in the folder SETS: the other HR shapes
at these MACs, LR with its phases tied, HR with its phases untied, and matches in parameters, in
receptive field and in time:

  python launch.py --experiment=matched_flops --preset=confirmatory --manual_dir=SETS

Asked with recipes that every arm chooses for itself, the search being a part of the intervals
(`sr_jax.comparison.tuning`). LR far contains LR and is the positive control: by a rule fixed before
the run, it speaks of representation only if the interval of LR far - LR lies above -0.05 dB:

  python launch.py --experiment=matched_flops --preset=recipes --manual_dir=SETS

Asked of tanh networks, which the usual recipe leaves on the plateau of a linear filter. By a rule
fixed before the run, its verdict counts only if every member of every arm leaves that:

  python launch.py --experiment=matched_flops --preset=tanh --manual_dir=SETS
"""

import dataclasses
import functools
import re

from sr_jax.comparison import escape, recipe, verdict
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.comparison.note_arms import TIMED, NoteRecipe, arms, measured_arms
from sr_jax.config import Execution
from sr_jax.runner import compare
from sr_jax.runtime.files import read_json
from sr_jax.runtime.run_folder import RunFolder

__all__ = ["PRESETS", "Config", "arms", "main"]

Config = NoteRecipe

# Fixed before the run: the verdict, the opponents, and what takes the verdict apart.
FAMILY = tuple(
  f"hr{kernel}{front}" for kernel in ("", "_k4", "_k3", "_k2") for front in ("", "_learned")
)
CONTROLS = ("lr_tied", "hr_untied", "lr_deeper", "hr_deeper", "lr_narrow", "lr_far")
PRIMARY = Contrast("lr", "hr", "the note's own pair")
MECHANISMS = (
  Contrast("lr", "lr_tied", "untying the phases, on windows aligned to blocks"),
  Contrast("hr_untied", "hr_learned", "untying the phases, on sliding windows"),
  Contrast("lr", "hr_untied", "aligned instead of sliding windows, phases untied"),
  Contrast("lr_tied", "hr_learned", "aligned (5x5) instead of sliding (6x6) windows, phases tied"),
  Contrast("hr_learned", "hr", "learned instead of bicubic upsampling, in HR space"),
  Contrast("lr_deeper", "hr_deeper", "LR - HR one layer deeper, with no half-pixel shift"),
  Contrast("lr_narrow", "hr", "LR - HR at equal parameters, LR at a quarter of the MACs"),
  Contrast("lr", "hr_wide", "LR - HR at equal parameters, HR at four times the MACs"),
  Contrast("lr_far", "hr", "LR - HR at equal receptive fields"),
  Contrast("lr", "hr_timed", "LR - HR at the measured time of LR"),
  Contrast("lr_timed", "hr", "LR - HR at the measured time of HR"),
)


def comparison(config: Config) -> Comparison:
  """The contrasts of a run; without the note's pair, its first two arms are the verdict."""
  first, second, *_ = config.arm_names()
  own = Contrast(first, second, "the first two arms")
  primary = PRIMARY if {"lr", "hr"} <= set(config.arms) else own
  if primary.first != "lr":  # the family costs what LR costs, and LR tied is a subset of LR
    return Comparison(primary, mechanisms=MECHANISMS)
  deep = tuple(name for name in config.arms if re.match(r"hr_d\d", name))
  return Comparison(primary, FAMILY + deep, "lr_tied", MECHANISMS)


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """What a finished run adds to a sweep's table."""
  return verdict.headline(read_json(run_dir.results))


def run(
  experiment: str, config: Config, execution: Execution, run_dir: RunFolder
) -> dict[str, float]:
  """Compares the networks; returns the seconds of each phase."""
  plan = functools.partial(measured_arms, config)
  measure = escape.measure if config.recipes else None
  return compare(experiment, plan, comparison(config), config, execution, run_dir, measure)


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Runs this experiment; returns the seconds of each phase."""
  return run("matched_flops", config, execution, run_dir)


CONFIRMATORY = Config(
  arms=("lr", *FAMILY, *CONTROLS, *TIMED),
  hr_execution="fewer",
  data="tfds:T91",
  distinct=True,
  validation_data="BSD200",
  validation_images=12,
  test_data=("BSD100", "Set5", "Set14"),
  steps=3000,
  seeds=8,
  learning_rate=(2e-3, 4e-3, 8e-3),
  search_steps=600,
  search_seeds=2,
  extend_grid=True,
)
CONVERGENCE = dataclasses.replace(
  CONFIRMATORY,
  arms=("lr", "hr", "hr_k4", "hr_k4_learned", "hr_d7_k3_learned", "hr_d16_k3_learned"),
  hr_execution="hr_space",
  test_data=("BSD100+Set14+unused",),
  learning_rate=(1e-3, 2e-3, 4e-3, 8e-3),
  search_steps=3000,
  extend_grid=False,
)
# Fixed before the runs: the recipes that arms choose from, and the rules in the docstring.
OWN_RECIPES = dataclasses.replace(
  CONFIRMATORY,
  test_data=("BSD100+Set14+unused",),
  steps=12_000,
  seeds=6,
  recipes=16,
  learning_rate=(1e-3, 1.6e-2),
  search_steps=3000,
  search_seeds=1,
  extend_grid=False,
  warmup=(0.02, 0.1, 0.3),
)
PRESETS = {
  "confirmatory": CONFIRMATORY,
  # What does training time do to the verdict? sr_jax/comparison/convergence.py says how several
  # lengths, each a run of this preset, decide together.
  "convergence": CONVERGENCE,
  # What flags are added to: does the verdict hold without the skip, at other lengths, scales, ...?
  "sensitivity": dataclasses.replace(
    CONFIRMATORY, arms=("lr", "hr", "hr_k4"), seeds=4, search_seeds=1
  ),
  "recipes": dataclasses.replace(
    OWN_RECIPES,
    arms=("lr", "hr", "hr_k4", "lr_tied", "lr_far"),
    first_rate=(0.5, 1.0, 2.0),
    last_rate=(0.1, 0.3, 1.0),
    gain=(0.5, 1.0, 2.0),
    clip=(0.01, 0.05, 0.25),
    patches=(17, 33),
  ),
  "tanh": dataclasses.replace(
    OWN_RECIPES,
    arms=("lr", "hr", "hr_k4"),
    activation="tanh",
    search_steps=6000,
    gain=(1.0, 25 / 9),
    last_gain=(1.0, 10.0, 100.0),
    contrast=(1.0, 4.0, 8.0),
  ),
}
