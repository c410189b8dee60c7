"""What is decided on explicit upsampling, of made-up results with known effects."""

import json

import numpy as np
import pytest

from sr_jax.comparison import explicit_forms
from sr_jax.comparison.shares import SHARE_SESOI
from tests.comparison.made_up_tasks import results_of, task_of

NAMES = ("denoising", "deblocking", "demosaicing", "flow", "filtering")


@pytest.fixture(autouse=True)
def _without_bootstrap(monkeypatch):
  """It decides nothing, and takes time."""
  monkeypatch.setattr("sr_jax.comparison.statistics.crossed_bootstrap", lambda _: (0.0, 0.0))


def decided(*tasks):
  """The results of a run with the verdict, which is JSON data."""
  results = results_of(*tasks)
  verdict = explicit_forms.decide(results)
  assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict
  return results | {"verdict": verdict}


def verdict_of(*tasks):
  return decided(*tasks)["verdict"]


def first_sentence(*tasks):
  return verdict_of(*tasks)["sentences"][0]


def test_known_effects_are_recovered():
  shares = {"transposed": 0.1, "nearest": -0.2, "half": 0.01}
  task = verdict_of(task_of("denoising", gain=3.0, noise=1e-4, **shares))["tasks"]["denoising"]
  for form, share in shares.items():
    arm = task["arms"][form]
    assert arm["share"]["mean"] == pytest.approx(share, abs=1e-3)
    assert arm["effect"]["mean"] == pytest.approx(share * task["gain"]["mean"], rel=0.05)
    assert arm["error"] < 1e-3
    assert arm["left_out"] == []
  assert task["gain"]["mean"] == pytest.approx(3, rel=0.1)
  assert task["gain"]["decision"] == "more"


@pytest.mark.parametrize(
  ("task", "decision"),
  [
    ({"half": 0.1}, "helps"),
    ({"half": -0.1}, "hurts"),
    ({"half": 0.0}, "equivalent"),
    ({"half": 0.05}, "undecided"),
    ({"half": 0.0, "noise": 0.5}, "undecided"),
    ({"half": 0.1, "images": 5}, "too few images"),
    ({"half": 0.1, "seeds": 1}, "undecided"),
  ],
)
def test_a_form_in_a_task_is_decided_by_its_share(task, decision):
  arm = verdict_of(task_of("flow", **task))["tasks"]["flow"]["arms"]["half"]
  assert arm["decision"] == decision


@pytest.mark.parametrize(
  ("task", "decision"),
  [
    ({"half": 0.1, "linear": -0.3}, "helps"),
    ({"half": -0.1, "linear": -0.3}, "not needed"),
    ({"half": 0.0, "linear": -0.3}, "not needed"),
    ({"half": 0.05, "linear": -0.3}, "undecided"),
    ({"half": 0.1, "linear": 0.0, "images": 5}, "too few images"),
  ],
)
def test_a_task_is_decided_by_its_best_form(task, decision):
  task = verdict_of(task_of("flow", **task))["tasks"]["flow"]
  assert task["best"] == "half"
  assert task["decision"] == decision


def test_lr_well_ahead_is_not_needed_however_unsure_by_how_much():
  """Its interval crosses -5 %, so that the form itself is undecided."""
  task = verdict_of(task_of("flow", half=-0.05, noise=0.02))["tasks"]["flow"]
  assert task["arms"]["half"]["decision"] == "undecided"
  assert task["decision"] == "not needed"


def test_the_best_form_is_chosen_on_validation_images():
  record = task_of("flow", half=0.02, linear=0.0)
  for member in record["arms"]["linear"]["members"]:
    member["validation_psnr"] += 10
  task = verdict_of(record)["tasks"]["flow"]
  assert (task["best"], task["decision"]) == ("linear", "not needed")


def test_the_skip_is_an_explicit_form():
  tasks = [task_of(name, half=-0.1, skip=0.2) for name in NAMES]
  verdict = verdict_of(*tasks)
  assert {task["best"] for task in verdict["tasks"].values()} == {"skip"}
  assert verdict["decision"] == "helps"


def test_a_diverged_member_leaves_its_pair():
  lost = (("half", 1), ("linear", 0), ("linear", 1), ("linear", 2), ("linear", 3))
  results = decided(task_of("flow", half=0.1, nearest=0.1, linear=0.2, diverged=lost))
  task = results["verdict"]["tasks"]["flow"]
  arms = task["arms"]
  assert [arms[form]["left_out"] for form in arms] == [[1], [], [0, 1, 2, 3]]
  assert [arms[form]["share"]["seeds"] for form in arms] == [3, 4, 0]
  assert arms["half"]["periodicity"]["seeds"] == 3
  assert arms["linear"]["effect"]["mean"] is None
  assert task["best"] in ("half", "nearest")
  sentences = "\n".join(results["verdict"]["sentences"])
  diverged = (
    "Diverged, and left out with the same seeds of the other network: flow, Half: seeds [1]"
  )
  assert f"{diverged}; flow, Linear: seeds [0, 1, 2, 3]." in sentences


def test_a_reference_that_diverged_decides_nothing():
  lost = [("lr", seed) for seed in range(4)]
  task = verdict_of(task_of("flow", half=0.1, diverged=lost))["tasks"]["flow"]
  assert (task["decision"], task["gain"]["mean"]) == ("undecided", None)
  assert task["reason"] == "no seed finished in both networks"


def test_a_task_with_another_unit_joins_by_its_share():
  tasks = [task_of(name, half=0.2) for name in NAMES if name != "flow"]
  flow = task_of("flow", measure="epe_db", half=0.2)
  verdict = verdict_of(*tasks, flow, task_of("segmentation", unit="", gain=0.3, half=0.2))
  pooled = verdict["pooled"]["half"]
  by_psnr = [name for name in NAMES if name != "flow"]
  assert pooled["share"]["tasks"] == [*by_psnr, "flow", "segmentation"]
  assert pooled["effect"]["tasks"] == by_psnr
  assert pooled["share"]["mean"] == pytest.approx(0.2, abs=0.01)
  effect = verdict["tasks"]["segmentation"]["arms"]["half"]["effect"]
  assert effect["mean"] == pytest.approx(0.06, abs=0.01)
  assert effect["decision"] is effect["p_supported"] is None
  assert verdict["tasks"]["flow"]["arms"]["half"]["effect"]["decision"] is None
  assert verdict["tasks"]["denoising"]["arms"]["half"]["effect"]["decision"] == "supported"


@pytest.mark.parametrize(
  ("task", "arm_decision", "decision"),
  [
    ({"gain": 4.0, "half": 0.03}, "helps", "helps"),  # 0.12 dB
    ({"gain": 4.0, "half": -0.03}, "hurts", "not needed"),
    ({"gain": 4.0, "half": 0.0125}, "undecided", "undecided"),  # 0.05 dB, which the share misses
    ({"gain": 4.0, "half": 0.005}, "equivalent", "not needed"),
    ({"gain": 0.2, "half": 0.15}, "helps", "helps"),  # 0.03 dB
    ({"gain": 0.2, "half": 0.05}, "undecided", "undecided"),
    ({"gain": 4.0, "half": 0.03, "measure": "epe_db"}, "equivalent", "not needed"),
    ({"gain": -1.0, "half": -0.2}, "helps", "helps"),  # 0.2 dB where LR gains nothing
  ],
)
def test_psnr_decides_by_the_share_and_in_db(task, arm_decision, decision):
  task = verdict_of(task_of("flow", **task))["tasks"]["flow"]
  assert task["arms"]["half"]["decision"] == arm_decision
  assert task["decision"] == decision


def test_a_form_that_helps_and_is_not_the_best_leaves_a_task_undecided():
  record = task_of("flow", half=0.1, linear=0.0)
  for member in record["arms"]["linear"]["members"]:
    member["validation_psnr"] += 10
  verdict = verdict_of(record)
  assert verdict["tasks"]["flow"]["decision"] == "undecided"
  assert "; Half helps, but is not the best on validation images)." in verdict["sentences"][0]


def test_a_task_has_to_help_among_all_tasks():
  shares = iter(np.linspace(0.1, 0.3, 200))
  while True:  # the least share that helps by its own interval
    unsure = task_of("signal", half=next(shares), noise=0.05)
    alone = verdict_of(unsure)["tasks"]["signal"]
    if alone["arms"]["half"]["decision"] == "helps":
      break
  assert alone["decision"] == "helps, unadjusted"  # its p of two scales is doubled
  assert alone["adjusted_p_helps"] == alone["p_helps"] >= 0.025
  others = [task_of(name, half=-0.1) for name in NAMES]
  verdict = verdict_of(*others, unsure)
  task = verdict["tasks"]["signal"]
  assert task["adjusted_p_helps"] == pytest.approx(6 * task["p_helps"])
  assert verdict["decision"] == "undecided"
  assert "not adjusted for the number of tasks, in signal (Half +" in verdict["sentences"][0]
  sure = verdict_of(*others, task_of("signal", half=0.3))
  assert sure["decision"] == sure["tasks"]["signal"]["decision"] == "helps"
  assert sure["tasks"]["signal"]["adjusted_p_helps"] < 0.025


def test_sentences_never_contradict_the_first():
  rng = np.random.default_rng(0)
  seen = set()
  for _ in range(60):
    center, spread = rng.choice([-0.2, -0.02, 0.02, 0.1]), rng.choice([0.0, 0.03, 0.1])
    tasks = []
    for name, measure in zip(NAMES, ("psnr", "psnr", "psnr", "epe_db", "psnr"), strict=True):
      half, skip = center + spread * rng.standard_normal(2)
      record = task_of(
        name,
        measure=measure,
        seeds=2,
        gain=rng.choice([0.3, 1.0, 5.0]),
        noise=rng.choice([0.002, 0.02]),
        half=half,
        skip=skip,
      )
      for member in record["arms"]["skip"]["members"]:
        member[f"validation_{measure}"] += rng.normal(0, 0.1)
      tasks.append(record)
    verdict = verdict_of(*tasks)
    seen.add(verdict["decision"])
    text = " ".join(verdict["sentences"][:1] + verdict["sentences"][3:-1])
    if "necessary in none" in text:
      assert "help" not in text
    for task in verdict["tasks"].values():
      if task["decision"] == "not needed":
        for arm in task["arms"].values():
          assert arm["decision"] != "helps"
          assert task["measure"] == "epe_db" or not arm["effect"]["low"] > 0.05
        best = task["arms"][task["best"]]
        assert best["share"]["high"] < SHARE_SESOI
        assert task["measure"] == "epe_db" or best["effect"]["high"] < 0.05
    if verdict["decision"] != "helps":
      assert verdict["sentences"][0].count("Explicit upsampling helps") == 0
      assert verdict["pooled"]["best"]["decision"] != "helps"
  assert seen == {"helps", "not needed", "undecided"}


def test_the_best_form_over_images_alone_is_said():
  tasks = [task_of(name, half=0.0) for name in NAMES]
  verdict = verdict_of(*tasks, task_of("signal", dims=1, half=-0.5))
  assert verdict["images"]["tasks"] == list(NAMES)
  assert verdict["images"]["mean"] == pytest.approx(0.0, abs=0.01)
  (sentence,) = (each for each in verdict["sentences"] if each.startswith("With tasks of d = 1"))
  assert "over 5 tasks, the best explicit form of each task brings " in sentence
  assert not any("With tasks of d = 1" in each for each in verdict_of(*tasks)["sentences"])


def test_limits_are_computed():
  results = results_of(
    task_of("super_resolution", half=0.0, linear=0.0), task_of("signal", dims=1, half=0.0)
  )
  results["config"] |= {"data": "sample_photos", "signal": "sample_photos"}
  arms = results["tasks"]["super_resolution"]["arms"]
  arms["linear"]["budget"] |= {"parameters": 617, "receptive_field": 40}
  arms["half"]["budget"] |= {"parameters": 2468, "shift": 0.5}
  limits = explicit_forms.decide(results)["sentences"][-1]
  assert "LR has 0.5 to 2 times the parameters of the explicit forms" in limits
  assert "receptive fields differ between networks in super-resolution;" in limits
  assert "Half is shifted by half an HR pixel in super-resolution;" in limits
  assert "linear interpolation takes values beyond the border as zero" in limits
  assert "smaller than the largest receptive field in super-resolution." in limits
  assert "signals are scan lines of the photographs of super-resolution" in limits
  results["config"]["data"] = "tfds:T91"
  assert "scan lines" not in explicit_forms.decide(results)["sentences"][-1]
  segmentation = verdict_of(task_of("segmentation", half=0.0))["sentences"][-1]
  assert "in segmentation it is told which class" in segmentation
  assert "linear interpolation" not in segmentation
  assert "Tasks share" not in segmentation


def test_a_form_that_gains_where_lr_gains_nothing_helps():
  flow = task_of("flow", measure="epe_db", half=0.0, linear=0.0)
  without = np.array(flow["no_network"]["test"]["epe_db"])
  for name, gain in (("lr", 0.0), ("half", 5.0), ("linear", 0.0)):
    for seed, member in enumerate(flow["arms"][name]["members"]):
      rng = np.random.default_rng([seed, len(name)])
      noise = 0.01 * rng.standard_normal(len(without))
      member["test"]["epe_db"] = (without + gain + noise).tolist()
      member["validation_epe_db"] = gain
  record = verdict_of(flow, task_of("denoising", half=0.0))["tasks"]["flow"]
  assert record["arms"]["half"]["share"]["mean"] is None
  assert record["arms"]["half"]["decision"] == "helps"
  assert record["arms"]["linear"]["decision"] == "undecided"
  assert (record["decision"], record["best"]) == ("helps", "half")
  assert record["adjusted_p_helps"] < 0.025


def test_units_do_not_change_shares():
  record = task_of("flow", measure="epe_db", half=0.03)
  scaled = task_of("flow", measure="epe_db", half=0.03)
  for scores in (
    scaled["no_network"]["test"],
    *(member["test"] for arm in scaled["arms"].values() for member in arm["members"]),
  ):
    scores["epe_db"] = (1e-3 * np.array(scores["epe_db"])).tolist()
  first, second = (verdict_of(task)["tasks"]["flow"]["arms"]["half"] for task in (record, scaled))
  assert second["decision"] == first["decision"]
  for name in ("mean", "low", "high", "error"):
    assert second["share"][name] == pytest.approx(first["share"][name], rel=1e-6)


@pytest.mark.parametrize(
  ("share", "decision"),
  [(0.2, "helps"), (-0.2, "hurts"), (0.0, "equivalent"), (0.05, "undecided")],
)
def test_a_form_is_decided_over_tasks(share, decision):
  pooled = verdict_of(*(task_of(name, half=share) for name in NAMES))["pooled"]
  for form in ("half", "best"):
    assert pooled[form]["share"]["decision"] == decision
    assert pooled[form]["share"]["count"] == 5
  assert pooled["half"]["effect"]["decision"] == decision


def test_tasks_that_cannot_join_are_named():
  results = decided(
    *(task_of(name, half=0.2) for name in NAMES),
    task_of("no gain", gain=-1.0, half=0.2),
    task_of("few", images=5, half=0.2),
    task_of("one seed", seeds=1, half=0.2),
    task_of("lost", half=0.2, diverged=[("half", seed) for seed in range(4)]),
    task_of("same", half=0.0, noise=0.0),
    task_of("deblocking_x2", pooled=False, half=0.2),
    task_of("signal", skip=0.2, lr_plain=0.0),
  )
  verdict = results["verdict"]
  share = verdict["pooled"]["half"]["share"]
  assert share["tasks"] == list(NAMES)
  assert share["left_out"] == {
    "no gain": "the reference gains nothing over no network",
    "few": "fewer than 6 test images",
    "one seed": "an interval needs two seeds",
    "lost": "no seed finished in both networks",
    "same": "nothing varies over seeds and images",
  }
  assert list(verdict["pooled"]) == ["half", "skip", "best"]
  assert verdict["pooled"]["skip"]["share"]["tasks"] == ["signal"]
  assert "lost" not in verdict["pooled"]["best"]["share"]["left_out"]
  assert verdict["tasks"]["lost"]["reason"] == "no explicit form finished"
  sentences = "\n".join(verdict["sentences"])
  for task, reason in share["left_out"].items():
    assert f"{task} of Half" in sentences
    assert reason in sentences
  assert "Too few images for a decision, fewer than 6 test images: few." in sentences
  assert "gains over no network is not shown to be above zero: no gain -" in sentences
  assert "only signal has a share" in sentences


def test_only_intervals_that_all_say_so_make_it_unnecessary():
  none = [task_of(name, half=-0.02, linear=-0.1) for name in NAMES]
  assert verdict_of(*none)["decision"] == "not needed"
  assert first_sentence(*none).startswith(
    "Explicit upsampling is necessary in none of the 5 tasks tested: it is not needed in denoising "
    "(Half), "
  )
  for other in (
    task_of("signal", half=0.05),
    task_of("signal", half=0.0, images=5),
    task_of("signal", half=0.0, seeds=1),
    task_of("signal", half=0.0, gain=-1.0),
    task_of("signal", half=0.05, pooled=False),
  ):
    assert verdict_of(*none, other)["decision"] == "undecided"
    first = first_sentence(*none, other)
    assert first.startswith("Whether explicit upsampling is necessary in any of the 6 tasks")
    assert "signal (" in first.partition("; ")[2]


def test_an_undecided_mean_over_tasks_never_makes_it_unnecessary():
  # A single task, whose mean over tasks has no interval, and two that differ much.
  for tasks in ([-0.02], [-0.5, 0.03]):
    run = [task_of(name, half=share) for name, share in zip(NAMES, tasks, strict=False)]
    verdict = verdict_of(*run)
    assert {task["decision"] for task in verdict["tasks"].values()} == {"not needed"}
    assert verdict["pooled"]["best"]["share"]["decision"] == "undecided"
    assert verdict["decision"] == "undecided"
    assert verdict["sentences"][0].endswith(").")
    assert "necessary in none" not in "\n".join(verdict["sentences"])


def test_where_it_helps_is_said():
  tasks = [task_of(name, half=0.0, nearest=-0.3) for name in NAMES]
  results = decided(*tasks, task_of("signal", half=0.3, nearest=-0.3))
  sentences = results["verdict"]["sentences"]
  assert sentences[0].startswith(
    "Explicit upsampling helps in 1 of the 6 tasks tested: signal (Half +"
  )
  assert any(each.startswith("Half helps in signal +") for each in sentences)
  assert any(each.startswith("Nearest hurts in denoising -") for each in sentences)
  column = explicit_forms.headline(results)
  assert column["explicit upsampling"] == "helps"
  assert column["tasks"] == "6"


def test_the_mean_over_tasks_may_help_where_no_task_is_shown_to():
  tasks = [task_of(f"task {i}", half=0.07, noise=0.03) for i in range(30)]
  verdict = verdict_of(*(task for task in tasks if not _helps(task)))
  assert verdict["decision"] == "helps"
  assert verdict["sentences"][0].startswith(
    "Explicit upsampling helps on average over tasks: it is not needed in task 20 ("
  )


def _helps(task):
  return verdict_of(task)["decision"] == "helps"


def test_periodicity_is_compared_on_images_that_have_one():
  more = {"transposed": 3.0, "linear": -3.0}
  records = [
    task_of(name, transposed=0.0, linear=0.0, half=0.0, periodicity=more) for name in NAMES
  ]
  records[0]["arms"]["lr"]["members"][2]["test"]["periodicity"][4] = None
  verdict = verdict_of(*records)
  arms = verdict["tasks"]["denoising"]["arms"]
  assert {arm["periodicity"]["images"] for arm in arms.values()} == {9}
  assert arms["transposed"]["periodicity"]["mean"] == pytest.approx(3, abs=0.2)
  pooled = verdict["pooled"]
  decisions = [pooled[form]["periodicity"]["decision"] for form in ("transposed", "linear", "half")]
  assert decisions == ["more", "less", "undecided"]
  (sentence,) = (each for each in verdict["sentences"] if "repeat" in each)
  assert "repeat more with the phases than those of LR: Transposed +" in sentence
  assert "not shown to repeat more or less with the phases: Half " in sentence


def test_failures_and_edges_are_cautions():
  record = task_of("super_resolution", half=-0.2)
  record["arms"]["half"]["members"][3]["status"] = "below no network"
  record["arms"]["lr"]["rate_at_edge"] = "largest"
  sentences = verdict_of(record)["sentences"]
  edge = "the edge of the grid, so that a wider --learning_rate may change the result: "
  assert any(f"{edge}super-resolution, LR: 0.004." in each for each in sentences)
  below = "Did not beat no network, and stay in the comparison: super-resolution, Half: seeds [3]."
  assert below in sentences
  assert "beyond 300 steps" in sentences[-1]
  assert "head" not in sentences[-1]


def test_a_single_head_is_a_limit():
  results = results_of(task_of("volume", half=0.0))
  results["config"]["volume"] = "mni152"
  last = explicit_forms.decide(results)["sentences"][-1]
  assert "heads other than one" in last


def test_the_limit_is_in_the_verdict():
  assert verdict_of(task_of("flow", half=0.0))["sesoi"]["share"] == SHARE_SESOI
