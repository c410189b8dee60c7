"""report.html: the whole report as one page that needs no network and no script."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from sr_jax.comparison import verdict
from sr_jax.comparison.statistics import SESOI
from sr_jax.report import html_parts as parts
from sr_jax.report import tables


def page(
  results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any], folder: Path
) -> str:
  """The page. Figures that are not in the folder are left out, with what is said of them."""
  sections = [
    _rests_on(results, folder),
    _contrasts(results, folder),
    _by_image(results, folder),
    _equal_cost(results, timing, folder),
    parts.section("Budget", parts.table(tables.budget_rows(results, timing))),
    _learning(results, folder),
    _example(folder),
    _members(results),
    _limits(results),
    _reproduce(results, timing, about),
  ]
  return parts.page(question(results), _answer(results), "".join(sections))


def question(results: dict[str, Any]) -> str:
  """What the verdict answers."""
  pair = results["verdict"]["contrast"]
  first, second = (results["arms"][name]["budget"]["macs"] for name in pair)
  equal = abs(first - second) <= 0.025 * first
  is_better = f"s {verdict.titled(pair[0])} better than {verdict.titled(pair[1])}?"
  return f"At equal compute, i{is_better}" if equal else f"I{is_better}"


def _answer(results: dict[str, Any]) -> str:
  """The networks, the effect in large letters, and the answer in a sentence."""
  said = results["verdict"]
  effect, interval, decision = verdict.headline(results).values()
  arms = "; ".join(
    f"{verdict.titled(name)}: {results['arms'][name]['note']}" for name in said["contrast"]
  )
  large = ""
  if effect != "-":
    between = "no interval" if interval == "-" else f"95 % interval {interval} dB"
    large = (
      f'<p><span class="effect">{escape(effect)} dB</span> '
      f'<span class="interval">{escape(between)}</span></p>\n'
    )
  style = escape(decision.replace(" ", "-"))
  badge = f'<span class="badge {style}">{escape(decision)}</span>'
  return (
    parts.say(arms + ".", "what")
    + f'<div class="answer {style}">\n<p>{badge}</p>\n{large}'
    + "".join(map(parts.say, [verdict.answers(results)[0], *verdict.other_estimates(results)]))
    + "".join(
      parts.say(verdict.also(one, results))
      for one in said["contrasts"]
      if one["kind"] in verdict.ALSO
    )
    + "</div>\n"
  )


def _rests_on(results: dict[str, Any], folder: Path) -> str:
  config, images = results["config"], results["images"]
  first, *further = results["tests"]
  tests = [f"{len(images['test'])} {'held out' if first == 'test' else f'of {first}'}"]
  tests += [f"{len(results['further_tests'][name]['images'])} of {name}" for name in further]
  said = (
    f"{len(results['arms'])} networks, {config['seeds']} seeds each, {config['steps']:,} steps at "
    f"a rate chosen from {len(results['learning_rates'])} on {len(images['validation'])} "
    f"validation photographs; trained on {len(images['train'])} photographs, tested on "
    f"{', '.join(tests)}. All see the same batches for the same seed. Differences are paired: the "
    f"same seed, the same photograph. A difference of less than {SESOI} dB is taken as none that "
    "matters."
  )
  return parts.section(
    "What that rests on",
    parts.say(said),
    parts.figure(
      folder / "effects.png",
      "Effect with intervals on every test set and on training patches. "
      + " ".join(verdict.answers(results)),
      "Thin bars: 95 % intervals over seeds and photographs; thick: over seeds alone, for these "
      f"photographs. Grey: within {SESOI} dB of nothing.",
    ),
    parts.bullets(verdict.answers(results)[1:]),
    parts.table(tables.rows_by_set(results)),
  )


def _contrasts(results: dict[str, Any], folder: Path) -> str:
  bicubic = tables.score_rows(results)[1][2]
  return parts.section(
    "All contrasts, all networks",
    parts.figure(
      folder / "forest.png",
      f"Forest plot of {len(tables.contrasts(results))} contrasts with 95 % intervals in dB; the "
      "table below has the numbers.",
      f"Thin bars: 95 % intervals over seeds and photographs; thick: seeds alone. Grey: within "
      f"{SESOI} dB of nothing. What is exploratory was not planned, and is not adjusted.",
    ),
    parts.table(tables.contrast_rows(results)),
    parts.say(tables.ABOUT_CONTRASTS, "what"),
    parts.figure(
      folder / "arms.png",
      "Dot plot of the mean test PSNR in dB of every network and of each of its seeds; the table "
      "below has the numbers.",
      f"Large: the mean (circles LR, squares HR, hollow where width is matched in time). Small: "
      f"seeds. Bicubic interpolation reaches {bicubic} dB.",
    ),
    parts.table(tables.score_rows(results)),
  )


def _by_image(results: dict[str, Any], folder: Path) -> str:
  said = results["verdict"]
  first, second = (verdict.titled(name) for name in said["contrast"])
  names, by_image = results["images"]["test"], said["test_difference_by_image"]

  def thumbnails(images: Sequence[int]) -> str:
    shown = "".join(
      parts.figure(
        folder / f"thumbnail_{i}.jpg",
        f"Photograph {names[i]}",
        f"{names[i]}: {by_image[i]:+.3f} dB",
      )
      for i in images
    )
    return f'<div class="thumbnails">\n{shown}</div>\n' if shown else ""

  most, least = map(thumbnails, tables.extremes(results))
  return parts.section(
    "Effect by photograph",
    parts.figure(
      folder / "differences_by_image.png",
      f"PSNR difference {first} - {second} in dB on every one of {len(names)} test photographs, "
      "sorted; the table below has the scores.",
    ),
    most and f"<h3>Most helped by {escape(first)}</h3>\n{most}",
    least and f"<h3>Least helped, or hurt</h3>\n{least}",
    parts.details("PSNR of every photograph (dB)", parts.table(tables.photograph_rows(results))),
  )


def _equal_cost(results: dict[str, Any], timing: dict[str, Any], folder: Path) -> str:
  said = [
    verdict.time_sentence(timing, results["verdict"]["contrast"]),
    *verdict.at_equal_time(results, timing),
  ]
  alt = "Mean test PSNR in dB of every network against its {}; the budget table has the costs."
  panels = parts.figure(
    folder / "equal_flops.png", alt.format("multiply-accumulates per HR pixel"), "Equal FLOPs"
  ) + parts.figure(folder / "equal_time.png", alt.format("measured step time"), "Equal time")
  line = f"The dashed line is at the cost of {verdict.titled(results['verdict']['contrast'][0])}"
  timed = any(name.endswith("_timed") for name in results["arms"])
  hollow = "; hollow marks are networks whose width makes their time equal" if timed else ""
  return parts.section(
    "Equal FLOPs beside equal time",
    f'<div class="pair">\n{panels}</div>\n' if panels else "",
    parts.say(f"{line}{hollow}. Small points are seeds.", "what") if panels else "",
    parts.bullets(said),
  )


def _learning(results: dict[str, Any], folder: Path) -> str:
  return parts.section(
    "Learning curves, and sensitivity to the learning rate",
    parts.figure(
      folder / "learning_curves.png",
      "PSNR in dB on training batches and on validation photographs against the training step, of "
      + ", ".join(verdict.titled(name) for name in tables.main_arms(results)),
    ),
    parts.figure(
      folder / "rates.png",
      "Validation PSNR in dB against the learning rate, one panel a network; a table below has "
      "the numbers.",
      "Dots: seeds. Line: their mean. Star: the chosen rate.",
    ),
  )


def _example(folder: Path) -> str:
  picture = parts.figure(
    folder / "example.png",
    "A detail of one photograph: the LR input, bicubic interpolation, networks, the truth, and "
    "the absolute errors.",
  )
  return (
    parts.section("One photograph", picture, parts.say(tables.ABOUT_EXAMPLE, "what"))
    if picture
    else ""
  )


def _members(results: dict[str, Any]) -> str:
  searches = parts.table(tables.search_rows(results))
  return parts.section(
    "Every network, every rate",
    parts.say("How the final training of every seed ended:"),
    parts.table(tables.status_rows(results)),
    searches and parts.say("Mean validation PSNR (dB) in the search for a learning rate:"),
    searches,
    parts.bullets(verdict.cautions(results)),
  )


def _limits(results: dict[str, Any]) -> str:
  said = results["verdict"]["test"]
  bootstrap = (
    f"A crossed bootstrap, for comparison, gives {said['bootstrap_low']:+.3f} to "
    f"{said['bootstrap_high']:+.3f} dB on the test photographs; with few seeds or "
    "photographs it is too narrow."
    if said["bootstrap_low"] is not None
    else ""
  )
  notes = parts.bullets(results["notes"])
  return parts.section(
    "Not shown",
    parts.say(verdict.not_shown(results)),
    parts.say(bootstrap),
    notes and f"<h3>Notes on the data</h3>\n{notes}",
  )


def _reproduce(results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]) -> str:
  minutes = sum(timing["phase_seconds"].values()) / 60
  began = f" Begun {about['began']}." if "began" in about else ""
  return parts.section(
    "Reproduce",
    parts.command(tables.command(results)),
    parts.say(
      f"The session that finished the run took {minutes:.1f} minutes on {timing['device']}.{began}"
    ),
    parts.table(tables.version_rows(about)),
    parts.details("Wall time by phase", parts.table(tables.time_rows(timing))),
  )
