"""report.html: the whole report as one page that needs no network and no script."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from sr_jax.analysis import tables, verdict
from sr_jax.analysis.statistics import SESOI
from sr_jax.config import as_flags

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: #1a1a1a; background: #fff;
  font: 1.0625rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; text-wrap: balance; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.0625rem; margin: 1.5rem 0 0.25rem; }
p, li, figcaption, summary { max-width: 44rem; overflow-wrap: anywhere; }
.what, figcaption { color: #555; font-size: 0.9375rem; }
.answer { border-left: 0.4rem solid; padding: 0.1rem 0 0.1rem 1rem; margin: 1.25rem 0; }
.answer p { margin: 0.4rem 0; }
.effect { font-size: 2.2rem; font-weight: 700; line-height: 1.15; white-space: nowrap; }
.interval { font-size: 1.25rem; white-space: nowrap; }
.badge { display: inline-block; padding: 0.1rem 0.6rem; border-radius: 1rem; color: #fff;
  font-weight: 600; vertical-align: middle; }
.supported { border-color: #00664b; } .badge.supported { background: #00664b; }
.reversed { border-color: #a64600; } .badge.reversed { background: #a64600; }
.equivalent { border-color: #00568a; } .badge.equivalent { background: #00568a; }
.undecided { border-color: #595959; } .badge.undecided { background: #595959; }
figure { margin: 1rem 0; }
figure > img { display: block; width: 100%; max-width: 40rem; height: auto; }
.pair { display: grid; gap: 0 1rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
.thumbnails { display: grid; gap: 0.75rem; grid-template-columns: repeat(3, 1fr);
  max-width: 44rem; }
.thumbnails figure { margin: 0; }
.thumbnails figcaption { font-size: 0.8125rem; line-height: 1.3; }
.wide { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
th { background: #f4f4f4; vertical-align: bottom; }
.n { text-align: right; white-space: nowrap; }
td:first-child { white-space: nowrap; }
.prose { min-width: 14rem; }
pre { background: #f4f4f4; padding: 0.75rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: 0.875rem; }
@media (max-width: 30rem) {
  h1 { font-size: 1.4rem; }
  .effect { font-size: 1.8rem; }
  .interval { font-size: 1.0625rem; }
}
@media print { .wide { overflow: visible; } }
"""


def page(
  results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any], folder: Path
) -> str:
  """The page. Figures that are not in the folder are left out, with what is said of them."""
  sections = [
    _rests_on(results, folder),
    _contrasts(results, folder),
    _by_image(results, folder),
    _equal_cost(results, timing, folder),
    _section("Budget", _table(tables.budget_rows(results, timing))),
    _learning(results, folder),
    _example(folder),
    _members(results),
    _limits(results),
    _reproduce(results, timing, about),
  ]
  title = question(results)
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    f"<header>\n<h1>{escape(title)}</h1>\n{_answer(results)}</header>\n"
    f"{''.join(sections)}</main>\n</body>\n</html>\n"
  )


def question(results: dict[str, Any]) -> str:
  """What the verdict answers."""
  pair = results["verdict"]["contrast"]
  first, second = (results["arms"][name]["budget"]["macs"] for name in pair)
  equal = abs(first - second) <= 0.025 * first
  is_better = f"s {verdict.titled(pair[0])} better than {verdict.titled(pair[1])}?"
  return f"At equal compute, i{is_better}" if equal else f"I{is_better}"


def _section(title: str, *parts: str) -> str:
  """A section; nothing if it has no content."""
  content = "".join(parts)
  return f"<section>\n<h2>{escape(title)}</h2>\n{content}</section>\n" if content else ""


def _say(text: str, kind: str = "") -> str:
  marked = f' class="{kind}"' if kind else ""
  return f"<p{marked}>{escape(text)}</p>\n" if text else ""


def _list(texts: Sequence[str]) -> str:
  items = "".join(f"<li>{escape(text)}</li>\n" for text in texts)
  return f"<ul>\n{items}</ul>\n" if items else ""


def _table(rows: tables.Rows) -> str:
  """A table in a container that scrolls; columns of numbers to the right."""
  if len(rows) < 2:
    return ""
  kinds = [_kind(column) for column in zip(*rows[1:], strict=True)]

  def line(cells: Sequence[str], tag: str) -> str:
    return "".join(
      f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True)
    )

  body = "".join(f"<tr>{line(row, 'td')}</tr>\n" for row in rows[1:])
  return (
    f'<div class="wide" tabindex="0">\n<table>\n<thead><tr>{line(rows[0], "th")}</tr></thead>\n'
    f"<tbody>\n{body}</tbody>\n</table>\n</div>\n"
  )


def _kind(cells: Sequence[str]) -> str:
  if all(cell[:2].strip("+-")[:1].isdigit() or cell in ("-", "", "diverged") for cell in cells):
    return ' class="n"'
  return ' class="prose"' if max(map(len, cells)) > 30 else ""


def _details(summary: str, content: str) -> str:
  if not content:
    return ""
  return f"<details>\n<summary>{escape(summary)}</summary>\n{content}</details>\n"


def _figure(path: Path, alt: str, caption: str = "") -> str:
  """A picture within the page; nothing if the file is not there."""
  if not path.exists():
    return ""
  kind = {".png": "image/png", ".jpg": "image/jpeg"}[path.suffix]
  data = base64.b64encode(path.read_bytes()).decode()
  below = f"<figcaption>{escape(caption)}</figcaption>\n" if caption else ""
  return f'<figure>\n<img alt="{escape(alt)}" src="data:{kind};base64,{data}">\n{below}</figure>\n'


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
  badge = f'<span class="badge {escape(decision)}">{escape(decision)}</span>'
  return (
    _say(arms + ".", "what")
    + f'<div class="answer {escape(decision)}">\n<p>{badge}</p>\n{large}'
    + _say(verdict.answers(results)[0])
    + "".join(
      _say(verdict.also(one, results)) for one in said["contrasts"] if one["kind"] in verdict.ALSO
    )
    + "</div>\n"
  )


def _rests_on(results: dict[str, Any], folder: Path) -> str:
  config, images = results["config"], results["images"]
  first, *further = results["tests"]
  tests = [f"{len(images['test'])} of {'the test set' if first == 'test' else first}"]
  tests += [f"{len(results['further_tests'][name]['images'])} of {name}" for name in further]
  said = (
    f"{len(results['arms'])} networks, {config['seeds']} seeds each, {config['steps']:,} steps at "
    f"a rate chosen from {len(results['learning_rates'])} on {len(images['validation'])} "
    f"validation photographs; trained on {len(images['train'])} photographs, tested on "
    f"{', '.join(tests)}. All see the same batches for the same seed. Differences are paired: the "
    f"same seed, the same photograph. A difference of less than {SESOI} dB is taken as none that "
    "matters."
  )
  return _section(
    "What that rests on",
    _say(said),
    _figure(
      folder / "effects.png",
      "Effect with intervals on every test set and on training patches. "
      + " ".join(verdict.answers(results)),
      "Thin bars: 95 % intervals over seeds and photographs. Thick bars: over seeds alone, for "
      "these photographs.",
    ),
    _list(verdict.answers(results)[1:]),
    _table(tables.rows_by_set(results)),
  )


def _contrasts(results: dict[str, Any], folder: Path) -> str:
  bicubic = tables.score_rows(results)[1][2]
  return _section(
    "All contrasts, all networks",
    _figure(
      folder / "forest.png",
      f"Forest plot of {len(tables.contrasts(results))} contrasts with 95 % intervals in dB; the "
      "table below has the numbers.",
      f"Thin bars: 95 % intervals over seeds and photographs; thick: seeds alone. Grey: within "
      f"{SESOI} dB of nothing. What is exploratory was not planned, and is not adjusted.",
    ),
    _table(tables.contrast_rows(results)),
    _say(tables.ABOUT_CONTRASTS, "what"),
    _figure(
      folder / "arms.png",
      "Dot plot of the mean test PSNR in dB of every network and of each of its seeds; the table "
      "below has the numbers.",
      f"Large: the mean (circles LR, squares HR, hollow where width is matched in time). Small: "
      f"seeds. Bicubic interpolation reaches {bicubic} dB.",
    ),
    _table(tables.score_rows(results)),
  )


def _by_image(results: dict[str, Any], folder: Path) -> str:
  said = results["verdict"]
  first, second = (verdict.titled(name) for name in said["contrast"])
  names, by_image = results["images"]["test"], said["test_difference_by_image"]

  def thumbnails(images: Sequence[int]) -> str:
    shown = "".join(
      _figure(
        folder / f"thumbnail_{i}.jpg",
        f"Photograph {names[i]}",
        f"{names[i]}: {by_image[i]:+.3f} dB",
      )
      for i in images
    )
    return f'<div class="thumbnails">\n{shown}</div>\n' if shown else ""

  most, least = map(thumbnails, tables.extremes(results))
  return _section(
    "Effect by photograph",
    _figure(
      folder / "differences_by_image.png",
      f"PSNR difference {first} - {second} in dB on every one of {len(names)} test photographs, "
      "sorted; the table below has the scores.",
    ),
    most and f"<h3>Most helped by {escape(first)}</h3>\n{most}",
    least and f"<h3>Least helped, or hurt</h3>\n{least}",
    _details("PSNR of every photograph (dB)", _table(tables.photograph_rows(results))),
  )


def _equal_cost(results: dict[str, Any], timing: dict[str, Any], folder: Path) -> str:
  said = [
    verdict.time_sentence(timing, results["verdict"]["contrast"]),
    *verdict.at_equal_time(results),
  ]
  alt = "Mean test PSNR in dB of every network against its {}; the budget table has the costs."
  panels = _figure(
    folder / "equal_flops.png", alt.format("multiply-accumulates per HR pixel"), "Equal FLOPs"
  ) + _figure(folder / "equal_time.png", alt.format("measured step time"), "Equal time")
  line = f"The dashed line is at the cost of {verdict.titled(results['verdict']['contrast'][0])}"
  timed = any(name.endswith("_timed") for name in results["arms"])
  hollow = "; hollow marks are networks whose width makes their time equal" if timed else ""
  return _section(
    "Equal FLOPs beside equal time",
    f'<div class="pair">\n{panels}</div>\n' if panels else "",
    _say(f"{line}{hollow}. Small points are seeds.", "what") if panels else "",
    _list(said),
  )


def _learning(results: dict[str, Any], folder: Path) -> str:
  return _section(
    "Learning curves, and sensitivity to the learning rate",
    _figure(
      folder / "learning_curves.png",
      "PSNR in dB on training batches and on validation photographs against the training step, of "
      + ", ".join(verdict.titled(name) for name in tables.main_arms(results)),
    ),
    _figure(
      folder / "rates.png",
      "Validation PSNR in dB against the learning rate, one panel a network; the table below has "
      "the numbers.",
      "Dots: seeds. Line: their mean. Star: the chosen rate.",
    ),
    _table(tables.search_rows(results)),
  )


def _example(folder: Path) -> str:
  picture = _figure(
    folder / "example.png",
    "A detail of one photograph: the LR input, bicubic interpolation, networks, the truth, and "
    "the absolute errors.",
  )
  return _section("One photograph", picture, _say(tables.ABOUT_EXAMPLE, "what")) if picture else ""


def _members(results: dict[str, Any]) -> str:
  return _section(
    "Every network: how its seeds ended",
    _table(tables.fate_rows(results)),
    _list(verdict.cautions(results)),
  )


def _limits(results: dict[str, Any]) -> str:
  said = results["verdict"]["test"]
  bootstrap = (
    f"A crossed bootstrap, for comparison, gives {said['bootstrap_low']:+.3f} to "
    f"{said['bootstrap_high']:+.3f} dB on the test photographs; at such sizes it is too narrow."
    if said["bootstrap_low"] is not None
    else ""
  )
  notes = _list(results["notes"])
  return _section(
    "Not shown",
    _say(verdict.not_shown(results)),
    _say(bootstrap),
    notes and f"<h3>Notes on the data</h3>\n{notes}",
  )


def _reproduce(results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]) -> str:
  command = f"python launch.py --experiment={results['experiment']} {as_flags(results['config'])}"
  minutes = sum(timing["phase_seconds"].values()) / 60
  began = f" Begun {about['began']}." if "began" in about else ""
  return _section(
    "Reproduce",
    f"<pre><code>{escape(command)}</code></pre>\n",
    _say(
      f"The session that finished the run took {minutes:.1f} minutes on {timing['device']}.{began}"
    ),
    _table(tables.version_rows(about)),
    _details("Wall time by phase", _table(tables.time_rows(timing))),
  )
