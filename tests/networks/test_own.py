"""Networks of the user's own, here in modules that are written beside the test."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sr_jax.config import InputError
from sr_jax.networks import build, describe
from sr_jax.networks.budget import budget, lr_windows, uncounted
from sr_jax.networks.own import abstract_params, check_on_patches, own_network
from sr_jax.operators.conv import Computation, computing
from sr_jax.training.checkpoints import Checkpoints, load_arrays
from sr_jax.training.population import initialise, make_members
from sr_jax.training.sharding import make_mesh

ROOT = Path(__file__).parents[2]

MODULE = """
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx
from jax import lax

NUMBER = 3

class Linen(nn.Module):
  scale: int
  width: int = 3
  @nn.compact
  def __call__(self, x):
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = nn.relu(nn.Conv(self.width, (3, 3), padding="VALID")(x))
    return self.shuffle(nn.Conv(self.scale**2, (1, 1))(y))
  def shuffle(self, y):
    b, h, w, _ = y.shape
    y = y.reshape(b, h, w, self.scale, self.scale).swapaxes(2, 3)
    return y.reshape(b, h * self.scale, w * self.scale, 1)

class Nnx(nnx.Module):
  def __init__(self, scale, width=3, *, rngs):
    self.scale = scale
    sizes = (1, width), (width, scale**2)
    self.convs = nnx.List([nnx.Conv(*size, (3, 3), rngs=rngs) for size in sizes])
  def __call__(self, x):
    return Linen.shuffle(self, self.convs[1](nnx.relu(self.convs[0](x))))

class Double(nn.Module):
  channels: int = 1
  state: str = "none"
  @nn.compact
  def __call__(self, x):
    y = nn.ConvTranspose(self.channels, (4, 4), (2, 2))(x)
    if self.state == "batch":
      y = nn.BatchNorm(use_running_average=False)(y)
    if self.state == "dropout":
      y = nn.Dropout(0.5, deterministic=False)(y)
    if self.state == "fft":
      y = jnp.fft.ifft(jnp.fft.fft(y, axis=1), axis=1).real
    return (y, y) if self.state == "tuple" else y

class Attention(nn.Module):
  @nn.compact
  def __call__(self, x):
    b, h, w, _ = x.shape
    y = nn.MultiHeadDotProductAttention(1, qkv_features=2)(x.reshape(b, h * w, 1))
    return nn.ConvTranspose(1, (4, 4), (2, 2))(y.reshape(b, h, w, 1))

class Rgb(nn.Module):
  @nn.compact
  def __call__(self, x):
    if x.shape[-1] != 3:
      raise ValueError("three channels")
    return nn.ConvTranspose(3, (4, 4), (2, 2))(x)

class Empty(nn.Module):
  @nn.compact
  def __call__(self, x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)

class Boxed(nn.Module):
  @nn.compact
  def __call__(self, x):
    axes = (None,) * 4
    init = nn.with_partitioning(nn.initializers.lecun_normal(), axes)
    return nn.ConvTranspose(1, (4, 4), (2, 2), kernel_init=init)(x)

class Position(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = x + self.param("position", nn.initializers.normal(), (1, *x.shape[1:]))
    return nn.ConvTranspose(1, (4, 4), (2, 2))(x)

class Blind(Double):
  @nn.compact
  def __call__(self, x):
    return nn.ConvTranspose(1, (4, 4), (2, 2))(jnp.ones_like(x))

class Stopped(Double):
  @nn.compact
  def __call__(self, x):
    return nn.ConvTranspose(1, (4, 4), (2, 2))(lax.stop_gradient(x))

class Fickle(nn.Module):
  how: str
  @nn.compact
  def __call__(self, x):
    y = nn.ConvTranspose(1, (4, 4), (2, 2))(x)
    if x.shape[1] < 96:
      return y
    return {"tuple": (y, y), "size": y[:, 1:]}[self.how]

class Keywords(nnx.Module):
  def __init__(self, **more):
    self.scale = more["scale"]
    self.conv = nnx.Conv(1, self.scale**2, (3, 3), rngs=more["rngs"])
  def __call__(self, x):
    return Linen.shuffle(self, self.conv(x))

class Halves(nn.Module):
  @nn.compact
  def __call__(self, x):
    y = nn.ConvTranspose(1, (4, 4), (2, 2), param_dtype=jnp.bfloat16)(x)
    return nn.ConvTranspose(1, (4, 4), (1, 1), param_dtype=jnp.float16)(y)

class Large(nn.Module):
  @nn.compact
  def __call__(self, x):
    if min(x.shape[1:3]) < 14:
      raise ValueError("14 pixels at least")
    return nn.ConvTranspose(1, (4, 4), (2, 2))(x)

class Exits(nn.Module):
  def __call__(self, x):
    raise SystemExit(3)

class Norm(nnx.Module):
  def __init__(self, drop=False, *, rngs):
    self.conv = nnx.ConvTranspose(1, 1, (4, 4), (2, 2), rngs=rngs)
    self.more = nnx.Dropout(0.5, rngs=rngs) if drop else nnx.BatchNorm(1, rngs=rngs)
  def __call__(self, x):
    return self.more(self.conv(x))
"""


@pytest.fixture(autouse=True)
def _module(tmp_path, monkeypatch):
  """The module that the tests name, which is imported anew for each of them."""
  name = "own_networks_of_a_test"
  (tmp_path / f"{name}.py").write_text(MODULE)
  (tmp_path / "own_broken.py").write_text("1 / 0")
  (tmp_path / "own_exits.py").write_text("raise SystemExit('usage')")
  monkeypatch.syspath_prepend(tmp_path)
  yield
  sys.modules.pop(name, None)


leaves_of = jax.tree_util.tree_leaves_with_path


def own(name, scale=2, **arguments):
  own_network.cache_clear()
  return own_network(f"own_networks_of_a_test:{name}", scale, json.dumps(arguments))


@pytest.mark.parametrize("name", ["Linen", "Nnx"])
def test_a_module_of_flax_becomes_a_network(name):
  network = own(name, 3, width=4)
  params = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]
  assert all(isinstance(key.key, str) for path, _ in leaves_of(params) for key in path)
  x = jnp.array(np.random.default_rng(0).random((2, 5, 7, 1), np.float32))
  y = network.apply({"params": params}, x)
  assert y.shape == (2, 15, 21, 1)
  # As Flax itself computes it.
  module = sys.modules["own_networks_of_a_test"]
  if name == "Linen":
    expected = module.Linen(3, 4).apply({"params": params}, x)
  else:
    plain = module.Nnx(3, 4, rngs=nnx.Rngs(0))
    nnx.update(plain, nnx.State(nnx.restore_int_paths(params)))
    expected = plain(x)
  np.testing.assert_allclose(y, expected, atol=1e-6)


def test_convolutions_of_flax_are_computed_as_those_of_this_package():
  network = own("Linen")
  params = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]

  def traced(form):
    with computing(Computation(form)):
      return str(jax.make_jaxpr(network.apply)({"params": params}, jnp.zeros((1, 8, 8, 1))))

  assert traced("matrix_product").count("conv_general_dilated") == 0
  assert traced("plain").count("conv_general_dilated") == 2


@pytest.mark.parametrize("name", ["Linen", "Nnx"])
def test_it_is_described_and_built_again(name):
  network = own(name, width=5)
  description = json.loads(json.dumps(describe(network)))
  assert build(description) == network
  with pytest.raises(InputError, match="module lost cannot be imported"):
    build({**description, "source": "lost:Linen"})


def test_it_is_counted_and_its_window_measured():
  network = own("Linen", width=5)
  cost = budget(network)
  assert (cost.macs, cost.parameters) == ((9 * 5 + 5 * 4) / 4, 9 * 5 + 5 + 5 * 4 + 4)
  assert cost.activations == (5 + 4) / 4
  assert lr_windows(network) == [(-1, 1)] * 2
  assert cost.receptive_field == 6
  assert cost.shift is None
  assert uncounted(network) == ()
  assert uncounted(own("Double", state="fft")) == ("fft",)


BAD = [
  ("own_networks_of_a_test", {}, "is not MODULE:CLASS"),
  ("lost:Linen", {}, "module lost cannot be imported"),
  ("own_broken:Linen", {}, "cannot be imported.*ZeroDivisionError"),
  (":Lost", {}, "has no Lost"),
  (":NUMBER", {}, "is no class of a flax.linen.Module or flax.nnx.Module"),
  (":Linen", {"height": 3}, "cannot be constructed with scale=2, height=3 .*height"),
  (":Nnx", {"width": "x"}, "cannot be constructed with scale=2, width='x'"),
  (":Linen", {"scale": 3}, r"makes float32 \(2, 42, 51, 1\) of LR luminance \(2, 14, 17, 1\)"),
  (":Rgb", {}, "takes RGB, not luminance"),
  (":Double", {"channels": 3}, "makes RGB, float32"),
  (":Double", {"state": "batch"}, "holds batch_stats beside its parameters"),
  (":Double", {"state": "dropout"}, "cannot be applied to luminance .*dropout"),
  (":Double", {"state": "tuple"}, "returns a tuple, not one array"),
  (":Empty", {}, "has no parameters"),
  (":Blind", {}, "Blind ignores the image: no HR pixel depends on it"),
  (":Halves", {}, "has bfloat16 and float16 parameters, where float32 is due"),
  (":Exits", {}, r"cannot be applied to luminance \(2, 14, 17, 1\) \(SystemExit: 3"),
  ("own_exits:Linen", {}, "module own_exits cannot be imported.*SystemExit: usage"),
  (":Norm", {}, "holds BatchStat beside"),
  (":Norm", {"drop": True}, "holds RngCount, RngKey beside"),
]


@pytest.mark.parametrize(("source", "arguments", "says"), BAD)
def test_what_cannot_be_compared_is_one_sentence(source, arguments, says):
  own_network.cache_clear()
  source = f"own_networks_of_a_test{source}" if source[0] == ":" else source
  with pytest.raises(InputError, match=says):
    own_network(source, 2, json.dumps(arguments))


UNCOUNTABLE = [
  ("Attention", {}, "the network's MACs are not linear in pixels"),
  ("Position", {}, "its code fails on images of another size .*ScopeParamShape"),
  ("Fickle", {"how": "tuple"}, "it returns a tuple, not one array"),
  ("Fickle", {"how": "size"}, r"it makes float32 \(1, 191, 192, 1\) of LR luminance"),
]


@pytest.mark.parametrize(("name", "arguments", "says"), UNCOUNTABLE)
def test_what_has_no_cost_per_pixel_is_refused(name, arguments, says):
  network = own(name, **arguments)
  with pytest.raises(InputError, match=f"^own_networks_of_a_test:{name} cannot be counted: {says}"):
    budget(network)


def test_a_network_without_a_gradient_in_its_image_is_named():
  with pytest.raises(InputError, match=r"Stopped has a receptive field .*depends on no LR pixel"):
    lr_windows(own("Stopped"))


def test_a_size_of_patches_is_checked():
  check_on_patches(own("Linen"), 16, 9)
  says = r"Position cannot be applied to luminance \(16, 9, 9, 1\) \(ScopeParamShape"
  with pytest.raises(InputError, match=says):
    check_on_patches(own("Position"), 16, 9)


def test_boxes_of_flax_are_taken_off_parameters(tmp_path):
  network, members = own("Boxed"), make_members([0, 1], [1e-3])
  state = initialise(network, "Boxed", members, make_mesh(2, 1))
  assert set(state.params["ConvTranspose_0"]) == {"bias", "kernel"}
  checkpoints = Checkpoints(tmp_path / "0", 2)
  checkpoints.save(1, state, members, {"network": describe(network)})
  checkpoints.wait()
  checkpoints.close()
  _, tree, _ = load_arrays(tmp_path / "0", 1, ("params",))
  shapes = jax.tree.map(lambda leaf: leaf.shape[1:], tree["params"])
  assert shapes == jax.tree.map(lambda leaf: leaf.shape, abstract_params(network))
  x = jnp.array(np.random.default_rng(0).random((1, 5, 6, 1), np.float32))
  kept, trained = (
    jax.tree.map(lambda leaf: leaf[0], each) for each in (tree["params"], state.params)
  )
  np.testing.assert_array_equal(*(network.apply({"params": each}, x) for each in (kept, trained)))


def test_a_network_starts_on_images_of_a_size_that_was_checked():
  state = initialise(own("Large"), "Large", make_members([0], [1e-3]), make_mesh(1, 1))
  assert state.params["ConvTranspose_0"]["kernel"].shape == (1, 4, 4, 1, 1)


def test_a_class_that_takes_any_keyword_gets_the_scale_and_keys():
  assert budget(own("Keywords", 3)).macs == 9


def test_nothing_is_computed_before_jax_is_set_up():
  code = """
    import jax
    from sr_jax.networks.budget import budget
    from sr_jax.networks.own import own_network
    budget(own_network("examples.own_network:RCAN", 2, '{"features": 4, "blocks": 1}'))
    jax.config.update("jax_num_cpu_devices", 3)  # refused once devices are there
    assert jax.device_count() == 3
  """
  subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)


def test_networks_are_equal_by_what_names_them():
  assert own("Linen", width=5) == own("Linen", width=5)
  assert own("Linen", width=5) != own("Linen")
  assert own("Linen") != own("Linen", 3)
