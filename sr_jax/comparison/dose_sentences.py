"""What a comparison over grids says in sentences, chosen by `dose.py` beside it."""

from typing import Any, Literal

from sr_jax.comparison.phrases import percent
from sr_jax.comparison.shares import SHARE_SESOI
from sr_jax.comparison.titles import titled

HR = "hr_learned"
Json = dict[str, Any]
Decision = Literal["one line", "grows", "does not grow", "undecided"]

PERCENT = 100 * SHARE_SESOI
MAX_P = 0.05  # of the F test


def grid_title(grid: Json) -> str:
  """What readers call a grid: "d = 2, r = 3"."""
  return f"d = {grid['dims']}, r = {grid['scale']}"


def sentences(results: Json) -> list[str]:
  """What a run says on the claim, then what weakens or limits it."""
  verdict = results["verdict"]
  return [
    _answer(verdict),
    *(_on_line(verdict) if verdict["line"] else []),
    *_cautions(results),
    _not_shown(results),
  ]


def _answer(verdict: Json) -> str:
  line = verdict["line"]
  if line is None:
    return f"Whether the advantage of LR grows with log R is undecided: {verdict['reason']}."
  leads: dict[Decision, str] = {
    "one line": f"The advantage of LR grows with log R on one line, to within {PERCENT:g} % of the "
    f"gain{_for_dimensions(verdict)}",
    "grows": "The advantage of LR grows with log R, and is not shown to do so on one line",
    "does not grow": "The advantage of LR does not grow with log R",
    "undecided": "Whether the advantage of LR grows with log R is undecided",
  }
  return (
    f"{leads[verdict['decision']]}: by {percent(line['slope'])} of what LR gains over "
    f"interpolation with every doubling of R, over {count_fitted(verdict)} grids"
    f"{', but ' * bool(verdict['reason'])}{verdict['reason']}."
  )


def _fitted(verdict: Json) -> list[Json]:
  return [grid for grid in verdict["grids"].values() if not grid["reason"]]


def _for_dimensions(verdict: Json) -> str:
  """Of which dimensions one line is said."""
  dims = sorted({grid["dims"] for grid in _fitted(verdict)})
  names = f"d = {', '.join(map(str, dims))}"
  if len(dims) < 2:
    return f" for {names}, which is not compared with another"
  if verdict["dimensions"] is None:
    return f" for {names}; whether these are apart is not tested"
  if verdict["dimensions"]["p"] < MAX_P:
    return f", though {names} are apart at equal R"
  return f" whatever d is of {', '.join(map(str, dims))}"


def count_fitted(verdict: Json) -> int:
  """The number of grids in the fit."""
  return len(_fitted(verdict))


def _on_line(verdict: Json) -> list[str]:
  """What the fit says of the grids' deviations, of dimensions and of R = 1."""
  line = verdict["line"]
  low, high = (f"{100 * line[key]:.1f}" for key in ("tau_low", "tau_high"))
  furthest = max(_fitted(verdict), key=lambda grid: abs(grid["deviation"]))
  phrases = [
    f"Beyond their errors grids deviate from the line by {100 * line['tau']:.1f} % of the gain "
    f"({low} to {high} %; p = {line['p_homogeneous']:.2g} that they do not); the furthest is "
    f"{grid_title(furthest)}, {100 * furthest['deviation']:+.1f} %.",
  ]
  if dimensions := verdict["dimensions"]:
    apart = "are apart" if dimensions["p"] < MAX_P else "are not shown to be apart"
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
  unlearned = [
    f"{grid_title(grid)}, {grid['seeds'] - count} of {grid['seeds']} of {titled(name)}"
    for grid in grids.values()
    for name, count in grid["learned"].items()
    if count < grid["seeds"]
  ]
  at_edge = [
    f"{grid_title(grids[name])}, {titled(arm)}"
    for name, record in results["grids"].items()
    for arm, trained in record["arms"].items()
    if trained["rate_at_edge"]
  ]
  words = {
    "Seeds that have learned no more than interpolation stay in": unlearned,
    "The chosen learning rate is at an end of those tried": at_edge,
  }
  return [*cautions, *(f"{text}: {'; '.join(names)}." for text, names in words.items() if names)]


def _not_shown(results: Json) -> str:
  verdict = results["verdict"]
  dims = {grid["dims"] for grid in verdict["grids"].values()}
  apart = (
    " Dimensions differ in what is upscaled as well, so that a difference between them need not be "
    "one of dimensions."
    if len(dims) > 1
    else ""
  )
  return (
    "The number of parameters is not varied alone: with r, kernels in HR pixels and what can be "
    f"gained over interpolation change, too. {_on_training(results)}{apart}"
  )


def _on_training(results: Json) -> str:
  """That networks may differ in how well they train, and what the run tells of that."""
  hr = titled(HR)
  facts = []
  if fitted := _fitted(results["verdict"]):
    least = max(fitted, key=lambda grid: grid["advantage"]["mean"])
    share = 100 * (1 - least["advantage"]["mean"])
    facts.append(f"it gains least at {grid_title(least)}, {share:.1f} % of what LR gains")
  at_edge = sum(bool(record["arms"][HR]["rate_at_edge"]) for record in results["grids"].values())
  facts += [f"its learning rate is at an end of those tried on {at_edge} of the grids"] * bool(
    at_edge
  )
  return (
    f"{hr} of large R may leave interpolation later in training than LR, so that how well networks "
    f"train explains an advantage as well as what they represent{': ' * bool(facts)}"
    f"{'; '.join(facts)}."
  )
