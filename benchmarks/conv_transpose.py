"""Transposed convolutions of real layers: `python benchmarks/conv_transpose.py [--out=FILE.json]`.

For layers of DCGAN, U-Net, FCN, WaveGAN, HiFi-GAN, V-Net and FSRCNN, and one of a decoder: the
forward pass, and the gradients of input and kernel without it, by `jax.lax.conv_transpose` and by
`sr_jax.operators.conv_transpose`, each inside one `jax.jit`. They take turns; medians. Where they
are installed, PyTorch's layer (contiguous, both passes) and, on CPU, ONNX Runtime's (forward) are
measured after them, on as many threads. All in float32.
"""

import dataclasses
import importlib.util
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import common
from sr_jax.config import setting
from sr_jax.operators import conv_transpose
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime import devices
from sr_jax.runtime.command_line import run
from sr_jax.runtime.console import log
from sr_jax.training.timing import seconds_a_step

SECONDS, ROUNDS = 0.1, 7
FORMS = {"lax": lax.conv_transpose, "this": conv_transpose}


@dataclasses.dataclass(frozen=True)
class Arguments(common.Arguments):
  """The command line."""

  quick: bool = setting(False, "two small layers only")


class Case(NamedTuple):
  """One layer, with PyTorch's padding and output padding; all axes are alike."""

  name: str
  batch: int
  space: tuple[int, ...]
  inputs: int
  outputs: int
  size: int
  stride: int
  padding: int
  output_padding: int = 0


CASES = (
  Case("DCGAN", 16, (1, 1), 100, 512, 4, 1, 0),
  Case("DCGAN", 16, (4, 4), 512, 256, 4, 2, 1),
  Case("DCGAN", 16, (8, 8), 256, 128, 4, 2, 1),
  Case("DCGAN", 16, (16, 16), 128, 64, 4, 2, 1),
  Case("DCGAN", 16, (32, 32), 64, 3, 4, 2, 1),
  Case("U-Net", 1, (32, 32), 256, 128, 2, 2, 0),
  Case("U-Net", 1, (64, 64), 128, 64, 2, 2, 0),
  Case("decoder", 1, (128, 128), 64, 32, 3, 2, 1, 1),
  Case("FCN", 1, (32, 32), 21, 21, 4, 2, 1),
  Case("FCN", 1, (32, 32), 21, 21, 16, 8, 4),
  Case("FSRCNN", 1, (64, 64), 56, 1, 9, 3, 4, 2),
  Case("WaveGAN", 16, (64,), 256, 128, 25, 4, 11, 1),
  Case("HiFi-GAN", 1, (128,), 512, 256, 16, 8, 4),
  Case("HiFi-GAN", 1, (8192,), 64, 32, 4, 2, 1),
  Case("V-Net", 1, (16, 16, 16), 32, 16, 2, 2, 0),
  Case("V-Net", 1, (16, 16, 16), 32, 16, 4, 2, 1),
)


def arrays(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A random input, kernel, and gradient of the output, channels last."""
  edges = case.size - 2 * case.padding + case.output_padding
  space = tuple(case.stride * (n - 1) + edges for n in case.space)
  kernel = ((case.size,) * len(space), case.inputs, case.outputs)
  shapes = ((*case.space, case.inputs), (*kernel[0], *kernel[1:]), (*space, case.outputs))
  rng = np.random.default_rng(0)
  x, taps, dy = (
    rng.normal(size=shape).astype(np.float32)
    for shape in ((case.batch, *shapes[0]), shapes[1], (case.batch, *shapes[2]))
  )
  return x, taps, dy


Calls = dict[str, Callable[[int], None]]


def jax_calls(case: Case) -> tuple[Calls, Calls]:
  """Both forms, forward and backward."""
  x, kernel, dy = map(jnp.asarray, arrays(case))
  low = case.size - 1 - case.padding
  strides = (case.stride,) * len(case.space)
  padding = ((low, low + case.output_padding),) * len(strides)

  def repeat(function: Callable, *arguments: Any) -> Callable[[int], None]:
    compiled = jax.jit(function).lower(*arguments).compile()

    def call(steps: int) -> None:
      for _ in range(steps):
        jax.block_until_ready(compiled(*arguments))

    return call

  forward, backward = {}, {}
  for name, form in FORMS.items():

    def layer(x: Any, kernel: Any, form: Any = form) -> Any:
      return form(x, kernel, strides, padding)

    def gradients(x: Any, kernel: Any, dy: Any, layer: Any = layer) -> Any:
      return jax.vjp(layer, x, kernel)[1](dy)

    forward[name], backward[name] = repeat(layer, x, kernel), repeat(gradients, x, kernel, dy)
  return forward, backward


def channels_first(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The arrays as PyTorch and ONNX have them: its kernel is `(in, out, *K)`, and reversed."""
  x, kernel, dy = arrays(case)
  axes = len(case.space)
  taps = np.moveaxis(np.flip(kernel, tuple(range(axes))), (-2, -1), (0, 1))
  x, taps, dy = map(np.ascontiguousarray, (np.moveaxis(x, -1, 1), taps, np.moveaxis(dy, -1, 1)))
  return x, taps, dy


def torch_calls(case: Case) -> tuple[Calls, Calls]:
  """PyTorch's layer, forward and backward."""
  import torch  # noqa: PLC0415  # an extra

  torch.set_num_threads(devices.cores())
  device = "cuda" if jax.default_backend() == "gpu" else "cpu"
  x, kernel, dy = (torch.from_numpy(array).to(device) for array in channels_first(case))
  layer = getattr(torch.nn.functional, f"conv_transpose{len(case.space)}d")
  numbers = (None, case.stride, case.padding, case.output_padding)

  def wait() -> None:
    if device == "cuda":
      torch.cuda.synchronize()

  @torch.inference_mode()
  def forward(steps: int) -> None:
    for _ in range(steps):
      layer(x, kernel, *numbers)
      wait()

  leaves = x.clone().requires_grad_(), kernel.clone().requires_grad_()
  y = layer(*leaves, *numbers)

  def backward(steps: int) -> None:
    for _ in range(steps):
      torch.autograd.grad(y, leaves, dy, retain_graph=True)
      wait()

  return {"torch": forward}, {"torch": backward}


def onnx_calls(case: Case) -> tuple[Calls, Calls]:
  """ONNX Runtime's ConvTranspose on its CPU provider, which has no gradients."""
  import onnxruntime  # noqa: PLC0415  # not a dependency
  from onnx import TensorProto, helper  # noqa: PLC0415  # of the tests alone

  x, kernel, dy = channels_first(case)
  axes = len(case.space)
  node = helper.make_node(
    "ConvTranspose",
    ["x", "w"],
    ["y"],
    strides=[case.stride] * axes,
    pads=[case.padding] * (2 * axes),
    output_padding=[case.output_padding] * axes,
  )
  values = [
    helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
    for name, array in (("x", x), ("y", dy))
  ]
  weights = helper.make_tensor("w", TensorProto.FLOAT, kernel.shape, kernel.tobytes(), raw=True)
  graph = helper.make_graph([node], "layer", values[:1], values[1:], [weights])
  model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = devices.cores()
  providers = ["CPUExecutionProvider"]
  session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers)

  def call(steps: int) -> None:
    for _ in range(steps):
      session.run(None, {"x": x})

  return {"onnxruntime": call}, {}


def measure(case: Case) -> dict[str, Any]:
  """One row, measured."""
  groups = [jax_calls]
  if importlib.util.find_spec("torch"):
    groups.append(torch_calls)
  if jax.default_backend() == "cpu" and all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
    groups.append(onnx_calls)
  seconds: dict[str, dict[str, float]] = {"forward": {}, "gradient": {}}
  # One group after the other: their idle threads wait busily for a while, on the next one's cores.
  for group in groups:
    for direction, calls in zip(seconds, group(case), strict=True):
      seconds[direction] |= seconds_a_step(calls, SECONDS, ROUNDS)
  return {**case._asdict(), "seconds": seconds}


def ratio(row: dict[str, Any], direction: str, name: str) -> float | None:
  """Time of an implementation over that of this project's, if it was measured."""
  seconds = row["seconds"][direction]
  return seconds[name] / seconds["this"] if name in seconds else None


COLUMNS = (
  ("forward", "lax", "lax : this"),
  ("forward", "torch", "PyTorch : this"),
  ("forward", "onnxruntime", "ONNX Runtime : this"),
  ("gradient", "lax", "lax : this"),
  ("gradient", "torch", "PyTorch : this"),
)


def cells_of(row: dict[str, Any]) -> list[str]:
  """One row of the table, as text."""
  space = "x".join(map(str, row["space"]))
  layer = f"{row['inputs']} -> {row['outputs']}, K {row['size']}, r {row['stride']}"
  cells = [row["name"], f"{row['batch']} x {space}", layer]
  for direction in ("forward", "gradient"):
    cells.append(f"{1e3 * row['seconds'][direction]['this']:.3g}")
    cells += [_shown(ratio(row, *column[:2])) for column in COLUMNS if column[0] == direction]
  return cells


def _shown(number: float | None) -> str:
  return "-" if number is None else f"{number:.2f}" if number < 10 else f"{number:.0f}"


def blocks(data: dict[str, Any]) -> common.Blocks:
  """All layers for docs/CONV_TRANSPOSE.md, the geometric means for README.md."""
  head = ["network", "input", "layer"]
  means, least = ["geometric mean", "", ""], ["least", "", ""]
  for direction in ("forward", "gradient"):
    head.append(f"{direction}, ms")
    means.append("")
    least.append("")
    for _, name, title in (column for column in COLUMNS if column[0] == direction):
      head.append(title)
      ratios = [r for row in data["rows"] if (r := ratio(row, direction, name))]
      mean = statistics.geometric_mean(ratios) if ratios else None
      means.append(f"**{_shown(mean)}**")
      least.append(_shown(min(ratios, default=None)))
  rows: Sequence[Sequence[str]] = [head, *map(cells_of, data["rows"]), means, least]
  return {
    "conv_transpose": f"{markdown_table(rows)}\n\n({data['device']}.)",
    "conv_transpose_means": _in_a_sentence(data["rows"]),
  }


def _in_a_sentence(rows: Sequence[dict[str, Any]]) -> str:
  """What the table says of `jax.lax.conv_transpose`, for README.md."""
  parts = []
  for direction, name in (("gradient", "gradients"), ("forward", "forward pass")):
    ratios = [number for row in rows if (number := ratio(row, direction, "lax"))]
    mean = _shown(statistics.geometric_mean(ratios))
    parts.append(f"{mean} times as long for the {name} (at least {_shown(min(ratios))})")
  return (
    f"by `python benchmarks/conv_transpose.py`, JAX's takes {' and '.join(parts)}, in the "
    f"geometric mean over {len(rows)} layers."
  )


def main(arguments: Arguments) -> None:
  """Measures every layer, and writes what there is after each."""
  rows: list[dict[str, Any]] = []
  data = {}
  for case in CASES:
    if arguments.quick and case.name not in ("FSRCNN", "V-Net"):
      continue
    rows.append(measure(case))
    log(" | ".join(cells_of(rows[-1])))
    data = arguments.write("conv_transpose", rows=rows)
  common.show(blocks, data)


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
