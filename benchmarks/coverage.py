"""How often the interval holds the truth: `python benchmarks/coverage.py [--out=FILE.json]`.

Tables of differences, seeds by photographs, are drawn around a true mean of zero with the spreads
that every contrast of results/confirmatory.json has, and the shares are counted whose 95 % interval
holds zero. "Gaussian" draws normal effects of seeds and photographs and normal errors; "skewed"
draws the effects of photographs and the errors from the real ones.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from benchmarks import common
from sr_jax.comparison.statistics import ci_half_width, crossed_bootstrap, standard_errors
from sr_jax.config import setting
from sr_jax.report.markdown import table as markdown_table
from sr_jax.runtime.command_line import run

RESULTS = Path(__file__).parents[1] / "results" / "confirmatory.json"
DESIGNS = ((2, 6), (3, 6), (4, 100), (8, 5), (8, 14), (8, 100), (24, 287))  # seeds, photographs
CELLS = 2_000_000  # drawn at a time
RESAMPLED = 500  # tables for the bootstrap, which takes long
SMALL = 200  # cells of a table, up to which it is tried


@dataclasses.dataclass(frozen=True)
class Arguments(common.Arguments):
  """The command line."""

  tables: int = setting(20_000, "tables of each design and kind", at_least=RESAMPLED)


class Components(NamedTuple):
  """Spreads of the differences of one contrast, and the shapes of two distributions.

  The spreads are standard deviations in dB of the effects of seeds and photographs, and of the
  rest. The distributions, with mean 0 and standard deviation 1, are of the effects of the real
  photographs, and of what is left of the real differences.
  """

  seed: float
  image: float
  error: float
  images: Float[np.ndarray, " i"]
  errors: Float[np.ndarray, " n"]


def kept_contrasts() -> list[Float[np.ndarray, "s i"]]:
  """The paired differences of the contrasts that the confirmatory run reports."""
  results = json.loads(RESULTS.read_text())["results"]
  verdict = results["verdict"]
  psnr = {
    name: np.array([member["test"]["psnr"] for member in arm["members"]])
    for name, arm in results["arms"].items()
  }
  pairs = {tuple(each["contrast"]): None for each in (verdict, *verdict["contrasts"])}
  return [psnr[first] - psnr[second] for first, second in pairs]


def components(differences: Float[np.ndarray, "s i"]) -> Components:
  """The spreads of a contrast, from its mean squares."""
  seeds, images = differences.shape
  mean = differences.mean()
  by_image = differences.mean(axis=0)
  residual = differences - differences.mean(axis=1, keepdims=True) - by_image + mean
  ms_seeds = images * differences.mean(axis=1).var(ddof=1)
  ms_images = seeds * by_image.var(ddof=1)
  ms_error = (residual**2).sum() / ((seeds - 1) * (images - 1))
  return Components(
    seed=max(0.0, ms_seeds - ms_error) ** 0.5 / images**0.5,
    image=max(0.0, ms_images - ms_error) ** 0.5 / seeds**0.5,
    error=ms_error**0.5,
    images=(by_image - mean) / by_image.std(),
    errors=residual.ravel() / residual.std(),
  )


def simulate(
  rng: np.random.Generator, spreads: Sequence[Components], shape: tuple[int, int, int], skewed: bool
) -> Float[np.ndarray, "n s i"]:
  """Draws tables of true mean zero, as many with the spreads of each contrast."""
  tables = []
  count, seeds, images = shape
  for spread, part in zip(spreads, np.array_split(np.arange(count), len(spreads)), strict=True):
    by_seed = rng.standard_normal((len(part), seeds, 1))
    shapes = (len(part), 1, images), (len(part), seeds, images)
    if skewed:
      by_image, error = map(rng.choice, (spread.images, spread.errors), shapes)
    else:
      by_image, error = map(rng.standard_normal, shapes)
    tables.append(spread.seed * by_seed + spread.image * by_image + spread.error * error)
  return np.concatenate(tables)


def covered(tables: Float[np.ndarray, "n s i"]) -> float:
  """The share of tables whose interval holds zero."""
  half_widths = ci_half_width(*standard_errors(tables))
  return float(np.mean(np.abs(tables.mean(axis=(1, 2))) <= half_widths))


def measure(spreads: Sequence[Components], count: int, seeds: int, images: int) -> dict[str, float]:
  """Coverage of one design, and of the bootstrap where a table is small."""
  rng = np.random.default_rng(0)
  max_tables = max(len(spreads), CELLS // (seeds * images))
  shares: dict[str, float] = {}
  for name, skewed in (("gaussian", False), ("skewed", True)):
    sizes = [min(max_tables, count - begin) for begin in range(0, count, max_tables)]
    parts = [n * covered(simulate(rng, spreads, (n, seeds, images), skewed)) for n in sizes]
    shares[name] = sum(parts) / count
    if seeds * images <= SMALL:
      tables = simulate(rng, spreads, (RESAMPLED, seeds, images), skewed)
      intervals = [crossed_bootstrap(differences) for differences in tables]
      shares[f"bootstrap_{name}"] = float(np.mean([low <= 0 <= high for low, high in intervals]))
  return shares


def blocks(data: dict[str, Any]) -> common.Blocks:
  """How often intervals hold the truth, by seeds and photographs, for docs/STATISTICS.md."""
  columns = {
    "gaussian": "interval, Gaussian",
    "skewed": "interval, skewed",
    "bootstrap_gaussian": "bootstrap, Gaussian",
    "bootstrap_skewed": "bootstrap, skewed",
  }
  rows = [["seeds x photographs", *columns.values()]]
  for row in data["rows"]:
    shares = [f"{row[name]:.3f}" if name in row else "-" for name in columns]
    rows.append([f"{row['seeds']} x {row['images']}", *shares])
  about = f"({data['tables']:,} tables each; of the bootstrap {data['resampled']:,}.)"
  return {"coverage": f"{markdown_table(rows)}\n\n{about}"}


def main(arguments: Arguments) -> None:
  """Counts for every design."""
  spreads, count = list(map(components, kept_contrasts())), arguments.tables
  rows = [{"seeds": s, "images": i, **measure(spreads, count, s, i)} for s, i in DESIGNS]
  data = arguments.write("coverage", tables=count, resampled=RESAMPLED, rows=rows)
  common.show(blocks, data)


if __name__ == "__main__":
  sys.exit(run(main, Arguments))
