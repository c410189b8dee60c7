"""Writes torch_reference.npz: what PyTorch's layers give, for test_frameworks.py.

python tests/operators/make_torch_reference.py, with PyTorch installed (CPU is enough); the tests
only read the file. All numbers are small integers, so that every sum is exact in any order and the
tests can ask for equality. Each case is saved as CASE/x, CASE/weight, CASE/y and CASE/settings.
"""

import pathlib

import numpy as np
import torch
from torch.nn import functional

# name: input shape (N, C, *space), output channels, kernel, stride, padding, output_padding
TRANSPOSED = {
  "aligned": ((1, 2, 3, 4), 3, (4, 4), 2, (2, 2), (0, 0)),
  "half_a_pixel": ((1, 2, 3, 4), 3, (4, 4), 2, (1, 1), (0, 0)),
  "no_padding": ((2, 1, 3, 3), 2, (3, 3), 2, (0, 0), (0, 0)),
  "output_padding": ((1, 2, 4, 3), 2, (3, 3), 2, (1, 1), (1, 1)),
  "output_padding_beyond": ((1, 2, 3, 3), 1, (2, 2), 3, (0, 0), (2, 1)),
  "gaps": ((1, 2, 3, 4), 2, (2, 1), 3, (0, 0), (0, 0)),
  "not_square": ((1, 3, 4, 3), 2, (5, 2), 2, (2, 0), (1, 0)),
  "nine_by_nine": ((1, 2, 4, 4), 1, (9, 9), 3, (3, 3), (0, 0)),
  "all_of_it": ((1, 1, 4, 4), 2, (3, 4), 2, (3, 4), (0, 1)),
  "stride_4": ((1, 2, 3, 2), 2, (8, 6), 4, (2, 1), (0, 3)),
  "stride_1": ((1, 2, 4, 4), 2, (3, 3), 1, (1, 1), (0, 0)),
  "one_axis": ((2, 2, 5), 3, (4,), 2, (1,), (1,)),
  "three_axes": ((1, 2, 3, 2, 2), 2, (4, 3, 2), 2, (1, 1, 0), (0, 1, 0)),
}
# name: input shape, output channels after the shuffle, kernel, scale
SHUFFLED = {
  "shuffle_2": ((1, 2, 4, 3), 3, (3, 3), 2),
  "shuffle_3": ((1, 2, 3, 4), 2, (1, 3), 3),
}


def main() -> None:
  rng = np.random.default_rng(0)

  def integers(shape):
    return torch.from_numpy(rng.integers(-4, 5, shape).astype(np.float32))

  arrays = {"torch": np.array(torch.__version__)}
  for name, (shape, outputs, kernel, stride, padding, extra) in TRANSPOSED.items():
    layer = getattr(functional, f"conv_transpose{len(kernel)}d")
    x, weight = integers(shape), integers((shape[1], outputs, *kernel))
    y = layer(x, weight, None, stride, padding, extra)
    settings = np.array([(stride,) * len(kernel), padding, extra])
    arrays |= case("transposed/" + name, x, weight, y, settings)
  for name, (shape, outputs, kernel, scale) in SHUFFLED.items():
    x, weight = integers(shape), integers((outputs * scale**2, shape[1], *kernel))
    y = functional.pixel_shuffle(functional.conv2d(x, weight, padding="same"), scale)
    arrays |= case("shuffled/" + name, x, weight, y, np.array(scale))
  path = pathlib.Path(__file__).with_name("torch_reference.npz")
  np.savez_compressed(path, **arrays)
  print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes")


def case(name, x, weight, y, settings):
  small = {"x": x.numpy().astype(np.int8), "weight": weight.numpy().astype(np.int8)}
  saved = small | {"y": y.numpy().astype(np.int16), "settings": settings.astype(np.int8)}
  assert np.array_equal(saved["y"], y.numpy())
  return {f"{name}/{key}": value for key, value in saved.items()}


if __name__ == "__main__":
  main()
