import json

import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import hr_network, lr_network, squared_error
from sr_jax.operators.conv import Computation
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import autotune, choices, sharding, timing
from sr_jax.training.choices import Choices, Stopwatch, max_width, reproducing
from sr_jax.training.objective import Upscaling

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)


@pytest.fixture(scope="module")
def stopwatch():
  mesh = sharding.make_mesh(2, 2, "member:2")
  store = sharding.upload(patches.make_store([make_pair("n", NOISE, 2)], 6))
  return Stopwatch(2, 6, 2, "bfloat16", mesh, store, ("canonical",))


@pytest.mark.parametrize(
  ("seconds", "width"),
  [
    ({"target": 2.5, "4": 1.0, "8": 2.0, "12": 3.0}, "8"),
    ({"target": 2.5, "4": 1.0, "8": 5.0, "12": 2.0}, "12"),  # a wider one may suit the device
    ({"target": 2.5, "4": 3.0, "8": 5.0}, "4"),
  ],
)
def test_the_widest_that_is_as_fast(seconds, width):
  assert max_width(seconds) == width


def test_a_choice_is_measured_once_and_then_kept(tmp_path, stopwatch, capsys):
  networks = {width: lr_network(features=width, depth=0) for width in (1, 2)}
  slow = lr_network(features=64, depth=2)
  assert Choices(RunFolder(tmp_path), {}, stopwatch).max_width("wide", slow, networks) == 2
  assert "wide: 2, by its time (target " in capsys.readouterr().out
  kept = json.loads(RunFolder(tmp_path).choices.read_text())
  assert kept["wide"]["seconds"].keys() == {"target", "1", "2"}
  kept["wide"]["choice"] = "1"
  RunFolder(tmp_path).choices.write_text(json.dumps(kept))
  again = Choices(RunFolder(tmp_path), {}, stopwatch)
  assert again.max_width("wide", slow, networks) == 1
  assert again.taken == {"wide": "1"}


def test_a_choice_that_is_given_is_not_measured(tmp_path, stopwatch, monkeypatch):
  monkeypatch.setattr(choices.autotune, "form_seconds", lambda *_: pytest.fail("measured"))
  given = Choices(RunFolder(tmp_path), {"hr": "lr_space"}, stopwatch)
  assert given.fastest("hr", {}) == "lr_space"
  assert given.taken == {"hr": "lr_space"}
  assert not list(tmp_path.iterdir())


def test_what_is_timed_is_what_a_run_trains(stopwatch, monkeypatch):
  """The mesh, the precision, the images and the number of members are the run's."""
  timed = []
  monkeypatch.setattr(choices, "step_seconds", lambda *given: timed.append(given) or {"a": 1.0})
  network = hr_network(features=1, depth=0, execution="lr_space")
  stopwatch.steps({"a": network})
  ((programs, store, batch, patch, objective),) = timed
  program = programs["a"]
  assert (program.network, program.mesh) == (network, stopwatch.mesh)
  assert program.mesh.shape == {"member": 2, "data": 1}
  assert program.computation == Computation("canonical", "bfloat16")
  assert len(program.members.seed) == 2
  assert (store, batch, patch, objective) == (stopwatch.store, 2, 6, None)


def test_the_timed_program_is_the_one_that_is_trained(stopwatch, monkeypatch):
  from sr_jax.training.population import make_train_steps  # noqa: PLC0415

  made = []

  def make(*given):
    made.append(make_train_steps(*given))
    return made[-1]

  monkeypatch.setattr(timing, "make_train_steps", make)
  network = lr_network(features=1, depth=0)
  stopwatch.steps({"a": network})
  computation = Computation("canonical", "bfloat16")
  assert made == [make_train_steps(network, 2, 6, stopwatch.mesh, computation, None)]


def test_on_accelerators_the_form_that_was_timed_is_the_one_that_is_trained(
  tmp_path, stopwatch, monkeypatch
):
  stopwatch = stopwatch._replace(forms=autotune.BATCHED_FORMS)
  seconds = {"hr_space": 1.0, "lr_space": 2.0}
  forms = {"hr_space": "matrix_product", "lr_space": "plain"}
  asked = []

  def timed(self, networks, form=None):
    asked.append(form)
    return seconds, forms

  monkeypatch.setattr(Stopwatch, "gradients", timed)
  networks = dict.fromkeys(seconds, lr_network())
  chosen = Choices(RunFolder(tmp_path), {}, stopwatch)
  assert chosen.fastest("hr", networks) == "hr_space"
  assert chosen.taken == {"hr": "hr_space", "hr/2": "matrix_product"}
  again = Choices(RunFolder(tmp_path), {}, stopwatch)
  assert again.choose("hr/2", lambda: pytest.fail("measured again"), min) == "matrix_product"
  (tmp_path / "given").mkdir()
  given = Choices(RunFolder(tmp_path / "given"), {"hr/2": "plain"}, stopwatch)
  given.fastest("hr", networks)
  assert asked == [None, "plain"]
  assert given.taken["hr/2"] == "plain"


def test_the_configuration_that_makes_the_bits_again():
  results = {
    "config": {"hr_execution": "auto", "measured": ["auto"]},
    "choices": {"hr": "lr_space", "hr_k4": "lr_space", "lr_timed": "36"},
  }
  assert reproducing(results) == {"hr_execution": "lr_space", "measured": ["lr_timed:36"]}
  results["choices"]["hr_k3"] = "hr_space"
  assert reproducing(results) == {
    "hr_execution": "auto",
    "measured": ["hr:lr_space", "hr_k4:lr_space", "lr_timed:36", "hr_k3:hr_space"],
  }
  results = {
    "config": {"convolution": "auto", "measured": ["auto"]},
    "choices": {"lr/3": "native", "hr/3": "native"},
  }
  assert reproducing(results) == {"convolution": "native", "measured": ["auto"]}
  results["choices"]["hr/3"] = "canonical"
  assert reproducing(results) == {
    "convolution": "auto",
    "measured": ["lr/3:native", "hr/3:canonical"],
  }
  nothing = {"config": {"hr_execution": "hr_space", "measured": ["auto"]}, "choices": {}}
  assert reproducing(nothing) == nothing["config"]


@pytest.mark.parametrize("entry", ["hr", "hr:", ":lr_space", "other:1", "auto", "wide:0"])
def test_choices_that_are_not_understood_are_refused(entry):
  with pytest.raises(InputError, match=f"--measured={entry}"):
    choices.parse([entry, "x:1"], {"hr": ("hr_space", "lr_space"), "wide": choices.WIDTHS})


def test_a_run_begun_with_the_native_convolution_does_not_continue_without_it(tmp_path, stopwatch):
  both = stopwatch._replace(forms=("canonical", "native"))
  folder = RunFolder(tmp_path)
  choice = Choices(folder, {}, both).choose(
    "lr/2", lambda: {"canonical": 2.0, "native": 1.0}, choices.fastest
  )
  assert choice == "native"
  assert Choices(folder, {}, both).choose("lr/2", pytest.fail, min) == "native"
  kept = folder.choices.read_bytes()
  with pytest.raises(InputError, match=r"begun with the native convolution.*lr/2.*=xla"):
    Choices(folder, {}, stopwatch)
  assert folder.choices.read_bytes() == kept


def test_forms_of_devices_of_another_kind_are_measured_again(tmp_path, stopwatch):
  folder = RunFolder(tmp_path)
  Choices(folder, {}, stopwatch._replace(forms=autotune.BATCHED_FORMS)).choose(
    "lr/2", lambda: {"plain": 1.0}, choices.fastest
  )
  assert (
    Choices(folder, {}, stopwatch).choose("lr/2", lambda: {"canonical": 1.0}, choices.fastest)
    == "canonical"
  )
  with pytest.raises(InputError, match=r"--measured=lr/2:plain: convolutions are canonical here"):
    Choices(folder, {"lr/2": "plain"}, stopwatch)


def test_one_form_is_not_measured(stopwatch, monkeypatch):
  monkeypatch.setattr(choices.autotune, "form_seconds", lambda *_: pytest.fail("measured"))
  monkeypatch.setattr(choices, "step_seconds", lambda timed, *_: dict.fromkeys(timed, 1.0))
  _, forms = stopwatch.steps({"a": lr_network(features=1, depth=0)})
  assert forms == {"a": "canonical"}


def test_the_gradients_that_are_timed_are_those_of_the_loss(stopwatch, monkeypatch):
  losses = []

  def loss(self, network, params, lr, hr):
    losses.append((network, lr.shape, hr.shape))
    return squared_error(network, params, lr, hr)

  monkeypatch.setattr(Upscaling, "training_loss", loss)
  network = lr_network(features=1, depth=0)
  seconds, forms = stopwatch.gradients({"a": network})
  assert forms == {"a": "canonical"}
  assert seconds["a"] > 0
  assert set(losses) == {(network, (2, 6, 6, 1), (2, 12, 12, 1))}


def test_a_run_begun_without_the_native_convolution_goes_on_without_it(tmp_path, stopwatch):
  folder = RunFolder(tmp_path)
  without = Choices(folder, {}, stopwatch)
  without.keep_only_form()
  assert without.taken == {"convolution": "canonical"}
  both = Choices(folder, {}, stopwatch._replace(forms=("canonical", "native")))
  both.keep_only_form()
  assert both.forms == ("canonical",)
  results = {"config": {"convolution": "auto", "measured": ["auto"]}, "choices": both.taken}
  assert reproducing(results) == {"convolution": "xla", "measured": ["auto"]}
