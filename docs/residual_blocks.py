"""The blocks on residual networks, in docs/QUESTIONS.md and, in short, in README."""

import re
from typing import Any

import numpy as np

from docs.comparison_blocks import Kept, about, bullets, in_short
from experiments.residual import PRESETS
from sr_jax.comparison import combining, combining_verdict, findings, residual, verdict
from sr_jax.comparison.titles import titled
from sr_jax.report import combining_figures, tables
from sr_jax.report.markdown import table as markdown_table

Results = dict[str, Any]

RESIDUAL = "residual"
OPEN = "Not measured yet: results/ holds no confirmatory run."
GAIN_RUN = rf"{RESIDUAL}_gain(_block_gain=[\d.]+)?"  # and no other flag
QUESTION = "Does a residual network combine LR and HR features of itself?"


def blocks(kept: dict[str, Kept]) -> dict[str, str]:
  """The text of every block of the question, by the name of its marks."""
  confirmatory, deep = (kept.get(f"{RESIDUAL}_{preset}") for preset in ("confirmatory", "deep"))
  gains = {k: data for k, data in kept.items() if re.fullmatch(GAIN_RUN, k)}
  return {
    RESIDUAL: _answer(confirmatory) if confirmatory else OPEN,
    "residual_maps": _maps(confirmatory) if confirmatory else OPEN,
    "residual_deep": _deep(deep) if deep else OPEN,
    "residual_gain": _gain(gains) if gains else OPEN,
  }


def answer(kept: dict[str, Kept]) -> str:
  """The answer in README: the claims of the confirmatory run, with their effects."""
  data = kept.get(f"{RESIDUAL}_confirmatory")
  if data is None:
    return f"**{QUESTION}** {OPEN}"
  return " ".join([claims(data["results"]), *_formed(data["results"])])


def claims(results: Results) -> str:
  """What mixtures bring to residual networks, and what identities change of that."""
  sentences = []
  for group in (residual.MIXTURES, residual.INTERACTION):
    effects = findings.group_of(results, group)
    if effects:
      listed = "; ".join(f"{each['name']} {in_short(each['test'])}" for each in effects)
      sentences.append(f"**{findings.claim(results, group)}.** {listed}.")
  return " ".join(sentences)


def _answer(data: Kept) -> str:
  """What a run says, its networks, all effects, and the command that repeats it."""
  results = data["results"]
  parts = [
    f"{claims(results)} In dB, on {results['tests'][0]}.",
    bullets(_sentences(results)),
    f"![Every effect with its 95 % interval](figures/{RESIDUAL}_confirmatory_combinations.png)",
    tables.ABOUT_BARS,
    markdown_table(network_rows(results)),
    markdown_table(tables.combination_rows(results)),
    f"```sh\n{data['command']}\n```",
    about(data),
  ]
  return "\n\n".join(parts)


def _deep(data: Kept) -> str:
  """Which networks of 32 hidden layers train, and how far."""
  results = data["results"]
  parts = [bullets([*residual.on_training(results), claims(results)])]
  parts += [markdown_table(network_rows(results)), f"```sh\n{data['command']}\n```", about(data)]
  return "\n\n".join(parts)


def _sentences(results: Results) -> list[str]:
  """What a run says, but for whether channels form HR maps, which has a block of its own."""
  of_maps = combining_verdict.sentences(results)
  return [sentence for sentence in verdict.sentences(results) if sentence not in of_maps]


def _formed(results: Results) -> list[str]:
  """Which LR networks form HR maps, a sentence for each finding."""
  if combining.COMBINING not in results:
    return []
  by_finding: dict[combining_verdict.Finding, list[str]] = {}
  for name, judged in combining_verdict.decide(results)["arms"].items():
    by_finding.setdefault(judged["finding"], []).append(titled(name))
  return [
    f"**{combining_verdict.WORDS[finding].format(networks=', '.join(arms))}.**"
    for finding, arms in by_finding.items()
  ]


def _maps(data: Kept) -> str:
  """Whether channels of LR networks form HR maps, of the confirmatory run."""
  results, name = data["results"], f"{RESIDUAL}_confirmatory"
  if combining.COMBINING not in results:
    return OPEN
  parts = [
    bullets(combining_verdict.sentences(results)),
    f"![Tied share of every hidden layer against permuted kernels](figures/{name}_shares.png)",
    combining_figures.ABOUT_SHARES,
    markdown_table(combining_figures.rows(results)),
    f"![The most tied channels as a picture of HR pixels](figures/{name}_pictures.png)",
    combining_figures.ABOUT_PICTURES,
  ]
  return "\n\n".join(parts)


def network_rows(results: Results) -> list[list[str]]:
  """What every network costs, its PSNR, and what its worst seed gains on training patches."""
  rows = [["network", "MACs", "parameters", "rate", "test PSNR (dB)", "validation PSNR (dB)"]]
  rows[0].append("least over bicubic on training patches (dB)")
  for name, arm in results["arms"].items():
    alive = tables.alive(arm)
    test = [np.mean(member["test"]["psnr"]) for member in alive]
    gains = residual.gains_on_training_patches(results, name)
    known = [gain for gain in gains if gain is not None]
    least = f"{min(known):+.2f}" if len(known) == len(gains) else "diverged"
    validation = [member["validation_psnr"] for member in alive]
    cost = arm["budget"]
    cells = [titled(name), f"{cost['macs']:,g}", f"{cost['parameters']:,}"]
    cells += [f"{arm['learning_rate']:g}", *(f"{np.mean(psnr):.2f}" for psnr in (test, validation))]
    rows.append([*cells, least])
  return rows


def _gain(runs: dict[str, Kept]) -> str:
  """The mean validation PSNR of every network for every gain, and the gain that is best."""
  by_gain = {data["results"]["config"]["block_gain"]: data for data in runs.values()}
  arms = list(next(iter(by_gain.values()))["results"]["arms"])
  psnr = {gain: [_validation(by_gain[gain], arm) for arm in arms] for gain in sorted(by_gain)}
  means = {gain: float(np.mean(column)) for gain, column in psnr.items()}
  rows = [["gain", *map(titled, arms), "mean"]]
  for gain, column in psnr.items():
    rows.append([f"{gain:g}", *(f"{value:.3f}" for value in [*column, means[gain]])])
  best = max(means, key=means.__getitem__)
  sentence = f"Best on validation photographs is a gain of {best:g}."
  used = PRESETS["confirmatory"].block_gain
  sentence += f" The presets have {'it' if used == best else f'{used:g}'}."
  commands = "\n".join(data["command"] for data in runs.values())
  return "\n\n".join([sentence, markdown_table(rows), f"```sh\n{commands}\n```"])


def _validation(data: Kept, arm: str) -> float:
  """The mean validation PSNR over seeds that did not diverge."""
  members = tables.alive(data["results"]["arms"][arm])
  return float(np.mean([member["validation_psnr"] for member in members]))
