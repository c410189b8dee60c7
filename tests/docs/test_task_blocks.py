"""The answers on explicit upsampling follow the effects that they are about."""

import json
import re

import numpy as np
import pytest

from docs import kept_results, question_blocks, task_blocks, update_readme
from experiments import dose, other_tasks
from sr_jax.comparison import dose as dose_verdict
from sr_jax.comparison import explicit_forms
from sr_jax.config import to_dict
from tests.report.conftest import make_task

TASKS = ("super_resolution", "flow", "signal")


@pytest.fixture(autouse=True)
def _without_bootstrap(monkeypatch):
  """It decides nothing, and takes time."""
  monkeypatch.setattr("sr_jax.comparison.statistics.crossed_bootstrap", lambda _: (0.0, 0.0))


def kept(*runs):
  """What is kept of runs, each results with what timing.json holds."""
  about = {"provenance": {"revision": "0123456789ab"}}
  return {
    kept_results.name_of(run): {
      "command": kept_results.command(run),
      "results": run,
      "timing": {"device": "1 x cpu", **timing},
      **about,
    }
    for run, timing in runs
  }


def run_of_tasks(preset="confirmatory", **shares):
  """A run of three tasks whose best form brings these shares of the gain."""
  module = other_tasks
  config = module.PRESETS[preset] if preset else module.Config()
  tasks = {name: make_task(name) for name in TASKS}
  for record in tasks.values():
    record["notes"] = ["One photograph is left out."]
    for form in ("nearest", "linear", "skip"):  # of which some help in some task
      record["arms"].pop(form, None)
  for name, share in shares.items():
    measure = tasks[name]["task"]["measure"]
    half = tasks[name]["arms"]["half"]["members"]
    for member, reference in zip(half, tasks[name]["arms"]["lr"]["members"], strict=True):
      member["test"][measure] = (np.array(reference["test"][measure]) + 2 * share).tolist()
      member[f"validation_{measure}"] = 99.0
  results = {"experiment": "other_tasks", "config": to_dict(config), "tasks": tasks, "notes": []}
  results["verdict"] = explicit_forms.decide(results)
  part = {
    "phase_seconds": {"train": 60.0},
    "step_seconds": {"lr": 0.002},
    "executed_macs": {"lr": 500.0},
  }
  return results, {"tasks": dict.fromkeys(TASKS, part)}


def run_of_grids(slope):
  """A run in which LR is ahead by so much of its gain for every doubling of R."""
  grids = {}
  for grid in dose.GRIDS:
    dims, scale = dose.dims_and_scale(grid)
    record = make_task("super_resolution")
    del record["task"]
    without = np.array(record["no_network"]["test"]["psnr"])
    rng = np.random.default_rng(dims * scale)
    arms = {}
    for name, ahead in (("lr", 0.0), ("hr_learned", -slope * dims * np.log2(scale))):
      arms[name] = make_task("super_resolution")["arms"]["lr"]
      for member in arms[name]["members"]:
        noise = 0.02 * rng.standard_normal(len(without))
        member["test"]["psnr"] = (without + 2 * (1 + ahead) + noise).tolist()
    grids[dose_verdict.grid_name(dims, scale)] = {
      **record,
      "arms": arms,
      "dims": dims,
      "scale": scale,
      "notes": ["A note on these images."],
    }
  config = to_dict(dose.PRESETS["confirmatory"])
  results = {"experiment": "dose", "config": config, "grids": grids, "notes": ["One is left out."]}
  results["verdict"] = dose_verdict.decide(results)
  return results, {"phase_seconds": {"d1_r2": 60.0}}


def run_of_skip(make, loss, steps):
  """LR and HR lose so many dB without the skip."""
  lead = dict.fromkeys(("lr_plain", "hr_k4_plain"), -loss)
  return make("explicit_skip", "confirmatory", lead, steps=steps), {"phase_seconds": {"t": 60.0}}


@pytest.mark.parametrize(
  ("shares", "words"),
  [
    ({"flow": 0.3}, "Explicit upsampling helps in 1 of the 3 tasks tested: flow (Half +30.0 %"),
    (dict.fromkeys(TASKS, -0.2), "Explicit upsampling is necessary in none of the 3 tasks tested"),
  ],
)
def test_the_answer_on_other_tasks_follows_the_best_forms(shares, words):
  runs = kept(run_of_tasks(**shares))
  (answer, *others), blocks = task_blocks.answers(runs), task_blocks.blocks(runs)
  assert answer.startswith(f"**{task_blocks.QUESTIONS['other_tasks']}** {words}")
  assert f"- {answer}" in question_blocks.blocks(runs)["answers"]
  assert all(other.endswith(task_blocks.OPEN) for other in others)
  block = blocks["other_tasks"]
  assert block.startswith(f"**{words}")
  assert block.count("- One photograph is left out.") == 1
  assert "--experiment=other_tasks --preset=confirmatory --manual_dir=SETS" in block
  assert "(3 minutes on 1 x cpu, revision 0123456789.)" in block
  assert "| flow | Half |" in blocks["other_tasks_arms"]
  assert "| flow | LR | the network lr of flow |" in blocks["other_tasks_arms"]
  assert "less LR, over tasks" in blocks["other_tasks_periodicity"]
  assert "**Flow** (r = 4, d = 2). Two frames" in blocks["other_tasks_pictures"]


def test_the_default_run_is_shown_beside_the_confirmatory_one():
  block = task_blocks.blocks(kept(run_of_tasks("", flow=0.3)))["other_tasks"]
  start = (
    f"{task_blocks.OPEN}\n\nOn the sample photographs: Explicit upsampling helps in 1 of the 3"
  )
  assert block.startswith(start)
  assert "python launch.py --experiment=other_tasks\n" in block


@pytest.mark.parametrize(
  ("losses", "lead", "statement"),
  [
    ((0.3, 0.0), "is a matter of training time", "holds after the longer."),
    ((0.3, 0.3), "Explicit upsampling is necessary, after 12,000 steps as", "does not hold here."),
    ((0.0, 0.0), "Explicit upsampling is not necessary, after 3,000 steps as", "holds here."),
    ((0.3, 0.05), "is undecided over lengths", "is undecided here."),
  ],
)
def test_the_skip_is_judged_over_lengths_with_the_sentence_of_the_note(
  made_up_run, losses, lead, statement
):
  pairs = zip(losses, (3000, 12000), strict=True)
  runs = kept(*(run_of_skip(made_up_run, loss, steps) for loss, steps in pairs))
  answer, block = task_blocks.answers(runs)[1], task_blocks.blocks(runs)["explicit_skip"]
  assert lead in answer
  assert f'The note\'s sentence that "{task_blocks.STATEMENT}"' in answer
  assert answer.endswith(statement)
  assert "### After 3,000 steps\n\n- " in block
  assert "### After 12,000 steps\n\n- " in block
  assert "LR plain - HR k4" not in block
  assert "--experiment=explicit_skip --preset=confirmatory --manual_dir=SETS --steps=12000" in block


def test_one_length_judges_no_sentence_and_a_run_of_fewer_seeds_describes(made_up_run):
  shorter = run_of_skip(made_up_run, 0.3, 3000)
  answer = task_blocks.answers(kept(shorter))[1]
  assert "After 3,000 steps explicit upsampling is necessary: LR plain - LR -0.299 dB" in answer
  assert task_blocks.STATEMENT not in answer
  longer = (
    made_up_run("explicit_skip", "confirmatory", {}, steps=48000, seeds=2),
    {"phase_seconds": {}},
  )
  runs = kept(shorter, run_of_skip(made_up_run, 0.3, 12000), longer)
  answer = task_blocks.answers(runs)[1]
  assert "is necessary, after 12,000 steps as after 3,000" in answer
  assert "After 48,000 steps explicit upsampling is not necessary: LR plain" in answer


@pytest.mark.parametrize(
  ("slope", "words"),
  [(0.05, "grows with log R on one line"), (0.0, "does not grow with log R")],
)
def test_the_answer_on_the_dose_follows_the_line(slope, words):
  runs = kept(run_of_grids(slope))
  answer, block = task_blocks.answers(runs)[2], task_blocks.blocks(runs)["dose"]
  assert answer.startswith(f"**{task_blocks.QUESTIONS['dose_confirmatory']}** The advantage of LR")
  assert words in answer
  assert block.startswith("**The advantage of LR")
  assert "| d = 2, r = 3 | 9 |" in block
  assert "- One is left out.\n- A note on these images.\n" in block


def test_nothing_is_said_before_it_is_measured():
  assert set(task_blocks.blocks({}).values()) == {task_blocks.OPEN}
  assert all(answer.endswith(task_blocks.OPEN) for answer in task_blocks.answers({}))


def test_a_run_of_tasks_is_kept_with_its_pictures_and_what_decides(tmp_path, monkeypatch):
  results, timing = run_of_tasks(flow=0.3)
  for record in results["tasks"].values():
    for scored in (record["no_network"], *record["arms"]["lr"]["members"]):
      scored["test"]["accuracy"] = [0.5] * 6
  (tmp_path / "figures").mkdir()
  for name in TASKS:
    (tmp_path / "figures" / f"{name}.png").write_bytes(name.encode())
  about = {"provenance": {"revision": "0123456789"}}
  files = {"results": results, "timing": {"device": "1 x cpu", **timing}, "config": about}
  for name, data in files.items():
    (tmp_path / f"{name}.json").write_text(json.dumps(data))
  for name in ("KEPT", "FIGURES"):
    monkeypatch.setattr(kept_results, name, tmp_path / name)
    (tmp_path / name).mkdir()
  data = kept_results._decided(json.loads(kept_results.keep(tmp_path).read_text()))
  flow = data["results"]["tasks"]["flow"]
  assert set(flow["arms"]["lr"]["members"][0]["test"]) == {"epe_db", "periodicity"}
  assert set(flow["no_network"]["test"]) == {"epe_db", "periodicity"}
  now, then = data["results"]["verdict"], data["verdict_then"]
  assert now["tasks"]["flow"]["arms"]["half"]["share"]["mean"] == pytest.approx(
    then["tasks"]["flow"]["arms"]["half"]["share"]["mean"], abs=1e-4
  )
  monkeypatch.setattr(kept_results, "everything", lambda: {data_name: data})
  data_name = "other_tasks_confirmatory"
  update_readme.draw()
  blocks = task_blocks.blocks({data_name: data})
  shown = re.findall(r"\(figures/([\w.]+)\)", "".join(blocks.values()))
  assert sorted(shown) == sorted(path.name for path in (tmp_path / "FIGURES").iterdir())
  assert len(shown) == len(TASKS) + 2


def test_the_figure_of_the_dose_is_drawn(tmp_path, monkeypatch):
  runs = kept(run_of_grids(0.05))
  monkeypatch.setattr(kept_results, "everything", lambda: runs)
  monkeypatch.setattr(kept_results, "FIGURES", tmp_path)
  update_readme.draw()
  shown = re.findall(r"\(figures/([\w.]+)\)", task_blocks.blocks(runs)["dose"])
  assert shown == [path.name for path in tmp_path.iterdir()]
