"""One layer, three ways: `python benchmarks/upsampling.py [--out=FILE.json]`.

The last layer of a super-resolution network (32 maps of 512x512 to one image r times as large, an
LR kernel of 3x3 or a deconvolution kernel of 3r x 3r) as a sub-pixel convolution, a transposed
convolution and a convolution of the zero-filled image. On CPU each form is compiled with XLA's
default and with Eigen's convolutions, and the faster one counts. All forms take turns; medians, and
ratios to the sub-pixel convolution, are printed. PyTorch's `Conv2d` with `PixelShuffle` and its
`ConvTranspose2d` take part if it is installed; bfloat16 does on an accelerator.
"""

import functools
import importlib.util
import itertools
import sys
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.common import Arguments, Blocks, show
from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv, zero_insertion_conv
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime.command_line import run
from sr_jax.training.timing import seconds_a_step

SIDE, MAPS, KERNEL, ROUNDS = 512, 32, 3, 5
EIGEN_CONVOLUTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
FORMS = {
  "sub-pixel": sub_pixel_conv,
  "transposed": transposed_conv,
  "zero insertion": zero_insertion_conv,
}


def compilations() -> list[dict[str, str]]:
  """XLA's default options and, where its compiler knows them, those for Eigen's convolutions.

  Of zero-filled images YNNPACK, CPU's default, makes a convolution 7 times slower than Eigen's.
  """
  try:
    jax.jit(lambda x: x, compiler_options=EIGEN_CONVOLUTIONS).lower(0.0).compile()
  except Exception as error:  # an unknown option is reported by whatever error XLA has for it
    if not any(option in str(error) for option in EIGEN_CONVOLUTIONS):
      raise
    return [{}]
  return [{}, EIGEN_CONVOLUTIONS] if jax.default_backend() == "cpu" else [{}]


def jax_calls(scale: int, dtype: str) -> dict[str, Callable[[], Any]]:
  """The three forms of one random layer, each in its faster compilation, ready to run."""
  keys = jax.random.split(jax.random.key(0))
  x = jax.random.normal(keys[0], (1, SIDE, SIDE, MAPS), dtype)
  kernel = jax.random.normal(keys[1], (KERNEL * scale, KERNEL * scale, MAPS, 1), dtype)
  padding = ((scale, scale),) * 2  # keeps scale * SIDE pixels

  def faster(form: Callable) -> Callable[[], Any]:
    calls = []
    for options in compilations():
      layer = jax.jit(lambda x, k: form(x, k, scale, padding), compiler_options=options)
      compiled = layer.lower(x, kernel).compile()
      calls.append(lambda compiled=compiled: jax.block_until_ready(compiled(x, kernel)))
    seconds = measure({str(i): call for i, call in enumerate(calls)}, rounds=1)
    return calls[int(min(seconds, key=lambda i: seconds[i]))]

  return {f"{name} (JAX)": faster(form) for name, form in FORMS.items()}


def torch_calls(scale: int) -> dict[str, Callable[[], Any]]:
  """PyTorch's two layers of the same size, channels last."""
  import torch  # noqa: PLC0415  # an extra

  x = torch.randn(1, MAPS, SIDE, SIDE).to(memory_format=torch.channels_last)
  conv = torch.nn.Conv2d(MAPS, scale**2, KERNEL, padding=1)
  shuffled = torch.nn.Sequential(conv, torch.nn.PixelShuffle(scale))
  deconv = torch.nn.ConvTranspose2d(MAPS, 1, KERNEL * scale, stride=scale, padding=scale)
  layers: dict[str, Any] = {"sub-pixel (PyTorch)": shuffled, "transposed (PyTorch)": deconv}
  layers = {name: layer.to(memory_format=torch.channels_last) for name, layer in layers.items()}

  @torch.inference_mode()
  def call(name: str) -> Any:
    return layers[name](x)

  return {name: functools.partial(call, name) for name in layers}


def measure(calls: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
  """Median seconds of each call, the calls taking turns."""

  def repeat(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
      call()

  repeated = {name: functools.partial(repeat, call) for name, call in calls.items()}
  return seconds_a_step(repeated, 0.1, rounds)


def blocks(data: dict[str, Any]) -> Blocks:
  """Time of each form over that of the sub-pixel convolution, for docs/IDENTITIES.md."""
  forms = list(dict.fromkeys(row["form"] for row in data["rows"]))
  rows = [["r", "dtype", *forms]]
  layers: dict[tuple[int, str], dict[str, float]] = {}
  for row in data["rows"]:
    layers.setdefault((row["scale"], row["dtype"]), {})[row["form"]] = row["seconds"]
  for (scale, dtype), seconds in layers.items():
    base = seconds["sub-pixel (JAX)"]
    ratios = [f"{seconds[form] / base:.1f}" if form in seconds else "-" for form in forms[1:]]
    rows.append([str(scale), dtype, f"{1e3 * base:.3g} ms = 1", *ratios])
  return {"upsampling": f"{markdown_table(rows)}\n\n({data['device']}.)"}


def main(arguments: Arguments) -> None:
  """Measures every form at every scale."""
  is_cpu = jax.default_backend() == "cpu"
  dtypes = ["float32"] if is_cpu else ["float32", "bfloat16"]
  with_torch = is_cpu and importlib.util.find_spec("torch") is not None
  rows = []
  for scale, dtype in itertools.product((2, 3, 4), dtypes):
    calls = jax_calls(scale, dtype) | (torch_calls(scale) if with_torch else {})
    about = {"scale": scale, "dtype": dtype}
    rows += [{**about, "form": form, "seconds": s} for form, s in measure(calls).items()]
  show(blocks, arguments.write("upsampling", rows=rows))


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
