"""Made-up results of several tasks."""

import numpy as np
import pytest

from sr_jax.comparison.explicit_forms import decide

FORMS = ["transposed", "nearest", "linear", "half"]
TASKS = {
  "super_resolution": (2, 2, "lr", [*FORMS, "skip"], [0.01, -0.12, -0.2, 0.02, 0.06]),
  "demosaicing": (2, 2, "lr", FORMS, [-0.04, -0.15, -0.1, 0.0]),
  "signal": (2, 1, "lr", [*FORMS, "skip"], [-0.02, -0.08, -0.3, -0.01, 0.01]),
  "volume": (2, 3, "lr", [*FORMS, "skip"], [-0.1, -0.25, -0.2, -0.04, 0.02]),
  "denoising": (2, 2, "hr", [*FORMS, "lr_plain"], [-0.03, -0.02, -0.04, 0.01, -0.05]),
  "filtering": (2, 2, "hr", [*FORMS, "lr_plain"], [-0.05, -0.06, -0.1, 0.0, -0.2]),
  "segmentation": (4, 2, "hr", FORMS, [-0.15, -0.05, 0.02, -0.03]),
  "flow": (4, 2, "hr", FORMS, [-0.2, 0.08, 0.12, -0.02]),
  "autoencoding": (8, 2, "hr", FORMS, [-0.4, -0.7, -0.6, -0.1]),
  "deblocking": (8, 2, "hr", [*FORMS, "lr_plain"], [-0.6, -0.9, -0.8, -0.2, -0.1]),
  "deblocking_x2": (2, 2, "hr", [*FORMS, "lr_plain"], [-0.05, -0.1, -0.1, -0.02, -0.1]),
}


def make_task(name):
  """Results of a task."""
  scale, dims, grid, arms, shares = TASKS[name]
  rng = np.random.default_rng(len(name))
  images = [f"image_{i}" for i in range(6)]
  is_segmentation = name == "segmentation"
  measure, unit = {
    "segmentation": ("iou", ""),
    "flow": ("epe_db", "dB of end-point error"),
  }.get(name, ("psnr", "dB"))
  base, gain = (0.1, 0.5) if is_segmentation else (26.0, 2.0)
  levels = rng.normal(base, 0.04 * base, len(images))
  periodic = {"transposed": 1.5, "nearest": -0.5}

  def members(arm_name, share):
    return [
      {
        "seed": seed,
        "learning_rate": 4e-3,
        "status": "ok",
        f"validation_{measure}": base + gain * (1 + share),
        "test": {
          measure: (levels + gain * (1 + share) + rng.normal(0, 0.01 * gain, 6)).tolist(),
          "periodicity": (rng.normal(3, 0.3, 6) + periodic.get(arm_name, 0)).tolist(),
        },
      }
      for seed in range(3)
    ]

  def arm(arm_name, share):
    return {
      "note": f"the network {arm_name} of {name}",
      "budget": {
        "macs": 1000.0 / scale,
        "executed_macs": 1000.0 / scale,
        "bicubic_macs": 0,
        "parameters": 12345,
        "activations": 40.0,
        "receptive_field": 22,
        "shift": 0.0,
      },
      "learning_rate": 4e-3,
      "rate_at_edge": None,
      "search": [{"seed": 0, "learning_rate": 4e-3, f"validation_{measure}": base + gain}],
      "members": members(arm_name, share),
    }

  by_share = {"lr": 0.0, **dict(zip(arms, shares, strict=True))}
  return {
    "task": {
      "name": name,
      "scale": scale,
      "dims": dims,
      "inputs": {"lr": int(grid == "lr"), "hr": int(grid == "hr")},
      "outputs": {"lr": 0, "hr": 1},
      "measure": measure,
      "unit": unit,
      "no_network": f"no network of {name}",
      "pooled": name != "deblocking_x2",
    },
    "images": {"train": ["a"], "validation": ["b"], "test": images},
    "no_network": {
      "test": {measure: levels.tolist(), "periodicity": [None] * 6},
      f"validation_{measure}": base,
    },
    "arms": {arm_name: arm(arm_name, share) for arm_name, share in by_share.items()},
    "learning_rates": [4e-3],
    "notes": [f"A note on {name} with <i>."],
    "choices": {},
    "config": {"scale": scale, "steps": 1000, "patch": 40 // scale},
  }


@pytest.fixture
def task_results():
  """Of every task with a verdict; the autoencoder gains nothing over no network."""
  tasks = {name: make_task(name) for name in TASKS}
  no_network = tasks["autoencoding"]["no_network"]["test"]
  no_network["psnr"] = [score + 5 for score in no_network["psnr"]]
  results = {
    "experiment": "other_tasks",
    "config": {"steps": 1000, "seeds": 3, "volume": "mni152"},
    "tasks": tasks,
  }
  return results | {"verdict": decide(results)}
