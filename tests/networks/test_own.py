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
from flax import linen as nn
from flax import nnx

from sr_jax.config import InputError
from sr_jax.networks import build, describe
from sr_jax.networks.budget import budget, lr_windows, uncounted
from sr_jax.networks.own import OwnNetwork, own_network
from sr_jax.operators.conv import Computation, computing

ROOT = Path(__file__).parents[2]

MODULE = """
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx

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
def test_it_is_described_and_built_again(name, capsys):
  network = own(name, width=5)
  description = json.loads(json.dumps(describe(network)))
  assert build(description) == network
  assert capsys.readouterr().out == ""
  assert build({**description, "code": "0"}) == network
  assert "was changed since it was trained" in capsys.readouterr().out
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
  (":Norm", {}, "holds BatchStat beside"),
  (":Norm", {"drop": True}, "holds RngCount, RngKey beside"),
]


@pytest.mark.parametrize(("source", "arguments", "says"), BAD)
def test_what_cannot_be_compared_is_one_sentence(source, arguments, says):
  own_network.cache_clear()
  source = f"own_networks_of_a_test{source}" if source[0] == ":" else source
  with pytest.raises(InputError, match=says):
    own_network(source, 2, json.dumps(arguments))


def test_work_that_is_no_number_per_pixel_is_refused():
  with pytest.raises(InputError, match=r"Attention cannot be counted: .*not linear in pixels"):
    budget(own("Attention"))


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
  assert isinstance(own("Linen"), OwnNetwork)
  assert not isinstance(own("Linen"), nn.Module)
