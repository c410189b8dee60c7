"""Training throughput against PyTorch: `python benchmarks/train.py [--out=FILE.json] [--quick]`.

For LR(32, 3x3), HR(8, 6x6) and ESPCN(64-5, 32-3) at r = 2 and 3, patches of 17 and 32, batches of
16 and 64, and for populations of 1, 8 and 24 members: this project's own training program (patches
cut from resident photographs, schedule, Adam, all inside) against a PyTorch step on a fixed batch
(benchmarks/torch_step.py), for populations against as many PyTorch runs, a process a core with one
thread each, which is faster than one after the other with all threads. Both take turns; medians.
HR is executed in HR space and, as a row of its own, lifted to LR space; a run takes the faster of
the two. Convolutions have the form that a run would choose: XLA's or the native one.

PyTorch has no lifted network: that row computes the same function as HR by another algorithm.
"Peak" is what a large matrix product reaches here in the same run, in JAX; a step counts 3 x 2 x
the network's declared MACs, whatever is executed. Without PyTorch (extra
`torch`) its columns are empty. On an accelerator members are batched, TF32 and bfloat16 get rows,
and PyTorch uses CUDA graphs, one run at a time.
"""

import dataclasses
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import common
from sr_jax.config import setting
from sr_jax.data import patches, sources
from sr_jax.networks import Layer, Network, espcn, hr_network, lr_network
from sr_jax.networks.budget import budget
from sr_jax.operators.conv import Computation
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime import devices
from sr_jax.runtime.command_line import run
from sr_jax.runtime.console import log
from sr_jax.training import autotune, population, sharding
from sr_jax.training.choices import fastest
from sr_jax.training.population import Population
from sr_jax.training.timing import call_of, seconds_a_step

WORKER = Path(__file__).parent / "torch_step.py"
FIELDS = ("name", "scale", "patch", "batch", "members", "precision")  # of a case, in the table
LR, HR, LIFTED = "LR 32 maps 3x3", "HR 8 maps 6x6", "HR in LR space"


@dataclasses.dataclass(frozen=True)
class Arguments(common.Arguments):
  """The command line."""

  quick: bool = setting(False, "the shape of the default recipe only")


class Case(NamedTuple):
  """One row of the table."""

  name: str
  network: Network
  patch: int
  batch: int
  members: int
  precision: str = "float32"


def cases(accelerator: bool) -> Iterator[Case]:
  """All shapes for single members, then populations at the default recipe's shape."""
  for scale in (2, 3):
    networks: dict[str, Network] = {
      LR: lr_network(scale=scale),
      HR: hr_network(scale=scale),
      LIFTED: hr_network(scale=scale, execution="lr_space"),
      "ESPCN": espcn(scale=scale, padding="same"),
    }
    precisions = ("float32", "tf32", "bfloat16") if accelerator else ("float32",)
    for name, network in networks.items():
      for patch, batch in ((17, 16), (17, 64), (32, 16), (32, 64)):
        yield Case(name, network, patch, batch, 1)
      if scale == 2:
        for members, precision in itertools.product((8, 24), precisions):
          yield Case(name, network, 17, 16, members, precision)


def jax_call(case: Case, photos: list[Any]) -> tuple[Callable[[int], None], str]:
  """What trains a population for some steps, and the form of its convolutions."""
  network, patch, batch = case.network, case.patch, case.batch
  mesh = sharding.make_mesh(case.members, batch)
  members = sharding.shard_members(mesh, population.make_members(range(case.members), [1e-4]))
  state = population.initialise(network, "arm", members, mesh)
  store = sharding.upload(patches.make_store(photos, patch))
  forms = autotune.forms_of("auto", case.precision, mesh)
  timed = Population(network, state, members, mesh, Computation(forms[0], case.precision))
  if len(forms) > 1:
    form = fastest(autotune.form_seconds({"": timed}, batch, patch, forms)[""])
    timed = timed._replace(computation=Computation(form, case.precision))
  return call_of(timed, store, batch, patch), timed.computation.form


class TorchRuns:
  """As many PyTorch runs as a population has members, on the same cores or the same GPU."""

  def __init__(self, case: Case, cores: int, cuda: bool) -> None:
    workers = 1 if cuda else min(case.members, cores)
    self.turns = [len(range(i, case.members, workers)) for i in range(workers)]
    network = case.network
    about = {
      "layers": [_on_one_grid(layer) for layer in network.layers],
      "activation": network.layers[0].activation,
      "skip": network.bicubic_skip,
      **{key: getattr(network, key) for key in ("scale", "bicubic_first")},
      **{key: getattr(case, key) for key in ("patch", "batch", "precision")},
      "threads": max(1, cores // workers),
      "device": "cuda" if cuda else "cpu",
    }
    command = [sys.executable, str(WORKER), json.dumps(about)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    self.processes = [subprocess.Popen(command, **pipes) for _ in range(workers)]
    self._wait_for("ready")

  def __call__(self, steps: int) -> None:
    """Trains every member for some steps."""
    for process, turns in zip(self.processes, self.turns, strict=True):
      assert process.stdin
      process.stdin.write(f"{steps * turns}\n")
      process.stdin.flush()
    self._wait_for("done")

  def _wait_for(self, word: str) -> None:
    for process in self.processes:
      assert process.stdout
      if process.stdout.readline().strip() != word:
        raise RuntimeError("a PyTorch run failed; its error is above")

  def close(self) -> None:
    """Ends the processes."""
    for process in self.processes:
      assert process.stdin
      process.stdin.close()
      process.wait()


def _on_one_grid(layer: Layer) -> dict[str, Any]:
  """A layer whose maps are all LR or all HR, as numbers that PyTorch's convolution takes."""
  on_hr = layer.inputs.hr > 0
  return {
    "inputs": layer.inputs.lr + layer.inputs.hr,
    "outputs": layer.outputs.lr + layer.outputs.hr,
    "kernel_size": layer.hr_kernel_size if on_hr else layer.kernel_size,
    "padding": layer.hr_padding if on_hr else layer.lr_padding,
  }


def peak(dtype: Any = jnp.float32, precision: str = "highest") -> float:
  """FLOP/s of a large matrix product."""
  size = 2048 if jax.default_backend() == "cpu" else 8192
  a = jnp.zeros((size, size), dtype)
  product = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))

  def call(steps: int) -> None:
    jax.block_until_ready([product(a) for _ in range(steps)][-1])

  return 2 * size**3 / seconds_a_step({"peak": call})["peak"]


def measure(case: Case, photos: list[Any], with_torch: bool, top: float) -> dict[str, Any]:
  """One row, measured."""
  call, form = jax_call(case, photos)
  calls: dict[str, Callable[[int], None]] = {"jax": call}
  cuda = jax.default_backend() == "gpu"
  # PyTorch has no lifted HR network; the row compares with the one it computes in HR space.
  runs = TorchRuns(case, devices.cores(), cuda) if with_torch else None
  if runs:
    calls["torch"] = runs
  seconds = {name: value / case.members for name, value in seconds_a_step(calls).items()}
  if runs:
    runs.close()
  scale = case.network.scale
  declared = hr_network(scale=scale) if "HR" in case.name else case.network
  flops = 6 * float(budget(declared).macs) * case.batch * (scale * case.patch) ** 2
  row = {**case._asdict(), "scale": scale, "form": form, "member_step_seconds": seconds}
  del row["network"]
  return {**row, "share_of_peak": flops / seconds["jax"] / top}


def cells_of(row: dict[str, Any]) -> list[str]:
  """One row of the table, as text."""
  ours, theirs = (row["member_step_seconds"].get(key) for key in ("jax", "torch"))
  against = [f"{1e3 * theirs:.3g}", f"**{theirs / ours:.2f}**"] if theirs else ["-", "-"]
  case = [*(str(row[field]) for field in FIELDS), row["form"]]
  return [*case, f"{1e3 * ours:.3g}", *against, f"{row['share_of_peak']:.0%}"]


def blocks(data: dict[str, Any]) -> common.Blocks:
  """The default recipe's shape for README.md, and all shapes for docs/PERFORMANCE.md."""
  head = ["network", "r", *FIELDS[2:], "convolution", "ms a member step", "PyTorch, ms"]
  head += ["PyTorch : this", "share of peak"]
  cells = [cells_of(row) for row in data["rows"]]
  default = [[row[0], *row[4:5], *row[6:]] for row in cells if row[1:4] == ["2", "17", "16"]]
  peaks = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in data["peak_flops"].items())
  about = (
    f"({data['device']}, {data['minutes']:.1f} minutes; peak in GFLOP/s: {peaks}; glibc's malloc: "
    f"{data['malloc']}.)"
  )
  summary = _summary(data["rows"])
  return {
    "train": f"{markdown_table([[head[0], head[4], *head[6:]], *default])}\n\n{summary}{about}",
    "train_all": f"{markdown_table([head, *cells])}\n\n{summary}{about}",
  }


def _summary(rows: list[dict[str, Any]]) -> str:
  """The ratios of the rows that a run would choose: HR in the faster of its two executions."""
  chosen: dict[tuple, dict[str, Any]] = {}
  for row in rows:
    name = HR if row["name"] == LIFTED else row["name"]
    key = (name, *(row[field] for field in FIELDS[1:]))
    chosen[key] = min(chosen.get(key, row), row, key=lambda row: row["member_step_seconds"]["jax"])
  seconds = {key: row["member_step_seconds"] for key, row in chosen.items()}
  ratios = {key: both["torch"] / both["jax"] for key, both in seconds.items() if "torch" in both}
  if not ratios:
    return ""
  return (
    "With each HR network in the faster of its executions, the ratio has a geometric mean of "
    f"{statistics.geometric_mean(ratios.values()):.2f} over {len(ratios)} rows; the smallest is "
    f"{min(ratios.values()):.2f}, and {sum(r < 1 for r in ratios.values())} are below 1.\n\n"
  )


def main(arguments: Arguments) -> None:
  """Measures every case, and writes what there is after each."""
  devices.use_all_cores()
  began, accelerator = time.monotonic(), jax.default_backend() != "cpu"
  with_torch = importlib.util.find_spec("torch") is not None
  peaks = {"float32": peak()}
  if accelerator:
    peaks |= {"tf32": peak(precision="high"), "bfloat16": peak(jnp.bfloat16)}
  malloc = "set" if "malloc" in os.environ.get("GLIBC_TUNABLES", "") else "default"
  rows, data = [], {}
  for case in cases(accelerator):
    if arguments.quick and (case.patch, case.batch, case.network.scale) != (17, 16, 2):
      continue
    photos = sources.load("sample_photos", case.network.scale, case.patch).train
    rows.append(measure(case, photos, with_torch, peaks[case.precision]))
    log(" | ".join(cells_of(rows[-1])))
    minutes = (time.monotonic() - began) / 60
    data = arguments.write("train", malloc=malloc, minutes=minutes, peak_flops=peaks, rows=rows)
  common.show(blocks, data)


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
