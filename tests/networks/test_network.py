"""The module against plain convolutions, written out here block by block, in float64."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp

from sr_jax.networks import Maps, fsrcnn, hr_network
from sr_jax.networks.maps import Layer
from sr_jax.networks.network import EXECUTIONS, Network
from sr_jax.networks.pair import lift_network, lifted, scheduled_network
from sr_jax.operators.resize import imresize


def schedule(scale, dims, channels, hr_maps, **fields):
  """The network whose states have these HR maps, and LR maps to `channels` in LR space."""
  states = [Maps(channels - scale**dims * h, h) for h in hr_maps]
  fields = {"first_kernel_size": 3, "bicubic_skip": False, "target": Maps(hr=1), **fields}
  return scheduled_network(scale, states, **fields, dims=dims)


def with_prelu(network):
  *layers, last = network.layers
  layers = [dataclasses.replace(layer, activation="prelu") for layer in layers]
  return network.clone(layers=(*layers, last))


def interleaved(phases, scale, dims):
  """`(*space, r^d, ...)` to `(*scaled, ...)`: pixel r s + phi is phase phi of pixel s."""
  space, rest = phases.shape[:dims], phases.shape[dims + 1 :]
  split = phases.reshape(*space, *(scale,) * dims, *rest)
  order = [axis for pair in zip(range(dims), range(dims, 2 * dims), strict=True) for axis in pair]
  split = split.transpose(*order, *range(2 * dims, split.ndim))
  return split.reshape(*(scale * length for length in space), *rest)


def zeros_around(size, extra_at_start):
  sides = ((size - 1) // 2, size // 2)
  return sides[::-1] if extra_at_start else sides


def plain(x, kernel, pair, stride=1):
  dims = kernel.ndim - 2
  space = "DHW"[:dims]
  numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
  return lax.conv_general_dilated(
    x, kernel, (stride,) * dims, (pair,) * dims, dimension_numbers=numbers
  )


def strided(x, kernel, pair, scale):
  """HR maps to LR maps: a convolution of r k taps and stride r."""
  dims = kernel.ndim - 2
  taps = kernel.reshape(*kernel.shape[:dims], scale**dims, -1, kernel.shape[-1])
  return plain(x, interleaved(taps, scale, dims), tuple(scale * side for side in pair), scale)


def transposed(x, kernel, pair, scale):
  """LR maps to HR maps: a transposed convolution of r k taps and stride r."""
  dims = kernel.ndim - 2
  taps = kernel.reshape(*kernel.shape[: dims + 1], scale**dims, -1)
  # JAX correlates with the kernel, so that the last phase meets the first tap.
  fine = interleaved(jnp.flip(jnp.moveaxis(taps, -2, dims), dims), scale, dims)
  space = "DHW"[:dims]
  low, high = pair
  sides = (scale * low + scale - 1, scale * (high + 1) - 1)
  numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
  return lax.conv_transpose(x, fine, (scale,) * dims, (sides,) * dims, dimension_numbers=numbers)


def resized(x, kernel, scale, resize):
  """LR maps, zero outside, interpolated to the HR grid and then convolved there."""
  dims, border = kernel.ndim - 2, 2
  x = jnp.pad(x, ((0, 0), *((border, border),) * dims, (0, 0)))
  for axis in range(1, dims + 1):
    length = x.shape[axis]
    position = (np.arange(scale * length) + 0.5) / scale - 0.5
    lines = [np.interp(position, np.arange(length), line) for line in np.eye(length)]
    matrix = np.repeat(np.eye(length), scale, 0) if resize == "nearest" else np.stack(lines, 1)
    x = jnp.moveaxis(jnp.tensordot(matrix, x, (1, axis)), 0, axis)
  beyond = scale * border - len(kernel) // 2
  return plain(x[:, *(slice(beyond, -beyond),) * dims], kernel, (0, 0))


def of_own_phase(values, scale, dims, space):
  """Of `(..., R, maps)`, which all pixels may share, what belongs to each HR pixel's phase."""
  index = np.arange(scale**dims).reshape(-1)
  small = np.broadcast_to(index, (*space, scale**dims))
  phase = interleaved(small[..., None], scale, dims)[..., 0]
  mask = jnp.asarray(phase[..., None] == index)
  return jnp.where(mask[None, ..., None], values, 0).sum(-2)


def activate(y, name, slope):
  if name == "prelu":
    return jnp.where(y > 0, y, slope.reshape((1,) * (y.ndim - 1) + (-1,)) * y)
  return {"relu": lambda y: jnp.maximum(y, 0), "tanh": jnp.tanh, "": lambda y: y}[name](y)


def convolved(layer, params, lr, hr, scale, dims):
  """LR and HR maps after a layer, block by block."""
  edge = zeros_around(layer.kernel_size, layer.extra_at_start)
  blocks = {
    "from_lr": layer.inputs.lr,
    "hr_to_lr": layer.inputs.hr and layer.outputs.lr,
    "hr_to_hr": layer.inputs.hr and layer.outputs.hr,
  }
  names = [name for name, is_there in blocks.items() if is_there]
  kernels = {name: params["kernel" if len(names) == 1 else name] for name in names}
  count = layer.outputs.lr
  to_lr, to_hr = [], []
  if lr is not None and count:
    to_lr.append(plain(lr, kernels["from_lr"][..., :count], edge))
  if lr is not None and layer.outputs.hr:
    if layer.resize:
      to_hr.append(resized(lr, kernels["from_lr"], scale, layer.resize))
    else:
      to_hr.append(transposed(lr, kernels["from_lr"][..., count:], edge, scale))
  if hr is not None and count:
    to_lr.append(strided(hr, kernels["hr_to_lr"], edge, scale))
  if hr is not None and layer.outputs.hr:
    edge = zeros_around(layer.hr_kernel_size, layer.extra_at_start)
    y = plain(hr, kernels["hr_to_hr"], edge)
    if not layer.tied:
      y = y.reshape(*y.shape[:-1], scale**dims, -1)
      y = of_own_phase(y, scale, dims, [length // scale for length in hr.shape[1:-1]])
    to_hr.append(y)
  slope = params.get("slope", jnp.zeros(count + layer.outputs.hr))
  if to_lr:
    lr = sum(to_lr) + params["bias"][:count].reshape((1,) * (dims + 1) + (-1,))
    lr = activate(lr, layer.activation, slope[:count])
  if to_hr:
    hr = sum(to_hr)
    bias = params["bias"][count:].reshape((1,) * (dims + 1) + (-1, layer.outputs.hr))
    bias = jnp.broadcast_to(bias, (*bias.shape[:-2], scale**dims, layer.outputs.hr))
    hr = hr + of_own_phase(bias, scale, dims, [n // scale for n in hr.shape[1:-1]])
    hr = activate(hr, layer.activation, slope[count:])
  return lr if to_lr else None, hr if to_hr else None


def interpolated(x, scale):
  for axis in range(1, x.ndim - 1):
    lines = np.moveaxis(x, axis, 0)
    wide = imresize(lines.reshape(len(lines), 1, -1), scale)[:, 0]
    x = np.moveaxis(wide.reshape(-1, *lines.shape[1:]), 0, axis)
  return x


def explicit(network, params, x):
  """What a network computes of an image, each layer in four blocks or resized."""
  x = np.asarray(x) - network.mid_input
  scale, dims = network.scale, network.dims
  has_bicubic = network.bicubic_first or network.bicubic_skip
  bicubic = jnp.asarray(interpolated(x, scale)) if has_bicubic else None
  lr, hr = jnp.asarray(x), None
  if network.bicubic_first or network.layers[0].inputs.hr:
    lr, hr = None, bicubic if network.bicubic_first else lr
  for layer in network.layers:
    lr, hr = convolved(layer, params[layer.name], lr, hr, scale, dims)
  if hr is None:
    phases = lr.reshape(*lr.shape[:-1], scale**dims, -1)
    hr = jnp.stack([interleaved(each, scale, dims) for each in phases])
  skip = bicubic if network.bicubic_skip else x if network.identity_skip else 0
  return hr + network.mid_output + skip


def image(network):
  space = (5, 4, 3)[: network.dims]
  if network.layers[0].inputs.hr and not network.bicubic_first:
    space = [network.scale * length for length in space]
  inputs = network.layers[0].inputs
  maps = 1 if network.bicubic_first else inputs.lr + inputs.hr
  return jnp.asarray(np.random.default_rng(1).random((2, *space, maps)))


DENOISER = Network(
  2,
  (
    Layer("first", Maps(hr=1), Maps(3, 1), 3, 5, "relu"),
    Layer("last", Maps(3, 1), Maps(hr=1), 3, 6, extra_at_start=True),
  ),
)
TIED = {
  "never": schedule(2, 2, 8, (0, 0), target=None, bicubic_skip=True),
  "at-once": schedule(2, 2, 8, (2, 2, 2)),
  "half": schedule(2, 2, 8, (1, 1, 1), bicubic_skip=True),
  "late": schedule(2, 2, 8, (0, 1, 2), target=None),
  "up-and-down": schedule(2, 2, 8, (2, 0, 1), activation="tanh"),
  "bicubic": schedule(2, 2, 8, (1, 2), bicubic_first=True, bicubic_skip=True),
  "5x5": schedule(2, 2, 8, (1, 2, 1), hr_kernel_size=5),
  "4x4": schedule(2, 2, 8, (1, 1, 1), hr_kernel_size=4),
  "even-everywhere": schedule(2, 2, 6, (1, 1), kernel_size=2, first_kernel_size=4),
  "prelu": with_prelu(schedule(2, 2, 8, (1, 2, 1))),
  "thirds": schedule(3, 2, 10, (1, 1, 0)),
  "thirds-7x7": schedule(3, 2, 10, (0, 1), hr_kernel_size=7, target=None),
  "line": schedule(2, 1, 6, (1, 3, 0, 2), bicubic_skip=True),
  "line-thirds": schedule(3, 1, 7, (2, 1, 1), bicubic_first=True),
  "volume": schedule(2, 3, 9, (1, 1), bicubic_skip=True),
  "volume-thirds": schedule(3, 3, 28, (1, 1), hr_kernel_size=3, kernel_size=1),
  "note": hr_network(depth=2),
  "note-quarters": hr_network(scale=4, features=2, kernel_size=12, depth=0),
  "hr-image": DENOISER,
}
FREE = {
  "free": schedule(2, 2, 8, (1, 2), tied=False),
  "free-bicubic": schedule(2, 2, 8, (2, 1), bicubic_first=True, tied=False, hr_kernel_size=5),
  "free-line": schedule(3, 1, 7, (2, 1, 0), tied=False),
}


def with_free(network, *names):
  layers = (dataclasses.replace(layer, tied=layer.name not in names) for layer in network.layers)
  return network.clone(layers=tuple(layers))


FREE |= {
  "free-hidden": with_free(TIED["half"], "hidden_0"),
  "free-last": with_free(TIED["at-once"], "last"),
  "free-front": with_free(TIED["at-once"], "transposed"),
}


def arms(dims, scale=2):
  """A network of each kind of state: of LR images, and of HR images that they add to."""
  phases = scale**dims
  lr, hr, half = (phases, 0), (0, 1), (phases, 1)
  every = {  # the first state, the other ones, the target, and what upsamples
    "lr": (lr, lr, None, ""),
    "hr": (hr, hr, Maps(hr=2), ""),
    "half": (half, half, None, ""),
    "transposed": (lr, hr, Maps(hr=2), ""),
    "nearest": (lr, hr, Maps(hr=2), "nearest"),
    "linear": (lr, hr, Maps(hr=2), "linear"),
  }
  networks = {}
  for name, (first, other, target, resize) in every.items():
    states = (Maps(*first), *(Maps(*other),) * 2)
    fields = {"target": target or Maps(lr=2 * phases), "resize": resize, "bicubic_skip": False}
    fields |= {"dims": dims, "first_kernel_size": 3}
    lr_image = {"inputs": Maps(lr=3), "mid_output": 0.0}
    hr_image = {"inputs": Maps(hr=2), "identity_skip": True}
    networks[f"{name}-{dims}d"] = scheduled_network(scale, states, **fields, **lr_image)
    if dims == 2:
      networks[f"{name}-hr-image"] = scheduled_network(scale, states, **fields, **hr_image)
  return networks


ARMS = arms(1, scale=3) | arms(2) | arms(3)
EVERY = TIED | FREE | ARMS


@pytest.mark.parametrize("network", EVERY.values(), ids=EVERY)
def test_it_computes_what_plain_convolutions_of_each_block_do_and_so_does_its_lift(
  network, random_params
):
  with jax.enable_x64():
    params, x = random_params(network), image(network)

    @jax.jit
    def outputs(params):
      computed = [network.apply({"params": params}, x)]
      if network.has_two_executions:
        computed.append(network.clone(execution="lr_space").apply({"params": params}, x))
      lr_network, lr_params = lift_network(network, params)
      computed.append(lr_network.apply({"params": lr_params}, x))
      return explicit(network, params, x), computed

    expected, computed = outputs(params)
    for y in computed:
      assert y.dtype == jnp.float64
      np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
  "name", ["half", "note", "thirds", "line", "nearest-hr-image", "linear-1d"]
)
def test_both_executions_have_the_same_gradients(name, random_params):
  network = EVERY[name]
  with jax.enable_x64():
    params, x = random_params(network), image(network)
    y = jax.eval_shape(network.apply, {"params": params}, x)
    weight = np.random.default_rng(2).random(y.shape)

    def loss(params, execution):
      y = network.clone(execution=execution).apply({"params": params}, x)
      return (weight * y**2).sum()

    gradients = jax.jit(
      lambda params: [jax.grad(loss)(params, execution) for execution in EXECUTIONS]
    )(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), *gradients)


def test_lifted_networks_keep_slopes_names_and_margins():
  network = fsrcnn(2, features=(5, 3), depth=1)
  assert len({each.name for each in lifted(network).layers}) == len(network.layers)
  assert lifted(network).margin == network.margin
