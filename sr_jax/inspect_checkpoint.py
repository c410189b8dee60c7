"""Opens a run's folder: `python -m sr_jax.inspect_checkpoint RUN`.

Prints the configuration, the budget, every arm's parameters and every member's scores, and draws
the first and last kernels of each arm. Works on any machine, whatever the run was trained on.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.config import InputError, as_flags
from sr_jax.console import say, table
from sr_jax.run_folder import check_name, read_json
from sr_jax.training.checkpoints import load_arrays


def main(run_dir: Path) -> None:
  """Describes a run on standard output.

  Raises:
    InputError: the folder is not that of a run, or its config.json was changed.
  """
  about = read_json(run_dir / "config.json")
  check_name(run_dir, about)
  results = read_json(run_dir / "results.json") if (run_dir / "results.json").exists() else None
  say(f"{about['experiment']}, begun {about['began']}")
  say(as_flags(about["config"]))
  say(", ".join(f"{name} {value}" for name, value in about["provenance"].items()))
  header = ["arm", *next(iter(about["arms"].values()))["budget"]]
  budgets = [
    [name, *(f"{value:g}" for value in arm["budget"].values())]
    for name, arm in about["arms"].items()
  ]
  say("\n" + table([header, *budgets]))
  for arm in about["arms"]:
    for stage in ("search", "final"):
      folder = run_dir / "checkpoints" / arm / stage
      if folder.is_dir():
        _describe_training(arm, stage, folder, run_dir)
    if results is not None:
      say("\n" + table(list(_member_rows(results["arms"][arm]))))
  if results is None:
    say("\nNot finished: there is no results.json yet.")


def _describe_training(arm: str, stage: str, folder: Path, run_dir: Path) -> None:
  """The newest checkpoint of one training; of the final one also its parameters and kernels."""
  step, tree, metadata = load_arrays(folder)
  members = tree["members"]
  who = ", ".join(
    f"(seed {seed}, rate {rate:g})"
    for seed, rate in zip(members["seed"], members["learning_rate"], strict=True)
  )
  say(f"\n{arm} {stage}: step {step} of {metadata['steps']}, members {who}")
  if stage == "final":
    rows = [[name, str(array.shape[1:]), _norms(array)] for name, array in _leaves(tree["params"])]
    say(table([["parameter", "shape", "norm of each member"], *rows]))
    picture = run_dir / "figures" / f"kernels_{arm}.png"
    _draw_kernels(arm, tree["params"], picture)
    say(f"First and last kernels of the first member: {picture}")


def _leaves(params: dict[str, dict[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
  for layer, arrays in params.items():
    for name, array in arrays.items():
      yield f"{layer}/{name}", array


def _norms(array: np.ndarray) -> str:
  flat = array.reshape(len(array), -1).astype(np.float64)
  return " ".join(f"{norm:.3f}" for norm in np.linalg.norm(flat, axis=1))


def _member_rows(arm: dict[str, Any]) -> Iterator[list[str]]:
  yield ["seed", "rate", "status", "validation PSNR", "test PSNR", "test SSIM", "training PSNR"]
  for member in arm["members"]:
    scores = (member["test"]["psnr"], member["test"]["ssim"], member["training"]["psnr"])
    means = ["-" if None in values else f"{np.mean(values):.4f}" for values in scores]
    validation = member["validation_psnr"]
    shown = "-" if validation is None else f"{validation:.4f}"
    rate = f"{member['learning_rate']:g}"
    yield [str(member["seed"]), rate, member["status"], shown, *means]


def _draw_kernels(arm: str, params: dict[str, dict[str, np.ndarray]], path: Path) -> None:
  from sr_jax.analysis import figures, pictures  # noqa: PLC0415  # Matplotlib takes seconds to import

  names = [name for name in params if not name.startswith("hidden")]
  path.parent.mkdir(exist_ok=True)
  kernels = {f"{arm} {name}": params[name]["kernel"][0] for name in sorted(names)}
  figures.save(pictures.kernels(kernels), path)


if __name__ == "__main__":
  if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    print("usage: python -m sr_jax.inspect_checkpoint RUN", file=sys.stderr)
    sys.exit(2)
  try:
    main(Path(sys.argv[1]))
  except InputError as problem:
    print(f"inspect_checkpoint: {problem}", file=sys.stderr)
    sys.exit(2)
