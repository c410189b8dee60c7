"""The tables of a report as text cells, the header first: for terminals, Markdown and HTML."""

from typing import Any

import numpy as np

from sr_jax.comparison.score import LEARNED_MARGIN
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.titles import titled
from sr_jax.comparison.verdict import ALSO
from sr_jax.report.times import fastest

Rows = list[list[str]]

KINDS = {
  "primary": "the verdict",
  "best": "best opponent",
  "subset": "its own subset",
  "mechanism": "mechanisms",
  "exploratory": "exploratory",
}
SEARCH = "Mean validation PSNR (dB) in the search for a learning rate"
ABOUT_BARS = (
  "Thin bars: 95 % intervals over seeds and photographs; thick: over seeds alone, for these "
  f"photographs. Grey: within {SESOI} dB of nothing."
)
ABOUT_LATTICE = (
  "H: a state of HR maps, L: of LR maps, from the first state to the last. Number: mean paired "
  "difference from LR (dB). Lines join schedules with the next that have these HR states and more."
)
ABOUT_SHARES = (
  "Small points are seeds. To the left, LR networks have fewer maps, others more HR maps. The line "
  "is what the number of weights alone predicts."
)
ABOUT_CONTRASTS = (
  "Effects are mean paired differences of test PSNR, first minus second. The 95 % interval is over "
  "seeds and photographs, the one over seeds alone is of these photographs only. The mean decides, "
  "by its 95 % interval; the median is over photographs, and pooled is the difference where "
  "squared errors are averaged over photographs before they become dB. The p-values are one-sided, "
  f"each at 0.025: of above {SESOI} dB (supported), below -{SESOI} dB (reversed), and within "
  "(equivalent). Holm's adjustment, of twice the smallest, covers the mechanisms together, also "
  "those that this run has not; nothing covers what is exploratory."
)


def main_arms(results: dict[str, Any]) -> list[str]:
  """The arms to look at first: the verdict's two, the best opponent, and the subset."""
  opponents = [each["contrast"][1] for each in contrasts(results) if each["kind"] in ALSO]
  return list(dict.fromkeys([*results["verdict"]["contrast"], *opponents]))


def contrasts(results: dict[str, Any]) -> list[dict[str, Any]]:
  """Every contrast of a run, that of the verdict first."""
  primary = results["verdict"]
  return [{"kind": "primary", **primary}, *primary["contrasts"]]


def between(pair: list[str]) -> str:
  """A contrast for readers: "LR - HR k3"."""
  return " - ".join(titled(name) for name in pair)


def alive(arm: dict[str, Any]) -> list[dict[str, Any]]:
  """The members of an arm that did not diverge."""
  return [member for member in arm["members"] if member["status"] != "diverged"]


def scores_on(results: dict[str, Any], test_set: str) -> dict[str, list[dict[str, Any]]]:
  """Every arm's scores on a test set, one a member (no values if diverged); bicubic's first."""
  is_first = test_set == results["tests"][0]
  bicubic = (
    results["bicubic"]["test"] if is_first else results["further_tests"][test_set]["bicubic"]
  )
  by_arm = {"bicubic": [bicubic]}
  for name, arm in results["arms"].items():
    members = arm["members"]
    tested = [member["test"] for member in members]
    scores = tested if is_first else results["further_tests"][test_set]["arms"][name]
    by_arm[name] = [
      {"psnr": [None], "ssim": [None]} if member["status"] == "diverged" else score
      for member, score in zip(members, scores, strict=True)
    ]
  return by_arm


def score_rows(results: dict[str, Any]) -> Rows:
  """Mean scores of the arms and of bicubic."""
  rows = [["", "learning rate", "test PSNR (dB)", "seeds' sd", "test SSIM", "training PSNR (dB)"]]
  bicubic = results["bicubic"]
  rows.append(["bicubic", "-", *_means([bicubic["test"]]), _mean_psnr([bicubic["training"]])])
  for name, arm in results["arms"].items():
    members = alive(arm)
    psnr, *others = _means([member["test"] for member in members])
    if len(members) < len(arm["members"]):
      psnr += f" ({len(members)} of {len(arm['members'])})"
    training = _mean_psnr([member["training"] for member in members]) if members else "-"
    rows.append([titled(name), f"{arm['learning_rate']:g}", psnr, *others, training])
  return rows


def rows_by_set(results: dict[str, Any]) -> Rows:
  """Mean scores of the arms and of bicubic, three columns for every test set."""
  rows = [[""], ["bicubic"], *([titled(name)] for name in results["arms"])]
  for test_set in results["tests"]:
    scores = scores_on(results, test_set)
    images = len(scores["bicubic"][0]["psnr"])
    rows[0] += [f"{test_set} ({images}) PSNR (dB)", "seeds' sd", "SSIM"]
    for row, name in zip(rows[1:], ("bicubic", *results["arms"]), strict=True):
      row.extend(_means([score for score in scores[name] if None not in score["psnr"]]))
  return rows


def _means(scores: list[dict[str, Any]]) -> list[str]:
  """Mean PSNR, its standard deviation over seeds, and mean SSIM, of members not diverged."""
  if not scores:
    return ["diverged", "-", "-"]
  psnr = [np.mean(score["psnr"]) for score in scores]
  deviation = f"{np.std(psnr, ddof=1):.3f}" if len(psnr) > 1 else "-"
  return [_mean_psnr(scores), deviation, f"{np.mean([score['ssim'] for score in scores]):.4f}"]


def _mean_psnr(scores: list[dict[str, Any]]) -> str:
  return f"{np.mean([score['psnr'] for score in scores]):.2f}"


def contrast_rows(results: dict[str, Any]) -> Rows:
  """Every contrast on the test photographs: estimates, intervals, p-values and decision."""
  rows = [["contrast", "kind", "effect (dB)", "95 % interval", "decision", "over seeds alone"]]
  rows[0] += ["median", "pooled", "p above", "p below", "p within", "p (Holm)", "question"]
  for contrast in contrasts(results):
    test = contrast["test"]
    mean, *others = (
      "-" if test[name] is None else f"{test[name]:+.3f}" for name in ("mean", "median", "pooled")
    )
    effect = mean, interval(test), test["decision"], interval(test, "seed_"), *others
    p_values = [test[f"p_{name}"] for name in ("supported", "reversed", "equivalent")]
    tests = ["-" if p is None else f"{p:.2g}" for p in (*p_values, contrast.get("p_holm"))]
    names = between(contrast["contrast"]), contrast["kind"]
    rows.append([*names, *effect, *tests, contrast["question"]])
  return rows


def combination_rows(results: dict[str, Any]) -> Rows:
  """Every linear contrast on the test photographs, with its interval and decision."""
  rows = [["effect", "of", "effect (dB)", "95 % interval", "decision", "over seeds alone"]]
  rows[0] += ["median", "p (Holm)", "less the weights", "seeds left out", "question"]
  for each in results["verdict"].get("combinations", []):
    test, p, lost = each["test"], each.get("p_holm"), each["left_out_seeds"]
    mean, median = (
      "-" if test[name] is None else f"{test[name]:+.3f}" for name in ("mean", "median")
    )
    effect = mean, interval(test), test["decision"], interval(test, "seed_"), median
    more = "-" if p is None else f"{p:.2g}", "yes" if each["is_less_curve"] else "no"
    left_out = ", ".join(map(str, lost)) or "-"
    rows.append([each["name"], each["group"], *effect, *more, left_out, each["question"]])
  return rows


def interval(effect: dict[str, Any], source: str = "") -> str:
  """An effect's interval in dB (or its "seed_" or "bootstrap_" interval); "-" where it has none."""
  low, high = effect[f"{source}low"], effect[f"{source}high"]
  return "-" if low is None else f"{low:+.3f} to {high:+.3f}"


def plus_minus(mean: float, half_width: float | None, digits: int) -> str:
  """A mean and half its interval, if it has one."""
  margin = "" if half_width is None else f" +- {half_width:.{digits}f}"
  return f"{mean:.{digits}f}{margin}"


def budget_rows(arms: dict[str, Any], timing: dict[str, Any] | None = None) -> Rows:
  """What every arm costs, from its shapes, and the time of its training step if it was measured."""
  seconds = fastest(timing) if timing else {}
  rows = [["arm", "network", "MACs / HR px", "executed MACs / HR px", "of bicubic", "parameters"]]
  rows[0] += ["activations / HR px", "receptive field (HR px)", "shift (HR px)"]
  rows[0] += ["step (ms)"] * bool(timing)
  for name, arm in arms.items():
    cost = arm["budget"]
    macs = [f"{cost[key]:,g}" for key in ("macs", "executed_macs")]
    bicubic = f"{cost['bicubic_macs']:g}" if cost["bicubic_macs"] else "-"
    sizes = [cost_text(key, cost[key]) for key in ("activations", "receptive_field", "shift")]
    step = [f"{1e3 * seconds[name]:.2f}" if name in seconds else "-"] * bool(timing)
    costs = *macs, bicubic, f"{cost['parameters']:,}", *sizes, *step
    rows.append([titled(name), arm["note"], *costs])
  return rows


def cost_text(name: str, cost: int | float | None) -> str:
  """An entry of a budget as text."""
  if cost is None:
    return "whole image" if name == "receptive_field" else "-"
  return f"{cost:g}"


def search_rows(results: dict[str, Any]) -> Rows:
  """The search: mean validation PSNR of every arm at every rate; failed runs are counted.

  A run that ends no better than bicubic interpolation did not learn; most lost all their ReLUs.
  """
  arms = results["arms"]
  rates = sorted({run["learning_rate"] for arm in arms.values() for run in arm["search"]})
  if not rates:
    return []
  bicubic = results["bicubic"]["validation_psnr"]
  rows = [["arm", "chosen rate", *(f"{rate:g}" for rate in rates)]]
  rows.append(["bicubic", "-", *(f"{bicubic:.3f}" for _ in rates)])
  for name, arm in arms.items():
    row = [titled(name), f"{arm['learning_rate']:g}"]
    for rate in rates:
      runs = [run["validation_psnr"] for run in arm["search"] if run["learning_rate"] == rate]
      finite = [psnr for psnr in runs if psnr is not None]
      phrases = [f"{np.mean(finite):.3f}"] if finite else []
      if len(finite) < len(runs):
        phrases.append(f"{len(runs) - len(finite)} of {len(runs)} diverged")
      if unlearned := sum(psnr < bicubic + LEARNED_MARGIN for psnr in finite):
        phrases.append(f"{unlearned} of {len(runs)} did not learn")
      row.append(", ".join(phrases))
    rows.append(row)
  return rows


def status_rows(results: dict[str, Any]) -> Rows:
  """How the final training of every arm's seeds ended."""
  statuses = ("ok", "below bicubic", "did not learn", "diverged")
  rows = [["arm", "learning rate", *statuses]]
  for name, arm in results["arms"].items():
    ended = [member["status"] for member in arm["members"]]
    counts = [f"{ended.count(status)} of {len(ended)}" for status in statuses]
    rows.append([titled(name), f"{arm['learning_rate']:g}", *counts])
  return rows


def photograph_rows(results: dict[str, Any]) -> Rows:
  """Mean PSNR over seeds on every photograph of the first test set, of the main arms."""
  names = [name for name in main_arms(results) if name in results["arms"]][:3]
  rows = [["test photograph", "bicubic", *(titled(name) for name in names)]]
  members = [alive(results["arms"][name]) for name in names]
  for i, image in enumerate(results["images"]["test"]):
    psnrs = ([member["test"]["psnr"][i] for member in arm] for arm in members)
    means = (f"{np.mean(psnr):.2f}" if psnr else "-" for psnr in psnrs)
    rows.append([image, f"{results['bicubic']['test']['psnr'][i]:.2f}", *means])
  return rows


def extremes(results: dict[str, Any]) -> tuple[list[int], list[int]]:
  """The test photographs that the verdict's first arm helps most, and least: three of each."""
  by_image = results["verdict"]["test_difference_by_image"]
  count = min(3, len(by_image) // 2)
  order = [int(i) for i in np.argsort(by_image)]
  return order[::-1][:count], order[:count]
