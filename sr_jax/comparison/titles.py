"""What readers call an arm, or a task."""

import re

CAPITALISED = ("half", "streams", "transposed", "nearest", "linear", "skip")


def titled(name: str) -> str:
  """An arm's name for readers: "hr_k3_learned" is HR k3 learned, "h4_k5" is h = 4, K = 5.

  The class of a network of the user's own has capital letters, and stays.
  """
  if name != name.lower():
    return name
  first, *rest = name.split("_")
  if share := re.fullmatch(r"h(\d+)(?:_k(\d+))?", name):
    return f"h = {share[1]}" + (f", K = {share[2]}" if share[2] else "")
  return " ".join([first.capitalize() if first in CAPITALISED else first.upper(), *rest])


def task_title(name: str) -> str:
  """A task's name for readers: "super_resolution" is super-resolution."""
  return name.replace("super_resolution", "super-resolution").replace("_", " ")
