"""report.md and its figures: the answer first, then what it rests on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.analysis.reproduction import scores_on
from sr_jax.analysis.verdict import time_sentence, titled
from sr_jax.config import as_flags
from sr_jax.console import markdown_table
from sr_jax.data.images import Photo
from sr_jax.run_folder import read_json
from sr_jax.training import metrics

Upscale = Callable[[Photo], dict[str, np.ndarray | None]]


def score_rows(results: dict[str, Any]) -> list[list[str]]:
  """Mean scores of the arms and of bicubic as text cells, the header first."""
  rows = [["", "learning rate", "test PSNR (dB)", "seeds' sd", "test SSIM", "training PSNR (dB)"]]
  bicubic = results["bicubic"]
  rows.append(
    [
      "bicubic",
      "-",
      f"{np.mean(bicubic['test']['psnr']):.2f}",
      "-",
      f"{np.mean(bicubic['test']['ssim']):.4f}",
      f"{np.mean(bicubic['training']['psnr']):.2f}",
    ]
  )
  for name, arm in results["arms"].items():
    alive = [member for member in arm["members"] if member["status"] != "diverged"]
    missing = len(arm["members"]) - len(alive)
    count = f" ({len(alive)} of {len(arm['members'])})" if missing else ""
    rate = f"{arm['learning_rate']:g}"
    if not alive:
      rows.append([titled(name), rate, "diverged" + count, "-", "-", "-"])
      continue
    psnr = [np.mean(member["test"]["psnr"]) for member in alive]
    rows.append(
      [
        titled(name),
        rate,
        f"{np.mean(psnr):.2f}{count}",
        f"{np.std(psnr, ddof=1):.3f}" if len(psnr) > 1 else "-",
        f"{np.mean([member['test']['ssim'] for member in alive]):.4f}",
        f"{np.mean([member['training']['psnr'] for member in alive]):.2f}",
      ]
    )
  return rows


def rows_by_set(results: dict[str, Any]) -> list[list[str]]:
  """Mean scores on every test set by itself as text cells, the header first."""
  rows = [["test set", "", "PSNR (dB)", "seeds' sd", "SSIM"]]
  for name in results["tests"]:
    of_arms = scores_on(results, name)
    called = f"{name} ({len(of_arms['bicubic'][0]['psnr'])})"
    for arm, scores in of_arms.items():
      alive = [score for score in scores if None not in score["psnr"]]
      psnr = [np.mean(score["psnr"]) for score in alive]
      rows.append(
        [
          called,
          arm if arm == "bicubic" else titled(arm),
          f"{np.mean(psnr):.2f}" if alive else "diverged",
          f"{np.std(psnr, ddof=1):.3f}" if len(psnr) > 1 else "-",
          f"{np.mean([score['ssim'] for score in alive]):.4f}" if alive else "-",
        ]
      )
  return rows


def write(
  results: dict[str, Any],
  timing: dict[str, Any],
  test: Sequence[Photo],
  upscale: Upscale,
  run_dir: Path,
) -> None:
  """Writes figures/ and report.md into the run's folder."""
  from sr_jax.analysis import figures  # noqa: PLC0415  # Matplotlib takes seconds to import

  folder = run_dir / "figures"
  folder.mkdir(exist_ok=True)
  lines = metrics.read(run_dir / "metrics.jsonl")
  figures.save(figures.learning_curves(lines, results), folder / "learning_curves.png")
  if (by_image := figures.differences_by_image(results)) is not None:
    figures.save(by_image, folder / "differences_by_image.png")
  photo = typical(results, test)
  pictures = {name: image for name, image in upscale(photo).items() if image is not None}
  scale = results["config"]["scale"]
  figures.save(figures.example(photo, pictures, scale), folder / "example.png")
  (run_dir / "report.md").write_text(markdown(results, timing, read_json(run_dir / "config.json")))


def typical(results: dict[str, Any], test: Sequence[Photo]) -> Photo:
  """The test photograph whose difference lies closest to the mean difference."""
  by_image = results["verdict"]["test_difference_by_image"]
  if not by_image:
    return test[0]
  return test[int(np.argmin(np.abs(np.array(by_image) - results["verdict"]["test"]["mean"])))]


def markdown(results: dict[str, Any], timing: dict[str, Any], about: dict[str, Any]) -> str:
  """The text of report.md."""
  verdict, arms = results["verdict"], results["arms"]
  header = ["arm", *next(iter(arms.values()))["budget"]]
  budgets = [
    [titled(name), *(f"{v:g}" for v in arm["budget"].values())] for name, arm in arms.items()
  ]
  searches = [["arm", "learning rate", "seed", "validation PSNR (dB)"]]
  for name, arm in arms.items():
    for one in arm["search"]:
      psnr = one["validation_psnr"]
      shown = "diverged" if psnr is None else f"{psnr:.3f}"
      searches.append([titled(name), f"{one['learning_rate']:g}", str(one["seed"]), shown])
  images = [["test photograph", "bicubic", *(titled(name) for name in arms)]]
  for i, image in enumerate(results["images"]["test"]):
    row = [image, f"{results['bicubic']['test']['psnr'][i]:.2f}"]
    for arm in arms.values():
      psnr = [m["test"]["psnr"][i] for m in arm["members"] if m["status"] != "diverged"]
      row.append(f"{np.mean(psnr):.2f}" if psnr else "-")
    images.append(row)
  bootstrap = "; ".join(
    f"{where} {verdict[key]['bootstrap_low']:+.3f} to {verdict[key]['bootstrap_high']:+.3f} dB"
    for key, where in (("test", "test photographs"), ("training", "training patches"))
    if verdict[key]["bootstrap_low"] is not None
  )
  command = f"python launch.py --experiment={results['experiment']} {as_flags(results['config'])}"
  compared = verdict["test"]["mean"] is not None
  parts = [
    f"# {results['experiment']}",
    "\n\n".join([*verdict["sentences"], time_sentence(timing, verdict["contrast"])]),
    markdown_table(score_rows(results)),
    markdown_table(rows_by_set(results)) if results["further_tests"] else "",
    "\n\n".join(results["notes"]),
    "![Differences by image](figures/differences_by_image.png)" if compared else "",
    f"Crossed bootstrap, for comparison (too narrow at such sizes): {bootstrap}."
    if bootstrap
    else "",
    "![Learning curves](figures/learning_curves.png)",
    "![One photograph](figures/example.png)",
    "The photograph is the one whose difference is closest to the mean, the detail is where the "
    "networks together gain most over bicubic, and each network is its first seed not diverged.",
    "## Budget (per HR pixel where it applies)",
    markdown_table([header, *budgets]),
    "## Mean PSNR (dB) by photograph",
    markdown_table(images),
    "## Search for a learning rate" if len(searches) > 1 else "",
    markdown_table(searches) if len(searches) > 1 else "",
    "## Wall time of the session that finished the run",
    markdown_table(
      [["phase", "seconds"], *([k, f"{v:.1f}"] for k, v in timing["phase_seconds"].items())]
    ),
    "## To reproduce",
    f"```\n{command}\n```",
    markdown_table([["", "version"], *([k, str(v)] for k, v in about["provenance"].items())]),
  ]
  return "\n\n".join(part for part in parts if part) + "\n"
