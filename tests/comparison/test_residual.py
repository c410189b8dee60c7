import re

import pytest

from sr_jax.comparison import findings, residual


def effect(group, name, mean, decision, p=0.01):
  test = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "decision": decision}
  about = {"group": group, "name": name, "is_less_curve": False, "weights": {}}
  return {**about, "test": test, "p_holm": p}


def results(*effects, training=None):
  """Results with PSNR on training patches by arm, (seeds, images), where bicubic has 30 dB."""
  arms = {
    name: {"members": [{"training": {"psnr": psnr}} for psnr in seeds]}
    for name, seeds in (training or {}).items()
  }
  shape = {"connections": ["plain", "residual"], "networks": ["lr", "half", "a:EDSR"]}
  config = shape | {"depths": [16], "steps": 1500} if training else {}
  bicubic = {"training": {"psnr": [29.0, 31.0]}}
  return {"verdict": {"combinations": effects}, "arms": arms, "config": config, "bicubic": bicubic}


def claim(group, *decisions, p=0.01):
  effects = [effect(group, f"depth {i}", 0.1, each, p) for i, each in enumerate(decisions)]
  return findings.claim(results(*effects), group)


@pytest.mark.parametrize(
  ("decisions", "words"),
  [
    (("equivalent", "equivalent"), "Residual networks need no explicit combination"),
    (("equivalent", "reversed"), "An explicit .* helps residual networks \\(depth 1\\)"),
    (("supported", "equivalent"), "An explicit .* hurts residual networks \\(depth 0\\)"),
    (("reversed", "supported"), "helps residual .* \\(depth 0\\) and hurts them \\(depth 1\\)"),
    (("equivalent", "undecided"), "Whether residual networks need an explicit .* is undecided"),
    (("equivalent", "too few photographs"), "Whether residual networks need .* is undecided"),
  ],
)
def test_whether_an_explicit_combination_is_needed(decisions, words):
  assert re.search(words, claim(residual.MIXTURES, *decisions))


def test_an_effect_counts_only_if_it_survives_the_adjustment():
  assert "is undecided" in claim(residual.MIXTURES, "reversed", "equivalent", p=0.06)


@pytest.mark.parametrize(
  ("decision", "words"),
  [
    ("equivalent", "Identities do not change what an explicit combination brings"),
    ("supported", "With identities an explicit combination brings less (depth 0)"),
    ("reversed", "With identities an explicit combination brings more (depth 0)"),
    ("undecided", "Whether identities change what an explicit combination brings is undecided"),
  ],
)
def test_what_the_interaction_says(decision, words):
  assert claim(residual.INTERACTION, decision) == words


def test_the_estimand_alone_says_whether_identities_change_anything():
  """Whatever the depths by themselves say."""
  average = effect(residual.INTERACTION, "interaction, all depths", 0.0, "equivalent")
  depths = [
    effect(residual.BY_DEPTH, f"interaction, depth {depth}", mean, decision)
    for depth, mean, decision in ((8, 0.2, "supported"), (16, -0.2, "reversed"))
  ]
  run = results(average, *depths)
  assert findings.claim(run, residual.INTERACTION).startswith("Identities do not change")
  by_depth = findings.claim(run, residual.BY_DEPTH)
  assert by_depth == (
    "With identities an explicit combination brings less (interaction, depth 8) and more "
    "(interaction, depth 16)"
  )


def test_the_sign_of_what_identities_bring_has_a_meaning():
  start = "Identities around every two hidden layers"
  assert claim(residual.IDENTITIES, "supported", "equivalent") == f"{start} help (depth 0)"
  assert claim(residual.IDENTITIES, "reversed", "equivalent") == f"{start} hurt (depth 0)"
  assert claim(residual.IDENTITIES, "equivalent") == f"{start} bring nothing"
  assert claim(residual.HR_ALONE, "reversed").startswith("HR maps alone, instead of LR maps, hurt")


def test_networks_that_do_not_train_are_named_with_their_seeds():
  training = {
    "lr_d16": [[30.2, 30.4], [None, 31.0]],
    "half_d16": [[31.0, 31.0], [31.0, 32.0]],
    "lr_d16_residual": [[30.4, 30.8], [32.0, 32.0]],
    "half_d16_residual": [[32.0, 32.0], [32.0, 32.0]],
    "EDSR": [[30.0, 30.0], [None, None]],  # the user's own is neither
  }
  plain, blocks = residual.on_training(results(training=training))
  assert plain.startswith("1 of 2 plain networks do not train in every seed, that is, to 0.5 dB")
  assert plain.endswith("after 1,500 steps: LR d16: seed 0 +0.30 dB, seed 1 diverged.")
  assert blocks.startswith("All 2 residual networks train in every seed: after 1,500 steps they ")
  assert "at least 0.60 dB above" in blocks
  assert residual.on_training(results()) == []


def test_all_seeds_of_a_network_that_does_not_train_are_said_in_short():
  bad, good = [[30.0, 30.0], [30.1, 30.1]], [[32.0, 32.0]] * 2
  training = {"lr_d16": bad, "half_d16": good, "lr_d16_residual": good, "half_d16_residual": good}
  plain, _ = residual.on_training(results(training=training))
  assert plain.endswith("LR d16: all 2 seeds, +0.00 to +0.10 dB.")


def test_networks_that_did_not_learn_are_not_called_equivalent():
  same = effect(residual.PLAIN_MIXTURES, "depth 32", 0.0, "equivalent")
  run = results({**same, "weights": {"lr_d32": 1.0, "half_d32": -1.0}})
  for status, words in (("ok", "Plain networks need no"), ("did not learn", "Whether plain")):
    run["arms"] = {name: {"members": [{"status": status}] * 2} for name in ("lr_d32", "half_d32")}
    assert findings.claim(run, residual.PLAIN_MIXTURES).startswith(words)


def test_a_table_says_whether_a_combination_is_needed():
  words = {
    "equivalent": "not needed",
    "supported": "hurts",
    "reversed": "helps",
    "undecided": "undecided",
  }
  for decision, word in words.items():
    run = results(effect(residual.MIXTURES, "depth 8", 0.1, decision))
    assert findings.mixture_finding(run) == word
  assert findings.mixture_finding(results()) == "-"
