"""The answers to the note's open questions follow the effects that they are about."""

import re

import pytest

from docs import kept_results, question_blocks, update_readme

LATE, ALL = "0-0-8-8-8", "8-8-8-8-8"


def kept(*runs):
  about = {
    "provenance": {"revision": "0123456789ab"},
    "timing": {"phase_seconds": {"train": 90.0}, "device": "1 x cpu"},
  }
  return {
    kept_results.name_of(results): {
      "command": kept_results.command(results),
      "results": results,
      **about,
    }
    for results in runs
  }


def blocks_of(results):
  """The answers of README, a line a question, and the block of the run's experiment."""
  blocks = question_blocks.blocks(kept(results))
  return *blocks["answers"].splitlines(), blocks[results["experiment"]]


@pytest.mark.parametrize(
  ("lead", "words"),
  [
    ({}, "does not matter.** On BSD100, in dB: late - early"),
    ({LATE: 0.2}, "matters.** On BSD100, in dB: late - early +0.2"),
    ({LATE: 0.05}, "is undecided.** On BSD100, in dB: late - early +0.0"),
  ],
)
def test_when_to_upscale_is_answered(made_up_run, lead, words):
  when, share, *_, block = blocks_of(made_up_run("when_to_upscale", "confirmatory", lead))
  assert f"When to upscale, in early, middle or late states, {words}" in when
  assert re.search(r"late - early [+-]0\.\d{3} \([+-]0\.\d{3} to [+-]0\.\d{3}\): \w+;", when)
  assert share == f"- **What share of the maps?** {question_blocks.OPEN}"
  assert block.startswith(when.removeprefix("- "))
  assert "The controls, LR but for tied biases, are equivalent to it" in block
  assert "17 of 17 networks with HR maps cost exactly as much, with as few as 11,212" in block
  assert "--experiment=when_to_upscale --preset=confirmatory --manual_dir=SETS" in block


@pytest.mark.parametrize(
  ("lead", "words", "effect"),
  [
    ({}, "it is the number of weights", "16 shares, from"),
    ({"h4": 0.2}, "better than the number of weights predicts: h4", ", to 50 % (K = 6) +0.2"),
    ({"h6_k5": -0.3}, "worse than it predicts: h6_k5", "from 75 % (K = 5) -0."),
    ({"h4": 0.05}, "What share of the maps to upscale: undecided", ", to 50 % (K = 6) +0.0"),
  ],
)
def test_what_share_is_answered_less_the_weights(made_up_run, lead, words, effect):
  when, share, *_, block = blocks_of(made_up_run("what_share", "confirmatory", lead))
  assert when == f"- **When to upscale?** {question_blocks.OPEN}"
  assert words in share
  assert effect in share
  assert block.startswith(share.removeprefix("- "))
  assert "8 of 16 networks with HR maps cost exactly as much" in block


def test_other_presets_and_the_curve_are_shown_where_they_are_kept(made_up_run):
  nested = made_up_run("when_to_upscale", "nested", {ALL: -0.2})
  little = made_up_run("when_to_upscale", "little_data", {LATE: 0.3}, data_fraction=0.25)
  curve = made_up_run("what_share", "curve")
  blocks = question_blocks.blocks(kept(nested, little, curve))
  when, share = blocks["when_to_upscale"], blocks["what_share"]
  assert when.startswith(f"{question_blocks.OPEN}\n\n### With smaller kernels, and on little data")
  assert "- `--preset=nested`: When to upscale, in early, middle or late states, does not" in when
  assert "- `--preset=little_data --data_fraction=0.25`: When to upscale, in early, middle" in when
  assert "| `--preset=nested` | late - early | no |" in when
  assert "|  | all - LR | yes | -0.2" in when
  assert nested["config"]["hr_kernel_size"] == 5
  assert "PSNR of LR is a line in the logarithm of its parameters" in share
  assert "Twice the parameters bring LR networks +0.1" in share


def test_nothing_is_said_of_gates_before_they_are_measured(made_up_run):
  assert question_blocks.blocks({})["learned"] == question_blocks.OPEN
  kept_runs = kept(made_up_run("what_share", "curve"))
  assert question_blocks.blocks(kept_runs)["learned"] == question_blocks.OPEN


def test_the_figures_that_blocks_show_are_those_that_are_drawn(made_up_run, tmp_path, monkeypatch):
  runs = kept(
    made_up_run("when_to_upscale", "confirmatory"),
    made_up_run("what_share", "confirmatory"),
    made_up_run("what_share", "curve"),
  )
  monkeypatch.setattr(kept_results, "everything", lambda: runs)
  monkeypatch.setattr(kept_results, "FIGURES", tmp_path)
  update_readme.draw()
  shown = re.findall(r"\(figures/([\w.]+)\)", "".join(question_blocks.blocks(runs).values()))
  assert sorted(shown) == sorted(path.name for path in tmp_path.iterdir())
  assert len(shown) == 5
