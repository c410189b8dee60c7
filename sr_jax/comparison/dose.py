"""Whether the advantage of LR maps grows with log R, on one line for d = 1, 2 and 3.

At equal multiply-accumulates n LR maps stand against n / R HR maps, R = r^d. For each grid, d and
r, the *advantage* is lr - hr_learned as a share of what lr gains over cubic interpolation
(`shares.py`). Over grids it is fitted by advantage = a + b log2 R + grid, whose grids deviate by
tau beyond their known errors (`meta.regress`). At R = 1 both networks are the same, so that a is
expected to be zero; it is reported, and decides nothing.

By the 95 % intervals of the slope b, and of tau:

- the advantage *does not grow* if over the grids of the run, from the least R to the largest, it
  is shown to grow by less than `SHARE_SESOI`, or not at all;
- else it *grows on one line* if the slope is shown to be above zero and tau to be below
  `SHARE_SESOI`: R then says to within 5 % of the gain what LR is ahead, whatever d is of
  those in the fit; that is said only of two or more that the F test below does not tell apart;
- else it *grows* if the slope is shown to be above zero;
- else it is *undecided*, as it is with fewer than `MIN_GRIDS` grids, or a single R; and where on a
  grid of the fit no seed of a network has learned more than interpolation (by `LEARNED_MARGIN` on
  test images): what lr is then ahead by is a failure to train, not what networks represent.

A grid has no part in the fit without a sure gain or a standard error, or with fewer than
`MIN_IMAGES` test images. Beside tau, which has its own interval, an F test says whether dimensions
are apart: whether, at equal R, their means differ more than grids of a dimension do. Grids of a
dimension share images and seeds, so that their errors are not quite independent, as a regression
takes them to be.

The verdict, JSON data (None is null), by the names of grids:

  {"sesoi": 0.05, "decision": "one line" | "grows" | "does not grow" | "undecided",
   "reason": why there is no fit, or why it decides nothing; else "",
   "grids": {GRID: {
     "dims", "scale", "phases": int (R), "parameters": int of lr | of hr_learned by arm,
     "images", "seeds": int, "left_out_seeds": [those that diverged],
     "learned": {ARM: int, the seeds that gain `LEARNED_MARGIN` over interpolation on test images},
     "gain": {"mean", "low", "high"} of lr over interpolation, "effect": likewise of lr - hr_learned
     (both dB), "advantage": likewise, with "error"; "reason": why it is not in the fit; else "",
     "weight": its share of all weights, "line": the line's value, "deviation": from it (or None)}},
   "line": None | {"intercept", "slope": {"mean", "low", "high"}, "growth": likewise, of the line
     from the least R to the largest, "tau", "tau_low", "tau_high", "q", "p_homogeneous": float,
     "degrees_of_freedom": int, "covariance": of intercept and slope},
   "dimensions": None | {"p": float, of the F test, "degrees_of_freedom": [int, int]},
   "sentences": [str]}
"""

import dataclasses
import math

import numpy as np

from sr_jax.comparison.dose_sentences import (
  HR,
  Decision,
  Json,
  count_fitted,
  grid_title,
  sentences,
)
from sr_jax.comparison.explicit_effects import table_of
from sr_jax.comparison.meta import Regression, regress
from sr_jax.comparison.phrases import percent
from sr_jax.comparison.score import LEARNED_MARGIN
from sr_jax.comparison.shares import SHARE_SESOI, share_of_gain
from sr_jax.comparison.statistics import MIN_IMAGES, interval
from sr_jax.comparison.task_arms import LR
from sr_jax.comparison.titles import titled

MIN_GRIDS = 4  # with three, t of one degree of freedom decides nothing
MEASURE = "psnr"


def grid_name(dims: int, scale: int) -> str:
  """The name of a grid in results and folders: "d2_r3"."""
  return f"d{dims}_r{scale}"


def decide(results: Json) -> Json:
  """The verdict of a run, as above."""
  grids = {name: _of_grid(record) for name, record in results["grids"].items()}
  fitted = [grid for grid in grids.values() if not grid["reason"]]
  doses = [math.log2(grid["phases"]) for grid in fitted]
  verdict: Json = {"sesoi": SHARE_SESOI, "grids": grids, "line": None, "dimensions": None}
  reason = ""
  if len(fitted) < MIN_GRIDS:
    count = f"{len(grids)} grid{'s' * (len(grids) != 1)}"
    reason = f"{len(fitted)} of {count} can be fitted, and {MIN_GRIDS} are needed"
  elif len(set(doses)) < 2:
    reason = "all grids have the same R"
  else:
    line = _fit(fitted, [[1.0, dose] for dose in doses])
    verdict |= {"line": _as_json(line, doses), "dimensions": _dimensions(fitted, doses)}
    _place(fitted, doses, line)
    if untrained := _without_learned_seed(fitted):
      reason = f"no seed has learned more than interpolation of {'; '.join(untrained)}"
  decision = "undecided" if reason else _decision(verdict["line"])
  verdict |= {"decision": decision, "reason": reason}
  return {**verdict, "sentences": sentences({**results, "verdict": verdict})}


def _of_grid(record: Json) -> Json:
  """The advantage of lr on a grid, of the seeds that diverged in neither network."""
  pairs = list(zip(*(record["arms"][name]["members"] for name in (LR, HR)), strict=True))
  usable = [pair for pair in pairs if all(member["status"] != "diverged" for member in pair)]
  without = np.array(record["no_network"]["test"][MEASURE], float)
  lr, hr = (table_of([pair[i] for pair in usable], MEASURE, len(without)) for i in (0, 1))
  share = share_of_gain(hr, lr, without)  # of hr_learned - lr
  advantage = {"mean": share.mean, "low": share.high, "high": share.low}
  negated = {key: None if value is None else 0.0 - value for key, value in advantage.items()}
  reason = share.reason
  if not reason and len(without) < MIN_IMAGES:
    reason = f"{len(without)} test images, and {MIN_IMAGES} are needed"
  if not reason and share.error is None:
    reason = "no standard error, which needs two seeds"
  left_out = [pair[0]["seed"] for pair in pairs if pair not in usable]
  return {
    "dims": record["dims"],
    "scale": record["scale"],
    "phases": record["scale"] ** record["dims"],
    "parameters": {name: record["arms"][name]["budget"]["parameters"] for name in (LR, HR)},
    "images": len(without),
    "seeds": len(usable),
    "left_out_seeds": left_out,
    "learned": {
      name: int(np.sum((scores - without).mean(axis=1) >= LEARNED_MARGIN))
      for name, scores in ((LR, lr), (HR, hr))
    },
    "gain": interval(lr - without),
    "effect": interval(lr - hr),
    "advantage": {**negated, "error": share.error},
    "reason": reason,
    "weight": None,
    "line": None,
    "deviation": None,
  }


def _fit(grids: list[Json], regressors: list[list[float]]) -> Regression:
  advantages = [grid["advantage"] for grid in grids]
  return regress(
    [advantage["mean"] for advantage in advantages],
    [advantage["error"] for advantage in advantages],
    regressors,
  )


def _as_json(line: Regression, doses: list[float]) -> Json:
  """The line as JSON data."""
  fields = {field.name: getattr(line, field.name) for field in dataclasses.fields(line)}
  del fields["coefficients"]
  at: dict[str, list[float]] = {
    "intercept": [1.0, 0.0],
    "slope": [0.0, 1.0],
    "growth": [0.0, max(doses) - min(doses)],
  }
  values = {
    name: dict(zip(("mean", "low", "high"), line.value(x), strict=True)) for name, x in at.items()
  }
  return {**values, **fields, "covariance": line.covariance.tolist()}


def _place(grids: list[Json], doses: list[float], line: Regression) -> None:
  """Adds to each grid its weight, the line's value and the deviation from it."""
  weights = [1 / (grid["advantage"]["error"] ** 2 + line.tau**2) for grid in grids]
  for grid, dose, weight in zip(grids, doses, weights, strict=True):
    grid["weight"] = weight / sum(weights)
    grid["line"], *_ = line.value([1.0, dose])
    grid["deviation"] = grid["advantage"]["mean"] - grid["line"]


def _dimensions(grids: list[Json], doses: list[float]) -> Json | None:
  """Whether dimensions are apart at equal R: parallel lines, one for each, against one line."""
  others = sorted({grid["dims"] for grid in grids})[1:]
  rows = [
    [1.0, dose, *(float(grid["dims"] == dims) for dims in others)]
    for grid, dose in zip(grids, doses, strict=True)
  ]
  width = 2 + len(others)
  if not others or len(grids) <= width or np.linalg.matrix_rank(rows) < width:
    return None
  parallel = _fit(grids, rows)
  freedom = [len(others), parallel.degrees_of_freedom]
  return {"p": parallel.p_all_zero(range(2, width)), "degrees_of_freedom": freedom}


def _without_learned_seed(grids: list[Json]) -> list[str]:
  """The networks of which no seed has learned more than interpolation."""
  return [
    f"{grid_title(grid)}, {titled(name)}"
    for grid in grids
    for name, count in grid["learned"].items()
    if not count
  ]


def _decision(line: Json) -> Decision:
  if line["growth"]["high"] < SHARE_SESOI:
    return "does not grow"
  if line["slope"]["low"] <= 0:
    return "undecided"
  return "one line" if line["tau_high"] < SHARE_SESOI else "grows"


def headline(results: Json) -> dict[str, str]:
  """What a run says as the columns of a table."""
  verdict = results["verdict"]
  line = verdict["line"]
  return {
    "advantage of LR against log R": verdict["decision"],
    "a doubling of R (share of gain)": percent(line["slope"]) if line else "-",
    "grids": str(count_fitted(verdict)),
  }
