"""The report of a comparison: its figures, and the sections of its two pages."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sr_jax.comparison import containment, findings, learning, verdict
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.titles import titled
from sr_jax.comparison.tuning_verdict import RECIPES
from sr_jax.data.pairs import Pair
from sr_jax.report import control, pages, tables, tuning
from sr_jax.report.model import (
  Answer,
  Block,
  Bullets,
  Figure,
  Gallery,
  Json,
  Note,
  Section,
  Table,
)
from sr_jax.runtime.run_folder import RunFolder


def draw_photographs(
  results: Json,
  test: Sequence[Pair],
  upscaled: dict[str, np.ndarray] | None,
  run_dir: RunFolder,
) -> None:
  """Saves the pictures of a report that need the photographs of the first test set.

  `upscaled` is the `typical` photograph by arm, 8-bit HR luminance; None draws no example.
  """
  from sr_jax.report import figures, pictures  # noqa: PLC0415  # Matplotlib takes seconds

  run_dir.figures.mkdir(exist_ok=True)
  for image in itertools.chain(*tables.extremes(results)):
    pictures.save_thumbnail(test[image], _thumbnail(run_dir.figures, image))
  if upscaled is not None:
    figure = pictures.example(test[typical(results)], upscaled, results["config"]["scale"])
    figures.save(figure, run_dir.figures / "example.png")


def _thumbnail(folder: Path, image: int) -> Path:
  return folder / f"thumbnail_{image}.jpg"


def typical(results: Json) -> int:
  """Place of the test photograph whose difference lies closest to the mean difference."""
  by_image = results["verdict"]["test_difference_by_image"]
  if not by_image:
    return 0
  return int(np.argmin(np.abs(np.array(by_image) - results["verdict"]["test"]["mean"])))


def write(
  run_dir: RunFolder, results: Json, timing: Json, about: Json, lines: Sequence[Json]
) -> None:
  """Draws the figures of a finished run and writes its report.

  The data are those of results.json, with a verdict, timing.json, config.json and metrics.jsonl.
  """
  # Matplotlib takes seconds.
  from sr_jax.report import (  # noqa: PLC0415
    combining_figures,
    effect_figures,
    figures,
    gate_figures,
    lattice_figures,
    tuning_figures,
  )

  run_dir.figures.mkdir(exist_ok=True)
  drawn = {
    "effects": effect_figures.effects(results),
    "forest": effect_figures.forest(results),
    "combinations": lattice_figures.combinations(results),
    "lattice": lattice_figures.lattice(results),
    "shares": lattice_figures.shares(results),
    "gates": gate_figures.gates(results),
    "tied_shares": combining_figures.shares(results),
    "interleaved": combining_figures.pictures(results),
    "arms": figures.arms(results),
    "differences_by_image": effect_figures.differences_by_image(results),
    "equal_flops": figures.equal_flops(results),
    "equal_time": figures.equal_time(results, timing),
    "learning_curves": figures.learning_curves(lines, results),
    "rates": None if RECIPES in results else figures.rates(results),
    tuning.PLATEAU: tuning_figures.plateau(results),
  }
  for name, figure in drawn.items():
    if figure is not None:
      figures.save(figure, run_dir.figures / f"{name}.png")
  folder = run_dir.figures
  notes = [f"{titled(k)}: {results['arms'][k]['note']}" for k in results["verdict"]["contrast"]]
  report = Section(
    question(results),
    Section("Claim", Note(f"{'; '.join(notes)}."), _answer(results)),
    _theorem(results, timing),
    Section(
      "Test",
      *_basis(results, folder),
      _learning_of_gates(results, folder),
      combining_figures.section(results, folder),
      _combinations(results, folder),
      _contrasts(results, folder),
      _by_photograph(results, folder),
      _one_photograph(folder),
    ),
    tuning.section(results, folder),
    control.section(results, timing, folder),
    _limits(results),
    pages.reproduce(results, timing, about),
  )
  pages.write(run_dir, report)


def question(results: Json) -> str:
  """What the verdict answers."""
  first, second = results["verdict"]["contrast"]
  macs, other_macs = (results["arms"][name]["budget"]["macs"] for name in (first, second))
  start = "At equal compute, is" if abs(macs - other_macs) <= 0.025 * macs else "Is"
  return f"{start} {titled(first)} better than {titled(second)}?"


def _answer(results: Json) -> Answer:
  effect, interval, decision = verdict.headline(results).values()
  also = [each for each in results["verdict"]["contrasts"] if each["kind"] in verdict.ALSO]
  sentences = [verdict.answers(results)[0], *verdict.other_estimates(results)]
  return Answer(
    decision,
    "" if effect == "-" else f"{effect} dB",
    "no interval" if interval == "-" else f"95 % interval {interval} dB",
    [*sentences, *(verdict.also(contrast, results) for contrast in also)],
  )


def _theorem(results: Json, timing: Json) -> Section:
  """What holds of these networks whatever they are trained on: what they cost and contain."""
  return Section(
    "Theorem",
    "What holds of these networks, whatever they are trained on. Costs follow from shapes; a "
    "network contains another where a lift of the other's weights computes the same function.",
    Bullets(containment.sentences(results)),
    Table(tables.budget_rows(results["arms"], timing)),
  )


def _basis(results: Json, folder: Path) -> list[Block]:
  config, images = results["config"], results["images"]
  first, *further = results["tests"]
  tests = [f"{len(images['test'])} {'held out' if first == 'test' else f'of {first}'}"]
  tests += [f"{len(results['further_tests'][name]['images'])} of {name}" for name in further]
  chosen = f"at a rate chosen from {len(results['learning_rates'])}"
  if RECIPES in results:
    chosen = f"with a recipe chosen from {len(results[RECIPES])}"
  return [
    f"{len(results['arms'])} networks, {config['seeds']} seeds each, {config['steps']:,} steps "
    f"{chosen} on {len(images['validation'])} validation photographs; trained on "
    f"{len(images['train'])} photographs, tested on {', '.join(tests)}. All see the same batches "
    "for the same seed. Differences are paired: the same seed, the same photograph. A difference "
    f"of less than {SESOI} dB is taken as none that matters.",
    Figure(
      folder / "effects.png",
      "Effect with intervals on every test set and on training patches, which the text has, too.",
      tables.ABOUT_BARS,
    ),
    Bullets(verdict.answers(results)[1:]),
    Table(tables.rows_by_set(results)),
  ]


def _learning_of_gates(results: Json, folder: Path) -> Section:
  """What networks with gates choose, if the run has any."""
  from sr_jax.report import gate_figures  # noqa: PLC0415  # Matplotlib takes seconds

  return Section(
    "What gates learn",
    Bullets(learning.sentences(results)),
    Figure(
      folder / "gates.png",
      "Gates of every seed; the table below has their means.",
      gate_figures.ABOUT,
    ),
    Table(gate_figures.rows(results)),
  )


def _combinations(results: Json, folder: Path) -> Section:
  """What linear contrasts of several networks say, if the run has any."""
  return Section(
    "Effects that several networks show",
    Bullets(findings.sentences(results)),
    Figure(
      folder / "combinations.png",
      "Forest plot of the effects with 95 % intervals in dB; the table below has the numbers.",
      f"{tables.ABOUT_BARS} Less weights: less what the number of weights alone predicts.",
    ),
    Figure(
      folder / "lattice.png",
      "Schedules by their number of HR states, coloured by their effect against LR in dB; the "
      "table of networks has the numbers.",
      tables.ABOUT_LATTICE,
    ),
    Figure(
      folder / "shares.png",
      "Mean test PSNR in dB against the number of parameters, of LR networks of several widths "
      "with the line through them, and of networks with HR maps.",
      tables.ABOUT_SHARES,
    ),
    Table(tables.combination_rows(results)),
  )


def _contrasts(results: Json, folder: Path) -> Section:
  scores = tables.score_rows(results)
  return Section(
    "All contrasts, all networks",
    Figure(
      folder / "forest.png",
      f"Forest plot of {len(tables.contrasts(results))} contrasts with 95 % intervals in dB; the "
      "table below has the numbers.",
      f"{tables.ABOUT_BARS} What is exploratory was not planned, and is not adjusted.",
    ),
    Table(tables.contrast_rows(results)),
    Note(tables.ABOUT_CONTRASTS),
    Figure(
      folder / "arms.png",
      "Dot plot of the mean test PSNR in dB of every network and of each of its seeds; the table "
      "below has the numbers.",
      "Large: the mean (circles LR, squares HR, hollow where width is matched in time). Small: "
      f"seeds. Bicubic interpolation reaches {scores[1][2]} dB.",
    ),
    Table(scores),
  )


def _by_photograph(results: Json, folder: Path) -> Section:
  names, by_image = results["images"]["test"], results["verdict"]["test_difference_by_image"]
  pair = results["verdict"]["contrast"]

  def thumbnail(i: int) -> Figure:
    caption = f"{names[i]}: {by_image[i]:+.3f} dB"
    return Figure(_thumbnail(folder, i), f"Photograph {names[i]}", caption)

  most, least = (Gallery("thumbnails", *map(thumbnail, i)) for i in tables.extremes(results))
  scores = Table(tables.photograph_rows(results))
  return Section(
    "Effect by photograph",
    Figure(
      folder / "differences_by_image.png",
      f"PSNR difference {tables.between(pair)} in dB on every one of {len(names)} test "
      "photographs, sorted; the table below has the scores.",
    ),
    Section(f"Most helped by {titled(pair[0])}", most),
    Section("Least helped, or hurt", least),
    Section("PSNR of every photograph (dB)", scores, is_folded=True),
  )


def _one_photograph(folder: Path) -> Section:
  return Section(
    "One photograph",
    Figure(
      folder / "example.png",
      "A detail of one photograph: the LR input, bicubic interpolation, networks, the truth, and "
      "the absolute errors.",
      "The photograph is the one whose difference is closest to the mean, the detail is where "
      "the networks together gain most over bicubic, and each network is its first seed not "
      "diverged.",
    ),
  )


def _limits(results: Json) -> Section:
  bootstrap = "; ".join(
    f"{tables.interval(results['verdict'][scores], 'bootstrap_')} dB on {images}"
    for scores, images in (("test", "the test photographs"), ("training", "training patches"))
    if results["verdict"][scores]["bootstrap_low"] is not None
  )
  about_bootstrap = (
    f"A crossed bootstrap, for comparison, gives {bootstrap}; with few seeds or photographs it is "
    "too narrow."
  )
  return Section(
    "Limits",
    Bullets(verdict.cautions(results)),
    verdict.not_shown(results),
    about_bootstrap if bootstrap else "",
    Section("Notes on the data", Bullets(results["notes"])),
  )
