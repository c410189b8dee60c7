"""The pages say what results/ holds, and what it holds follows from its own scores."""

import copy
import json
import re

import pytest

from docs import findings, kept_results, update_readme
from experiments.matched_flops import MECHANISMS, PRESETS, Config
from sr_jax.comparison.contrasts import contrast, smallest_p
from sr_jax.config import to_dict

KEPT = kept_results.everything()
COMPARISONS = [name for name, data in KEPT.items() if "contrast" in data.get("verdict_then", {})]
OVER_PARTS = [name for name, data in KEPT.items() if "decision" in data.get("verdict_then", {})]


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_verdict_is_that_of_the_scores_and_the_means_are_those_the_run_wrote(name):
  now, then = KEPT[name]["results"]["verdict"], KEPT[name]["verdict_then"]
  for effect, other in zip(effects_of(now), effects_of(then), strict=True):
    for key in {"contrast", "group", "name"} & other.keys():
      assert effect[key] == other[key]
    pairs = [(effect[scores], other[scores]) for scores in ("test", "training")]
    pairs += [
      (effect["further_tests"][name], kept) for name, kept in other["further_tests"].items()
    ]
    for computed, written in pairs:
      assert computed["mean"] == pytest.approx(written["mean"], abs=5e-5)  # scores are rounded


@pytest.mark.parametrize("name", OVER_PARTS)
def test_the_verdict_over_tasks_or_grids_is_that_of_the_scores(name):
  now, then = KEPT[name]["results"]["verdict"], KEPT[name]["verdict_then"]
  # Rules may have changed since then, what is measured has not.
  part = "tasks" if "tasks" in now else "grids"
  assert len(now[part]) == len(then[part])
  for task in now[part]:
    gain, written = now[part][task]["gain"]["mean"], then[part][task]["gain"]["mean"]
    assert gain == pytest.approx(written, abs=1e-4)  # scores are rounded


def effects_of(verdict):
  return [verdict, *verdict["contrasts"], *verdict.get("combinations", [])]


def test_holm_covers_the_family_fixed_in_the_code_and_not_those_that_were_run():
  results = KEPT["confirmatory"]["results"]
  learned = findings._contrast(results, ("hr_learned", "hr"))
  mechanisms = [each for each in results["verdict"]["contrasts"] if each["kind"] == "mechanism"]
  assert len(mechanisms) == len(MECHANISMS) - 1  # hr_wide has a run of its own
  smallest = min(mechanisms, key=lambda each: smallest_p(each["test"]))
  assert smallest["p_holm"] == pytest.approx(len(MECHANISMS) * smallest_p(smallest["test"]))
  assert learned["p_holm"] > smallest_p(learned["test"])


def test_the_pages_are_written_again_byte_for_byte():
  pages = {page: page.read_text() for page in update_readme.PAGES}
  emptied = {
    page: re.sub(r"(<!-- (\w+) -->\n).*?\n(<!-- end of \2 -->)", r"\1\3", text, flags=re.DOTALL)
    for page, text in pages.items()
  }
  assert sum(len(text) for text in emptied.values()) < 0.8 * sum(map(len, pages.values()))
  for page, text in update_readme.rewritten(emptied).items():
    assert text == pages[page], page


def test_a_block_without_results_or_without_a_place_is_refused():
  pages = {page: page.read_text() for page in update_readme.PAGES}
  readme = update_readme.PAGES[0]
  unknown = pages | {readme: pages[readme] + "<!-- other -->\n<!-- end of other -->\n"}
  with pytest.raises(ValueError, match="holds nothing for other"):
    update_readme.rewritten(unknown)
  with pytest.raises(ValueError, match="no page has the marks <!-- verdict_lines -->"):
    update_readme.rewritten(pages | {readme: ""})


def test_findings_follow_the_contrasts():
  """What stands on the first screen changes where the numbers do."""
  text = findings.blocks(KEPT)["findings"]
  assert "LR - HR: supported" in text
  assert "LR's lead is reached *with* an explicit bicubic" in text
  assert "At about equal parameters, the note's two shapes are equivalent" in text
  assert "with recipes of their own LR far - HR" in text
  assert "**More power at equal MACs**, the same network, its phases untied or tied" in text
  changed = findings.blocks(shifted(KEPT, "confirmatory", "lr", -0.4))["findings"]
  assert "LR - HR: reversed" in changed
  assert "LR's lead" not in changed
  assert "LR does better without an explicit bicubic" in changed
  assert "0 of 3 estimates are above" in changed


def test_what_is_kept_is_small_and_names_no_place():
  for path in kept_results.KEPT.glob("*.json"):
    assert path.stat().st_size < 1_000_000
    assert not re.search(r"/(root|home|tmp|work)\b", path.read_text())


def run_of(**changes):
  return {"experiment": "matched_flops", "config": to_dict(Config()) | changes}


def shifted(kept, run, arm, by):
  """What is kept, one arm of a run better by so many dB on every photograph."""
  kept = copy.deepcopy(kept)
  results = kept[run]["results"]
  for member in results["arms"][arm]["members"]:
    for scores in ("test", "training"):
      member[scores]["psnr"] = [psnr + by for psnr in member[scores]["psnr"]]
  for each in (results["verdict"], *results["verdict"]["contrasts"]):
    if arm in each["contrast"]:
      each.update(contrast(results, *each["contrast"]))
  return kept


@pytest.mark.parametrize(
  ("arm", "by", "words"),
  [
    ("hr_untied", -0.3, "**Less power at equal MACs**"),
    ("hr_untied", -0.09, "**No more power at equal MACs**"),
    ("hr_untied", -0.04, "**Perhaps more power at equal MACs**"),
    ("hr_k4_learned", -0.5, "3 of 3 estimates are above 0.05 dB"),
  ],
)
def test_a_finding_changes_with_its_contrast(arm, by, words):
  assert words in findings.blocks(shifted(KEPT, "confirmatory", arm, by))["findings"]


def test_parameters_are_said_to_tell_only_where_they_do():
  kept = shifted(KEPT, "confirmatory", "hr_k4", -0.039)
  words = "Parameters alone do not explain this"
  assert words not in findings.blocks(kept)["findings"]  # tuned, LR far is ahead of HR
  del kept["recipes"]
  assert words in findings.blocks(kept)["findings"]
  kept = shifted(kept, "confirmatory", "lr_far", 0.2)
  assert "Likewise LR far - HR" in findings.blocks(kept)["findings"]


def test_a_run_is_kept_by_its_preset_and_what_was_added_to_it():
  plain = to_dict(PRESETS["sensitivity"])
  assert kept_results.name_of(run_of(**to_dict(PRESETS["confirmatory"]))) == "confirmatory"
  changed = run_of(**plain | {"activation": "tanh", "steps": 750})
  assert kept_results.name_of(changed) == "sensitivity_steps=750_activation=tanh"
  assert kept_results.command(changed) == (
    "python launch.py --experiment=matched_flops --preset=sensitivity --manual_dir=SETS "
    "--steps=750 --activation=tanh"
  )
  assert kept_results.name_of(run_of(steps=99)) is None
  assert kept_results.name_of(run_of()) == "matched_flops"
  assert kept_results.name_of({"experiment": "espcn", "config": {"scale": 2}}) == "espcn_x2"
  assert kept_results.name_of({"experiment": "smoke", "config": {}}) is None


@pytest.mark.parametrize(
  ("experiment", "preset", "changes", "name"),
  [
    ("when_to_upscale", "confirmatory", {}, "when_to_upscale_confirmatory"),
    ("when_to_upscale", "nested", {}, "when_to_upscale_nested"),
    (
      "when_to_upscale",
      "little_data",
      {"data_fraction": 0.25},
      "when_to_upscale_little_data_data_fraction=0.25",
    ),
    ("what_share", "confirmatory", {}, "what_share_confirmatory"),
    ("what_share", "curve", {}, "what_share_curve"),
    ("explicit_skip", "confirmatory", {"steps": 12000}, "explicit_skip_confirmatory_steps=12000"),
    ("other_tasks", "confirmatory", {}, "other_tasks_confirmatory"),
    ("dose", "confirmatory", {}, "dose_confirmatory"),
  ],
)
def test_runs_of_other_experiments_are_kept_by_experiment_and_preset(
  experiment, preset, changes, name
):
  config = to_dict(kept_results.PRESETS[experiment].PRESETS[preset]) | changes
  results = {"experiment": experiment, "config": config}
  flags = "".join(f" --{key}={value}" for key, value in changes.items())
  start = f"python launch.py --experiment={experiment} --preset={preset} --manual_dir=SETS{flags}"
  assert kept_results.name_of(results) == name
  assert kept_results.command(results) == start
  native = {"experiment": experiment, "config": config | {"convolution": "native"}}
  assert kept_results.name_of(native) == name
  assert kept_results.command(native) == f"{start} --convolution=native"


def test_what_changes_rounding_alone_is_in_a_command_and_in_no_name():
  native = run_of(convolution="native", hr_execution="lr_space")
  assert kept_results.name_of(native) == "matched_flops"
  assert kept_results.changed(native) == ("", {})
  assert kept_results.command(native) == (
    "python launch.py --experiment=matched_flops --convolution=native --hr_execution=lr_space"
  )


def test_a_finished_run_is_kept_and_decided_again(made_up_run, tmp_path, monkeypatch):
  results = made_up_run("when_to_upscale", "little_data", data_fraction=0.25, convolution="native")
  for file, data in {
    "results.json": results,
    "timing.json": {"phase_seconds": {}, "device": "1 x cpu"},
    "config.json": {"provenance": {"revision": "0123456789"}},
  }.items():
    (tmp_path / file).write_text(json.dumps(data))
  monkeypatch.setattr(kept_results, "KEPT", tmp_path / "kept")
  path = kept_results.keep(tmp_path)
  assert path.name == "when_to_upscale_little_data_data_fraction=0.25.json"
  data = kept_results._decided(json.loads(path.read_text()))
  assert data["command"].endswith("--data_fraction=0.25 --convolution=native")
  effects = data["results"]["verdict"]["combinations"]
  written = data["verdict_then"]["combinations"]
  assert [each["name"] for each in effects] == [each["name"] for each in written]
  assert effects[0]["test"]["mean"] == pytest.approx(written[0]["test"]["mean"], abs=1e-4)


def test_scores_are_rounded_and_nothing_else_is():
  tree = {"psnr": [30.123456, None], "p": 1e-9, "names": ["a"], "deep": [{"ssim": [0.987654]}]}
  assert kept_results._rounded(tree) == {
    "psnr": [30.1235, None],
    "p": 1e-9,
    "names": ["a"],
    "deep": [{"ssim": [0.9877]}],
  }
  assert kept_results._rounded({"periodicity": [-1.23456]}) == {"periodicity": [-1.235]}


def test_what_is_kept_is_quoted_in_a_command_and_not_in_a_name():
  plain = to_dict(PRESETS["sensitivity"])
  changed = run_of(**plain | {"data": "folder:/my photos"})
  assert kept_results.name_of(changed) == "sensitivity_data=folder:-my_photos"
  assert kept_results.command(changed).endswith(" '--data=folder:/my photos'")
  assert kept_results.command({"experiment": "equivalence"}) == (
    "python launch.py --experiment=equivalence"
  )
  capacity = {
    "experiment": "capacity",
    "config": {"data": "folder:/my photos", "test_data": ["Set5", "Set14"], "parts": ["fit"]},
  }
  assert kept_results.command(capacity) == (
    "python launch.py --experiment=capacity --manual_dir=SETS '--data=folder:/my photos' "
    "--test_data=Set5,Set14"
  )
  certificate = {
    "experiment": "capacity",
    "config": {**capacity["config"], "parts": ["certificate"]},
  }
  assert kept_results.name_of(certificate) == "certificate"
