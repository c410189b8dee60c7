"""Which networks do better than a linear filter, by how much, and from which step on.

A network can stay on a plateau where it does what the best linear filter does, tanh networks above
all: networks compared there differ in when they leave it. The filter is LR 9 of
`evaluation/linear.py`: 9x9 taps and a bias for each phase, by least squares over all pixels of the
training photographs. A member has escaped at the first validated step from which on its validation
PSNR is more than `MARGIN` dB above the filter's.

The rule, fixed before the run: a verdict on networks that can stay on the plateau counts only if
every member of every arm has escaped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sr_jax.comparison.run import Run
from sr_jax.data.pairs import Pair
from sr_jax.evaluation.linear import LinearModel
from sr_jax.evaluation.metrics import mse, score_image, to_db
from sr_jax.evaluation.scoring import to_uint8
from sr_jax.runtime.processes import broadcast_from_primary
from sr_jax.training.population import Population
from sr_jax.training.restore import FINAL

ESCAPE = "escape"  # in results.json
MARGIN = 0.05  # dB
SIDE = 9  # taps of the filter along an axis, in LR pixels

Json = dict[str, Any]


def measure(run: Run, results: Json, trained: Mapping[str, Population]) -> Json:
  """What results.json says of the linear filter, and of every member against it.

  What was trained is not needed: it was validated and scored before.

  Returns:
    under "escape": "filter", "margin", the filter's scores as those of a network, the "steps" at
    which members were validated, and for every arm "members" (seed, "escape_step", None if it never
    escaped, and dB above the filter, "above_on_validation" and "above_on_test", None if it
    diverged) and "validation_psnr", `[step][member]`.
  """
  model = LinearModel("lr", SIDE, run.recipe.scale)
  model.fit(run.photos.train)
  errors = [_error(model, photo) for photo in run.photos.validation]
  linear = to_db(float(np.mean(errors)))
  first, *_ = tests = {name: _scores(model, photos) for name, photos in run.photos.tests.items()}
  key = f"validation_{run.recipe.task.measure}"
  lines = broadcast_from_primary(
    lambda: [line for line in run.metrics.lines if line["stage"] == FINAL and key in line]
  )
  arms = {}
  for name, arm in results["arms"].items():
    own = [line for line in lines if line["arm"] == name]
    curves = [line[key] for line in own]
    steps = [line["step"] for line in own]
    members = [
      {
        "seed": member["seed"],
        "escape_step": escape_step(steps, [scores[i] for scores in curves], linear),
        "above_on_validation": _above([member[key]], [linear]),
        "above_on_test": _above(member["test"]["psnr"], tests[first]["psnr"]),
      }
      for i, member in enumerate(arm["members"])
    ]
    arms[name] = {"steps": steps, key: curves, "members": members}
  return {
    ESCAPE: {
      "filter": model.name,
      "margin": MARGIN,
      key: linear,
      "tests": tests,
      "arms": arms,
    }
  }


def escape_step(steps: Sequence[int], scores: Sequence[float | None], linear: float) -> int | None:
  """The first of these steps from which on scores in dB are above the filter's by `MARGIN`.

  None where the last one is not.
  """
  escaped = None
  for step, score in zip(reversed(steps), reversed(scores), strict=True):
    if score is None or score <= linear + MARGIN:
      break
    escaped = step
  return escaped


def _above(scores: Sequence[float | None], linear: Sequence[float]) -> float | None:
  """Mean dB above the filter; None if a score is not finite."""
  if None in scores:
    return None
  return float(np.mean(np.array(scores, float) - np.array(linear)))


def _error(model: LinearModel, photo: Pair) -> float:
  return mse(to_uint8(model.predict(photo.input)), photo.target, model.scale)


def _scores(model: LinearModel, photos: Sequence[Pair]) -> dict[str, list[float]]:
  """PSNR and SSIM of the filter on every photograph, as networks are scored."""
  pairs = [
    score_image(to_uint8(model.predict(photo.input)), photo.target, model.scale) for photo in photos
  ]
  psnr, ssim = zip(*pairs, strict=True)
  return {"psnr": list(psnr), "ssim": list(ssim)}
