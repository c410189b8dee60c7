import numpy as np
import pytest

from sr_jax.comparison import convergence

RNG = np.random.default_rng(0)
IMAGES = [f"{i}" for i in range(20)]


def run(steps, seeds, leads, validation=()):
  """A run whose networks are better than HR by these leads in dB, on all photographs."""
  level = RNG.normal(30, 2, len(IMAGES))

  def member(seed, name, lead):
    psnr = (level + lead + RNG.normal(0, 0.01, len(IMAGES))).tolist()
    score = dict(validation).get(name, 30.0)
    scores = {"test": {"psnr": psnr}, "training": {"psnr": psnr}, "validation_psnr": score}
    return {"seed": seed, "status": "ok", **scores}

  arms = {k: {"members": [member(s, k, v) for s in range(seeds)]} for k, v in leads.items()}
  config = {"steps": steps, "seeds": seeds}
  return {"config": config, "images": {"test": IMAGES}, "arms": arms, "further_tests": {}}


def test_of_a_length_the_run_with_most_seeds_counts():
  few, many = run(3000, 4, {"lr": 0.1, "hr": 0}), run(3000, 6, {"lr": 0.1, "hr": 0})
  other = run(9000, 8, {"lr": 0.1, "hr_k4": 0})
  assert convergence.runs_of([many, few, other], "lr", "hr") == {3000: many}


@pytest.mark.parametrize(
  ("before", "after", "finding"),
  [
    (0.1, 0.2, "supported"),
    (0.1, 0.0, "a matter of training time"),
    (0.0, -0.1, "a matter of training time"),
    (0.1, 0.05, "undecided"),
  ],
)
def test_the_shortest_and_the_longest_length_that_decide_decide(before, after, finding):
  runs = {
    3000: run(3000, 4, {"lr": before, "hr": 0}),
    12000: run(12000, 6, {"lr": after, "hr": 0}),
    48000: run(48000, 2, {"lr": 1.0, "hr": 0}),
  }
  assert convergence.finding(runs, "lr", "hr") == finding
  change = convergence.change(convergence.deciding(runs), "lr", "hr")
  assert change.mean == pytest.approx(after - before, abs=0.01)
  assert change.seeds == 4  # that both have
  lead, changed = convergence.sentences(runs, "lr", "hr")
  assert "after 48,000 (2 seeds, descriptive only)" in lead
  assert f"{change.mean:+.3f}" in changed


def test_the_best_opponent_is_chosen_on_validation_photographs_of_the_longest_length():
  leads = {"lr": 0.1, "hr": 0, "hr_k4": 0}
  short = run(3000, 4, leads, {"hr": 31}.items())
  long = run(9000, 4, leads, {"hr_k4": 31}.items())
  apart = run(9000, 6, {"lr": 0.1, "hr_k3": 0}, {"hr_k3": 30.5}.items())
  describes = run(30000, 2, leads, {"hr": 40}.items())
  assert convergence.best_opponent([short, long, apart, describes]) == "hr_k4"
  with pytest.raises(ValueError, match="four seeds"):
    convergence.best_opponent([describes])


def test_lengths_need_two_runs_on_the_same_photographs():
  short, long = run(3000, 4, {"lr": 0, "hr": 0}), run(9000, 4, {"lr": 0, "hr": 0})
  with pytest.raises(ValueError, match="two"):
    convergence.finding({3000: short}, "lr", "hr")
  long["images"]["test"] = long["images"]["test"][1:]
  with pytest.raises(ValueError, match="same test photographs"):
    convergence.change({3000: short, 9000: long}, "lr", "hr")
