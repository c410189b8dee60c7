"""Made-up results of tasks, of which the effect of every form of upsampling is known."""

import zlib

import numpy as np

SEEDS, IMAGES = 4, 10


def task_of(
  name,
  *,
  unit="dB",
  measure=None,
  gain=1.0,
  dims=2,
  pooled=True,
  noise=0.002,
  seeds=SEEDS,
  images=IMAGES,
  periodicity=None,
  diverged=(),
  **shares,
):
  """A task in which forms differ from LR by these shares of its gain.

  Args:
    name: of the task, which seeds what is random.
    unit: of its scores.
    measure: that decides; None is psnr in dB, and iou in other units.
    gain: mean of LR over no network, in the unit; of 1 dB, 5 % are as much as SESOI.
    dims: of its space.
    pooled: whether it may join the mean over tasks.
    noise: of the share, over seeds and over images.
    seeds: trained.
    images: of the test.
    periodicity: dB more than LR, by form.
    diverged: pairs of an arm and a seed.
    shares: by form.
  """
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  measure = measure or ("psnr" if unit == "dB" else "iou")
  without = 20 + 2 * rng.standard_normal(images)
  reference = without + gain * (1 + 0.1 * rng.standard_normal((seeds, images)))
  mean_gain = (reference - without).mean()
  arms = {}
  for arm, share in {"lr": 0.0, **shares}.items():
    about = noise * (rng.standard_normal((seeds, 1)) + rng.standard_normal((seeds, images)))
    scores = reference + mean_gain * (share + about) * (arm != "lr")
    repeats = rng.standard_normal((seeds, images)) * 0.1 + (periodicity or {}).get(arm, 0.0)
    arms[arm] = arm_of(measure, scores, repeats, [seed for at, seed in diverged if at == arm])
  return {
    "task": {
      "name": name,
      "scale": 2,
      "dims": dims,
      "measure": measure,
      "unit": unit,
      "no_network": "the input",
      "pooled": pooled,
    },
    "images": {"test": [f"image {i}" for i in range(images)]},
    "no_network": {"test": {measure: without.tolist(), "periodicity": [None] + [0.5] * 9}},
    "arms": arms,
    "config": {"steps": 300, "patch": 16},
  }


def arm_of(measure, scores, repeats, diverged):
  """An arm's part of the results."""
  members = []
  for seed, (row, repeat) in enumerate(zip(scores, repeats, strict=True)):
    test = {measure: row.tolist(), "periodicity": repeat.tolist()}
    is_lost = seed in diverged
    if is_lost:
      test = {key: [None] * len(row) for key in test}
    members.append(
      {
        "seed": seed,
        "learning_rate": 0.004,
        "status": "diverged" if is_lost else "ok",
        f"validation_{measure}": None if is_lost else float(row.mean()),
        "test": test,
      }
    )
  budget = {"macs": 512.0, "executed_macs": 640.0, "parameters": 1234, "activations": 8.0}
  budget |= {"receptive_field": 18, "shift": 0.0}
  return {
    "note": "n = 8",
    "budget": budget,
    "learning_rate": 0.004,
    "rate_at_edge": None,
    "search": [],
    "members": members,
  }


def results_of(*tasks):
  """Results of a run of these tasks, without a verdict."""
  by_name = {task["task"]["name"]: task for task in tasks}
  return {"experiment": "other_tasks", "config": {}, "tasks": by_name}
