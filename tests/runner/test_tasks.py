"""What is done with the folder of a run over several tasks, whatever the tasks are."""

import dataclasses
import json
import signal

import pytest

from sr_jax.comparison.several import SeveralRecipes
from sr_jax.config import Execution, InputError
from sr_jax.runner import tasks
from sr_jax.runner.tasks import Part, Plan, run_tasks
from sr_jax.runtime import preemption
from sr_jax.runtime.files import read_json, write_json
from sr_jax.runtime.preemption import Interrupted
from sr_jax.runtime.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Config(SeveralRecipes):
  kinds: tuple[str, ...] = ("flow", "noise", "head")
  convolution: str = "xla"


class ToyRecipe:
  """A recipe whose data are good, or not."""

  def __init__(self, name, happened):
    self.name, self.happened = name, happened

  def load(self, execution):
    self.happened.append(f"load {self.name}")
    if self.name == "bad":
      raise InputError("its data are bad")


class Toy:
  """An experiment that writes down what happens, and computes nothing."""

  def __init__(self, run_dir, monkeypatch):
    self.run_dir, self.happened, self.missing, self.reports = run_dir, [], "head", []
    self.after = lambda name: None
    self.plan = Plan("kinds", self.present, self.part, self.decide, self.report)
    monkeypatch.setattr(tasks, "run_task", self.run_task)

  def present(self):
    names = [name for name in ("flow", "noise", "head") if name != self.missing]
    return names, [f"{self.missing} is left out."]

  def part(self, name):
    return Part(name, name.upper(), ToyRecipe(name, self.happened), (), {"of": name})

  def run_task(self, experiment, arms, recipe, execution, folder, show):
    assert experiment == f"toy_{recipe.name}"
    self.happened.append(f"train {recipe.name}")
    if not folder.is_finished:
      folder.path.mkdir(parents=True)
      write_json(folder.results, {"choices": {"lr/2": "native"}, "score": 1.5})
    self.after(recipe.name)
    return read_json(folder.results), {"phase_seconds": {"load": 1.0, "train": 2.0}}

  def decide(self, results):
    scores = [part["score"] for part in results["kinds"].values()]
    return {"sentences": [f"{len(scores)} scores, {sum(scores):g} in all."]}

  def report(self, run_dir, results, timing, about):
    self.reports.append((results, timing, about))
    assert timing["phase_seconds"].keys() == results["kinds"].keys()

  def run(self):
    return run_tasks("toy", self.plan, Config(), Execution(), self.run_dir)


@pytest.fixture
def toy(tmp_path, monkeypatch):
  return Toy(RunFolder(tmp_path / "run"), monkeypatch)


def test_all_data_are_read_before_the_first_task(toy):
  assert [*toy.run()] == ["flow", "noise"]
  assert toy.happened == ["load flow", "load noise", "train flow", "train noise"]


def test_results_times_and_config_hold_every_task(toy, capsys):
  toy.run()
  results, timing, about = (
    read_json(path) for path in (toy.run_dir.results, toy.run_dir.timing, toy.run_dir.config)
  )
  part = {"choices": {"lr/2": "native"}, "score": 1.5}
  assert results["kinds"] == {name: {**part, "of": name} for name in ("flow", "noise")}
  assert results["choices"] == {"flow/lr/2": "native", "noise/lr/2": "native"}
  assert timing["phase_seconds"] == {"flow": 3.0, "noise": 3.0}
  assert about["kinds"] == ["flow", "noise"]
  assert toy.reports == [(results, timing, about)]
  out = capsys.readouterr().out
  assert "\nFLOW (1 of 2)\n" in out
  assert "\n2 scores, 3 in all.\nhead is left out.\n" in out


def test_a_finished_run_is_reported_as_it_is_without_its_data(toy, unchanged):
  toy.run()
  toy.happened.clear()
  # With other data, rules and device the report is still of what was decided, and of all tasks.
  toy.plan = toy.plan._replace(present=None, part=None, decide=None)
  with unchanged(toy.run_dir.path):
    assert toy.run() == {}
  assert toy.happened == []
  first, second = toy.reports
  assert first == second


def stop_after(name, monkeypatch):
  """What stands for a signal that arrives while a task is at work."""

  def after(trained):
    if trained == name:
      monkeypatch.setattr(preemption, "_requested", signal.SIGTERM)

  return after


@pytest.mark.parametrize(("last", "trained"), [("flow", 1), ("noise", 2)])
def test_a_signal_stops_before_the_next_task_and_before_results(toy, last, trained):
  with pytest.MonkeyPatch.context() as patch:
    toy.after = stop_after(last, patch)
    with pytest.raises(Interrupted):
      toy.run()
  assert toy.happened[2:] == ["train flow", "train noise"][:trained]
  assert not toy.run_dir.results.exists()
  toy.after = lambda name: None
  assert [*toy.run()] == ["flow", "noise"]
  assert toy.run_dir.is_finished


def test_a_run_goes_on_with_the_tasks_that_it_was_begun_with(toy):
  with pytest.MonkeyPatch.context() as patch:
    toy.after = stop_after("flow", patch)
    with pytest.raises(Interrupted):
      toy.run()
  toy.missing = "noise"  # and the head is there now
  toy.after = lambda name: None
  toy.happened.clear()
  assert [*toy.run()] == ["flow", "noise"]
  assert toy.happened == ["train flow", "train noise"]
  assert read_json(toy.run_dir.results)["notes"] == ["head is left out."]


def test_bad_data_of_the_last_task_stop_a_run_before_it_has_a_folder(toy):
  toy.plan = toy.plan._replace(present=lambda: (["flow", "bad"], []))
  with pytest.raises(InputError, match="its data are bad"):
    toy.run()
  assert toy.happened == ["load flow", "load bad"]
  assert not toy.run_dir.path.exists()


def test_a_folder_that_was_moved_away_is_not_made_again(toy, tmp_path):
  def move(name):
    if name == "noise":
      toy.run_dir.path.rename(tmp_path / "elsewhere")
      toy.run_dir.task(name).path.mkdir(parents=True)
      write_json(toy.run_dir.task(name).results, {"choices": {}, "score": 0})

  toy.after = move
  with pytest.raises(FileNotFoundError, match="it was moved away while the run was at work"):
    toy.run()
  assert not toy.run_dir.results.exists()


def change(path, **fields):
  write_json(path, {**json.loads(path.read_text()), **fields})


def damage_a_task(run_dir):
  run_dir.results.unlink()
  write_json(run_dir.task("noise").results, {"choices": {}})


def name_another_task(run_dir):
  run_dir.results.unlink()
  change(run_dir.config, kinds=["flow", "nonsense"])


@pytest.mark.parametrize(
  ("damage", "says"),
  [
    (damage_a_task, r"timing.json of a task in .*tasks is damaged .* without results.json the tas"),
    (name_another_task, "config.json was changed: its kinds are not those of this run; restore"),
    (lambda run: change(run.results, verdict={}), r"timing.json is damaged .* \(KeyError\)"),
    (lambda run: change(run.timing, phase_seconds=None), r"is damaged .* \(AttributeError\)"),
    (lambda run: run.timing.unlink(), "there is no .*timing.json"),
    (lambda run: run.results.write_text("{"), "results.json cannot be read"),
  ],
)
def test_what_is_damaged_is_one_sentence(damage, says, toy):
  toy.run()
  damage(toy.run_dir)
  with pytest.raises(InputError, match=says):
    toy.run()


def test_an_error_of_the_decision_itself_is_no_damage(toy):
  toy.plan = toy.plan._replace(decide=lambda results: results["nothing"])
  with pytest.raises(KeyError, match="nothing"):
    toy.run()
