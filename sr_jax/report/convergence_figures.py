"""What training time does to differences between networks."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr_jax.comparison import convergence
from sr_jax.comparison.statistics import SESOI
from sr_jax.comparison.titles import titled
from sr_jax.report.figures import COLOURS, MARKERS, STYLE, WIDTH

ASIDE = 1.035  # factor between the places of neighbouring contrasts
ABOUT = (
  "Differences in PSNR, LR less each HR network, against the length of training, each length a run "
  "of its own with rates searched again. Bars: 95 % intervals over seeds and photographs. Hollow: "
  "lengths of few seeds, which describe and do not decide. Pale: contrasts that do not decide."
)
PANELS = {"test": "photographs that nothing was chosen on", "training": "training patches"}


@mpl.rc_context(STYLE)
def curve(runs: Sequence[dict[str, Any]]) -> Figure | None:
  """LR less every HR network after every length, on test photographs and on training patches.

  None where no contrast has two lengths.
  """
  pairs = contrasts(runs)
  if not pairs:
    return None
  deciding = convergence.NOTE_PAIR, ("lr", convergence.best_opponent(runs))
  figure = Figure(figsize=(WIDTH, 7.4), layout="constrained")
  panels = figure.subplots(2, 1, sharex=True)
  for axes, (split, title) in zip(panels, PANELS.items(), strict=True):
    axes.axhspan(-SESOI, SESOI, color="0.9", label=f"less than {SESOI} dB", zorder=0)
    axes.axhline(0, color="0.4", linewidth=0.8)
    for i, pair in enumerate(pairs):
      effects = convergence.effects(convergence.runs_of(runs, *pair), *pair, split)
      look = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
      alpha = 1.0 if pair in deciding else 0.45
      _draw(axes, effects, _title(pair), look, alpha, i - (len(pairs) - 1) / 2)
    axes.set(title=title.capitalize(), ylabel="PSNR difference (dB)", xscale="log")
  lengths = sorted({run["config"]["steps"] for run in runs})
  panels[1].set_xticks(lengths, [f"{steps:,}" for steps in lengths])
  panels[1].minorticks_off()
  panels[1].set_xlabel("training steps (log scale)")
  figure.legend(
    *panels[0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=2
  )
  return figure


def contrasts(runs: Sequence[dict[str, Any]], least: int = 2) -> list[tuple[str, str]]:
  """The note's pair and the best opponent, then LR and every HR network of `least` lengths."""
  if not any(run["config"]["seeds"] >= convergence.MIN_SEEDS for run in runs):
    return []
  names = {name for run in runs for name in run["arms"] if name.startswith("hr")}
  first = [convergence.NOTE_PAIR[1], convergence.best_opponent(runs)]
  ordered = list(dict.fromkeys([*first, *sorted(names)]))
  pairs = [("lr", name) for name in ordered if name in names]
  return [pair for pair in pairs if len(convergence.runs_of(runs, *pair)) >= least]


def _title(pair: tuple[str, str]) -> str:
  return " - ".join(map(titled, pair))


def _draw(
  axes: Axes,
  effects: dict[int, dict[str, Any]],
  label: str,
  look: tuple[str, str],
  alpha: float,
  place: float,
) -> None:
  """One contrast over lengths, `place` lines away from the middle."""
  colour, marker = look
  x = [steps * ASIDE**place for steps in effects]
  drawn: Any = {"color": colour, "alpha": alpha}
  axes.plot(x, [effect["mean"] for effect in effects.values()], "-", label=label, **drawn)
  for at, effect in zip(x, effects.values(), strict=True):
    if effect["low"] is not None:
      axes.plot([at, at], [effect["low"], effect["high"]], linewidth=1.4, **drawn)
    face = "white" if effect["seeds"] < convergence.MIN_SEEDS else colour
    axes.plot(at, effect["mean"], marker, markerfacecolor=face, **drawn)
