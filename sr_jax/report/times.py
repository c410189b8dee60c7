"""What measured time says beside the verdict: sentences, and the step time of every arm."""

from collections.abc import Sequence
from typing import Any

from sr_jax.comparison.contrasts import Results
from sr_jax.comparison.titles import titled
from sr_jax.comparison.verdict import describe


def fastest(timing: dict[str, Any]) -> dict[str, float]:
  """Seconds of a training step of every arm, in whichever execution is faster."""
  fastest: dict[str, float] = {}
  for name, seconds in timing["step_seconds"].items():
    arm = name.partition(" ")[0]
    fastest[arm] = min(seconds, fastest.get(arm, seconds))
  return fastest


def at_equal_time(results: Results, timing: dict[str, Any]) -> list[str]:
  """What the verdict becomes when time is equal, not MACs, where the run has arms for that."""
  seconds = fastest(timing)
  verdict = results["verdict"]
  first, second = verdict["contrast"]
  sentences = []
  for contrast in verdict["contrasts"]:
    pair = contrast["contrast"]
    if pair in ([first, f"{second}_timed"], [f"{first}_timed", second]):
      ours, theirs = (f"{titled(name)} ({results['arms'][name]['note']})" for name in pair)
      now, before = contrast["test"]["decision"], verdict["test"]["decision"]
      change = "the same decision as" if now == before else f'where it was "{before}"'
      ratio = seconds[pair[1]] / seconds[pair[0]]
      sentences.append(
        f"At equal time, {ours} {describe(contrast['test'], theirs)}; {change} at equal MACs. "
        f"Widths being whole, a step of the latter takes {ratio:.2f} times as long."
      )
  return sentences


def time_sentence(timing: dict[str, Any], arms: Sequence[str]) -> str:
  """What the arms cost in measured time, each form at the MACs that it executes."""
  macs = timing["executed_macs"]
  (first, base), *others = (
    (name, seconds)
    for name, seconds in timing["step_seconds"].items()
    if name.partition(" ")[0] in arms
  )
  phrases = [
    f"{seconds / base:.2f} times as long for {_with_execution(name)} ({1e3 * seconds:.2f} ms), at "
    f"{macs[name] / macs[first]:.2f} times the MACs"
    for name, seconds in others
  ]
  return (
    f"A training step takes {1e3 * base:.2f} ms for {_with_execution(first)} on "
    f"{timing['device']}, {'; '.join(phrases)}."
  )


def _with_execution(name: str) -> str:
  """An arm's name with its execution: "hr (lr_space)" is HR computed in LR space."""
  arm, _, execution = name.partition(" ")
  computed = {"": "", "(hr_space)": "", "(lr_space)": " computed in LR space"}
  return titled(arm) + computed[execution]
