"""The answers on residual networks follow the effects that they are about."""

import re

import pytest

from docs import kept_results, question_blocks, residual_blocks, update_readme

MIXTURES = ("half_d8_residual", "half_d16_residual", "streams_d8_residual", "streams_d16_residual")


@pytest.mark.parametrize(
  ("mixtures", "words"),
  [
    (0.5, "An explicit combination of LR and HR maps helps residual networks"),
    (-0.5, "An explicit combination of LR and HR maps hurts residual networks"),
  ],
)
def test_the_answer_follows_residual_lr_against_the_best_mixture(
  kept, made_up_run, mixtures, words
):
  run = made_up_run("residual", "confirmatory", dict.fromkeys(MIXTURES, mixtures))
  runs = kept(run)
  answer, block = residual_blocks.answer(runs), residual_blocks.blocks(runs)["residual"]
  assert answer.startswith(f"**{words}")
  assert answer in block
  assert f"- {answer}" in question_blocks.blocks(runs)["answers"]
  change = "brings more" if mixtures > 0 else "brings less"
  assert f"With identities an explicit combination {change}" in answer
  assert "All 8 residual networks train in every seed" in block
  assert "--experiment=residual --preset=confirmatory --manual_dir=SETS" in block


def test_the_answer_says_which_networks_form_hr_maps(kept, made_up_run):
  run = made_up_run("residual", "confirmatory")
  lost = {"seeds": [], "of_seeds": 2, "layers": []}
  arms = ("lr_d8", "lr_d8_residual")
  controls = {arm: {"hr": lost, "half": lost} for arm in arms}
  run["combining"] = {"arms": dict.fromkeys(arms, lost), "controls": controls}
  sentence = "**Nothing is concluded on HR maps in LR d8, LR d8 residual, since a positive control"
  runs = kept(run)
  assert sentence in residual_blocks.answer(runs)
  block = residual_blocks.blocks(runs)["residual_maps"]
  assert "- HR, lifted and shuffled, of LR d8, fails: no seed finished." in block


def test_nothing_is_said_before_it_is_measured():
  assert residual_blocks.answer({}).endswith(residual_blocks.OPEN)
  assert set(residual_blocks.blocks({}).values()) == {residual_blocks.OPEN}


def test_the_gain_is_the_best_on_validation_photographs(kept, made_up_run):
  runs = [
    made_up_run("residual", "gain", {"lr_d16_residual": lead}, block_gain=gain)
    for gain, lead in ((0.0, 0.1), (0.1, 0.3), (1.0, 0.2))
  ]
  block = residual_blocks.blocks(kept(*runs))["residual_gain"]
  assert block.startswith("Best on validation photographs is a gain of 0.1.")
  assert [line.split(" | ")[0] for line in block.splitlines() if re.match(r"\| [\d.]+ ", line)] == [
    "| 0",
    "| 0.1",
    "| 1",
  ]
  assert "--preset=gain --manual_dir=SETS --block_gain=1.0" in block
  assert "The presets have 0." in block  # these made-up runs disagree with the preset
  agreeing = made_up_run("residual", "gain")
  assert "The presets have it." in residual_blocks.blocks(kept(agreeing))["residual_gain"]


def test_a_network_that_does_not_train_is_named_in_the_deep_run(kept, made_up_run):
  run = made_up_run("residual", "deep", {"lr_d32": -5.0})
  block = residual_blocks.blocks(kept(run))["residual_deep"]
  assert "1 of 4 plain networks do not train in every seed" in block
  assert re.search(r"\| LR d32 \| 74,216 \| .* \| -\d\.\d\d \|", block)


def test_the_figures_that_blocks_show_are_those_that_are_drawn(
  kept, made_up_run, tmp_path, monkeypatch
):
  runs = kept(made_up_run("residual", "confirmatory"), made_up_run("residual", "deep"))
  monkeypatch.setattr(kept_results, "everything", lambda: runs)
  monkeypatch.setattr(kept_results, "FIGURES", tmp_path)
  update_readme.draw()
  shown = re.findall(r"\(figures/([\w.]+)\)", "".join(residual_blocks.blocks(runs).values()))
  assert sorted(shown) == sorted(path.name for path in tmp_path.iterdir())
  assert shown
