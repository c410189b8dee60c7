"""Effects and their intervals as text, for sentences and tables."""

from typing import Any


def percent(summary: dict[str, Any]) -> str:
  """A share and its interval, as text: "+3.1 % (+1.2 to +5.0 %)"; "-" where there is none."""
  if summary["mean"] is None:
    return "-"
  ends = percent_ends(summary)
  return f"{100 * summary['mean']:+.1f} %" + (f" ({ends})" if ends else "")


def percent_ends(summary: dict[str, Any], prefix: str = "") -> str:
  """The ends of the interval of a share; empty where it has none."""
  low, high = summary[f"{prefix}low"], summary[f"{prefix}high"]
  return "" if low is None else f"{100 * low:+.1f} to {100 * high:+.1f} %"


def in_unit(summary: dict[str, Any], unit: str, digits: int = 3) -> str:
  """An effect and its interval in a unit, as text; "-" where there is none."""
  if summary["mean"] is None:
    return "-"
  ends = ""
  if summary["low"] is not None:
    ends = f" ({summary['low']:+.{digits}f} to {summary['high']:+.{digits}f})"
  return f"{summary['mean']:+.{digits}f} {unit}".rstrip() + ends
