"""The blocks of docs/RESULTS.md and docs/STATISTICS.md, from the kept comparisons."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from docs.kept_results import changed
from sr_jax.capacity import report as capacity_report
from sr_jax.comparison import verdict
from sr_jax.comparison.statistics import MIN_IMAGES
from sr_jax.config import as_flags
from sr_jax.report import tables
from sr_jax.report.markdown import table as markdown_table

Kept = dict[str, Any]


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of every block that comparisons and capacity fill, by the name of its marks."""
  confirmatory = kept["confirmatory"]
  one_change = [
    data for name, data in kept.items() if name.startswith("sensitivity") and "arms=" not in name
  ]
  controls = [data for name, data in kept.items() if "_arms=" in name]
  return {
    **_confirmatory(confirmatory),
    "sensitivity": _sensitivity([confirmatory, *one_change]),
    "controls": _controls(controls),
    "capacity": _capacity(kept["capacity"]),
    "revised": _revised(kept),
  }


def about(data: Kept) -> str:
  """The time, device and revision of a run."""
  minutes = sum(data["timing"]["phase_seconds"].values()) / 60
  revision, *changes = data["provenance"]["revision"].split(maxsplit=1)
  which = " ".join([revision[:10], *changes])
  return f"({minutes:.0f} minutes on {data['timing']['device']}, revision {which}.)"


def interval(effect: dict[str, Any]) -> str:
  """An effect with its interval, in dB."""
  if effect["low"] is None:
    return "-"
  return f"{effect['mean']:+.3f} ({effect['low']:+.3f} to {effect['high']:+.3f})"


def seed_deviations(results: dict[str, Any]) -> list[float]:
  """Standard deviation over seeds of the mean test PSNR in dB, of every arm."""
  return [
    float(np.std([np.mean(member["test"]["psnr"]) for member in tables.alive(arm)], ddof=1))
    for arm in results["arms"].values()
  ]


def _confirmatory(data: Kept) -> dict[str, str]:
  results, timing = data["results"], data["timing"]
  deviations = seed_deviations(results)
  spread = (
    f"Seeds differ by a standard deviation of {min(deviations):.3f} to {max(deviations):.3f} dB."
  )
  listed = "\n".join(f"- {text}" for text in [*verdict.sentences(results), spread])
  return {
    "confirmatory": f"{listed}\n\n```sh\n{data['command']}\n```\n\n{about(data)}",
    "confirmatory_arms": markdown_table(tables.score_rows(results)),
    "confirmatory_sets": markdown_table(tables.rows_by_set(results)),
    "confirmatory_budget": markdown_table(tables.budget_rows(results, timing)),
    "confirmatory_contrasts": f"{markdown_table(tables.contrast_rows(results))}\n\n"
    f"{tables.ABOUT_CONTRASTS}",
    "confirmatory_rates": markdown_table(tables.search_rows(results)),
    "confirmatory_status": markdown_table(tables.status_rows(results)),
    "confirmatory_time": "\n".join(f"- {text}" for text in verdict.at_equal_time(results, timing)),
  }


def _sensitivity(kept: list[Kept]) -> str:
  """The effects under every changed recipe, a row a run, the confirmatory one first."""
  header = ["changed", "LR - HR (dB)", "decision", "on training patches"]
  rows = [[*header, "LR - HR k4 (dB)", "decision", "largest sd of seeds"]]
  named = [(changed(data["results"])[1], data) for data in kept]
  for flags, data in sorted(named, key=lambda pair: (list(pair[0]), list(pair[0].values()))):
    results = data["results"]
    contrasts = {tuple(each["contrast"]): each for each in tables.contrasts(results)}
    pair, other = contrasts["lr", "hr"], contrasts["lr", "hr_k4"]
    rows.append(
      [
        f"`{as_flags(flags)}`" if flags else "nothing (confirmatory)",
        interval(pair["test"]),
        pair["test"]["decision"],
        interval(pair["training"]),
        interval(other["test"]),
        other["test"]["decision"],
        f"{max(seed_deviations(results)):.3f}",
      ]
    )
  minutes = sum(sum(data["timing"]["phase_seconds"].values()) for data in kept[1:]) / 60
  device = kept[0]["timing"]["device"]
  return f"{markdown_table(rows)}\n\n({minutes:.0f} minutes for the changed runs on {device}.)"


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
    if "p_supported" in data.get("verdict_then", {"test": {"p_supported": None}})["test"]:
      continue  # no comparison, or decided by today's rule already
    run, seen = f"`{name}`", set()
    for contrast, where, then, now in _pairs(data):
      if (contrast, where) in seen:  # listed twice, as a subset and as a mechanism
        continue
      seen.add((contrast, where))
      effects += 1
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


def _pairs(data: Kept) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
  """Yields contrast, set, the effect that the run wrote, and the effect computed today."""
  results = data["results"]
  then = {tuple(each["contrast"]): each for each in _all(data["verdict_then"])}
  for now in _all(results["verdict"]):
    before = then[tuple(now["contrast"])]
    name = tables.between(now["contrast"])
    yield name, results["tests"][0], before["test"], now["test"]
    for test_set, effect in now["further_tests"].items():
      yield name, test_set, before["further_tests"][test_set], effect
    yield name, "training patches", before["training"], now["training"]


def _all(decided: dict[str, Any]) -> list[dict[str, Any]]:
  return [decided, *decided["contrasts"]]
