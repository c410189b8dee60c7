import dataclasses
import json

import pytest

from experiments import dose
from experiments.dose import GRIDS, PATCHES, PRESETS, Config, arms, dims_and_scale, recipe_of
from sr_jax.config import Execution, InputError, to_dict
from sr_jax.networks.maps import Maps
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import reproducing


@pytest.mark.parametrize("grid", GRIDS)
def test_networks_of_a_grid_cost_the_same_and_differ_in_parameters(grid):
  dims, scale = dims_and_scale(grid)
  phases = scale**dims
  lr, hr = arms(recipe_of(grid, Config()))
  assert (lr.name, hr.name) == ("lr", "hr_learned")
  assert lr.budget.macs == hr.budget.macs
  assert lr.budget.activations == hr.budget.activations
  assert {layer.outputs for layer in lr.network.layers[:-1]} == {Maps(lr=8 * phases)}
  assert {layer.outputs for layer in hr.network.layers} == {Maps(hr=8), Maps(hr=1)}
  for lr_layer, hr_layer in zip(lr.network.layers[1:], hr.network.layers[1:], strict=True):
    assert lr_layer.weights(phases, dims) == phases * hr_layer.weights(phases, dims)
    assert (lr_layer.kernel_size, hr_layer.hr_kernel_size) == (3, 3 * scale)
  assert (lr.network.bicubic_skip, hr.network.bicubic_skip) == (True, True)
  assert lr.budget.shift == hr.budget.shift == 0


def test_patches_have_about_as_many_values_on_every_grid():
  sizes = [(PATCHES[dims][scale] * scale) ** dims for dims, scale in map(dims_and_scale, GRIDS)]
  assert (min(sizes), max(sizes)) == (1728, 2304)


def test_the_grids_are_those_of_r():
  doses = {grid: dims_and_scale(grid)[1] ** dims_and_scale(grid)[0] for grid in GRIDS}
  assert list(doses.values()) == [2, 4, 8, 4, 9, 16, 8]
  assert PRESETS["confirmatory"].grids == Config().grids == GRIDS


def test_signals_are_around_zero_and_photographs_around_mid_gray():
  for grid, middle in (("1:4", 0.0), ("2:3", 0.5), ("3:2", 0.5)):
    for arm in arms(recipe_of(grid, Config())):
      assert (arm.network.mid_input, arm.network.mid_output) == (middle, middle)
  assert recipe_of("1:4", Config(signal="folder:a")).source == "folder:a"
  assert recipe_of("3:2", Config(volume="folder:b")).source == "folder:b"


def test_a_head_that_is_not_installed_is_left_out_or_refused(monkeypatch):
  monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
  grids, (note,) = dose.present_grids(Config())
  assert grids == [*GRIDS[:-1]]
  assert note.startswith("d = 3 is left out: its default, a head, comes with nilearn; pip install")
  assert dose.present_grids(Config(volume="folder:b")) == ([*GRIDS], [])
  with pytest.raises(InputError, match="--grids=3:2 cannot be read: its default, a head"):
    dose.present_grids(Config(grids=("3:2",)))


def test_other_grids_are_refused():
  with pytest.raises(InputError, match="--grids=2:8 is not supported"):
    Config(grids=("2:8",))


@pytest.mark.slow
def test_a_run_is_reported_and_reported_again(tmp_path, tiny_folder, monkeypatch, capsys):
  monkeypatch.setattr(dose, "PATCHES", {2: {2: 8}})
  config = Config(
    grids=("2:2",),
    hr_maps=2,
    depth=1,
    data=f"folder:{tiny_folder / 'data'}",
    seeds=2,
    steps=4,
    learning_rate=(1e-3,),
    crop=64,
    convolution="xla",
  )
  execution = Execution(data_dir=str(tmp_path / "cache"))
  run_dir = RunFolder(tmp_path / "run")
  dose.check_data(config, execution)
  assert [*dose.main(config, execution, run_dir)] == ["d2_r2"]
  out = capsys.readouterr().out
  assert "0 of 1 grid can be fitted, and 4 are needed" in out
  results = json.loads(run_dir.results.read_text())
  assert [*results["grids"]["d2_r2"]["arms"]] == ["lr", "hr_learned"]
  assert results["verdict"]["grids"]["d2_r2"]["phases"] == 4
  assert dose.headline(run_dir)["advantage of LR against log R"] == "undecided"
  text = run_dir.markdown_report.read_text()
  assert "| d = 2, r = 2 | 4 |" in text
  assert "8 LR maps of 3x3, shuffled at the end" in text
  written = run_dir.results.read_bytes()
  assert dose.main(config, execution, run_dir) == {}
  assert run_dir.results.read_bytes() == written


@pytest.mark.parametrize(
  ("grids", "flags", "says"),
  [
    ("2:2", {"signal": "folder:a"}, "--signal=folder:a is for d = 1, which is not among --grids"),
    ("1:2", {"volume": "folder:a"}, "--volume=folder:a is for d = 3, which is not among --grids"),
    ("2:2", {"crop": 63}, "--crop=63 must be 0, for all, or at least 64"),
    (
      "2:2",
      {"measured": ("lr/3:native",)},
      "name lr/3 is chosen in this run; choose from d2_r2/lr",
    ),
  ],
)
def test_flags_that_nothing_reads_are_refused(grids, flags, says):
  with pytest.raises(InputError, match=says):
    Config(grids=(grids,), **flags)


def test_measured_choices_are_those_of_a_grid_and_repeat_a_run():
  config = Config(seeds=3, convolution="auto")
  taken = {"d1_r2/lr/3": "native", "d2_r3/hr_learned/3": "canonical"}
  given = reproducing({"config": to_dict(config), "choices": taken})
  again = dataclasses.replace(config, measured=tuple(given["measured"]))
  assert again.given_choices() == taken
  assert recipe_of("1:2", again).given_choices() == {"lr/3": "native"}
  assert recipe_of("2:3", again).given_choices() == {"hr_learned/3": "canonical"}
  assert recipe_of("3:2", again).given_choices() == {}


@pytest.mark.parametrize("name", ["data", "signal", "volume"])
def test_what_is_not_there_is_refused_without_reading(name):
  config = Config(**{name: "folder:nowhere"})
  with pytest.raises(InputError, match="there is no folder nowhere"):
    dose.check_data(config, Execution())
