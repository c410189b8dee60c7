import jax
import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.networks import lr_network
from sr_jax.operators import native_conv
from sr_jax.operators.conv import Computation
from sr_jax.operators.native.library import UnavailableError
from sr_jax.training import autotune, population, sharding
from sr_jax.training.population import Population

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
NETWORK, BATCH, PATCH = lr_network(features=2, depth=0), 4, 6


def test_every_batched_form_is_timed_at_the_precision_of_the_run(monkeypatch):
  mesh = sharding.make_mesh(1, BATCH)
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  state = population.initialise(NETWORK, "lr", members, mesh)
  fresh = Population(NETWORK, state, members, mesh, Computation(precision="bfloat16"))
  make, made = autotune.gradient_call, []

  def note(timed, members, batch, patch, objective):
    made.append((members, batch, patch, *timed.computation))
    return make(timed, members, batch, patch, objective)

  monkeypatch.setattr(autotune, "gradient_call", note)
  monkeypatch.setattr(autotune, "SECONDS", 0.01)
  by_form = autotune.form_seconds({"lr": fresh}, BATCH, PATCH, autotune.BATCHED_FORMS)
  seconds = by_form["lr"]
  assert list(seconds) == list(autotune.BATCHED_FORMS)
  assert min(seconds.values()) > 0
  assert made == [(1, BATCH, PATCH, form, "bfloat16") for form in autotune.BATCHED_FORMS]
  jax.block_until_ready(state)  # measuring has not used it up


def test_auto_measures_both_convolutions_where_the_native_one_is_available(monkeypatch, capsys):
  mesh = sharding.make_mesh(1, BATCH)
  monkeypatch.setattr(native_conv, "register", lambda: None)
  assert autotune.forms_of("auto", "float32", mesh) == ("canonical", "native")
  assert autotune.forms_of("native", "float32", mesh) == ("native",)
  assert autotune.forms_of("xla", "float32", mesh) == ("canonical",)
  assert autotune.forms_of("auto", "bfloat16", mesh) == ("canonical",)
  assert "--precision=bfloat16" in capsys.readouterr().out


def test_without_the_native_convolution_xla_is_used_and_one_line_says_why(monkeypatch, capsys):
  def register():
    raise UnavailableError("no C++ compiler")

  mesh = sharding.make_mesh(1, BATCH)
  monkeypatch.setattr(native_conv, "register", register)
  assert autotune.forms_of("auto", "float32", mesh) == ("canonical",)
  out = capsys.readouterr().out
  assert out.count("\n") == 1
  assert "XLA's convolution is used" in out
  assert "no C++ compiler" in out
  with pytest.raises(InputError, match="--convolution=native is not available here: no C"):
    autotune.forms_of("native", "float32", mesh)
  assert autotune.forms_of("xla", "float32", mesh) == ("canonical",)
  assert not capsys.readouterr().out


def test_accelerators_have_forms_of_their_own(monkeypatch):
  monkeypatch.setattr(autotune, "one_by_one", lambda mesh: False)
  mesh = sharding.make_mesh(1, BATCH)
  assert autotune.forms_of("auto", "tf32", mesh) == autotune.BATCHED_FORMS
  with pytest.raises(InputError, match="--convolution=native is a convolution for CPUs"):
    autotune.forms_of("native", "float32", mesh)


def test_of_several_processes_all_take_the_native_convolution_or_none(monkeypatch, capsys):
  mesh = sharding.make_mesh(1, BATCH)
  monkeypatch.setattr(native_conv, "register", lambda: None)
  monkeypatch.setattr(
    autotune, "all_gather", lambda function: [function(), "no C++ compiler there"]
  )
  assert autotune.forms_of("auto", "float32", mesh) == ("canonical",)
  assert "no C++ compiler there" in capsys.readouterr().out
