"""The blocks of docs/RESULTS.md and docs/STATISTICS.md, from the kept comparisons."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from docs.kept_results import changed
from sr_jax.capacity import report as capacity_report
from sr_jax.comparison import verdict
from sr_jax.comparison.statistics import MIN_IMAGES
from sr_jax.config import as_flags
from sr_jax.report import tables, times
from sr_jax.report.markdown import table as markdown_table

Kept = dict[str, Any]


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of every block that comparisons and capacity fill, by the name of its marks."""
  changes = [name for name in kept if name.startswith("sensitivity") and "arms=" not in name]
  return {
    **_confirmatory(kept["confirmatory"]),
    "sensitivity": _sensitivity([kept[name] for name in ("confirmatory", *changes)]),
    "controls": _controls([data for name, data in kept.items() if "_arms=" in name]),
    "capacity": _capacity(kept["capacity"]),
    "revised": _revised(kept),
  }


def about(data: Kept) -> str:
  """The time, device and revision of a run; no time of one that several processes made."""
  revision, *changes = data["provenance"]["revision"].split(maxsplit=1)
  which = " ".join([revision[:10], *changes])
  time = f"{minutes(data):.0f} minutes on " if minutes(data) else ""
  return f"({time}{data['timing']['device']}, revision {which}.)"


def minutes(data: Kept) -> float:
  """The wall time of a run; zero where it is not known."""
  timing = data["timing"]
  runs = timing["tasks"].values() if "tasks" in timing else [timing]
  return sum(sum(run["phase_seconds"].values()) for run in runs) / 60


def bullets(sentences: Iterable[str]) -> str:
  """A list in Markdown."""
  return "\n".join(f"- {sentence}" for sentence in sentences)


def interval(effect: dict[str, Any]) -> str:
  """An effect with its interval, in dB."""
  return "-" if effect["low"] is None else f"{effect['mean']:+.3f} ({tables.interval(effect)})"


def in_short(effect: dict[str, Any]) -> str:
  """An effect with its interval and decision: "+0.106 (+0.084 to +0.127): supported"."""
  is_few = effect["decision"] == "too few photographs"
  return f"{interval(effect)}: {effect['decision']}{' to decide' if is_few else ''}"


def seed_deviations(results: dict[str, Any]) -> list[float]:
  """Standard deviation over seeds of the mean test PSNR in dB, of every arm."""
  return [
    float(np.std([np.mean(member["test"]["psnr"]) for member in tables.alive(arm)], ddof=1))
    for arm in results["arms"].values()
  ]


def _confirmatory(data: Kept) -> dict[str, str]:
  results, timing = data["results"], data["timing"]
  deviations = seed_deviations(results)
  spread = f"a standard deviation of {min(deviations):.3f} to {max(deviations):.3f} dB"
  listed = bullets([*verdict.sentences(results), f"Seeds differ by {spread}."])
  contrasts = markdown_table(tables.contrast_rows(results))
  return {
    "confirmatory": f"{listed}\n\n```sh\n{data['command']}\n```\n\n{about(data)}",
    "confirmatory_arms": markdown_table(tables.score_rows(results)),
    "confirmatory_sets": markdown_table(tables.rows_by_set(results)),
    "confirmatory_budget": markdown_table(tables.budget_rows(results["arms"], timing)),
    "confirmatory_contrasts": f"{contrasts}\n\n{tables.ABOUT_CONTRASTS}",
    "confirmatory_rates": markdown_table(tables.search_rows(results)),
    "confirmatory_status": markdown_table(tables.status_rows(results)),
    "confirmatory_time": bullets(times.at_equal_time(results, timing)),
  }


def _sensitivity(kept: list[Kept]) -> str:
  """The effects under every changed recipe, a row a run, the confirmatory one first."""
  header = ["changed", "LR - HR (dB)", "decision", "on training patches"]
  rows = [[*header, "LR - HR k4 (dB)", "decision", "largest sd of seeds"]]
  named = [(changed(data["results"])[1], data["results"]) for data in kept]
  for flags, results in sorted(named, key=lambda pair: (list(pair[0]), list(pair[0].values()))):
    contrasts = {tuple(each["contrast"]): each for each in tables.contrasts(results)}
    pair, other = contrasts["lr", "hr"], contrasts["lr", "hr_k4"]["test"]
    change = f"`{as_flags(flags)}`" if flags else "nothing (confirmatory)"
    effects = [interval(pair["test"]), pair["test"]["decision"], interval(pair["training"])]
    effects += [interval(other), other["decision"]]
    rows.append([change, *effects, f"{max(seed_deviations(results)):.3f}"])
  spent = f"{sum(map(minutes, kept[1:])):.0f} minutes for the changed runs"
  return f"{markdown_table(rows)}\n\n({spent} on {kept[0]['timing']['device']}.)"


def _controls(kept: list[Kept]) -> str:
  """The contrasts of runs that choose other networks."""
  header = ["run", "contrast", "on BSD100 (dB)", "decision", "on training patches (dB)"]
  rows = [[*header, "MACs", "parameters"]]
  for data in kept:
    results = data["results"]
    preset, flags = changed(results)
    run = f"`--preset={preset} {as_flags(flags)}`"
    for each in tables.contrasts(results):
      costs = [results["arms"][name]["budget"] for name in each["contrast"]]
      pairs = [" : ".join(f"{cost[key]:,g}" for cost in costs) for key in ("macs", "parameters")]
      effects = interval(each["test"]), each["test"]["decision"], interval(each["training"])
      rows.append([run, tables.between(each["contrast"]), *effects, *pairs])
      run = ""
  return markdown_table(rows)


def _capacity(data: Kept) -> str:
  results = data["results"]
  parts = []
  for part, rows in capacity_report.tables(results).items():
    parts += [f"### {capacity_report.TITLES[part]}", markdown_table(rows)]
    parts.append(capacity_report.sentence(part, results))
  return "\n\n".join([*parts, f"```sh\n{data['command']}\n```", about(data)])


def _revised(kept: dict[str, Kept]) -> str:
  """The effects for which today's rule differs from the rule that decided the kept runs."""
  rows = [["run", "contrast", "on", "then", "now"]]
  effects, few, wider = 0, 0, []
  for name, data in kept.items():
    first = data.get("verdict_then", {}).get("test")
    if first is None or "p_supported" in first:
      continue  # no contrast, or decided by today's rule already
    run, test_set = f"`{name}`", data["results"]["tests"][0]
    written = _effects(data["verdict_then"], test_set)
    for (contrast, where), now in _effects(data["results"]["verdict"], test_set).items():
      effects += 1
      then = written[contrast, where]
      if now["decision"] == "too few photographs":
        few += 1
      elif then["decision"] != now["decision"]:
        wider.append(f"{contrast} on {where} ({then['decision']} to {now['decision']})")
      before, after = (f"{interval(each)}, {each['decision']}" for each in (then, now))
      if before != after:
        rows.append([run, contrast, where, before, after])
        run = ""
  return (
    f"Of {effects} effects, {len(rows) - 1} have another decision, or an interval that differs "
    f"in the printed 0.001 dB. {few} are no longer decided, since they rest on fewer than "
    f"{MIN_IMAGES} photographs. Decided differently, since their interval is wider: "
    f"{'; '.join(wider) or 'none'}.\n\n{markdown_table(rows)}"
  )


def _effects(decided: dict[str, Any], test_set: str) -> dict[tuple[str, str], dict[str, Any]]:
  """All effects of a verdict, by contrast and set; `test_set` is the first."""
  effects: dict[tuple[str, str], dict[str, Any]] = {}
  for each in (decided, *decided["contrasts"]):
    sets = {test_set: each["test"], **each["further_tests"], "training patches": each["training"]}
    effects |= {(tables.between(each["contrast"]), where): sets[where] for where in sets}
  return effects
