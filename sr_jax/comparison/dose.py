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
  `SHARE_SESOI`: R then says to within 5 % of the gain what LR is ahead, whatever d is;
- else it *grows* if the slope is shown to be above zero;
- else it is *undecided*, as it is with fewer than `MIN_GRIDS` grids, or a single R.

A grid has no part in the fit without a sure gain or a standard error, or with fewer than
`MIN_IMAGES` test images. Beside tau, which has its own interval, an F test says whether dimensions
are apart: whether, at equal R, their means differ more than grids of a dimension do. Grids of a
dimension share images and seeds, so that their errors are not quite independent, as a regression
takes them to be.

The verdict, JSON data (None is null), by the names of grids:

  {"sesoi": 0.05, "decision": "one line" | "grows" | "does not grow" | "undecided",
   "reason": why there is no fit; else "",
   "grids": {GRID: {
     "dims", "scale", "phases": int (R), "parameters": int of lr | of hr_learned by arm,
     "images", "seeds": int, "left_out_seeds": [those that diverged],
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
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from sr_jax.comparison.meta import Regression, regress
from sr_jax.comparison.shares import SHARE_SESOI, share_of_gain
from sr_jax.comparison.statistics import MIN_IMAGES, effect

Json = dict[str, Any]
Decision = Literal["one line", "grows", "does not grow", "undecided"]

LR, HR = "lr", "hr_learned"
MIN_GRIDS = 4  # with three, t of one degree of freedom decides nothing
MEASURE = "psnr"
PERCENT = 100 * SHARE_SESOI


def grid_name(dims: int, scale: int) -> str:
  """The name of a grid in results and folders: "d2_r3"."""
  return f"d{dims}_r{scale}"


def grid_title(grid: Json) -> str:
  """What readers call a grid: "d = 2, r = 3"."""
  return f"d = {grid['dims']}, r = {grid['scale']}"


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
  verdict |= {"decision": _decision(verdict["line"]), "reason": reason}
  return {**verdict, "sentences": sentences({**results, "verdict": verdict})}


def _of_grid(record: Json) -> Json:
  """The advantage of lr on a grid, of the seeds that diverged in neither network."""
  pairs = list(zip(*(record["arms"][name]["members"] for name in (LR, HR)), strict=True))
  usable = [pair for pair in pairs if all(member["status"] != "diverged" for member in pair)]
  without = np.array(record["no_network"]["test"][MEASURE], float)
  lr, hr = (_scores([pair[i] for pair in usable], len(without)) for i in (0, 1))
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
    "gain": _interval_of(lr - without),
    "effect": _interval_of(lr - hr),
    "advantage": {**negated, "error": share.error},
    "reason": reason,
    "weight": None,
    "line": None,
    "deviation": None,
  }


def _scores(members: list[Json], images: int) -> Float[np.ndarray, "s i"]:
  rows = [member["test"][MEASURE] for member in members]
  return np.array(rows, float).reshape(len(members), images)


def _interval_of(differences: Float[np.ndarray, "s i"]) -> Json:
  summary = effect(differences)
  return {"mean": summary.mean, "low": summary.low, "high": summary.high}


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


def _decision(line: Json | None) -> Decision:
  if line is None:
    return "undecided"
  if line["growth"]["high"] < SHARE_SESOI:
    return "does not grow"
  if line["slope"]["low"] <= 0:
    return "undecided"
  return "one line" if line["tau_high"] < SHARE_SESOI else "grows"


def sentences(results: Json) -> list[str]:
  """What a run says on the claim, then what weakens or limits it."""
  verdict = results["verdict"]
  return [
    _answer(verdict),
    *(_on_line(verdict) if verdict["line"] else []),
    *_cautions(results),
    _not_shown(verdict),
  ]


def percent(summary: Json, digits: int = 1) -> str:
  """A share and its interval, as text: "+3.1 % (+1.2 to +5.0 %)"; "-" where there is none."""
  if summary["mean"] is None:
    return "-"
  mean, *ends = (
    None if summary[key] is None else f"{100 * summary[key]:+.{digits}f}"
    for key in ("mean", "low", "high")
  )
  return f"{mean} %" + (f" ({ends[0]} to {ends[1]} %)" if ends[0] else "")


def _answer(verdict: Json) -> str:
  line = verdict["line"]
  if line is None:
    return f"Whether the advantage of LR grows with log R is undecided: {verdict['reason']}."
  leads: dict[Decision, str] = {
    "one line": f"The advantage of LR grows with log R on one line, to within {PERCENT:g} % of the "
    "gain whatever d is",
    "grows": "The advantage of LR grows with log R, but not as shown on one line",
    "does not grow": "The advantage of LR does not grow with log R",
    "undecided": "Whether the advantage of LR grows with log R is undecided",
  }
  return (
    f"{leads[verdict['decision']]}: by {percent(line['slope'])} of what LR gains over "
    f"interpolation with every doubling of R, over {_fitted(verdict)} grids."
  )


def _fitted(verdict: Json) -> int:
  return sum(not grid["reason"] for grid in verdict["grids"].values())


def _on_line(verdict: Json) -> list[str]:
  """What the fit says of the grids' deviations, of dimensions and of R = 1."""
  line = verdict["line"]
  low, high = (f"{100 * line[key]:.1f}" for key in ("tau_low", "tau_high"))
  fitted = [grid for grid in verdict["grids"].values() if not grid["reason"]]
  furthest = max(fitted, key=lambda grid: abs(grid["deviation"]))
  phrases = [
    f"Beyond their errors grids deviate from the line by {100 * line['tau']:.1f} % of the gain "
    f"({low} to {high} %; p = {line['p_homogeneous']:.2g} that they do not); the furthest is "
    f"{grid_title(furthest)}, {100 * furthest['deviation']:+.1f} %.",
  ]
  if dimensions := verdict["dimensions"]:
    apart = "are apart" if dimensions["p"] < 0.05 else "are not shown to be apart"
    numerator, denominator = dimensions["degrees_of_freedom"]
    phrases.append(
      f"At equal R, dimensions {apart} (F test of {numerator} and {denominator} degrees of "
      f"freedom, p = {dimensions['p']:.2g})."
    )
  intercept = line["intercept"]
  ends_at_zero = intercept["low"] <= 0 <= intercept["high"]
  phrases.append(
    f"At R = 1, where both networks are the same, the line is at {percent(intercept)}"
    f"{'' if ends_at_zero else ', not at zero as proportion to log R would have it'}."
  )
  return phrases


def _cautions(results: Json) -> list[str]:
  """What weakens the verdict: grids left out, members, and rates at an edge."""
  grids = results["verdict"]["grids"]
  cautions = [
    f"{grid_title(grid)} is not in the fit: {grid['reason']}."
    for grid in grids.values()
    if grid["reason"]
  ]
  cautions += [
    f"{grid_title(grid)}: a network of seed {', '.join(map(str, grid['left_out_seeds']))} "
    "diverged, which leaves the seed out."
    for grid in grids.values()
    if grid["left_out_seeds"]
  ]
  by_arm = [
    (f"{grid_title(grids[name])}, {'LR' if arm == LR else 'HR'}", record["arms"][arm])
    for name, record in results["grids"].items()
    for arm in (LR, HR)
  ]
  words = {
    "A seed ends below interpolation and stays in": [
      title
      for title, arm in by_arm
      if any(member["status"] not in ("ok", "diverged") for member in arm["members"])
    ],
    "The chosen learning rate is at an end of the grid": [
      title for title, arm in by_arm if arm["rate_at_edge"]
    ],
  }
  return [*cautions, *(f"{text}: {'; '.join(names)}." for text, names in words.items() if names)]


def _not_shown(verdict: Json) -> str:
  dims = {grid["dims"] for grid in verdict["grids"].values()}
  apart = (
    " Dimensions differ in what is upscaled as well, so that a difference between them need not be "
    "one of dimensions."
    if len(dims) > 1
    else ""
  )
  return (
    "The number of parameters is not varied alone: with r, kernels in HR pixels and what can be "
    f"gained over interpolation change, too.{apart}"
  )


def headline(results: Json) -> dict[str, str]:
  """What a run says as the columns of a table."""
  verdict = results["verdict"]
  line = verdict["line"]
  return {
    "advantage of LR against log R": verdict["decision"],
    "a doubling of R (share of gain)": percent(line["slope"]) if line else "-",
    "grids": str(_fitted(verdict)),
  }
