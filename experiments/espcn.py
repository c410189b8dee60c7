"""Does ESPCN, trained on 91 images, reach the number that its paper prints?

Shi et al. (2016, arXiv 1609.05158) report 32.55 dB on Set5 at x3 for tanh and 32.39 for relu, both
trained on T91 alone.

  python launch.py --experiment=espcn --manual_dir=FOLDER

FOLDER holds the folders T91, BSD200, Set5, Set14 and BSD100. `--networks=espcn` alone takes the
least, SRCNN more time than all others; `--scale=2,3,4` is one run a scale. The numbers reached are
in docs/PROTOCOL.md, beside their commands.

As published: the layers and activations, T91 alone to train on, luminance, mean squared error, the
last layer at a tenth of the rate, ESPCN's and SRCNN's layers without padding (whole images are
extended by their edge pixels), PSNR by protocol A. Not as published, or not stated there: Adam with
warm-up, cosine decay and clipped gradients for 15,000 steps of 16 random crops in all 8 symmetries,
instead of 17r patches on a grid of stride 14 until nothing improves for 100 epochs; 19 LR pixels a
patch, of which ESPCN's output covers 11; rates chosen on 40 photographs of BSD200 (less Set5's
woman, which it holds); FSRCNN's layers padded with zeros; and the input and the initialisation
below.

What mattered, in trials of 6,000 steps of one seed, tanh, Set5 at x3, largest first:
- Contrast. Counting luminance from mid-gray and in eighths of its range, outputs starting near
  mid-gray: 32.3 dB where 0..1 gave 31.4. Tanh wants inputs of its own size, and Adam takes long to
  grow kernels that respond to faint detail. Mid-gray alone brings a fifth of that. Most of it is
  speed: after 8,000 steps at 4e-3, clipped, two seeds reach 32.4 +- 0.2 without the factor of 8,
  and 32.2 +- 0.1 counting from black, too.
- The rate. In units of 0..1, 1e-2 instead of 3e-3 brings 0.1 to 0.2 dB, and 3e-2 destroys most
  members unless gradients are clipped. A run that was thrown about early never recovers: 24,000
  steps without clipping ended below 6,000 calmer ones.
- Length, and patience with the rate: 20,000 steps at 3e-3 reached 32.69 (two seeds), more than the
  rate that a search of 3,000 steps prefers: short searches favour rates that are too high.
- The last layer's rate: equal to the others' it brought 0.1 to 0.2 dB; it stays at a tenth, as
  published.
- Hardly: edge pixels or zeros around patches, batches of 4 for twice as long.
"""

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from sr_jax.comparison import recipe
from sr_jax.comparison.own_arms import OwnArmsRecipe
from sr_jax.comparison.run import Run
from sr_jax.config import Execution, setting
from sr_jax.networks import Network, espcn, fsrcnn, srcnn
from sr_jax.networks.budget import Arm
from sr_jax.report import reproduction
from sr_jax.runner import save, show_on_tensorboard, start, train_and_score
from sr_jax.runtime.console import log, table
from sr_jax.runtime.files import read_json
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.runtime.provenance import describe_devices
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import Choices

# PSNR in dB at x3 of networks trained on T91: ESPCN's paper, Table 1, whose BSD300 is BSD100 here.
PAPER = {
  "espcn": {"Set5": 32.55, "Set14": 29.08, "BSD100": 28.26},
  "espcn_relu": {"Set5": 32.39, "Set14": 28.97, "BSD100": 28.20},
  "srcnn": {"Set5": 32.39, "Set14": 29.00, "BSD100": 28.21},
}
PAPER_SCALE, PAPER_DATA = 3, "T91"
NETWORKS = ("espcn", "espcn_relu", "fsrcnn", "srcnn")


@dataclasses.dataclass(frozen=True)
class Config(OwnArmsRecipe):
  """The recipe, and which networks are trained by it."""

  scale: int = 3
  data: str = "tfds:T91"
  validation_data: str = "BSD200"
  validation_images: int = 40  # of 199, which SRCNN takes longer to score than to train
  test_data: tuple[str, ...] = ("Set5", "Set14", "BSD100")
  patch: int = 19
  steps: int = 15_000
  seeds: int = 4
  learning_rate: tuple[float, ...] = (4e-3, 8e-3, 1.6e-2)
  search_steps: int = 3_000
  networks: tuple[str, ...] = setting(
    NETWORKS,
    f"which networks are trained, of {', '.join(NETWORKS)}, and your own, Flax Linen or NNX "
    "modules, as mypackage.mymodule:MyNetwork",
  )
  padding: str = setting(
    "valid",
    "valid: layers of ESPCN and SRCNN are not padded; same: with zeros",
    choices=("valid", "same"),
  )

  ENTRIES: ClassVar[str] = "networks"

  def __post_init__(self) -> None:
    """Checks the fields, and the user's own networks."""
    super().__post_init__()
    self.refuse_unknown(NETWORKS)
    arms(self)


@functools.lru_cache(maxsize=64)
def arms(config: Config) -> tuple[Arm, ...]:
  """The networks asked for; what they cost is what their papers count, and your own what it does.

  Those whose width is to be measured are not among them.
  """
  r, padding = config.scale, config.padding
  on_lr_pixels = Fraction(1, r**2)
  sub_pixel = (25 * 64 + 9 * 64 * 32 + 9 * 32 * r**2) * on_lr_pixels
  networks: dict[str, tuple[Network, Fraction, str]] = {
    "espcn": (espcn(r, padding=padding), sub_pixel, "ESPCN (tanh)"),
    "espcn_relu": (espcn(r, activation="relu", padding=padding), sub_pixel, "ESPCN (relu)"),
    "fsrcnn": (
      fsrcnn(r, padding="same"),  # without, 5 of a patch's 19 LR pixels would be left
      12464 * on_lr_pixels,
      "FSRCNN (56, 12, 4)",
    ),
    "srcnn": (srcnn(r, padding=padding), Fraction(8032), "SRCNN (9-1-5)"),
  }
  published = {
    name: Arm(name, network, macs, 0.0, note)
    for name, (network, macs, note) in networks.items()
    if name in config.networks
  }
  first = published.get(config.networks[0])
  return config.in_order((*published.values(), *config.own_arms(first.network if first else None)))


def measured_arms(config: Config, choices: Choices) -> tuple[Arm, ...]:
  """The networks of a run, also those whose width is measured."""
  return config.complete(arms(config), choices)


check_data = recipe.check_data


def headline(run_dir: RunFolder) -> dict[str, str]:
  """The mean PSNR of a finished run on its first test set."""
  results = read_json(run_dir.results)
  first = results["tests"][0]
  return {
    f"{arm} {first}": reproduction.mean(scores, "psnr").text(2)
    for arm, scores in reproduction.scores_on(results, first).items()
  }


def main(config: Config, execution: Execution, run_dir: RunFolder) -> dict[str, float]:
  """Trains and scores the networks; returns the seconds of each phase."""
  run = start("espcn", functools.partial(measured_arms, config), config, execution, run_dir)
  if run.is_finished:
    broadcast_from_primary(lambda: _report_again(run))
    return {}
  results, _ = train_and_score(run)
  results["paper"] = _paper(results)
  timing = {"device": describe_devices(), "phase_seconds": run.clock.seconds}

  def finish() -> None:
    save(run, results, timing)
    _report(run, results, timing)

  broadcast_from_primary(finish)
  return run.clock.seconds


def _paper(results: dict[str, Any]) -> dict[str, dict[str, float]]:
  """What the paper prints of the networks and test sets of this run, if it is of its kind."""
  config = results["config"]
  if config["scale"] != PAPER_SCALE or Path(config["data"].rpartition(":")[2]).name != PAPER_DATA:
    return {}
  return {
    arm: {name: number for name, number in printed.items() if name in results["tests"]}
    for arm, printed in PAPER.items()
    if arm in results["arms"]
  }


def _report_again(run: Run) -> None:
  """Reports a run that was finished before."""
  results = read_json(run.run_dir.results)
  show_on_tensorboard(run, results)
  _report(run, results, read_json(run.run_dir.timing))


def _report(run: Run, results: dict[str, Any], timing: dict[str, Any]) -> None:
  """Writes the report, and prints the table and the comparison with the paper."""
  reproduction.write(run.run_dir, results, timing, run.about)
  log("\n" + table(reproduction.rows(results)) + "\n")
  for sentence in reproduction.sentences(results):
    log(sentence)
  log(f"\nReport: {run.run_dir.report}, and report.md beside it")
  run.unsaved.check()
