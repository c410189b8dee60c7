"""Sweeps: what is refused, what is run, what is left after failures, and what is told of it."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from experiments import smoke
from sr_jax.config import InputError, NotSavedError
from sr_jax.runtime import lock, preemption
from sr_jax.sweep.options import Launch
from sr_jax.sweep.points import Point, Sweep, shard

ROOT = Path(__file__).parents[2]


def finish(run_dir, mean=0.1):
  """Writes what a finished run of a comparison has, as far as a sweep reads it."""
  run_dir.mkdir(parents=True, exist_ok=True)
  test = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "decision": "supported"}
  test |= {"seed_low": mean - 0.01, "seed_high": mean + 0.01, "seeds": 2, "images": 3}
  results = {"verdict": {"contrast": ["lr", "hr"], "test": test}}
  (run_dir / "results.json").write_text(json.dumps(results))


@pytest.fixture
def sweep(tmp_path, monkeypatch):
  """Runs a sweep of smoke in which no point trains; `ran` are the configs, `fail` what raises."""

  class Sweeping:
    workdir = tmp_path / "runs"
    ran, fail = [], {}

    def __call__(self, *flags):
      self.ran.clear()
      return launch.main(["launch.py", "--experiment=smoke", f"--workdir={self.workdir}", *flags])

    def main(self, config, execution, run_dir):
      run_dir.path.mkdir(parents=True, exist_ok=True)
      run_dir.config.write_text("{}")
      self.ran.append((config.features, config.depth))
      if (config.features, config.depth) in self.fail:
        raise self.fail[config.features, config.depth]
      finish(run_dir.path)

    def summary(self):
      (file,) = self.workdir.glob("sweep-*/sweep.csv")
      return list(csv.DictReader(file.read_text().splitlines()))

  one = Sweeping()
  monkeypatch.setattr(smoke, "main", one.main)
  monkeypatch.setattr(launch, "_start_jax", lambda execution: None)
  return one


BOTH = ("--features=8,16", "--depth=0,1")
ALL = [(8, 0), (8, 1), (16, 0), (16, 1)]


def test_the_product_is_run_in_the_order_of_the_flags(sweep, capsys):
  assert sweep(*BOTH) == 0
  assert sweep.ran == ALL
  assert [(row["features"], row["depth"]) for row in sweep.summary()] == [
    (str(n), str(d)) for n, d in ALL
  ]
  table = capsys.readouterr().out.rstrip().splitlines()[-4:]
  assert [tuple(map(int, row.split()[:2])) for row in table] == ALL
  assert sweep("--depth=1,0", "--features=16,8") == 0  # the same runs, thus the same sweep
  assert sweep.ran == []
  assert [row["depth"] for row in sweep.summary()] == ["1", "1", "0", "0"]


def test_a_dry_run_starts_and_writes_nothing(sweep, capsys, tmp_path, monkeypatch, unchanged):
  monkeypatch.chdir(tmp_path)
  assert sweep(*BOTH, "--dry_run") == 0
  out = capsys.readouterr().out
  assert list(tmp_path.iterdir()) == []
  assert out.count(f"{sweep.workdir}/smoke-") == out.count("missing") == 4
  assert "4 of 4 points are to be run; how long that takes is unknown" in out
  sweep(*BOTH, "--shard=1/4")
  capsys.readouterr()
  with unchanged(tmp_path):
    assert sweep(*BOTH, "--dry_run") == 0
  out = capsys.readouterr().out
  assert sweep.ran == []
  assert [line.split()[3] for line in out.splitlines()[2:6]] == [
    "missing",
    "done",
    "missing",
    "missing",
  ]
  row = out.splitlines()[2]  # 5x5 of 8 maps, then 3x3 to 4 phases, at a quarter of the pixels
  assert f"{(25 * 8 + 9 * 8 * 4) / 4:g}" in row
  assert f"lr {25 * 8 + 9 * 8 * 4 + 8 + 4}, hr " in row


def test_a_dry_run_estimates_from_finished_runs(sweep, capsys):
  sweep("--features=8", "--steps=100", "--learning_rate=1e-3")
  (run,) = sweep.workdir.glob("smoke-*")
  timing = {"device": "an abacus", "phase_seconds": {"load": 20, "train lr": 80}}
  (run / "timing.json").write_text(json.dumps(timing))
  config = vars(smoke.Config(features=8, steps=100, learning_rate=(1e-3,)))
  (run / "config.json").write_text(json.dumps({"config": config}))
  capsys.readouterr()
  more = ("--features=8", "--learning_rate=1e-3", "--dry_run")
  sweep(*more, "--steps=300,3000")
  out = capsys.readouterr().out
  assert out.splitlines()[2].endswith("4 min")  # 20 s, and three times 80 s
  assert out.splitlines()[3].endswith("40 min")
  assert "45 min one after another" in out
  assert "an abacus" in out
  sweep(*more, "--steps=100", "--seeds=4", "--patch=34")
  assert capsys.readouterr().out.splitlines()[2].endswith("11 min")  # 2 x 4 times

  timing["step_seconds"] = {"lr": 2.0, "hr (hr_space)": 4.0, "hr (lr_space)": 3.0}  # it was resumed
  (run / "timing.json").write_text(json.dumps(timing))
  sweep(*more, "--steps=200")  # 2 seeds x 200 steps x (2 + 3) s
  assert capsys.readouterr().out.splitlines()[2].endswith("34 min")


def test_all_impossible_points_are_told_before_anything_starts(sweep, capsys):
  assert sweep("--features=8,13,15", "--scale=2,5") == 2
  err = capsys.readouterr().err
  assert "5 of 6 points cannot be run, so none is:" in err
  assert len(err.splitlines()) == 6
  assert "--features=13 --scale=2: --features=13 cannot be divided" in err
  assert "--features=8 --scale=5: --scale=5 is not supported" in err
  assert sweep.ran == []
  assert not sweep.workdir.exists()


def test_photographs_that_are_not_there_are_told_before_anything_starts(sweep, capsys, tmp_path):
  assert sweep("--data=sample_photos,folder:nowhere,folder:neither") == 2
  err = capsys.readouterr().err
  assert "2 of 3 points cannot be run" in err
  assert "--data=folder:neither: there is no folder neither" in err
  assert sweep.ran == []
  assert not sweep.workdir.exists()


@pytest.mark.parametrize(
  ("flag", "says"),
  [
    ("--features=16,16", "--features=16 would make the same run twice"),
    ("--data_fraction=0.5,5e-1", "--data_fraction=0.5 would make the same run twice"),
    ("--features=", "'' is not a whole number"),
    ("--features=8,", "'8,' has an empty value"),
    ("--data=sample_photos,", "'sample_photos,' has an empty value"),
    ("--shard=2/2", "--shard=2/2 must be i/n, with i from 0 to n - 1"),
    ("--shard=1", "--shard=1 must be i/n"),
    ("--shard=-1/2", "--shard=-1/2 must be i/n"),
    ("--max_parallel=2", "--max_parallel is for --launcher=local or --launcher=slurm"),
    ("--slurm=time=1", "--slurm is for --launcher=slurm"),
    ("--launcher=pbs", "--launcher=pbs is not supported; choose from here, local, slurm"),
  ],
)
def test_what_is_no_sweep_is_one_sentence(flag, says, sweep, capsys):
  assert sweep(flag) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert not sweep.workdir.exists()


def test_a_failing_point_stops_no_other_and_is_named(sweep, capsys):
  sweep.fail = {(8, 0): InputError("bad photograph"), (16, 0): RuntimeError("out of\nmemory")}
  assert sweep(*BOTH) == 1
  assert sweep.ran == ALL
  err = capsys.readouterr().err
  assert "Traceback" in err
  last = err.split("2 of 4 points are not done:")[1]
  assert "--features=8 --depth=0: bad photograph (" in last
  assert "--features=16 --depth=0: RuntimeError: out of memory (" in last
  assert [row["state"] for row in sweep.summary()] == ["failed", "done"] * 2
  assert sweep.summary()[0]["failure"] == "bad photograph"

  sweep.fail = {(8, 0): InputError("still bad")}
  assert sweep(*BOTH) == 2  # the other one is repaired
  assert sweep.ran == [(8, 0), (16, 0)]
  sweep.fail = {(8, 0): NotSavedError("not saved: all")}
  assert sweep(*BOTH) == 1
  sweep.fail = {}
  assert sweep(*BOTH) == 0
  assert sweep.ran == [(8, 0)]
  assert {row["failure"] for row in sweep.summary()} == {""}


def test_a_stopped_sweep_goes_on(sweep, capsys):
  sweep.fail = {(8, 1): preemption.Interrupted(signal.SIGTERM)}
  assert sweep(*BOTH) == 143
  assert sweep.ran == ALL[:2]
  sweep.fail = {}
  assert sweep(*BOTH) == 0
  assert sweep.ran == ALL[1:]


def test_a_damaged_result_is_told_and_not_run_over(sweep, capsys):
  sweep(*BOTH)
  run = sorted(sweep.workdir.glob("smoke-*"))[0]
  (run / "results.json").write_text("{}")
  assert sweep(*BOTH) == 1
  assert sweep.ran == []
  assert "results.json is damaged" in capsys.readouterr().err
  assert sorted(row["state"] for row in sweep.summary()) == ["damaged", "done", "done", "done"]


def test_shards_share_the_points_out_exactly(sweep):
  seen = []
  for i in range(3):
    assert sweep(*BOTH, f"--shard={i}/3") == 0
    seen.append(list(sweep.ran))
  assert seen == [[ALL[0], ALL[3]], [ALL[1]], [ALL[2]]]
  assert {row["state"] for row in sweep.summary()} == {"done"}
  assert sweep(*BOTH, "--shard=5/9") == 0  # there are fewer points: it has none
  assert sweep.ran == []
  assert sweep("--features=4", "--shard=1/2") == 0
  assert sweep.ran == []
  points = tuple(Point(i, {}, None, Path()) for i in range(17))
  whole = Sweep("smoke", smoke, points, (), Path(), launch.Execution())
  for n in (1, 2, 5, 17, 20):
    shards = [shard(whole, Launch(shard=f"{i}/{n}")) for i in range(n)]
    assert sorted(point.number for points in shards for point in points) == list(range(17))


def test_the_summary_is_written_after_every_point(sweep, monkeypatch):
  seen = []

  def main(config, execution, run_dir):
    seen.append([row["state"] for row in sweep.summary()])
    sweep.main(config, execution, run_dir)

  monkeypatch.setattr(smoke, "main", main)
  sweep("--depth=0,1,2")
  assert seen == [["missing"] * 3, ["done"] + ["missing"] * 2, ["done"] * 2 + ["missing"]]
  (folder,) = sweep.workdir.glob("sweep-*")
  assert {path.name for path in folder.iterdir()} == {
    "failures",
    "forest.png",
    "sweep.csv",
    "sweep.html",
  }


def test_a_summary_that_another_process_writes_is_waited_for(sweep, monkeypatch, capsys):
  monkeypatch.setattr("sr_jax.sweep.run.LOCK_SECONDS", 0.2)
  sweep(*BOTH)
  (folder,) = sweep.workdir.glob("sweep-*")
  code = (
    "import pathlib, sys\nfrom sr_jax.runtime import lock\nlock.acquire(pathlib.Path(sys.argv[1]))"
  )
  command = [sys.executable, "-c", f"{code}\nprint('held', flush=True)\nsys.stdin.readline()"]
  pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
  with subprocess.Popen([*command, str(folder)], cwd=ROOT, **pipes) as process:
    assert process.stdout.readline() == "held\n"
    capsys.readouterr()
    assert sweep(*BOTH) == 0  # the summary is not worth a failure
    assert "no summary" in capsys.readouterr().err
    process.communicate("\n")
  assert sweep(*BOTH) == 0
  assert "no summary" not in capsys.readouterr().err
  assert not (folder / lock.FILE).exists()


def test_what_makes_a_sweep_again_is_its_flags(sweep):
  flags = ("--seeds=2", "--learning_rate=1e-3,2e-3", "--depth=0,1", "--nobicubic_skip")
  sweep(*flags, "--tensorboard=false")
  (page,) = sweep.workdir.glob("sweep-*/sweep.html")
  text = page.read_text().split("<code>")[1].split("</code>")[0].replace("\\\n", "")
  assert text.split() == [
    "python",
    "launch.py",
    "--experiment=smoke",
    "--seeds=2",
    "--learning_rate=0.001,0.002",
    "--depth=0,1",
    "--bicubic_skip=False",
    f"--workdir={sweep.workdir}",
  ]
  before = page.stat().st_mtime_ns
  assert launch.main(text.split()[1:]) == 0
  assert page.stat().st_mtime_ns > before
  assert len(list(sweep.workdir.glob("sweep-*"))) == 1
