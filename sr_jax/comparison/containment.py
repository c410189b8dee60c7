"""What is known of a run's networks before any is trained: which contain which."""

from typing import Any

from sr_jax.comparison.titles import titled

CONTAINS = "contains"  # in results.json: pairs of arms, of which the first contains the second


def sentences(results: dict[str, Any]) -> list[str]:
  """Which arms contain others, and what follows for the verdict's pair.

  Nothing of results that do not say, which are of an earlier version.
  """
  if CONTAINS not in results:
    return []
  arms = results["arms"]
  pairs = [tuple(pair) for pair in results[CONTAINS]]
  listed = []
  for outer, inner in pairs:
    costs = (arms[name]["budget"] for name in (outer, inner))
    numbers = [(f"{cost['parameters']:,}", f"{cost['macs']:,g}") for cost in costs]
    (parameters, macs), (fewer, other_macs) = numbers
    listed.append(
      f"{titled(outer)} contains {titled(inner)}: every function of {titled(inner)} is one of "
      f"{titled(outer)}, with {parameters} parameters for {fewer} and {macs} MACs for {other_macs}."
    )
  first, second = results["verdict"]["contrast"]
  a, b = titled(first), titled(second)
  if (first, second) in pairs:
    listed.append(f"So at the optimum of the training loss {a} cannot be worse than {b}.")
  elif (second, first) in pairs:
    listed.append(f"So at the optimum of the training loss {b} cannot be worse than {a}.")
  else:
    listed.append(
      f"Of {a} and {b} neither is shown to contain the other by their shapes: which fits "
      "photographs better is a question for the test."
    )
  return listed
