"""Both files of a comparison's report, from made-up results."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from sr_jax.comparison import findings, verdict
from sr_jax.comparison.combinations import Combination, difference
from sr_jax.comparison.contrasts import Comparison, Contrast
from sr_jax.data.images import make_pair
from sr_jax.report import comparison, tables, times
from sr_jax.runtime.run_folder import RunFolder

VOID = {"meta", "img", "br", "hr", "link", "input"}
PAIR = Comparison(Contrast("lr", "hr", "the pair"))
MANY = Comparison(
  Contrast("lr", "hr", "the pair"),
  ("hr", "hr_k3"),
  "lr_tied",
  (Contrast("lr", "hr_timed", "at the time of LR"), Contrast("lr", "lr_tied", "untying")),
)
SIX = ["lr", "hr", "hr_k3", "lr_tied", "hr_timed", "hr_wide"]


class Page(HTMLParser):
  """What a page holds; it fails where an element is not closed in order."""

  def __init__(self, text):
    super().__init__()
    self.open, self.attributes, self.titles, self.text = [], [], [], ""
    self.feed(text)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attrs):
    self.attributes.append((tag, dict(attrs)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open[-1:] == ["h2"]:
      self.titles.append(data)
    if self.open[-1:] != ["style"]:
      self.text += data

  def images(self):
    return [attributes for tag, attributes in self.attributes if tag == "img"]


def make_results(comparison, names, seeds, images, further=True):
  """Results of arms that differ by a tenth of a decibel each."""
  rng = np.random.default_rng(0)
  scale = rng.normal(30, 2, len(images))

  def scores(level, count):
    base = scale[:count] if count <= len(images) else np.full(count, 30.0)
    return {
      "psnr": (base + level + rng.normal(0, 0.02, count)).tolist(),
      "ssim": [0.9] * count,
    }

  def arm(i, name):
    return {
      "note": f"arm {i}",
      "budget": {
        "macs": 9704.0,
        "executed_macs": 9704.0,
        "bicubic_macs": 25,
        "parameters": 38980,
        "activations": 41.0,
        "receptive_field": 30,
        "shift": 0.5,
      },
      "learning_rate": 2e-3,
      "rate_at_edge": "highest" if i == 1 else None,
      "search": [
        {"seed": 0, "learning_rate": 1e-3, "validation_psnr": 30.0 + i / 10},
        {"seed": 0, "learning_rate": 2e-3, "validation_psnr": 30.1 + i / 10},
        {"seed": 0, "learning_rate": 4e-3, "validation_psnr": None},
      ],
      "members": [
        {
          "seed": seed,
          "learning_rate": 2e-3,
          "status": "ok",
          "validation_psnr": 30.0,
          "test": scores(1 - i / 10, len(images)),
          "training": scores(1, 2),
        }
        for seed in range(seeds)
      ],
    }

  results = {
    "experiment": "matched_flops",
    "config": {"scale": 2, "data": "folder:<b>", "steps": 1500, "seeds": seeds},
    "images": {"train": ["t"], "validation": ["v"], "test": images},
    "learning_rates": [1e-3, 2e-3, 4e-3],
    "choices": {},
    "bicubic": {
      "test": scores(0, len(images)),
      "training": scores(0, 2),
      "validation_psnr": 30.005,
    },
    "arms": {name: arm(i, name) for i, name in enumerate(names)},
    "tests": ["Set5", "Set14"] if further else ["test"],
    "further_tests": {},
    "notes": ["A note with <i> & more."],
  }
  if further:
    results["further_tests"]["Set14"] = {
      "images": ["a", "b"],
      "bicubic": scores(0, 2),
      "arms": {name: [scores(1, 2) for _ in range(seeds)] for name in names},
    }
  results["verdict"] = verdict.decide(results, comparison)
  return results


def diverge(results, name, comparison, seeds):
  """The same with members of an arm diverged."""
  for seed in seeds:
    member = results["arms"][name]["members"][seed]
    member["status"] = "diverged"
    member["test"] = {key: [None] * len(values) for key, values in member["test"].items()}
  results["verdict"] = verdict.decide(results, comparison)
  return results


def times_of(results):
  return {
    "device": "1 x cpu",
    "step_seconds": dict.fromkeys(results["arms"], 0.004) | {"hr (lr_space)": 0.003},
    "executed_macs": dict.fromkeys(results["arms"], 9704.0) | {"hr (lr_space)": 17184.0},
    "phase_seconds": {"load": 1.0, "train lr": 59.0},
  }


def write(run_dir, results):
  """The two files of the report of results, as (text, page)."""
  timing = times_of(results)
  about = {"provenance": {"revision": "abc", "device": "1 x cpu"}, "began": "2026-01-01"}
  lines = [
    {"arm": name, "stage": "final", "step": step, key: [30.0 + step / 100] * 2}
    for name in results["arms"]
    for step in (10, 20)
    for key in ("training_psnr", "validation_psnr")
  ]
  comparison.write(RunFolder(run_dir), results, timing, about, lines)
  return (run_dir / "report.md").read_text(), (run_dir / "report.html").read_text()


def photographs(names):
  rng = np.random.default_rng(1)
  return [make_pair(name, rng.integers(0, 256, (48, 40), np.uint8), 2) for name in names]


def check(page):
  """A page that stands by itself, whose pictures say what they are."""
  parsed = Page(page)
  assert len(page) < 3_000_000
  for tag, attributes in parsed.attributes:
    assert tag not in ("script", "link", "iframe")
    for key in ("src", "href"):
      assert attributes.get(key, "data:").startswith("data:")
  assert "url(" not in page
  for image in parsed.images():
    assert len(image["alt"]) > 5
    assert len(base64.b64decode(image["src"].partition("base64,")[2], validate=True)) > 100
  assert "nan" not in parsed.text
  return parsed


def test_two_arms(tmp_path):
  names = ["<script>alert(1)</script>", "a|b", "$x$", "d", "e", "f"]
  results = make_results(PAIR, ["lr", "hr"], 3, names, further=False)
  photos = photographs(names)
  (tmp_path / "figures").mkdir()
  upscaled = {name: photos[comparison.typical(results)].target for name in results["arms"]}
  comparison.draw_photographs(results, photos, upscaled, RunFolder(tmp_path))
  text, page = write(tmp_path, results)
  parsed = check(page)
  assert "At equal compute, is LR better than HR?" in parsed.text
  assert verdict.answers(results)[0] in parsed.text
  assert verdict.headline(results)["95 % interval"] in parsed.text
  assert names[0] in parsed.text  # as text, for no script was opened
  assert "folder:<b>" in parsed.text
  assert parsed.titles == ["Claim", "Theorem", "Test", "Control", "Limits", "Reproduce"]
  thumbnails = [image for image in parsed.images() if image["alt"].startswith("Photograph ")]
  assert len(thumbnails) == 6
  assert not (tmp_path / "figures" / "forest.png").exists()  # of one contrast it would say nothing
  for name in re.findall(r"\(figures/(\w+\.png)\)", text):
    assert len(np.unique(np.asarray(Image.open(tmp_path / "figures" / name).convert("L")))) > 20
  assert "figures/example.png" in text
  assert "| a\\|b | " in text


def test_many_arms(tmp_path):
  images = [f"{i:03}" for i in range(50)]
  results = make_results(MANY, SIX, 3, images)
  text, page = write(tmp_path, results)
  parsed = check(page)
  for contrast in results["verdict"]["contrasts"]:
    if contrast["kind"] in verdict.ALSO:
      assert verdict.also(contrast, results) in parsed.text
  (sentence,) = times.at_equal_time(results, times_of(results))
  assert sentence.startswith("At equal time, LR (arm 0) is 0.")
  assert sentence in parsed.text
  contrasts = tables.contrast_rows(results)
  assert [row[:2] for row in contrasts[1:]] == [
    ["LR - HR", "primary"],
    ["LR - HR", "best"],
    ["LR - LR tied", "subset"],
    ["LR - HR timed", "mechanism"],
    ["LR - LR tied", "mechanism"],
    ["LR - HR k3", "exploratory"],
    ["LR - HR wide", "exploratory"],
  ]
  holm = contrasts[0].index("p (Holm)")
  assert [row[holm] == "-" for row in contrasts[1:]] == [True] * 3 + [False] * 2 + [True] * 2
  for row in contrasts:
    assert "| " + " | ".join(row) + " |" in text
  assert (tmp_path / "figures" / "forest.png").exists()
  assert "Most helped" not in parsed.text  # no thumbnails are there
  assert "One photograph" not in parsed.text
  assert "| 001 |" in text


def test_linear_contrasts_have_a_section_of_their_own(tmp_path):
  names = ["0-0-0-0-0", "8-8-8-0-0", "0-0-8-8-8"]
  effect = Combination(findings.BLOCKS, "late - early", "which?", difference(names[2], names[1]))
  several = Comparison(Contrast(names[2], names[1], "which?"), combinations=(effect,))
  results = make_results(several, names, 3, list("abcdefg"))
  text, page = write(tmp_path, results)
  parsed = check(page)
  assert "Effects that several networks show" in parsed.text
  for sentence in findings.sentences(results):
    assert sentence in parsed.text
  for row in tables.combination_rows(results):
    assert "| " + " | ".join(row) + " |" in text
  for name in ("combinations", "lattice"):
    assert (tmp_path / "figures" / f"{name}.png").exists()
  assert not (tmp_path / "figures" / "shares.png").exists()


def test_runs_of_the_search_that_died_or_diverged_are_counted():
  rows = tables.search_rows(make_results(MANY, SIX, 1, ["a", "b"]))
  assert rows[1][2:] == ["30.005"] * 3
  assert rows[2][2:] == ["30.000, 1 of 1 did not learn", "30.100", "1 of 1 diverged"]
  assert rows[3][2:] == ["30.100", "30.200", "1 of 1 diverged"]


def test_the_best_opponent_joins_the_main_arms():
  results = make_results(MANY, SIX, 2, ["a", "b"])
  for member in results["arms"]["hr_k3"]["members"]:
    member["validation_psnr"] = 31.0
  results["verdict"] = verdict.decide(results, MANY)
  assert tables.main_arms(results) == ["lr", "hr", "hr_k3", "lr_tied"]
  header = ["test photograph", "bicubic", "LR", "HR", "HR k3"]
  assert tables.photograph_rows(results)[0] == header


@pytest.mark.parametrize("seeds", [[1], [0, 1]])
def test_divergence_is_counted(tmp_path, seeds):
  results = diverge(make_results(MANY, SIX, 2, list("abcd")), "hr", MANY, seeds)
  text, page = write(tmp_path, results)
  parsed = check(page)
  assert f"HR diverged for seeds {seeds}" in parsed.text
  assert "1 of 1 diverged" in text
  assert tables.status_rows(results)[2] == [
    "HR",
    "0.002",
    f"{2 - len(seeds)} of 2",
    "0 of 2",
    "0 of 2",
    f"{len(seeds)} of 2",
  ]


def test_one_seed_has_no_interval(tmp_path):
  text, page = write(tmp_path, make_results(PAIR, ["lr", "hr"], 1, ["a"]))
  assert "no interval" in check(page).text
  assert "None" not in text + page


def test_extremes_are_the_most_and_the_least_helped():
  by_image = [0.3, -0.1, 0.0, 0.2, 0.1, -0.2, 0.4]
  results = {"verdict": {"test_difference_by_image": by_image}}
  assert tables.extremes(results) == ([6, 0, 3], [5, 1, 2])
  results["verdict"]["test_difference_by_image"] = []
  assert tables.extremes(results) == ([], [])


def test_the_same_again_leaves_the_files_alone(tmp_path):
  results = make_results(PAIR, ["lr", "hr"], 2, list("abcd"))
  comparison.draw_photographs(results, photographs("abcd"), None, RunFolder(tmp_path))
  write(tmp_path, results)
  files = [path for path in tmp_path.rglob("*") if path.is_file()]
  before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
  comparison.draw_photographs(results, photographs("abcd"), None, RunFolder(tmp_path))
  write(tmp_path, results)
  after = [path for path in tmp_path.rglob("*") if path.is_file()]
  assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in after}
  for name in ("report.md", "report.html", "figures/arms.png"):
    (tmp_path / name).unlink()
  write(tmp_path, results)
  for path, (data, _) in before.items():
    assert path.read_bytes() == data
