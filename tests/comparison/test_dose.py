import numpy as np
import pytest

from sr_jax.comparison.dose import decide, grid_name, headline

GRIDS = ((1, 2), (1, 4), (1, 8), (2, 2), (2, 3), (2, 4), (3, 2))


@pytest.fixture(autouse=True)
def _no_bootstrap(monkeypatch):
  """The bootstrap is a second interval beside the one that decides, and slow."""
  monkeypatch.setattr("sr_jax.comparison.statistics.crossed_bootstrap", lambda _: (0.0, 0.0))


def member(seed, scores, status="ok"):
  return {"seed": seed, "status": status, "test": {"psnr": list(scores)}}


def results_of(advantage, grids=GRIDS, noise=0.01, seeds=3, images=8, gain=2.0):
  """A run in which LR is ahead by `advantage(d, log2 R)` of its gain, give or take the noise."""
  rng = np.random.default_rng(0)
  records = {}
  for dims, scale in grids:
    without = 30 + rng.standard_normal(images)
    lr = without + gain + noise * rng.standard_normal((seeds, images))
    behind = gain * advantage(dims, dims * np.log2(scale))
    hr = without + gain - behind + gain * noise * rng.standard_normal((seeds, images))
    arms = {
      name: {
        "budget": {"parameters": parameters},
        "rate_at_edge": None,
        "members": [member(seed, row) for seed, row in enumerate(scores)],
      }
      for name, scores, parameters in (("lr", lr, 800), ("hr_learned", hr, 100))
    }
    records[grid_name(dims, scale)] = {
      "dims": dims,
      "scale": scale,
      "no_network": {"test": {"psnr": list(without)}},
      "arms": arms,
    }
  return {"grids": records}


def test_a_line_is_recovered_with_its_sign():
  verdict = decide(results_of(lambda _, log_r: 0.02 + 0.05 * log_r))
  line = verdict["line"]
  assert verdict["decision"] == "one line"
  assert line["slope"]["mean"] == pytest.approx(0.05, abs=0.005)
  assert line["slope"]["low"] < 0.05 < line["slope"]["high"]
  assert line["intercept"]["mean"] == pytest.approx(0.02, abs=0.01)
  assert line["growth"]["mean"] == pytest.approx(3 * line["slope"]["mean"])
  assert line["degrees_of_freedom"] == 5
  assert line["tau_low"] <= line["tau"] <= line["tau_high"] < 0.05
  assert verdict["dimensions"]["degrees_of_freedom"] == [2, 3]
  assert verdict["dimensions"]["p"] > 0.05
  assert (
    "on one line, to within 5 % of the gain whatever d is of 1, 2, 3: by "
    in (verdict["sentences"][0])
  )
  grid = verdict["grids"]["d2_r4"]
  assert grid["advantage"]["mean"] == pytest.approx(0.22, abs=0.01)
  assert grid["advantage"]["low"] < 0.22 < grid["advantage"]["high"]
  assert grid["effect"]["mean"] == pytest.approx(0.44, abs=0.02)
  assert grid["line"] + grid["deviation"] == pytest.approx(grid["advantage"]["mean"])
  assert sum(each["weight"] for each in verdict["grids"].values()) == pytest.approx(1)


def test_equal_shares_do_not_grow():
  verdict = decide(results_of(lambda _d, _r: 0.2))
  assert verdict["decision"] == "does not grow"
  assert verdict["line"]["slope"]["mean"] == pytest.approx(0, abs=0.005)
  assert verdict["sentences"][0].startswith("The advantage of LR does not grow with log R: by ")


def test_an_advantage_that_falls_does_not_grow():
  assert decide(results_of(lambda _, log_r: 0.4 - 0.05 * log_r))["decision"] == "does not grow"


def test_dimensions_that_are_apart_are_seen_and_are_no_line():
  offsets = {1: -0.1, 2: 0.0, 3: 0.1}
  results = results_of(lambda d, log_r: 0.1 + 0.1 * log_r + offsets[d])
  verdict = decide(results)
  assert verdict["decision"] == "grows"
  assert verdict["line"]["tau_high"] > 0.05
  assert verdict["line"]["p_homogeneous"] < 0.001
  assert verdict["dimensions"]["p"] < 0.05
  assert any("dimensions are apart" in sentence for sentence in verdict["sentences"])


def test_grids_too_far_apart_for_a_slope_are_undecided():
  spread = iter([0.5, -0.4, 0.1, 0.6, -0.5, 0.4, 0.0])
  verdict = decide(results_of(lambda _d, _r: next(spread)))
  assert verdict["decision"] == "undecided"
  assert "is undecided: by " in verdict["sentences"][0]


def test_noise_alone_is_undecided_whatever_tau():
  assert decide(results_of(lambda _d, _r: 0.1, noise=1.0))["decision"] == "undecided"


def test_a_seed_that_diverged_is_left_out_and_named():
  results = results_of(lambda _, log_r: 0.05 * log_r)
  hr = results["grids"]["d2_r3"]["arms"]["hr_learned"]
  hr["members"][1] = member(1, [None] * 8, "diverged")
  hr["rate_at_edge"] = "highest"
  verdict = decide(results)
  assert verdict["grids"]["d2_r3"]["left_out_seeds"] == [1]
  assert verdict["grids"]["d2_r3"]["seeds"] == 2
  text = " ".join(verdict["sentences"])
  assert "d = 2, r = 3: a network of seed 1 diverged" in text
  assert "at an end of those tried: d = 2, r = 3, HR learned." in text


def test_networks_that_only_interpolate_decide_nothing():
  results = results_of(lambda _, log_r: 0.05 * log_r)
  record = results["grids"]["d2_r3"]
  members = record["arms"]["hr_learned"]["members"]
  members[0]["test"]["psnr"] = record["no_network"]["test"]["psnr"]
  verdict = decide(results)
  assert verdict["reason"] == ""
  assert verdict["grids"]["d2_r3"]["learned"] == {"lr": 3, "hr_learned": 2}
  stays = "Seeds that have learned no more than interpolation stay in: d = 2, r = 3, 1 of 3 of HR"
  assert any(sentence.startswith(stays) for sentence in verdict["sentences"])
  rng = np.random.default_rng(1)
  for each in members:
    noise = 1e-3 * rng.standard_normal(8)
    each["test"]["psnr"] = list(np.array(record["no_network"]["test"]["psnr"]) + noise)
  verdict = decide(results)
  assert verdict["decision"] == "undecided"
  assert verdict["sentences"][0].endswith(
    ", but no seed has learned more than interpolation of d = 2, r = 3, HR learned."
  )


@pytest.mark.parametrize(
  ("fields", "reason"),
  [
    ({"seeds": 1}, "no standard error, which needs two seeds"),
    ({"images": 5}, "5 test images, and 6 are needed"),
    ({"gain": -1.0}, "the reference gains nothing over no network"),
  ],
)
def test_grids_without_a_sure_share_are_not_in_the_fit(fields, reason):
  verdict = decide(results_of(lambda _, log_r: 0.05 * log_r, **fields))
  assert verdict["line"] is None
  assert {grid["reason"] for grid in verdict["grids"].values()} == {reason}
  assert verdict["decision"] == "undecided"
  assert "0 of 7 grids can be fitted, and 4 are needed" in verdict["sentences"][0]


def test_a_single_r_makes_no_line():
  records = results_of(lambda _d, _r: 0.1, grids=((1, 8), (3, 2)))["grids"]
  doubled = {f"{name}_{i}": record for name, record in records.items() for i in (0, 1)}
  assert decide({"grids": doubled})["reason"] == "all grids have the same R"


def test_one_dimension_has_no_test_of_dimensions():
  grids = ((2, 2), (2, 3), (2, 4), (2, 8))
  verdict = decide(results_of(lambda _, log_r: 0.1 * log_r, grids=grids))
  assert verdict["dimensions"] is None
  assert verdict["decision"] == "one line"
  assert "of the gain for d = 2, which is not compared with another: by" in verdict["sentences"][0]
  assert "Dimensions differ" not in verdict["sentences"][-1]


def test_a_line_of_dimensions_that_are_apart_or_not_tested_is_not_said_of_every_d():
  offsets = {1: -0.006, 2: 0.006, 3: 0.006}
  results = results_of(lambda d, log_r: 0.05 * log_r + offsets[d], noise=0.0005)
  verdict = decide(results)
  assert verdict["decision"] == "one line"
  assert verdict["dimensions"]["p"] < 0.05
  assert "of the gain, though d = 1, 2, 3 are apart at equal R: by" in verdict["sentences"][0]
  grids = ((1, 2), (1, 4), (2, 4), (3, 2))
  verdict = decide(results_of(lambda _, log_r: 0.05 * log_r, grids=grids, noise=0.001))
  assert (verdict["decision"], verdict["dimensions"]) == ("one line", None)
  assert "for d = 1, 2, 3; whether these are apart is not tested: by" in verdict["sentences"][0]


def test_that_networks_may_train_differently_is_a_limit():
  results = results_of(lambda _, log_r: 0.05 * log_r, noise=1e-4)
  results["grids"]["d1_r2"]["arms"]["hr_learned"]["rate_at_edge"] = "highest"
  limits = decide(results)["sentences"][-1]
  assert "it gains least at d = 2, r = 4, 80.0 % of what LR gains;" in limits
  assert "its learning rate is at an end of those tried on 1 of the grids." in limits


def test_the_headline_has_the_slope():
  results = results_of(lambda _, log_r: 0.05 * log_r, noise=1e-4)
  results["verdict"] = decide(results)
  columns = headline(results)
  assert columns["advantage of LR against log R"] == "one line"
  assert columns["a doubling of R (share of gain)"].startswith("+5.0 % (")
  assert columns["grids"] == "7"
