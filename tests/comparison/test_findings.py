import pytest

from sr_jax.comparison import findings

ARMS = ("0-0-0-0-0", "8-8-8-0-0")
PARAMETERS = {"lr_n16": 10_276, "h8_k5": 8_396, "h4": 30_000}


def effect(group, name, mean, decision, p=0.01, less_curve=True, arms=()):
  low, high = (None, None) if mean is None else (mean - 0.01, mean + 0.01)
  test = {"mean": mean, "low": low, "high": high, "decision": decision}
  more = {} if decision == "too few photographs" else {"p_holm": p}
  about = {"group": group, "name": name, "is_less_curve": less_curve}
  return {**about, "weights": dict.fromkeys(arms, 1.0), "test": test, **more}


def results(*effects, arms=ARMS):
  return {
    "config": {},
    "verdict": {"combinations": [*effects]},
    "arms": {name: {"budget": {"parameters": PARAMETERS.get(name, 9_000)}} for name in arms},
  }


def sentences(*effects, arms=ARMS):
  slope = effect(findings.CURVE, "slope", 0.2, "supported", less_curve=False, arms=arms[:1])
  return findings.sentences(results(*effects, slope, arms=arms))


@pytest.mark.parametrize(
  ("decisions", "finding"),
  [
    (["equivalent", "equivalent"], "all equivalent"),
    (["equivalent", "undecided"], "undecided"),
    (["equivalent", "supported"], "better"),
    (["undecided", "reversed"], "worse"),
    (["supported", "reversed"], "both"),
    (["supported", "too few photographs"], "too few photographs"),
  ],
)
def test_what_a_group_says_together(decisions, finding):
  group = [effect(findings.SHARES, f"h{i}", 0.1, each) for i, each in enumerate(decisions)]
  assert findings.finding(group) == finding


def test_an_effect_counts_only_if_it_survives_the_adjustment():
  group = [effect(findings.SHARES, "h4", 0.1, "supported", p=0.06)]
  assert findings.finding(group) == "undecided"
  assert findings.share_finding(results(*group)) == "undecided"


@pytest.mark.parametrize(
  ("decision", "words"),
  [
    ("equivalent", "it is the number of weights"),
    ("supported", "better than the number of weights predicts: "),
    ("reversed", "worse than it predicts: "),
    ("undecided", "What share of the maps to upscale: undecided"),
  ],
)
def test_what_share_is_answered(decision, words):
  first, *_ = sentences(effect(findings.SHARES, "h4", 0.08, decision))
  assert words in first
  assert f"({findings.LISTED[decision]}: h4 +0.080 dB)." in first


@pytest.mark.parametrize(
  ("decision", "words"),
  [
    ("equivalent", "in early, middle or late states, does not matter (within"),
    ("supported", "in early, middle or late states, matters (above 0.05 dB: late - early"),
    ("undecided", "in early, middle or late states, is undecided (undecided:"),
    ("too few photographs", "in early, middle or late states, is undecided (too few"),
  ],
)
def test_when_is_answered(decision, words):
  late = effect(findings.BLOCKS, "late - early", 0.08, decision, less_curve=False)
  assert words in sentences(late)[0]


def test_controls_that_are_not_equivalent_are_a_caution():
  good, bad = (
    sentences(effect(findings.CONTROLS, "8-0-0-0-0 - LR", -0.03, decision))[0]
    for decision in ("equivalent", "undecided")
  )
  assert "are equivalent to it, as they must be" in good
  assert "not shown to be equivalent to it (undecided: 8-0-0-0-0 - LR -0.030 dB)" in bad


def test_it_is_said_whether_the_weights_are_taken_out():
  position = effect(findings.POSITIONS, "state 1", 0.0, "equivalent")
  assert "does not matter, beyond what the number of weights predicts" in sentences(position)[0]
  assert sentences(position)[-1] == (
    "Twice the parameters bring LR networks +0.200 dB (95 % interval +0.190 to +0.210 dB)."
  )
  plain = effect(findings.POSITIONS, "state 1", 0.0, "equivalent", less_curve=False)
  first, last = findings.sentences(results(plain))
  assert "beyond" not in first
  assert last.startswith("The run has no narrower LR networks")


def test_networks_with_fewer_weights_than_the_line_begins_with_are_named():
  shares = [effect(findings.SHARES, n, 0.0, "equivalent", arms=(n,)) for n in ("h8_k5", "h4")]
  last = sentences(*shares, arms=("lr_n16", "h8_k5", "h4"))[-1]
  assert last.startswith("h8_k5: fewer parameters than the narrowest LR network has")
  within = sentences(*shares[1:], arms=("lr_n16", "h8_k5", "h4"))
  assert within[-1].startswith("Twice the parameters")


def test_a_reduced_lattice_is_named():
  block = effect(findings.BLOCKS, "late - early", 0.0, "equivalent", less_curve=False)
  assert sentences(block)[-1].startswith("A reduced lattice: 2 of the 32 schedules of 0 or 8")
  position = effect(findings.POSITIONS, "state 1", 0.0, "equivalent")
  assert not any("reduced" in each for each in sentences(block, position))
  assert not any("reduced" in each for each in sentences(block, arms=("h0", "h4", "lr_n16")))


def test_other_comparisons_say_nothing_more():
  assert findings.sentences({"verdict": {}}) == []
