"""ESPCN, SRCNN and FSRCNN as published, the last layer at a tenth of the learning rate.

With `padding="same"` every layer is padded with zeros. With "valid" none is: the output of a patch
lacks `margin` LR pixels on each side, and `networks.upscale` extends an image by its edge pixels
first.

The networks subtract mid-gray from luminance and multiply it by `CONTRAST`: with "valid" these are
the published networks with another first kernel and other first and last biases.
"""

import functools
from typing import Any

from sr_jax.networks.maps import Layer, Maps
from sr_jax.networks.network import Network
from sr_jax.networks.pair import GAIN

# Kernels that respond to faint detail are large in units of 0..1. Adam, whose steps are as long as
# its rate, needs many steps to reach them, or a rate at which the later layers are unstable.
CONTRAST = 8.0
LAST: dict[str, Any] = {
  "gain": 0.01,  # outputs start near mid-gray at any contrast
  "rate": 0.1,  # of the other layers' learning rate, in all three papers
}


def espcn(
  scale: int = 3,
  features: tuple[int, int] = (64, 32),
  activation: str = "tanh",
  padding: str = "valid",
) -> Network:
  """The efficient sub-pixel network of Shi et al. (2016, arXiv 1609.05158).

  5x5 to 64 maps, 3x3 to 32, 3x3 to `scale**2`, then the periodic shuffling; tanh as in its best
  rows, or relu. At scale 3: 22,624 weights and 105 biases, 22,729 parameters.
  """
  layer: Any = functools.partial(Layer, padding=padding)
  hidden = functools.partial(layer, activation=activation, gain=GAIN[activation])
  image, first, second, phases = (Maps(lr=n) for n in (1, *features, scale**2))
  layers = (
    hidden("first", image, first, 5),
    hidden("hidden_0", first, second, 3),
    layer("last", second, phases, 3, **LAST),
  )
  return Network(scale, layers, contrast=CONTRAST)


def srcnn(scale: int = 3, features: tuple[int, int] = (64, 32), padding: str = "valid") -> Network:
  """The first network of the field, 9-1-5 (Dong et al. 2014, arXiv 1501.00092).

  It sharpens bicubic interpolation in HR space: 9x9 to 64 maps, 1x1 to 32, 5x5 to one, ReLU. 8,032
  weights, as in the paper, and 97 biases.
  """
  layer: Any = functools.partial(Layer, padding=padding)
  image, first, second = (Maps(hr=n) for n in (1, *features))
  layers = (
    layer("first", image, first, hr_kernel_size=9, activation="relu"),
    layer("hidden_0", first, second, hr_kernel_size=1, activation="relu"),
    layer("last", second, image, hr_kernel_size=5, **LAST),
  )
  return Network(scale, layers, bicubic_first=True, contrast=CONTRAST)


def fsrcnn(
  scale: int = 3, features: tuple[int, int] = (56, 12), depth: int = 4, padding: str = "valid"
) -> Network:
  """The fast successor of SRCNN, FSRCNN(56, 12, 4) (Dong et al. 2016, arXiv 1608.00367).

  5x5 to d = 56 maps, 1x1 to s = 12, m = 4 times 3x3, 1x1 back to d, each with a PReLU of one slope
  a map, and a transposed convolution of 9x9 HR pixels and stride `scale`. 12,464 weights, as in the
  paper, 173 biases and 172 slopes.

  The transposed convolution is executed as the equal LR convolution (operators/conversion.py). At
  scale 3 this is a bijection, to a sub-pixel layer of 3x3. At even scales its window is shifted by
  half an HR pixel.
  """
  layer: Any = functools.partial(Layer, padding=padding)
  hidden = functools.partial(layer, activation="prelu")
  image, wide, narrow = (Maps(lr=n) for n in (1, *features))
  layers = (
    hidden("first", image, wide, 5),
    hidden("shrink", wide, narrow, 1),
    *(hidden(f"hidden_{i}", narrow, narrow, 3) for i in range(depth)),
    hidden("expand", narrow, wide, 1),
    layer("transposed", wide, Maps(hr=1), transposed_size=9, **LAST),
  )
  return Network(scale, layers, contrast=CONTRAST)
