"""The programs of accelerators, lowered on a machine that has none.

That a program lowers shows that its shapes, its shardings and the functions that it calls are legal
there, not that it is fast, nor that its numbers are right.
"""

import re

import jax
import numpy as np
import pytest
from jax import export
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from experiments import espcn, matched_flops
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.evaluation import scoring
from sr_jax.networks import lr_network
from sr_jax.networks.network import EXECUTIONS
from sr_jax.operators.conv import PRECISIONS, Computation
from sr_jax.training import population, sharding
from sr_jax.training.autotune import BATCHED_FORMS

PLATFORMS = ("cuda", "tpu")
MEMBERS, BATCH, PATCH, STEPS = 4, 16, 17, 100
TRAINEES = population.make_members(range(MEMBERS), [1e-3])
STORE = patches.make_store([make_pair("zero", np.zeros((80, 70), np.uint8), 2)], PATCH)
LR, HR = (arm.network for arm in matched_flops.arms(matched_flops.Config()))
TRAINED = {"lr": LR} | {f"hr in {name}": HR.clone(execution=name) for name in EXECUTIONS}


def scored():
  """Every network of the experiments, HR ones in each execution, once."""
  confirmatory = matched_flops.PRESETS["confirmatory"]
  for arm in (*matched_flops.arms(confirmatory), *espcn.arms(espcn.Config())):
    if arm.network.has_two_executions:
      for name in EXECUTIONS:
        yield f"{arm.name} in {name}", arm.network.clone(execution=name)
    else:
      yield arm.name, arm.network


SCORED = dict(scored())


@pytest.fixture(scope="module")
def mesh():
  names, types = (sharding.MEMBER, sharding.DATA), (AxisType.Auto,) * 2
  return jax.make_mesh((2, 2), names, axis_types=types, devices=jax.devices())


@pytest.fixture(autouse=True)
def _as_on_an_accelerator(monkeypatch):
  """Members are batched, and programs that were made for CPU are not taken for these."""
  for module in (sharding, population):
    monkeypatch.setattr(module, "one_by_one", lambda mesh: False)
  for module, name in (
    (population, "_make_initialise"),
    (population, "make_train_steps"),
    (scoring, "make_upscale"),
  ):
    monkeypatch.setattr(module, name, getattr(module, name).__wrapped__)


def on(mesh, spec, tree):
  """Shapes and types of arrays that are laid out over a mesh."""
  layout = NamedSharding(mesh, spec)
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=layout), tree)


def begun(network, mesh):
  """Shapes and types of a population's state and members."""
  state = jax.eval_shape(population._make_initialise(network, mesh), TRAINEES, np.uint32(0))
  return on(mesh, P(sharding.MEMBER), (state, TRAINEES))


def lower(program, mesh, inputs, outputs):
  """A program as each platform gets it, with the expected inputs and outputs."""
  programs = []
  for platform in PLATFORMS:
    exported = export.export(program, platforms=[platform])(*inputs)
    assert exported.platforms == (platform,)
    check(exported, mesh, inputs, outputs)
    programs.append(exported.mlir_module())
  return programs


def check(exported, mesh, inputs, outputs):
  """What goes in and comes out is as expected, and every output is spread over the members."""
  assert exported.nr_devices == mesh.size
  for avals, expected in ((exported.in_avals, inputs), (exported.out_avals, outputs)):
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(expected)]
    assert [(aval.shape, aval.dtype) for aval in avals] == shapes
  layouts = exported.in_shardings_jax(mesh)
  for leaf, layout in zip(jax.tree.leaves(inputs), layouts, strict=True):
    assert layout.is_equivalent_to(leaf.sharding, leaf.ndim)
  program = exported.mlir_module()
  (spread,) = re.findall(r"sdy.manual_computation.* out_shardings=\[(.*)\] manual_axes", program)
  by_member = [aval.ndim * [""] for aval in exported.out_avals]
  for axes in by_member:
    axes[0] = f'"{sharding.MEMBER}"'
  expected = (f"<@mesh, [{', '.join(f'{{{axis}}}' for axis in axes)}]>" for axes in by_member)
  assert spread == ", ".join(expected)


def train_programs(network, mesh, computation):
  state, members = begun(network, mesh)
  (number,) = on(mesh, P(), [np.zeros((), np.int32)])
  losses = on(mesh, P(sharding.MEMBER), np.zeros(MEMBERS, np.float32))
  inputs = (state, members, on(mesh, P(), STORE), number, number, number, losses)
  steps = population.make_train_steps(network, BATCH, PATCH, mesh, computation)
  return lower(steps, mesh, inputs, (state, losses))


@pytest.mark.parametrize("form", BATCHED_FORMS)
@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers(name, form, mesh):
  for program in train_programs(TRAINED[name], mesh, Computation(form)):
    groups = [int(count) for count in re.findall(r"feature_group_count = (\d+)", program)]
    if form == "plain":  # the members of a device are the groups of its convolutions
      assert MEMBERS // 2 in groups
    else:
      assert "stablehlo.dot_general" in program
    assert "stablehlo.all_reduce" in program  # a batch is split over the data axis


@pytest.mark.parametrize("precision", PRECISIONS[1:])
@pytest.mark.parametrize("form", BATCHED_FORMS)
def test_training_lowers_in_every_precision(form, precision, mesh):
  network, computation = lr_network(depth=1), Computation(form, precision)
  operand = "bf16" if precision == "bfloat16" else "f32"
  operation = "convolution" if form == "plain" else "dot_general"
  types = rf": \(tensor<[0-9x]*{operand}>, tensor<[0-9x]*{operand}>\) -> tensor<[0-9x]*f32>"
  for program in train_programs(network, mesh, computation):
    lines = [line for line in program.splitlines() if f"stablehlo.{operation}" in line]
    assert any(re.search(types, line) for line in lines)


@pytest.mark.parametrize("name", SCORED)
def test_scoring_lowers(name, mesh):
  network, (height, width) = SCORED[name], (23, 31)
  params = begun(network, mesh)[0].params
  image = on(mesh, P(), np.zeros((height, width, 1), np.float32))
  program = scoring.make_upscale(network, mesh)
  size = (MEMBERS, network.scale * height, network.scale * width, 1)
  output = jax.ShapeDtypeStruct(size, np.float32)
  assert len(lower(program, mesh, (params, image), output)) == len(PLATFORMS)
