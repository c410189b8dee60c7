"""Made-up runs of the experiments whose runs are kept by their presets."""

import math

import numpy as np
import pytest

from docs import kept_results
from docs.kept_results import PRESETS
from sr_jax.comparison import verdict
from sr_jax.config import to_dict
from sr_jax.networks.budget import as_json

SLOPE = 0.1  # dB for twice the parameters, of every network


def scores(rng, psnr):
  return {"psnr": (psnr + 0.001 * rng.standard_normal(6)).tolist(), "ssim": [0.9] * 6}


@pytest.fixture
def made_up_run():
  """Makes the results of a preset: two seeds on six photographs, on the line of the weights.

  `lead` has the dB that some arms are above that line.
  """

  def make(experiment, preset, lead=None, **changes):
    module, rng = PRESETS[experiment], np.random.default_rng(0)
    config = module.Config(**vars(module.PRESETS[preset]) | changes)
    arms, further = {}, {}
    for arm in module.arms(config):
      psnr = 30 + SLOPE * math.log2(arm.budget.parameters) + (lead or {}).get(arm.name, 0.0)
      members = [
        {"seed": seed, "status": "ok", "learning_rate": 4e-3, "validation_psnr": psnr}
        | {split: scores(rng, psnr) for split in ("test", "training")}
        for seed in range(2)
      ]
      about = {"note": arm.note, "budget": as_json(arm.budget), "learning_rate": 4e-3}
      arms[arm.name] = {**about, "rate_at_edge": None, "search": [], "members": members}
      further[arm.name] = [scores(rng, psnr) for _ in members]
    results = {
      "experiment": experiment,
      "config": to_dict(config),
      "images": {split: [f"image {i}" for i in range(6)] for split in ("train", "test")},
      "tests": ["BSD100", "Set14"],
      "learning_rates": list(config.learning_rate),
      "bicubic": {
        "test": {"psnr": [29.0] * 6, "ssim": [0.8] * 6},
        "training": {"psnr": [29.0] * 6},
      },
      "arms": arms,
      "further_tests": {"Set14": {"images": ["image"] * 6, "arms": further}},
    }
    results["verdict"] = verdict.decide(results, module.comparison(config))
    return results

  return make


@pytest.fixture
def kept():
  """Keeps runs, by their names, with made-up times and provenance."""
  about = {
    "provenance": {"revision": "0123456789ab"},
    "timing": {"phase_seconds": {"train": 90.0}, "device": "1 x cpu"},
  }

  def keep(*runs):
    return {
      kept_results.name_of(run): {"command": kept_results.command(run), "results": run, **about}
      for run in runs
    }

  return keep
