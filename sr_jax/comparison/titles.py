"""What readers call an arm."""

import re


def titled(name: str) -> str:
  """An arm's name for readers: "hr_k3_learned" is HR k3 learned, "h4_k5" is h = 4, K = 5.

  The class of a network of the user's own has capital letters, and stays.
  """
  if name != name.lower():
    return name
  first, *rest = name.split("_")
  if share := re.fullmatch(r"h(\d+)(?:_k(\d+))?", name):
    return f"h = {share[1]}" + (f", K = {share[2]}" if share[2] else "")
  words = {"half": "Half", "streams": "Streams"}
  return " ".join([words.get(first, first.upper()), *rest])
