import json
import os
import subprocess
import sys

import pytest

import launch
from experiments import espcn, residual
from experiments.matched_flops import Config, arms, comparison, measured_arms
from sr_jax.comparison.own_arms import sources
from sr_jax.config import InputError, to_dict
from sr_jax.flags import FieldParser
from sr_jax.networks import lr_network
from sr_jax.networks.budget import budget
from sr_jax.networks.own import own_network
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import Choices

EDSR, SPAN, RCAN = (f"examples.own_network:{name}" for name in ("EDSR", "SPAN", "RCAN"))
SMALL = '{"EDSR": {"blocks": 1}}'


class Chosen(Choices):
  """Choices that need no measuring."""

  def __init__(self, width, times=None):
    self.width, self.times = width, times or {}

  def seconds(self, name):
    return self.times

  def fastest(self, name, networks):
    return "lr_space"

  def max_width(self, name, target, candidates):
    self.target, self.candidates = target, candidates
    return self.width


def config(*names, **fields):
  return Config(arms=names, **{"own_arguments": SMALL, "features": 8, "depth": 1, **fields})


def test_own_networks_are_arms_by_the_names_of_their_classes():
  plain = config("lr", EDSR)
  lr, edsr = arms(plain)
  assert plain.arm_names() == (lr.name, edsr.name) == ("lr", "EDSR")
  assert edsr.network == own_network(EDSR, 2, '{"blocks": 1}')
  assert (edsr.macs, edsr.note) == (None, EDSR)
  assert (comparison(plain).primary.first, comparison(plain).primary.second) == ("lr", "EDSR")
  assert comparison(config("hr", EDSR, "lr")).primary.second == "hr"
  assert [arm.name for arm in measured_arms(plain, Chosen(1))] == ["lr", "EDSR"]


@pytest.mark.parametrize("cost", ["macs", "parameters"])
def test_a_width_is_chosen_that_costs_what_the_first_arm_costs(cost):
  lr, edsr = arms(config("lr", EDSR, match=f"{cost}:features"))
  target, reached = (float(getattr(arm.budget, cost)) for arm in (lr, edsr))
  width = json.loads(edsr.network.arguments)["features"]
  others = [
    float(getattr(arms(config("lr", EDSR, own_arguments=text))[1].budget, cost))
    for text in (json.dumps({"EDSR": {"blocks": 1, "features": width + i}}) for i in (-1, 1))
  ]
  assert others[0] < reached < others[1]
  assert abs(reached - target) <= min(abs(other - target) for other in others)
  unit = {"macs": "MACs", "parameters": "parameters"}[cost]
  more = "more" if reached > target else "fewer"
  off = f"{abs(reached / target - 1):.1%}"
  assert edsr.note == f"{EDSR}, features={width}: {off} {more} {unit} than lr"


def test_the_first_arm_is_what_others_are_matched_to_and_stays_as_it_is():
  first, lr, span = arms(config(EDSR, "lr", SPAN, match="macs:features"))
  assert first.network == own_network(EDSR, 2, '{"blocks": 1}')
  assert lr.network == lr_network(features=8, depth=1)
  assert abs(span.budget.macs / first.budget.macs - 1) < 0.05


def test_a_width_matched_in_time_is_measured_in_the_run():
  timed, chosen = config("lr", EDSR, match="time:features"), Chosen(5)
  assert [arm.name for arm in arms(timed)] == ["lr"]
  lr, edsr = measured_arms(timed, chosen)
  assert json.loads(edsr.network.arguments) == {"blocks": 1, "features": 5}
  assert chosen.target == lr.network
  assert chosen.candidates[5] == edsr.network
  assert timed.choices()["EDSR"] == ("a number of maps",)
  # What was measured is given again, also a width that is not among the candidates.
  given = config("lr", EDSR, match="time:features", measured=("EDSR:99",))
  assert given.given_choices() == {"EDSR": "99"}
  with pytest.raises(InputError, match="nothing of the name EDSR is chosen in this run"):
    config("lr", EDSR, measured=("EDSR:99",))
  assert "features=99" in measured_arms(timed, Chosen(99))[1].note


def test_a_note_says_if_no_width_is_as_fast_as_the_first_arm():
  timed = config("lr", EDSR, match="time:features")
  quick = measured_arms(timed, Chosen(5, {"target": 1.0, "5": 0.9, "6": 1.1}))[1].note
  assert quick.startswith(f"{EDSR}, features=5, for the time of lr, of ")
  slow = measured_arms(timed, Chosen(5, {"target": 1.0, "5": 1.25, "6": 2.0}))[1].note
  assert "none is as fast as lr, and this takes 1.25 times as long" in slow


OWN = """
import math
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx
from examples.own_network import pixel_shuffle

class Base(nn.Module):
  scale: int
  features: int = 4
  @nn.compact
  def __call__(self, x):
    y = self.change(nn.Conv(self.width(), (3, 3))(x))
    return self.give(pixel_shuffle(nn.Conv(self.scale**2, (3, 3))(y), self.scale))
  def width(self):
    return self.features
  def change(self, y):
    return y
  def give(self, y):
    return y

class LR(Base):
  pass

class Tuple(Base):
  def give(self, y):
    return y, y

class Rounded(Base):
  def width(self):
    return 8 * math.ceil(self.features / 8)

class Fourier(Base):
  def change(self, y):
    return jnp.fft.ifft(jnp.fft.fft(y, axis=1), axis=1).real

class Position(Base):
  @nn.compact
  def __call__(self, x):
    x = x + self.param("position", nn.initializers.normal(), (1, *x.shape[1:]))
    return pixel_shuffle(nn.Conv(self.scale**2, (3, 3))(x), self.scale)

class Heads(nnx.Module):
  def __init__(self, scale, features, *, rngs):
    self.scale = scale
    self.first = nnx.Conv(1, features, (3, 3), rngs=rngs)
    self.last = nnx.Conv(features, scale**2, (3, 3), rngs=rngs)
  def __call__(self, x):
    y = self.first(x)
    b, h, w, c = y.shape
    return pixel_shuffle(self.last(y.reshape(b, h, w, 4, c // 4).reshape(y.shape)), self.scale)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
  """A module of networks, named as "nets:NAME"."""
  (tmp_path / "nets.py").write_text(OWN)
  monkeypatch.syspath_prepend(tmp_path)
  yield
  sys.modules.pop("nets", None)


def plain(name, match, **fields):
  return config("lr", f"nets:{name}", own_arguments="{}", match=f"{match}:features", **fields)


@pytest.mark.parametrize("match", ["macs", "parameters", "time"])
@pytest.mark.parametrize(
  ("name", "says"),
  [("Tuple", "returns a tuple, not one array"), ("Position", r"cannot be applied .*ScopeParamSh")],
)
def test_a_network_that_cannot_be_matched_is_refused_before_the_run(nets, match, name, says):
  with pytest.raises(InputError, match=f"nets:{name} {says}"):
    plain(name, match)


def test_widths_that_cannot_be_made_or_change_nothing_are_passed_over(nets):
  heads = arms(plain("Heads", "macs"))[1]
  assert json.loads(heads.network.arguments)["features"] % 4 == 0
  rounded = arms(plain("Rounded", "macs", features=32, depth=0))[1]
  assert abs(rounded.budget.macs / budget(lr_network(features=32, depth=0)).macs - 1) < 0.2
  assert json.loads(rounded.network.arguments)["features"] > 8


def test_where_macs_cannot_be_counted_times_are_tried_around_the_parameters(nets, capsys):
  with pytest.raises(InputError, match="fft of nets:Fourier cannot be counted; match parameters"):
    plain("Fourier", "macs")
  timed, chosen = plain("Fourier", "time"), Chosen(9)
  lr, fourier = measured_arms(timed, chosen)
  target = lr.budget.parameters
  near = max(chosen.candidates) * 2 / 3
  assert abs(9 * near + near + 36 * near + 4 - target) < 0.1 * target
  assert "WARNING: fft of Fourier cannot be counted" in capsys.readouterr().out
  assert fourier.note.endswith("; not counted: fft")


def test_classes_are_told_from_arms_not_from_entries(nets):
  family = {"features": 8, "depths": (2,), "connections": ("residual",)}
  names = residual.Config(networks=("lr", "nets:LR"), **family).arm_names()
  assert names == ("lr_d2_residual", "LR")
  with pytest.raises(InputError, match="two arms would be called lr_d2_residual and LR_d2_resid"):
    residual.Config(networks=("lr", "nets:LR_d2_residual"), **family)


def test_residual_networks_are_what_own_ones_are_matched_to(nets):
  family = {"features": 8, "depths": (2,), "connections": ("plain",)}
  own = residual.Config(networks=("lr", "nets:LR"), match="parameters:features", **family)
  lr, matched = residual.arms(own)
  assert f"parameters than {lr.name}" in matched.note
  timed = residual.Config(networks=("lr", "nets:LR"), match="time:features", **family)
  chosen = Chosen(7)
  assert [arm.name for arm in residual.measured(timed, chosen)] == ["lr_d2", "LR"]
  assert chosen.target == lr.network


BAD = [
  ({"arms": ("lr", EDSR, "mine:Edsr")}, "two arms would be called EDSR and Edsr"),
  ({"arms": ("lr", "mine:hr_timed")}, "the class hr_timed needs a capital letter in its name"),
  ({"match": "macs:scale"}, "scale is given by the run; name another argument"),
  ({"arms": ("lr", "mine:LR")}, "two arms would be called lr and LR"),
  ({"own_arguments": "{"}, "is no JSON"),
  ({"own_arguments": '{"EDSR": {"a": 1, "a": 2}}'}, r"is no JSON \(it names a twice"),
  ({"own_arguments": "[1]"}, "must hold an object of arguments for each network"),
  (
    {"own_arguments": '{"SPAN": {}}'},
    "names SPAN, and the networks of your own in --arms are EDSR",
  ),
  ({"match": "macs"}, "--match=macs is not understood"),
  (
    {"match": "flops:features"},
    "is not understood; give none, or one of macs, parameters and time",
  ),
  (
    {"arms": ("lr", "hr"), "own_arguments": "{}", "match": "macs:features"},
    "is for networks of your",
  ),
  (
    {"match": "macs:blocks"},
    "--own_arguments gives blocks of EDSR, which --match=macs:blocks choo",
  ),
  (
    {"match": "macs:blocks", "own_arguments": "{}"},
    "comes closest to the .* MACs of the first arm",
  ),
  ({"match": "macs:width"}, "cannot be constructed with scale=2, blocks=1, width=1"),
  ({"arms": ("lr_timed", EDSR), "match": "macs:features"}, "lr_timed, is only measured in the run"),
]


@pytest.mark.parametrize(("fields", "says"), BAD)
def test_bad_input_is_one_sentence(fields, says):
  with pytest.raises(InputError, match=says):
    config(*fields.get("arms", ("lr", EDSR)), **{k: v for k, v in fields.items() if k != "arms"})


def test_the_same_arguments_name_the_same_run():
  texts = '{"EDSR":{"features":4,"blocks":1}}', '{ "EDSR": {"blocks": 1, "features": 4} }'
  first, second = (config("lr", EDSR, own_arguments=text) for text in texts)
  assert RunFolder.of("runs", "x", first).name == RunFolder.of("runs", "x", second).name
  other = config("lr", EDSR, own_arguments='{"EDSR": {"blocks": 1}}')
  assert RunFolder.of("runs", "x", first).name != RunFolder.of("runs", "x", other).name


def test_commas_inside_of_json_separate_no_values():
  parser = FieldParser(str, is_list=True, is_json=True)
  for texts in (
    ['{"A": {"b": 1, "c": [2, 3]}}'],
    ['{"A": {"b": 1, "c": 2}}', "{}"],
    ['{"A": {"s": "}},{[", "t": 1}}', '{"A": {"s": "\\"a]b"}}'],
  ):
    assert parser.parse(",".join(texts)) == parser.parse(" , ".join(texts)) == texts
  for bad in ('{"A": {"b": 1, "c": 2}', '{"A": {}}{}', '{"A": {}},'):
    with pytest.raises(ValueError, match=r"is no JSON|more than JSON and commas"):
      parser.parse(bad)
  assert FieldParser(str, is_list=True).parse("folder:/x[1,/y") == ["folder:/x[1", "/y"]
  assert FieldParser(int, is_list=True).parse("1,2,3") == [1, 2, 3]


def test_espcn_takes_own_networks():
  own = espcn.Config(networks=("espcn", EDSR), own_arguments=SMALL, match="macs:features")
  first, edsr = espcn.arms(own)
  assert (first.name, edsr.name, edsr.network.scale) == ("espcn", "EDSR", 3)
  assert abs(edsr.budget.macs / first.budget.macs - 1) < 0.1
  for experiment in (espcn, residual):
    with pytest.raises(InputError, match=r"vdsr is not supported; choose from .* class"):
      experiment.Config(networks=("vdsr",))


def test_runs_name_the_modules_that_they_would_import():
  data = to_dict(config("lr", EDSR))
  assert sources(Config, data) == {EDSR}
  assert sources(espcn.Config, {"networks": ["espcn"], "test_data": ["tfds:Set5"]}) == set()


def test_dry_run_imports_no_module_of_another_run(tmp_path, capsys):
  run = tmp_path / "matched_flops-0"
  run.mkdir()
  about = {"config": {**to_dict(Config()), "arms": ["lr", "module_that_exits:Network"]}}
  (run / "config.json").write_text(json.dumps(about))
  timing = {"phase_seconds": {"load": 1.0}, "device": "cpu"}
  (run / "timing.json").write_text(json.dumps(timing))
  (run / "results.json").write_text("{}")
  trap = tmp_path / "module_that_exits.py"
  trap.write_text("import pathlib\npathlib.Path(__file__).with_name('imported').touch()")
  sys.path.insert(0, str(tmp_path))
  try:
    flags = "--experiment=matched_flops", f"--workdir={tmp_path}", "--dry_run"
    assert launch.main(["launch.py", *flags]) == 0
  finally:
    sys.path.remove(str(tmp_path))
  assert "1 of 1 points are to be run" in capsys.readouterr().out
  assert not (tmp_path / "imported").exists()


MODULE = """
from flax import nnx
from examples.own_network import pixel_shuffle

class Small(nnx.Module):
  def __init__(self, scale, width, *, rngs):
    self.scale = scale
    sizes = (1, width), (width, scale**2)
    self.convs = nnx.List([nnx.Conv(*size, (3, 3), rngs=rngs) for size in sizes])
  def __call__(self, x):
    return pixel_shuffle(self.convs[1](nnx.relu(self.convs[0](x))), self.scale)
"""


@pytest.mark.slow
def test_a_module_beside_the_user_is_trained_reported_inspected_and_used(tmp_path, tiny_folder):
  (tmp_path / "mynet.py").write_text(MODULE)
  root = launch.EXPERIMENTS.parent
  photographs = tiny_folder / "data"

  def run(*command, code=0):
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
      [sys.executable, *command],
      cwd=tmp_path,
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr

  command = [
    str(root / "launch.py"), "--experiment=smoke", "--arms=lr,mynet:Small", "--match=macs:width",
    "--features=4", "--depth=0", "--steps=4", "--learning_rate=1e-3", "--batch=4", "--patch=8",
    "--convolution=xla", f"--data=folder:{photographs}", "--compile_cache=", "--workdir=runs",
    f"--data_dir={tiny_folder / 'decoded'}",
  ]  # fmt: skip
  out = run(*command)
  assert "mynet:Small, width=" in out
  (folder,) = (tmp_path / "runs").glob("smoke-*")
  results = (folder / "results.json").read_bytes()
  assert list(json.loads(results)["arms"]) == ["lr", "Small"]
  (folder / "results.json").unlink()  # as if it had been stopped before it was finished
  run(*command)
  assert (folder / "results.json").read_bytes() == results
  inspected = run("-m", "sr_jax.inspect_checkpoint", str(folder), "--arm=Small")
  for words in (
    "source='mynet:Small'",
    "convs/1/kernel",
    "shift -",
    "Dead units are looked for in",
  ):
    assert words in inspected
  kernels = run(
    "-m", "sr_jax.inspect_checkpoint", str(folder), "--arm=Small", "--kernels=k.png", code=2
  )
  assert "--kernels draws those of this package's networks" in kernels
  (photograph,) = list(photographs.rglob("*.png"))[:1]
  run(
    "-m", "sr_jax.upscale", str(photograph), f"--checkpoint={folder}", "--arm=Small", "--output=o"
  )
  assert (tmp_path / "o" / f"{photograph.stem}.png").exists()
  (tmp_path / "mynet.py").write_text(MODULE + "\n# changed\n")
  again = run(*command)
  assert "WARNING: the module of mynet:Small was changed since this run was begun" in again
  assert (folder / "results.json").read_bytes() == results
  (folder / "results.json").unlink()
  assert "mynet:Small was changed since this run was begun" in run(*command, code=2)
  inspected = run("-m", "sr_jax.inspect_checkpoint", str(folder), "--arm=Small", code=2)
  assert "mynet:Small was changed since it was trained, and is not imported" in inspected
