"""What every HR pixel depends on, against gradients: windows, receptive fields and shifts."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from sr_jax.networks import Maps, espcn, fsrcnn, hr_network, lr_network, srcnn
from sr_jax.networks.budget import as_json, budget, lr_windows
from sr_jax.networks.pair import lifted, scheduled_network

PLAIN = {"bicubic_skip": False}


def schedule(scale, channels, hr_maps, **fields):
  states = [Maps(channels - scale ** fields.get("dims", 2) * h, h) for h in hr_maps]
  return scheduled_network(scale, states, **{"target": Maps(hr=1), **fields})


# In one dimension windows are as in two. Without bicubic interpolation the centre of a window is
# known from whole LR pixels.
LEARNED = {
  "half": schedule(2, 6, (1, 1, 1, 1), dims=1, **PLAIN),
  "late": schedule(2, 8, (0, 0, 2), **PLAIN),
  "free-phases": schedule(2, 8, (0, 2, 1), target=None, **PLAIN),
  "up-and-down": schedule(2, 6, (3, 3, 0, 2, 3), dims=1, **PLAIN),
  "apart": schedule(2, 6, (0, 3, 0, 3, 0), dims=1, target=None, **PLAIN),
  "5x5": schedule(2, 6, (1, 2, 3), hr_kernel_size=5, dims=1, **PLAIN),
  "4x4": schedule(2, 6, (3, 3, 3), hr_kernel_size=4, dims=1, **PLAIN),
  "12x12": schedule(2, 6, (3, 2), hr_kernel_size=12, dims=1, **PLAIN),
  "even": schedule(2, 6, (1, 1, 1), kernel_size=2, first_kernel_size=4, dims=1, **PLAIN),
  "thirds": schedule(3, 10, (1, 0, 1, 1), dims=1, **PLAIN),
  "thirds-8x8": schedule(3, 7, (1, 2, 2), hr_kernel_size=8, dims=1, **PLAIN),
  "volume": schedule(2, 8, (1, 1), kernel_size=1, first_kernel_size=3, dims=3, **PLAIN),
  "untied": schedule(2, 6, (3, 3, 1), tied=False, dims=1, **PLAIN),
  "in-lr-space": schedule(2, 6, (3, 2), execution="lr_space", dims=1, **PLAIN),
  "lr": lr_network(depth=2, **PLAIN),
  "lr-no-hidden-layer": lr_network(scale=3, features=9, depth=0, **PLAIN),
  "hr": hr_network(depth=1, upsampling="transposed_conv", **PLAIN),
  "espcn": espcn(features=(4, 3), activation="relu"),
  "fsrcnn-2": fsrcnn(2, features=(4, 3), depth=1),
  "fsrcnn-3": fsrcnn(3, features=(4, 3), depth=1),
}
HR_IMAGE = {"inputs": Maps(hr=1), **PLAIN}
RESIZED = {
  f"{resize}-{scale}-{size}": schedule(
    scale, 2 * scale, (0, 2, 1), kernel_size=size, resize=resize, dims=1, **PLAIN
  )
  for resize in ("nearest", "linear")
  for scale, size in ((2, 3), (3, 3), (3, 5), (4, 1), (2, 7))
}
OF_HR_IMAGES = {
  "hr-image-lr": schedule(2, 6, (0, 0), target=None, **HR_IMAGE),
  "hr-image-half": schedule(3, 7, (1, 1), dims=1, identity_skip=True, **HR_IMAGE),
  "hr-image-linear": schedule(2, 6, (0, 3), resize="linear", dims=1, **HR_IMAGE),
}
WITH_BICUBIC = {
  "skip": schedule(2, 6, (0, 1, 0), kernel_size=1, first_kernel_size=1, dims=1, target=None),
  "bicubic-first": schedule(2, 6, (1, 2, 0), bicubic_first=True, dims=1),
  "bicubic-first-thirds": schedule(3, 7, (0, 2, 2), bicubic_first=True, dims=1),
  "hr-bicubic": hr_network(depth=1),
  "hr-bicubic-9x9": hr_network(scale=3, features=4, kernel_size=9, depth=1, **PLAIN),
  "hr-lifted": lifted(hr_network(depth=1, **PLAIN)),
  "srcnn": srcnn(2, features=(4, 3)),
}
EVERY = LEARNED | RESIZED | OF_HR_IMAGES | WITH_BICUBIC


def seen(network):
  """The first and last LR pixel with a gradient, from its own, of each HR pixel on a diagonal.

  Kernels are averages and biases 1: no ReLU dies and no two paths cancel.
  """
  dims, scale, margin = network.dims, network.scale, network.margin
  side = 2 * budget(network).receptive_field // scale + 3
  middle = side // 2
  in_pixel = scale if network.layers[0].inputs.hr and not network.bicubic_first else 1
  x = np.ones((1, *(in_pixel * (side + 2 * margin),) * dims, 1), "f")
  shapes = jax.eval_shape(network.init, jax.random.key(0), x)["params"]
  params = jax.tree.map(
    lambda p: jnp.asarray(np.full(p.shape, 1 / np.prod(p.shape[:-1]), "f")), shapes
  )

  @jax.jit
  def gradient(pixel):
    def value(x):
      y = network.apply({"params": params}, x)
      return y[(0, *(pixel,) * dims, 0)]

    return jax.grad(value)(jnp.asarray(x))[0, ..., 0]

  for phase in range(scale):
    pixels = np.argwhere(np.abs(gradient(scale * middle + phase)) > 1e-12) // in_pixel
    assert (pixels.min(0) == pixels.min()).all()  # the same on all axes
    assert (pixels.max(0) == pixels.max()).all()
    yield int(pixels.min()) - middle - margin, int(pixels.max()) - middle - margin


@pytest.mark.parametrize("network", EVERY.values(), ids=EVERY)
def test_windows_are_the_support_of_the_gradient(network):
  windows = list(seen(network))
  assert lr_windows(network) == windows
  widths = [last - first + 1 for first, last in windows]
  assert budget(network).receptive_field == network.scale * max(widths)


@pytest.mark.parametrize(
  ("hr_maps", "shift"),
  [
    ((0, 0, 0), 0),
    ((2, 0, 2, 0), 0),
    ((2, 2, 2), 0.5),
    ((2, 2, 2, 2), 0),
    ((0, 2, 2), 0),
    ((2, 2, 0, 0), 0.5),
    ((1, 1, 1), 0.5),
  ],
)
def test_even_hr_kernels_in_pairs_do_not_shift(hr_maps, shift):
  assert budget(schedule(2, 8, hr_maps, **PLAIN)).shift == shift
  assert budget(schedule(2, 8, hr_maps, hr_kernel_size=5, **PLAIN)).shift == 0


def test_blocks_of_hr_states_early_and_late_are_alike():
  blocks = [
    as_json(budget(schedule(2, 32, hr_maps, target=None)))
    for hr_maps in ((8, 8, 8, 0, 0), (0, 8, 8, 8, 0), (0, 0, 8, 8, 8))
  ]
  assert blocks[0] == blocks[1] == blocks[2]
  assert blocks[0]["shift"] == 0


def test_the_odd_zero_alternates_over_even_hr_kernels_and_not_over_layers():
  def at_start(*args, **fields):
    return [layer.name for layer in schedule(*args, **fields).layers if layer.extra_at_start]

  # From HR to HR maps: hidden_0, hidden_3, hidden_4 and the last.
  hr_maps = (2, 1, 0, 1, 2, 1)
  assert at_start(2, 8, hr_maps) == ["hidden_3", "last"]
  assert at_start(2, 8, hr_maps, target=None) == ["hidden_3"]
  assert at_start(2, 8, hr_maps, hr_kernel_size=5) == []
  assert at_start(2, 8, hr_maps, bicubic_first=True) == ["hidden_3", "last"]  # the first is 5x5
