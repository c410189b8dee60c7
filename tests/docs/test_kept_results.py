"""The pages say what results/ holds, and what it holds follows from its own scores."""

import json

import pytest

from docs import kept_results, update_readme
from experiments.matched_flops import PRESETS, Config, comparison
from sr_jax.analysis import verdict
from sr_jax.config import to_dict

KEPT = {path.stem: json.loads(path.read_text()) for path in kept_results.KEPT.glob("*.json")}
COMPARISONS = [name for name in KEPT if name != "capacity"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_verdict_follows_from_the_scores(name):
  results = KEPT[name]["results"]
  config = {k: tuple(v) if isinstance(v, list) else v for k, v in results["config"].items()}
  again = verdict.decide(results, comparison(Config(**config)))
  said = results["verdict"]
  assert again["test"]["decision"] == said["test"]["decision"]
  for one, other in zip([again, *again["contrasts"]], [said, *said["contrasts"]], strict=True):
    assert one["contrast"] == other["contrast"]
    for end in ("mean", "low", "high", "seed_low", "seed_high"):
      assert one["test"][end] == pytest.approx(other["test"][end], abs=1e-3)


def test_the_pages_say_what_is_kept():
  pages = "\n".join(page.read_text() for page in update_readme.PAGES)
  for name, block in kept_results.blocks().items():
    assert f"<!-- {name} -->\n{block}\n<!-- end of {name} -->" in pages, name


def test_what_is_kept_is_small_and_names_no_place():
  for path in kept_results.KEPT.glob("*.json"):
    assert path.stat().st_size < 1_000_000
    assert "/root" not in path.read_text()


def run_of(**changes):
  return {"experiment": "matched_flops", "config": to_dict(Config()) | changes}


def test_a_run_is_kept_by_its_preset_and_what_was_added_to_it():
  plain = to_dict(PRESETS["sensitivity"])
  assert kept_results.name_of(run_of(**to_dict(PRESETS["confirmatory"]))) == "confirmatory"
  changed = run_of(**plain | {"activation": "tanh", "steps": 750})
  assert kept_results.name_of(changed) == "sensitivity_steps=750_activation=tanh"
  assert kept_results.command("", changed) == (
    "python launch.py --experiment=matched_flops --preset=sensitivity --manual_dir=SETS "
    "--steps=750 --activation=tanh"
  )
  assert kept_results.name_of(run_of(steps=99)) is None
  assert kept_results.name_of({"experiment": "espcn"}) is None


def test_scores_are_rounded_and_nothing_else_is():
  tree = {"psnr": [30.123456, None], "p": 1e-9, "names": ["a"], "deep": [{"ssim": [0.987654]}]}
  assert kept_results._rounded(tree) == {
    "psnr": [30.1235, None],
    "p": 1e-9,
    "names": ["a"],
    "deep": [{"ssim": [0.9877]}],
  }


def test_what_is_kept_is_quoted_in_a_command_and_not_in_a_name():
  plain = to_dict(PRESETS["sensitivity"])
  changed = run_of(**plain | {"data": "folder:/my photos"})
  assert kept_results.name_of(changed) == "sensitivity_data=folder:-my_photos"
  assert kept_results.command("", changed).endswith(" '--data=folder:/my photos'")
  capacity = {"config": {"data": "folder:/my photos", "test_data": ["Set5", "Set14"]}}
  assert kept_results.command("capacity", capacity) == (
    "python launch.py --experiment=capacity --manual_dir=SETS '--data=folder:/my photos' "
    "--test_data=Set5,Set14"
  )
