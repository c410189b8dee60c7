"""Table and sentence of what certificates show."""

from collections.abc import Iterator

from sr_jax.capacity.certificate import Certificate
from sr_jax.comparison.titles import titled
from sr_jax.report.model import Json
from sr_jax.report.tables import Rows

HEADER = (
  "network",
  "activation",
  "parameters",
  "outputs",
  "rank at least",
  "smallest singular value",
  "must exceed",
  "ratio",
  "error of derivatives at most",
  "nearest to a kink",
)


def rows(measured: Json) -> Rows:
  """Every certificate as text cells, the header first.

  "Nearest to a kink" is the least pre-activation in multiples of the bound of its error.
  """
  table: Rows = [list(HEADER)]
  for activation, name, shown in _certificates(measured):
    smallest, clearance = shown.smallest_singular_value, shown.clearance
    cells = [titled(name), activation, f"{shown.parameters:,}", f"{shown.rows:,}"]
    cells += [f"{shown.rank:,}" if shown.rank else "not shown"]
    cells += ["-" if smallest is None else f"{smallest:.1e}", f"{shown.needed:.1e}"]
    cells += [f"{shown.ratio:.0f}", f"{shown.derivative_error:.0e}"]
    table.append([*cells, "-" if clearance is None else f"{clearance:.0e} times rounding"])
  return table


def sentence(measured: Json) -> str:
  """Which network is shown not to contain which."""
  smaller = measured["smaller"]
  sentences = []
  for larger in dict.fromkeys(name for _, name, _ in _certificates(measured)):
    ranks = {a: shown.rank for a, name, shown in _certificates(measured) if name == larger}
    parts = []
    for name, parameters in smaller.items():
      activations = [activation for activation, rank in ranks.items() if rank > parameters]
      if activations:
        where = " and ".join(activations)
        parts.append(f"{titled(name)} ({parameters:,} parameters; {where})")
    excluded = f"none of {', '.join(parts)} contains it" if parts else "nothing is excluded"
    lowest, highest = min(ranks.values()), max(ranks.values())
    rank = f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"
    sentences.append(f"{titled(larger)}: rank of at least {rank}, so {excluded}.")
  ratios = [shown.ratio for _, _, shown in _certificates(measured)]
  return (
    f"{' '.join(sentences)} Smallest singular values are {min(ratios):.0f} to {max(ratios):.0f} "
    "times what rounding errors could amount to in all. A network of P parameters, of whatever "
    "layers, fills at most P dimensions with its outputs."
  )


def _certificates(measured: Json) -> Iterator[tuple[str, str, Certificate]]:
  """Activation, network, and what was shown of it."""
  for activation, networks in measured["shown"].items():
    for name, shown in networks.items():
      yield activation, name, Certificate(**shown)
