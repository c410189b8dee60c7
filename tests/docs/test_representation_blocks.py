"""What the pages say of representation follows the runs that it is about, and says what lacks."""

import pytest

from docs import convergence_blocks, objections, representation_blocks
from sr_jax.comparison import nested_verdict


@pytest.fixture
def lengths(made_up_run):
  """Runs of three lengths with these leads of LR in dB, of which the longest has few seeds."""

  def make(short, long):
    sizes = {3000: (short, 8), 12_000: (long, 6), 48_000: (long, 2)}
    return [
      made_up_run("matched_flops", "convergence", {"lr": lead}, steps=steps, seeds=seeds)
      for steps, (lead, seeds) in sizes.items()
    ]

  return make


def test_runs_of_several_lengths_are_kept_by_their_flags_and_read_together(
  kept, lengths, made_up_run
):
  patches = made_up_run("matched_flops", "convergence", patch=33)
  runs = kept(*lengths(0.0, 0.0), patches)
  assert list(runs)[:2] == ["convergence", "convergence_steps=12000_seeds=6"]
  assert len(convergence_blocks.runs(runs)) == 3
  assert "| `--patch=33` |" in convergence_blocks.blocks(runs)["other_data"]
  answers = objections.blocks(runs)["objections"]
  assert "With training patches of 66 HR pixels" in answers
  assert answers.count(runs["convergence_patch=33"]["command"]) == 1


@pytest.mark.parametrize(
  ("short", "long", "words"),
  [
    (0.5, 0.5, "LR - HR is above 0.05 dB after 3,000 steps as after 12,000"),
    (0.5, -0.5, "LR - HR is a matter of training time between 3,000 and 12,000 steps"),
  ],
)
def test_the_length_of_training_is_said_by_its_shortest_and_longest_run(
  kept, lengths, short, long, words
):
  block = convergence_blocks.blocks(kept(*lengths(short, long)))["convergence"]
  assert words in block
  assert "descriptive only" in block
  assert "--preset=convergence --manual_dir=SETS --steps=12000" in block


def test_an_objection_is_open_without_its_run_and_names_its_command_with_it(kept, lengths):
  text = objections.blocks({})["objections"]
  assert text.count("Open: results/ lacks") == len(objections.OBJECTIONS)
  answered = objections.blocks(kept(*lengths(0.5, 0.5)))["objections"]
  assert "`python launch.py --experiment=matched_flops --preset=convergence" in answered
  assert answered.count("Open: results/ lacks convergence") == 0


def test_nothing_is_explained_before_every_run_is_there(kept, lengths):
  runs = kept(*lengths(0.5, 0.5))
  sentence = representation_blocks.explanation(runs)
  assert sentence.startswith("Not decided yet: results/ lacks certificate, nested_confirmatory")


@pytest.mark.parametrize(
  ("finding", "long", "own", "words"),
  [
    (nested_verdict.USED, 0.5, 0.5, 'allows "more representation power".'),
    (nested_verdict.USED, 0.2, 0.5, 'allows "both"'),
    (nested_verdict.USED, -0.5, -0.5, 'no more than "better trained"'),
    (nested_verdict.NOT_SHOWN, 0.5, 0.5, "does not say whether"),
  ],
)
def test_the_explanation_follows_its_evidence(
  kept, lengths, made_up_run, finding, long, own, words
):
  recipes = made_up_run("matched_flops", "recipes", {"lr": own, "lr_far": own})
  runs = kept(*lengths(0.5, long))
  holds = {"test": True, "training": True}
  recipes["verdict"]["tuning"] = {"control": {"holds": holds}}
  runs["recipes"] = {"results": recipes}
  runs["nested_confirmatory"] = {"results": {"verdict": {"findings": {"lr_tied to lr": finding}}}}
  shown = {"relu": {"lr": {"rank": 10_000}}}
  parts = {"certificate": {"smaller": {"hr": 9_745}, "shown": shown}}
  runs["certificate"] = {"results": {"parts": parts}}
  assert words in representation_blocks.explanation(runs)


def test_the_lift_at_more_macs_does_not_count(kept, lengths, made_up_run):
  recipes = made_up_run("matched_flops", "recipes", {"lr": 0.5, "lr_far": 0.5})
  recipes["verdict"]["tuning"] = {"control": {"holds": {"test": True, "training": True}}}
  runs = kept(*lengths(0.5, 0.5)) | {"recipes": {"results": recipes}}
  findings = {"hr to hr_lifted": nested_verdict.USED, "lr_tied to lr": nested_verdict.NOT_SHOWN}
  runs["nested_confirmatory"] = {"results": {"verdict": {"findings": findings}}}
  shown = {"relu": {"lr": {"rank": 10_000}}}
  parts = {"certificate": {"smaller": {"hr": 9_745}, "shown": shown}}
  runs["certificate"] = {"results": {"parts": parts}}
  assert "What is missing: nested networks" in representation_blocks.explanation(runs)
