import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

import launch
from benchmarks import chaos
from experiments import other_tasks
from experiments.other_tasks import PRESETS, TASKS, Config, recipe_of
from sr_jax.comparison import task_recipe
from sr_jax.config import Execution, InputError
from sr_jax.inspect_checkpoint.__main__ import main as inspect
from sr_jax.runner import tasks
from sr_jax.runtime import lock
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import reproducing
from sr_jax.upscale.__main__ import main as run_upscale

ARMS = ["lr", "transposed"]
NAMES = ["flow", "signal"]  # one scored by another measure than PSNR, one of one dimension


def command(photographs, workdir, *more):
  return [
    "launch.py",
    "--experiment=other_tasks",
    f"--data=folder:{photographs}",
    f"--data_dir={photographs.parent / 'cache'}",
    f"--workdir={workdir}",
    "--compile_cache=",
    "--convolution=xla",
    f"--tasks={','.join(NAMES)}",
    f"--arms={','.join(ARMS)}",
    "--depth=1",
    "--steps=6",
    "--search_steps=3",
    "--learning_rate=1e-3,2e-3",
    "--batch=4",
    "--seeds=2",
    "--crop=64",
    *more,
  ]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("other_tasks") / "photos"
  chaos.make_photographs(folder)
  return folder


@pytest.fixture(scope="module")
def finished(photographs):
  """A finished run of two tasks."""
  workdir = photographs.parent / "runs"
  assert launch.main(command(photographs, workdir, "--tensorboard")) == 0
  (folder,) = workdir.iterdir()
  for path in list(lock._held):
    lock.release(path.parent)
  return folder


@pytest.fixture
def copied(finished, tmp_path):
  """The run again, to be changed."""
  return shutil.copytree(finished, tmp_path / "runs" / finished.name)


def read(path):
  return json.loads(path.read_text())


@pytest.mark.slow
def test_results_hold_what_the_report_reads(finished):
  results, timing = read(finished / "results.json"), read(finished / "timing.json")
  assert [*results["tasks"]] == NAMES
  flow, signal = results["tasks"].values()
  assert flow["task"] == {
    "name": "flow",
    "scale": 2,
    "dims": 2,
    "inputs": {"lr": 0, "hr": 2},
    "outputs": {"lr": 0, "hr": 2},
    "measure": "epe_db",
    "unit": "dB of end-point error",
    "no_network": "zero flow",
    "pooled": True,
  }
  assert (signal["task"]["dims"], signal["task"]["inputs"]) == (1, {"lr": 1, "hr": 0})
  for name, measures in (("flow", {"epe_db", "epe"}), ("signal", {"psnr"})):
    task = results["tasks"][name]
    measure, images = task["task"]["measure"], len(task["images"]["test"])
    assert task["no_network"]["test"].keys() == measures | {"periodicity"}
    assert f"validation_{measure}" in task["no_network"]
    assert [*task["arms"]] == ARMS
    for arm in task["arms"].values():
      assert arm["learning_rate"] in task["learning_rates"] == [1e-3, 2e-3]
      assert arm["budget"]["macs"] == task["arms"]["lr"]["budget"]["macs"]
      assert [len(arm["search"]), len(arm["members"])] == [2, 2]
      for member in arm["members"]:
        assert member["status"] in ("ok", "below no network")
        assert isinstance(member[f"validation_{measure}"], float)
        assert {len(scores) for scores in member["test"].values()} == {images}
        assert "training" not in member  # only photographs to upscale are scored on patches
    assert read(finished / "tasks" / name / "results.json")["arms"] == task["arms"]
    assert timing["tasks"][name]["step_seconds"].keys() >= {"lr"}
  assert results["verdict"]["tasks"].keys() == {*NAMES}
  assert {path.name for path in (finished / "figures").iterdir()} >= {"flow.png", "signal.png"}
  assert not [*finished.rglob("run.lock")]


@pytest.mark.slow
def test_a_finished_run_is_reported_again_and_not_trained(copied, photographs, capsys, contents):
  (copied / "report.md").unlink()
  before = {path: held for path, held in contents(copied).items() if path.name != "report.md"}
  assert launch.main(command(photographs, copied.parent)) == 0
  out = capsys.readouterr().out
  assert out.count("This run is finished; nothing is trained again.") == 1
  assert "final: step" not in out
  after = contents(copied)
  assert (copied / "report.md") in after
  assert all(after[path] == before[path] for path in before if path.suffix in (".json", ".jsonl"))


@pytest.mark.slow
def test_a_run_goes_on_task_by_task_to_the_same_bits(copied, photographs, finished, capsys):
  (copied / "results.json").unlink()
  flow = copied / "tasks" / "flow"
  (flow / "results.json").unlink()
  shutil.rmtree(flow / "checkpoints" / "transposed" / "final" / "6")
  assert launch.main(command(photographs, copied.parent)) == 0
  out = capsys.readouterr().out
  assert out.count("This run is finished; nothing is trained again.") == 1  # signal
  assert "transposed final: step 6/6" in out
  assert "lr final: step" not in out
  for name in ("results.json", "tasks/flow/results.json", "tasks/flow/metrics.jsonl"):
    assert (copied / name).read_bytes() == (finished / name).read_bytes(), name


def lose_the_results(run):
  (run / "results.json").unlink()


def damage_a_task(run):
  lose_the_results(run)
  (run / "tasks/flow/results.json").write_text("{}")


def lose_the_times_of_a_task(run):
  lose_the_results(run)
  (run / "tasks/signal/timing.json").unlink()


def name_another_task(run):
  lose_the_results(run)
  about = read(run / "config.json")
  (run / "config.json").write_text(json.dumps({**about, "tasks": ["denoising"]}))


@pytest.mark.slow
@pytest.mark.parametrize(
  ("damage", "says"),
  [
    (damage_a_task, "of a task in .* is damaged"),
    (lose_the_times_of_a_task, "there is no .*signal/timing.json"),
    (
      name_another_task,
      "config.json was changed: its tasks are not those of this run; restore the file",
    ),
    (lambda run: (run / "results.json").write_text("{}"), "results.json or timing.json is damaged"),
    (lambda run: (run / "results.json").write_text("{"), "results.json cannot be read"),
    (lambda run: (run / "timing.json").unlink(), "there is no .*/timing.json"),
  ],
)
def test_a_damaged_run_is_one_sentence(damage, says, copied, photographs, capsys):
  damage(copied)
  assert launch.main(command(photographs, copied.parent)) == 2
  err = capsys.readouterr().err
  assert err.count("\n") == 1
  assert re.search(says, err), err


@pytest.mark.slow
def test_runs_are_summarised_as_a_sweep_and_listed(copied, photographs, capsys):
  assert launch.main(command(photographs, copied.parent, "--shard=0/1")) == 0
  assert "explicit upsampling" in capsys.readouterr().out
  (table,) = copied.parent.glob("sweep-*/sweep.csv")
  header, row = table.read_text().splitlines()
  assert header.startswith("state,run,explicit upsampling,best explicit form - LR (share of gain)")
  assert row.startswith(f"done,{copied.name},undecided")
  assert launch.main(command(photographs, copied.parent, "--steps=6,7", "--dry_run")) == 0
  out = capsys.readouterr().out
  assert "1 of 2 points are to be run" in out
  assert "done" in out


@pytest.mark.slow
def test_tensorboard_gets_losses_and_scores_by_their_names(finished):
  (file,) = (finished / "tasks" / "flow" / "tensorboard" / "lr").iterdir()
  events = file.read_bytes()
  for tag in ("final/training_loss/mean", "final/validation_epe_db/member_1"):
    assert tag.encode() in events
  (file,) = (finished / "tasks" / "signal" / "tensorboard").glob("events*")
  assert b"scale=2,dims=1,middle=0.0" in file.read_bytes()


@pytest.mark.slow
def test_a_run_and_its_tasks_can_be_inspected(finished, capsys, contents, tmp_path):
  before = contents(finished)
  flow = finished / "tasks" / "flow"
  members = read(flow / "results.json")["arms"]["lr"]["members"]
  mean = np.mean([member["test"]["epe_db"] for member in members])
  assert inspect(["inspect", str(finished)]) == 0
  out = capsys.readouterr().out
  assert "--experiment=other_tasks --data=" in out
  assert f"finished  {flow}" in out
  assert inspect(["inspect", str(flow)]) == 0
  out = capsys.readouterr().out
  assert "a task of a run, which begins it" in out
  assert "test epe_db" in out
  assert f"{mean:.4f}" in out
  assert inspect(["inspect", str(flow), "--arm=lr"]) == 0
  out = capsys.readouterr().out
  assert "training loss at 6" in out
  assert "validation epe_db" in out
  assert f"{np.mean(members[1]['test']['epe_db']):.4f}" in out
  assert inspect(["inspect", str(finished / "tasks" / "signal"), "--arm=transposed"]) == 0
  out = capsys.readouterr().out
  assert "hidden_0  32 lr   16 hr    3 LR  relu" in out  # kernels of one dimension
  assert "Dead units are looked for on luminance alone" in out
  assert inspect(["inspect", str(flow), "--arm=lr", "--stage=search"]) == 0
  assert "validation epe_db" in capsys.readouterr().out
  assert inspect(["inspect", "--diff", str(flow), str(flow)]) == 0
  assert "Mean epe_db on test" in capsys.readouterr().out
  assert contents(finished) == before


@pytest.mark.slow
@pytest.mark.parametrize(
  ("given", "says"),
  [
    (["{run}", "--arm=lr"], "names no arms; give the folder of one of its tasks, as {run}/tasks/"),
    (["{run}/tasks/signal", "--arm=lr", "--kernels={tmp}/a.png"], "those of images; a kernel of"),
  ],
)
def test_what_cannot_be_inspected_is_one_sentence(given, says, finished, tmp_path, capsys):
  names = {"{run}": str(finished), "{tmp}": str(tmp_path)}
  for name, value in names.items():
    given, says = [each.replace(name, value) for each in given], says.replace(name, value)
  assert inspect(["inspect", *given]) == 2
  out, err = capsys.readouterr()
  assert says in err
  assert (out, err.count("\n")) == ("", 1)


@pytest.mark.slow
@pytest.mark.parametrize(
  ("folder", "says"),
  [
    ("tasks/flow", "lr makes 2 HR maps of 2 HR maps in 2 dimensions; give a run whose networks"),
    ("tasks/signal", "lr makes 1 HR maps of 1 LR maps in 1 dimensions; give a run"),
    ("", "names no arms; give the folder of one of its tasks"),
  ],
)
def test_networks_of_other_tasks_upscale_no_photographs(folder, says, finished, tmp_path, capsys):
  Image.new("L", (40, 40), 7).save(tmp_path / "a.png")
  given = [f"--checkpoint={finished / folder}", f"--output={tmp_path / 'out'}"]
  assert run_upscale(["upscale", str(tmp_path / "a.png"), *given]) == 2
  out, err = capsys.readouterr()
  assert says in err
  assert (out, err.count("\n")) == ("", 1)
  assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_no_measured_choice_is_left_out_of_the_command_that_repeats_a_run(finished):
  results = read(finished / "results.json")
  taken = {"flow/lr/2": "native", "flow/transposed/2": "canonical", "signal/lr/2": "native"}
  given = reproducing({"config": {**results["config"], "convolution": "auto"}, "choices": taken})
  again = Config(tasks=tuple(NAMES), arms=tuple(ARMS), seeds=2, measured=tuple(given["measured"]))
  assert again.given_choices() == taken
  assert recipe_of("flow", again).given_choices() == {"lr/2": "native", "transposed/2": "canonical"}
  assert recipe_of("signal", again).given_choices() == {"lr/2": "native"}


def noise(path, *shape, seed=0):
  Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


def small_photograph(folder):
  noise(folder / "photos" / "train" / "small.png", 38, 60)


def wrong_labels(folder):
  (folder / "labels").mkdir()
  for path in (folder / "photos").rglob("*.png"):
    Image.fromarray(np.eye(50, 60, dtype=np.uint8)).save(folder / "labels" / path.name)


def labels_in_colour(folder):
  wrong_labels(folder)
  noise(folder / "labels" / "more.png", 60, 60, 3)


def volumes_with_nan(folder):
  (folder / "volumes").mkdir()
  for i in range(5):
    voxels = np.random.default_rng(i).random((16, 16, 16))
    voxels[3, 3, 3] = np.nan if i == 4 else 0
    np.save(folder / "volumes" / f"{i}.npy", voxels)


def silent_signals(folder):
  (folder / "signals").mkdir()
  for i in range(5):
    samples = np.random.default_rng(i).integers(-9999, 9999, 20000, np.int16)
    samples[5000:15000] = 0
    wavfile.write(folder / "signals" / f"{i}.wav", 8000, samples)


# What is done to the folder of the photographs, flags, what is said.
BAD = {
  "an unknown task": (None, ["--tasks=nonsense"], "--tasks=nonsense is not supported; choose from"),
  "a task twice": (None, ["--tasks=flow,flow"], "names a value twice"),
  "no reference": (None, ["--arms=nearest,linear"], "are compared with lr; give lr and some of"),
  "no explicit form": (
    None,
    ["--tasks=super_resolution,flow", "--arms=lr,lr_plain,skip"],
    "lr_plain,skip: flow has no such explicit form; add one of transposed, nearest, linear, half",
  ),
  "labels for nothing": (None, ["--labels=there"], "is for segmentation, which is not among"),
  "a signal for nothing": (
    None,
    ["--tasks=flow", "--signal=folder:there"],
    "--signal=folder:there is for signal, which is not among --tasks; leave it out, or add signal",
  ),
  "a volume for nothing": (None, ["--volume=folder:there"], "is for volume, which is not among"),
  "too small a crop": (None, ["--crop=8"], "--crop=8 must be 0, for all, or at least 64"),
  "a choice of no task": (
    None,
    ["--measured=lr/2:native"],
    "nothing of the name lr/2 is chosen in this run; choose from flow/lr/2",
  ),
  "no photographs": (None, ["--data=folder:nowhere"], "there is no folder nowhere"),
  "no signals": (None, ["--signal=folder:nowhere"], "there is no folder nowhere"),
  "no volumes": (
    None,
    ["--tasks=flow,volume", "--volume=folder:nowhere"],
    "there is no folder nowhere",
  ),
  "no labels": (
    None,
    ["--tasks=signal,segmentation", "--labels=nowhere"],
    "--labels: there is no folder nowhere",
  ),
  "a signal that is no source": (None, ["--signal=wavs"], "--signal=wavs is not supported; use"),
  "labels that do not fit": (
    wrong_labels,
    ["--tasks=signal,segmentation", "--labels={labels}"],
    "labels 60 x 50 pixels and the photograph",
  ),
  "labels in colour": (
    labels_in_colour,
    ["--tasks=signal,segmentation", "--labels={labels}"],
    "more.png holds pixels of mode RGB; save class numbers",
  ),
  "NaN": (
    volumes_with_nan,
    ["--tasks=flow,volume", "--volume=folder:{volumes}"],
    "4.npy holds NaN or infinite voxels; replace them, or remove the file",
  ),
  "silence where it is scored": (
    silent_signals,
    ["--signal=folder:{signals}"],
    "which super_resolution scores, is constant; leave it out",
  ),
  "too small a photograph": (
    small_photograph,
    ["--tasks=super_resolution,deblocking"],
    "small.png is 60 x 38 pixels; at scale 8 it needs at least 40 x 40 for a patch of 5 LR pixels",
  ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_sentence_before_anything_is_trained(
  what, photographs, tmp_path, capsys, monkeypatch
):
  damage, more, says = BAD[what]
  shutil.copytree(photographs, tmp_path / "photos")
  if damage:
    damage(tmp_path)
  for name in ("labels", "volumes", "signals"):
    more = [flag.replace(f"{{{name}}}", str(tmp_path / name)) for flag in more]
  monkeypatch.setattr(tasks, "run_task", None)  # is not reached
  assert launch.main(command(tmp_path / "photos", tmp_path / "runs", *more)) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["data", "labels", "signal", "volume"])
def test_what_is_not_there_is_refused_before_a_sweep_without_reading(name, photographs, tmp_path):
  there = {"data": f"folder:{photographs}", "volume": f"folder:{tmp_path}"}
  np.save(tmp_path / "a.npy", np.full(1, np.nan))  # is found, and not read
  (tmp_path / "labels").mkdir()
  config = Config(**there, labels=str(tmp_path / "labels"))
  other_tasks.check_data(config, Execution())
  missing = {"labels": "nowhere"}.get(name, "folder:nowhere")
  bad = Config(**{**there, "labels": str(tmp_path / "labels"), name: missing})
  with pytest.raises(InputError, match="there is no folder nowhere"):
    other_tasks.check_data(bad, Execution())


def test_photographs_are_not_needed_where_no_task_is_of_photographs():
  other_tasks.check_data(Config(tasks=("signal",)), Execution(data_dir="/dev/null"))


def test_the_volume_is_left_out_without_its_extra_or_refused_alone(monkeypatch):
  monkeypatch.setattr(other_tasks, "what_is_missing", lambda source: "there is no head")
  names, notes = other_tasks.present_tasks(Config(tasks=tuple(TASKS)))
  assert names == [name for name in TASKS if name != "volume"]
  assert notes == ["volume is left out: there is no head."]
  with pytest.raises(InputError, match="--tasks=volume: there is no head"):
    other_tasks.present_tasks(Config(tasks=("volume",)))


def test_a_preset_may_give_photographs_that_no_task_reads():
  confirmatory = other_tasks.PRESETS["confirmatory"]
  assert dataclasses.replace(confirmatory, tasks=("volume",)).data == "tfds:T91"


def test_labels_of_ones_own_have_as_many_classes_as_they_number():
  recipe = recipe_of("segmentation", Config(), classes=2)
  assert recipe.task.outputs.hr == 2
  assert len({arm.budget.macs for arm in task_recipe.arms(recipe)}) == 1


def test_a_run_keeps_the_tasks_that_it_was_begun_with(tmp_path, monkeypatch):
  config = Config(tasks=("signal", "volume"))
  folder = RunFolder(tmp_path / "run")
  begun = []

  def stop(experiment, *_):
    begun.append(experiment)
    raise StopError

  monkeypatch.setattr(tasks, "run_task", stop)
  monkeypatch.setattr(other_tasks, "what_is_missing", lambda source: "it is not there")
  with pytest.raises(StopError):
    other_tasks.main(config, Execution(), folder)
  kept = read(folder.config)
  assert kept["tasks"] == ["signal"]
  assert kept["left_out"] == ["volume is left out: it is not there."]
  monkeypatch.setattr(other_tasks, "what_is_missing", lambda source: "")
  with pytest.raises(StopError):
    other_tasks.main(config, Execution(), folder)
  assert read(folder.config) == kept
  assert begun == ["other_tasks_signal"] * 2


class StopError(Exception):
  """Where training would begin."""


def test_all_networks_of_images_cost_the_same_but_for_their_ends():
  hidden = set()
  for name, shape in TASKS.items():
    recipe = recipe_of(name, Config())
    assert recipe.task.name in name or name in ("signal", "volume")
    if recipe.task.dims == 2:
      hidden.add(recipe.features**2 * recipe.kernel_size**2 // recipe.scale**2)
    assert recipe.patch * shape.task.scale <= 256
  assert hidden == {2304}


def test_presets_are_of_all_tasks():
  for config in PRESETS.values():
    assert config.tasks == tuple(TASKS)
