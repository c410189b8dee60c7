"""What inspecting a run says, and that it leaves every byte of it alone."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp
from PIL import Image

from sr_jax.config import digest
from sr_jax.inspect_checkpoint import detail
from sr_jax.inspect_checkpoint import kernel_figures as trained_kernels
from sr_jax.inspect_checkpoint.__main__ import main
from sr_jax.inspect_checkpoint.dead import dead_units
from sr_jax.networks import espcn, fsrcnn, hr_network, lr_network, srcnn
from sr_jax.operators.conversion import lr_to_deconv
from sr_jax.report import figures
from sr_jax.training import checkpoint_files
from sr_jax.training.restore import Trained

ROOT = Path(__file__).parents[2]
STEPS = 30


def inspect(*given):
  return main(["inspect_checkpoint", *map(str, given)])


@pytest.fixture(scope="module")
def run_dir(small_run):
  return small_run.folder


@pytest.fixture
def planted(run_dir, tmp_path):
  """The run again under another name, other in config, provenance, a score and a parameter.

  Seed 1 of LR has a dead unit in each layer; the checkpoint says what its network is.
  """
  about = json.loads((run_dir / "config.json").read_text())
  about["config"]["seeds"] = 7
  about["provenance"]["device"] = "1 x abacus"
  about["run"] = f"smoke-{digest('smoke', about['config'])}"
  copy = tmp_path / about["run"]
  shutil.copytree(run_dir, copy)
  (copy / "config.json").write_text(json.dumps(about))
  results = json.loads((run_dir / "results.json").read_text())
  results["arms"]["lr"]["members"][0]["test"]["psnr"][0] += 0.3  # of three photographs, two seeds
  (copy / "results.json").write_text(json.dumps(results))
  checkpoint = copy / "checkpoints" / "lr" / "final" / str(STEPS)
  tree = jax.tree.map(np.array, ocp.load(checkpoint))
  metadata = ocp.metadata(checkpoint).custom_metadata
  for layer, unit in (("first", 3), ("hidden_0", 5)):
    tree["params"][layer]["kernel"][1, ..., unit] = 0
    tree["params"][layer]["bias"][1, unit] = -1
  tree["params"]["last"]["kernel"][1, 0, 0, 0, 0] += 100
  shutil.rmtree(checkpoint)
  del metadata[checkpoint_files.SEAL]
  metadata |= {checkpoint_files.DIGESTS: checkpoint_files.digests(tree)}
  ocp.save(checkpoint, tree, custom_metadata=checkpoint_files.sealed(metadata))
  return copy


@pytest.mark.slow
def test_the_overview_loads_no_arrays(run_dir, capsys, monkeypatch, contents):
  monkeypatch.setattr(ocp, "load", None)
  monkeypatch.setattr(ocp, "metadata", None)
  before = contents(run_dir)
  assert inspect(run_dir) == 0
  out = capsys.readouterr().out
  about, results = (
    json.loads((run_dir / f"{name}.json").read_text()) for name in ("config", "results")
  )
  assert "--experiment=smoke --data=folder:" in out
  assert f"revision {about['provenance']['revision']}" in out
  assert re.search(rf"^lr +.*\b{STEPS}$", out, re.MULTILINE)
  assert f"{about['arms']['hr']['budget']['parameters']}" in out
  psnr = np.mean([member["test"]["psnr"] for member in results["arms"]["hr"]["members"]])
  assert re.search(rf"^HR .* {psnr:.2f} ", out, re.MULTILINE)
  assert contents(run_dir) == before


@pytest.mark.slow
def test_an_unfinished_run_is_said_to_be(run_dir, tmp_path, capsys):
  copy = tmp_path / run_dir.name
  copy.mkdir()
  shutil.copy(run_dir / "config.json", copy)
  assert inspect(copy) == 0
  out = capsys.readouterr().out
  assert "No checkpoint is complete yet." in out
  assert "Not finished" in out


@pytest.mark.slow
def test_the_detail_of_a_member_finds_its_dead_units_alone(planted, capsys, contents):
  before = contents(planted)
  assert inspect(planted, "--arm=lr", "--member=1") == 0
  out = capsys.readouterr().out
  assert "network: scale=2, bicubic_first=False, bicubic_skip=True" in out
  assert re.search(r"^hidden_0 +8 lr +8 lr +3x3 LR +relu +-$", out, re.MULTILINE)
  assert f"final: step {STEPS} of {STEPS}" in out
  assert "Dead units: 2." in out
  assert re.search(r"^first +1 of 8 +3$", out, re.MULTILINE)
  assert re.search(r"^hidden_0 +1 of 8 +5$", out, re.MULTILINE)
  assert re.search(r"^hidden_0 +0\.\d{3} +0\.\d{3}$", out, re.MULTILINE)  # tied
  kernel = ocp.load(planted / "checkpoints" / "lr" / "final" / str(STEPS))["params"]["first"]
  norm = np.linalg.norm(np.asarray(kernel["kernel"][1]).ravel())
  assert re.search(rf"^first/kernel +5x5x1x8 +200 +{norm:.4g} ", out, re.MULTILINE)
  member = json.loads((planted / "results.json").read_text())["arms"]["lr"]["members"][0]
  assert f"{np.mean(member['test']['psnr']):.4f}" in out

  assert inspect(planted, "--arm=lr") == 0  # of member 0, in whom nothing was planted
  assert "Dead units: 0." in capsys.readouterr().out
  assert contents(planted) == before


def test_a_member_that_diverged_has_no_tied_share():
  network = lr_network(features=8, depth=1)
  params = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]
  params = jax.tree.map(np.array, params)
  trained = Trained(network, params, "lr", "final", 0, 0, np.zeros(1, int), np.ones(1), {})
  assert [row[0] for row in detail._tied_rows(trained)] == ["layer", "hidden_0"]
  params["hidden_0"]["kernel"][0, 0, 0, 0] = np.nan
  assert detail._tied_rows(trained) == []


@pytest.mark.slow
def test_other_stages_and_steps_are_shown_with_what_is_known_of_them(run_dir, capsys):
  assert inspect(run_dir, "--arm=hr", "--stage=search", "--member=1") == 0
  out = capsys.readouterr().out
  assert "search: step 5 of 5" in out
  assert "tied share" not in out  # which is of LR networks
  search = json.loads((run_dir / "results.json").read_text())["arms"]["hr"]["search"]
  assert f"{search[1]['validation_psnr']:.4f}" in out
  steps = [int(path.name) for path in (run_dir / "checkpoints" / "hr" / "final").iterdir()]
  assert inspect(run_dir, "--arm=hr", f"--step={min(steps)}") == 0
  out = capsys.readouterr().out
  assert f"final: step {min(steps)} of {STEPS}" in out
  assert ("test PSNR" in out) == (min(steps) == STEPS)  # only the last step was scored


@pytest.mark.slow
def test_a_difference_of_runs_is_told_field_by_field(run_dir, planted, capsys, contents):
  before = contents(planted), contents(run_dir)
  assert inspect("--diff", run_dir, planted) == 0
  out = capsys.readouterr().out
  assert re.search(r"^seeds +2 +7$", out, re.MULTILINE)
  assert re.search(r"^device .* 1 x abacus$", out, re.MULTILINE)
  assert "Arms: no difference." in out
  assert re.search(r"^lr .* \+0\.0500$", out, re.MULTILINE)
  assert re.search(r"^hr .* \+0\.0000$", out, re.MULTILINE)
  assert re.search(rf"^lr +{STEPS}, {STEPS} +100 +last/kernel +1$", out, re.MULTILINE)
  assert re.search(rf"^hr +{STEPS}, {STEPS} +0, equal to the bit", out, re.MULTILINE)
  assert inspect("--diff", run_dir, run_dir) == 0
  out = capsys.readouterr().out
  assert out.count("no difference.") == 4
  assert out.count("equal to the bit") == 2
  assert (contents(planted), contents(run_dir)) == before


@pytest.mark.slow
def test_kernels_are_drawn_and_a_picture_is_kept(planted, tmp_path, capsys, contents):
  before, picture = contents(planted), tmp_path / "kernels.png"
  assert inspect(planted, "--arm=lr", f"--kernels={picture}") == 0
  assert f"Kernels: {picture}" in capsys.readouterr().out
  with Image.open(picture) as image:
    assert image.width == trained_kernels.WIDTH * 150
    assert 300 < image.height < 1200
    assert len(image.convert("RGB").getcolors(1 << 24)) > 50
  kept = picture.read_bytes()
  assert inspect(planted, "--arm=lr", "--member=1", f"--kernels={picture}") == 2
  assert picture.read_bytes() == kept
  assert inspect(planted, "--arm=lr", "--member=1", f"--kernels={picture}", "--overwrite") == 0
  assert picture.read_bytes() != kept
  assert contents(planted) == before


BAD = [
  ([], "give one folder of a run, not 0; --help says more"),
  (["{run}", "{run}"], "give one folder of a run, not 2"),
  (["{run}/nowhere"], "there is no folder"),
  (["{run}/checkpoints"], "is {run}/checkpoints the folder of a run?"),
  (["{run}", "--arms=lr"], "unrecognized arguments: --arms=lr"),
  (["{run}", "--diff=maybe"], "--diff"),
  (["{run}", "--nohelp=1"], "unrecognized arguments: --nohelp=1"),
  (["{run}", "--arm=lrr"], "--arm=lrr is not in this run; choose from lr, hr"),
  (["{run}", "--arm="], "--arm= is not in this run; choose from lr, hr"),
  (["{run}", "--step=3"], "--step goes with --arm"),
  (["{run}", "--kernels=a.png"], "--kernels goes with --arm"),
  (["{run}", "--arm=lr", "--overwrite"], "--overwrite goes with --kernels"),
  (["{run}", "--arm=lr", "--stage=begin"], "{run} holds no begin checkpoint of any arm"),
  (["{run}", "--arm=lr", "--step=7"], f"holds no step 7; there are .*{STEPS}"),
  (["{run}", "--arm=lr", "--step=x"], "--step=x must be a whole number"),
  (["{run}", "--arm=lr", "--member=2"], "--member=2 is not one of the 2 members of lr"),
  (["{run}", "--arm=lr", "--member=-1"], "--member=-1 must be at least 0"),
  (["{run}", "--arm=lr", "--kernels=a.jpg"], "--kernels=a.jpg must end in .png"),
  (["{run}", "--arm=lr", "--kernels=no/a.png"], "lie in a folder that exists"),
  (["{run}", "--arm=lr", "--kernels={run}/a.png"], "the run's folder, to which nothing is written"),
  (["--diff", "{run}"], "--diff wants two folders of runs, not 1"),
  (["--diff", "{run}", "{run}", "--arm=lr"], "--arm goes with one run"),
  (["--diff", "{run}", "{run}/nowhere"], "there is no folder"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("given", "says"), BAD, ids=[" ".join(given) for given, _ in BAD])
def test_bad_input_is_one_sentence_and_touches_nothing(
  given, says, run_dir, capsys, tmp_path, monkeypatch, contents
):
  monkeypatch.chdir(tmp_path)
  before = contents(run_dir)
  assert inspect(*(one.replace("{run}", str(run_dir)) for one in given)) == 2
  out, err = capsys.readouterr()
  assert re.search(says.replace("{run}", str(run_dir)).replace("?", r"\?"), err), err
  assert (out, err.count("\n")) == ("", 1)
  assert contents(run_dir) == before
  assert not list(tmp_path.iterdir())


def cut(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_scores(path):
  results = json.loads(path.read_text())
  del results["arms"]["lr"]
  path.write_text(json.dumps(results))


def change(path):
  path.write_text(path.read_text().replace('"steps": 30', '"steps": 31'))


DAMAGE = [
  ("config.json", cut, "config.json cannot be read"),
  ("config.json", change, "was changed: its configuration hashes to"),
  ("results.json", cut, "results.json cannot be read"),
  ("results.json", lose_scores, "results.json is damaged or of another version"),
  (f"checkpoints/lr/final/{STEPS}/_CHECKPOINT_METADATA", cut, "its metadata cannot be read"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "damage", "says"), DAMAGE)
def test_damage_is_one_sentence(file, damage, says, run_dir, capsys, tmp_path, contents):
  copy = tmp_path / run_dir.name
  shutil.copytree(run_dir, copy)
  damage(copy / file)
  before = contents(tmp_path)
  assert inspect(copy, "--arm=lr", f"--kernels={tmp_path / 'a.png'}") == 2
  out, err = capsys.readouterr()
  assert says in err
  assert (out, err.count("\n")) == ("", 1)
  assert contents(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("file", ["state/manifest.ocdbt", "state/ocdbt.process_0/d/*"])
def test_a_damaged_checkpoint_is_one_sentence_whatever_orbax_prints(
  file, run_dir, tmp_path, contents
):
  copy = tmp_path / run_dir.name
  shutil.copytree(run_dir, copy)
  for path in (copy / "checkpoints" / "lr" / "final" / str(STEPS)).glob(file):
    path.write_bytes(path.read_bytes()[:20])
  before = contents(tmp_path)
  command = [sys.executable, "-m", "sr_jax.inspect_checkpoint", copy, "--arm=lr"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
  assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
  assert f"{STEPS} is damaged" in done.stderr
  assert contents(tmp_path) == before


UNTIED = {"upsampling": "transposed_conv", "execution": "lr_space", "untied": True}
NETWORKS = {  # and how many panels their first and last layers are drawn in
  lr_network(features=8, depth=1): (1, 2),
  hr_network(features=2, depth=1, kernel_size=3): (1, 1),
  hr_network(features=2, depth=1, **UNTIED): (2, 1),
  hr_network(features=3, depth=1, upsampling="transposed_conv", kernel_size=3): (2, 1),
  espcn(features=(8, 6)): (1, 2),
  srcnn(features=(6, 5)): (1, 1),
  fsrcnn(features=(6, 4), depth=1): (1, 2),
}
NAMES = ["lr", "hr", "hr-untied", "hr-learned", "espcn", "srcnn", "fsrcnn"]
any_network = pytest.mark.parametrize("network", NETWORKS, ids=NAMES)


def shapes_of(network):
  side = 8 + 2 * network.margin
  return jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, side, side, 1)))["params"]


@any_network
def test_only_planted_units_are_dead_in_any_network(network):
  random = np.random.default_rng(0)
  params = jax.tree.map(lambda x: random.normal(size=x.shape).astype("f"), shapes_of(network))
  planted = params[network.layers[1].name]
  planted["kernel"][..., 1], planted["bias"][1] = 0, -1
  side = 8 + 2 * network.margin
  lr = jnp.asarray(random.uniform(size=(4, side, side, 1)).astype("f"))
  dead = {name: units for name, (units, _) in dead_units(network, params, lr).items()}
  assert dead == {layer.name: [] for layer in network.layers[:-1]} | {network.layers[1].name: [1]}


@any_network
def test_layers_that_upscale_are_drawn_in_both_forms(network):
  params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes_of(network))
  figure = trained_kernels.draw(params, network, "any")
  found = tuple(
    sum(bool(cell.images) for cell in part.axes if cell.get_label() != "<colorbar>")
    for part in figure.subfigs
  )
  assert found == NETWORKS[network]


def test_the_pair_of_pictures_holds_the_same_weights():
  network = lr_network(features=2, depth=0)
  params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes_of(network))
  kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
  params["last"]["kernel"] = kernel
  figure = trained_kernels.draw(params, network, "any")
  lr, deconv = (
    np.ma.filled(cell.images[0].get_array(), np.nan) for cell in figure.subfigs[1].axes[:2]
  )
  expected, _ = lr_to_deconv(kernel, 2, ((1, 1), (1, 1)), (0, 0))
  gap, zoom = trained_kernels.GAP, trained_kernels.ZOOM
  assert lr[gap, gap] == kernel[0, 0, 0, 0]
  assert lr[gap + 3 * zoom + trained_kernels.PHASE_GAP, gap + zoom] == kernel[0, 1, 0, 2]
  np.testing.assert_array_equal(
    deconv[gap : gap + 6 * zoom : zoom, gap : gap + 6 * zoom : zoom], expected[:, :, 0, 0]
  )


def test_a_diverged_member_is_drawn_without_weights(tmp_path):
  network = lr_network(features=2, depth=0)
  params = jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan, np.float32), shapes_of(network))
  figures.save(trained_kernels.draw(params, network, "any"), tmp_path / "kernels.png")
  with Image.open(tmp_path / "kernels.png") as image:
    assert image.width == trained_kernels.WIDTH * 150
