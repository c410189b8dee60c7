import json
from pathlib import Path

import pytest
from PIL import Image

import launch
from experiments import espcn
from sr_jax.config import InputError

SAMPLE_PHOTOS = Path(__file__).parents[2] / "sr_jax" / "data" / "sample_photos"


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_networks_cost_what_their_papers_count(scale, padding):
  arms = espcn.arms(espcn.Config(scale=scale, padding=padding))
  assert [arm.name for arm in arms] == list(espcn.NETWORKS)
  assert {arm.budget.macs - arm.macs for arm in arms} == {0}
  layers = [layer for arm in arms if arm.name != "fsrcnn" for layer in arm.network.layers]
  assert {layer.padding for layer in layers} == {padding}
  assert {arm.network.scale for arm in arms} == {scale}


def test_networks_are_chosen_by_name():
  assert [arm.name for arm in espcn.arms(espcn.Config(networks=("fsrcnn", "espcn")))] == [
    "fsrcnn",
    "espcn",
  ]
  with pytest.raises(InputError, match="--networks=vdsr is not supported"):
    espcn.Config(networks=("vdsr",))


def test_the_paper_stands_beside_runs_of_its_kind_alone():
  def paper(**config):
    config = {"scale": 3, "data": "tfds:T91"} | config
    return espcn._paper({"config": config, "tests": ["Set5", "mine"], "arms": {"espcn": {}}})

  assert paper() == paper(data="folder:/some/where/T91") == {"espcn": {"Set5": 32.55}}
  assert paper(scale=2) == paper(data="tfds:DIV2K") == {}


@pytest.mark.slow
def test_trains_scores_and_reports(tmp_path, capsys):
  names = sorted(SAMPLE_PHOTOS.glob("*.webp"))
  for i, path in enumerate(names[:8]):
    folder = tmp_path / ("T91", "BSD200", "Set5", "Set14")[i % 4]
    folder.mkdir(exist_ok=True)
    Image.open(path).crop((100, 100, 160, 157)).save(folder / f"{path.stem}.png")
  command = [
    "launch.py",
    "--experiment=espcn",
    f"--data=folder:{tmp_path / 'T91'}",
    f"--validation_data=folder:{tmp_path / 'BSD200'}",
    f"--test_data=folder:{tmp_path / 'Set5'},folder:{tmp_path / 'Set14'}",
    "--networks=espcn,srcnn,fsrcnn",
    "--steps=10",
    "--search_steps=5",
    "--batch=4",
    "--seeds=2",
    "--learning_rate=4e-3,8e-3",  # as many as seeds: one program searches and trains
    f"--workdir={tmp_path / 'runs'}",
    f"--data_dir={tmp_path / 'cache'}",
    "--compile_cache=",
    "--convolution=xla",
  ]
  assert launch.main(command) == 0
  out = capsys.readouterr().out
  (run_dir,) = (tmp_path / "runs").iterdir()
  results = json.loads((run_dir / "results.json").read_text())
  assert results["paper"]["espcn"] == {"Set5": 32.55, "Set14": 29.08}
  assert "fsrcnn" not in results["paper"]
  assert "ESPCN (tanh) on Set5:" in out
  report = (run_dir / "report.md").read_text()
  for words in ("| bicubic |", "ESPCN (tanh) on Set14:", "SRCNN (9-1-5)", "--steps=10", "| load |"):
    assert words in report
  before = (run_dir / "results.json").read_bytes()
  assert launch.main(command) == 0
  assert "nothing is trained again" in capsys.readouterr().out
  assert (run_dir / "results.json").read_bytes() == before
