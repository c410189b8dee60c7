"""Made-up results of networks that are untied from the function that they compute."""

import numpy as np

from sr_jax.comparison.nested import PAIRS

SEEDS, IMAGES = 6, 8
BUDGET = (
  "macs",
  "executed_macs",
  "bicubic_macs",
  "parameters",
  "activations",
  "shift",
  "receptive_field",
)


def scores(base, gain, seed):
  rng = np.random.default_rng(seed)
  return (base + gain + 0.01 * rng.standard_normal(IMAGES)).tolist()


def arm(by_adam, by_lbfgs):
  """Scores that are above those of a tied arm by so many dB, with little noise."""
  members = [
    {
      "seed": seed,
      "status": "ok",
      "test": {"psnr": scores(30, by_adam, seed)},
      "training": {"psnr": scores(32, by_adam, seed)},
    }
    for seed in range(SEEDS)
  ]
  fixed = [
    {
      "seed": seed,
      "start_psnr": 31.0 + 1e-6 * by_lbfgs,
      "psnr": 33 + by_lbfgs + 0.001 * seed * (by_lbfgs != 0),
      "test": {"psnr": scores(30, by_lbfgs, seed)},
    }
    for seed in range(4)
  ]
  training = {"steps": [600, 6000], "members": [[32.0] * SEEDS, [32.0 + by_adam] * SEEDS]}
  patches = {"steps": [1, 260, 300], "members": [[31.0] * 4, [32.99 + by_lbfgs] * 4, [33.0] * 4]}
  return {
    "note": "a network",
    "budget": dict.fromkeys(BUDGET, 1000),
    "learning_rate": 4e-3,
    "search": [{"seed": 0, "learning_rate": 4e-3, "validation_psnr": 30.0}],
    "members": members,
    "tied_members": members,
    "curve": {"batches_psnr": training, "validation_psnr": training},
    "lbfgs": {"members": fixed, "patches_psnr": patches, "validation_psnr": patches},
  }


def results(*gains):
  arms = {}
  for pair, both in zip(PAIRS, gains, strict=True):
    arms |= {pair.tied: arm(0, 0), pair.untied: arm(*both)}
  config = {"steps": 6000, "lbfgs_patches": 512, "lbfgs_iterations": 300}
  bicubic = {"validation_psnr": 29.0}
  images = {"test": [str(i) for i in range(IMAGES)]}
  return {"arms": arms, "images": images, "config": config, "bicubic": bicubic}
